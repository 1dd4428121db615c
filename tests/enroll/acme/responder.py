"""The world outside, for tests: a DNS, a web server and a TLS server on loopback, each in a thread."""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class World:
    """What the outside says. Names that are not in `addresses` lead to loopback, unless `exists` is false."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.texts: dict[str, list[str]] = {}
        self.missing: set[str] = set()
        self.pages: dict[str, Any] = {}
        """By path: the body, or `(status, headers, body)`."""
        self.asked: list[tuple[str, str]] = []
        self.requests: list[tuple[str, str]] = []
        self.handshakes: list[str] = []
        self.certificate: ssl.SSLContext | None = None
        self.dns_port = self.http_port = self.tls_port = 0

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), question.rdtype
        self.asked.append((name, dns.rdatatype.to_text(kind)))
        if name in self.missing:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            return reply
        found: list[str] = []
        if kind == dns.rdatatype.TXT:
            found = [f'"{text}"' for text in self.texts.get(name, [])]
        elif kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            known = self.addresses.get(name, ["127.0.0.1"])
            # One that changes its mind at every question: the last but one, then the last, …
            if known and known[0] == "next":
                known = [known.pop(1) if len(known) > 2 else known[1]]
            found = [each for each in known if (":" in each) == (kind == dns.rdatatype.AAAA)]
        if found:
            reply.answer.append(
                dns.rrset.from_text(question.name, 0, "IN", dns.rdatatype.to_text(kind), *found)
            )
        return reply


class _Dns(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        reply = self.server.world.answer(dns.message.from_wire(data))  # type: ignore[attr-defined]
        sock.sendto(reply.to_wire(), self.client_address)


class _Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        world: World = self.server.world  # type: ignore[attr-defined]
        world.requests.append((self.headers["Host"], self.path))
        page = world.pages.get(self.path, (404, {}, b"nothing"))
        status, headers, body = page if isinstance(page, tuple) else (200, {}, page)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Tls(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        world: World = self.server.world  # type: ignore[attr-defined]
        world.handshakes.append("connected")
        if world.certificate is None:
            return
        with (
            contextlib.suppress(OSError),
            world.certificate.wrap_socket(self.request, server_side=True) as line,
        ):
            line.recv(1)


class _Threading(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextlib.contextmanager
def outside() -> Iterator[World]:
    world = World()
    servers: list[Any] = [
        socketserver.ThreadingUDPServer(("127.0.0.1", 0), _Dns),
        _Threading(("127.0.0.1", 0), _Web),
        _Threading(("127.0.0.1", 0), _Tls),
    ]
    world.dns_port, world.http_port, world.tls_port = (each.server_address[1] for each in servers)
    threads = []
    for server in servers:
        server.world = world
        threads.append(threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}))
        threads[-1].start()
    try:
        yield world
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()


@contextlib.contextmanager
def listener(host: str = "127.0.0.1") -> Iterator[tuple[int, list[object]]]:
    """A port that must not be connected to: what arrived there, to be asserted empty."""
    arrived: list[object] = []
    with socket.create_server((host, 0)) as sock:
        sock.settimeout(0.05)
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    line, address = sock.accept()
                    line.close()
                    arrived.append(address)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield sock.getsockname()[1], arrived
        finally:
            over.set()
            thread.join()
