"""What a live explanation adds to a handshake, and how many handshakes of a capture are told in a second."""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.pki import Issuer
from tests.server.conftest import Ledger, tell
from twoway.explainer.captured import handshakes_in
from twoway.explainer.json_face import as_dict
from twoway.explainer.live import decode, watch
from twoway.explainer.page import as_html
from twoway.server import background
from twoway.tls import ClientContext, ClientSettings, TlsSocket
from twoway.tls.recording import KeyLog, RecordedSocket, Recording
from twoway.wire.pcapng_writer import write_recording

HANDSHAKES, ROUNDS = 10_000, 40
TARGET_MS, TARGET_RATE = 50, 200


def main() -> None:
    root = Issuer.root("Acme Root")
    issuing = root.below("Acme Issuing")
    server = issuing.leaf("localhost", dns=("localhost",), purpose="server")
    client = issuing.leaf("orders")
    with background(tell, identity=server, journal=Ledger()) as running:
        port = running.port
        context = ClientContext(ClientSettings(client))
        plain = [timed(lambda: TlsSocket.connect("localhost", port, context).close()) for _ in range(ROUNDS)]
        told = [timed(lambda: watch(f"localhost:{port}", identity=client)) for _ in range(ROUNDS)]
        recording, secrets = recorded(port, client)
    added = (statistics.median(told) - statistics.median(plain)) * 1000
    print(
        f"handshake {statistics.median(plain) * 1000:.1f} ms, explained {statistics.median(told) * 1000:.1f} ms"
    )
    print(
        f"a live explanation adds {added:.1f} ms (target: under {TARGET_MS} ms), hearing the server's judgement included"
    )
    rate, grown = captured(recording, secrets)
    print(f"a capture of {HANDSHAKES} handshakes: {rate:.0f} told a second (target: {TARGET_RATE} or more)")
    print(f"memory grew by {grown / 1024:.1f} MiB from the first thousand to the last")
    messages = decode(recording, secrets)
    print(
        f"one handshake: {len(messages)} messages decoded in {best(lambda: decode(recording, secrets)) * 1000:.2f} ms"
    )
    transcript = watch_again(recording, secrets)
    now = datetime.now(UTC)
    page = best(lambda: as_html(transcript, now=now))
    print(
        f"its page: {len(as_html(transcript, now=now)) / 1000:.0f} kB in {page * 1000:.1f} ms; JSON {best(lambda: as_dict(transcript)) * 1000:.1f} ms"
    )


def timed(what) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def best(what) -> float:
    return min(timed(what) for _ in range(10))


def recorded(port: int, client) -> tuple[Recording, bytes]:
    import socket

    from twoway.tls import Session

    context = ClientContext(ClientSettings(client))
    log, recording = KeyLog(context), Recording("client")
    sock = RecordedSocket.around(socket.create_connection(("localhost", port)), recording)
    with TlsSocket(sock, Session(context, server_name="localhost")) as connection:
        connection.handshake()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv()
    return recording, log.text()


def watch_again(recording: Recording, secrets: bytes):
    from twoway.explainer.telling import Knowledge, tell

    return tell(decode(recording, secrets), Knowledge("client", "server", recording.began))


def captured(recording: Recording, secrets: bytes) -> tuple[float, int]:
    """Handshakes a second, and how much the process grew between the first and the last thousand (KiB)."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "many.pcapng"
        chunks = [(c.sender, c.data, c.at_us) for c in recording.chunks]
        with path.open("wb") as file:
            for number in range(HANDSHAKES):
                began = recording.began + timedelta(milliseconds=number)
                client = (f"127.0.{number // 30000}.1", 20000 + number % 30000)
                file.write(
                    write_recording(chunks, client, began=began, secrets=secrets if not number else None)
                )
        with path.open("rb") as file:
            count, early = 0, 0
            began_at = time.perf_counter()
            for _ in handshakes_in(file):
                count += 1
                if count == 1000:
                    early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            seconds = time.perf_counter() - began_at
        assert count == HANDSHAKES, count
        return count / seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - early
