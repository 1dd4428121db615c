"""What keeps a handshake from beginning: no way there, no TLS there, nothing in common."""

from __future__ import annotations

from collections.abc import Iterator

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


def reached(seen: Attempt, target: Target) -> Iterator[Finding]:
    """The one reason why no handshake has begun; nothing when one has."""
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
        yield _no_tls(foreign, target)
    elif seen.facts.answer is None:
        yield from _hello_refused(seen, target)


def _no_tls(foreign: bytes, target: Target) -> Finding:
    first = foreign[:60].split(b"\r\n")[0].decode("ascii", "backslashreplace")
    if foreign.startswith(b"HTTP/") or foreign.lstrip()[:1] == b"<":
        return found(
            "plain_http",
            "error",
            "config",
            f"{target} speaks plain HTTP and no TLS",
            "call the port on which the server speaks TLS, or switch TLS on there",
            {"expected": "a TLS record", "presented": first},
        )
    return found(
        "not_tls",
        "error",
        "server",
        f"{target} speaks something that is no TLS",
        "check the port; a protocol that begins in clear (SMTP, PostgreSQL …) needs its own STARTTLS",
        {"expected": "a TLS record", "presented": first},
    )


def _hello_refused(seen: Attempt, target: Target) -> Iterator[Finding]:
    alert = seen.alert
    if alert is not None:
        code, blame, remedy = _HELLO_ALERTS.get(
            alert, ("handshake_failed", "server", "look into the server's log")
        )
        yield found(
            code,
            "error",
            blame,
            f"{target} refuses the hello with the alert {alert}",
            remedy,
            {"alert": alert, "offered": seen.offered, "server_name": target.name},
            also=tuple(
                one for one in ("cipher_mismatch", "wrong_virtual_host", "group_mismatch") if one != code
            )
            if alert == "handshake_failure"
            else (),
        )
        return
    how = {"reset": "resets the connection", "closed": "hangs up", "timeout": "says nothing"}.get(
        seen.ending, "stops"
    )
    code = "timed_out" if seen.ending == "timeout" else "connection_cut"
    yield found(
        code,
        "error",
        "network" if code == "timed_out" else "server",
        f"{target} {how} when it gets a ClientHello",
        "check that TLS is on at that port, and that nothing between (proxy, load balancer, firewall) cuts it; "
        "the server's log may say more",
        {"ending": seen.ending, "offered": seen.offered},
        also=("middlebox", "not_tls", "wrong_virtual_host"),
    )
