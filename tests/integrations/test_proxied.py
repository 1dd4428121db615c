"""Behind a proxy: only a proven gateway says who called, and what it says is verified again."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask, g, request

import twoway
from tests.integrations.conftest import Callers, serving
from tests.pki import Issuer
from tests.server.conftest import tell
from tests.tls.conftest import Pki
from twoway.credential import Credential
from twoway.errors import ConfigError, UsageError
from twoway.integrations.flask import Peers
from twoway.integrations.proxied import BehindGateway
from twoway.trust import Trust


def rfc9440(who: Credential) -> dict[str, str]:
    texts = [f":{base64.b64encode(one.public_bytes(Encoding.DER)).decode()}:" for one in who.chain]
    return {"client-cert": texts[0], "client-cert-chain": ", ".join(texts[1:])}


def xfcc(who: Credential) -> dict[str, str]:
    text = "".join(one.public_bytes(Encoding.PEM).decode() for one in who.chain)
    return {"x-forwarded-client-cert": f'Chain="{quote(text, safe="")}"'}


@pytest.fixture
def edge(pki: Pki) -> Credential:
    return pki.issuing.leaf("edge")


def behind(pki: Pki, app: Any = tell, **more: Any) -> BehindGateway:
    return BehindGateway(app, "cn=edge", **{"trust": pki.trust, **more})


@pytest.mark.parametrize(("form", "said"), [("rfc9440", rfc9440), ("xfcc", xfcc)])
def test_the_peer_is_whom_the_gateway_names_and_no_header_is_left(
    callers: Callers, edge: Credential, form: str, said: Any
):
    """RFC 9440 §3; the headers do not reach the application."""
    with serving(callers.pki, behind(callers.pki, form=form)) as port:
        told = callers.ask(port, who=edge, headers=said(callers.pki.client)).json
        assert told["peer"]["common_name"] == "orders"
        assert told["tls"]["client_cert_name"] == "CN=orders"
        assert not [name for name, _ in told["headers"] if "client" in name]


@pytest.mark.parametrize("who", ["client", None])
def test_from_everybody_else_the_headers_are_taken_off_and_count_for_nothing(
    callers: Callers, edge: Credential, who: str | None
):
    forged = {**rfc9440(edge), **xfcc(edge), "Client_Cert": "x", "SSL-Client-S-DN": "CN=edge"}
    with serving(callers.pki, behind(callers.pki)) as port:
        told = callers.ask(port, who=who, headers=forged).json
        assert (told["peer"] and told["peer"]["common_name"]) == ("orders" if who else None)
        assert not [name for name, _ in told["headers"] if "client" in name]


def test_a_gateway_that_names_nobody_is_not_the_caller_itself(callers: Callers, edge: Credential):
    with serving(callers.pki, behind(callers.pki)) as port:
        assert callers.ask(port, who=edge).json["peer"] is None


def test_the_form_that_was_not_agreed_on_counts_for_nothing(callers: Callers, edge: Credential):
    with serving(callers.pki, behind(callers.pki)) as port:
        assert callers.ask(port, who=edge, headers=xfcc(callers.pki.client)).json["peer"] is None


def test_what_the_gateway_says_is_verified_again(callers: Callers, edge: Credential):
    with serving(callers.pki, behind(callers.pki)) as port:
        refused = callers.ask(port, who=edge, headers=rfc9440(callers.pki.stranger))
        assert (refused.status, refused.json["code"]) == (401, "unknown_authority")
        server_only = callers.ask(port, who=edge, headers=rfc9440(callers.pki.server))
        assert (server_only.status, server_only.json["code"]) == (401, "wrong_purpose")


def test_a_malformed_header_of_the_gateway_is_refused(callers: Callers, edge: Credential):
    with serving(callers.pki, behind(callers.pki)) as port:
        refused = callers.ask(port, who=edge, headers={"client-cert": "orders"})
        assert (refused.status, refused.json["code"]) == (400, "forwarded_malformed")


def test_a_revoked_client_is_refused_although_the_gateway_lets_it_in(callers: Callers, edge: Credential):
    pki = callers.pki
    lists = (pki.root.crl(), pki.issuing.crl(pki.client.leaf))
    trust = Trust((pki.root.certificate,), lists)
    with serving(pki, behind(pki, trust=trust)) as port:
        refused = callers.ask(port, who=edge, headers=rfc9440(pki.client))
        assert (refused.status, refused.json["code"]) == (401, "certificate_revoked")


def test_trust_is_read_again_when_its_file_changes_and_a_broken_one_changes_nothing(
    callers: Callers, edge: Credential, tmp_path: Path
):
    def bundle(issuer: Issuer) -> bytes:
        return issuer.certificate.public_bytes(Encoding.PEM)

    path, now = tmp_path / "ca.pem", [0.0]
    path.write_bytes(bundle(callers.pki.root))
    app = behind(callers.pki, trust=path, clock=lambda: now[0])
    with serving(callers.pki, app) as port:

        def asked() -> int:
            now[0] += 2
            return callers.ask(port, who=edge, headers=rfc9440(callers.pki.client)).status

        assert asked() == 200
        path.write_bytes(b"broken")
        assert asked() == 200
        path.write_bytes(bundle(Issuer.root("Another")))
        assert asked() == 401


def test_a_wsgi_application_is_told_in_the_same_way(callers: Callers, edge: Credential):
    app = Flask(__name__)
    Peers(app)

    @app.get("/who")
    def who() -> dict[str, str | None]:
        return {"by": g.peer.describe(), "header": request.headers.get("Client-Cert")}

    with serving(callers.pki, behind(callers.pki, app)) as port:
        said = rfc9440(callers.pki.client)
        assert callers.ask(port, who=edge, headers=said).json == {"by": "orders", "header": None}


def test_on_a_server_that_tells_no_peer_nothing_is_answered_unless_that_is_spelled_out(
    pki: Pki, caplog: pytest.LogCaptureFixture
):
    scope = {"type": "http", "headers": [], "path": "/", "method": "GET"}
    with pytest.raises(UsageError, match="did not come through a server of twoway"):
        asyncio.run(behind(pki)(scope, None, None))  # type: ignore[arg-type]
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(twoway.peer(scope))

    trusting = BehindGateway(app, trust=pki.trust, dangerously_trust_every_connection=True)
    assert "whoever can connect says who called" in caplog.text
    headers = [(name.encode(), value.encode()) for name, value in rfc9440(pki.client).items()]
    asyncio.run(trusting({**scope, "headers": headers}, None, None))  # type: ignore[arg-type]
    asyncio.run(trusting(scope, None, None))  # type: ignore[arg-type]
    assert seen[0].common_name == "orders"
    assert seen[1] is None


def test_every_connection_and_a_named_gateway_contradict_each_other(pki: Pki):
    with pytest.raises(UsageError, match="every connection is to be trusted"):
        behind(pki, dangerously_trust_every_connection=True)


def test_without_a_gateway_rule_or_trust_it_does_not_start(pki: Pki, tmp_path: Path):
    with pytest.raises(UsageError, match="no gateway was named"):
        BehindGateway(tell, trust=pki.trust)
    with pytest.raises(ConfigError):
        BehindGateway(tell, "cn=edge", trust=tmp_path / "nowhere.pem")
