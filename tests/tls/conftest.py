"""A throw-away PKI for the engine's tests, and two ends that shake hands in memory or on sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.pki import NOW, Issuer
from twoway.credential import Credential
from twoway.errors import TwowayError
from twoway.tls import ClientContext, ClientSettings, ServerContext, ServerSettings, Session, TlsSocket
from twoway.trust import Trust

BOTH = ("TLSv1.3", "TLSv1.2")

__all__ = ["BOTH", "NOW", "Issuer"]


@dataclass
class Pki:
    """Everybody a test needs: our issuing CA with a server and a client, and a stranger's CA."""

    root: Issuer
    issuing: Issuer
    server: Credential
    client: Credential
    stranger: Credential

    @property
    def trust(self) -> Trust:
        return Trust((self.root.certificate,))


@pytest.fixture(scope="session")
def pki() -> Pki:
    root = Issuer.root("Acme Root")
    issuing = root.below("Acme Issuing")
    return Pki(
        root,
        issuing,
        issuing.leaf("api.acme.example", dns=("api.acme.example", "localhost"), purpose="server"),
        issuing.leaf("orders"),
        Issuer.root("Other Root").below("Other Issuing").leaf("stranger"),
    )


@dataclass
class Outcome:
    """How a handshake in memory ended on each side; None where it went well."""

    client: Session
    server: Session
    client_error: TwowayError | None = None
    server_error: TwowayError | None = None


def shake(client: Session, server: Session) -> Outcome:
    """Carry bytes between two Sessions until both are done or one has refused; then read once on each side."""
    outcome = Outcome(client, server)
    for _ in range(10):
        if outcome.client_error is None:
            try:
                client.advance()
            except TwowayError as error:
                outcome.client_error = error
        server.receive(client.outgoing())
        if outcome.server_error is None:
            try:
                server.advance()
            except TwowayError as error:
                outcome.server_error = error
        client.receive(server.outgoing())
    for session, side in ((client, "client_error"), (server, "server_error")):
        if getattr(outcome, side) is None:
            try:
                session.read()
            except TwowayError as error:
                setattr(outcome, side, error)
    return outcome


Shake = Callable[..., Outcome]


@pytest.fixture
def meet(pki: Pki) -> Shake:
    """Let a client with these settings meet a server with those."""

    def run(
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
        *,
        server_name: str = "api.acme.example",
        version: str | None = None,
    ) -> Outcome:
        client_arguments = {"credential": pki.client} | (client or {})
        server_arguments = {"credential": pki.server} | (server or {})
        if client_arguments["credential"] is None:
            client_arguments.setdefault("trust", pki.trust)
        if version:
            client_arguments |= {"minimum_version": version, "maximum_version": version}
        return shake(
            Session(ClientContext(ClientSettings(**client_arguments)), server_name=server_name),
            Session(ServerContext(ServerSettings(**server_arguments)), address="192.0.2.1:1"),
        )

    return run


@pytest.fixture
def echo_server(pki: Pki) -> Iterator[Callable[..., tuple[int, list[Any]]]]:
    """Start a blocking echo server on a real socket: (port, what happened), one entry a connection."""
    stop, threads = threading.Event(), []

    def start(context: ServerContext) -> tuple[int, list[Any]]:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(0.1)
        seen: list[Any] = []

        def one(sock: socket.socket) -> None:
            try:
                with TlsSocket.accept(sock, context) as connection:
                    seen.append(connection.session)
                    while data := connection.recv():
                        connection.sendall(data)
            except TwowayError as error:
                seen.append(error)

        def loop() -> None:
            with listener:
                while not stop.is_set():
                    try:
                        sock, _ = listener.accept()
                    except TimeoutError:
                        continue
                    sock.settimeout(None)
                    thread = threading.Thread(target=one, args=(sock,))
                    threads.append(thread)
                    thread.start()

        thread = threading.Thread(target=loop)
        threads.append(thread)
        thread.start()
        return listener.getsockname()[1], seen

    yield start
    stop.set()
    for thread in threads:
        thread.join(10)
