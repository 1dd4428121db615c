"""Through a proxy on the way out: HTTP CONNECT and SOCKS5, as bytes in and bytes out.

A dialogue never reads past the proxy's answer: a TLS server is silent until it is spoken to, so whatever stands
behind the answer was put there by somebody else, and ends the attempt.
"""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from twoway.credential import printable
from twoway.errors import NetworkError, UsageError
from twoway.gateway.addresses import Address

MAX_ANSWER = 8192
_MAX_TOLD = 120
_FORMS = "write http://HOST:PORT or socks5://HOST:PORT, with USER:PASSWORD@ in front of the host if need be"

# RFC 1928 §6: what REP means.
_SOCKS_REPLIES = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused by the target",
    6: "the time to live expired",
    7: "command not supported",
    8: "address type not supported",
}


class ProxyRefused(NetworkError):
    """The proxy understood us, and does not lead to the target. `answer` is what it said."""

    code = "proxy_refused"

    def __init__(self, proxy: str, target: str, answer: str) -> None:
        super().__init__(proxy, target, answer)
        self.proxy, self.target, self.answer = proxy, target, answer

    def __str__(self) -> str:
        return f"the proxy {self.proxy} does not lead to {self.target}: it answered {self.answer}"

    @property
    def remedy(self) -> str:
        if "407" in self.answer or "user name" in self.answer or "authentication" in self.answer:
            return "give the proxy's user name and password: --via-credentials FILE with USER:PASSWORD"
        return "ask whoever runs the proxy to allow the target, or check the target's name and port"


class BadProxyAnswer(NetworkError):
    """What answers at the proxy's address does not speak its protocol."""

    code = "bad_proxy_answer"

    def __init__(self, proxy: str, problem: str) -> None:
        super().__init__(proxy, problem)
        self.proxy, self.problem = proxy, problem

    def __str__(self) -> str:
        return f"{self.proxy} does not answer like a proxy: {self.problem}"

    @property
    def remedy(self) -> str:
        return "check the proxy's address, and whether it is an HTTP or a SOCKS5 proxy"


class Dialogue(Protocol):
    """What is said to a proxy before the target can be spoken to."""

    done: bool

    def first(self) -> bytes:
        """The bytes to begin with."""

    def receive(self, data: bytes) -> bytes:
        """Take what has come; what to send now. Raises ProxyRefused and BadProxyAnswer."""


@dataclass(frozen=True, slots=True)
class Via:
    """A proxy to go through. As text it never shows its password."""

    scheme: Literal["http", "socks5"]
    address: Address
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str, credentials: bytes | None = None) -> Via:
        """Read what people write; `credentials` (USER:PASSWORD in a line) win. Raises UsageError, never with them."""
        scheme, mark, rest = text.partition("://")
        user, at, place = rest.rpartition("@")
        if mark and scheme in ("http", "socks5") and not ({"/", "?", "#"} & set(place.removesuffix("/"))):
            try:
                port = urlsplit(f"{scheme}://{place}").port
                host = urlsplit(f"{scheme}://{place}").hostname
            except ValueError:
                host = port = None
            if host and port:
                name, _, password = user.partition(":")
                name, password = unquote(name), unquote(password)
                if credentials is not None:
                    name, password = _read_credentials(credentials)
                _check_credentials(scheme, name, password, given=bool(at) or credentials is not None)
                return cls(scheme, Address(host=host, port=port), name, password)  # type: ignore[arg-type]
        shown = f"{scheme}://{'…@' if at else ''}{place}" if mark else "the proxy"
        raise UsageError(f"{shown} names no proxy", _FORMS)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.address}"

    def dialogue(self, target: Address) -> Dialogue:
        """A fresh conversation that asks for this target; the proxy resolves its name."""
        return HttpConnect(self, target) if self.scheme == "http" else Socks5(self, target)


def _read_credentials(data: bytes) -> tuple[str, str]:
    try:
        text = data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    user, colon, password = text.partition(":")
    if not colon or not user or "\n" in text:
        raise UsageError(
            "the file with the proxy's credentials is not one line of USER:PASSWORD", "rewrite it"
        )
    return user, password


def _check_credentials(scheme: str, user: str, password: str, *, given: bool) -> None:
    if not given:
        return
    lengths = len(user.encode()), len(password.encode())
    if not user or max(lengths) > 255 or (scheme == "socks5" and not all(lengths)):
        # RFC 1929 §2: both are of 1 to 255 bytes.
        raise UsageError(
            "the proxy's credentials have a part that is empty or longer than 255 bytes",
            "check USER:PASSWORD",
        )
    if not (user + password).isprintable() or ":" in user:
        # RFC 7617 §2: no control characters, and no colon in the user name.
        raise UsageError("the proxy's credentials hold characters that cannot be sent", "check USER:PASSWORD")


