"""What a gateway has against a connection that is otherwise in order."""

from __future__ import annotations

from twoway.errors import ConfigError, NetworkError, PeerDenied


class TooManyOfPeer(PeerDenied):
    """A proven peer holds as many connections as one may."""

    code = "too_many_connections_of_peer"

    def __init__(self, peer: str, most: int) -> None:
        super().__init__(peer, most)
        self.peer, self.most = peer, most

    def __str__(self) -> str:
        return f"{self.peer} has {self.most} connections open already"

    @property
    def remedy(self) -> str:
        return "let the client use its connections again, or raise connections_per_peer"


class OutlivedLimit(NetworkError):
    """A connection was idle, or open, or its certificate valid, for as long as it may be."""

    code = "outlived_limit"

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"the connection was ended: {self.what}"

    @property
    def remedy(self) -> str:
        return "connect again; the limit is set at the gateway's listener"


class ListUnavailable(ConfigError):
    """There is no revocation list yet, it cannot be fetched, and without one nobody would be let in."""

    code = "crl_unavailable"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return f"no revocation list is there yet, and {self.reason}"

    @property
    def remedy(self) -> str:
        return f"make {self.url} reachable, put its list into the cache by another start, or choose --crl-rule warn"
