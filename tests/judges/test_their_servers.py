"""Our client calls foreign servers: they prove whom they see, and their refusals are told as what they are."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from urllib.parse import unquote

import pytest

import twoway
from tests.judges.clients import alert_in
from tests.judges.identities import Identities
from tests.judges.servers import SERVERS, Ports
from tests.judges.speaking import Program
from twoway.client import session
from twoway.credential import Credential, certificates_from_pem, fingerprint_of
from twoway.tls import AlertReceived, ClientContext, ClientSettings, ConnectionCut, TlsSocket
from twoway.trust import HostnameMismatch, UnknownAuthority

pytestmark = pytest.mark.judge
FindServer = Callable[[str], Ports]

CUT = "hangs up without an alert"
# How each server refuses a stranger and nobody: with an alert, with a page, or by hanging up. All measured;
# nginx answers in HTTP on purpose, Node judges certificates after the handshake, and asyncio, which
# carries uvicorn's TLS, loses the alert more often than not.
STRANGER = {
    "openssl": {"unknown_ca"},
    "gnutls": {"bad_certificate"},
    "java": {"certificate_unknown"},
    "node": {CUT},
    "python3.13": {"unknown_ca"},
    "uvicorn": {"unknown_ca", CUT},
}
NOBODY = {
    "TLSv1.3": {
        **{name: {"certificate_required"} for name in ("openssl", "gnutls", "node", "python3.13")},
        "java": {"bad_certificate", "certificate_required"},  # OpenJDK 17.0.15; 17.0.21
        "uvicorn": {"certificate_required", CUT},
    },
    "TLSv1.2": {
        **{name: {"handshake_failure"} for name in ("openssl", "node", "python3.13")},
        "gnutls": {"decode_error"},
        "java": {"bad_certificate", "handshake_failure"},
        "uvicorn": {"handshake_failure", CUT},
    },
}
# A client on OpenSSL, 4.0 too, takes its handshake key into use with its own first message (openssl/openssl
# 27809, closed as no bug). The alert about a server's certificate comes before that, in clear; OpenSSL reads
# it, these two cannot, in their own words; a newer Java names it in its complaint.
UNREADABLE = {
    "gnutls": "Decryption has failed",
    "java": "Insufficient buffer remaining for AEAD cipher fragment|[Pp]laintext alert",
}


@pytest.fixture(params=SERVERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def port(name: str, foreign_server: FindServer, key_type: str, version: str) -> int:
    return foreign_server(name)[key_type, version]


def get(port: int, identities: Identities, who: str | None) -> tuple[int, str, str]:
    """Status, body and TLS version of one request by our client."""
    identity = identities.directory(who) if who else None
    with twoway.Client(identity=identity, trust=identities.trust) as client:
        answer = client.get(f"https://localhost:{port}/whoami")
        found = session(answer)
        assert found is not None
        return answer.status_code, answer.text, found.version


def seen(name: str, body: str) -> str | None:
    """The fingerprint of the certificate that a server says it saw; None for uvicorn, which cannot say."""
    if name == "uvicorn":
        return None
    if name == "openssl":
        pem = re.findall(r"-----BEGIN CERT.*?-----END CERTIFICATE-----", body, re.DOTALL)[-1]
        return fingerprint_of(certificates_from_pem(pem.encode(), where="s_server")[0])
    found = json.loads(body)
    if name == "nginx":
        return fingerprint_of(certificates_from_pem(unquote(found["pem"]).encode(), where="nginx")[0])
    return str(found["client"])


def test_a_foreign_server_answers_and_says_whom_it_sees(
    name: str, port: int, identities: Identities, key_type: str, version: str
) -> None:
    """Leaf and intermediate on both sides, all of one key type."""
    status, body, spoke = get(port, identities, "client")
    assert (status, spoke) == (200, version)
    assert seen(name, body) in (identities.fingerprint("client"), None)


def assert_told(error: AlertReceived | ConnectionCut, expected: set[str], *, presented: bool) -> None:
    """A refusal in step 4, for one of the expected alerts, and what helps against it."""
    assert error.step is twoway.Step.SERVER_CHECKS
    if isinstance(error, AlertReceived):
        assert error.alert in expected
        assert f"the TLS alert {error.alert} in step 4" in str(error)
        assert (
            "we presented spiffe://acme.example/orders" if presented else "--identity DIR"
        ) in error.remedy
        wanted = "does not trust the authority" if presented else "requires a client certificate and got none"
        assert any(wanted in meaning for meaning in error.meanings)
    else:
        assert CUT in expected
        assert "in step 4 (the server checks) without saying why" in str(error)
        assert "instead of sending an alert" in error.remedy


@pytest.mark.parametrize("who", [None, "stranger"], ids=["nobody", "stranger"])
def test_a_refusal_is_told_with_step_and_remedy(
    name: str, port: int, identities: Identities, key_type: str, version: str, who: str | None
) -> None:
    if name == "nginx":
        status, body, _ = get(port, identities, who)
        assert status == 400
        assert ("SSL certificate error" if who else "No required SSL certificate was sent") in body
        return
    expected = STRANGER[name] if who else NOBODY[version][name]
    with pytest.raises((AlertReceived, ConnectionCut)) as caught:
        get(port, identities, who)
    assert_told(caught.value, expected, presented=who is not None)


@pytest.mark.parametrize("key_type", ["p256"], indirect=True)
def test_the_asynchronous_client_is_answered_and_refused_alike(
    name: str, port: int, identities: Identities, key_type: str, version: str
) -> None:
    async def visit(who: str) -> tuple[int, str]:
        identity, trust = identities.directory(who), identities.trust
        async with twoway.AsyncClient(identity=identity, trust=trust) as client:
            answer = await client.get(f"https://localhost:{port}/whoami")
            return answer.status_code, answer.text

    status, body = asyncio.run(visit("client"))
    assert status == 200
    assert seen(name, body) in (identities.fingerprint("client"), None)
    if name == "nginx":
        assert asyncio.run(visit("stranger"))[0] == 400
        return
    with pytest.raises((AlertReceived, ConnectionCut)) as caught:
        asyncio.run(visit("stranger"))
    assert_told(caught.value, STRANGER[name], presented=True)


@pytest.mark.parametrize("key_type", ["p256"], indirect=True)
def test_a_server_of_another_authority_is_refused_with_what_was_expected(
    name: str, port: int, identities: Identities, key_type: str, version: str
) -> None:
    """Expected against presented, before a request has left us."""
    client = twoway.Client(identity=identities.directory("client"), trust=identities.elsewhere)
    with client, pytest.raises(UnknownAuthority) as caught:
        client.get(f"https://localhost:{port}/")
    assert "Other Root CA" in str(caught.value)
    assert "Acme Root CA" in str(caught.value)
    assert caught.value.step is twoway.Step.CLIENT_CHECKS


@pytest.mark.parametrize("key_type", ["p256"], indirect=True)
def test_a_server_under_another_name_is_refused_with_the_names_it_has(
    name: str, port: int, identities: Identities, key_type: str, version: str
) -> None:
    context = ClientContext(ClientSettings(Credential.load(identities.directory("client"))))
    with pytest.raises(HostnameMismatch) as caught:
        TlsSocket.connect("127.0.0.1", port, context, server_name="orders.localhost")
    assert caught.value.hostname == "orders.localhost"
    assert "localhost" in caught.value.names


@pytest.mark.parametrize("key_type", ["p256"], indirect=True)
@pytest.mark.parametrize("program", ["gnutls", "java", "node", "python3.13"])
def test_a_server_that_we_refuse_reads_our_alert(
    program: str, helper: Callable[[str], Program], identities: Identities, key_type: str, version: str
) -> None:
    """unknown_ca for an authority that we do not trust (RFC 8446 §6.2); except where it is unreadable."""
    started = helper(program)
    (port,) = started.ask("serve", version, identities.directory("server"), identities.trust)
    client = twoway.Client(identity=identities.directory("client"), trust=identities.elsewhere)
    with client, pytest.raises(UnknownAuthority):
        client.get(f"https://localhost:{port}/")
    (failure,) = started.ask("failure")
    if version == "TLSv1.3" and program in UNREADABLE:
        assert re.search(UNREADABLE[program], failure), failure
    else:
        assert alert_in(failure) == "unknown_ca", failure
