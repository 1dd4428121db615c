"""CAs for tests, in memory: leaves and revocation lists with whatever is to be wrong about them.

Their keys are made anew each time and nothing is remembered: never take them for anything but tests.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from twoway.credential import Credential, generate_key

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


def digest_for(key: Any) -> hashes.SHA256 | None:
    unhashed = (
        ed25519.Ed25519PrivateKey,
        mldsa.MLDSA44PrivateKey,
        mldsa.MLDSA65PrivateKey,
        mldsa.MLDSA87PrivateKey,
    )
    return None if isinstance(key, unhashed) else hashes.SHA256()


@dataclass
class Issuer:
    """A CA of the tests: a key, a certificate, and what it has above it."""

    key: Any
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...] = ()

    @classmethod
    def root(cls, name: str, key_type: str = "p256", **more: Any) -> Issuer:
        key = more.pop("key", None) or generate_key(key_type)
        return cls(key, make(name, key, None, ca=True, **{"days": 3650, **more}))

    def below(self, name: str, key_type: str = "p256", **more: Any) -> Issuer:
        key = more.pop("key", None) or generate_key(key_type)
        certificate = make(name, key, self, ca=True, **{"path_length": 0, "days": 1000, **more})
        return Issuer(key, certificate, (self.certificate, *self.above))

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """What a leaf of this issuer presents above itself: intermediates without the root."""
        return (self.certificate, *self.above)[:-1] if self.above else ()

    @property
    def anchor(self) -> x509.Certificate:
        return self.above[-1] if self.above else self.certificate

    def leaf(
        self,
        name: str,
        *,
        dns: tuple[str, ...] = (),
        key_type: str = "p256",
        crls: tuple[x509.CertificateRevocationList, ...] = (),
        **more: Any,
    ) -> Credential:
        key = generate_key(key_type)
        certificate = make(name, key, self, **{"dns": dns or (name,), "purpose": "client", **more})
        return Credential(key, (certificate, *self.chain), (self.anchor,), crls)

    def crl(
        self,
        *revoked: x509.Certificate,
        start: float = -1,
        days: float | None = 7,
        extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
        reason: x509.ReasonFlags | None = None,
        key: Any = None,
    ) -> x509.CertificateRevocationList:
        signer = key or self.key
        entries = []
        for certificate in revoked:
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(NOW - dt.timedelta(hours=1))
            )
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), False)
            entries.append(entry.build())
        builder = x509.CertificateRevocationListBuilder(
            self.certificate.subject,
            NOW + dt.timedelta(days=start),
            NOW + dt.timedelta(days=7 if days is None else days),
            [],
            entries,
        )
        builder = builder.add_extension(x509.CRLNumber(1), False).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer, digest_for(signer))


_PURPOSES = {
    "server": [ExtendedKeyUsageOID.SERVER_AUTH],
    "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
    "peer": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
    "other": [ExtendedKeyUsageOID.CODE_SIGNING],
}


def make(
    name: str,
    key: Any,
    issuer: Issuer | None,
    *,
    ca: bool = False,
    path_length: int | None = None,
    dns: tuple[str, ...] = (),
    uri: tuple[str, ...] = (),
    ip: tuple[str, ...] = (),
    email: tuple[str, ...] = (),
    organization: str | None = None,
    purpose: str = "",
    start: float = -1,
    days: float = 30,
    digest: hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
    without: tuple[str, ...] = (),
    constraints: x509.NameConstraints | None = None,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> x509.Certificate:
    """One certificate; `without` leaves out ski, aki, constraints or usage."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    subject = x509.Name(attributes)
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + dt.timedelta(days=start))
        .not_valid_after(NOW + dt.timedelta(days=days))
    )
    parts: list[tuple[str, x509.ExtensionType, bool]] = [
        ("ski", x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        ("constraints", x509.BasicConstraints(ca, path_length), True),
        ("usage", x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), True),
    ]
    if issuer:
        parts.append(("aki", x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False))
    if purpose:
        parts.append(("purpose", x509.ExtendedKeyUsage(_PURPOSES[purpose]), False))
    names: list[x509.GeneralName] = [x509.DNSName(one) for one in dns]
    names += [x509.UniformResourceIdentifier(one) for one in uri]
    names += [x509.IPAddress(ipaddress.ip_address(one)) for one in ip]
    names += [x509.RFC822Name(one) for one in email]
    if names:
        parts.append(("names", x509.SubjectAlternativeName(names), False))
    if constraints is not None:
        parts.append(("name_constraints", constraints, True))
    for label, extension, critical in parts:
        if label not in without:
            builder = builder.add_extension(extension, critical)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, digest or digest_for(signer))
