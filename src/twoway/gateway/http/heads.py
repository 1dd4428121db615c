"""Heads of HTTP/1.1 messages: bytes to facts, strictly, and what is sent on in their place; pure.

Whatever could be read in two ways ends in BadMessage (RFC 9112 §11.2, request smuggling): bare CR or LF,
folded lines, space before a colon, two lengths, a length beside chunks, and framing fields in disguise.
"""

from __future__ import annotations

import re

from twoway.gateway.http import fields
from twoway.gateway.http.faults import BadMessage
from twoway.gateway.http.fields import Kinds

MAX_HEAD = 32768
MAX_FIELDS = 128

# RFC 9112 §3: method, target, version, one space between them.
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-\"$-~]+) HTTP/1\.([01])")
_OTHER_VERSION = re.compile(rb"[!-~]+ [!-~]+ HTTP/[0-9]+(\.[0-9]+)?")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t -~\x80-\xff]*))?")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#@]+)((?:[/?].*)?)")
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::[0-9]{1,5})?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
# RFC 9110 §5.5: what a head may consist of; CR and LF are left over, and counted.
_LEGAL = bytes([9, *range(0x20, 0x7F), *range(0x80, 0x100)])
_CRLF = b"\r\n"
# RFC 9110 §7.6.1: Connection must not name what is for everybody.
_NEVER_HOP_BY_HOP = (b"host", b"content-length", b"transfer-encoding", b"authorization", b"cookie")


class RequestHead:
    """One request without its body; `lines` are the fields that go on, as they came.

    `path` is the target without its query, None for `*`. `length` is None without a Content-Length. `override` is the
    name of a field by which it asks for another path or method, or empty.
    """

    __slots__ = ("accept", "chunked", "close", "expects", "host", "length", "lines", "method", "override", "path", "private", "target", "upgrade", "version")  # fmt: skip

    def __init__(self, method: bytes, target: bytes, version: int) -> None:
        self.method, self.target, self.version = method, target, version
        self.path: bytes | None = None
        self.host = self.accept = self.override = b""
        self.lines: list[bytes] = []
        self.length: int | None = None
        self.chunked = self.expects = self.upgrade = self.private = False
        self.close = version == 0

    @property
    def has_body(self) -> bool:
        return self.chunked or bool(self.length)

    def encode(self, ours: bytes, more: bytes = b"") -> bytes:
        """What goes to the target: `ours` and `more` are whole lines that the gateway adds."""
        parts = [b"%b %b HTTP/1.1\r\nHost: %b" % (self.method, self.target, self.host), *self.lines]
        if self.chunked:
            parts.append(b"Transfer-Encoding: chunked")
        elif self.length is not None:
            parts.append(b"Content-Length: %d" % self.length)
        if self.expects:
            parts.append(b"Expect: 100-continue")
        if self.upgrade:
            parts.append(b"Connection: Upgrade\r\nUpgrade: websocket")
        return b"%b\r\n%b%b\r\n" % (b"\r\n".join(parts), ours, more)


def parse_request(head: bytes, kinds: Kinds) -> RequestHead:
    """The request whose head (without the empty line at its end) this is; raises BadMessage."""
    lines = head.split(_CRLF)
    _check_bytes(head, lines)
    match = _REQUEST_LINE.fullmatch(lines[0])
    if match is None:
        if not lines[0] and len(lines) > 1 and lines[1]:
            # RFC 9112 §2.2: one empty line before a request is ignored.
            return parse_request(head[2:], kinds)
        raise _bad_request_line(lines[0])
    request = RequestHead(match[1], match[2], 1 if match[3] == b"1" else 0)
    keep = request.lines.append
    hosts: list[bytes] = []
    named: bytes = b""
    upgrades = b""
    for number in range(1, len(lines)):
        line = lines[number]
        name, colon, value = line.partition(b":")
        kind = kinds[name]
        if not kind and colon:
            keep(line)
        elif not colon or kind == fields.BAD:
            raise _bad_line(line)
        elif kind == fields.HOST:
            hosts.append(value.strip(b" \t"))
        elif kind == fields.LENGTH:
            request.length = _length(value, request.length)
        elif kind == fields.ENCODING:
            request.chunked = _is_chunked(value, request.chunked, request.version)
        elif kind == fields.CONNECTION:
            named = named + b"," + value if named else value
        elif kind == fields.UPGRADE:
            upgrades = value.strip(b" \t").lower()
        elif kind == fields.EXPECT:
            if value.strip(b" \t").lower() != b"100-continue":
                raise BadMessage("nothing but 100-continue can be expected", 417)
            request.expects = request.version == 1
        elif kind == fields.ACCEPT:
            request.accept = value
            keep(line)
        elif kind == fields.AUTHORIZATION:
            request.private = request.private or is_connection_bound(value)
            keep(line)
        elif kind == fields.OVERRIDE:
            request.override = name
            keep(line)
        elif kind == fields.TWISTED:
            raise BadMessage(f"the field name {_shown(name)} can be taken for another one")
    if request.chunked and request.length is not None:
        # RFC 9112 §6.1: such a message ought to be handled as an error.
        raise BadMessage("it has both a Content-Length and a Transfer-Encoding")
    if named:
        options = _options(named)
        request.close = request.close or b"close" in options
        _drop_named(request.lines, options)
        # Only WebSocket is let through to a target, never h2c: what follows is not looked at any more.
        request.upgrade = (
            b"upgrade" in options and upgrades == b"websocket" and request.version == 1
            and request.method == b"GET" and not request.has_body
        )  # fmt: skip
    _place(request, hosts)
    return request


