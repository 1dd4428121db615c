"""What the service does by itself: turn by turn, with the time given."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tests.enroll.conftest import Serve
from twoway.authority.faults import StoreLocked
from twoway.enroll.keeping import TELL_AGAIN, Keeper

DAY = datetime.timedelta(days=1)


def at(service: Any, later: datetime.timedelta) -> None:
    begin = datetime.datetime.now(datetime.UTC)
    service.running.service.now = lambda: begin + later


def test_the_services_own_certificate_is_renewed_after_two_thirds_of_its_life(serve: Serve) -> None:
    """Its port shows the new one without a break: the connection that was open stays."""
    with serve() as service, service.client() as client:
        assert client.get("/health").status_code == 200
        first = service.running.own.current
        keeper = Keeper(service.running)
        at(service, 4 * DAY)
        keeper.turn()
        assert (service.running.own.current, keeper.renewed) == (first, False)
        at(service, 5 * DAY)
        keeper.turn()
        assert keeper.renewed
        assert service.running.own.current.names == first.names
        assert client.get("/health").status_code == 200


def test_a_replaced_issuing_ca_gives_the_service_a_new_certificate_at_once(serve: Serve) -> None:
    with serve() as service:
        first = service.running.own.current
        service.authority.root_key.renew_issuing(new_key=True)
        Keeper(service.running).turn()
        issuing = service.authority.cas.issuing.certificate
        assert service.running.own.current.chain[1] == issuing != first.chain[1]


def test_what_fails_stops_nothing_else_and_is_told_once_in_a_while(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve() as service:
        keeper = Keeper(service.running)

        def locked(*_: Any) -> None:
            raise StoreLocked("authority.db", 10)

        monkeypatch.setattr(service.running.own, "renew", locked)
        refreshed: list[int] = []
        monkeypatch.setattr(service.running.service.lists, "refresh", lambda *_: refreshed.append(1))
        for later in (0 * DAY, TELL_AGAIN / 2, TELL_AGAIN * 1.1):
            at(service, later)
            keeper.turn()
        told = [line for line in service.lines("keeping") if "own certificate" in line["sentence"]]
        assert (len(told), refreshed) == (2, [1, 1, 1])
        assert "stayed locked" in told[0]["sentence"]
