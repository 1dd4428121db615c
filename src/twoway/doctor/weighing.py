"""Files and connections weighed against each other: what happened is stronger than what the files make one expect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twoway.doctor import codes_of_chains
from twoway.doctor.codes import found
from twoway.doctor.finding import Finding
from twoway.doctor.refusing import explains_refusal

if TYPE_CHECKING:
    from twoway.doctor.probe import Observed


# Faults of files stay faults: what was probed with was mended on the way.
_OF_CHAINS = frozenset(row[0] for row in codes_of_chains.ROWS)
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
    codes = {one.code for one in kept if one.severity == "error"}
    return kept + [one for one in live if one.code not in codes or one.severity != "error"]


def _weighed(one: Finding, *, let_in: bool, shown_and_refused: bool) -> Finding:
    if let_in and one.severity == "error" and one.code in _OF_CHAINS and explains_refusal(one):
        # The server has looked at exactly this and let it in.
        return replace(one, severity="warning", likelihood=one.likelihood * 0.5)
    if shown_and_refused and one.code == "missing_intermediate" and one.blame == "client":
        return replace(one, severity="error", likelihood=0.96)
    if shown_and_refused and one.code == "issuer_not_accepted":
        # It was shown all the same, so it was not withheld: it was not believed.
        return found(
            "unknown_authority", one.severity, one.blame, one.summary, one.remedy, one.evidence, also=_OTHERS
        )
    return one
