"""Files judged offline: one side by itself, or both sides, each before the other's eyes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twoway.doctor.algorithms import acceptable, strength
from twoway.doctor.anchors import expired_anchors, no_anchors, trust_slot
from twoway.doctor.case import Case
from twoway.doctor.chain import leads
from twoway.doctor.codes import found
from twoway.doctor.dates import dates, skew
from twoway.doctor.finding import Finding, Report, Verdict
from twoway.doctor.hosts import hosts
from twoway.doctor.judge import reconciled
from twoway.doctor.material import Material, other
from twoway.doctor.order import leaf_first, ordered
from twoway.doctor.purpose import purposes
from twoway.doctor.readable import readable
from twoway.doctor.revocation import own_lists, revocation
from twoway.doctor.strict import strictness
from twoway.trust.reading import first_line

CHECKS: tuple[Callable[[Case], Iterable[Finding]], ...] = (
    leads,
    purposes,
    dates,
    strength,
    strictness,
    hosts,
    revocation,
)
# With one of these nobody can say more from here: another program may see it otherwise.
_UNDECIDED = frozenset(
    {
        "intermediate_as_anchor",
        "missing_intermediate",
        "no_anchors",
        "not_strict",
        "rekeyed_authority",
        "wrong_purpose",
    }
)


def examine(material: Material) -> list[Finding]:
    """What is wrong with one side's files, and with what the other side has shown it; likeliest cause first.

    Never raises. Whether the other side trusts this one's certificate can be told only by `examine_pair`.
    """
    material = readable(material)
    findings = own_faults(material)
    if material.chain:
        findings += _judged(_alone(material))
        if material.request is not None and material.side == "client":
            chain = leaf_first(material.chain, material.key)
            findings += _guarded(material, lambda: acceptable(chain, material.request))  # type: ignore[arg-type]
    if material.presented:
        findings += _judged(_seen(material))
    else:
        findings += _guarded(material, lambda: expired_anchors(material))
        findings += _guarded(
            material,
            lambda: own_lists(material.crls, material.chain, material.side, material.clock),
        )
    everything = (*material.chain, *material.presented, *(material.anchors or ()))
    findings += _guarded(
        material, lambda: skew(material.side, material.clock, material.other_now, everything)
    )
    return _ranked(findings)


def examine_pair(client: Material, server: Material) -> list[Finding]:
    """Both sides' files, each certificate judged by the other side's trust and clock; likeliest cause first."""
    client, server = readable(client), readable(server)
    findings = own_faults(client) + own_faults(server)
    for holder, judge in ((server, client), (client, server)):
        chain = holder.chain or judge.presented
        if chain:
            findings += _judged(_between(holder, judge))
        if judge.anchors is None and chain:
            findings.append(no_anchors(judge, "warning"))
    if client.chain and client.request is not None:
        findings += _demoted_if_trusted(client, server)
    certificates = (*client.chain, *server.chain, *(client.anchors or ()), *(server.anchors or ()))
    findings += _guarded(client, lambda: skew("client", client.clock, server.clock, certificates))
    return _ranked(findings)


def verdict_of(findings: list[Finding]) -> Verdict:
    """Broken with any error; undecided where only another program's habits decide; else healthy."""
    if any(finding.severity == "error" for finding in findings):
        return "broken"
    doubtful = any(f.severity == "warning" and f.code in _UNDECIDED for f in findings)
    return "undecided" if doubtful else "healthy"


def report(target: str, findings: list[Finding]) -> Report:
    """The findings with their verdict, as the command line prints them."""
    return Report.of(target, verdict_of(findings), findings)


def own_faults(material: Material) -> list[Finding]:
    """Faults of loading, the order of the chain, the key, the trust slot: nobody else is needed to see these."""
    findings = list(material.faults)
    side, where = material.side, material.places.chain
    findings += _guarded(material, lambda: ordered(material.chain, side, where, material.key))
    findings += _guarded(material, lambda: trust_slot(material))
    return findings


def _alone(material: Material) -> Case:
    chain = leaf_first(material.chain, material.key)
    return Case(
        material.side,
        chain,
        material.other_now or material.clock,
        hostname=material.hostname if material.side == "server" else None,
        holder_now=material.clock if material.other_now else None,
        strict=material.strict,
        accepted=material.request.authorities if material.request is not None else (),
        holder_anchors=material.anchors or (),
        judge_chain=material.presented,
        nearby=material.nearby,
        chain_at=material.places.chain,
    )


def _seen(material: Material) -> Case:
    """What the other side presented, before this side's trust."""
    return Case(
        other(material.side),
        leaf_first(material.presented),
        material.clock,
        material.anchors,
        material.crls,
        hostname=material.hostname,
        holder_now=material.other_now,
        judge_chain=material.chain,
        chain_at="the chain that it presents",
        anchors_at=material.places.anchors,
        crls_at=material.places.crls,
    )


def _between(holder: Material, judge: Material) -> Case:
    return Case(
        holder.side,
        leaf_first(holder.chain, holder.key) or leaf_first(judge.presented),
        judge.clock,
        judge.anchors,
        judge.crls,
        hostname=(judge.hostname or holder.hostname) if holder.side == "server" else None,
        holder_now=holder.clock if holder.now != judge.now else None,
        strict=holder.strict,
        holder_anchors=holder.anchors or (),
        judge_chain=judge.chain,
        nearby=holder.nearby,
        chain_at=holder.places.chain,
        anchors_at=judge.places.anchors,
        crls_at=judge.places.crls,
    )


def _judged(case: Case) -> list[Finding]:
    findings: list[Finding] = []
    for check in CHECKS:
        findings += _guarded_case(case, check)
    try:
        return reconciled(case, findings)
    except Exception as error:  # noqa: BLE001 - the finer checks have spoken; see _unreadable
        return [*findings, _unreadable(case.holder, error)]


def _demoted_if_trusted(client: Material, server: Material) -> list[Finding]:
    """The recorded request against the client's chain."""
    request, chain = client.request, leaf_first(client.chain, client.key)
    assert request is not None
    return _guarded(server, lambda: acceptable(chain, request))


def _guarded(material: Material, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    try:
        return list(check())
    except Exception as error:  # noqa: BLE001 - see _unreadable
        return [_unreadable(material.side, error)]


def _guarded_case(case: Case, check: Callable[[Case], Iterable[Finding]]) -> list[Finding]:
    try:
        return list(check(case))
    except Exception as error:  # noqa: BLE001 - see _unreadable
        return [_unreadable(case.holder, error)]


def _unreadable(side: str, error: Exception) -> Finding:
    """Whatever a certificate that a stranger made does to a parser is a fact about that certificate."""
    return found(
        "certificate_unreadable",
        "error",
        "client" if side == "client" else "server",
        f"a certificate of the {side} cannot be read: {first_line(error)}",
        "have the certificate issued anew; this one follows no standard (look at it with: openssl x509)",
        {"problem": first_line(error)},
    )


def _ranked(findings: list[Finding]) -> list[Finding]:
    """Errors first, the likeliest first, each once."""
    once = {(one.code, one.blame, one.summary): one for one in reversed(findings)}
    return list(Report.of("", "undecided", list(reversed(once.values()))).findings)