class HttpConnect:
    """RFC 9110 §9.3.6: CONNECT host:port, and any 2xx opens the tunnel."""

    def __init__(self, via: Via, target: Address) -> None:
        self._via, self._target = via, target
        self._answer = b""
        self.done = False

    def first(self) -> bytes:
        lines = [f"CONNECT {self._target} HTTP/1.1", f"Host: {self._target}"]
        if self._via.user:
            pair = base64.b64encode(f"{self._via.user}:{self._via.password}".encode()).decode("ascii")
            lines.append(f"Proxy-Authorization: Basic {pair}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")

    def receive(self, data: bytes) -> bytes:
        self._answer += data
        while not self.done:
            head, end, rest = self._answer.partition(b"\r\n\r\n")
            status = self._status(head) if end or b"\n" in head or len(head) > 64 else None
            if not end:
                if len(self._answer) > MAX_ANSWER:
                    raise BadProxyAnswer(str(self._via), f"more than {MAX_ANSWER} bytes and no end of them")
                return b""
            assert status is not None
            code, line = status
            self._answer = rest
            if 100 <= code < 200 and code != 101:
                continue  # RFC 9110 §15.2: an interim response comes before the final one
            if not 200 <= code < 300:
                raise ProxyRefused(str(self._via), str(self._target), line)
            self.done = True
        if self._answer:
            raise BadProxyAnswer(
                str(self._via), "bytes follow its answer before we have spoken to the target"
            )
        return b""

    def _status(self, head: bytes) -> tuple[int, str]:
        """RFC 9112 §4: the status line, as number and as text."""
        line = head.split(b"\r\n", 1)[0]
        version, _, rest = line.partition(b" ")
        code, _, reason = rest.partition(b" ")
        if version not in (b"HTTP/1.0", b"HTTP/1.1") or len(code) != 3 or not code.isdigit():
            shown = printable(line[:40].decode("ascii", "replace"))
            raise BadProxyAnswer(str(self._via), f"it begins with {shown!r}")
        told = printable(reason[:_MAX_TOLD].decode("ascii", "replace")).strip()
        return int(code), f"{code.decode()} {told}".strip()


class Socks5:
    """RFC 1928 with the user names of RFC 1929: greet, prove who we are where asked, connect by name."""

    def __init__(self, via: Via, target: Address) -> None:
        self._via, self._target = via, target
        self._answer = b""
        self._next = self._chosen
        self.done = False

    def first(self) -> bytes:
        return b"\x05\x02\x00\x02" if self._via.user else b"\x05\x01\x00"

    def receive(self, data: bytes) -> bytes:
        self._answer += data
        reply = b""
        while not self.done:
            step = self._next()
            if step is None:
                return reply
            reply += step
        if self._answer:
            raise BadProxyAnswer(
                str(self._via), "bytes follow its answer before we have spoken to the target"
            )
        return reply

    def _take(self, count: int) -> bytes:
        taken, self._answer = self._answer[:count], self._answer[count:]
        return taken

    def _chosen(self) -> bytes | None:
        """RFC 1928 §3: the method that the proxy has chosen."""
        if self._answer[:1] not in (b"", b"\x05"):
            raise self._strange()
        if len(self._answer) < 2:
            return None
        _, method = self._take(2)
        if method == 0:
            return self._request()
        if method == 2 and self._via.user:
            self._next = self._proven
            user, password = self._via.user.encode(), self._via.password.encode()
            return b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password
        if method == 0xFF:
            asked = "none of our authentication methods" if self._via.user else "that it wants authentication"
            raise ProxyRefused(str(self._via), str(self._target), asked)
        raise BadProxyAnswer(str(self._via), f"it chose the method {method}, which was not offered")

    def _proven(self) -> bytes | None:
        """RFC 1929 §2: 0 is yes."""
        if len(self._answer) < 2:
            return None
        _, status = self._take(2)
        if status:
            raise ProxyRefused(
                str(self._via), str(self._target), f"that user name and password are wrong (status {status})"
            )
        return self._request()

    def _request(self) -> bytes:
        self._next = self._connected
        try:
            ip = ipaddress.ip_address(self._target.host)
        except ValueError:
            name = self._target.host.encode("idna" if not self._target.host.isascii() else "ascii")
            place = b"\x03" + bytes([len(name)]) + name
        else:
            place = (b"\x01" if ip.version == 4 else b"\x04") + ip.packed
        return b"\x05\x01\x00" + place + self._target.port.to_bytes(2, "big")

    def _connected(self) -> bytes | None:
        """RFC 1928 §6: the reply, with an address that is of no interest and of one of three lengths."""
        answer = self._answer
        if answer[:1] not in (b"", b"\x05"):
            raise self._strange()
        if len(answer) >= 2 and answer[1]:
            told = _SOCKS_REPLIES.get(answer[1], "an unknown reason")
            raise ProxyRefused(str(self._via), str(self._target), f"{told} (reply {answer[1]})")
        if len(answer) < 5:
            return None
        kind = answer[3]
        if kind not in (1, 3, 4):
            raise BadProxyAnswer(str(self._via), f"an address of the unknown type {kind}")
        length = 6 + {1: 4, 3: 1 + answer[4], 4: 16}[kind]
        if len(answer) < length:
            return None
        self._take(length)
        self.done = True
        return b""

    def _strange(self) -> BadProxyAnswer:
        return BadProxyAnswer(str(self._via), f"it begins with the byte 0x{self._answer[:1].hex()}")
