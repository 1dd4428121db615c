"""From a presented chain to a verified one, or to the reason why not (RFC 5280 §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from datetime import UTC, datetime
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from twoway.credential import describe, key_type_of, names_of
from twoway.names import BadName, is_ip, matches_hostname, parse_dns_name, parse_ip
from twoway.trust import library
from twoway.trust.bundle import Trust
from twoway.trust.diagnosis import untrusted
from twoway.trust.faults import (
    CertificateExpired,
    CertificateNotYetValid,
    HostnameMismatch,
    NoCertificate,
    OutOfBounds,
    WeakAlgorithm,
)
from twoway.trust.reading import check_readable
from twoway.trust.revocation_faults import RevocationUnknown

Purpose = Literal["client", "server"]
Revoked = Literal["good", "unchecked", "warned"]

MAX_CHAIN = 8
MAX_CERTIFICATE = 65536
MAX_RSA_BITS = 8192
MAX_RSA_EXPONENT_BITS = 32
MIN_RSA_BITS = 2048
MIN_EC_BITS = 224

_VERIFIED = object()


@dataclass(frozen=True, slots=True)
class VerifiedChain:
    """A path from a leaf to an anchor that has been verified for a purpose; only verification makes one."""

    certificates: tuple[x509.Certificate, ...]
    purpose: Purpose
    revocation: Revoked
    warnings: tuple[RevocationUnknown, ...] = ()
    proof: InitVar[object] = None

    def __post_init__(self, proof: object) -> None:
        if proof is not _VERIFIED:
            raise TypeError("a VerifiedChain is made by twoway.trust.verify, never by hand")

    @property
    def leaf(self) -> x509.Certificate:
        return self.certificates[0]


def verify(
    chain: Sequence[x509.Certificate],
    trust: Trust,
    *,
    purpose: Purpose,
    hostname: str | None = None,
    now: datetime | None = None,
) -> VerifiedChain:
    """Verify a presented chain (leaf first) for a purpose, at a time; raises a PeerUntrusted with evidence.

    `purpose` is what the certificate is presented as: "client" or "server". Strict rules of RFC 5280 apply,
    as in a handshake of ours; any anchor may end the path. `hostname` is checked for servers when given.
    Bounds on sizes are enforced before any signature is looked at. Not checked: any policy.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    if not chain:
        raise NoCertificate(purpose)
    check_bounds(chain)
    found = library.verify_chain(chain, trust.anchors, purpose, now)
    if isinstance(found, library.Failed):
        raise untrusted(
            found.code, found.depth, chain, trust, purpose=purpose, now=now, certificate=found.certificate
        )
    check_strength(found)
    if hostname is not None:
        check_hostname(found[0], hostname)
    return accept_verified(found, trust, purpose=purpose, now=now)


def accept_verified(
    certificates: Sequence[x509.Certificate], trust: Trust, *, purpose: Purpose, now: datetime
) -> VerifiedChain:
    """Judge the dates and the revocation of a path whose signatures and purpose OpenSSL has verified.

    For the TLS engine, which has OpenSSL verify within the handshake, and for resumed sessions, whose path
    was verified then. Raises CertificateExpired, CertificateNotYetValid, CertificateRevoked and others.
    """
    check_readable(certificates)
    for certificate in certificates:
        if now > certificate.not_valid_after_utc:
            raise CertificateExpired(describe(certificate), certificate.not_valid_after_utc, now)
        if now < certificate.not_valid_before_utc:
            raise CertificateNotYetValid(describe(certificate), certificate.not_valid_before_utc, now)
    return accept_current(certificates, trust, purpose=purpose, now=now)


def accept_current(
    certificates: Sequence[x509.Certificate], trust: Trust, *, purpose: Purpose, now: datetime
) -> VerifiedChain:
    """Judge the revocation of a path that `accept_verified` has accepted before and whose dates hold `now`."""
    doubts = trust.check_revocation(certificates, now)
    state: Revoked = "warned" if doubts else "good" if trust.checks_revocation else "unchecked"
    return VerifiedChain(tuple(certificates), purpose, state, doubts, _VERIFIED)


def accept_asked(verified: VerifiedChain, doubts: Sequence[RevocationUnknown]) -> VerifiedChain:
    """The same path after its authority has been asked about it, with the doubts that were to be let pass."""
    warnings = (*verified.warnings, *doubts)
    state: Revoked = "warned" if warnings else "good"
    return VerifiedChain(verified.certificates, verified.purpose, state, warnings, _VERIFIED)


def check_bounds(chain: Sequence[x509.Certificate]) -> None:
    """Refuse what would cost too much to verify, or cannot be read; raises OutOfBounds, CertificateUnreadable."""
    if len(chain) > MAX_CHAIN:
        raise OutOfBounds("a chain", len(chain), MAX_CHAIN)
    for certificate in chain:
        size = len(certificate.public_bytes(Encoding.DER))
        if size > MAX_CERTIFICATE:
            raise OutOfBounds("a certificate", size, MAX_CERTIFICATE)
    check_readable(chain)
    for certificate in chain:
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey):
            if key.key_size > MAX_RSA_BITS:
                raise OutOfBounds("an RSA key", key.key_size, MAX_RSA_BITS)
            exponent = key.public_numbers().e.bit_length()
            if exponent > MAX_RSA_EXPONENT_BITS:
                raise OutOfBounds("an RSA exponent", exponent, MAX_RSA_EXPONENT_BITS)


def check_strength(path: Sequence[x509.Certificate]) -> None:
    """Refuse keys of less than 112 bits of security and signatures over MD5 or SHA-1; raises WeakAlgorithm.

    As OpenSSL's security level 2 does in a handshake; outside of one it has no such level. An anchor's own
    signature does not count: nobody relies on it.
    """
    for certificate in path:
        key = certificate.public_key()
        weak_rsa = isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS
        weak_ec = isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < MIN_EC_BITS
        if weak_rsa or weak_ec:
            raise WeakAlgorithm(describe(certificate), f"key ({key_type_of(key)})")
    for certificate in path[:-1]:
        digest = certificate.signature_hash_algorithm
        if isinstance(digest, (hashes.MD5, hashes.SHA1)):
            raise WeakAlgorithm(describe(certificate), f"signature ({digest.name})")


def check_hostname(leaf: x509.Certificate, hostname: str) -> None:
    """The certificate covers this host name or address (RFC 9525 §6): SANs only, never the common name.

    Raises HostnameMismatch with the names that the certificate has.
    """
    check_readable((leaf,))
    names = names_of(leaf)
    if is_ip(hostname):
        if parse_ip(hostname) in names.ip:
            return
    else:
        try:
            wanted = parse_dns_name(hostname)
        except BadName:
            raise HostnameMismatch(hostname, (*names.dns, *names.ip)) from None
        if any(matches_hostname(pattern, wanted) for pattern in names.dns):
            return
    raise HostnameMismatch(hostname, (*names.dns, *names.ip))
