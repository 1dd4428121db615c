"""Links that wait: for how long, how many, and for whom."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from twoway.gateway.ends import PlainEnd
from twoway.gateway.http.pool import FRESH_SECONDS, MOST_WAITING, WAIT_SECONDS, Link, Pool


class Clock:
    """A loop of which only the time, and what is closed, matters."""

    def __init__(self) -> None:
        self.now = 100.0
        self.closed: list[socket.socket] = []

    def close(self, sock: socket.socket) -> None:
        self.closed.append(sock)
        sock.close()

    def hand_over(self, fd: int, handler: Any) -> None:
        """Nothing arrives here."""

    watch = rewatch = hand_over


class Target:
    open = 0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def far() -> Iterator[list[socket.socket]]:
    ends: list[socket.socket] = []
    yield ends  # the far end of each link first, then the near one
    for one in ends:
        one.close()


def _link(target: Any, far: list[socket.socket], context: Any = None) -> Link:
    near, other = socket.socketpair()
    near.setblocking(False)
    far += [other, near]
    target.open += 1
    dialing: Any = SimpleNamespace(target=target)

    def release() -> None:
        target.open -= 1

    dialing.release = release
    return Link(dialing, PlainEnd(near), context)


def _pool(clock: Any, context: Any = None) -> Pool:
    return Pool(clock, lambda: context)


def _take(pool: Pool, target: Any, *, repeatable: bool = True) -> Link | None:
    return pool.take(target, lambda _: None, repeatable=repeatable)


def test_the_link_that_waits_shortest_is_used_first(clock: Clock, far: list[socket.socket]):
    target: Any = Target()
    pool, links = _pool(clock), [_link(target, far) for _ in range(3)]
    for link in links:
        pool.give(link)
        clock.now += 1
    assert target.open == 0
    assert _take(pool, target) is links[2]
    assert target.open == 1
    pool.close_all()


def test_a_link_that_has_waited_long_enough_is_closed(clock: Clock, far: list[socket.socket]):
    target: Any = Target()
    pool = _pool(clock)
    pool.give(_link(target, far))
    clock.now += WAIT_SECONDS
    pool.sweep()
    assert (len(pool), target.open, len(clock.closed)) == (0, 0, 1)


def test_a_request_that_is_sent_once_goes_only_over_a_fresh_link(clock: Clock, far: list[socket.socket]):
    """The target may have hung up in the meantime, and nobody could ask again."""
    target: Any = Target()
    pool = _pool(clock)
    pool.give(_link(target, far))
    clock.now += FRESH_SECONDS + 0.1
    assert _take(pool, target, repeatable=False) is None
    assert _take(pool, target) is not None


@pytest.mark.parametrize("sent", [b"HTTP/1.1 408 Request Timeout\r\n\r\n", b""])
def test_a_link_on_which_something_has_come_is_not_used(clock: Clock, far: list[socket.socket], sent: bytes):
    """An answer that nobody asked for, or the end: neither is the next client's."""
    target: Any = Target()
    pool = _pool(clock)
    pool.give(_link(target, far))
    if sent:
        far[0].sendall(sent)
    else:
        far[0].close()
    assert _take(pool, target) is None
    assert (len(pool), target.open) == (0, 0)


def test_a_link_of_an_older_generation_is_not_used(clock: Clock, far: list[socket.socket]):
    """Its TLS was judged by what is no longer in force."""
    target: Any = Target()
    pool = _pool(clock, context="new")
    pool.give(_link(target, far, context="old"))
    assert _take(pool, target) is None
    assert len(clock.closed) == 1


def test_no_more_than_so_many_wait_for_one_target(clock: Clock, far: list[socket.socket]):
    target: Any = Target()
    pool = _pool(clock)
    for _ in range(MOST_WAITING + 5):
        pool.give(_link(target, far))
    assert len(pool) == MOST_WAITING
    assert target.open == 0
    pool.close_all()
    assert len(clock.closed) == MOST_WAITING + 5
