"""What is carried, how it ends, and that nothing is left over."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import select
import socket
import ssl
import struct
import threading
from pathlib import Path

import pytest

from tests.gateway.conftest import (
    Backend,
    Ledger,
    Pki,
    ask,
    context_of,
    descriptors,
    exactly,
    gateway_of,
    plain,
    running,
    until,
    wrap,
)
from twoway.gateway.addresses import Address
from twoway.gateway.proxy_v2 import SSL_CLIENT_CERT, SSL_CN, decode

LARGE = 8 << 20


def test_megabytes_pass_unchanged_both_ways_at_once(pki: Pki, backend: Backend):
    """Full duplex: the echo is read while more is sent; not a byte differs."""
    data = hashlib.shake_128(b"twoway").digest(LARGE)
    with running(gateway_of(pki, backend)) as gateway, wrap(gateway.ports[0], context_of(pki)) as sock:
        sock.setblocking(False)
        sent, got = 0, bytearray()
        while len(got) < LARGE:
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                while sent < LARGE:
                    sent += sock.send(data[sent : sent + 65536])
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                while part := sock.recv(262144):
                    got += part
            if len(got) < LARGE:
                select.select([sock], [sock] if sent < LARGE else [], [], 10)
    assert bytes(got) == data
    assert backend.everything == data


@pytest.mark.parametrize("size", [1, 100, 1023, 1024, 16384, 16385, 65536, 65537])
def test_messages_of_every_size_come_back(pki: Pki, backend: Backend, size: int):
    """Around the bounds of records and buffers nothing is lost or held back."""
    with running(gateway_of(pki, backend)) as gateway, wrap(gateway.ports[0], context_of(pki)) as sock:
        for round_ in range(4):
            message = bytes([round_]) * size
            assert ask(sock, message) == message


def test_several_records_in_one_segment_all_arrive(pki: Pki, backend: Backend):
    """Records that arrive together with the end of the handshake are carried without waiting for more."""
    with running(gateway_of(pki, backend)) as gateway:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context_of(pki).wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", gateway.ports[0]), 10) as sock:
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
            for number in range(40):
                client.write(bytes([number]) * 10)
            sock.sendall(outgoing.read())
            got = b""
            while len(got) < 400:
                try:
                    got += client.read(4096)
                except ssl.SSLWantReadError:
                    incoming.write(sock.recv(65536))
    assert got == b"".join(bytes([number]) * 10 for number in range(40))


def test_a_slow_reader_stops_the_sender_instead_of_filling_memory(pki: Pki):
    """Back-pressure: while the client does not read, the backend cannot send without end."""
    backend = Backend(echo=False)
    try:
        with running(gateway_of(pki, backend)) as gateway, wrap(gateway.ports[0], context_of(pki)) as sock:
            sock.sendall(b"go")
            until(lambda: backend.accepted)
            far = backend.accepted[0]
            far.setblocking(False)
            sent, block = 0, b"x" * 65536
            try:
                while sent < 256 << 20:
                    sent += far.send(block)
            except BlockingIOError:
                pass
            assert sent < 64 << 20
            until(lambda: next(iter(gateway.frontends[0].connections)).relay is not None)
            relay = next(iter(gateway.frontends[0].connections)).relay
            assert relay is not None
            assert len(relay.down.pending or b"") <= 65536
            far.setblocking(True)
            threading.Thread(
                target=lambda: (far.sendall(b"end"), far.shutdown(socket.SHUT_WR)), daemon=True
            ).start()
            total, last = 0, b""
            while part := sock.recv(262144):
                total, last = total + len(part), part
            assert last.endswith(b"end")
            assert total == sent + 3
    finally:
        backend.close()


def test_half_close_from_the_client_still_gets_its_answer(pki: Pki):
    """After close_notify the backend sees the end, answers, and the answer arrives."""
    backend = Backend(echo=False)
    try:
        with running(gateway_of(pki, backend)) as gateway:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = context_of(pki).wrap_bio(incoming, outgoing, server_hostname="localhost")
            with socket.create_connection(("127.0.0.1", gateway.ports[0]), 10) as sock:
                while True:
                    try:
                        client.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        sock.sendall(outgoing.read())
                        incoming.write(sock.recv(65536))
                client.write(b"question")
                with pytest.raises(ssl.SSLWantReadError):
                    client.unwrap()
                sock.sendall(outgoing.read())
                sock.shutdown(socket.SHUT_WR)
                until(lambda: backend.accepted)
                far = backend.accepted[0]
                assert exactly(far, 100) == b"question"  # and then its end
                far.sendall(b"answer")
                far.close()
                while data := sock.recv(65536):
                    incoming.write(data)
                incoming.write_eof()
                # Python's own object refuses to read after unwrap: the answer is in there, under TLS, and
                # its close_notify ended the stream properly.
                assert until(lambda: gateway.frontends[0].tally.ended["closed"] == 1)
                assert gateway.frontends[0].tally.bytes_down == 6
    finally:
        backend.close()


def test_the_backend_ends_and_the_client_hears_a_proper_end(pki: Pki):
    """The backend's FIN becomes close_notify: the client reads b"", not an error."""
    backend = Backend(echo=False)
    try:
        with running(gateway_of(pki, backend)) as gateway, wrap(gateway.ports[0], context_of(pki)) as sock:
            sock.sendall(b"hello")
            until(lambda: backend.accepted)
            backend.accepted[0].sendall(b"bye")
            backend.accepted[0].shutdown(socket.SHUT_WR)
            assert sock.recv(10) == b"bye"
            assert sock.recv(10) == b""
    finally:
        backend.close()


