"""The secrets of recorded connections, from a key log in the NSS format; pure.

Whoever holds these reads all that was said. They are never printed: not even in `repr`.
"""

from __future__ import annotations

from collections import OrderedDict

MAX_CONNECTIONS = 65536
_RANDOM_SIZE = 32
_MAX_SECRET = 64

LABELS = frozenset(
    {
        "CLIENT_RANDOM",
        "CLIENT_EARLY_TRAFFIC_SECRET",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EARLY_EXPORTER_SECRET",
        "EXPORTER_SECRET",
    }
)


class Keylog:
    """Secrets by client random and label; of more than 65,536 connections the oldest are forgotten."""

    __slots__ = ("_secrets",)

    def __init__(self) -> None:
        self._secrets: OrderedDict[bytes, dict[str, bytes]] = OrderedDict()

    @classmethod
    def read(cls, text: bytes | str) -> Keylog:
        """The secrets of a whole file; lines that are none are passed over, as other programs do."""
        log = cls()
        for line in (text.encode() if isinstance(text, str) else text).splitlines():
            log.add(line)
        return log

    def add(self, line: bytes) -> bool:
        """Take one line; False for a comment and for what is no secret."""
        parts = line.split()
        if len(parts) != 3 or line[:1] == b"#":
            return False
        label = parts[0].decode("ascii", "replace")
        try:
            random, secret = bytes.fromhex(parts[1].decode()), bytes.fromhex(parts[2].decode())
        except ValueError:
            return False
        if label not in LABELS or len(random) != _RANDOM_SIZE or not 0 < len(secret) <= _MAX_SECRET:
            return False
        self._secrets.setdefault(random, {})[label] = secret
        while len(self._secrets) > MAX_CONNECTIONS:
            self._secrets.popitem(last=False)
        return True

    def find(self, client_random: bytes, label: str) -> bytes | None:
        """The secret of this name of the connection with this client random."""
        return self._secrets.get(client_random, {}).get(label)

    def labels(self, client_random: bytes) -> tuple[str, ...]:
        """What is known of a connection, by name."""
        return tuple(self._secrets.get(client_random, ()))

    def __len__(self) -> int:
        return len(self._secrets)

    def __repr__(self) -> str:
        return f"<Keylog of {len(self._secrets)} connections>"
