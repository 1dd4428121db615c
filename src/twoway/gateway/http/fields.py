"""Header fields by name: which are ours to write, which go no further, which pass; and names that only look different.

Behind the gateway names are folded: CGI and WSGI make one variable of `Client-Cert`, `client_cert` and
`Client.Cert`. So a name is stripped in whatever spelling folds to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

# RFC 9110 §5.6.2
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_SEPARATORS = re.compile(rb"[^0-9a-z]")
_MOST_KNOWN = 2048

PASS: Final = 0  # end to end: forwarded as it came
DROP: Final = 1  # ends here, or would be forged
BAD: Final = 2  # no field name
TWISTED: Final = 3  # means one of the following behind the gateway, and is not spelled like it
HOST: Final = 4
LENGTH: Final = 5
ENCODING: Final = 6
CONNECTION: Final = 7
UPGRADE: Final = 8
EXPECT: Final = 9
ACCEPT: Final = 10
AUTHORIZATION: Final = 11
OVERRIDE: Final = 12  # some frameworks take their path or method from it

_FRAMING = {b"host": HOST, b"content-length": LENGTH, b"transfer-encoding": ENCODING}
# RFC 9110 §7.6.1: a proxy removes these; `Proxy` is a variable of CGI programs (httpoxy).
_HOP_BY_HOP = (b"keep-alive", b"proxy-connection", b"te", b"trailer", b"http2-settings", b"proxy")
_REQUEST = {
    **_FRAMING,
    b"connection": CONNECTION,
    b"upgrade": UPGRADE,
    b"expect": EXPECT,
    b"accept": ACCEPT,
    b"authorization": AUTHORIZATION,
}
_OVERRIDES = frozenset(
    (b"x-original-url", b"x-original-uri", b"x-rewrite-url", b"x-original-path", b"x-original-method",
     b"x-http-method-override", b"x-http-method", b"x-method-override")
)  # fmt: skip
_RESPONSE = {
    b"content-length": LENGTH,
    b"transfer-encoding": ENCODING,
    b"connection": CONNECTION,
    b"upgrade": UPGRADE,
    b"www-authenticate": AUTHORIZATION,
}


def fold(name: bytes) -> bytes:
    """The name as a program behind the gateway may see it: small letters and digits, all else a dash."""
    return _SEPARATORS.sub(b"-", name.lower())


class Kinds(dict[bytes, int]):
    """The kind of each name as it was spelled; learned when it is first asked for, within bounds.

    `stripped` are whole names, or beginnings of names when they end in a dash.
    """

    def __init__(
        self, known: dict[bytes, int], stripped: Iterable[bytes], overrides: frozenset[bytes] = frozenset()
    ) -> None:
        super().__init__()
        self._known, self._overrides = known, overrides
        folded = frozenset(map(fold, stripped))
        self._stripped = folded
        self._beginnings = tuple(name for name in folded if name.endswith(b"-"))
        self._folded = frozenset(map(fold, _FRAMING))

    def __missing__(self, name: bytes) -> int:
        kind = self._kind(name)
        if kind == BAD:  # of any length, and it ends the connection: not worth to be remembered
            return kind
        if len(self) >= _MOST_KNOWN:
            self.clear()
        self[name] = kind
        return kind

    def _kind(self, name: bytes) -> int:
        if _TOKEN.fullmatch(name) is None:
            return BAD
        found = self._known.get(name.lower())
        if found is not None:
            return found
        folded = fold(name)
        if folded in self._stripped or folded.startswith(self._beginnings):
            return DROP
        if folded in self._overrides:
            return OVERRIDE
        return TWISTED if folded in self._folded else PASS


def request_kinds(stripped: Iterable[bytes]) -> Kinds:
    """For requests; `stripped` are the names that only the gateway may send."""
    return Kinds(_REQUEST, (*_HOP_BY_HOP, *stripped), _OVERRIDES)


def response_kinds() -> Kinds:
    """For responses."""
    return Kinds(_RESPONSE, _HOP_BY_HOP)
