"""Certificates that the library cannot read: refused with a reason, told in the log, and the alert goes out."""

from __future__ import annotations

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.pki import make
from twoway.credential import Credential, generate_key
from twoway.tls import Refusal
from twoway.trust import CertificateUnreadable

from .conftest import BOTH, Pki, Shake

SAN = x509.ObjectIdentifier("2.5.29.17")
# GeneralNames with: a URI that is no IA5String; an IP address of three bytes; something that is no name at all.
BROKEN = [b"\x30\x03\x86\x01\xff", b"\x30\x05\x87\x03\x0a\x00\x00", b"\x16\x01a", b"\x30\x80"]


class Presented(Credential):
    """What an attacker presents is not checked by the attacker."""

    def __post_init__(self) -> None:
        pass

    def describe(self) -> str:
        return "an odd one"


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("content", BROKEN)
def test_an_unreadable_name_is_refused_and_can_be_logged(pki: Pki, meet: Shake, content: bytes, version: str):
    key, odd = generate_key("p256"), x509.UnrecognizedExtension(SAN, content)
    leaf = make("odd", key, pki.issuing, purpose="client", extensions=((odd, False),))
    client = Presented(key, (leaf, *pki.issuing.chain))
    outcome = meet(client={"credential": client, "trust": pki.trust}, version=version)
    assert isinstance(outcome.server_error, CertificateUnreadable)
    assert outcome.client_error is not None
    line = json.loads(Refusal.of(outcome.server_error, outcome.server).as_line())
    assert line["code"] == "certificate_unreadable"
    assert line["presented"][0]["fingerprint"] == client.chain[0].fingerprint(hashes.SHA256()).hex()
