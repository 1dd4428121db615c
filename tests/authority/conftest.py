"""An authority to test with, at a moment that every test knows."""

from __future__ import annotations

import datetime
import ipaddress
import json
import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from twoway.authority import Authority
from twoway.authority.signing import signature_hash
from twoway.credential import PrivateKey, generate_key
from twoway.errors import TwowayError

NOW = datetime.datetime(2026, 6, 1, 12, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)

MakeAuthority = Callable[..., Authority]


@pytest.fixture
def make_authority(
    tmp_path: Path, store_kind: str, request: pytest.FixtureRequest
) -> Iterator[MakeAuthority]:
    """Make authorities below the test's directory; they are closed at its end."""
    made: list[Authority] = []

    def make(where: str = "pki", **options: object) -> Authority:
        options = {"name": "Acme", "now": NOW, "no_passphrase": True} | options
        if store_kind == "postgresql":
            options["store"] = request.getfixturevalue("postgres").fresh()
        made.append(Authority.create(tmp_path / where, **options))
        return made[-1]

    yield make
    for authority in made:
        authority.close()


@pytest.fixture
def authority(make_authority: MakeAuthority) -> Authority:
    return make_authority()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)


def make_csr(
    common_name: str | None = "orders",
    *,
    key: PrivateKey | None = None,
    dns: tuple[str, ...] = (),
    ip: tuple[str, ...] = (),
    others: tuple[x509.GeneralName, ...] = (),
    extensions: tuple[x509.ExtensionType, ...] = (),
    subject: x509.Name | None = None,
) -> bytes:
    """A signing request in PEM, with whatever somebody might ask for."""
    key = key or generate_key()
    if subject is None:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    names = [
        *(x509.DNSName(name) for name in dns),
        *(x509.IPAddress(ipaddress.ip_address(name)) for name in ip),
        *others,
    ]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, signature_hash(key)).public_bytes(Encoding.PEM)


def extension(
    certificate: x509.Certificate, kind: type[x509.ExtensionType]
) -> x509.Extension[x509.ExtensionType]:
    """The extension of that kind; fails the test if it is not there."""
    return certificate.extensions.get_extension_for_class(kind)


def check_told(error: TwowayError) -> None:
    """Every error of ours says what, has its facts, and survives pickling."""
    assert str(error)
    assert "Traceback" not in str(error)
    json.dumps(error.evidence)
    assert pickle.loads(pickle.dumps(error)).args == error.args
