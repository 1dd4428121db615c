"""Rules of single server names, names that nobody serves, and pins: black-box, with what reached the backend."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.conftest import Backend, Ledger, Pki, ask, context_of, gateway_of, running, until, wrap
from tests.gateway.test_over_time import save
from tests.gateway.test_passing import refused
from tests.revocation.responder import Responder, responding
from twoway.gateway.file import BadGatewayFile, parse
from twoway.gateway.options import ListenerOptions
from twoway.tls import client_context


def call(port: int, context: ssl.SSLContext, name: str | None, session: Any = None) -> ssl.SSLSocket:
    sock = socket.create_connection(("127.0.0.1", port), 10)
    return context.wrap_socket(sock, server_hostname=name, session=session, suppress_ragged_eofs=False)


def outcome(port: int, context: ssl.SSLContext, name: str | None) -> str:
    """The certificate's first name when bytes pass both ways; the alert when not."""
    try:
        with call(port, context, name) as sock:
            sock.sendall(b"x")
            if not sock.recv(1):
                return "closed"
            names: Any = sock.getpeercert()
            return str(names["subjectAltName"][0][1])
    except ssl.SSLError as error:
        return str(error.reason)
    except ConnectionResetError:
        return "reset"


@pytest.fixture
def two(pki: Pki, backend: Backend, tmp_path: Path):
    """A listener for localhost, with rules of their own for a.acme.example and *.open.example."""
    mine = save(pki, tmp_path / "api")
    theirs = save(
        pki, tmp_path / "a", pki.issuing.leaf("a.acme.example", dns=("a.acme.example",), purpose="server")
    )
    wild = save(pki, tmp_path / "open", pki.issuing.leaf("open", dns=("*.open.example",), purpose="server"))
    text = f"""
[[listener]]
kind = "server"
listen = "127.0.0.1:0"
target = "{backend.address}"
identity = "{mine}"
allow = ["cn=orders"]
[[listener.name]]
name = "a.acme.example"
identity = "{theirs}"
allow = ["cn=billing"]
[[listener.name]]
name = ["*.open.example"]
identity = "{wild}"
clients = "none"
"""
    (options,) = parse(text.encode()).listeners
    return options


@contextlib.contextmanager
def serving(pki: Pki, backend: Backend, options: ListenerOptions, ledger: Ledger | None = None):
    given = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    targets = given.pop("targets")
    with running(gateway_of(pki, *targets, ledger=ledger, **given)) as gateway:
        yield gateway


def test_each_name_has_its_own_identity_and_policy(pki: Pki, backend: Backend, two: ListenerOptions):
    """Who may pass at one name is refused at the other, by that name's rule, and no byte gets through."""
    ledger = Ledger()
    billing = pki.issuing.leaf("billing")
    with serving(pki, backend, two, ledger) as gateway:
        (port,) = gateway.ports
        assert outcome(port, context_of(pki), "localhost") == "api.acme.example"
        assert outcome(port, context_of(pki, billing), "a.acme.example") == "a.acme.example"
        before = backend.everything
        assert outcome(port, context_of(pki), "a.acme.example") != "a.acme.example"
        assert outcome(port, context_of(pki, billing), "localhost") != "api.acme.example"
        until(lambda: len(ledger.refusals) == 2)
        assert backend.everything == before
    assert {(one.server_name, one.code) for one in ledger.refusals} == {
        ("a.acme.example", "not_allowed"),
        ("localhost", "not_allowed"),
    }


def test_whether_clients_are_asked_is_a_matter_of_the_name(pki: Pki, backend: Backend, two: ListenerOptions):
    """A client without a certificate passes where none is asked for, and nowhere else."""
    nobody = client_context(None, trust=pki.trust)
    with serving(pki, backend, two) as gateway:
        (port,) = gateway.ports
        assert outcome(port, nobody, "b.open.example") == "*.open.example"
        assert "REQUIRED" in outcome(port, nobody, "localhost").upper()
        assert "REQUIRED" in outcome(port, nobody, "a.acme.example").upper()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_of_one_name_is_worth_nothing_at_another(
    pki: Pki, backend: Backend, two: ListenerOptions, version: ssl.TLSVersion
):
    """A session of the name that asks nobody, shown at a name that demands a certificate: a full check is made."""
    ledger = Ledger()
    nobody = client_context(None, trust=pki.trust).current()  # a plain one, which a test may weaken
    nobody.check_hostname = False
    nobody.minimum_version = nobody.maximum_version = version
    with serving(pki, backend, two, ledger) as gateway:
        (port,) = gateway.ports
        with call(port, nobody, "b.open.example") as sock:
            assert ask(sock) == b"ping"
            session = sock.session
        with call(port, nobody, "b.open.example", session) as sock:
            assert ask(sock) == b"ping"
            assert sock.session_reused
        before = backend.everything
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            with call(port, nobody, "localhost", session) as sock:
                assert not sock.session_reused
                sock.sendall(b"secret")
                if not sock.recv(1):
                    raise ConnectionResetError
        assert backend.everything == before


