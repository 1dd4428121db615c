"""Servers of mutual TLS that say whom they saw: a listener for any protocol, and the real ones."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests import postgres
from tests.conftest import judge
from tests.tls.conftest import Pki
from twoway.tls import server_context


def common_name(certificate: Any) -> str:
    return dict(part[0] for part in certificate["subject"])["commonName"]


class Front:
    """A TLS listener: each connection's certificate is noted, and then `talk` has the connection."""

    def __init__(self, pki: Pki, talk: Callable[[Any], None], before: Callable[[Any], None] | None) -> None:
        self.host, self.seen = "localhost", list[str]()
        self._talk, self._before, self._context = talk, before, server_context(pki.server)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError):
                sock.settimeout(10)
                if self._before is not None:
                    self._before(sock)
                with self._context.wrap_socket(sock, server_side=True) as talking:
                    self.seen.append(common_name(talking.getpeercert()))
                    self._talk(talking)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(15)


@contextlib.contextmanager
def front(
    pki: Pki, talk: Callable[[ssl.SSLSocket], None], before: Callable[[socket.socket], None] | None = None
) -> Iterator[Front]:
    found = Front(pki, talk, before)
    try:
        yield found
    finally:
        found.close()


def in_lines(greeting: bytes, answers: Callable[[bytes], bytes]) -> Callable[[Any], None]:
    """A protocol of lines: a greeting, and an answer to each line."""

    def talk(sock: Any) -> None:
        if greeting:
            sock.sendall(greeting)
        with sock.makefile("rb") as file:
            for line in file:
                sock.sendall(answers(line))

    return talk


def listening(port: int, process: subprocess.Popen[Any]) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, "it ended"
            assert time.monotonic() < end, "it does not listen"
            time.sleep(0.02)


@contextlib.contextmanager
def running(port: int, *command: Any) -> Iterator[None]:
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    try:
        listening(port, process)
        yield
    finally:
        process.terminate()
        process.wait(20)


def redis_server(api: Path, port: int) -> contextlib.AbstractContextManager[None]:
    """A real Redis that speaks nothing but mutual TLS."""
    return running(
        port, judge("redis-server"), "--port", 0, "--tls-port", port, "--bind", "127.0.0.1",
        "--tls-cert-file", api / "cert.pem", "--tls-key-file", api / "key.pem",
        "--tls-ca-cert-file", api / "ca.pem", "--tls-auth-clients", "yes", "--save", "",
        "--dir", api, "--logfile", api / "redis.log",
    )  # fmt: skip


def nats_server(api: Path, port: int) -> contextlib.AbstractContextManager[None]:
    """A real NATS server whose users are the names in certificates: "orders" alone is one."""
    (api / "nats.conf").write_text(
        f'listen: "127.0.0.1:{port}"\n'
        f'tls {{ cert_file: "{api}/cert.pem", key_file: "{api}/key.pem", ca_file: "{api}/ca.pem",'
        " verify_and_map: true }\n"
        'authorization { users: [ {user: "CN=orders"} ] }\n'
        f'log_file: "{api}/nats.log"\n'
    )
    return running(port, judge("nats-server"), "-c", api / "nats.conf")


@contextlib.contextmanager
def postgres_server(pki: Pki, port: int) -> Iterator[postgres.Server]:
    """A real PostgreSQL whose users come with a certificate of their name."""
    with postgres.server(listen_addresses="127.0.0.1", port=str(port)) as found:
        files = pki.server.save(found.directory / "api")
        owner = found.directory.stat().st_uid
        for path in (files, *files.iterdir()):
            os.chown(path, owner, -1)
        (found.directory / "data" / "pg_hba.conf").write_text(
            "local all all trust\nhostssl all all 127.0.0.1/32 cert clientcert=verify-full\n"
        )
        with found.connect() as connection:
            connection.execute("CREATE ROLE orders LOGIN")
            for name, value in (
                ("ssl_cert_file", files / "cert.pem"),
                ("ssl_key_file", files / "key.pem"),
                ("ssl_ca_file", files / "ca.pem"),
                ("ssl", "on"),
            ):
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")  # type: ignore[arg-type]
            connection.execute("SELECT pg_reload_conf()")
        yield found
