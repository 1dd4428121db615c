"""The same foreign clients against a blocking server of ours, a thread a connection."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.judges.clients import CLIENTS, Call
from tests.judges.identities import Identities
from twoway.credential import Credential
from twoway.errors import TwowayError
from twoway.tls import ServerContext, ServerSettings, TlsSocket

pytestmark = [pytest.mark.judge, pytest.mark.parametrize("key_type", ["p256"], indirect=True)]


@pytest.fixture
def blocking(identities: Identities) -> Iterator[int]:
    """The port of a server that answers each proven client with its fingerprint."""
    context = ServerContext(ServerSettings(Credential.load(identities.directory("server"))))
    threads: list[threading.Thread] = []
    stop = threading.Event()

    def one(sock: socket.socket) -> None:
        try:
            with TlsSocket.accept(sock, context) as connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv()
                assert connection.session.peer is not None
                body = json.dumps(connection.session.peer.fingerprint).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        except TwowayError:
            return  # refused, and told so

    def loop(listener: socket.socket) -> None:
        while not stop.is_set():
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                continue
            sock.settimeout(None)
            threads.append(threading.Thread(target=one, args=(sock,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        accepting = threading.Thread(target=loop, args=(listener,))
        accepting.start()
        yield listener.getsockname()[1]
        stop.set()
        accepting.join()
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize("name", CLIENTS)
def test_proven_clients_are_answered_and_others_read_the_alert(
    name: str,
    foreign_client: Callable[[str], Call],
    blocking: int,
    identities: Identities,
    key_type: str,
    version: str,
) -> None:
    call = foreign_client(name)
    answer = call(blocking, version, identities.directory("client"), identities.trust)
    assert answer.body is not None, answer.said
    assert json.loads(answer.body) == identities.fingerprint("client")
    for who, alert in (
        (None, "certificate_required" if version == "TLSv1.3" else "handshake_failure"),
        ("stranger", "unknown_ca"),
    ):
        refused = call(blocking, version, identities.directory(who) if who else None, identities.trust)
        assert (refused.body, refused.alert) == (None, alert), refused.said
