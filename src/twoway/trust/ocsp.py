"""OCSP: a question about one certificate, and what an answer proves (RFC 6960). Bytes in, facts out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, SignatureAlgorithmOID

from twoway.credential import describe, display_name
from twoway.errors import TwowayError
from twoway.trust.crl_entries import REASONS
from twoway.trust.reading import first_line
from twoway.trust.revocation import Revocation
from twoway.trust.revocation_faults import (
    CertificateRevoked,
    OcspStale,
    OcspUnavailable,
    OcspUnknown,
    OcspUnusable,
    RevocationUnknown,
)

MAX_ANSWER = 65536
SKEW = timedelta(minutes=5)  # how far the responder's clock and ours may be apart
# RFC 6960 §4.2.2.1: without nextUpdate newer information is always there, so an old answer is worth nothing.
ENDLESS = timedelta(minutes=10)
NONCE_BYTES = 32  # RFC 9654 §2.1
_MAX_CERTIFICATES = 8
_HASHES = (hashes.SHA1, hashes.SHA224, hashes.SHA256, hashes.SHA384, hashes.SHA512)
_MLDSA = (mldsa.MLDSA44PublicKey, mldsa.MLDSA65PublicKey, mldsa.MLDSA87PublicKey)
_UNSIGNED = {
    ocsp.OCSPResponseStatus.MALFORMED_REQUEST: "it did not understand the question (malformedRequest)",
    ocsp.OCSPResponseStatus.INTERNAL_ERROR: "it failed (internalError)",
    ocsp.OCSPResponseStatus.TRY_LATER: "it is busy (tryLater)",
    ocsp.OCSPResponseStatus.SIG_REQUIRED: "it wants signed questions (sigRequired)",
    ocsp.OCSPResponseStatus.UNAUTHORIZED: "it does not answer for this certificate (unauthorized)",
}

Status = Literal["good", "revoked", "unknown"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an authority has signed about one certificate; `judge_answer` makes it. Times are UTC."""

    status: Status
    this_update: datetime
    until: datetime
    source: str
    revoked_at: datetime | None = None
    reason: str = "unspecified"

    def check(self, certificate: x509.Certificate) -> None:
        """Raises CertificateRevoked or OcspUnknown; nothing where the answer is good."""
        serial = f"{certificate.serial_number:x}"
        if self.status == "revoked":
            raise CertificateRevoked(describe(certificate), serial, self.revoked_at, self.reason)
        if self.status == "unknown":
            raise OcspUnknown(describe(certificate), serial, self.source)


def question(certificate: x509.Certificate, issuer: x509.Certificate, *, nonce: bytes | None = None) -> bytes:
    """The DER of a request about one certificate.

    The CertID is hashed with SHA-1, which names and protects nothing and is what every responder takes (RFC 6960 §4.3).
    """
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    return builder.build().public_bytes(Encoding.DER)


def responders_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The responders that a certificate names (RFC 5280 §4.2.2.1)."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        one.access_location.value
        for one in access
        if one.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(one.access_location, x509.UniformResourceIdentifier)
    )


def must_staple(certificate: x509.Certificate) -> bool:
    """Whether a server may show this certificate only with an answer of its authority (RFC 7633)."""
    try:
        features = certificate.extensions.get_extension_for_class(x509.TLSFeature).value
    except x509.ExtensionNotFound:
        return False
    return x509.TLSFeatureType.status_request in features


def judge_answer(
    data: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    *,
    now: datetime,
    source: str = "the OCSP answer",
    nonce: bytes | None = None,
    nonce_required: bool = False,
    lists: Revocation | None = None,
) -> Answer:
    """What `data` (DER) proves about the certificate at `now` (RFC 6960 §3.2): any bytes give an Answer or a typed error.

    It must be signed by the issuer, or by a responder that the issuer itself has authorized and that is valid now and
    on none of `lists`; be about this certificate; be current, within SKEW; and repeat the nonce, if it has one or one
    is required. Raises OcspUnavailable where the responder says, unsigned, that it has no answer, OcspStale, and
    OcspUnusable with the reason. Not checked: critical extensions of single answers in a message with several.
    """
    subject = describe(certificate)
    if len(data) > MAX_ANSWER:
        raise OcspUnusable(subject, source, f"it has {len(data)} bytes, more than {MAX_ANSWER}")
    try:
        response = ocsp.load_der_ocsp_response(data)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise OcspUnavailable(subject, f"{source} is no answer: {_UNSIGNED[response.response_status]}")
        _check_extensions(response)
        _check_signer(response, issuer, now, lists)
        _check_nonce(response, nonce, nonce_required)
        return _answer(response, certificate, issuer, now, source)
    except _Unusable as error:
        raise OcspUnusable(subject, source, str(error)) from None
    except TwowayError:
        raise
    except Exception as error:  # noqa: BLE001 - the parser raises many kinds; all mean the same here
        raise OcspUnusable(subject, source, f"it does not decode: {first_line(error)}") from None


class _Unusable(Exception):
    """Why an answer proves nothing; stays within this module."""


def _check_extensions(response: ocsp.OCSPResponse) -> None:
    known = (x509.OCSPNonce,)
    for extension in response.extensions:
        if extension.critical and not isinstance(extension.value, known):
            raise _Unusable(
                f"it has a critical extension that is not understood ({extension.oid.dotted_string})"
            )
    if len(list(response.responses)) == 1:
        for extension in response.single_extensions:
            if extension.critical:
                raise _Unusable(
                    f"it has a critical extension that is not understood ({extension.oid.dotted_string})"
                )


# -- who signed it -------------------------------------------------------------------------------------


