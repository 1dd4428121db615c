"""What monitoring sees: well-formed metrics by Prometheus' own reader, readiness that asks the targets."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.gateway.conftest import Backend, Pki, ask, context_of, gateway_of, running, until, wrap
from tests.gateway.program import Program
from twoway.credential import chain_pem
from twoway.gateway.addresses import Address
from twoway.gateway.exposition import exposition
from twoway.gateway.tally import Tally

LOCAL = Address(host="127.0.0.1")


def fetched(port: int, path: str = "/metrics") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def samples(port: int) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by name and labels, without those that say where it is from."""
    found = {}
    for family in text_string_to_metric_families(fetched(port)[1]):
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")
        for one in family.samples:
            key = one.name.removeprefix("twoway_gateway_"), frozenset(one.labels.items())
            assert key not in found, "a sample that is there twice"
            found[key] = one.value
    return found


def value(found: Any, name: str, **labels: str) -> float:
    """The one sample of this name that has these labels."""
    (only,) = [v for (n, have), v in found.items() if n == name and labels.items() <= dict(have).items()]
    return float(only)


def refused(port: int, context: ssl.SSLContext) -> None:
    with pytest.raises((ssl.SSLError, ConnectionResetError)), wrap(port, context) as sock:
        assert sock.recv(1)