def test_a_name_that_nobody_serves_gets_what_was_said(pki: Pki, backend: Backend, two: ListenerOptions):
    """ "serve": the listener's own settings. "refuse": the alert unrecognized_name, with the served names in the log."""
    blind = context_of(pki)
    blind.check_hostname = False
    with serving(pki, backend, two) as gateway:
        assert outcome(gateway.ports[0], blind, "elsewhere.example") == "api.acme.example"
    ledger = Ledger()
    before = backend.everything
    strict = dataclasses.replace(two, unknown_name="refuse")
    with serving(pki, backend, strict, ledger) as gateway:
        (port,) = gateway.ports
        assert "UNRECOGNIZED_NAME" in outcome(port, blind, "elsewhere.example")
        assert "UNRECOGNIZED_NAME" in outcome(port, blind, None)
        assert backend.everything == before
        until(lambda: len(ledger.refusals) == 2)
        assert outcome(port, context_of(pki), "localhost") == "api.acme.example"
        assert outcome(port, client_context(None, trust=pki.trust), "x.open.example") == "*.open.example"
    assert [one.code for one in ledger.refusals] == ["unknown_server_name"] * 2
    assert ledger.refusals[0].evidence == {
        "asked": "elsewhere.example",
        "served": ["a.acme.example", "*.open.example", "api.acme.example", "localhost"],
    }


def test_a_reload_judges_connections_by_the_rules_of_their_name(
    pki: Pki, backend: Backend, two: ListenerOptions, tmp_path: Path
):
    """Revoked at one name: that name's connections are cut, the same client's at the other name live on."""
    from cryptography.hazmat.primitives.serialization import Encoding

    both = dataclasses.replace(
        two, names=tuple((name, dataclasses.replace(one, allow=("cn=orders",))) for name, one in two.names)
    )
    ledger = Ledger()
    with serving(pki, backend, both, ledger) as gateway:
        (port,) = gateway.ports
        with (
            call(port, context_of(pki), "localhost") as here,
            call(port, context_of(pki), "a.acme.example") as there,
        ):
            assert ask(here) == ask(there) == b"ping"
            lists = (pki.issuing.crl(pki.client.leaf), pki.root.crl())
            (tmp_path / "a" / "crl.pem").write_bytes(
                b"".join(one.public_bytes(Encoding.PEM) for one in lists)
            )
            gateway.request_reload()
            until(lambda: ledger.named("reloaded"))
            assert ask(here) == b"ping"
            with pytest.raises(OSError):
                while there.recv(1):
                    pass
    assert [(one.code, one.server_name) for one in ledger.refusals] == [
        ("certificate_revoked", "a.acme.example")
    ]


def test_a_pinned_client_passes_and_another_of_the_same_authority_does_not(pki: Pki, backend: Backend):
    """The refusal tells the expected and the presented digests."""
    ledger = Ledger()
    pin = pki.client.leaf.fingerprint(hashes.SHA256()).hex()
    other = pki.issuing.leaf("orders")  # the same name, another key
    with running(gateway_of(pki, backend, ledger=ledger, pin=[pin])) as gateway:
        with wrap(gateway.ports[0], context_of(pki)) as sock:
            assert ask(sock) == b"ping"
        assert refused(gateway.ports[0], context_of(pki, other)) != "passed"
        until(lambda: ledger.refusals)
    assert ledger.refusals[0].code == "pin_mismatch"
    assert ledger.refusals[0].evidence["expected"] == [pin]
    assert backend.everything == b"ping"


def test_a_client_gateway_calls_only_pinned_servers(pki: Pki, backend: Backend):
    """A proven server that is not the pinned one gets no byte."""
    ledger = Ledger()
    with running(gateway_of(pki, backend)) as inner:
        options = {"kind": "client", "identity": pki.client, "server_name": "localhost"}
        from twoway.gateway.addresses import Address

        target = Address(host="127.0.0.1", port=inner.ports[0])
        with running(gateway_of(pki, target, ledger=ledger, pin=["00" * 32], **options)) as outer:
            with (
                socket.create_connection(("127.0.0.1", outer.ports[0]), 10) as sock,
                pytest.raises(ConnectionResetError),
            ):
                sock.sendall(b"secret")
                if not sock.recv(1):
                    raise ConnectionResetError
    assert "pin_mismatch" in outer.frontends[0].tally.failed
    assert backend.everything == b""


