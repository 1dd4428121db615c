"""The addresses of ACME's resources, under the name by which a client calls this service."""

from __future__ import annotations

import re

from twoway.enroll.acme.faults import AccountUnknown, Misdirected
from twoway.enroll.call import Call

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?")
_ACCOUNT = re.compile(r"/acme/account/([A-Za-z0-9_-]{1,64})")


def base(call: Call) -> str:
    """`https://HOST[:PORT]` as the client wrote it. Raises Misdirected for a name that is not this service's.

    A request signed for another host is none for us, even if somebody in between has passed it on.
    """
    header = call.request.headers.get("host", "")
    match = _HOST.fullmatch(header)
    if match is None or match[1].strip("[]").lower() not in {
        name.lower() for name in call.service.options.own_names
    }:
        raise Misdirected(f"{header[:64]!r} is no name of this service")
    return f"https://{header}"


def here(call: Call) -> str:
    """The address of this very request, octet for octet, which its signature has to name (RFC 8555 §6.4)."""
    path: bytes = call.request.scope["raw_path"]
    query: bytes = call.request.scope["query_string"]
    return base(call) + (path + (b"?" + query if query else b"")).decode("latin-1")


def account_in(call: Call, kid: str) -> str:
    """The identifier of the account whose address this is. Raises AccountUnknown."""
    start = base(call)
    match = _ACCOUNT.fullmatch(kid.removeprefix(start)) if kid.startswith(start) else None
    if match is None:
        raise AccountUnknown("expected the address of an account of this authority as kid")
    return match[1]


def account(call: Call, identifier: str) -> str:
    return f"{base(call)}/acme/account/{identifier}"


def order(call: Call, identifier: str) -> str:
    return f"{base(call)}/acme/order/{identifier}"


def authorization(call: Call, identifier: str) -> str:
    return f"{base(call)}/acme/authorization/{identifier}"


def challenge(call: Call, identifier: str) -> str:
    return f"{base(call)}/acme/challenge/{identifier}"


def certificate(call: Call, serial: str) -> str:
    return f"{base(call)}/acme/certificate/{serial}"