def test_every_number_is_where_prometheus_looks_for_it(pki: Pki, backend: Backend, tmp_path: Path):
    """Counters by reason, both histograms, bytes, shares, expiry: parsed by Prometheus' reader, with their values."""
    pki.server.save(tmp_path / "api")
    (tmp_path / "api" / "ca.pem").write_bytes(chain_pem((pki.root.certificate,)))
    lists = (pki.issuing.crl(), pki.root.crl())
    (tmp_path / "api" / "crl.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in lists))
    with running(gateway_of(pki, backend, metrics=LOCAL, identity=tmp_path / "api", trust=None)) as gateway:
        assert gateway.metrics is not None
        port, page, context = gateway.ports[0], gateway.metrics.port, context_of(pki)
        session = None
        for _ in range(2):
            raw = socket.create_connection(("127.0.0.1", port), 10)
            with context.wrap_socket(raw, server_hostname="localhost", session=session) as sock:
                assert ask(sock) == b"ping"
                session = sock.session
                sock.unwrap()
        refused(port, context_of(pki, "stranger"))
        until(lambda: gateway.frontends[0].tally.refused and not gateway.frontends[0].connections)
        found = samples(page)
    name = gateway.frontends[0].name
    assert value(found, "accepted_total", listener=name) == 3
    assert value(found, "admitted_total") == 2
    assert value(found, "resumed_total") == 1
    assert value(found, "refused_total", code="unknown_authority") == 1
    assert value(found, "ended_total", how="closed") == 2
    assert value(found, "bytes_up_total") == value(found, "bytes_down_total") == 8
    for histogram in ("handshake_seconds", "connection_seconds"):
        assert value(found, f"{histogram}_count") == value(found, f"{histogram}_bucket", le="+Inf") == 2
        assert value(found, f"{histogram}_sum") > 0
        edges = [(float(dict(have)["le"]), v) for (n, have), v in found.items() if n == f"{histogram}_bucket"]
        assert [v for _, v in sorted(edges)] == sorted(v for _, v in edges), "buckets are cumulative"
    expiry = pki.server.leaf.not_valid_after_utc.timestamp()
    assert value(found, "certificate_expiry_seconds") == expiry
    assert len([1 for n, _ in found if n == "crl_expiry_seconds"]) == 2
    assert value(found, "target_up") == 1
    assert value(found, "draining") == 0


def test_a_reload_that_fails_is_seen(pki: Pki, backend: Backend, tmp_path: Path):
    """The gauge that an alarm hangs on, until a reload succeeds."""
    pki.server.save(tmp_path / "api")
    (tmp_path / "api" / "ca.pem").write_bytes(chain_pem((pki.root.certificate,)))
    with running(gateway_of(pki, backend, metrics=LOCAL, identity=tmp_path / "api", trust=None)) as gateway:
        assert gateway.metrics is not None
        good = (tmp_path / "api" / "ca.pem").read_bytes()
        (tmp_path / "api" / "ca.pem").write_bytes(b"")
        gateway.request_reload()
        until(lambda: value(samples(gateway.metrics.port), "reload_failing") == 1)
        assert value(samples(gateway.metrics.port), "reloads_failed_total") >= 1
        (tmp_path / "api" / "ca.pem").write_bytes(good)
        gateway.request_reload()
        until(lambda: value(samples(gateway.metrics.port), "reload_failing") == 0)


def test_ready_asks_the_targets_and_does_not_wait_for_a_client(pki: Pki):
    """Nobody has called yet: a backend that is gone is found by the question, and so is its return."""
    backend = Backend()
    address = backend.address
    with running(gateway_of(pki, backend, metrics=LOCAL)) as gateway:
        assert gateway.metrics is not None
        page = gateway.metrics.port
        assert fetched(page, "/ready")[0] == 200
        backend.close()
        assert fetched(page, "/ready") == (503, '{"ready": false, "draining": false}\n')
        assert value(samples(page), "target_up") == 0
        assert fetched(page, "/health")[0] == 200  # the process is well
        again = Backend(port=address.port)
        try:
            assert fetched(page, "/ready")[0] == 200
        finally:
            again.close()


@pytest.mark.parametrize(
    ("path", "status"), [("/", 404), ("/metrics?x=1", 200), ("/health", 200), ("/metricsx", 404)]
)
def test_pages_have_their_status(pki: Pki, backend: Backend, path: str, status: int):
    with running(gateway_of(pki, backend, metrics=LOCAL)) as gateway:
        assert gateway.metrics is not None
        assert fetched(gateway.metrics.port, path)[0] == status


@pytest.mark.slow
def test_the_numbers_of_all_workers_are_summed(pki: Pki, backend: Backend, tmp_path: Path):
    """Whichever worker took a connection, it is counted once; one page tells of all."""
    program = Program(pki, backend, tmp_path, gateway='workers = 2\nmetrics = "127.0.0.1:0"')
    try:
        port = program.port
        page = int(program.events("metrics")[0]["port"])
        for _ in range(12):
            with wrap(port, context_of(pki)) as sock:
                assert ask(sock) == b"ping"
        refused(port, context_of(pki, "stranger"))
        until(lambda: value(samples(page), "open") == 0)
        found = samples(page)
        assert value(found, "workers") == 2
        assert value(found, "admitted_total") == 12
        assert value(found, "handshake_seconds_count") == 12
        assert value(found, "refused_total", code="unknown_authority") == 1
        assert json.loads(fetched(page, "/ready")[1]) == {"ready": True, "draining": False}
        assert program.ask("restart").returncode == 0
        assert fetched(page)[0] == 200  # the next process has the page's socket too
    finally:
        program.close()


def _status(name: str, refused: dict[str, int], target: str) -> dict[str, Any]:
    listener = {
        **Tally().as_dict(), "name": name, "open": 1, "generation": 1, "refused": refused,
        "targets": [{"address": target, "up": True}], "crls": [], "crl_fetches": [], "ocsp": [], "staples": [],
        "certificates": [{"name": name, "not_after": "2030-01-01T00:00:00+00:00"}],
    }  # fmt: skip
    return {"uptime_seconds": 1.0, "draining": False, "listeners": [listener]}


# Prometheus' own reader splits lines at more than \n; its server does not, and neither do we.
_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cs")) | st.just("\n"), max_size=12
)


@given(_TEXT, st.dictionaries(_TEXT, st.integers(0, 2**53), max_size=3), _TEXT)
def test_no_name_breaks_a_line(name: str, reasons: dict[str, int], target: str):
    """Quotes, backslashes and line ends in a label come back as they were."""
    text = exposition(_status(name, reasons, target))
    families = {one.name: one for one in text_string_to_metric_families(text)}
    counted = families["twoway_gateway_refused"].samples
    assert {one.labels["code"]: one.value for one in counted} == reasons
    assert all(one.labels["listener"] == name for one in counted)
    assert families["twoway_gateway_target_up"].samples[0].labels["target"] == target
