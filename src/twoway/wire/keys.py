"""Which keys open which direction at which moment, from a key log; pure."""

from __future__ import annotations

from dataclasses import dataclass

from twoway.wire.events import Epoch, Sender
from twoway.wire.keylog import Keylog
from twoway.wire.protection import Opener
from twoway.wire.schedule import Suite, key_block, next_traffic_secret, suite_of, traffic_keys

_LABELS: dict[tuple[Sender, Epoch], str] = {
    ("client", Epoch.EARLY): "CLIENT_EARLY_TRAFFIC_SECRET",
    ("client", Epoch.HANDSHAKE): "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    ("server", Epoch.HANDSHAKE): "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    ("client", Epoch.APPLICATION): "CLIENT_TRAFFIC_SECRET_0",
    ("server", Epoch.APPLICATION): "SERVER_TRAFFIC_SECRET_0",
}


@dataclass(slots=True)
class Negotiated:
    """What the hellos have settled so far."""

    client_random: bytes | None = None
    server_random: bytes | None = None
    version: str | None = None
    cipher_suite: str | None = None
    early_suite: str | None = None
    encrypt_then_mac: bool = False

    @property
    def complete(self) -> bool:
        """Whether both hellos have come."""
        return self.client_random is not None and self.server_random is not None

    @property
    def modern(self) -> bool:
        return self.version == "TLSv1.3"


class KeyRing:
    """Makes openers; remembers the traffic secrets, so that a key update can go on from them."""

    __slots__ = ("_keylog", "_secrets")

    def __init__(self, keylog: Keylog) -> None:
        self._keylog = keylog
        self._secrets: dict[Sender, bytes] = {}

    def opener(self, sender: Sender, epoch: Epoch, agreed: Negotiated) -> Opener | None:
        """What opens this direction's records from now on; None when the secret is not known."""
        if agreed.client_random is None:
            return None
        if epoch is Epoch.EARLY or agreed.modern:
            return self._modern(sender, epoch, agreed)
        suite = suite_of(agreed.cipher_suite or "")
        master = self._keylog.find(agreed.client_random, "CLIENT_RANDOM")
        if suite is None or master is None or agreed.server_random is None:
            return None
        pair = key_block(master, agreed.client_random, agreed.server_random, suite)
        keys = pair[0] if sender == "client" else pair[1]
        return Opener(suite, keys, modern=False, encrypt_then_mac=agreed.encrypt_then_mac)

    def _modern(self, sender: Sender, epoch: Epoch, agreed: Negotiated) -> Opener | None:
        assert agreed.client_random is not None
        name = agreed.cipher_suite or (agreed.early_suite if epoch is Epoch.EARLY else None)
        suite, label = suite_of(name or ""), _LABELS.get((sender, epoch))
        secret = self._keylog.find(agreed.client_random, label) if label else None
        if suite is None or secret is None:
            return None
        return self._from(sender, secret, suite)

    def updated(self, sender: Sender, agreed: Negotiated) -> Opener | None:
        """What opens this direction after its KeyUpdate (RFC 8446 §4.6.3)."""
        suite, secret = suite_of(agreed.cipher_suite or ""), self._secrets.get(sender)
        if suite is None or secret is None:
            return None
        return self._from(sender, next_traffic_secret(secret, suite), suite)

    def _from(self, sender: Sender, secret: bytes, suite: Suite) -> Opener:
        self._secrets[sender] = secret
        return Opener(suite, traffic_keys(secret, suite), modern=True)

    def labels(self, client_random: bytes | None) -> tuple[str, ...]:
        return self._keylog.labels(client_random) if client_random is not None else ()