def test_a_backend_that_breaks_is_no_proper_end(pki: Pki):
    """A reset behind the gateway is a failure in front of it: never close_notify, so nothing looks complete."""
    backend = Backend(echo=False)
    try:
        with running(gateway_of(pki, backend)) as gateway, wrap(gateway.ports[0], context_of(pki)) as sock:
            sock.sendall(b"hello")
            until(lambda: backend.accepted)
            far = backend.accepted[0]
            assert exactly(far, 5) == b"hello"
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            far.close()
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                assert sock.recv(10) != b""
            until(lambda: gateway.frontends[0].tally.ended["reset"] == 1)
    finally:
        backend.close()


def test_a_truncated_stream_reaches_the_backend_as_a_failure(pki: Pki):
    """A FIN without close_notify is truncation: the backend's connection is reset, and the log names it."""
    backend, ledger = Backend(echo=False), Ledger()
    try:
        with running(gateway_of(pki, backend, ledger=ledger)) as gateway:
            sock = wrap(gateway.ports[0], context_of(pki))
            sock.sendall(b"half of a mess")
            until(lambda: backend.accepted)
            far = backend.accepted[0]
            assert exactly(far, 14) == b"half of a mess"
            sock.shutdown(socket.SHUT_WR)  # of the socket below: no close_notify
            sock.close()
            with pytest.raises(ConnectionResetError):
                far.recv(10)
            until(lambda: gateway.frontends[0].tally.ended["truncated"] == 1)
    finally:
        backend.close()


def test_a_unix_socket_behind(pki: Pki, tmp_path: Path):
    """The target may be a UNIX socket."""
    backend = Backend(path=tmp_path / "app.sock")
    try:
        with running(gateway_of(pki, backend)) as gateway, wrap(gateway.ports[0], context_of(pki)) as sock:
            assert ask(sock) == b"ping"
    finally:
        backend.close()


def test_proxy_protocol_tells_who_called(pki: Pki):
    """The first bytes at the backend are a PROXY v2 header with the client's address and certificate."""
    backend = Backend(echo=False)
    try:
        with running(gateway_of(pki, backend, proxy_protocol=True)) as gateway:
            with wrap(gateway.ports[0], context_of(pki)) as sock:
                sock.sendall(b"body")
                until(lambda: backend.accepted)
                data = b""
                while (found := decode(data)) is None or len(data) < found[1] + 4:
                    data += backend.accepted[0].recv(65536)
                header, length = found
                assert header.source == sock.getsockname()
                assert header.destination == ("127.0.0.1", gateway.ports[0])
                assert data[length:] == b"body"
                assert header.verify == 0
                assert header.flags == 7
                assert header.tls[SSL_CN] == b"orders"
                assert header.tls[SSL_CLIENT_CERT] == pki.client.leaf.public_bytes(__import__("cryptography").hazmat.primitives.serialization.Encoding.DER)  # fmt: skip
    finally:
        backend.close()


