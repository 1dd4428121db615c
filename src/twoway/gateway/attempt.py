"""One try to reach one target, as far as a connection that bytes may go over.

connecting -> (the proxy leads us there) -> (handshake: the target has proven its name) -> done, or failed
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from twoway.errors import TwowayError
from twoway.gateway.loop import READ, WRITE, Loop, Timer
from twoway.gateway.proxy_v2 import LOCAL
from twoway.gateway.via import BadProxyAnswer, Dialogue, Via
from twoway.steps import Step
from twoway.tls import ClientContext
from twoway.tls.faults import TimedOut
from twoway.tls.socketed import SocketSession

if TYPE_CHECKING:
    from twoway.gateway.backend import Target
    from twoway.gateway.options import ListenerOptions
    from twoway.gateway.pool import Pool

_RECEIVE = 4096
_WANTING = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)


class Way:
    """What all tries of a listener have in common. `context` and `via` are those of the generation in force."""

    def __init__(
        self,
        options: ListenerOptions,
        context: Callable[[], ClientContext | None],
        via: Callable[[], Via | None] = lambda: None,
        pool: Pool | None = None,
    ) -> None:
        self.context, self.via, self.pool = context, via, pool
        self.seconds = options.bounds.connect_seconds
        self.greeting = (
            LOCAL if options.proxy_protocol else b""
        )  # what a check says where a header is expected
        self._server_name, self._sni = options.server_name, options.sni

    def session(self, target: Target, fd: int) -> SocketSession | None:
        """The TLS to this target, not begun; None for a plain one."""
        context = self.context()
        if context is None:
            return None
        session = SocketSession(
            context,
            fd,
            on_socket=True,
            server_name=self._server_name or target.address.host,
            target=str(target.address),
            ticket=target.tickets.pop() if target.tickets else None,
        )
        if self._sni is not None:
            session.ask_for(self._sni or None)
        return session


class Attempt:
    """Begin with `begin`; then `done(self)` or `failed(self, fault)` is called once, possibly before it returns.

    While it is `done`, `sock` and `session` are its caller's, and `target.open` counts it until `leave`.
    """

    __slots__ = ("_asking", "_dialogue", "_done", "_elsewhere", "_failed", "_left", "_loop", "_rest", "_timer", "_way", "mask", "session", "sock", "target")  # fmt: skip

    def __init__(
        self,
        target: Target,
        way: Way,
        loop: Loop,
        done: Callable[[Attempt], None],
        failed: Callable[[Attempt, BaseException], None],
    ) -> None:
        self.target, self._way, self._loop = target, way, loop
        self._done, self._failed = done, failed
        self.sock: socket.socket | None = None
        self.session: SocketSession | None = None
        self.mask = 0  # as registered with the loop
        self._dialogue: Dialogue | None = None
        self._rest = b""
        self._timer: Timer | None = None
        self._asking = False
        self._left: socket.socket | None = None
        self._elsewhere = len(target.places) - 1  # places of its name that are still to be tried

    def begin(self) -> None:
        target = self.target
        try:
            self.sock, connected = target.connect()
        except OSError as error:
            if self._turns(error):
                self.begin()
            else:
                self._end_timer()
                self._failed(self, self._unreachable(error))
            return
        target.open += 1
        if connected:
            self._connected()
        else:
            self._wait(self._on_connected, WRITE)

    def _turns(self, error: OSError) -> bool:
        """Whether the target's name has another place that is to be tried now."""
        if not self._elsewhere or is_ours(error):
            return False
        self._elsewhere -= 1
        self.target.turn()
        return True

    def leave(self) -> None:
        """Close what was opened, finished or not; nothing is called back. Once is enough, twice does no harm."""
        self._end_timer()
        if self.sock is not None:
            self.target.open -= 1
            if self._asking:  # a thread is at it: its descriptor must not become another connection's
                self._loop.forget(self.sock.fileno())
                self._left = self.sock
            else:
                self._loop.close(self.sock)
            self.sock = self.session = None

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _guard(self) -> None:
        if self._timer is None:
            self._timer = self._loop.later(self._way.seconds, self._late)

    def _wait(self, handler: Callable[[int], None], mask: int) -> None:
        assert self.sock is not None
        self._guard()
        if not self.mask:
            self._loop.watch(self.sock.fileno(), handler, mask)
        else:
            self._loop.rewatch(self.sock.fileno(), handler, mask)
        self.mask = mask

    def _late(self) -> None:
        what = "the connection to the target"
        if self.session is not None:
            what = "the handshake with the target"
        elif self._dialogue is not None:
            what = f"the answer of the proxy {self._way.via()}"
        self._fail(TimedOut(what, self._way.seconds))

    def _fail(self, fault: BaseException) -> None:
        if self.sock is not None:
            self.leave()
            self._failed(self, fault)

    def _succeed(self) -> None:
        context, session = self._way.context(), self.session
        if session is not None and context is not None and session.context is not context:
            # A reload has overtaken this handshake: what it was judged by is no longer in force.
            objection = context.objection(session.peer)
            if objection is not None:
                objection.step = Step.CLIENT_CHECKS
                self._fail(objection)
                return
        self._end_timer()
        self._done(self)

    def _on_connected(self, _: int) -> None:
        assert self.sock is not None
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        error = OSError(code, os.strerror(code).lower())
        if not code:
            self._connected()
        elif self._turns(error):
            self.target.open -= 1
            self._loop.close(self.sock)
            self.sock, self.mask = None, 0
            self.begin()
        else:
            self._fail(self._unreachable(error))

    def _unreachable(self, error: OSError) -> OSError:
        via = self._way.via()
        return (
            OSError(error.errno, f"the proxy {via} is not reached: {said(error)}")
            if via is not None
            else error
        )

    def _connected(self) -> None:
        via = self._way.via()
        if via is None:
            self._handshake()
            return
        self._dialogue = via.dialogue(self.target.address)
        self._rest = self._dialogue.first()
        self._on_proxy(WRITE)

    # -- the proxy -----------------------------------------------------------------------------------

    def _on_proxy(self, events: int) -> None:
        sock, dialogue = self.sock, self._dialogue
        assert sock is not None
        assert dialogue is not None
        try:
            if events != WRITE:
                data = sock.recv(_RECEIVE)
                if not data:
                    raise BadProxyAnswer(str(self._way.via()), "it hung up before it had answered")
                self._rest += dialogue.receive(data)
            if self._rest:
                self._rest = self._rest[sock.send(self._rest) :]
        except BlockingIOError:
            pass
        except Exception as fault:  # noqa: BLE001 - whatever it is, nothing is sent there
            self._fail(fault)
            return
        if dialogue.done:
            self._handshake()
        else:
            self._wait(self._on_proxy, WRITE if self._rest else READ)

    # -- TLS to the target ---------------------------------------------------------------------------

    def _handshake(self) -> None:
        assert self.sock is not None
        try:
            self.session = self._way.session(self.target, self.sock.fileno())
        except Exception as fault:  # noqa: BLE001 - as above
            self._fail(fault)
            return
        if self.session is None:
            self._ignore()
            self._succeed()
        else:
            self._on_handshake(0)

    def _ignore(self) -> None:
        """Listen to nothing until the next `_wait`."""
        if self.mask and self.sock is not None:
            self._loop.forget(self.sock.fileno())
            self.mask = 0

    def _on_handshake(self, _: int) -> None:
        session, pool = self.session, self._way.pool
        assert session is not None
        if pool is not None:  # the session is the thread's until it is done
            self._ignore()
            self._guard()
            self._asking = True
            pool.run(session.advance, self._asked)
            return
        try:
            complete = session.advance()
        except Exception as fault:  # noqa: BLE001 - as above
            self._fail(fault)
            return
        self._advanced(complete)

    def _asked(self, outcome: bool | BaseException) -> None:
        """What an authority was asked about within the handshake is answered, or it was not asked at all."""
        self._asking = False
        if self._left is not None:
            self._loop.close(self._left)
            self._left = None
        elif isinstance(outcome, BaseException):
            self._fail(outcome)
        else:
            self._advanced(outcome)

    def _advanced(self, complete: bool) -> None:
        session = self.session
        assert session is not None
        if complete and self.mask == READ:
            self._succeed()
            return
        self._wait(self._on_handshake, WRITE if session.wants_write and not complete else READ)
        if complete:
            self._succeed()


def is_ours(error: BaseException) -> bool:
    """Whether an attempt failed for want of something here, which says nothing about the target."""
    return isinstance(error, OSError) and error.errno in _WANTING


def said(error: BaseException) -> str:
    """The words of an error without its number."""
    if isinstance(error, TwowayError):
        return str(error)
    return getattr(error, "strerror", None) or str(error)
