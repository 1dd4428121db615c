"""What all connections of one asyncio listener share, and how they are judged again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from twoway.errors import TwowayError
from twoway.tls.aio import TlsConnection
from twoway.tls.generation import LiveServer
from twoway.tls.refusal import Refusal
from twoway.tls.session import Session

log = logging.getLogger("twoway.tls")

_SETTLE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one listener spends on others: seconds and counts."""

    handshake_seconds: float = 10.0
    drain_seconds: float = 1.0
    connections: int = 10_000


class Listener:
    """What all connections of one listener share: the live generation, the limits, and who is told.

    `application` makes the protocol for a proven connection; `refused` is called once for every refusal;
    `connection` makes the connections themselves.
    """

    def __init__(
        self,
        live: LiveServer,
        application: Callable[[Session], asyncio.Protocol],
        *,
        refused: Callable[[Refusal], None] | None = None,
        limits: Limits | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        connection: Callable[[Listener], TlsConnection] = TlsConnection,
    ) -> None:
        self.live, self.application = live, application
        self._connection = connection
        self.refused = refused or _log_refusal
        self.limits = limits or Limits()
        self.loop = loop or asyncio.get_running_loop()
        self.connections: set[TlsConnection] = set()
        self.turned_away = 0
        self._young: set[TlsConnection] = set()

    def __call__(self) -> TlsConnection:
        """The protocol factory for `loop.create_server`."""
        return self._connection(self)

    def look_after(self, connection: TlsConnection) -> None:
        """Have an opened connection settle down soon, if it still lives then: one timer serves all of them."""
        if not self._young:
            self.loop.call_later(_SETTLE_SECONDS, self._settle_down)
        self._young.add(connection)

    def _settle_down(self) -> None:
        young, self._young = self._young, set()
        for connection in young:
            connection.settle_down()

    def abort_handshakes(self) -> None:
        """Drop whoever has not proven anything yet: for a server that stops."""
        for connection in tuple(self.connections):
            if not connection.is_open:
                connection.abort()

    def reauthorize(self) -> int:
        """Judge every open connection by the current generation and cut those it would not admit: how many.

        The same checks as in a handshake, made once for each different chain.
        """
        verdicts: dict[tuple[int, tuple[str, ...]], TwowayError | None] = {}
        cut = 0
        for connection in tuple(self.connections):
            fault = connection.rejudge(self.live.current, verdicts)
            if fault is not None:
                connection.cut(fault)
                cut += 1
        return cut


def _log_refusal(refusal: Refusal) -> None:
    log.warning("%s", refusal.as_line())
