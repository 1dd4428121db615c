"""Whom the server lets in and whom not, and what an alert means beside everything else that is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from twoway.credential import describe, is_self_issued
from twoway.doctor.answers import answered
from twoway.doctor.chain import named_like_its_issuer
from twoway.doctor.codes import found
from twoway.doctor.finding import Finding
from twoway.doctor.material import Material
from twoway.doctor.observing import Attempt
from twoway.doctor.paths import signed_by
from twoway.doctor.telling import accepted, accepted_names
from twoway.doctor.unexplained import confirmed, explains_refusal, unexplained
from twoway.steps import Step

if TYPE_CHECKING:
    from twoway.doctor.probe import Observed


def refused(
    observed: Observed, client: Material, offline: list[Finding], server: Material | None
) -> list[Finding]:
    """What the attempts tell beyond the files; `server` is what is known of that side."""
    if observed.asks_later:
        return [_never_asked(observed, "error")]
    asked = observed.asking is not None
    known = telling(observed)
    if known is not None:
        if not known.let_in and asked and client.chain and is_self_issued(client.chain[0]):
            return [_self_signed(client, known), _refusal(known, "info", "self_signed")]
        return list(_of_known(observed, known, asked, offline, server))
    # An identity that could not be tried is no absence of one: its files say what is wrong with it.
    given = bool(client.chain or client.faults)
    untried = given and any(one.severity == "error" and one.blame != "server" for one in offline)
    return list(_of_nobody(observed, asked, untried=untried))


def _self_signed(client: Material, seen: Attempt) -> Finding:
    leaf = describe(client.chain[0])
    if not signed_by(client.chain[0], client.chain[0]):
        return named_like_its_issuer(client.chain[0], "client", {"expected": accepted_names(seen)})
    return found(
        "self_signed",
        "error",
        "client",
        f"the certificate of {leaf} is signed by itself: no authority speaks for it",
        f"have an authority issue one {accepted(seen)}",
        {"expected": accepted_names(seen) or "a certificate of an authority", "presented": leaf},
        also=("unknown_authority",),
    )


def telling(observed: Observed) -> Attempt | None:
    """The attempt with the identity that says the most: one that was refused, else any."""
    tried = [one for one in (observed.known, observed.known12) if one is not None and one.unreachable is None]
    return next((one for one in tried if not one.let_in), tried[0] if tried else None)


# -- without an identity -----------------------------------------------------------------------------------


def _of_nobody(observed: Observed, asked: bool, *, untried: bool) -> Iterator[Finding]:
    seen = observed.anonymous
    if asked and untried and not seen.let_in:
        yield replace(
            _required(seen),
            severity="info",
            summary="the server requires a client certificate; the identity could not be tried, since its files do not load",
            remedy="mend the files first, and examine again",
        )
    elif asked and not seen.let_in:
        yield _required(seen)
    elif seen.let_in and asked and seen.status in (401, 403):
        yield _required_by_the_application(seen)
    elif seen.let_in and asked:
        yield _optional()
    elif seen.let_in:
        yield _never_asked(observed, "info")
        yield from answered(seen, observed.target, asked=asked)
    elif seen.facts.answer is not None:
        yield from _unasked_refusal(observed, seen)


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
        f"pass --identity DIR with an identity {accepted(seen)}",
        {"alert": seen.alert, "http_status": seen.status, "accepted": accepted_names(seen)},
        also=("refused_at_http",) if at_http else (),
    )


def _required_by_the_application(seen: Attempt) -> Finding:
    return found(
        "certificate_required",
        "error",
        "client",
        f"the server asks for a client certificate, lets in whoever shows none, and answers HTTP {seen.status} then",
        f"pass --identity DIR with an identity {accepted(seen)}",
        {"http_status": seen.status, "accepted": accepted_names(seen)},
        also=("not_allowed", "asked_not_required"),
        likelihood=0.8,
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
            "presented": "none, in " + ", ".join(dict.fromkeys(one.offered for one in observed.all)),
        },
        also=("wrong_virtual_host", "post_handshake_authentication", "middlebox"),
    )


def _unasked_refusal(observed: Observed, seen: Attempt) -> Iterator[Finding]:
    if seen.refused_at_http:
        yield replace(
            _never_asked(observed, "error"),
            summary=f"the server answers HTTP {seen.status} for want of a good certificate, and never asks for one",
        )
        return
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
    observed: Observed, seen: Attempt, asked: bool, offline: list[Finding], server: Material | None
) -> Iterator[Finding]:
    if seen.facts.answer is None:
        return  # no handshake has begun: that has been told
    if seen.let_in:
        if not asked:
            yield _never_asked(observed, "error")
        elif observed.anonymous.let_in:
            yield _optional()
        yield from answered(seen, observed.target, asked=asked)
        return
    if not asked:
        yield from _unasked_refusal(observed, seen)
        return
    told = [one for one in offline if one.severity == "error" and explains_refusal(one, server is not None)]
    if not told and (doubt := confirmed(seen, offline)) is not None:
        yield doubt
        told = [doubt]
    if told:
        # A certificate that was shown was not withheld: see weighing.
        because = "unknown_authority" if told[0].code == "issuer_not_accepted" else told[0].code
        yield _refusal(seen, "info", because)  # the files say why; this is only how it was said
        return
    yield from unexplained(seen, server)


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
        {
            "alert": seen.alert,
            "http_status": seen.status,
            "ending": seen.ending if seen.ending != "open" else None,
        },
    )
