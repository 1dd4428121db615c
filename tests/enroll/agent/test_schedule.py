"""When an identity is due, and when to try again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from twoway.enroll.agent.schedule import due_at, retry_after, urgency

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LIFE = timedelta(days=90)
prints = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(prints, st.timedeltas(timedelta(minutes=1), timedelta(days=3650)))
def test_it_is_due_between_two_thirds_and_three_quarters_of_its_life(fingerprint: str, life: timedelta):
    due = due_at(BEGIN, BEGIN + life, fingerprint)
    assert BEGIN + life * 0.6666 <= due <= BEGIN + life * 0.7501
    assert due == due_at(BEGIN, BEGIN + life, fingerprint)


def test_machines_that_were_set_up_together_do_not_ask_together():
    dues = {due_at(BEGIN, BEGIN + LIFE, f"{number:064x}") for number in range(500)}
    assert len(dues) == 500
    assert max(dues) - min(dues) > timedelta(days=6)


def test_how_it_stands_is_fresh_then_due_then_late_then_expired():
    fingerprint, ends = "0" * 64, BEGIN + LIFE
    due = due_at(BEGIN, ends, fingerprint)
    second = timedelta(seconds=1)
    stands = [
        urgency(BEGIN, ends, fingerprint, at)
        for at in (BEGIN, due - second, due, ends - LIFE / 6 - second, ends - LIFE / 6, ends - second, ends)
    ]
    assert stands == ["fresh", "fresh", "due", "due", "late", "late", "expired"]


@given(st.integers(0, 10_000), st.timedeltas(timedelta(days=-100), timedelta(days=100)))
def test_the_wait_grows_to_an_hour_and_never_sleeps_through_what_is_left(failures: int, left: timedelta):
    wait = retry_after(failures, left)
    assert timedelta(seconds=2) <= wait <= timedelta(hours=1)
    if left > timedelta(seconds=16):
        assert wait <= left / 8
    assert wait <= retry_after(failures + 1, left)
