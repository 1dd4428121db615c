"""Whatever is sent to whatever endpoint, as whoever: an answer that says what is wrong, never a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.authority.conftest import make_csr
from tests.enroll.conftest import Served, served
from twoway.authority import Authority
from twoway.enroll import routes

# Without `revoke`, which would do what it is asked and end the caller's right to call; see test_lists.py.
ENDPOINTS = [
    endpoint for endpoint in routes.ENDPOINTS if "tls" in endpoint.ports and endpoint.name != "revoke"
]
CSR = make_csr("orders", dns=("orders",))
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, httpx2.Client]]:
    """One connection of somebody who may do much, so that what is sent gets far."""
    directory = tmp_path_factory.mktemp("garbage") / "pki"
    with (
        Authority.create(directory, name="Acme", no_passphrase=True) as made,
        served(made) as service,
        service.client(made.issue_client("operator")) as client,
    ):
        yield service, client


@st.composite
def mutated(draw: Any) -> bytes:
    """A signing request with some of its bytes changed, cut off or doubled."""
    data = bytearray(CSR)
    for _ in range(draw(st.integers(1, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] + data[: draw(st.integers(0, 40))])


BODIES = st.one_of(
    st.binary(max_size=300),
    mutated(),
    st.recursive(
        st.none() | st.booleans() | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    endpoint=st.sampled_from(ENDPOINTS),
    body=BODIES,
    query=TEXT,
    authorization=st.one_of(
        st.none(), TEXT.map(str.strip), st.just("Bearer "), TEXT.map(lambda text: f"Bearer x{text.strip()}")
    ),
    name=st.text(max_size=30),
)
def test_whatever_is_sent_is_answered(
    operator: tuple[Served, httpx2.Client],
    endpoint: Any,
    body: bytes,
    query: str,
    authorization: str | None,
    name: str,
) -> None:
    """No 500, and every refusal that has a body says its code."""
    service, client = operator
    path = endpoint.path
    while "{" in path:
        head, _, rest = path.partition("{")
        path = head + quote(name, safe="") + rest.partition("}")[2]
    headers = {"authorization": authorization.strip()} if authorization else {}
    answer = client.request(
        endpoint.methods[0], path, content=body, params={"profile": query}, headers=headers
    )
    assert answer.status_code not in (500, 501, 502), (answer.status_code, answer.text)
    assert not service.lines("failed-call")
    if answer.headers.get("content-type") == "application/problem+json":
        assert answer.json()["code"]
