"""Laws of everything that reads messages: a changed one is a typed error, and never content."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.message.conftest import Pki
from twoway import message
from twoway.errors import TwowayError

CONTENT = b"order 1223, twelve of them"
PKI = Pki()
IDENTITY = PKI.identity("p256")
SEALED = {
    "jwe": message.seal(CONTENT, to=IDENTITY, trust=PKI.trust),
    "jwe-json": message.seal(CONTENT, to=[IDENTITY, PKI.identity("rsa2048", "partner")], trust=PKI.trust),
    "cms": message.seal(CONTENT, to=IDENTITY, trust=PKI.trust, format="cms"),
    "hpke": message.seal(CONTENT, to=IDENTITY, trust=PKI.trust, format="hpke"),
}
SIGNED = {
    "jws": message.sign(CONTENT, identity=IDENTITY),
    "jws-json": message.sign(CONTENT, identity=[IDENTITY, PKI.identity("ed25519", "auditor")]),
    "cms": message.sign(CONTENT, identity=IDENTITY, format="cms"),
}
few = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def mutated(data: st.DataObject, original: bytes) -> bytes:
    """The message with a byte changed, a piece cut out, doubled or moved."""
    kind = data.draw(st.sampled_from(["flip", "cut", "double", "swap", "truncate", "append"]))
    at = data.draw(st.integers(0, len(original) - 1))
    size = data.draw(st.integers(1, 64))
    if kind == "flip":
        bit = data.draw(st.integers(0, 7))
        return original[:at] + bytes([original[at] ^ 1 << bit]) + original[at + 1 :]
    if kind == "cut":
        return original[:at] + original[at + size :]
    if kind == "double":
        return original[: at + size] + original[at:]
    if kind == "swap":
        return original[at:] + original[:at]
    if kind == "truncate":
        return original[:at]
    return original + data.draw(st.binary(min_size=1, max_size=64))


@pytest.mark.parametrize("name", SEALED)
@few
@given(data=st.data())
def test_a_mutated_sealed_message_is_an_error_or_the_same_content(name: str, data: st.DataObject):
    changed = mutated(data, SEALED[name])
    try:
        assert message.open(changed, identity=IDENTITY).content == CONTENT
    except TwowayError as error:
        assert str(error)
        assert CONTENT.decode() not in str(error)


@pytest.mark.parametrize("name", SIGNED)
@few
@given(data=st.data())
def test_a_mutated_signed_message_is_an_error_or_the_same_content(name: str, data: st.DataObject):
    changed = mutated(data, SIGNED[name])
    try:
        verified = message.verify(changed, trust=PKI.trust)
    except TwowayError as error:
        assert str(error)
    else:
        assert verified.content == CONTENT
        assert verified.signer.fingerprint == IDENTITY.fingerprint


@few
@given(st.binary(max_size=400))
@example(b"")
@example(b"{" * 5000)
@example(b"....")
@example(b"..")
@example(b"0\x80" * 200)
@example(b"twoway\0\1\1")
@example(b"0\x88" + b"\xff" * 8)
def test_anything_at_all_is_an_error_of_ours(noise: bytes):
    with pytest.raises(TwowayError):
        message.open(noise, identity=IDENTITY)
    with pytest.raises(TwowayError):
        message.verify(noise, trust=PKI.trust)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(["ES256"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@few
@given(
    name=st.sampled_from(["protected", "iv", "ciphertext", "tag", "recipients", "unprotected", "aad"]),
    value=JSON,
)
def test_a_member_of_another_type_is_an_error_of_ours(name: str, value: object):
    parsed = json.loads(SEALED["jwe-json"])
    parsed[name] = value
    with contextlib.suppress(TwowayError):
        assert message.open(json.dumps(parsed).encode(), identity=IDENTITY).content == CONTENT
    signed = json.loads(SIGNED["jws-json"])
    signed[{"recipients": "signatures"}.get(name, name)] = value
    with contextlib.suppress(TwowayError):
        message.verify(json.dumps(signed).encode(), trust=PKI.trust)


@pytest.mark.slow
@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_no_single_byte_of_a_cms_message_leads_to_anything_but_an_error_of_ours(mask: int):
    """Every byte in turn: asn1crypto decodes late, and what it then raises must not get out."""
    sealed, signed = SEALED["cms"], message.sign(CONTENT, identity=IDENTITY, format="cms", detached=True)
    for at in range(len(sealed)):
        with contextlib.suppress(TwowayError):
            changed = sealed[:at] + bytes([sealed[at] ^ mask]) + sealed[at + 1 :]
            assert message.open(changed, identity=IDENTITY).content == CONTENT
    for at in range(len(signed)):
        with contextlib.suppress(TwowayError):
            changed = signed[:at] + bytes([signed[at] ^ mask]) + signed[at + 1 :]
            assert message.verify(changed, trust=PKI.trust, content=CONTENT).signer.common_name == "orders"
