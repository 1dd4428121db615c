"""One-time tokens: what they say, who can make them, and that they are redeemed once."""

from __future__ import annotations

import base64
import datetime
import json
import pickle
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey
from sqlalchemy import select

from tests.authority.conftest import DAY, NOW, MakeAuthority, make_csr
from twoway.authority import Authority, schema
from twoway.authority.guard import Guard
from twoway.authority.refusals import ProfileUnknown, TokenLifetime, TokenRefused, TokenSpent
from twoway.authority.tokens import LEEWAY, MAX_TOKEN, Token, Tokens

STORES = ("sqlite", "postgresql")


def make(authority: Authority, name: str = "orders", **more: Any) -> Token:
    return authority.tokens.make("client", name, **{"actor": "tester", "now": NOW, **more})


def redeem(authority: Authority, token: Token) -> str:
    guard = Guard(within=authority.tokens.redeeming(token, NOW))
    chain = authority.sign(make_csr(), profile="client", names=token.names, now=NOW, guard=guard)
    return f"{chain[0].serial_number:x}"


@pytest.mark.parametrize("key_type", ["p256", "p384", "rsa2048", "ed25519", "mldsa44"])
def test_a_token_says_again_what_it_was_made_for(make_authority: MakeAuthority, key_type: str) -> None:
    """Under any kind of CA key; by another process, which derives the same key."""
    authority = make_authority(key_type=key_type)
    made = make(authority, uri=["spiffe://acme.example/orders"], days=2.5)
    with Authority.open(authority.directory) as other:
        assert other.tokens.read(made.text, audience="enroll", now=NOW) == made
    assert (made.common_name, made.names.uri, made.days) == ("orders", ("spiffe://acme.example/orders",), 2.5)


def test_making_one_is_told_to_the_audit_log_and_the_token_itself_is_not(authority: Authority) -> None:
    made = make(authority)
    row = list(authority.audit())[-1]
    assert (row.act, row.actor, row.subject) == ("token", "tester", made.id)
    assert made.text.split(".")[2] not in row.detail
    assert made.text not in repr(made)


def test_a_token_is_redeemed_once(authority: Authority) -> None:
    made = make(authority)
    serial = redeem(authority, made)
    with pytest.raises(TokenSpent) as spent:
        redeem(authority, made)
    assert spent.value.args == (made.id, serial)
    assert len(authority.list()) == 1


