"""An HTTP server of the tests: answers what it is told to, and remembers what it was asked."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Answer = bytes | Callable[["Request"], "bytes | None"]


class Request:
    """One request, and the connection it came on, for answers that are none."""

    def __init__(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        self.method, self.path = handler.command, handler.path
        self.headers = dict(handler.headers)
        self.body = handler.rfile.read(length)
        self.send = handler.wfile.write


class Responder:
    """Serves `answers` by path; `status` for everything; a callable that returns None has answered itself."""

    def __init__(self, **answers: Answer) -> None:
        self.answers: dict[str, Answer] = {f"/{name}": answer for name, answer in answers.items()}
        self.status = 200
        self.asked: list[Request] = []
        self.url = ""

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        request = Request(handler)
        self.asked.append(request)
        answer: Any = self.answers.get(request.path)
        body = answer(request) if callable(answer) else answer
        if body is None and callable(answer):
            return
        handler.send_response(self.status if body is not None else 404)
        if 300 <= self.status < 400:
            handler.send_header("Location", self.url)
        handler.send_header("Content-Length", str(len(body or b"")))
        handler.end_headers()
        handler.wfile.write(body or b"")


@contextmanager
def responding(responder: Responder) -> Iterator[Responder]:
    """The server at work on a free port of the loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            responder.answer(self)

        def do_POST(self) -> None:
            responder.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a caller that hangs up, which is what some tests are about

    with Server(("127.0.0.1", 0), Handler) as server:
        responder.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield responder
        finally:
            server.shutdown()
            thread.join(10)
