"""SignedMessages around an application on a real server, and clients that sign: end to end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import twoway
from tests.message.conftest import Pki, usage
from twoway import message
from twoway.errors import UsageError
from twoway.message.http import faults
from twoway.server import background
from twoway.server.messages import MAX_BODY, SignedMessages


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with who signed, and what arrived in clear."""
    if scope["type"] != "http":
        return
    event = await receive()
    said = {
        "by": twoway.signer(scope).common_name,
        "connected": twoway.peer(scope).common_name,  # type: ignore[union-attr]
        "body": event["body"].decode(),
        "type": dict(scope["headers"]).get(b"content-type", b"").decode(),
    }
    body = json.dumps(said).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="module")
def api(pki: Pki) -> Any:
    return pki.make("localhost", purpose="server")


@pytest.fixture
def url(pki: Pki, api: Any) -> Iterator[str]:
    with background(SignedMessages(app, identity=api), identity=api) as server:
        yield f"https://localhost:{server.port}"


def test_a_signed_call_says_who_signed_on_both_sides(pki: Pki, url: str):
    with twoway.Client(identity=pki.identity(), sign=True) as client:
        response = client.post(f"{url}/order/update?x=%20y", json={"order_id": 1223})
    assert response.json() == {
        "by": "orders", "connected": "orders", "body": '{"order_id":1223}', "type": "application/json",
    }  # fmt: skip
    assert response.extensions["twoway.signer"].common_name == "localhost"
    assert response.extensions["twoway.peer"].common_name == "localhost"


def test_a_sealed_call_is_sealed_both_ways(pki: Pki, api: Any):
    seen: list[Any] = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def watching() -> Any:
            event = await receive()
            seen.append(event.get("body", b""))
            return event

        async def sending(event: Any) -> None:
            seen.append(event.get("body", b""))
            await send(event)

        await SignedMessages(app, identity=api, require_sealed=True)(scope, watching, sending)

    with (
        background(watched, identity=api) as server,
        twoway.Client(identity=pki.identity(), sign=True, seal_for=api) as client,
    ):
        response = client.post(f"https://localhost:{server.port}/", json={"order_id": 1223})
    assert json.loads(response.json()["body"]) == {"order_id": 1223}
    assert response.headers["content-type"] == "application/json"
    wire = b"".join(seen)
    assert wire.startswith(b"ey")
    assert b"1223" not in wire


def test_the_asynchronous_client_signs_too(pki: Pki, url: str):
    async def story() -> Any:
        async with twoway.AsyncClient(identity=pki.identity("ed25519"), sign=True) as client:
            return await client.get(f"{url}/order")

    assert asyncio.run(story()).json()["by"] == "orders"


def test_who_signs_need_not_be_who_connects(pki: Pki, url: str):
    """A gateway of the partner may connect for him."""
    from twoway.message.http.exchange import ClientSide
    from twoway.message.http.exchanged import HttpRequest
    from twoway.message.http.verifying import Verifier

    signer = ClientSide(pki.identity("p256", "archive"), Verifier(pki.trust))
    sent = signer.outgoing(HttpRequest("GET", f"{url}/"))
    with twoway.Client(identity=pki.identity()) as client:
        said = client.get(f"{url}/", headers=list(sent.headers)).json()
        assert (said["by"], said["connected"]) == ("archive", "orders")
        again = client.get(f"{url}/", headers=list(sent.headers))
    assert (again.status_code, again.json()["code"]) == (401, "replayed")


def test_an_unsigned_call_is_answered_with_why(pki: Pki, url: str):
    with twoway.Client(identity=pki.identity()) as client:
        response = client.post(url, content=b"x")
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "signature_missing"
    assert "expected a signed request" in response.json()["title"]


def test_a_refusal_is_signed_as_well(pki: Pki, url: str):
    """Or somebody between could pretend one."""
    with twoway.Client(identity=pki.identity(), sign=True) as client:
        response = client.post(url, content=bytes(MAX_BODY + 1))
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert response.extensions["twoway.signer"].common_name == "localhost"


def test_an_answer_that_nobody_signed_is_not_believed(pki: Pki, api: Any):
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"trust me"})

    with (
        background(plain, identity=api, interface="asgi") as server,
        twoway.Client(identity=pki.identity(), sign=True) as client,
        pytest.raises(faults.SignatureMissing) as caught,
    ):
        client.get(f"https://localhost:{server.port}/")
    assert isinstance(caught.value, httpx2.TransportError)


