"""Stapled OCSP answers (RFC 6066 §8): a server shows one, a client asks for one and judges what comes.

Both callbacks run within the handshake: a client's before it shows its own certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twoway.credential import describe
from twoway.tls import library
from twoway.tls.judge import handshakes, on_info
from twoway.tls.library import ffi, lib
from twoway.trust import OcspUnavailable, OcspUnusable, StapleMissing
from twoway.trust.ocsp import judge_answer, must_staple
from twoway.trust.verification import accept_asked

if TYPE_CHECKING:
    from twoway.tls.session import Session

_SENT, _NONE = 0, 3  # SSL_TLSEXT_ERR_OK, SSL_TLSEXT_ERR_NOACK: for a server
_SATISFACTORY, _UNSATISFACTORY = 1, 0  # for a client; the alert is bad_certificate_status_response
_SOURCE = "the stapled answer"


@ffi.callback("int(SSL *, void *)", error=_NONE)
def on_asked(ssl: Any, _: Any) -> int:
    """The client has asked for an answer: show what there is, or nothing."""
    session = handshakes.get(ssl)
    settings = session.context.settings if session is not None else None
    staple = getattr(settings, "staple", None)
    if staple is None or settings is None or settings.credential is None:
        return _NONE
    answer: bytes | None = staple(settings.credential.chain[0])
    if not answer:
        return _NONE
    place = lib.OPENSSL_malloc(len(answer))  # OpenSSL frees it with the connection
    if place == library.NULL:
        return _NONE
    ffi.buffer(place, len(answer))[:] = answer
    lib.SSL_set_tlsext_status_ocsp_resp(ssl, place, len(answer))
    return _SENT


@ffi.callback("int(SSL *, void *)", error=-1)
def on_staple(ssl: Any, _: Any) -> int:
    """The server has shown its certificate, with an answer or without; called in every full handshake."""
    session = handshakes.get(ssl)
    if session is None:
        return -1
    if lib.SSL_session_reused(ssl):
        return _SATISFACTORY  # no certificate, no answer; what was shown then is judged when it is complete
    try:
        check_staple(session, _shown(ssl))
    except BaseException as fault:  # noqa: BLE001 - nothing may pass through C code; the session re-raises it
        session.failure = fault
        lib.SSL_set_info_callback(ssl, on_info)
        return _UNSATISFACTORY
    return _SATISFACTORY


def check_staple(session: Session, shown: bytes | None) -> None:
    """Judge what was stapled to a certificate that has been verified, then ask what else is to be asked.

    RFC 6066 §8: an answer that comes is checked, and one that does not satisfy ends the handshake. Raises
    CertificateRevoked, StapleMissing, and the other reasons of `judge_answer`.
    """
    context, verified = session.context, session._verified
    assert verified is not None
    assert context.trust is not None
    leaf, now = verified.leaf, context.now()
    if shown is None:
        if must_staple(leaf):
            raise StapleMissing(describe(leaf))
    elif len(verified.certificates) > 1:
        issuer = verified.certificates[1]
        try:
            answer = judge_answer(
                shown, leaf, issuer, now=now, source=_SOURCE, lists=context.trust.revocation
            )
        except OcspUnavailable as fault:
            raise OcspUnusable(describe(leaf), _SOURCE, fault.reason) from None
        answer.check(leaf)
        if context.inquiry is not None:
            context.inquiry.remember(leaf, answer, now)
        verified = accept_asked(verified, ())
    session._verified = context.inquire(verified)


def _shown(ssl: Any) -> bytes | None:
    place = ffi.new("const unsigned char **")
    length = lib.SSL_get_tlsext_status_ocsp_resp(ssl, place)
    if length <= 0 or place[0] == library.NULL:
        return None
    return bytes(ffi.buffer(place[0], length))