def _place(request: RequestHead, hosts: list[bytes]) -> None:
    """Host and target, in whichever of the forms of RFC 9112 §3.2 they came."""
    if len(hosts) != 1:
        raise BadMessage("it has no Host" if not hosts else "it has more than one Host")
    request.host = hosts[0]
    if _HOST.fullmatch(request.host) is None:
        raise BadMessage(f"its Host {_shown(request.host)} is no host with at most a port")
    target = request.target
    if request.method == b"CONNECT":
        # RFC 9110 §9.3.6: a target that says yes takes what follows for a tunnel, whatever was asked for.
        raise BadMessage("CONNECT is not served", 501)
    if target[:1] != b"/":
        if target == b"*" and request.method == b"OPTIONS":
            return
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise BadMessage(f"its target {_shown(target)} is none that a gateway serves")
        if absolute[1].lower() != request.host.lower():
            raise BadMessage("its target names another host than its Host")
        target = absolute[2]
        request.target = target if target[:1] == b"/" else b"/" + target
    request.path = request.target.partition(b"?")[0]


def hostname(host: bytes) -> str:
    """The host of a Host that was accepted: in small letters, without its port and a final dot."""
    match = _HOST.fullmatch(host)
    return match[1].decode("ascii").lower().removesuffix(".") if match is not None else ""


class ResponseHead:
    """One response without its body. `length` is None for chunks, and for what ends with the connection.

    `announces_body`: its fields do, whether there will be one (`bodyless`) or not.
    """

    __slots__ = ("announces_body", "bodyless", "chunked", "close", "length", "lines", "private", "reason", "status", "upgrade", "version")  # fmt: skip

    def __init__(self, version: int, status: int, reason: bytes) -> None:
        self.version, self.status, self.reason = version, status, reason
        self.lines: list[bytes] = []
        self.length: int | None = None
        self.chunked = self.bodyless = self.private = self.upgrade = self.announces_body = False
        self.close = version == 0

    @property
    def until_close(self) -> bool:
        return not (self.bodyless or self.chunked or self.length is not None)

    def encode(self, *, chunked: bool, close: bool) -> bytes:
        """What goes to the client."""
        parts = [b"HTTP/1.1 %d %b" % (self.status, self.reason), *self.lines]
        if chunked:
            parts.append(b"Transfer-Encoding: chunked")
        elif self.length is not None and (self.status >= 200 and self.status != 204):
            parts.append(b"Content-Length: %d" % self.length)
        if close:
            parts.append(b"Connection: close")
        elif self.upgrade:
            parts.append(b"Connection: Upgrade\r\nUpgrade: websocket")
        parts.append(_CRLF)
        return b"\r\n".join(parts)