def test_what_cannot_work_is_told_before_the_first_call(pki: Pki):
    with pytest.raises(UsageError, match="a sealed call is signed too"):
        twoway.Client(identity=pki.identity(), seal_for=pki.identity())
    with pytest.raises(UsageError, match="without an identity"):
        twoway.Client(trust=pki.trust, sign=True)
    with pytest.raises(message.CannotReceive):
        twoway.Client(identity=pki.identity(), sign=True, seal_for=pki.identity("ed25519"))
    only_signs = pki.make("only-signs", "p256", usage("digital_signature"))
    with pytest.raises(message.KeyUsageForbids, match="only-signs"):
        twoway.Client(identity=only_signs, sign=True, seal_for=pki.identity())


def scope(**more: Any) -> dict[str, Any]:
    return {
        "type": "http", "method": "GET", "scheme": "http", "path": "/a b", "query_string": b"",
        "headers": [(b"host", b"inside:8000")], **more,
    }  # fmt: skip


def ask(application: Any, asked: dict[str, Any], body: bytes = b"") -> list[Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(event: Any) -> None:
        sent.append(event)

    asyncio.run(application(asked, receive, send))
    return sent


def signed_scope(pki: Pki, url: str) -> dict[str, Any]:
    from twoway.message.http.exchange import ClientSide
    from twoway.message.http.exchanged import HttpRequest
    from twoway.message.http.verifying import Verifier

    sent = ClientSide(pki.identity(), Verifier(pki.trust)).outgoing(HttpRequest("GET", url))
    headers = [(name.lower().encode(), value.encode()) for name, value in sent.headers]
    return scope(headers=[(b"host", b"inside:8000"), *headers])


async def quiet(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def test_behind_a_proxy_the_origin_that_callers_use_is_named(pki: Pki, api: Any):
    asked = signed_scope(pki, "https://api.acme.example/a%20b")
    inside = SignedMessages(quiet, identity=api)
    assert ask(inside, asked)[0]["status"] == 401
    named = SignedMessages(quiet, identity=api, origin="https://api.acme.example")
    assert ask(named, asked)[0]["status"] == 204


def test_two_host_headers_are_refused(api: Any):
    started = ask(SignedMessages(quiet, identity=api), scope(headers=[(b"host", b"a"), (b"host", b"b")]))
    assert started[0]["status"] == 400


def test_a_websocket_is_closed(api: Any):
    assert ask(SignedMessages(quiet, identity=api), {"type": "websocket"})[0]["type"] == "websocket.close"


def test_without_the_middleware_nobody_has_signed():
    with pytest.raises(UsageError, match="nobody is known to have signed"):
        twoway.signer({"extensions": {}})


def test_a_renewed_identity_signs_the_next_answer_and_replays_stay_known(pki: Pki, api: Any, tmp_path: Path):
    place = api.save(tmp_path / "api")
    now = [0.0]
    application = SignedMessages(quiet, identity=place, origin="https://localhost", clock=lambda: now[0])
    asked = signed_scope(pki, "https://localhost/a%20b")
    first = dict(ask(application, asked)[0]["headers"])
    renewed = pki.make("localhost", purpose="server")
    renewed.save(place)
    now[0] = 2.0
    second = ask(application, signed_scope(pki, "https://localhost/a%20b"))[0]
    assert dict(second["headers"])[b"signature-certificates"] != first[b"signature-certificates"]
    assert ask(application, asked)[0]["status"] == 401
    (place / "key.pem").write_text("broken")
    now[0] = 4.0
    assert ask(application, signed_scope(pki, "https://localhost/a%20b"))[0]["status"] == 204


@pytest.mark.parametrize("host", ["api.acme.example/a", "user@api", "api?x", "api:port", "", "a b"])
def test_a_host_that_would_move_into_the_path_is_refused(pki: Pki, api: Any, host: str):
    """`api/a` with the path `/b` makes the target of `api` with `/a/b`, and is another request."""
    asked = signed_scope(pki, "http://api.acme.example/a%20b")
    asked["headers"][0] = (b"host", host.encode())
    started = ask(SignedMessages(quiet, identity=api), asked)
    assert started[0]["status"] == 400
    asked = signed_scope(pki, "http://api.acme.example/a%20b")
    asked["headers"][0] = (b"host", b"api.acme.example")
    assert ask(SignedMessages(quiet, identity=api), asked)[0]["status"] == 204
