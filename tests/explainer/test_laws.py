"""Whatever the bytes of a handshake are, it is told: no story, page or drawing ever fails on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.explainer.conftest import Told
from twoway.explainer.json_face import as_dict
from twoway.explainer.ladder_svg import as_svg
from twoway.explainer.page import as_html
from twoway.explainer.telling import Knowledge, tell
from twoway.explainer.terminal import Terminal
from twoway.wire.events import WireMessage

KNOWN = Knowledge("client", "server", ending="closed", ended_by="server")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def drawn(messages: list[WireMessage]) -> None:
    transcript = tell(messages, KNOWN)
    as_dict(transcript)
    as_svg(transcript)
    as_html(transcript, now=NOW)
    Terminal(detail=2).draw(transcript)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=120)
@given(data=st.data(), name=st.sampled_from(["mutual", "mutual12", "stranger"]))
def test_damaged_messages_are_told(told: Told, data: st.DataObject, name: str):
    messages = [one.wire for one in getattr(told, name).messages]
    for _ in range(data.draw(st.integers(1, 5))):
        which = data.draw(st.integers(0, len(messages) - 1))
        octets = bytearray(messages[which].data)
        if octets:
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        messages[which] = replace(messages[which], data=bytes(octets))
    drawn(messages)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=120)
@given(data=st.data(), name=st.sampled_from(["mutual", "mutual12", "stranger", "asked"]))
def test_messages_missing_doubled_and_in_any_order_are_told(told: Told, data: st.DataObject, name: str):
    messages = [one.wire for one in getattr(told, name).messages]
    drawn(data.draw(st.lists(st.sampled_from(messages), max_size=20)))
