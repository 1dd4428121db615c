"""One identity in the agent's care: renewed in time, whole, told to its users, and loud when it fails."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from twoway.authority import Authority
from twoway.credential import Credential, PrivateKey
from twoway.enroll.agent import IdentityOptions, Managed, read_state
from twoway.enroll.agent.hooks import CommandHook, HookFailed, SignalHook
from twoway.enroll.agent.schedule import due_at
from twoway.enroll.agent.settings import Pkcs12
from twoway.enroll.answers import AuthorityRefused
from twoway.errors import NetworkError

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Nearby:
    """An authority without a network between."""

    def __init__(self, authority: Authority) -> None:
        self.authority, self.now = authority, NOW
        self.trouble: Exception | None = None
        self.asked = 0
        self.root_list: tuple[x509.Certificate, ...] | None = None

    def renewed(self, old: Credential, key: PrivateKey) -> Credential:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        chain = self.authority.renew_certificate(old, public_key=key.public_key(), now=self.now)
        return Credential(key, chain, old.anchors)

    def roots(self, identity: Credential) -> tuple[x509.Certificate, ...]:
        return self.root_list or self.authority.cas.bundle.certificates

    def crls(self, identity: Credential) -> bytes:
        return self.authority.crl_pem(now=self.now)


class Care:
    """A managed identity with everything around it."""

    def __init__(self, authority: Authority, place: Path) -> None:
        self.directory = place / "orders"
        authority.issue_client("orders", now=NOW).save(self.directory)
        self.nearby = Nearby(authority)
        self.told: list[tuple[str, str]] = []
        self.options = IdentityOptions(directory=self.directory, url="https://ca.example")
        self.managed = self.again()

    def again(self, **changes: Any) -> Managed:
        """The same after a restart of the agent."""
        self.options = IdentityOptions(**{**vars(self.options), **changes})
        self.managed = Managed(
            self.options, self.nearby, lambda name, line, **_: self.told.append((name, line))
        )
        return self.managed

    def look(self, now: datetime) -> None:
        self.nearby.now = now
        self.managed.look(now)

    @property
    def held(self) -> Credential:
        return Credential.load(self.directory, now=self.nearby.now, allow_expired=True)

    @property
    def due(self) -> datetime:
        held = self.held
        return due_at(held.not_before, held.not_after, held.fingerprint)

    def names(self) -> list[str]:
        return [name for name, _ in self.told]


@pytest.fixture
def care(tmp_path: Path) -> Any:
    with Authority.create(tmp_path / "pki", name="Acme", no_passphrase=True, now=NOW) as authority:
        yield Care(authority, tmp_path)


def test_nothing_is_asked_before_it_is_due(care: Care):
    care.look(care.due - timedelta(seconds=1))
    assert care.nearby.asked == 0
    assert care.told == []


def test_it_is_renewed_when_due_with_a_new_key_and_its_users_are_told(care: Care, tmp_path: Path):
    before = care.held
    care.again(hooks=(CommandHook(("touch", str(tmp_path / "told")), care.directory),))
    care.look(care.due)
    after = care.held
    assert after.fingerprint != before.fingerprint
    assert after.private_key.public_key() != before.private_key.public_key()
    assert after.not_after > before.not_after
    assert after.names == before.names
    assert (tmp_path / "told").exists()
    assert care.names() == ["renewed"]
    state = read_state(care.directory)
    assert (state.failures, state.hooks_due, state.renewed_at) == (0, False, care.nearby.now)


def test_the_same_key_is_kept_where_that_is_wanted(care: Care):
    before = care.held
    care.again(new_key=False)
    care.look(care.due)
    assert care.held.fingerprint != before.fingerprint
    assert care.held.private_key.public_key() == before.private_key.public_key()


def test_a_machine_that_slept_past_the_time_renews_as_it_wakes(care: Care):
    care.look(NOW)
    care.look(care.held.not_after - timedelta(hours=1))
    assert care.names() == ["renewed"]


def test_a_failure_is_loud_keeps_the_old_identity_and_is_tried_again_later(care: Care):
    before = care.held.fingerprint
    care.nearby.trouble = NetworkError("https://ca.example does not answer: connection refused")
    due = care.due
    care.look(due)
    assert care.held.fingerprint == before
    (name, line) = care.told[-1]
    assert name == "not-renewed"
    assert "connection refused" in line
    assert "hours are left" in line
    assert "remedy:" in line
    care.look(due + timedelta(seconds=59))
    assert care.nearby.asked == 1
    care.look(due + timedelta(seconds=60))
    assert care.nearby.asked == 2
    assert care.managed.facts(due)["state"] == "failing"
    care.nearby.trouble = None
    care.look(due + timedelta(hours=1))
    assert care.held.fingerprint != before
    assert care.managed.state.failures == 0
    assert care.managed.facts(care.nearby.now)["state"] == "fresh"


def test_a_restart_does_not_forget_when_to_try_again(care: Care):
    care.nearby.trouble = NetworkError("no")
    due = care.due
    care.look(due)
    care.again().look(due + timedelta(seconds=30))
    assert care.nearby.asked == 1


def test_a_refusal_of_the_authority_is_told_in_its_own_words(care: Care):
    care.nearby.trouble = AuthorityRefused(
        "https://ca.example", 403, "renewal_refused", "it is revoked", "join again"
    )
    care.look(care.due)
    assert "renewal_refused: it is revoked" in care.told[-1][1]
    assert "remedy: join again" in care.told[-1][1]


def test_an_expired_identity_is_told_with_what_to_do_and_nobody_is_asked(care: Care):
    care.look(care.held.not_after + timedelta(seconds=1))
    assert care.nearby.asked == 0
    assert "expired on" in care.told[-1][1]
    assert "join again" in care.told[-1][1]


def test_an_identity_for_servers_only_is_told_at_the_first_look_with_the_profile_that_would_do(
    care: Care, tmp_path: Path
):
    """Its certificate proves nothing to the authority's service (RFC 5280 §4.2.1.12)."""
    directory = tmp_path / "api"
    care.nearby.authority.issue_server("api.acme.example", now=NOW).save(directory)
    care.again(directory=directory).look(NOW)
    assert care.names() == ["not-renewed"]
    assert "is for servers only" in care.told[0][1]
    assert "--profile peer" in care.told[0][1]
    peer = tmp_path / "peer"
    care.nearby.authority.issue_peer("api.acme.example", now=NOW).save(peer)
    care.again(directory=peer).look(NOW)
    assert care.names() == ["not-renewed"]


