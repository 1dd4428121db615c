"""What keeps a handshake from beginning: no way there, no TLS there, nothing in common."""

from __future__ import annotations

from collections.abc import Iterator

from twoway.doctor.banners import in_clear
from twoway.doctor.codes import found
from twoway.doctor.finding import Blame, Finding
from twoway.doctor.observing import Attempt, Target, why_unreachable

_NETWORK_REMEDIES = {
    "dns_failure": "check the host name, or give its address; `getent hosts NAME` asks the same question",
    "connection_refused": "start the server, or check the port: nothing listens there",
    "timed_out": "check that no firewall drops the packets between here and there",
    "unreachable": "check the route and the firewall between here and there",
    "connect_failed": "check host, port and network",
}
# An alert to the hello alone: nobody's certificate has been seen yet.
_HELLO_ALERTS: dict[str, tuple[str, Blame, str]] = {
    "protocol_version": (
        "protocol_version_mismatch",
        "server",
        "have the server speak TLS 1.2 or 1.3 (RFC 8996 retired what is older)",
    ),
    "handshake_failure": (
        "cipher_mismatch",
        "server",
        "compare the cipher suites, groups and the type of the server's key with what the client offers",
    ),
    "insufficient_security": ("cipher_mismatch", "server", "compare the cipher suites of both sides"),
    "no_application_protocol": (
        "alpn_mismatch",
        "config",
        "have the server offer http/1.1, or call it with the protocol that it speaks",
    ),
    "unrecognized_name": (
        "wrong_virtual_host",
        "client",
        "call the server by a name that it serves: --server-name NAME",
    ),
    "internal_error": (
        "server_misconfigured",
        "server",
        "look into the server's log: its own key or certificate may not load",
    ),
}


def reached(seen: Attempt, target: Target, underneath: str | None = None) -> Iterator[Finding]:
    """The one reason why no handshake has begun; nothing when one has.

    `underneath` is what a server that hangs up on a ClientHello has understood instead: "PROXY" or "PostgreSQL".
    """
    if seen.unreachable is not None:
        code = why_unreachable(seen.unreachable)
        reason = seen.unreachable.strerror or str(seen.unreachable) or "no answer"
        yield found(
            code,
            "error",
            "network",
            f"no connection to {target}: {reason}",
            _NETWORK_REMEDIES[code],
            {"target": str(target), "reason": reason},
        )
    elif (foreign := seen.foreign) is not None:
        yield in_clear(foreign, target)
    elif seen.facts.answer is None:
        yield _underneath(underneath, seen, target) if underneath else _hello_refused(seen, target)


def _underneath(underneath: str, seen: Attempt, target: Target) -> Finding:
    evidence: dict[str, object] = {"without": seen.ending, "offered": seen.offered}
    if underneath == "PROXY":
        return found(
            "proxy_protocol_expected",
            "error",
            "config",
            f"{target} hangs up on a ClientHello, and answers one behind a PROXY protocol header: it is set up to stand "
            "behind a load balancer",
            "call the load balancer before it, or switch the PROXY protocol off there (nginx: `listen … ssl` without "
            "proxy_protocol; HAProxy: `bind` without accept-proxy)",
            evidence | {"expected": "a PROXY header, then TLS", "presented": "TLS at once"},
        )
    return found(
        "not_tls",
        "error",
        "server",
        f"{target} speaks {underneath}, which begins in clear: it answers its own request for TLS, and no ClientHello",
        "use sslmode=verify-full in the client of PostgreSQL (libpq 17 or later also knows sslnegotiation=direct)",
        evidence | {"protocol": underneath},
    )


def _hello_refused(seen: Attempt, target: Target) -> Finding:
    alert = seen.alert
    if alert is not None:
        code, blame, remedy = _HELLO_ALERTS.get(
            alert, ("handshake_failed", "server", "look into the server's log")
        )
        return found(
            code,
            "error",
            blame,
            f"{target} refuses the hello with the alert {alert}",
            remedy,
            {"alert": alert, "offered": seen.offered, "server_name": target.name},
            also=tuple(
                one
                for one in ("cipher_mismatch", "wrong_virtual_host", "group_mismatch", "key_usage_unfit")
                if one != code
            )
            if alert == "handshake_failure"
            else (),
            # No file is stronger evidence than the server's own word about the name.
            likelihood=1.0 if alert == "unrecognized_name" else None,
        )
    how = {"reset": "resets the connection", "closed": "hangs up", "timeout": "says nothing"}.get(
        seen.ending, "stops"
    )
    code = "timed_out" if seen.ending == "timeout" else "connection_cut"
    return found(
        code,
        "error",
        "network" if code == "timed_out" else "server",
        f"{target} {how} when it gets a ClientHello",
        "check that TLS is on at that port, and that nothing between (proxy, load balancer, firewall) cuts it; "
        "the server's log may say more",
        {"ending": seen.ending, "offered": seen.offered},
        also=("middlebox", "not_tls", "wrong_virtual_host", "proxy_protocol_expected"),
    )
