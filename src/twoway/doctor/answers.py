"""What the answer inside TLS says once both sides are through: denied, misdirected, redirected, another protocol."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from twoway.doctor.codes import found
from twoway.doctor.finding import Finding
from twoway.doctor.observing import Attempt, Target

_MISDIRECTED = 421


def answered(seen: Attempt, target: Target, *, asked: bool) -> Iterator[Finding]:
    """At most one finding about the answer to an accepted connection."""
    if seen.speaks_http2:
        yield _http2(target)
    elif seen.status == _MISDIRECTED:
        yield _misdirected(seen, target)
    elif seen.status in (401, 403) and asked and seen.with_identity:
        yield _denied(seen)
    elif seen.status in range(300, 400):
        yield from _redirected(seen, target)


def _http2(target: Target) -> Finding:
    return found(
        "alpn_mismatch",
        "error",
        "config",
        f"{target} speaks HTTP/2 to a client that offered http/1.1 only: it chose no application protocol, and its "
        "first words are HTTP/2",
        "have the server offer http/1.1 too, or call it with a client of HTTP/2 (ALPN h2)",
        {"expected": "HTTP/1.1", "presented": "an HTTP/2 SETTINGS frame"},
    )


def _misdirected(seen: Attempt, target: Target) -> Finding:
    # RFC 9110 §15.5.20: the server is not able to answer for this name on this connection.
    return found(
        "wrong_virtual_host",
        "error",
        "client",
        f"the server answers HTTP 421 (Misdirected Request): it does not serve {target.name} on this connection; the "
        "server name of the handshake and the Host header lead to different sites",
        "call it by the name of the site (--server-name NAME), or have the server serve that name",
        {"http_status": seen.status, "server_name": target.name},
    )


def _denied(seen: Attempt) -> Finding:
    challenge = seen.header("www-authenticate")
    more = f" and asks for another proof too ({challenge.split()[0]})" if challenge else ""
    return found(
        "not_allowed",
        "error",
        "config",
        f"both sides are proven, and the application answers HTTP {seen.status}{more}",
        "allow this identity in the application (or send what it asks for), or call a path that it may call: --path PATH",
        {"http_status": seen.status, "www_authenticate": challenge},
    )


def _redirected(seen: Attempt, target: Target) -> Iterator[Finding]:
    location = seen.header("location") or ""
    elsewhere = urlsplit(location)
    if not elsewhere.hostname or elsewhere.hostname == target.name.rstrip("."):
        return
    yield found(
        "redirected",
        "info",
        "config",
        f"the server answers HTTP {seen.status} and sends its callers to {elsewhere.hostname}, another origin, where "
        "this identity is not shown unasked",
        f"call {elsewhere.hostname} itself, if that is the service; a login page means that the identity alone is not enough",
        {"http_status": seen.status, "location": location[:200]},
    )