def test_plain_in_mutual_tls_out(pki: Pki, backend: Backend):
    """A plain client gets the gateway's identity: two gateways make a tunnel."""
    with running(gateway_of(pki, backend, allow=["cn=orders"])) as inner:
        target = Address(host="localhost", port=inner.ports[0])
        with running(gateway_of(pki, target, kind="client", identity=pki.client)) as outer:
            for _ in range(3):
                with socket.create_connection(("127.0.0.1", outer.ports[0]), 10) as sock:
                    sock.sendall(b"ping")
                    assert exactly(sock, 4) == b"ping"
                until(lambda: not outer.frontends[0].connections)
        assert inner.frontends[0].tally.resumed == 2


def test_a_target_that_proves_another_name_gets_nothing(pki: Pki, backend: Backend):
    """Mutual TLS out checks the name of the target before a byte leaves."""
    ledger = Ledger()
    with running(gateway_of(pki, backend)) as inner:
        target = Address(host="127.0.0.1", port=inner.ports[0])
        more = {"kind": "client", "identity": pki.client, "server_name": "other.example"}
        with running(gateway_of(pki, target, ledger=ledger, **more)) as outer:
            assert plain(outer.ports[0], b"secret") == b""  # a reset
    assert "other.example" in ledger.named("no-way")[0]["sentence"]
    assert backend.everything == b""


def test_a_target_that_is_down_is_passed_over(pki: Pki, backend: Backend):
    """With several targets the next one is tried within the same connection; the log tells once."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = Address(host="127.0.0.1", port=gone.getsockname()[1])
    ledger = Ledger()
    with running(gateway_of(pki, dead, backend, ledger=ledger)) as gateway:
        for _ in range(4):
            with wrap(gateway.ports[0], context_of(pki)) as sock:
                assert ask(sock) == b"ping"
        assert [target.is_up for target in gateway.frontends[0].backend.targets] == [False, True]
    assert len(ledger.named("target-down")) == 1


def test_a_target_that_comes_back_is_used_again(pki: Pki):
    """A check of its own finds out; nobody has to be refused for it."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    ledger = Ledger()
    with running(gateway_of(pki, Address(host="127.0.0.1", port=port), ledger=ledger)) as gateway:
        with (
            wrap(gateway.ports[0], context_of(pki)) as sock,
            pytest.raises((ConnectionResetError, ssl.SSLError)),
        ):
            sock.sendall(b"x")
            assert sock.recv(1)
        until(lambda: ledger.named("no-way"))
        backend = Backend(port=port)
        try:
            until(lambda: ledger.named("target-up"))
            with wrap(gateway.ports[0], context_of(pki)) as sock:
                assert ask(sock) == b"ping"
        finally:
            backend.close()


def test_nothing_is_left_over(pki: Pki, backend: Backend):
    """After refusals, resets, garbage and 60 good connections the descriptors are those of before."""
    with running(gateway_of(pki, backend)) as gateway:
        frontend, port = gateway.frontends[0], gateway.ports[0]
        gc.collect()
        base = descriptors()
        for _ in range(20):
            for context in (context_of(pki), context_of(pki, "stranger")):
                try:
                    with wrap(port, context) as sock:
                        ask(sock)
                except (ssl.SSLError, ConnectionResetError):
                    pass
            with socket.create_connection(("127.0.0.1", port), 10) as sock:
                sock.sendall(b"\x16\x03\x01garbage" * 10)
            with socket.create_connection(("127.0.0.1", port), 10) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until(lambda: not frontend.connections)
        for sock in backend.accepted:
            sock.close()
        gc.collect()
        until(lambda: descriptors() <= base)