def _check_signer(
    response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime, lists: Revocation | None
) -> None:
    if _is_named(response, issuer) and _verifies(response, issuer.public_key()):
        return
    named = [one for one in response.certificates[:_MAX_CERTIFICATES] if _is_named(response, one)]
    if not named:
        raise _Unusable(
            f"expected it from {display_name(issuer.subject)} or a responder of its, it is from {_told(response)}"
            if not _is_named(response, issuer)
            else "its signature does not verify"
        )
    trouble = ""
    for responder in named:
        try:
            _check_authorized(responder, issuer, now, lists)
        except _Unusable as error:
            trouble = str(error)
            continue
        if _verifies(response, responder.public_key()):
            return
        trouble = "its signature does not verify"
    raise _Unusable(trouble)


def _check_authorized(
    responder: x509.Certificate, issuer: x509.Certificate, now: datetime, lists: Revocation | None
) -> None:
    """RFC 6960 §4.2.2.2: issued directly by the authority that is asked about, for signing answers."""
    who = display_name(responder.subject)
    try:
        responder.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - wrong name, wrong key, unknown algorithm: it is not authorized
        raise _Unusable(f"{display_name(issuer.subject)} has not authorized {who}, which signed it") from None
    try:
        usages = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    if ExtendedKeyUsageOID.OCSP_SIGNING not in usages:
        raise _Unusable(f"{who}, which signed it, may not sign answers (no id-kp-OCSPSigning)")
    if not responder.not_valid_before_utc <= now <= responder.not_valid_after_utc:
        raise _Unusable(
            f"the certificate of {who}, which signed it, is valid from {responder.not_valid_before_utc:%Y-%m-%d} "
            f"until {responder.not_valid_after_utc:%Y-%m-%d} only"
        )
    digest = responder.signature_hash_algorithm
    if isinstance(digest, (hashes.MD5, hashes.SHA1)):
        raise _Unusable(f"the certificate of {who}, which signed it, is signed over {digest.name}")
    try:
        if lists is not None:
            lists.check((responder, issuer), now)
    except CertificateRevoked:
        raise _Unusable(f"the certificate of {who}, which signed it, is revoked") from None
    except RevocationUnknown:
        return  # §4.2.2.2.1 leaves it to us: a list that is there counts, one that is not does not


def _is_named(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    """Whether the ResponderID is this certificate's (§4.2.2.3)."""
    if response.responder_name is not None:
        return response.responder_name == certificate.subject
    key = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    return response.responder_key_hash == key


def _told(response: ocsp.OCSPResponse) -> str:
    if response.responder_name is not None:
        return display_name(response.responder_name)
    return f"the key {(response.responder_key_hash or b'').hex()}"


def _verifies(response: ocsp.OCSPResponse, key: Any) -> bool:
    digest = None
    if not isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey, *_MLDSA)):
        digest = response.signature_hash_algorithm
        if digest is None or isinstance(digest, (hashes.MD5, hashes.SHA1)):
            raise _Unusable(f"it is signed over {digest.name if digest else 'no digest'}")
    signature, signed = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
                raise _Unusable("it is signed with RSASSA-PSS, whose parameters cannot be read here")
            key.verify(signature, signed, padding.PKCS1v15(), digest)  # type: ignore[arg-type]
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(digest))  # type: ignore[arg-type]
        else:
            key.verify(signature, signed)
    except _Unusable:
        raise
    except Exception:  # noqa: BLE001 - a wrong signature, or one of another kind of key
        return False
    return True


def _check_nonce(response: ocsp.OCSPResponse, nonce: bytes | None, required: bool) -> None:
    if nonce is None:
        return
    try:
        repeated = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        if required:
            raise _Unusable("it does not repeat the nonce of the question, which is required") from None
        return
    if repeated != nonce:
        raise _Unusable(
            "it repeats another nonce than the question had: it is an old one, or somebody else's"
        )


# -- what it says --------------------------------------------------------------------------------------


def _answer(
    response: ocsp.OCSPResponse,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    now: datetime,
    source: str,
) -> Answer:
    answers = [_of(one, now, source, certificate) for one in _about(response, certificate, issuer)]
    if not answers:
        others = ", ".join(f"{one.serial_number:x}" for one in list(response.responses)[:3])
        raise _Unusable(f"expected it about the serial {certificate.serial_number:x}, it is about {others}")
    # Two answers about one certificate: the worse one counts.
    return min(answers, key=lambda one: ("revoked", "unknown", "good").index(one.status))


def _about(
    response: ocsp.OCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> Iterator[ocsp.OCSPSingleResponse]:
    for one in response.responses:
        if one.serial_number != certificate.serial_number or not isinstance(one.hash_algorithm, _HASHES):
            continue
        asked = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, one.hash_algorithm).build()
        if (one.issuer_name_hash, one.issuer_key_hash) == (asked.issuer_name_hash, asked.issuer_key_hash):
            yield one


def _of(one: ocsp.OCSPSingleResponse, now: datetime, source: str, certificate: x509.Certificate) -> Answer:
    begins = one.this_update_utc
    until = one.next_update_utc or begins + ENDLESS
    if begins > now + SKEW:
        raise _Unusable(f"it holds only from {begins:%Y-%m-%d %H:%M:%S} UTC")
    if until < now - SKEW:
        raise OcspStale(describe(certificate), source, until, now)
    if one.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        reason = one.revocation_reason.value if one.revocation_reason is not None else REASONS[0]
        return Answer("revoked", begins, until, source, one.revocation_time_utc, reason)
    if one.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        return Answer("unknown", begins, until, source)
    return Answer("good", begins, until, source)