@pytest.mark.parametrize(
    ("lines", "place", "problem"),
    [
        ('[[listener.name]]\nidentity = "a"', ":9", "the table has no name"),
        ('[[listener.name]]\nname = "a.example"\nallowed = ["cn=x"]', ":11", "there is no 'allowed' here"),
        ('[[listener.name]]\nname = "a.example"\nclients = "some"', ":11", "clients = 'some' is not one of"),
        ('[[listener.name]]\nname = "a..example"', ":10", "no server name"),
        (
            '[[listener.name]]\nname = "a.example"\n[[listener.name]]\nname = "A.example"',
            ":2",
            "the name a.example has rules twice",
        ),
        ('[[listener.name]]\nname = "a.example"\npin = ["abc"]', ":11", "no SHA-256 of a certificate or key"),
        ('[[listener.name]]\nname = "a.example"\nallow = ["what"]', ":11", "allow #1"),
        ('unknown_name = "guess"', ":9", "is not one of serve, refuse"),
        ('crl = ["http://user@pki.example/a"]', ":9", "it carries a user name"),
    ],
)
def test_a_wrong_name_table_is_told_with_its_line(lines: str, place: str, problem: str):
    text = f"""
[[listener]]
kind = "server"
listen = "127.0.0.1:0"
target = "127.0.0.1:8080"
identity = "api"
allow = ["cn=orders"]
limits.idle_seconds = 60
{lines}
"""
    with pytest.raises(BadGatewayFile) as caught:
        parse(text.encode(), where="gateway.toml")
    assert caught.value.where == f"gateway.toml{place}"
    assert problem in str(caught.value)


def test_names_that_ask_alike_ask_once(pki: Pki, backend: Backend, two: ListenerOptions, tmp_path: Path):
    """A list at one address is fetched once for all names of a listener, and told once."""
    from tests.gateway.test_lists_by_address import der

    with responding(Responder(issuing=der(pki.issuing.crl()), root=der(pki.root.crl()))) as responder:
        urls = tuple(f"{responder.url}/{one}" for one in ("issuing", "root"))
        more: dict[str, Any] = {"crl": urls, "crl_cache": tmp_path / "cache", "ocsp": "soft"}
        names = tuple((name, dataclasses.replace(one, **more)) for name, one in two.names)
        with serving(pki, backend, dataclasses.replace(two, names=names, **more)) as gateway:
            status = gateway.frontends[0].status()
        assert [request.path for request in responder.asked] == ["/issuing", "/root"]
    assert [row["url"] for row in status["crl_fetches"]] == list(urls)
    assert len(status["crls"]) == 2
    assert len(status["ocsp"]) == 1


VALUES = st.one_of(
    st.sampled_from(
        ["a.example", "*.a.example", "cn=x", "http://h/x", "soft", "leaf", "required", "none", "0" * 64]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=1000, exclude_characters="\x7f"), max_size=20),
    st.integers(-5, 70000),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False, min_value=-9, max_value=99),
    st.lists(st.sampled_from(["a.example", "cn=x", "http://h/x", ""]), max_size=3),
)
KEYS = ("name", "identity", "trust", "crl", "crl_rule", "revocation_depth", "ocsp", "ocsp_url", "ocsp_response",
        "staple", "pin", "policy", "allow", "deny", "allow_anyone_proven", "clients", "ocsp_nonce", "ocsp_seconds",
        "unknown_name", "label", "crl_cache")  # fmt: skip


@given(
    st.sampled_from(["server", "client"]),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5),
    st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5), max_size=3),
)
def test_any_tables_are_options_or_an_error_with_a_place(
    kind: str, listener: dict[str, Any], names: list[dict[str, Any]]
):
    """Whatever the values: a gateway, or a BadGatewayFile that names file and line."""
    if names:
        listener.pop("name", None)
    lines = [
        "[[listener]]",
        f'kind = "{kind}"',
        'listen = "127.0.0.1:0"',
        'target = "127.0.0.1:8080"',
        'server_name = "h"',
    ]
    for table in (listener | {"identity": "api"}, *names):
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
        lines.append("[[listener.name]]")
    try:
        parse("\n".join(lines[:-1]).encode(), where="gateway.toml")
    except BadGatewayFile as error:
        assert re.match(r"gateway\.toml:\d+$", error.where)
