"""Metrics in Prometheus' text format, health and readiness, over plain HTTP on the loopback."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from twoway.gateway import revocation_metrics
from twoway.gateway.addresses import Address
from twoway.gateway.admin import status
from twoway.gateway.loop import READ
from twoway.gateway.tally import Histogram
from twoway.server.running import CannotListen

if TYPE_CHECKING:
    from twoway.gateway.frontend import Frontend
    from twoway.gateway.running import Gateway

_MAX_REQUEST, _MAX_CLIENTS, _SECONDS = 8192, 16, 5.0
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def exposition(frontends: list[Frontend]) -> str:
    """All metrics of these listeners, in text format 0.0.4."""
    lines: list[str] = []
    for name, kind, help_, samples in _families(frontends):
        lines += [f"# HELP twoway_gateway_{name} {help_}", f"# TYPE twoway_gateway_{name} {kind}"]
        lines += [
            f"twoway_gateway_{name}{suffix}{{{_labels(labels)}}} {value}" for suffix, labels, value in samples
        ]
    return "\n".join(lines) + "\n"


_Samples = list[tuple[str, dict[str, str], float]]


def _families(frontends: list[Frontend]) -> Iterator[tuple[str, str, str, _Samples]]:
    def each(attribute: str) -> _Samples:
        return [("", {"listener": f.name}, getattr(f.tally, attribute)) for f in frontends]

    def by(attribute: str, label: str) -> _Samples:
        return [
            ("", {"listener": f.name, label: key}, count)
            for f in frontends
            for key, count in getattr(f.tally, attribute).items()
        ]

    yield "accepted_total", "counter", "Connections accepted.", each("accepted")
    yield "admitted_total", "counter", "Connections whose client was proven and let in.", each("admitted")
    yield "refused_total", "counter", "Connections refused, by the reason's code.", by("refused", "code")
    yield (
        "turned_away_total",
        "counter",
        "Connections closed by a limit before a handshake.",
        by("turned_away", "limit"),
    )
    yield "failed_total", "counter", "Connections that found no way to a target.", by("failed", "code")
    yield "ended_total", "counter", "Relayed connections that ended, and how.", by("ended", "how")
    yield "shadow_total", "counter", "What the shadow policy would have decided.", by("shadow", "decision")
    yield "silent_total", "counter", "Connections that said nothing in time.", each("silent")
    yield "cut_total", "counter", "Connections cut by a new generation.", each("cut")
    yield "resumed_total", "counter", "Handshakes that resumed a session.", each("resumed")
    yield "post_quantum_total", "counter", "Handshakes with a post-quantum group.", each("post_quantum")
    yield "bytes_up_total", "counter", "Bytes carried to targets.", each("bytes_up")
    yield "bytes_down_total", "counter", "Bytes carried to clients.", each("bytes_down")
    yield "reloads_total", "counter", "Generations swapped in.", each("reloads")
    yield "reloads_failed_total", "counter", "Reloads that were refused.", each("reloads_failed")
    yield (
        "open",
        "gauge",
        "Connections open now.",
        [("", {"listener": f.name}, len(f.connections)) for f in frontends],
    )
    yield "generation", "gauge", "The generation in force.", [("", {"listener": f.name}, f.material.number) for f in frontends]  # fmt: skip
    yield (
        "target_up",
        "gauge",
        "1 for a target that takes connections.",
        [
            ("", {"listener": f.name, "target": str(t.address)}, int(t.is_up))
            for f in frontends
            for t in f.backend.targets
        ],
    )
    yield (
        "certificate_expiry_seconds",
        "gauge",
        "When our own certificate ends, in seconds since 1970.",
        [
            (
                "",
                {"listener": f.name, "name": one["name"]},
                datetime.fromisoformat(one["not_after"]).timestamp(),
            )
            for f in frontends
            for one in f.status()["certificates"]
        ],
    )
    yield from revocation_metrics.families(frontends)
    yield (
        "connection_seconds",
        "histogram",
        "How long relayed connections lived.",
        [sample for f in frontends for sample in _histogram(f.name, f.tally.lives)],
    )


def _histogram(name: str, histogram: Histogram) -> _Samples:
    labels = {"listener": name}
    found: _Samples = [("_bucket", {**labels, "le": edge}, count) for edge, count in histogram.cumulative()]
    return [*found, ("_sum", labels, histogram.total), ("_count", labels, sum(histogram.counts))]


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{key}="{value.translate(_ESCAPES)}"' for key, value in labels.items())


class MetricsPage:
    """Answers GET /metrics, /health and /ready on the gateway's own loop; one request a connection."""

    def __init__(self, gateway: Gateway, address: Address) -> None:
        self._gateway = gateway
        family, place = address.resolve()
        self._sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if family != socket.AF_UNIX:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if gateway.options.workers > 1:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._sock.bind(place)
        except OSError as error:
            self._sock.close()
            raise CannotListen(
                address.path or address.host, address.port, error.strerror or str(error)
            ) from None
        self.port = int(self._sock.getsockname()[1]) if family != socket.AF_UNIX else 0
        self._clients: dict[int, tuple[socket.socket, bytearray]] = {}

    def start(self) -> None:
        self._sock.listen(16)
        self._gateway.loop.watch(self._sock.fileno(), self._on_accept, READ)

    def close(self) -> None:
        for sock, _ in self._clients.values():
            sock.close()
        self._sock.close()

    def _on_accept(self, _: int) -> None:
        try:
            sock, _address = self._sock.accept()
        except OSError:
            return
        if len(self._clients) >= _MAX_CLIENTS:
            sock.close()
            return
        sock.setblocking(False)
        fd = sock.fileno()
        self._clients[fd] = sock, bytearray()
        self._gateway.loop.watch(fd, lambda _: self._on_request(fd), READ)
        self._gateway.loop.later(_SECONDS, lambda: self._end(fd, sock))

    def _on_request(self, fd: int) -> None:
        sock, request = self._clients[fd]
        try:
            data = sock.recv(_MAX_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        request += data
        if data and b"\r\n\r\n" not in request and len(request) < _MAX_REQUEST:
            return
        if data:
            sock.setblocking(True)  # an answer of some kilobytes fits into the socket's buffer
            sock.settimeout(0.2)
            with contextlib.suppress(OSError):
                sock.sendall(self._answer(bytes(request)))
        self._end(fd, sock)

    def _end(self, fd: int, sock: socket.socket) -> None:
        held = self._clients.get(fd)
        if held is not None and held[0] is sock:
            del self._clients[fd]
            self._gateway.loop.close(sock)

    def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", "text/plain", b"only GET\n", method)
        if path == b"/metrics":
            body = exposition(self._gateway.frontends).encode()
            return _response("200 OK", "text/plain; version=0.0.4; charset=utf-8", body, method)
        if path == b"/health":
            return _response("200 OK", "application/json", b'{"status":"alive"}\n', method)
        if path == b"/ready":
            told = status(self._gateway)
            body = json.dumps({"ready": told["ready"], "draining": told["draining"]}).encode() + b"\n"
            return _response(
                "200 OK" if told["ready"] else "503 Service Unavailable", "application/json", body, method
            )
        return _response("404 Not Found", "text/plain", b"there are /metrics, /health and /ready\n", method)


def _response(status_line: str, kind: str, body: bytes, method: bytes) -> bytes:
    head = f"HTTP/1.1 {status_line}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (b"" if method == b"HEAD" else body)
