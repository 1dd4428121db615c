"""What can be asked of a gateway while it runs, and what one process answers.

{"do": "status"} · {"do": "connections"} · {"do": "cut", "listener": NAME, "number": N, "fingerprint": SHA256} ·
{"do": "reload"} · {"do": "restart"} · {"do": "drain"} · {"do": "ready"} asks the targets first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twoway.gateway.faults import OutlivedLimit

if TYPE_CHECKING:
    from twoway.gateway.running import Gateway

Reply = Callable[[dict[str, Any]], None]
ACTS = ("status", "connections", "cut", "reload", "restart", "drain", "ready")


class Desk(Protocol):
    """Something that answers: a process, or the whole crew of them."""

    def ask(self, request: dict[str, Any], reply: Reply) -> None:
        """Call `reply` once with the answer, now or later; an error is {"error": sentence}."""


class BadRequest(ValueError):
    """A line that is no request; as text it says what was expected."""


def read_request(line: bytes) -> dict[str, Any]:
    """A request of the admin socket; raises BadRequest and nothing else."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict) or not isinstance(request.get("do"), str):
        raise BadRequest('expected one JSON object a line, with a key "do"')
    if request["do"] not in ACTS:
        raise BadRequest(f"there is no {request['do']!r}; there are {', '.join(ACTS)}")
    for key, kind in (("number", int), ("fingerprint", str), ("listener", str)):
        value = request.get(key)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise BadRequest(f"expected {kind.__name__} for {key}, got {value!r}")
    if request["do"] == "cut" and (request.get("number") is None) == (request.get("fingerprint") is None):
        raise BadRequest("cut takes a number or a fingerprint")
    return request


class GatewayDesk:
    """Answers for one process."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def ask(self, request: dict[str, Any], reply: Reply) -> None:
        gateway, act = self._gateway, request["do"]
        if act == "status":
            reply(status(gateway))
        elif act == "connections":
            reply({"connections": [_told(one) for f in gateway.frontends for one in f.connections]})
        elif act == "cut":
            reply({"cut": self._cut(request)})
        elif act == "reload":
            gateway.request_reload(reply, only=request.get("only"))
        elif act == "ready":
            self._probe(reply)
        elif act == "drain":
            gateway.stop(again=False, gentle=bool(request.get("gentle")))
            reply({"drain": "begun"})
        elif act == "cover":
            for frontend, numbers in zip(gateway.frontends, request["sockets"], strict=True):
                frontend.door.cover(numbers)
            reply({"cover": "done"})
        elif act == "ping":
            reply({"pong": os.getpid()})
        else:
            reply({"error": "this gateway runs inside another program, which has to restart it"})

    def _probe(self, reply: Reply) -> None:
        waiting = len(self._gateway.frontends)

        def one() -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                told = status(self._gateway)
                reply({"ready": told["ready"], "draining": told["draining"]})

        for frontend in self._gateway.frontends:
            frontend.backend.probe(one)

    def _cut(self, request: dict[str, Any]) -> int:
        """By number, or every connection of a peer by its fingerprint."""
        cut = 0
        for frontend in self._gateway.frontends:
            if request.get("listener") not in (None, frontend.name):
                continue
            for one in tuple(frontend.connections):
                by_number = request.get("number") is not None and one.number == request["number"]
                by_peer = one.peer is not None and one.peer.fingerprint == request.get("fingerprint")
                if by_number or by_peer:
                    one.cut(OutlivedLimit("cut by the operator"))
                    cut += 1
        return cut


def status(gateway: Gateway) -> dict[str, Any]:
    """The whole process as one JSON object."""
    return {
        "pid": os.getpid(),
        "uptime_seconds": round(gateway.loop.now - gateway.began, 1),
        "draining": gateway.draining,
        "ready": not gateway.draining and all(f.backend.is_ready for f in gateway.frontends),
        "listeners": [frontend.status() for frontend in gateway.frontends],
    }


def _told(connection: Any) -> dict[str, Any]:
    peer, relay, frontend = connection.peer, connection.relay, connection.frontend
    up, down = relay.carried if relay is not None else (0, 0)
    return {
        "listener": frontend.name,
        "number": connection.number,
        "stage": connection.stage,
        "address": connection.told_address,
        "peer": peer.describe() if peer is not None else None,
        "fingerprint": peer.fingerprint if peer is not None else None,
        "tls": peer.tls_version if peer is not None else None,
        "resumed": peer.resumed if peer is not None else None,
        "seconds": round(frontend.loop.now - connection.since, 1),
        "up": up,
        "down": down,
    }
