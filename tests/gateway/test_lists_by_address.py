"""Revocation lists from addresses: fetched ahead of need, kept on disk, and never off the handshake's back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.gateway.conftest import Backend, Ledger, Pki, ask, context_of, gateway_of, running, until, wrap
from tests.gateway.test_passing import refused
from tests.pki import NOW, Issuer
from tests.revocation.responder import Responder, responding
from twoway.gateway.faults import ListUnavailable
from twoway.trust import Trust


def der(crl: object) -> bytes:
    return crl.public_bytes(Encoding.DER)  # type: ignore[attr-defined]


def pem(crl: object) -> bytes:
    return crl.public_bytes(Encoding.PEM)  # type: ignore[attr-defined]


def lists(responder: Responder, cache: Path) -> dict[str, object]:
    urls = tuple(f"{responder.url}{path}" for path in responder.answers)
    return {"trust": None, "crl": urls, "crl_cache": cache}


def identity(pki: Pki, tmp_path: Path) -> Path:
    from tests.gateway.test_over_time import save

    return save(pki, tmp_path / "api")


def test_lists_are_fetched_before_anybody_is_served(pki: Pki, backend: Backend, tmp_path: Path):
    """PEM and DER, one address an issuer: whoever is on one is refused from the first connection on."""
    other = pki.issuing.leaf("billing")
    with responding(
        Responder(issuing=der(pki.issuing.crl(other.leaf)), root=pem(pki.root.crl()))
    ) as responder:
        ledger = Ledger()
        options = {**lists(responder, tmp_path / "cache"), "identity": identity(pki, tmp_path)}
        with running(gateway_of(pki, backend, ledger=ledger, **options)) as gateway:
            with wrap(gateway.ports[0], context_of(pki)) as sock:
                assert ask(sock) == b"ping"
            assert "REVOKED" in refused(gateway.ports[0], context_of(pki, other)).upper()
            (first, second) = gateway.frontends[0].status()["crls"]
            assert 100 < first["hours_left"] < 200
            assert second["issuer"] == "CN=Acme Root"
    assert ledger.refusals[0].code == "certificate_revoked"
    assert backend.everything == b"ping"


def test_a_restart_does_not_need_the_network(pki: Pki, backend: Backend, tmp_path: Path):
    """What was fetched once is on disk: the gateway starts while the address is gone."""
    responder = Responder(issuing=der(pki.issuing.crl(pki.client.leaf)), root=der(pki.root.crl()))
    with responding(responder):
        options = {**lists(responder, tmp_path / "cache"), "identity": identity(pki, tmp_path)}
        with running(gateway_of(pki, backend, **options)):
            pass
    with running(gateway_of(pki, backend, **options)) as gateway:
        assert "REVOKED" in refused(gateway.ports[0], context_of(pki)).upper()
    assert backend.everything == b""


def test_without_any_list_it_does_not_start_unless_that_was_said(pki: Pki, backend: Backend, tmp_path: Path):
    """Rule "refuse": no start, with the address and the reason. Rule "warn": clients pass, marked as warned."""
    responder = Responder(issuing=der(pki.issuing.crl()), root=der(pki.root.crl()))
    with responding(responder):
        responder.status = 503
        options = {**lists(responder, tmp_path / "cache"), "identity": identity(pki, tmp_path)}
        with pytest.raises(ListUnavailable, match=r"/issuing: the answer is HTTP 503"):
            gateway_of(pki, backend, **options)
        with running(gateway_of(pki, backend, crl_rule="warn", **options)) as gateway:
            with wrap(gateway.ports[0], context_of(pki)) as sock:
                assert ask(sock) == b"ping"
                (connection,) = gateway.frontends[0].connections
                assert connection.peer is not None
                assert connection.peer.revocation == "warned"


def test_a_refreshed_list_cuts_whom_it_names(pki: Pki, backend: Backend, tmp_path: Path):
    """The background fetch makes a new generation, and open connections are judged again by it."""
    responder = Responder(issuing=der(pki.issuing.crl(start=-1)), root=der(pki.root.crl()))
    ledger = Ledger()
    with responding(responder):
        options = {**lists(responder, tmp_path / "cache"), "identity": identity(pki, tmp_path)}
        with running(gateway_of(pki, backend, ledger=ledger, **options)) as gateway:
            with wrap(gateway.ports[0], context_of(pki)) as sock:
                assert ask(sock) == b"ping"
                responder.answers["/issuing"] = der(pki.issuing.crl(pki.client.leaf, start=-0.5))
                gateway._upkeep.turn(time.time() + 7200)
                with pytest.raises(OSError):
                    while sock.recv(1):
                        pass
            assert ledger.named("crl-fetched")
            until(lambda: ledger.named("reloaded"))
            assert ledger.named("reloaded")[0]["cut"] == 1
    assert ledger.refusals[0].code == "certificate_revoked"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda pki: b"<html>not here</html>", "expected a -----BEGIN X509 CRL----- block"),
        (lambda pki: der(pki.issuing.crl(start=-3)), "older than the one that is there"),
        (
            lambda pki: der(Issuer.root("Acme Root").below("Acme Issuing").crl(start=-0.5)),
            "has not signed it",
        ),
        (lambda pki: der(pki.issuing.crl(start=-0.5, days=-0.1)), "was to be replaced"),
    ],
)
def test_what_is_no_better_list_leaves_the_present_one_in_force(
    pki: Pki, backend: Backend, tmp_path: Path, make: object, reason: str
):
    """A page, an older list, one of another key, a stale one: each refused by name, told in log and status."""
    responder = Responder(issuing=der(pki.issuing.crl(start=-1)), root=der(pki.root.crl()))
    ledger = Ledger()
    with responding(responder):
        options = {**lists(responder, tmp_path / "cache"), "identity": identity(pki, tmp_path)}
        with running(gateway_of(pki, backend, ledger=ledger, **options)) as gateway:
            responder.answers["/issuing"] = make(pki)  # type: ignore[operator]
            gateway._upkeep.turn(time.time() + 7200)
            (told, *_) = ledger.named("crl-fetch-failed")
            assert reason in told["error"]
            assert "the present one holds for" in told["sentence"]
            status = gateway.frontends[0].status()["crl_fetches"][0]
            assert (status["failures"], reason in status["last_error"]) == (1, True)
            assert 0 < gateway.frontends[0].material.checks[0].sources[0].due() - time.time() - 7200 <= 15
            with wrap(gateway.ports[0], context_of(pki)) as sock:
                assert ask(sock) == b"ping"


def test_a_list_that_is_about_to_end_is_told_ahead(pki: Pki, backend: Backend):
    """From a fifth of its life on, once an hour, with the hours and with what the rule will do."""
    trust = Trust((pki.root.certificate,), (pki.issuing.crl(start=-6, days=1), pki.root.crl()))
    ledger = Ledger()
    gateway = gateway_of(pki, backend, ledger=ledger, trust=trust)
    with running(gateway):
        now = NOW.timestamp()  # of which the list's own times count
        for _ in range(3):
            gateway._upkeep.turn(now)
        (told,) = ledger.named("crl-ending")
        assert told["issuer"] == "CN=Acme Issuing"
        assert 20 < told["hours_left"] < 24.1  # the gateway may have told it by the real clock first
        assert "everybody whom it is about is refused" in told["sentence"]
        gateway._upkeep.turn(now + 2 * 86400)
        assert "ended 24.0 hours ago" in ledger.named("crl-stale")[0]["sentence"]


def test_a_reload_that_is_asked_for_fetches_too(pki: Pki, backend: Backend, tmp_path: Path):
    """Whoever asks may know of a revocation: the lists are due again, though not more often than every 15 s."""
    responder = Responder(issuing=der(pki.issuing.crl()), root=der(pki.root.crl()))
    with responding(responder):
        options = {**lists(responder, tmp_path / "cache"), "identity": identity(pki, tmp_path)}
        with running(gateway_of(pki, backend, **options)) as gateway:
            (source, _) = gateway.frontends[0].material.checks[0].sources
            checked = source.cache.path.stat().st_mtime
            assert source.due() > checked + 3000
            gateway.request_reload()
            assert 13 < source.due() - checked <= 15
            gateway._upkeep.turn(checked + 16)
            assert len(responder.asked) == 4


def test_an_old_list_on_disk_is_renewed_before_anybody_is_served(pki: Pki, backend: Backend, tmp_path: Path):
    """After a long pause the first connection is judged by a current list; with the address gone, by the old one."""
    responder = Responder(issuing=der(pki.issuing.crl(pki.client.leaf)), root=der(pki.root.crl()))
    with responding(responder):
        options = {**lists(responder, tmp_path / "cache"), "identity": identity(pki, tmp_path)}
        with running(gateway_of(pki, backend, **options)) as old:
            (source, _) = old.frontends[0].material.checks[0].sources
        source.cache.store(der(pki.issuing.crl(start=-9, days=-2)), verified=True)
        responder.status = 503
        ledger = Ledger()
        with running(gateway_of(pki, backend, ledger=ledger, **options)) as gateway:
            assert refused(gateway.ports[0], context_of(pki)) != "passed"
            until(lambda: ledger.refusals)
        assert ledger.refusals[0].code == "crl_stale"
        responder.status = 200
        with running(gateway_of(pki, backend, ledger=ledger, **options)) as gateway:
            assert "REVOKED" in refused(gateway.ports[0], context_of(pki)).upper()
    assert backend.everything == b""
