"""Other people's programs on both sides: curl and httpx2 in front, nginx and uvicorn behind, a process of ours between."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509

from tests.conftest import judge
from tests.gateway.http.conftest import Pki, context_of, http_gateway, running, until
from twoway.credential import chain_pem
from twoway.gateway.addresses import Address

pytestmark = pytest.mark.judge

_NGINX = """
{user} daemon off; worker_processes 1; pid {place}/nginx.pid; error_log {place}/error.log error;
events {{ worker_connections 64; }}
http {{
  access_log {place}/access.log; client_body_temp_path {place}/1; proxy_temp_path {place}/2; fastcgi_temp_path {place}/3;
  uwsgi_temp_path {place}/4; scgi_temp_path {place}/5; client_max_body_size 64m;
  server {{
    listen 127.0.0.1:{port}; root {place}/files; default_type text/plain;
    location = /who {{ return 200 "$http_x_client $http_x_forwarded_proto $http_client_cert"; }}
    location = /short {{ keepalive_timeout 0; return 200 "closed"; }}
    location = /upload {{ client_body_in_file_only clean; proxy_pass http://127.0.0.1:{port}/ok; }}
    location = /ok {{ return 200 "ok"; }}
  }}
}}
"""
_APPLICATION = """
import json
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    headers = [(name.decode(), value.decode()) for name, value in scope["headers"]]
    body = json.dumps({"method": scope["method"], "path": scope["raw_path"].decode(), "size": size, "headers": headers}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    for at in range(0, len(body), 100):
        await send({"type": "http.response.body", "body": body[at : at + 100], "more_body": True})
    await send({"type": "http.response.body"})
"""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _started(command: list[str], port: int, place: Path) -> Iterator[Address]:
    process = subprocess.Popen(command, cwd=place)
    try:
        until(lambda: _listens(port))
        yield Address(host="127.0.0.1", port=port)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Address]:
    program, port = judge("nginx"), _free_port()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "big").write_bytes(bytes(i % 251 for i in range(5_000_000)))
    (tmp_path / "nginx.conf").write_text(
        _NGINX.format(user="user root;" if os.getuid() == 0 else "", place=tmp_path, port=port)
    )
    with _started([program, "-c", f"{tmp_path}/nginx.conf", "-p", str(tmp_path)], port, tmp_path) as address:
        yield address


@pytest.fixture
def uvicorn(tmp_path: Path) -> Iterator[Address]:
    port = _free_port()
    (tmp_path / "application.py").write_text(_APPLICATION)
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "application:app",
        "--port",
        str(port),
        "--log-level",
        "error",
    ]
    with _started(command, port, tmp_path) as address:
        yield address


@pytest.fixture
def identity(pki: Pki, tmp_path: Path) -> list[str]:
    pki.client.save(tmp_path / "orders")
    (tmp_path / "orders" / "ca.pem").write_bytes(chain_pem((pki.root.certificate,)))
    place = tmp_path / "orders"
    return ["--cert", f"{place}/cert.pem", "--key", f"{place}/key.pem", "--cacert", f"{place}/ca.pem"]


def _curl(identity: list[str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [judge("curl"), "-q", "-sS", "--max-time", "30", *identity, *arguments],
        capture_output=True,
        check=False,
    )


def test_curl_downloads_from_nginx_whole_in_ranges_and_not_at_all(
    pki: Pki, nginx: Address, identity: list[str], tmp_path: Path
):
    """5 MB, a range, a HEAD and a conditional request over one connection."""
    big = (tmp_path / "files" / "big").read_bytes()
    with running(http_gateway(pki, nginx, headers=["X-Client=cn"])) as gateway:
        url = f"https://localhost:{gateway.ports[0]}"
        assert _curl(identity, f"{url}/big").stdout == big
        assert _curl(identity, "-r", "100-199", f"{url}/big").stdout == big[100:200]
        head = _curl(identity, "-I", f"{url}/big").stdout
        assert b"Content-Length: 5000000" in head
        tag = re.search(rb"ETag: (\S+)", head)
        assert tag is not None
        told = _curl(
            identity, "-w", "%{http_code} %{num_connects} ", "-o", "/dev/null", "-H", f"If-None-Match: {tag[1].decode()}", f"{url}/big",
            "--next", "-q", "-sS", *identity, "-w", "%{http_code} %{num_connects} ", "-o", "/dev/null", f"{url}/short",
            "--next", "-q", "-sS", *identity, "-w", "%{http_code} %{num_connects}", "-o", "/dev/null", f"{url}/who",
        )  # fmt: skip
        # nginx hangs up after /short; the client's connection does not notice.
        assert told.stdout == b"304 1 200 0 200 0"
        who = _curl(identity, "-H", "X-Client: admin", "-H", "X_Client: admin", f"{url}/who").stdout
        assert who.startswith(b"orders https :")
        leaf = x509.load_der_x509_certificate(base64.b64decode(who.split(b":")[1]))
        assert leaf == pki.client.leaf
    # What went out was kept alive: nginx saw several requests on one connection.
    assert (tmp_path / "access.log").read_text().count("\n") >= 6


@pytest.mark.parametrize(
    "how", [[], ["-H", "Expect: 100-continue"], ["-H", "Transfer-Encoding: chunked"], ["--http1.0"]]
)
def test_curl_uploads_in_every_way(
    pki: Pki, uvicorn: Address, identity: list[str], how: list[str], tmp_path: Path
):
    """With a length, waiting for 100, in chunks, and from HTTP/1.0; the answer comes in chunks or until the end."""
    (tmp_path / "upload").write_bytes(b"u" * 3_000_000)
    with running(http_gateway(pki, uvicorn)) as gateway:
        done = _curl(
            identity, *how, "-T", f"{tmp_path}/upload", f"https://localhost:{gateway.ports[0]}/a%20b?c=d"
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["method"], told["path"], told["size"]) == ("PUT", "/a%20b", 3_000_000)
    names = [name for name, _ in told["headers"]]
    assert names.count("client-cert") == names.count("x-forwarded-for") == 1


def test_curl_shows_a_refusal_as_people_and_programs_read_it(pki: Pki, nginx: Address, identity: list[str]):
    with running(http_gateway(pki, nginx, allow=["cn=orders,path=/ok"])) as gateway:
        url = f"https://localhost:{gateway.ports[0]}"
        assert _curl(identity, f"{url}/ok").stdout == b"ok"
        text = _curl(identity, "-i", f"{url}/who").stdout
        assert text.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert b"403 Forbidden: orders may not GET this\n" in text
        problem = json.loads(_curl(identity, "-H", "Accept: application/json", f"{url}/who").stdout)
        assert problem["code"] == "request_not_allowed"
        assert (
            _curl(identity, "-w", "%{http_code}", "-o", "/dev/null", "-H", "Host: other", f"{url}/ok").stdout
            == b"421"
        )
        twisted = _curl(identity, "--path-as-is", "-w", "%{http_code}", "-o", "/dev/null", f"{url}/ok/../who")
        assert twisted.stdout == b"400"


def test_httpx_keeps_its_connections_and_reads_what_uvicorn_says(pki: Pki, uvicorn: Address):
    """Twenty requests by a pooling client, in every method it has."""
    with running(http_gateway(pki, uvicorn, client_cert_headers="xfcc")) as gateway:
        with httpx2.Client(
            verify=context_of(pki), base_url=f"https://localhost:{gateway.ports[0]}"
        ) as client:
            for number in range(20):
                method = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")[number % 6]
                told: Any = client.request(method, f"/{number}", content=b"x" * number).json()
                assert (told["method"], told["path"], told["size"]) == (method, f"/{number}", number)
                assert (
                    len([value for name, value in told["headers"] if name == "x-forwarded-client-cert"]) == 1
                )
        assert gateway.frontends[0].tally.admitted == 1
