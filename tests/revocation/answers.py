"""OCSP answers of the tests, with whatever is to be wrong about them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from tests.pki import NOW, Issuer, digest_for, make
from twoway.credential import generate_key

STATUS = {
    "good": ocsp.OCSPCertStatus.GOOD,
    "revoked": ocsp.OCSPCertStatus.REVOKED,
    "unknown": ocsp.OCSPCertStatus.UNKNOWN,
}


def responder_of(issuer: Issuer, name: str = "Responder", *, signing: bool = True, **more: Any) -> Issuer:
    """A delegated responder: a leaf of the issuer with id-kp-OCSPSigning."""
    key = generate_key("p256")
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    extensions = ((usage, False), (x509.OCSPNoCheck(), False)) if signing else ()
    return Issuer(
        key, make(name, key, issuer, extensions=extensions, **more), (issuer.certificate, *issuer.above)
    )


def answer(
    issuer: Issuer,
    certificate: x509.Certificate,
    status: str = "good",
    *,
    start: float = -60,
    seconds: float | None = 3600,
    now: dt.datetime = NOW,
    by: Issuer | None = None,
    with_certificate: bool = True,
    of: x509.Certificate | None = None,
    nonce: bytes | None = None,
    algorithm: hashes.HashAlgorithm | None = None,
    digest: hashes.HashAlgorithm | None = None,
    hashed: bool = False,
) -> bytes:
    """The DER of an answer that is in order, but for what is said otherwise; `start` and `seconds` are from now."""
    revoked = status == "revoked"
    signer = by or issuer
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate,
        issuer=(of or issuer.certificate),
        algorithm=algorithm or hashes.SHA1(),
        cert_status=STATUS[status],
        this_update=now + dt.timedelta(seconds=start),
        next_update=now + dt.timedelta(seconds=seconds) if seconds is not None else None,
        revocation_time=now - dt.timedelta(hours=1) if revoked else None,
        revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
    )
    encoding = ocsp.OCSPResponderEncoding.HASH if hashed else ocsp.OCSPResponderEncoding.NAME
    builder = builder.responder_id(encoding, signer.certificate)
    if by is not None and with_certificate:
        builder = builder.certificates([by.certificate])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    signed = builder.sign(signer.key, digest or digest_for(signer.key))
    return signed.public_bytes(Encoding.DER)


def unsigned(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


def asking_at(url: str) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """The extension by which a certificate names its responder."""
    place = x509.UniformResourceIdentifier(url)
    access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
    return ((x509.AuthorityInformationAccess([access]), False),)


MUST_STAPLE = ((x509.TLSFeature([x509.TLSFeatureType.status_request]), False),)
