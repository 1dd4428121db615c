"""Whom the server lets in and whom not, and what an alert means beside everything else that is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from twoway.credential import describe, display_name, is_self_issued
from twoway.doctor.codes import CODES, found
from twoway.doctor.finding import Finding
from twoway.doctor.material import Material
from twoway.doctor.observing import Attempt
from twoway.explainer.checklist import name_of
from twoway.steps import Step
from twoway.tls.alerts import meanings_of

if TYPE_CHECKING:
    from twoway.doctor.probe import Observed

ON_THE_SERVER = (
    "this cannot be told from here: run on the server: "
    "twoway doctor --files --server-identity DIR --server-trust FILE --identity DIR"
)
_TO_NOBODY = frozenset(
    {"certificate_required", "handshake_failure", "bad_certificate", "certificate_unknown", "decode_error"}
)
# What an alert about a certificate can mean when nothing is wrong with that certificate's own files.
_BEHIND: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "unknown_ca": (
        "unknown_authority",
        "the server does not find a way from this certificate to an authority that it trusts",
        ("rekeyed_authority", "missing_intermediate", "crl_missing", "wrong_authority_in_trust"),
    ),
    "certificate_expired": (
        "crl_stale",
        "the certificates are in date by this clock: a revocation list on the server may have expired, or its clock is wrong",
        ("clock_skew", "certificate_expired", "anchor_expired"),
    ),
    "certificate_revoked": ("certificate_revoked", "the server's revocation list names it", ()),
    "bad_certificate": (
        "refused_unspecific",
        "several faults are told with this alert",
        ("unknown_authority", "certificate_not_yet_valid", "weak_algorithm", "not_strict"),
    ),
    "unsupported_certificate": (
        "wrong_purpose",
        "the server does not accept it for client authentication",
        ("key_usage_unfit", "key_type_not_accepted", "intermediate_wrong_purpose"),
    ),
    "certificate_unknown": (
        "not_allowed",
        "it is likely trusted and not allowed in: a policy, or a rule without an alert of its own",
        ("peer_denied", "unknown_authority", "revocation_unknown", "crl_missing"),
    ),
    "access_denied": (
        "not_allowed",
        "the certificate is good, and the server's policy does not let it in",
        (),
    ),
    "decrypt_error": (
        "key_mismatch",
        "the proof of the key did not verify",
        ("bad_signature", "weak_algorithm"),
    ),
    "internal_error": ("server_misconfigured", "the server failed by itself", ()),
}


def refused(
    observed: Observed, client: Material, offline: list[Finding], *, sees_server: bool
) -> list[Finding]:
    """What the attempts tell beyond the files."""
    if observed.asks_later:
        return [_never_asked(observed, "error")]
    asked = observed.asking is not None
    known = _telling(observed)
    if known is not None:
        findings = list(_of_known(observed, known, asked, offline, sees_server))
        if not known.let_in and asked and client.chain and is_self_issued(client.chain[0]):
            findings.append(_self_signed(client, known))
        return findings
    return list(_of_nobody(observed, asked))


def _self_signed(client: Material, seen: Attempt) -> Finding:
    leaf = describe(client.chain[0])
    return found(
        "self_signed",
        "error",
        "client",
        f"the certificate of {leaf} is signed by itself: no authority speaks for it",
        f"have an authority issue one {_accepted(seen)}",
        {"expected": _names(seen) or "a certificate of an authority", "presented": leaf},
        also=("unknown_authority",),
    )


def _telling(observed: Observed) -> Attempt | None:
    """The attempt with the identity that says the most: one that was refused, else any."""
    tried = [one for one in (observed.known, observed.known12) if one is not None and one.unreachable is None]
    return next((one for one in tried if not one.let_in), tried[0] if tried else None)


# -- without an identity -----------------------------------------------------------------------------------


def _of_nobody(observed: Observed, asked: bool) -> Iterator[Finding]:
    seen = observed.anonymous
    if asked and not seen.let_in:
        yield _required(seen)
    elif seen.let_in and asked:
        yield _optional()
    elif seen.let_in:
        yield _never_asked(observed, "info")
    elif seen.facts.answer is not None:
        yield from _unasked_refusal(seen)


def _required(seen: Attempt) -> Finding:
    at_http = seen.refused_at_http
    how = (
        f"with HTTP {seen.status}"
        if at_http
        else f"with the alert {seen.alert}"
        if seen.alert
        else "by closing the connection"
    )
    return found(
        "certificate_required",
        "error",
        "client",
        f"the server requires a client certificate and got none: it refuses {how}",
        f"pass --identity DIR with an identity {_accepted(seen)}",
        {"alert": seen.alert, "http_status": seen.status, "accepted": _names(seen)},
        also=("refused_at_http",) if at_http else (),
    )


def _optional() -> Finding:
    return found(
        "asked_not_required",
        "info",
        "server",
        "the server asks for a client certificate and lets in whoever shows none",
        "if every caller is to be proven, have the server require one",
    )


def _never_asked(observed: Observed, severity: str) -> Finding:
    if observed.asks_later:
        return found(
            "post_handshake_authentication",
            severity,  # type: ignore[arg-type]
            "server",
            f"the server asks for the certificate only after the handshake, for {observed.target.path}",
            "request the certificate in the handshake, under a server name of its own: most clients do not offer "
            "to be asked later",
            {"expected": "a CertificateRequest in the handshake", "presented": "one after the request"},
            also=("never_asked",),
        )
    if observed.asks_elsewhere:
        name = observed.target.name
        return found(
            "wrong_virtual_host",
            severity,  # type: ignore[arg-type]
            "server",
            f"under the name {name} the server never asks for a client certificate, and without a name it does: "
            "they are two virtual hosts with two settings",
            f"have the virtual host of {name} request client certificates, or call the one that does: --server-name NAME",
            {"expected": f"a CertificateRequest under {name}", "presented": "one only without a server name"},
            also=("never_asked",),
        )
    return found(
        "never_asked",
        severity,  # type: ignore[arg-type]
        "server",
        "the server never asks for a client certificate: this is one-way TLS",
        "have the server request client certificates (nginx: ssl_verify_client on; Python: verify_mode = "
        "CERT_REQUIRED; Node: requestCert and rejectUnauthorized)",
        {
            "expected": "a CertificateRequest",
            "presented": "none, in " + " and ".join(a.offered for a in observed.all),
        },
        also=("wrong_virtual_host", "post_handshake_authentication", "middlebox"),
    )


def _unasked_refusal(seen: Attempt) -> Iterator[Finding]:
    if seen.alert is None and seen.ending == "open":
        return
    said = f"the alert {seen.alert}" if seen.alert else "no alert"
    yield found(
        "handshake_failed",
        "error",
        "server",
        f"the server ended the handshake in step {int(seen.alert_step or Step.SERVER_SHOWS)} with {said}",
        "look into the server's log",
        {"alert": seen.alert, "reason": seen.reason},
    )


# -- with an identity ------------------------------------------------------------------------------------


def _of_known(
    observed: Observed, seen: Attempt, asked: bool, offline: list[Finding], sees_server: bool
) -> Iterator[Finding]:
    if seen.let_in:
        if not asked:
            yield _never_asked(observed, "error")
        elif observed.anonymous.let_in:
            yield _optional()
        if asked and seen.status in (401, 403):
            yield _denied_in_http(seen)
        return
    if not asked:
        yield from _unasked_refusal(seen)
        return
    told = [one for one in offline if one.severity == "error" and explains_refusal(one)]
    if told:
        yield _refusal(seen, "info", told[0].code)  # the files say why; this is only how it was said
        return
    yield from _unexplained(seen, sees_server)


def explains_refusal(one: Finding) -> bool:
    """Whether a fault of the files can be why the server refuses the client: one of what the client presents."""
    row = CODES.get(one.code)
    return one.blame in ("client", "config") and (row is None or row.blame not in ("judge", "server"))


def _refusal(seen: Attempt, severity: str, because: str) -> Finding:
    if seen.refused_at_http:
        code, how = "refused_at_http", f"finishes TLS and then answers HTTP {seen.status}"
    elif seen.alert is not None:
        code, how = "refused_at_tls", f"ends the handshake with the alert {seen.alert}"
    else:
        code, how = "closed_silently", "finishes the handshake and closes without a word"
    return found(
        code,
        severity,  # type: ignore[arg-type]
        "client",
        f"the server {how}, in step {int(seen.alert_step or Step.SERVER_CHECKS)}",
        f"see {because}",
        {"alert": seen.alert, "http_status": seen.status, "ending": seen.ending},
    )


def _unexplained(seen: Attempt, sees_server: bool) -> Iterator[Finding]:
    """Refused, and nothing is wrong with the client's files: join the alert, the step and the request."""
    if seen.alert is None:
        yield _silent(seen)
        return
    code, meaning, also = _BEHIND.get(seen.alert, ("refused_unspecific", meanings_of(seen.alert)[0], ()))
    blame = "client" if code in ("unknown_authority", "certificate_revoked", "key_mismatch") else "server"
    yield found(
        code,
        "error",
        blame if code != "not_allowed" else "config",  # type: ignore[arg-type]
        f"the server refuses this certificate with the alert {seen.alert}: {meaning}",
        "allow this identity in the server's policy, or present another one"
        if code == "not_allowed"
        else "have it issued anew, and find out why it was revoked"
        if code == "certificate_revoked"
        else f"compare with the server's trust and revocation lists; {ON_THE_SERVER}",
        {"alert": seen.alert, "accepted": _names(seen), "presented": _shown(seen)},
        also=also,
        likelihood=0.5,
    )


