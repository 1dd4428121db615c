"""Servers that no client should believe, and identities that no server should: each fault alone."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.pki import Issuer
from twoway.credential import certificate_pem, generate_key, private_key_pem

PLAIN_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@dataclass(frozen=True)
class Misfits:
    """Directories of identities by what is wrong with them, and the one bundle that all of them lead to."""

    place: Path

    @property
    def trust(self) -> Path:
        return self.place / "ca.pem"

    def directory(self, who: str) -> Path:
        return self.place / who

    @classmethod
    def made(cls, place: Path) -> Misfits:
        root = Issuer.root("Acme Root")
        here = {"dns": ("localhost",), "purpose": "server"}
        leaves = {
            "sound": root.leaf("localhost", **here),  # type: ignore[arg-type]
            "expired": root.leaf("localhost", start=-60, days=-30, **here),  # type: ignore[arg-type]
            "elsewhere": root.leaf("elsewhere.example", dns=("elsewhere.example",), purpose="server"),
            "foreign": Issuer.root("Other Root").leaf("localhost", **here),  # type: ignore[arg-type]
            "mismatched": root.leaf("orders"),
        }
        for who, credential in leaves.items():
            credential.save(place / who)
        (place / "mismatched" / "key.pem").write_bytes(private_key_pem(generate_key("p256")))
        (place / "ca.pem").write_bytes(certificate_pem(root.certificate))
        return cls(place)


@contextlib.contextmanager
def serving(own: Path) -> Iterator[int]:
    """An HTTPS server that asks nobody who they are, with this identity."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own / "cert.pem", own / "key.pem")

    def one(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            if tls.recv(4096):
                tls.sendall(PLAIN_ANSWER)

    with _accepting(one) as port:
        yield port


@contextlib.contextmanager
def serving_plain_http() -> Iterator[int]:
    """What answers where somebody forgot to switch TLS on."""

    def one(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with _accepting(one) as port:
        yield port


@contextlib.contextmanager
def _accepting(one: Callable[[socket.socket], None]) -> Iterator[int]:
    listener, stop = socket.create_server(("127.0.0.1", 0)), threading.Event()
    listener.settimeout(0.05)

    def serve(sock: socket.socket) -> None:
        sock.settimeout(5)
        with sock, contextlib.suppress(OSError):
            one(sock)

    def loop() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stop.set()
        thread.join(10)
        listener.close()
