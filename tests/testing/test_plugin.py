"""The pytest plugin, as somebody else's tests use it; and what it costs those who do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

USER = """
import pytest
import twoway


def test_in(twoway_serve, twoway_client_identity):
    with twoway_serve().client(twoway_client_identity) as client:
        assert client.get("/").text == "hello client"


def test_wsgi(twoway_serve, twoway_client_identity):
    def app(environ, start_response):
        start_response("200 OK", [("content-type", "text/plain")])
        return [environ["twoway.peer"].common_name.encode()]

    with twoway_serve(app, interface="wsgi").client(twoway_client_identity) as client:
        assert client.get("/").text == "client"


@pytest.mark.parametrize("who", ["stranger", "expired_client", "revoked_client"])
def test_out(twoway_serve, who, request):
    server = twoway_serve()
    with server.client(request.getfixturevalue(f"twoway_{who}")) as client, pytest.raises(twoway.PeerRefused):
        client.get("/")
    assert server.refusal().remedy


def test_mine(twoway_company, twoway_serve):
    orders = twoway_company.client("orders", uri=("spiffe://acme.example/orders",))
    with twoway_serve(allow=("uri=spiffe://acme.example/**",)).client(orders) as client:
        assert client.get("/").text == "hello spiffe://acme.example/orders"


def test_on_demand(twoway_failure):
    failed = twoway_failure("certificate_expired")
    assert failed.refusal.code == "certificate_expired"
    with pytest.raises(twoway.ConfigError, match="no failure 'what'"):
        twoway_failure("what")
"""


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest in a directory of somebody else's, with nothing of this project's configuration."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_fixtures_serve_somebody_elses_tests(tmp_path: Path):
    (tmp_path / "test_mine.py").write_text(USER)
    done = run(tmp_path)
    assert "7 passed" in done.stdout, done.stdout + done.stderr


def test_the_fixtures_say_what_they_are(tmp_path: Path):
    (tmp_path / "test_mine.py").write_text("")
    done = run(tmp_path, "--fixtures", "-q")
    for name in ("twoway_company", "twoway_serve", "twoway_failure", "twoway_revoked_client"):
        assert name in done.stdout
    assert (
        "no docstring available" not in done.stdout.partition("twoway.pytest_plugin")[2].partition("----")[0]
    )


def test_a_session_that_uses_none_of_it_imports_nothing_of_it(tmp_path: Path):
    """The session's start stays as it was: neither cryptography nor any other library is loaded for it."""
    (tmp_path / "test_none.py").write_text(
        "import sys\n\n\ndef test_none():\n"
        "    heavy = {'cryptography', 'OpenSSL', 'sqlalchemy', 'uvicorn', 'httpx2', 'asyncio.sslproto'}\n"
        "    assert not heavy & set(sys.modules)\n"
        "    assert 'twoway.pytest_plugin' in sys.modules\n"
    )
    done = run(tmp_path, "-p", "no:cov", "-p", "no:hypothesispytest", "-p", "no:anyio")
    assert "1 passed" in done.stdout, done.stdout + done.stderr