def parse_response(head: bytes, method: bytes, kinds: Kinds) -> ResponseHead:
    """The response to a request with this method; raises BadMessage."""
    lines = head.split(_CRLF)
    _check_bytes(head, lines)
    match = _STATUS_LINE.fullmatch(lines[0])
    if match is None:
        raise BadMessage(f"it begins with {_shown(lines[0])}")
    response = ResponseHead(1 if match[1] == b"1" else 0, int(match[2]), match[3] or b"")
    keep = response.lines.append
    named: bytes = b""
    upgrades = b""
    for number in range(1, len(lines)):
        line = lines[number]
        name, colon, value = line.partition(b":")
        kind = kinds[name]
        if not kind and colon:
            keep(line)
        elif not colon or kind == fields.BAD:
            raise _bad_line(line)
        elif kind == fields.LENGTH:
            response.length = _length(value, response.length)
        elif kind == fields.ENCODING:
            response.chunked = _is_chunked(value, response.chunked, response.version)
        elif kind == fields.CONNECTION:
            named = named + b"," + value if named else value
        elif kind == fields.UPGRADE:
            upgrades = value.strip(b" \t").lower()
        elif kind == fields.AUTHORIZATION:
            response.private = response.private or is_connection_bound(value)
            keep(line)
        elif kind == fields.TWISTED:
            raise BadMessage(f"the field name {_shown(name)} can be taken for another one")
    if response.chunked and response.length is not None:
        raise BadMessage("it has both a Content-Length and a Transfer-Encoding")
    if named:
        options = _options(named)
        response.close = response.close or b"close" in options
        _drop_named(response.lines, options)
        response.upgrade = response.status == 101 and b"upgrade" in options and upgrades == b"websocket"
    # RFC 9112 §6.3: what has no body whatever its fields say.
    response.announces_body = response.chunked or bool(response.length)
    if method == b"HEAD" or response.status < 200 or response.status in (204, 304):
        response.bodyless, response.chunked = True, False
    return response


# -- fields -------------------------------------------------------------------------------------------


def is_connection_bound(value: bytes) -> bool:
    """Whether credentials of this scheme belong to a TCP connection, so that nobody else may use it (RFC 4559 §4)."""
    return value.strip(b" \t").lower().startswith((b"ntlm", b"negotiate"))


def _check_bytes(head: bytes, lines: list[bytes]) -> None:
    if len(lines) > MAX_FIELDS + 1:
        raise BadMessage(f"it has more than {MAX_FIELDS} fields", 431)
    if head.translate(None, _LEGAL) != _CRLF * (len(lines) - 1):
        raise BadMessage("its head has control characters, or lines that do not end in CR LF")


def _length(value: bytes, before: int | None) -> int:
    value = value.strip(b" \t")
    if before is not None or _LENGTH.fullmatch(value) is None:
        raise BadMessage("its Content-Length is not one number")
    return int(value)


def _is_chunked(value: bytes, before: bool, version: int) -> bool:
    if before or value.strip(b" \t").lower() != b"chunked":
        raise BadMessage("its Transfer-Encoding is not chunked and nothing else", 501)
    if version == 0:
        # RFC 9112 §6.1: its framing is faulty.
        raise BadMessage("it is HTTP/1.0 and has a Transfer-Encoding")
    return True


def _options(value: bytes) -> frozenset[bytes]:
    options = frozenset(part.strip(b" \t").lower() for part in value.split(b","))
    for name in _NEVER_HOP_BY_HOP:
        if name in options:
            raise BadMessage(f"its Connection names {name.decode()}, which is for the target")
    return options


def _drop_named(lines: list[bytes], options: frozenset[bytes]) -> None:
    if options - {b"close", b"keep-alive", b"upgrade", b"te", b""}:
        lines[:] = [line for line in lines if line.partition(b":")[0].lower() not in options]


def _bad_request_line(line: bytes) -> BadMessage:
    if _OTHER_VERSION.fullmatch(line) and not line.endswith((b"HTTP/1.1", b"HTTP/1.0")):
        return BadMessage("its version is not HTTP/1.1", 505)
    return BadMessage(f"its first line is {_shown(line.partition(b'?')[0])}")


def _bad_line(line: bytes) -> BadMessage:
    if line[:1] in (b" ", b"\t"):
        return BadMessage("a line of its head is folded")
    if line.partition(b":")[0].rstrip(b" \t") != line.partition(b":")[0]:
        return BadMessage("a field name has space before its colon")
    return BadMessage(f"{_shown(line.partition(b':')[0])} is no field name")


def _shown(data: bytes) -> str:
    return repr(data[:60])[1:]
