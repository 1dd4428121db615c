"""What the demo plays on: an authority, its identities, a stranger, and the order service on a real socket."""

from __future__ import annotations

import contextlib
import io
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twoway.authority import Authority
from twoway.credential import Credential, write_public
from twoway.demo.service import app
from twoway.errors import TwowayError, UsageError
from twoway.server import Journal, Server, background
from twoway.tls import ClientContext, ClientSettings, Refusal, Session, Ticket, TlsSocket, trust_of
from twoway.tls.tap import Tap, make_tappable
from twoway.trust import Trust

SERVER_NAME = "orders.localhost"
CLIENT_NAME = "shop"
STRANGER_NAME = "mallory"
RULE = f"cn={CLIENT_NAME},o=Acme"
_PATIENCE_SECONDS = 10.0


class Ledger(Journal):
    """A journal that keeps the refusals at hand, and everything it wrote."""

    def __init__(self) -> None:
        self.written = io.StringIO()
        super().__init__("json", self.written)
        self.refusals: list[Refusal] = []

    def refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)
        super().refused(refusal)


@dataclass
class Cast:
    """Everybody in the story, on disk under `place` as a user would have them."""

    place: Path
    authority: Authority
    passphrase: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def server_files(self) -> Path:
        return self.place / "orders"

    @property
    def client_files(self) -> Path:
        return self.place / CLIENT_NAME

    @property
    def client(self) -> Credential:
        return Credential.load(self.client_files)

    @property
    def stranger(self) -> Credential:
        return Credential.load(self.place / STRANGER_NAME)

    @property
    def trust(self) -> Trust:
        return trust_of(self.client)

    def publish_revocations(self) -> None:
        """Put the authority's current revocation lists beside the server's trust, as an operator would."""
        write_public(self.server_files / "crl.pem", self.authority.crl_pem())


def gather(place: Path) -> Cast:
    """Create the authority and its identities, and a stranger from another authority."""
    if place.exists() and any(place.iterdir()):
        raise UsageError(
            f"{place} is not empty", "choose another directory: the demo writes into an empty one"
        )
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    passphrase = secrets.token_urlsafe(24)
    authority = Authority.create(place / "pki", name="Acme", passphrase=passphrase.encode())
    other = Authority.create(place / "other-pki", name="Elsewhere", passphrase=secrets.token_bytes(24))
    authority.issue_server(SERVER_NAME, dns=["localhost"]).save(place / "orders")
    authority.issue_client(CLIENT_NAME).save(place / CLIENT_NAME)
    other.issue_client(STRANGER_NAME).save(place / STRANGER_NAME)
    other.close()
    cast = Cast(place, authority, passphrase, secrets.token_urlsafe(24))
    cast.publish_revocations()
    return cast


@contextlib.contextmanager
def order_service(cast: Cast, ledger: Ledger, **options: Any) -> Iterator[Server]:
    """The service on a free port of the loopback interface."""
    chosen: dict[str, Any] = {"identity": cast.server_files, "allow": [RULE], **options}
    with background(app, journal=ledger, **chosen) as server:
        yield server


@dataclass
class Attempt:
    """One try of a client on a real socket: the tapped session, and the error it ended with, if any."""

    session: Session
    tap: Tap
    error: TwowayError | None = None
    ticket: Ticket | None = None
    socket: TlsSocket | None = None


def knock(
    port: int, settings: ClientSettings | ClientContext, *, ticket: Ticket | None = None, keep: bool = False
) -> Attempt:
    """Connect, shake hands and send one small request, with every message recorded."""
    context = settings
    if not isinstance(context, ClientContext):
        context = ClientContext(context)
        make_tappable(context)
    connection = TlsSocket.open(
        "127.0.0.1", port, context, server_name=SERVER_NAME, target=f"{SERVER_NAME}:{port}", ticket=ticket
    )
    attempt = Attempt(connection.session, Tap(connection.session))
    try:
        connection.handshake()
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {SERVER_NAME}\r\n\r\n".encode())
        connection.recv()
        attempt.ticket = connection.session.ticket()
    except TwowayError as error:
        attempt.error = error
    if keep and attempt.error is None:
        attempt.socket = connection
    else:
        connection.close()
    return attempt


def wait_for_generation(server: Server, number: int) -> bool:
    """Until the server serves generation `number`; False when that takes too long."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while server.live.current.number < number:
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def wait_for_refusals(ledger: Ledger, count: int) -> bool:
    """Until the server has logged `count` refusals; False when that takes too long."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while len(ledger.refusals) < count:
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True
