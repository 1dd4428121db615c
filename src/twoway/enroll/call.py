"""One endpoint, and one call of it."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from starlette.requests import Request
from starlette.responses import Response

from twoway.enroll.access import Standing
from twoway.enroll.caller import NOBODY, Authenticator, Caller, by_certificate
from twoway.enroll.problem import Problem, as_response

if TYPE_CHECKING:
    from twoway.enroll.service import Service

Port = Literal["tls", "plain"]
BOTH: frozenset[Port] = frozenset({"tls", "plain"})


def _as_it_is(call: Call, response: Response) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One thing that the service answers. Who may call it stands in access.py, under its name."""

    name: str
    methods: tuple[str, ...]
    path: str
    answer: Callable[[Call], Awaitable[Response]]
    ports: frozenset[Port] = frozenset({"tls"})
    authenticate: tuple[Authenticator, ...] = (by_certificate,)
    body_bytes: int = 0
    """The most that is read of a body."""
    body_seconds: float = 10.0
    problem: Callable[[Problem], Response] = as_response
    """How a refusal is written here; ACME has a form of its own."""
    finish: Callable[[Call, Response], None] = _as_it_is
    """Sees every answer before it leaves, refusals too: for headers that all have."""


@dataclass(slots=True)
class Call:
    """One request as the endpoint's code gets it: bounded, read, its caller known and admitted."""

    service: Service
    endpoint: Endpoint
    request: Request
    now: datetime.datetime
    body: bytes = b""
    callers: tuple[Caller, ...] = ()
    caller: Caller = NOBODY
    """The one of `callers` that was let in."""
    admitted_as: Standing = Standing.NOBODY
    id: str = field(default="")
    """Names this call in the answer and in the log."""
