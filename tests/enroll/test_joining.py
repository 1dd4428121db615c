"""`twoway agent join`: from a token to an identity, believing nobody but the fingerprint."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import twoway
from tests.conftest import Command
from tests.enroll.conftest import Served
from tests.enroll.test_enrolling import token
from twoway.authority import Authority
from twoway.credential import Credential, fingerprint_of, generate_key
from twoway.enroll import asking
from twoway.enroll.answers import AuthorityRefused, RootMismatch, UnusableAnswer
from twoway.enroll.asking import renewed, root_of
from twoway.enroll.joining import fingerprint_in, join
from twoway.errors import NetworkError, UsageError


def test_a_machine_joins_and_its_identity_works(service: Served, tmp_path: Path) -> None:
    root = fingerprint_of(service.authority.root_certificate)
    made = join(service.url, token(service).text, tmp_path / "orders", fingerprint=root.upper())
    loaded = Credential.load(tmp_path / "orders")
    assert loaded.leaf == made.leaf
    assert (tmp_path / "orders" / "key.pem").stat().st_mode & 0o777 == 0o600
    with twoway.Client(identity=tmp_path / "orders", base_url=service.url) as client:
        assert client.get("/whoami").json()["standings"] == ["identity"]


def test_the_command_line_joins_with_the_token_alone(
    service: Served, tmp_path: Path, run_twoway: Command
) -> None:
    """The token names the root that its authority has."""
    text = run_twoway("ca", "token", "orders", "--ca-dir", service.authority.directory).stdout.strip()
    done = run_twoway("agent", "join", service.url, "--out", tmp_path / "orders", env={"TWOWAY_TOKEN": text})
    assert done.returncode == 0, done.stderr
    assert Credential.load(tmp_path / "orders").describe() == "orders"
    again = run_twoway("agent", "join", service.url, "--token", text, "--out", tmp_path / "again")
    assert again.returncode == 1
    assert "token_spent" in again.stderr
    assert not (tmp_path / "again").exists()


def test_another_authority_at_that_address_is_found_out_and_gets_nothing(
    service: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token goes out only on a connection to whom the fingerprint means."""
    monkeypatch.setattr(asking, "Client", lambda **_: pytest.fail("the token was sent"))
    made = token(service)
    with pytest.raises(RootMismatch) as mismatch:
        join(service.url, made.text, tmp_path / "orders", fingerprint="00" * 32)
    assert mismatch.value.expected == "00" * 32
    assert mismatch.value.presented == (fingerprint_of(service.authority.root_certificate),)
    assert pickle.loads(pickle.dumps(mismatch.value)).args == mismatch.value.args


def test_an_identity_is_never_written_over(service: Served, tmp_path: Path) -> None:
    service.authority.issue_client("orders").save(tmp_path / "orders")
    with pytest.raises(UsageError, match="already holds an identity"):
        join(service.url, token(service).text, tmp_path / "orders")


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.e30.c", "..."])
def test_what_is_no_token_is_told_before_anything_is_sent(text: str) -> None:
    with pytest.raises(UsageError, match="no token"):
        fingerprint_in(text)


@pytest.mark.parametrize("fingerprint", ["", "abc", "g" * 64])
def test_what_is_no_fingerprint_is_told_before_anything_is_sent(fingerprint: str) -> None:
    with pytest.raises(UsageError, match="no fingerprint"):
        root_of("https://localhost:1", fingerprint)


@pytest.mark.parametrize("url", ["http://localhost", "localhost:8443", "https://"])
def test_only_https_is_asked(url: str) -> None:
    with pytest.raises(UsageError, match="no address of an authority"):
        root_of(url, "00" * 32)


def test_nobody_there_is_a_network_error(unused_port: int) -> None:
    with pytest.raises(NetworkError, match="does not answer"):
        root_of(f"https://localhost:{unused_port}", "00" * 32)


def test_an_identity_renews_itself(service: Served) -> None:
    orders = service.authority.issue_client("orders")
    successor = renewed(service.url, orders, generate_key())
    assert successor.names == orders.names
    assert successor.leaf.serial_number != orders.leaf.serial_number


def test_a_refusal_is_told_in_the_authoritys_words(service: Served) -> None:
    orders = service.authority.issue_client("orders")
    service.authority.revoke(orders.leaf)
    with pytest.raises(AuthorityRefused) as refused:
        renewed(service.url, orders, generate_key())
    assert (refused.value.status, refused.value.reason) == (401, "call_credential_refused")
    assert "revoked" in str(refused.value)


def test_an_answer_for_another_key_or_of_another_authority_is_not_used(
    service: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = service.authority.issue_client("orders")
    key = generate_key()
    with Authority.create(tmp_path / "other", name="Acme", no_passphrase=True) as other:
        answers: list[Any] = [
            service.authority.sign(asking.signing_request(generate_key(), "orders"), profile="client"),
            other.sign(asking.signing_request(key, "orders"), profile="client"),
        ]

    class Answer:
        status_code = 201

        def __init__(self, chain: Any) -> None:
            self.content = b"".join(map(twoway.credential.certificate_pem, chain))

    for chain in answers:
        with pytest.raises(UnusableAnswer):
            asking._credential(service.url, Answer(chain), key, orders.anchors)  # type: ignore[arg-type]