def test_redeemed_200_times_at_once_it_yields_one_certificate(authority: Authority) -> None:
    """SPIRE 1.14.6 gave a certificate to each of two: here the question and the answer are one transaction."""
    made, barrier = make(authority), threading.Barrier(200)
    answers: list[str] = []

    def attempt() -> None:
        barrier.wait()
        try:
            answers.append(redeem(authority, made))
        except TokenSpent as spent:
            answers.append(spent.code)

    threads = [threading.Thread(target=attempt) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count("token_spent") == 199
    assert [record.serial for record in authority.list()] == [
        each for each in answers if each != "token_spent"
    ]
    authority.verify_audit()


def test_a_certificate_that_does_not_come_to_be_leaves_its_token_good(authority: Authority) -> None:
    made = make(authority)
    guard = Guard(within=authority.tokens.redeeming(made, NOW))
    with pytest.raises(ProfileUnknown):
        authority.sign(make_csr(), profile="nothing", now=NOW, guard=guard)
    assert redeem(authority, made)


@pytest.mark.parametrize(
    ("audience", "later", "why"),
    [
        ("est", datetime.timedelta(), "it was made for enroll, and this is est"),
        ("enroll", datetime.timedelta(hours=1) + 2 * LEEWAY, "its time was over"),
    ],
)
def test_a_token_is_good_at_one_kind_of_endpoint_and_for_its_time(
    authority: Authority, audience: str, later: datetime.timedelta, why: str
) -> None:
    """CVE-2025-44005: a token for one kind of endpoint was taken at another."""
    with pytest.raises(TokenRefused, match=why):
        authority.tokens.read(make(authority).text, audience=audience, now=NOW + later)


def test_a_token_of_another_authority_is_refused(make_authority: MakeAuthority) -> None:
    with pytest.raises(TokenRefused, match="does not issue here"):
        make_authority("a").tokens.read(make(make_authority("b")).text, audience="enroll", now=NOW)


def test_a_token_of_a_revoked_ca_is_refused_and_of_a_replaced_one_is_not(authority: Authority) -> None:
    made = make(authority)
    authority.root_key.renew_issuing(new_key=True, now=NOW)
    assert authority.tokens.read(made.text, audience="enroll", now=NOW) == made
    later = make(authority)
    authority.root_key.revoke_issuing(now=NOW)
    with pytest.raises(TokenRefused, match="does not issue here"):
        authority.tokens.read(later.text, audience="enroll", now=NOW)


def forged(text: str, *, key: bytes = b"k" * 32, claims: dict[str, Any] | None = None, **header: Any) -> str:
    """The same token with other content, under a key of the forger's."""
    head, payload, _ = text.split(".")
    old_head, old_claims = (json.loads(base64.urlsafe_b64decode(each + "==")) for each in (head, payload))
    return jws.serialize_compact(
        {**old_head, **header},
        json.dumps({**old_claims, **(claims or {})}),
        OctKey.import_key(key),
        ["HS256"],
    )


def test_a_forged_token_is_refused(authority: Authority) -> None:
    """Other content, another key, no signature, another type, a key of the forger's own."""
    text = make(authority).text
    head, payload, signature = text.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"twoway-token+jws"}').rstrip(b"=").decode()
    for bad in (
        forged(text),
        forged(text, claims={"cn": "admin"}),
        forged(text, kid="00"),
        forged(text, jwk={"kty": "oct", "k": "a2tr"}),
        f"{none}.{payload}.",
        f"{head}.{payload}.",
        f"{head}.{payload[:-4]}AAAA.{signature}",
        f"{head}.{payload}",
        "",
        "..",
        "x" * MAX_TOKEN,
        "[" * 5000,
    ):
        with pytest.raises(TokenRefused):
            authority.tokens.read(bad, audience="enroll", now=NOW)


def test_a_token_that_is_too_long_is_not_even_parsed(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jws, "deserialize_compact", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(TokenRefused, match="more than the 8,192"):
        authority.tokens.read("x" * (MAX_TOKEN + 1), audience="enroll", now=NOW)


def test_only_the_own_key_and_type_count_even_with_the_right_content(authority: Authority) -> None:
    """Something else that the same key might sign one day never passes for a token."""
    made = make(authority)
    tokens = authority.tokens
    key = tokens._key(authority.cas.issuing)
    other = forged(made.text, key=key.raw_value, typ="JWT")
    with pytest.raises(TokenRefused, match="another type"):
        tokens.read(other, audience="enroll", now=NOW)


@pytest.mark.parametrize("lifetime", [datetime.timedelta(), -DAY, 31 * DAY])
def test_a_token_lives_for_a_time_that_makes_sense(
    authority: Authority, lifetime: datetime.timedelta
) -> None:
    with pytest.raises(TokenLifetime) as refused:
        make(authority, lifetime=lifetime)
    assert refused.value.asked == lifetime
    assert pickle.loads(pickle.dumps(refused.value)).args == refused.value.args


def test_redemptions_are_forgotten_when_their_tokens_time_is_long_over(authority: Authority) -> None:
    redeem(authority, make(authority))

    def left() -> int:
        with authority.store.read() as connection:
            return len(connection.execute(select(schema.redemptions)).all())

    authority.tokens.forget(NOW + DAY)
    assert left() == 1
    authority.tokens.forget(NOW + 2 * DAY)
    assert left() == 0


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Authority.create(
        tmp_path_factory.mktemp("tokens") / "pki", name="Acme", no_passphrase=True, now=NOW
    ) as authority:
        yield authority.tokens, make(authority).text


@given(data=st.data())
def test_a_token_with_any_character_changed_is_refused(
    tokens: tuple[Tokens, str], data: st.DataObject
) -> None:
    """A law: what was changed is refused as a token, and never as anything else."""
    reader, text = tokens
    at = data.draw(st.integers(0, len(text) - 2))  # the last character has bits that mean nothing
    character = data.draw(st.characters(max_codepoint=0x17F).filter(lambda c: c != text[at]))
    with pytest.raises(TokenRefused):
        reader.read(text[:at] + character + text[at + 1 :], audience="enroll", now=NOW)
