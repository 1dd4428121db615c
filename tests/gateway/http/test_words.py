"""HTTP mode as it is asked for: on the command line, in a file, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Command
from tests.gateway.http.conftest import Caller, HttpBackend, Pki, context_of, http_gateway, running
from twoway.credential import chain_pem
from twoway.gateway.file import BadGatewayFile, parse

GOOD = """
[[listener]]
kind = "server"
http = true
listen = "127.0.0.1:0"
target = "127.0.0.1:80"
identity = "api"
allow = ["cn=orders,path=/orders/**"]
client_cert_headers = "xfcc"
headers = { X-Client = "cn", X-Id = "spiffe" }
limits = { header_seconds = 5, keep_alive_seconds = 60, body_seconds = 30, response_seconds = 20 }
"""


def test_a_file_says_all_that_the_command_line_does():
    (listener,) = parse(GOOD.encode()).listeners
    assert listener.http
    assert listener.client_cert_headers == "xfcc"
    assert listener.named_headers == (("X-Client", "cn"), ("X-Id", "spiffe"))
    assert (listener.bounds.header_seconds, listener.bounds.response_seconds) == (5, 20)


def test_the_example_of_the_documentation_is_read():
    text = Path(__file__).parents[3].joinpath("docs", "gateway.md").read_text()
    example = next(part for part in text.split("```toml\n")[1:] if "http = true" in part).split("```", 1)[0]
    assert parse(example.encode()).listeners[0].http


@pytest.mark.parametrize(
    ("change", "line", "problem"),
    [
        (('"xfcc"', '"envoy"'), 9, "not one of rfc9440, xfcc, none"),
        (('"cn"', '"colour"'), 10, "no fact 'colour'"),
        (('"cn"', "1"), 10, "expected a table of header fields"),
        (("http = true", 'http = "yes"'), 4, "expected true or false"),
        (("header_seconds = 5", "header_seconds = 0"), 11, "header_seconds above 0"),
        (("http = true", "http = false"), 2, "this listener reads none"),
        (("path=/orders/**", "path=orders"), 8, "does not begin with /"),
        (("http = true", "http = true\nproxy_protocol = true"), 2, "serves several clients"),
    ],
)
def test_a_mistake_is_told_with_its_line(change: tuple[str, str], line: int, problem: str):
    with pytest.raises(BadGatewayFile, match=problem) as caught:
        parse(GOOD.replace(*change).encode(), where="gw.toml")
    assert caught.value.where == f"gw.toml:{line}"


def test_the_command_checks_rules_about_requests_at_the_start(pki: Pki, tmp_path: Path, run_twoway: Command):
    """A relay refuses them, with place and remedy; nothing is bound. With http they are good."""
    pki.server.save(tmp_path / "api")
    (tmp_path / "api" / "ca.pem").write_bytes(chain_pem((pki.root.certificate,)))
    file = tmp_path / "gw.toml"
    file.write_text(GOOD)
    assert run_twoway("gateway", "check", file).returncode == 0
    file.write_text(
        "\n".join(
            line for line in GOOD.split("\n") if not line.startswith(("http", "headers", "client_cert"))
        )
    )
    done = run_twoway("gateway", "check", file)
    assert done.returncode == 2
    assert "the rule asks for method or path" in done.stderr
    assert "--http" in done.stderr or "http" in done.stderr.split("hint:")[1]
    relay = run_twoway(
        "gateway", "server", "--listen", "127.0.0.1:0", "--target", "127.0.0.1:80", "--identity", tmp_path / "api",
        "--allow", "method=GET",
    )  # fmt: skip
    assert relay.returncode == 2
    assert "--allow #1: the rule asks for method or path" in relay.stderr


def test_status_and_metrics_count_requests(pki: Pki, http_backend: HttpBackend):
    """By the class of their answer, those refused by their code, and their time."""
    from twoway.gateway.desk import status
    from twoway.gateway.exposition import exposition

    with running(http_gateway(pki, http_backend, allow=["cn=orders,path=/ok"])) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            caller.ask(b"GET /ok HTTP/1.1\r\nHost: localhost\r\n\r\n")
            caller.ask(b"GET /no HTTP/1.1\r\nHost: localhost\r\n\r\n")
        told = exposition(status(gateway))
    name = gateway.frontends[0].name
    assert f'twoway_gateway_requests_total{{listener="{name}",status="2xx"}} 1' in told
    assert f'twoway_gateway_requests_total{{listener="{name}",status="4xx"}} 1' in told
    assert f'twoway_gateway_requests_refused_total{{listener="{name}",code="request_not_allowed"}} 1' in told
    assert f'twoway_gateway_request_seconds_count{{listener="{name}"}} 1' in told