def test_files_that_cannot_be_used_are_told_and_the_agent_goes_on(care: Care):
    (care.directory / "key.pem").write_text("nonsense")
    care.look(NOW)
    assert care.names() == ["not-renewed"]
    assert care.managed.facts(NOW)["state"] == "unusable"


def test_a_hook_that_fails_is_told_and_tried_again_each_minute_until_it_succeeds(care: Care, tmp_path: Path):
    flag = tmp_path / "flag"
    care.again(hooks=(CommandHook(("ls", str(flag)), care.directory),))
    due = care.due
    care.look(due)
    care.look(due + timedelta(seconds=30))
    assert care.names() == ["renewed", "hook-failed"]
    assert read_state(care.directory).hooks_due
    flag.touch()
    care.again().look(due + timedelta(minutes=2))
    assert not read_state(care.directory).hooks_due
    assert care.nearby.asked == 1


def test_new_roots_are_believed_as_soon_as_the_authority_names_them(care: Care, tmp_path: Path):
    with Authority.create(tmp_path / "next", name="Next", no_passphrase=True, now=NOW) as coming:
        care.nearby.root_list = (care.nearby.authority.root_certificate, coming.root_certificate)
    care.look(NOW)
    assert set(care.held.anchors) == set(care.nearby.root_list)
    assert care.names() == ["trust-changed"]
    care.look(NOW + timedelta(hours=2))
    assert care.names() == ["trust-changed"]


def test_revocation_lists_are_kept_fresh_where_they_are_wanted(care: Care):
    care.look(NOW)
    assert not (care.directory / "crl.pem").exists()
    care.again(crl=True).look(NOW)
    assert len(Credential.load(care.directory, now=NOW).crls) == 2
    care.nearby.authority.revoke(care.nearby.authority.issue_client("other", now=NOW), now=NOW)
    care.look(NOW + timedelta(hours=2))
    assert care.names() == ["crl-changed", "crl-changed"]


def test_a_pkcs12_copy_follows_the_identity(care: Care, tmp_path: Path):
    (tmp_path / "pass").write_text("secret\n")
    care.again(pkcs12=Pkcs12(file=tmp_path / "orders.p12", passphrase_file=tmp_path / "pass"))
    care.look(NOW)
    first = Credential.load(tmp_path / "orders.p12", passphrase="secret", now=NOW)
    assert first.fingerprint == care.held.fingerprint
    care.look(care.due)
    second = Credential.load(tmp_path / "orders.p12", passphrase="secret", now=care.nearby.now)
    assert second.fingerprint == care.held.fingerprint != first.fingerprint
    assert (tmp_path / "orders.p12").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        (lambda place: SignalHook(place / "none.pid"), "No such file"),
        (lambda place: CommandHook(("false",), place), "exit status 1"),
        (lambda place: CommandHook((str(place / "missing"),), place), "No such file"),
        (lambda place: CommandHook(("sh", "-c", "echo why >&2; exit 3"), place), "exit status 3: why"),
    ],
)
def test_a_hook_says_what_went_wrong(tmp_path: Path, hook: Callable[[Path], Any], problem: str):
    with pytest.raises(HookFailed, match=problem) as caught:
        hook(tmp_path).run()
    assert caught.value.remedy


@pytest.mark.parametrize("content", ["1", "0", "-1", "many", ""])
def test_a_pid_file_never_leads_to_everybody_or_to_the_first_process(tmp_path: Path, content: str):
    (tmp_path / "pid").write_text(content)
    with pytest.raises(HookFailed):
        SignalHook(tmp_path / "pid").run()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"failures": "x", "hooks_due": 1}', "\0", '{"failures": 1e400}']
)
def test_a_state_file_that_cannot_be_read_is_no_state(tmp_path: Path, text: str):
    (tmp_path / ".agent.json").write_text(text)
    assert read_state(tmp_path).failures == 0


def test_it_is_renewed_as_soon_as_another_root_signs(care: Care) -> None:
    """The first of the roots is the one that signs now; while that is the old one nothing is renewed."""
    authority, before = care.nearby.authority, care.held
    authority.rotating.advance("root", now=NOW)
    care.look(NOW + timedelta(hours=1))
    assert (len(care.held.anchors), care.held.fingerprint) == (2, before.fingerprint)
    authority.rotating.advance("root", force=True, now=NOW + timedelta(hours=1))
    care.look(NOW + timedelta(hours=2))
    assert care.held.fingerprint != before.fingerprint
    assert care.held.anchors[0] == authority.root_certificate
    care.look(NOW + timedelta(hours=3))
    assert care.names() == ["trust-changed", "trust-changed", "renewed"]