def _silent(seen: Attempt) -> Finding:
    if seen.refused_at_http:
        return found(
            "refused_at_http",
            "error",
            "client",
            f"TLS succeeds, and the server answers HTTP {seen.status} for the certificate",
            f"the server's error log has the exact reason (nginx: 'client SSL certificate verify error'); {ON_THE_SERVER}",
            {"http_status": seen.status, "accepted": _names(seen), "presented": _shown(seen)},
            also=("unknown_authority", "certificate_revoked", "crl_missing", "missing_intermediate"),
        )
    return found(
        "closed_silently",
        "error",
        "client",
        "the server finishes the handshake and closes without a word: Node and others refuse a certificate so",
        ON_THE_SERVER,
        {"ending": seen.ending, "accepted": _names(seen), "presented": _shown(seen)},
        also=("unknown_authority", "certificate_expired", "wrong_purpose", "middlebox"),
    )


def _denied_in_http(seen: Attempt) -> Finding:
    return found(
        "not_allowed",
        "warning",
        "config",
        f"both sides are proven, and the application answers HTTP {seen.status}",
        "allow this identity in the application, or call a path that it may call",
        {"http_status": seen.status},
    )


def _names(seen: Attempt) -> list[str]:
    return [name_of(der) for der in seen.facts.request.authorities] if seen.facts.request is not None else []


def _accepted(seen: Attempt) -> str:
    names = _names(seen)
    return f"issued by {' or '.join(names)}" if names else "that the server trusts"


def _shown(seen: Attempt) -> list[str]:
    from cryptography import x509

    shown = []
    for der in seen.facts.chains.get("client", ()):
        try:
            one = x509.load_der_x509_certificate(der)
            shown.append(f"{describe(one)}, issued by {display_name(one.issuer)}")
        except Exception:  # noqa: BLE001 - whatever the parser raises means the same here
            shown.append("a certificate that cannot be read")
    return shown
