"""The TLS-terminating proxies that the gateway is measured against: one worker each, the same certificates."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.serve import free_port


@dataclass
class Rival:
    """A program, its version and TLS library, and how it is started in front of `backend` on `port`."""

    name: str
    version: str
    command: list[str]
    port: int


def rivals(place: Path, backend: int) -> list[Rival]:
    """Ourselves and whichever of the others is installed; their configuration files lie in `place`."""
    found = [twoway(place, backend)]
    for make in (_nginx, _haproxy, _hitch, _stunnel):
        rival = make(place, free_port(), backend)
        if rival is not None:
            found.append(rival)
    return found


def twoway(place: Path, backend: int, *extra: str) -> Rival:
    port = free_port()
    from importlib.metadata import version

    from twoway.tls.library import version as library

    command = [
        str(Path(sys.executable).parent / "twoway"), "gateway", "server", "--listen", f"127.0.0.1:{port}",
        "--target", f"127.0.0.1:{backend}", "--identity", str(place / "api"), "--no-access-log",
        *(extra or ("--allow-anyone-proven",)),
    ]  # fmt: skip
    return Rival("twoway", f"{version('twoway')}, {library()}", command, port)


def find_program(name: str) -> str | None:
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def version_of(command: list[str], *patterns: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    return ", ".join(match[0] for pattern in patterns if (match := re.search(pattern, text)))


LIBRARY = r"OpenSSL \d[\w.]+"


def _nginx(place: Path, port: int, backend: int) -> Rival | None:
    program, module = find_program("nginx"), Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    if program is None or not module.exists():
        return None
    (place / "nginx.conf").write_text(f"""
load_module {module};
worker_processes 1; daemon off; pid {place}/nginx.pid; error_log {place}/nginx.err error;
events {{ worker_connections 16384; }}
stream {{ server {{
  listen 127.0.0.1:{port} ssl;
  ssl_certificate {place}/api/cert.pem; ssl_certificate_key {place}/api/key.pem;
  ssl_client_certificate {place}/api/ca.pem; ssl_verify_client on; ssl_verify_depth 3;
  ssl_protocols TLSv1.2 TLSv1.3;
  proxy_pass 127.0.0.1:{backend};
}} }}
""")
    version = version_of([program, "-V"], r"nginx/[\d.]+", LIBRARY)
    return Rival("nginx", version, [program, "-c", f"{place}/nginx.conf", "-p", str(place)], port)


def _haproxy(place: Path, port: int, backend: int) -> Rival | None:
    program = find_program("haproxy")
    if program is None:
        return None
    _combined(place)
    (place / "haproxy.cfg").write_text(f"""
global
  nbthread 1
  maxconn 6000
defaults
  mode tcp
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend in
  bind 127.0.0.1:{port} ssl crt {place}/both.pem ca-file {place}/api/ca.pem verify required
  default_backend out
backend out
  server one 127.0.0.1:{backend}
""")
    version = version_of([program, "-vv"], r"version [\d.]+", LIBRARY)
    return Rival("haproxy", version, [program, "-f", f"{place}/haproxy.cfg"], port)


def _hitch(place: Path, port: int, backend: int) -> Rival | None:
    program = find_program("hitch")
    if program is None:
        return None
    _combined(place)
    (place / "hitch.conf").write_text(f"""
frontend = "[127.0.0.1]:{port}"
backend = "[127.0.0.1]:{backend}"
pem-file = "{place}/both.pem"
client-verify = required
client-verify-ca = "{place}/api/ca.pem"
workers = 1
daemon = off
user = "nobody"
group = "nogroup"
alpn-protos = "http/1.1"
""")
    return Rival(
        "hitch",
        version_of([program, "--version"], r"[\d.]+"),
        [program, f"--config={place}/hitch.conf"],
        port,
    )


def _stunnel(place: Path, port: int, backend: int) -> Rival | None:
    program = find_program("stunnel4") or find_program("stunnel")
    if program is None:
        return None
    _combined(place)
    (place / "stunnel.conf").write_text(f"""
foreground = yes
pid =
debug = 3
[one]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{backend}
cert = {place}/both.pem
CAfile = {place}/api/ca.pem
verifyChain = yes
requireCert = yes
""")
    version = version_of([program, "-version"], r"stunnel [\d.]+", LIBRARY)
    return Rival("stunnel", version.replace("stunnel ", ""), [program, f"{place}/stunnel.conf"], port)


def _combined(place: Path) -> None:
    both = (place / "api" / "cert.pem").read_bytes() + (place / "api" / "key.pem").read_bytes()
    (place / "both.pem").write_bytes(both)
    place.chmod(0o755)


@contextlib.contextmanager
def started(rival: Rival, place: Path, answers: Callable[[], None]) -> Iterator[int]:
    """The rival running, once `answers` no longer raises; its process number. Ends it afterwards."""
    log = place / f"{rival.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(rival.command, cwd=place, stdout=output, stderr=output)
    try:
        for _ in range(500):
            if process.poll() is not None:
                raise RuntimeError(f"{rival.name} ended: {log.read_text()[-2000:]}")
            try:
                answers()
                break
            except OSError:
                time.sleep(0.02)
        else:
            raise RuntimeError(f"{rival.name} does not answer: {log.read_text()[-2000:]}")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
