"""A Session for relays, where every copy and every call is counted: OpenSSL reads and writes the socket itself.

A handshake is cheaper through memory (its many small records become one write), bulk data on the socket (no
copy): so an accepted connection begins in memory and takes the socket after its first answer. The checks are
those of every Session. Measured in docs/why/gateway.md.
"""

from __future__ import annotations

from typing import Any

from twoway.names import parse_dns_name
from twoway.tls import library
from twoway.tls.context import EngineContext
from twoway.tls.faults import ConnectionCut, Truncated
from twoway.tls.library import NULL, WANT_READ, WANT_WRITE, ZERO_RETURN, lib
from twoway.tls.session import Session, Ticket

_SYSCALL = lib.SSL_ERROR_SYSCALL
NOTHING_YET = -1
MAX_RECORD = 16384  # RFC 8446 §5.1: the most plaintext in one record


class SocketSession(Session):
    """One TLS connection on a non-blocking socket that the caller keeps open for as long as it lives.

    It begins in memory, used like any Session, and goes on after `take_socket` with `read_into` and `write_from`;
    or, made with `on_socket=True`, begins on the socket, where `wants_write` says which way the socket has to
    become ready when `advance` gives False.
    """

    __slots__ = ("_fd", "in_memory", "wants_write")

    def __init__(
        self,
        context: EngineContext,
        fd: int,
        *,
        on_socket: bool = False,
        server_name: str | None = None,
        address: str | None = None,
        target: str | None = None,
        ticket: Ticket | None = None,
    ) -> None:
        self._fd, self.wants_write, self.in_memory = fd, False, not on_socket
        super().__init__(context, server_name=server_name, address=address, target=target, ticket=ticket)

    def _attach(self) -> None:
        if self.in_memory:
            super()._attach()
        else:
            self._take()

    def _take(self) -> None:
        if lib.SSL_set_fd(self._ssl, self._fd) != 1:
            library.drain_errors()
            raise MemoryError("SSL_set_fd")
        self.in_memory = False

    def ask_for(self, name: str | None) -> None:
        """As a client, and before the handshake: ask for this name (RFC 6066 §3), or for none.

        What the certificate must prove stays `server_name`.
        """
        lib.SSL_set_tlsext_host_name(self._ssl, parse_dns_name(name).encode("ascii") if name else NULL)

    def holds(self) -> bool:
        """Whether ciphertext that has arrived lies in memory, not yet taken in."""
        return self.in_memory and bool(library.pending(self._in))

    def take_socket(self) -> bool:
        """Go over to the socket; False, and nothing is changed, while bytes of either direction lie in memory."""
        if not self.in_memory:
            return True
        if library.pending(self._in) or library.pending(self._out):
            return False
        self._take()  # frees the two buffers
        return True

    def advance(self) -> bool:
        if self.in_memory or self.complete:
            return super().advance()
        result = lib.SSL_do_handshake(self._ssl)
        if result == 1:
            self._completed()
            return True
        error = lib.SSL_get_error(self._ssl, result)
        if error in (WANT_READ, WANT_WRITE) and self.failure is None:
            self.wants_write = error == WANT_WRITE
            return False
        raise self._ended(error)

    def read_into(self, buffer: Any, size: int) -> int:
        """Plaintext into a C buffer: how many bytes, 0 after close_notify, NOTHING_YET when none is there.

        Raises Truncated for an end without close_notify, and what Session.read raises.
        """
        count = lib.SSL_read(self._ssl, buffer, size)
        if count > 0:
            return int(count)
        error = lib.SSL_get_error(self._ssl, count)
        if error == WANT_READ:
            return NOTHING_YET
        if error == WANT_WRITE:  # an answer to a key update does not fit into the socket
            self.wants_write = True
            return NOTHING_YET
        if error == ZERO_RETURN:
            return 0
        raise self._ended(error)

    def read_more(self, buffer: Any, count: int, size: int) -> int:
        """Fill a C buffer that holds `count` bytes with whole records, as far as they are there; the new count.

        An end that is met on the way shows at the next `read_into`; raises what that raises.
        """
        ssl, read = self._ssl, lib.SSL_read
        while size - count >= MAX_RECORD:
            more = read(ssl, buffer + count, size - count)
            if more > 0:
                count += more
                continue
            error = lib.SSL_get_error(ssl, more)
            if error == WANT_WRITE:
                self.wants_write = True
            elif error not in (WANT_READ, ZERO_RETURN):
                raise self._ended(error)
            break
        return count

    def write_from(self, source: Any, size: int) -> bool:
        """Send `size` bytes of a C buffer; False: call again with the same bytes once the socket is ready."""
        count = lib.SSL_write(self._ssl, source, size)
        if count > 0:
            return True
        error = lib.SSL_get_error(self._ssl, count)
        if error in (WANT_WRITE, WANT_READ):
            return False
        raise self._ended(error)

    def say_goodbye(self) -> bool:
        """Send close_notify; False: call again once the socket is ready. A dead socket counts as told."""
        result = lib.SSL_shutdown(self._ssl)
        if result >= 0:
            return True
        error = lib.SSL_get_error(self._ssl, result)
        if error == WANT_WRITE:
            return False
        library.drain_errors()
        return True

    def _ended(self, error: int) -> BaseException:
        if error == _SYSCALL and self.failure is None:
            library.drain_errors()
            return Truncated() if self.complete else ConnectionCut(self.step, self.context.role, self.target)
        if self.complete and library.next_is_unexpected_eof():
            library.drain_errors()
            return Truncated()
        return self._fault(error)
