"""Identities that can be sealed for, of every kind of key, and one authority for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.pki import Issuer
from twoway.credential import Credential
from twoway.trust import Trust

SEALABLE = ("p256", "p384", "rsa2048")
SIGNING = ("p256", "p384", "rsa2048", "ed25519", "mldsa44")


def usage(*names: str) -> x509.KeyUsage:
    known = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in names for name in known})


def usual_usage(key_type: str) -> x509.KeyUsage:
    more = {"r": ("key_encipherment",), "p": ("key_agreement",)}.get(key_type[0], ())
    return usage("digital_signature", *more)


@dataclass
class Pki:
    """A root, an issuing CA, and identities on demand, each made once."""

    root: Issuer = field(default_factory=lambda: Issuer.root("Acme Root CA"))

    def __post_init__(self) -> None:
        self.issuing = self.root.below("Acme Issuing CA")
        self._made: dict[tuple[str, str], Credential] = {}

    @property
    def trust(self) -> Trust:
        return Trust((self.root.certificate,))

    def identity(self, key_type: str = "p256", name: str = "orders") -> Credential:
        key = (key_type, name)
        if key not in self._made:
            self._made[key] = self.make(name, key_type)
        return self._made[key]

    def make(
        self, name: str, key_type: str = "p256", key_usage: x509.KeyUsage | None = None, **more: Any
    ) -> Credential:
        extensions = ((key_usage or usual_usage(key_type), True),)
        return self.issuing.leaf(name, key_type=key_type, without=("usage",), extensions=extensions, **more)


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


@pytest.fixture
def place(pki: Pki, tmp_path: Path) -> Path:
    """A directory with the identities `orders` (p256) and `partner` (rsa2048), and `ca.pem`."""
    pki.identity("p256", "orders").save(tmp_path / "orders")
    pki.identity("rsa2048", "partner").save(tmp_path / "partner")
    (tmp_path / "ca.pem").write_bytes((tmp_path / "orders" / "ca.pem").read_bytes())
    return tmp_path
