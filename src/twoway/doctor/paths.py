"""How far up a chain leads: the path from a leaf to an anchor, or the place and manner of its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twoway.credential import is_self_issued
from twoway.doctor.names import same_name

# "root": at a self-signed certificate that is no anchor. "gap": the issuer is nowhere. "rekeyed": an anchor
# has the issuer's name and another key; "stale_issuer": a certificate of the chain has. "forged": the issuer
# is there, and its signature does not verify. "identifier": the key identifiers exclude the issuer.
End = Literal["anchor", "root", "gap", "rekeyed", "stale_issuer", "forged", "identifier"]
MAX_PATH = 16
_WEAK = (hashes.MD5, hashes.SHA1)


@dataclass(frozen=True, slots=True)
class Path:
    """Certificates from the leaf upwards, and how it ends; `candidate` is the issuer that did not do."""

    certificates: tuple[x509.Certificate, ...]
    end: End
    candidate: x509.Certificate | None = None

    @property
    def top(self) -> x509.Certificate:
        return self.certificates[-1]

    @property
    def anchored(self) -> bool:
        return self.end == "anchor"


def climb(
    leaf: x509.Certificate,
    presented: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    now: datetime,
) -> Path:
    """Follow issuers by name and signature, anchors first, as OpenSSL does. Nothing else is judged here."""
    path = [leaf]
    while len(path) < MAX_PATH:
        top = path[-1]
        if top in anchors:
            return Path(tuple(path), "anchor")
        named = [c for c in (*anchors, *presented) if same_name(c.subject, top.issuer) and c not in path]
        signers = [c for c in named if signed_by(top, c)]
        fitting = [c for c in signers if identifiers_fit(top, c)]
        if fitting:
            path.append(min(fitting, key=lambda c: (c not in anchors, not _in_time(c, now))))
        elif is_self_issued(top) and signed_by(top, top):
            rekeyed = next((c for c in anchors if same_name(c.subject, top.subject)), None)
            return Path(tuple(path), "rekeyed" if rekeyed else "root", rekeyed)
        elif signers:
            return Path(tuple(path), "identifier", signers[0])
        elif in_trust := next((c for c in named if c in anchors), None):
            return Path(tuple(path), "rekeyed", in_trust)
        elif named:
            # The identifiers tell a changed certificate from a replaced issuer of the same name.
            fits = next((c for c in named if identifiers_fit(top, c)), None)
            return Path(tuple(path), "forged" if fits else "stale_issuer", fits or named[0])
        else:
            return Path(tuple(path), "gap")
    return Path(tuple(path), "gap")


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether this issuer's name and key are the ones that signed."""
    if not same_name(certificate.issuer, issuer.subject):
        return False
    try:
        spelled = certificate.issuer.public_bytes() == issuer.subject.public_bytes()
        if isinstance(certificate.signature_hash_algorithm, _WEAK) or not spelled:
            _verify(certificate, issuer)
        else:
            certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - unknown algorithms and broken keys raise many kinds; none has signed
        return False
    return True


def _verify(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """The signature alone. The library no longer verifies weak ones, nor where one name is written in two ways."""
    digest, key = certificate.signature_hash_algorithm, issuer.public_key()
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    if isinstance(key, rsa.RSAPublicKey) and digest is not None:
        how = certificate.signature_algorithm_parameters
        key.verify(signature, signed, how if isinstance(how, padding.PSS) else padding.PKCS1v15(), digest)
    elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
        key.verify(signature, signed, ec.ECDSA(digest))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, signed)
    else:
        raise InvalidSignature


def identifiers_fit(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the authority key identifier allows the issuer (RFC 5280 §4.2.1.1); what it lacks allows every."""
    wanted, has = authority_key_of(certificate), subject_key_of(issuer)
    if wanted is not None and has is not None and wanted != has:
        return False
    named = authority_serial_of(certificate)
    return named is None or named == (issuer.issuer, issuer.serial_number)


def authority_key_of(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(
            x509.AuthorityKeyIdentifier
        ).value.key_identifier
    except x509.ExtensionNotFound:
        return None


def authority_serial_of(certificate: x509.Certificate) -> tuple[x509.Name, int] | None:
    """The issuer's own issuer and serial number, where the authority key identifier has them."""
    try:
        aki = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None
    names = [one.value for one in aki.authority_cert_issuer or () if isinstance(one, x509.DirectoryName)]
    if len(names) != 1 or aki.authority_cert_serial_number is None:
        return None
    return names[0], aki.authority_cert_serial_number


def subject_key_of(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def same_authority(one: x509.Certificate, two: x509.Certificate) -> bool:
    """Whether two certificates are of one authority: the same name and the same key."""
    return same_name(one.subject, two.subject) and public_bytes(one) == public_bytes(two)


def public_bytes(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _in_time(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
