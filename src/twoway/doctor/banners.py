"""What begins in clear where TLS was expected: which protocol it is, and what it needs before TLS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from twoway.doctor.codes import found
from twoway.doctor.finding import Finding
from twoway.doctor.observing import Target, header_of

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a protocol greets, and how one comes to TLS with it."""

    name: str
    greeting: re.Pattern[bytes]
    way_to_tls: str


_PROTOCOLS = (
    Protocol("SSH", re.compile(rb"SSH-\d"), "SSH is no TLS: call another port"),
    Protocol(
        "SMTP",
        re.compile(rb"220[ -](?=[^\r\n]*(E?SMTP|mail))", re.I),
        "begin with STARTTLS, or call port 465",
    ),
    Protocol("FTP", re.compile(rb"220[ -]"), "begin with AUTH TLS, or call port 990"),
    Protocol("IMAP", re.compile(rb"\* (OK|PREAUTH|BYE)\b", re.I), "begin with STARTTLS, or call port 993"),
    Protocol("POP3", re.compile(rb"\+OK\b"), "begin with STLS, or call port 995"),
    Protocol(
        "MySQL",
        re.compile(rb"..\x00\x00[\x0a\xff]", re.S),
        "switch TLS on in the client of MySQL (--ssl-mode=VERIFY_IDENTITY)",
    ),
    Protocol(
        "PostgreSQL",
        re.compile(rb"E\x00\x00.{2}S|E\x00\x00\x00.SFATAL", re.S),
        "use sslmode=verify-full in the client of PostgreSQL",
    ),
    Protocol("Redis", re.compile(rb"-(ERR|DENIED|NOAUTH)\b"), "give the server tls-port, and call that one"),
    Protocol("memcached", re.compile(rb"(ERROR|CLIENT_ERROR)\b"), "start it with --enable-ssl"),
    Protocol("AMQP", re.compile(rb"AMQP"), "call the port of AMQPS (5671)"),
)


def named(foreign: bytes) -> Protocol | None:
    """The protocol that greets like this, if it is one of those that people meet."""
    return next((one for one in _PROTOCOLS if one.greeting.match(foreign)), None)


def in_clear(foreign: bytes, target: Target) -> Finding:
    """What answered a ClientHello without TLS."""
    first = foreign[:_SHOWN].split(b"\r\n")[0].decode("ascii", "backslashreplace")
    evidence: dict[str, object] = {"expected": "a TLS record", "presented": first}
    if foreign.startswith(b"HTTP/") or foreign.lstrip()[:1] == b"<":
        return _http(foreign, target, evidence)
    protocol = named(foreign)
    what = f"speaks {protocol.name}" if protocol is not None else "speaks something that is no TLS"
    return found(
        "not_tls",
        "error",
        "server",
        f"{target} {what}{', which begins in clear' if protocol is not None else ''}",
        f"check the port; or {protocol.way_to_tls}"
        if protocol is not None
        else "check the port; a protocol that begins in clear needs its own STARTTLS",
        evidence | ({"protocol": protocol.name} if protocol is not None else {}),
    )


def _http(foreign: bytes, target: Target, evidence: dict[str, object]) -> Finding:
    via = (
        header_of(foreign, "via")
        or header_of(foreign, "x-squid-error")
        or header_of(foreign, "proxy-authenticate")
    )
    software = header_of(foreign, "server") or ""
    location = header_of(foreign, "location")
    elsewhere = urlsplit(location or "").hostname
    if via is not None or "squid" in software.lower() or foreign[9:12] == b"407":
        return found(
            "middlebox",
            "error",
            "network",
            f"an HTTP proxy answers at {target}, in clear: it waits for CONNECT, and not for TLS",
            "call the server itself, or reach it through the proxy: HTTPS_PROXY, or --proxy of the client",
            evidence | {"via": via, "server": software or None},
            also=("plain_http", "proxy_refused"),
        )
    if elsewhere is not None and elsewhere not in (target.host, target.name.rstrip(".")):
        return found(
            "middlebox",
            "error",
            "network",
            f"plain HTTP answers at {target} and sends everybody to {elsewhere}: so does a captive portal, or a network "
            "that wants a login first",
            f"log in to the network (open {location} in a browser), or check that host and port are the server's",
            evidence | {"location": location},
            also=("plain_http", "redirected"),
        )
    return found(
        "plain_http",
        "error",
        "config",
        f"{target} speaks plain HTTP and no TLS",
        "call the port on which the server speaks TLS, or switch TLS on there (nginx: `listen PORT ssl`)",
        evidence | ({"location": location} if location else {}),
    )
