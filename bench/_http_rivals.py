"""What the HTTP mode is measured against: nginx as a reverse proxy, and one in Python on uvicorn and httpx2."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

from bench._rivals import LIBRARY, Rival, find_program, twoway, version_of
from bench.serve import free_port


def http_rivals(place: Path, target: int) -> list[Rival]:
    """Ourselves and whichever of the others is installed; their configuration files lie in `place`."""
    ours = twoway(place, target, "--http", "--allow-anyone-proven")
    found = [ours]
    nginx = _nginx(place, free_port(), target)
    if nginx is not None:
        found.append(nginx)
    found.append(_python(place, free_port(), target))
    return found


def plain_nginx(place: Path, port: int) -> list[str]:
    """A target that answers as fast as anything does."""
    found = find_program("nginx")
    if found is None:
        raise SystemExit("this benchmark needs nginx as its target")
    (place / "target.conf").write_text(f"""
worker_processes 1; daemon off; pid {place}/target.pid; error_log {place}/target.err error;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {place}/t1; proxy_temp_path {place}/t2;
  fastcgi_temp_path {place}/t3; uwsgi_temp_path {place}/t4; scgi_temp_path {place}/t5;
  server {{ listen 127.0.0.1:{port}; default_type text/plain; return 200 "ok\\n"; }} }}
""")
    return [found, "-c", f"{place}/target.conf", "-p", str(place)]


def _nginx(place: Path, port: int, target: int) -> Rival | None:
    found = find_program("nginx")
    if found is None:
        return None
    (place / "http.conf").write_text(f"""
worker_processes 1; daemon off; pid {place}/http.pid; error_log {place}/http.err error;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {place}/h1; proxy_temp_path {place}/h2;
  fastcgi_temp_path {place}/h3; uwsgi_temp_path {place}/h4; scgi_temp_path {place}/h5;
  upstream target {{ server 127.0.0.1:{target}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} ssl; server_name localhost;
    ssl_certificate {place}/api/cert.pem; ssl_certificate_key {place}/api/key.pem;
    ssl_client_certificate {place}/api/ca.pem; ssl_verify_client on; ssl_verify_depth 3;
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{
      proxy_pass http://target; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https; proxy_set_header Client-Cert $ssl_client_escaped_cert;
    }}
  }} }}
""")
    told = version_of([found, "-V"], r"nginx/[\d.]+", LIBRARY)
    return Rival("nginx", told, [found, "-c", f"{place}/http.conf", "-p", str(place)], port)


def _python(place: Path, port: int, target: int) -> Rival:
    """The proxy that one writes in Python: an ASGI application that calls the target with httpx2."""
    (place / "proxied.py").write_text(f"""
import httpx2
HOP = {{b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade", b"host"}}
client = httpx2.AsyncClient(base_url="http://127.0.0.1:{target}")
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    url = httpx2.URL(path=scope["path"], query=scope["query_string"])
    headers = [(name, value) for name, value in scope["headers"] if name not in HOP]
    request = client.build_request(scope["method"], url, headers=headers, content=body)
    answer = await client.send(request, stream=True)
    kept = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in HOP]
    await send({{"type": "http.response.start", "status": answer.status_code, "headers": kept}})
    async for piece in answer.aiter_raw():
        await send({{"type": "http.response.body", "body": piece, "more_body": True}})
    await send({{"type": "http.response.body"}})
""")
    command = [
        str(Path(sys.executable).parent / "uvicorn"), "proxied:app", "--app-dir", str(place), "--port", str(port),
        "--ssl-certfile", f"{place}/api/cert.pem", "--ssl-keyfile", f"{place}/api/key.pem",
        "--ssl-ca-certs", f"{place}/api/ca.pem", "--ssl-cert-reqs", "2", "--no-access-log", "--log-level", "error",
    ]  # fmt: skip
    return Rival("uvicorn + httpx2", f"{version('uvicorn')}, {version('httpx2')}", command, port)
