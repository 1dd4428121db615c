"""Connections in which a certificate is asked for when both already talk: TLS 1.2 anew, TLS 1.3 afterwards."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from OpenSSL import SSL

from twoway.credential import Credential
from twoway.wire.conversation import Conversation
from twoway.wire.events import Sender, WireMessage
from twoway.wire.keylog import Keylog

_NO_RESUMPTION_ON_RENEGOTIATION = 1 << 16  # OpenSSL's number for it; pyOpenSSL has no name


class Recorded(NamedTuple):
    """What travelled in one connection, in order, and its secrets."""

    chunks: tuple[tuple[Sender, bytes], ...]
    secrets: bytes

    def messages(self, keylog: Keylog | None = None) -> list[WireMessage]:
        conversation = Conversation(Keylog.read(self.secrets) if keylog is None else keylog)
        told: list[WireMessage] = []
        for at, (sender, data) in enumerate(self.chunks):
            told += conversation.feed(sender, data, at * 1000)
        return told + conversation.end("client") + conversation.end("server")


def _context(credential: Credential | None, secrets: list[bytes], suites: bytes) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(suites)
    context.set_options(_NO_RESUMPTION_ON_RENEGOTIATION)
    context.set_keylog_callback(lambda connection, line: secrets.append(line))
    if credential is not None:
        context.use_certificate(credential.chain[0])
        for above in credential.chain[1:]:
            context.add_extra_chain_cert(above)
        context.use_privatekey(credential.private_key)  # type: ignore[arg-type]
    return context


def renegotiated(
    server: Credential,
    client: Credential | None,
    *,
    asked: bool = True,
    refused: bool = False,
    suites: bytes = b"ECDHE-ECDSA-AES128-GCM-SHA256",
) -> Recorded:
    """One-way first; then the server asks to shake hands anew, and now for a certificate when `asked`.

    `refused` lets the client answer the request with no_renegotiation.
    """
    secrets: list[bytes] = []
    serving, calling = _context(server, [], suites), _context(client, secrets, suites)
    if refused:
        calling.set_options(SSL.OP_NO_RENEGOTIATION)
    one, two = SSL.Connection(calling, None), SSL.Connection(serving, None)
    one.set_connect_state()
    two.set_accept_state()
    chunks: list[tuple[Sender, bytes]] = []

    def carry() -> None:
        for sender, source, target in (("client", one, two), ("server", two, one)):
            try:
                while data := source.bio_read(65536):
                    chunks.append((sender, data))  # type: ignore[arg-type]
                    target.bio_write(data)
            except SSL.WantReadError:
                continue

    def turn(*ends: tuple[SSL.Connection, Callable[[], object]]) -> None:
        for _ in range(8):
            for _end, act in ends:
                try:
                    act()
                except SSL.WantReadError:
                    pass
                except SSL.Error:
                    assert refused  # OpenSSL's server takes no_renegotiation for the end
                carry()

    turn((one, one.do_handshake), (two, two.do_handshake))
    one.send(b"GET / HTTP/1.1\r\n\r\n")
    carry()
    two.recv(100)
    if asked:
        two.set_verify(SSL.VERIFY_PEER, lambda *facts: True)
    two.renegotiate()
    turn((two, two.do_handshake), (one, lambda: one.recv(1)), (two, lambda: two.recv(1)))
    if not refused:
        two.send(b"HTTP/1.1 200 OK\r\n\r\n")
        carry()
    return Recorded(tuple(chunks), b"\n".join(secrets))


def asked_later(server: Path, client: Path | None, ca: Path, keylog: Path) -> Recorded:
    """TLS 1.3, one-way first; the client says hello, and the server then asks for its certificate (§4.6.2)."""
    serving, calling = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    serving.load_cert_chain(server / "cert.pem", server / "key.pem")
    serving.post_handshake_auth = calling.post_handshake_auth = True
    for context in (serving, calling):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(ca)
    serving.verify_mode = ssl.CERT_OPTIONAL
    if client is not None:
        calling.load_cert_chain(client / "cert.pem", client / "key.pem")
    calling.keylog_filename = str(keylog)
    a_in, a_out, b_in, b_out = (ssl.MemoryBIO() for _ in range(4))
    one = calling.wrap_bio(a_in, a_out, server_hostname="localhost")
    two = serving.wrap_bio(b_in, b_out, server_side=True)
    chunks: list[tuple[Sender, bytes]] = []

    def carry() -> None:
        for sender, source, target in (("client", a_out, b_in), ("server", b_out, a_in)):
            if data := source.read():
                chunks.append((sender, data))  # type: ignore[arg-type]
                target.write(data)

    def turn(*acts: Callable[[], object]) -> None:
        for _ in range(4):
            for act in acts:
                with contextlib.suppress(ssl.SSLWantReadError):
                    act()
                carry()

    turn(one.do_handshake, two.do_handshake)
    one.write(b"GET / HTTP/1.1\r\n\r\n")
    turn(lambda: two.read(100))
    two.verify_client_post_handshake()
    turn(lambda: two.read(1), lambda: one.read(1))
    two.write(b"HTTP/1.1 200 OK\r\n\r\n")
    turn(lambda: one.read(100))
    return Recorded(tuple(chunks), keylog.read_bytes())
