"""Pins: which spellings are read, what is pinned, and what a mismatch tells."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import pickle

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.pki import Issuer
from twoway.errors import UsageError
from twoway.trust import PinMismatch, Pins

LEAF = Issuer.root("Root").leaf("orders").leaf
OTHER = Issuer.root("Root").leaf("billing").leaf
CERTIFICATE = hashlib.sha256(LEAF.public_bytes(Encoding.DER)).digest()
KEY = hashlib.sha256(LEAF.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


@pytest.mark.parametrize("digest", [CERTIFICATE, KEY])
@pytest.mark.parametrize(
    "spell",
    [
        bytes.hex,
        lambda digest: digest.hex().upper(),
        lambda digest: digest.hex(":"),
        lambda digest: "sha256:" + digest.hex(),
        lambda digest: "SHA256:" + digest.hex(":").upper(),
        lambda digest: "sha256/" + base64.b64encode(digest).decode(),
    ],
)
def test_a_certificate_or_its_key_may_be_pinned_in_every_usual_spelling(digest: bytes, spell):
    pins = Pins.parse(["00" * 32, spell(digest)])
    assert pins is not None
    pins.check(LEAF)


def test_a_mismatch_tells_what_was_expected_and_what_was_presented():
    pins = Pins.parse([CERTIFICATE.hex()])
    assert pins is not None
    with pytest.raises(PinMismatch) as caught:
        pins.check(OTHER)
    fault = caught.value
    assert fault.expected == (CERTIFICATE.hex(),)
    assert fault.certificate == hashlib.sha256(OTHER.public_bytes(Encoding.DER)).hexdigest()
    assert fault.certificate in str(fault)
    assert str(pickle.loads(pickle.dumps(fault))) == str(fault)


def test_no_pin_at_all_is_none():
    assert Pins.parse([]) is None


@pytest.mark.parametrize("text", ["", "sha256:", "ab" * 31, "ab" * 33, "sha1:" + "ab" * 20, "zz" * 32])
def test_what_is_no_digest_is_refused(text: str):
    with pytest.raises(UsageError, match="no SHA-256 of a certificate or key"):
        Pins.parse([text])


@given(st.text())
def test_any_text_is_a_pin_or_a_typed_error(text: str):
    with contextlib.suppress(UsageError):
        Pins.parse([text])
