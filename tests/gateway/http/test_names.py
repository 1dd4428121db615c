"""Server names with rules of their own, in HTTP: the name that was judged is the one that is asked."""

from __future__ import annotations

import dataclasses
from typing import Any

from tests.gateway.http.conftest import Caller, HttpBackend, Ledger, Pki, context_of, http_gateway, running
from twoway.gateway import Gateway, GatewayOptions
from twoway.gateway.addresses import Address
from twoway.gateway.options import ListenerOptions


def _with_name(pki: Pki, backend: HttpBackend, **more: Any) -> Gateway:
    """A gateway whose name api.acme.example has rules of its own."""
    options = ListenerOptions(
        kind="server", http=True, listen=Address(host="127.0.0.1"), targets=(backend.address,), identity=pki.server,
        trust=pki.trust, allow=["cn=orders,path=/everywhere"], **more,
    )  # fmt: skip
    inner = options.named(allow=["cn=orders,path=/there/**"])
    options = dataclasses.replace(options, names=(("api.acme.example", inner),))
    return Gateway(GatewayOptions(listeners=(options,)), journal=Ledger())


def _ask(caller: Caller, host: str, path: str) -> int:
    return caller.ask(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).status


def test_each_name_has_its_own_rules_about_requests(pki: Pki, http_backend: HttpBackend):
    with running(_with_name(pki, http_backend)) as gateway:
        with Caller(gateway, context_of(pki), name="api.acme.example") as caller:
            assert _ask(caller, "api.acme.example", "/there/x") == 200
            assert _ask(caller, "api.acme.example", "/everywhere") == 403
        with Caller(gateway, context_of(pki)) as caller:
            assert _ask(caller, "localhost", "/everywhere") == 200
            assert _ask(caller, "localhost", "/there/x") == 403


def test_the_rules_of_one_name_are_not_got_around_by_the_host_of_another(pki: Pki, http_backend: HttpBackend):
    """Neither by the name of the handshake, nor by saying none: a host with rules of its own wants its own handshake."""
    with running(_with_name(pki, http_backend)) as gateway:
        with Caller(gateway, context_of(pki)) as caller:
            assert _ask(caller, "api.acme.example", "/everywhere") == 421
        with Caller(gateway, context_of(pki), name=None) as caller:
            assert _ask(caller, "API.acme.example.:443", "/everywhere") == 421
            assert http_backend.received == b""
            assert _ask(caller, "127.0.0.1", "/everywhere") == 200


def test_a_host_that_cannot_be_told_from_the_name_is_refused(pki: Pki, http_backend: HttpBackend):
    """A name that only looks the same is another one."""
    with running(http_gateway(pki, http_backend)) as gateway:
        for host in ("localhost..", "xlocalhost", "localhost.localdomain", "local_host"):
            with Caller(gateway, context_of(pki)) as caller:
                assert _ask(caller, host, "/") == 421
    assert http_backend.received == b""
