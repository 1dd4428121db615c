"""Files and connections weighed against each other: what happened is stronger than what the files make one expect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twoway.doctor import codes_of_chains
from twoway.doctor.codes import found
from twoway.doctor.finding import Finding
from twoway.doctor.unexplained import explains_refusal

if TYPE_CHECKING:
    from twoway.doctor.probe import Observed


# Faults of files stay faults: what was probed with was mended on the way.
_OF_CHAINS = frozenset(row[0] for row in codes_of_chains.ROWS)
_STRANGER = frozenset({"unknown_authority", "wrong_authority_in_trust", "self_signed", "rekeyed_authority"})
_WRONG_TRUST = frozenset({"wrong_authority_in_trust", "rekeyed_authority"})
_RENEWED = frozenset(
    {"certificate_expired", "intermediate_expired", "unknown_authority", "rekeyed_authority"}
)
_OF_LISTS = frozenset(code for code in _OF_CHAINS if code.startswith("crl_"))
# Programs differ on these; the one that matters has decided.
_DOUBTS = frozenset({"missing_intermediate", "unrelated_certificates", "wrong_purpose"})
_OTHERS = ("missing_intermediate", "wrong_authority_in_trust", "certificate_withheld")


def weighed(observed: Observed, live: list[Finding], offline: list[Finding]) -> list[Finding]:
    """All findings: what reality has refuted becomes a warning, what explains a refusal an error."""
    known = [one for one in (observed.known, observed.known12) if one is not None and one.unreachable is None]
    let_in = bool(known) and all(one.let_in for one in known) and observed.asking is not None
    shown_and_refused = any(not one.let_in and one.facts.chains.get("client") for one in known)
    kept = [_weighed(one, let_in=let_in, shown_and_refused=shown_and_refused) for one in offline]
    if any(one.code == "missing_intermediate" and one.severity == "error" for one in kept):
        kept = [one for one in kept if one.code != "unknown_authority" or one.blame != "client"]
        live = [one for one in live if one.code != "unknown_authority"]
    if any(one.code == "middlebox" and one.severity == "error" for one in live):
        # Whoever answers is not the server: what is wrong with its certificate, and that it does not ask, follows.
        kept = [_followed(one) if one.blame != "client" or one.code in _STRANGER else one for one in kept]
        live = [_followed(one) if one.code == "never_asked" else one for one in live]
    kept, live = _not_reloaded(kept, live)
    if any(one.code == "cipher_mismatch" for one in live):
        # In TLS 1.2 a server whose key may not sign has no cipher suite left (RFC 5246 §7.4.2).
        kept = [
            replace(one, severity="error", likelihood=1.0)
            if one.code == "key_usage_unfit" and one.blame == "server"
            else one
            for one in kept
        ]
    explained = {one.code for one in live if one.severity == "error"}
    kept = [one for one in kept if one.severity != "warning" or one.code not in explained]
    if any(one.code in _WRONG_TRUST and one.blame == "server" and one.severity == "error" for one in kept):
        # Both say that the two do not fit, and the files say whose it is.
        kept = [one for one in kept if one.code != "unknown_authority" or one.blame != "client"]
    codes = {one.code for one in kept if one.severity == "error"}
    return kept + [one for one in live if one.code not in codes or one.severity != "error"]


def _followed(one: Finding) -> Finding:
    """An error that another one brings about."""
    return replace(one, severity="warning") if one.severity == "error" else one


def _not_reloaded(kept: list[Finding], live: list[Finding]) -> tuple[list[Finding], list[Finding]]:
    """A fault of the older certificate that is still shown comes from its being shown."""
    late = any(one.severity == "error" and one.blame == "server" and one.code in _RENEWED for one in kept)
    if not late or not any(one.code == "not_reloaded" for one in live):
        return kept, live
    return (
        [_followed(one) if one.code in _RENEWED else one for one in kept],
        [replace(one, severity="error") if one.code == "not_reloaded" else one for one in live],
    )


def _weighed(one: Finding, *, let_in: bool, shown_and_refused: bool) -> Finding:
    if let_in and one.severity == "warning" and one.blame == "client" and one.code in _DOUBTS:
        return replace(one, severity="info")  # the server has looked at it, and takes it
    if let_in and one.code == "not_strict" and one.evidence.get("judged_by") == "server":
        return replace(one, severity="info")  # it is not strict
    if let_in and one.blame == "server" and one.code in _OF_LISTS:
        # It has not kept the client out. That a list of the root is missing matters to those only that want one of all.
        return replace(one, severity="info" if one.code == "crl_missing" else "warning")
    if let_in and one.code == "certificate_revoked" and one.blame == "client":
        return replace(
            one,
            blame="server",
            summary=f"{one.summary}, and the server lets it in: it does not use this list, or has not loaded it since",
            remedy="have the server use the list and reload it (nginx: ssl_crl and nginx -s reload; Go has no setting for "
            "lists: check it in VerifyPeerCertificate)",
        )
    if let_in and one.severity == "error" and one.code in _OF_CHAINS and explains_refusal(one):
        # The server has looked at exactly this and let it in.
        return replace(one, severity="warning", likelihood=one.likelihood * 0.5)
    if shown_and_refused and one.code == "missing_intermediate" and one.blame == "client":
        return replace(one, severity="error", likelihood=0.96)
    if shown_and_refused and one.code == "issuer_not_accepted":
        # It was shown all the same, so it was not withheld: it was not believed.
        summary = one.summary.partition(": a client that follows this")[0]
        return found(
            "unknown_authority", one.severity, one.blame, summary, one.remedy, one.evidence, also=_OTHERS
        )
    return one
