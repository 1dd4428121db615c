"""The certificates of CAs, as builders that wait for a signature; and what leaves have in common with them."""

from __future__ import annotations

import datetime
import functools
import secrets

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from twoway.authority.constraints import Constraints
from twoway.authority.profiles import Profile
from twoway.authority.signing import Signer
from twoway.credential import PublicKey

BACKDATE = datetime.timedelta(minutes=5)  # for clocks that are a little behind

MAX_COMMON_NAME = 64  # RFC 5280 appendix A.1, ub-common-name; in octets, as the strictest readers count


def serial_number() -> int:
    """158 random bits in a positive INTEGER of 20 octets."""
    # RFC 5280 §4.1.2.2: positive and at most 20 octets. The bit above the random ones keeps the length the same.
    return 1 << 158 | secrets.randbits(158)


def ca_subject(organization: str, role: str) -> x509.Name:
    """The subject of a CA: the organisation, and the organisation and the CA's role as its common name."""
    room = MAX_COMMON_NAME - len(role) - 1
    short = organization.encode()[:room].decode(errors="ignore")
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{short} {role}"),
        ]
    )


def ca(
    subject: x509.Name,
    public_key: PublicKey,
    *,
    issuer: Signer | None,
    path_length: int,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    constraints: Constraints,
) -> x509.CertificateBuilder:
    """A CA's certificate; self-signed without `issuer`. It has no EKU, which would also limit the leaves."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(public_key)
        .serial_number(serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        # RFC 5280 §4.2.1.9, §4.2.1.3: both critical in a CA.
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    if issuer:
        builder = builder.add_extension(issuer.key_identifier_extension, critical=False)
    if constraints:
        # RFC 5280 §4.2.1.10: critical.
        builder = builder.add_extension(constraints.extension(), critical=True)
    return builder


def purposes(profile: Profile) -> x509.ExtendedKeyUsage:
    """The extended key usage of a profile's certificates."""
    return _purposes(profile.purpose)


@functools.lru_cache(maxsize=64)
def _purposes(purpose: tuple[str, ...]) -> x509.ExtendedKeyUsage:
    known = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
    return x509.ExtendedKeyUsage([known.get(item) or x509.ObjectIdentifier(item) for item in purpose])


def key_usage(*names: str) -> x509.KeyUsage:
    """The key usage with these bits and no others."""
    bits = dict.fromkeys(_KEY_USAGES, False) | dict.fromkeys(names, True)
    return x509.KeyUsage(**bits)


_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
