"""Whether a server's certificate covers the name that it is called by, and the usual reason why not (RFC 9525)."""

from __future__ import annotations

from collections.abc import Iterator

from twoway.credential import common_name, describe, names_of, printable
from twoway.doctor.case import Case
from twoway.doctor.codes import found
from twoway.doctor.finding import Finding
from twoway.names import BadName, is_ip, parse_dns_name
from twoway.trust import HostnameMismatch, check_hostname


def hosts(case: Case) -> Iterator[Finding]:
    """For servers only: nobody checks a client's names but a policy."""
    if case.holder != "server":
        return
    names = names_of(case.leaf)
    if case.hostname is None:
        if not (names.dns or names.ip):
            yield _no_names(case, "warning")
        return
    try:
        check_hostname(case.leaf, case.hostname)
    except HostnameMismatch:
        yield _mismatch(case, case.hostname)


def _mismatch(case: Case, hostname: str) -> Finding:
    names = names_of(case.leaf)
    called = printable(hostname)
    if not (names.dns or names.ip):
        return _no_names(case, "error")
    evidence: dict[str, object] = {"expected": called, "presented": [*names.dns, *names.ip]}
    shown = ", ".join(printable(name) for name in (*names.dns, *names.ip)[:8])
    remedy = f"call the server by a name of its certificate, or issue one that has {called} too"
    if is_ip(hostname):
        as_dns = hostname in names.dns
        evidence = {
            "expected": f"IP address {called}",
            "presented": [
                *(f"DNS name {printable(one)}" for one in names.dns),
                *(f"IP address {one}" for one in names.ip),
            ],
        }
        why = " (it has the address as a DNS name, which does not count)" if as_dns else ""
        return found(
            "address_not_in_certificate",
            "error",
            "server",
            f"the server is called by the address {called}, and its certificate is for {shown}{why}",
            f"call it by name, or issue a certificate with this address: twoway ca issue server NAME --ip {called}",
            evidence,
            also=("hostname_mismatch",),
        )
    try:
        parse_dns_name(hostname)
    except BadName as error:
        return found("bad_name", "error", "client", str(error), error.remedy, evidence)
    wildcards = [name for name in names.dns if name.startswith("*.") and _near(name[2:], hostname.lower())]
    if wildcards:
        return found(
            "wildcard_mismatch",
            "error",
            "server",
            f"{wildcards[0]} stands for exactly one label and does not cover {called}",
            f"issue a certificate that has {called} itself",
            evidence,
            also=("hostname_mismatch",),
        )
    return found(
        "hostname_mismatch",
        "error",
        "server",
        f"expected a certificate for {called}, got one for {shown}",
        remedy,
        evidence,
        also=("wrong_virtual_host",),
    )


def _near(base: str, hostname: str) -> bool:
    return hostname == base or hostname.endswith(f".{base}")


def _no_names(case: Case, severity: str) -> Finding:
    cn = common_name(case.leaf.subject)
    has = f"only the common name {printable(cn)}" if cn else "no name at all"
    return found(
        "no_subject_alternative_name",
        "error" if severity == "error" else "warning",
        "server",
        f"the server's certificate {describe(case.leaf)} has {has} and no subject alternative name: "
        "no client matches it to a host",
        "issue it anew with its names as subject alternative names: twoway ca issue server NAME --dns NAME",
        {"expected": case.hostname or "a subject alternative name", "presented": cn and f"CN={cn}"},
        also=("hostname_mismatch",),
    )
