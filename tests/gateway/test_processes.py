"""The parts between a gateway's processes: messages, sockets that are handed on, workers that fall silent."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.gateway.addresses import Address
from twoway.gateway.channel import Channel
from twoway.gateway.door import Door
from twoway.gateway.handover import VARIABLE, inherited
from twoway.gateway.loop import Loop
from twoway.gateway.notify import BadActivation, Passed
from twoway.gateway.options import ListenerOptions
from twoway.gateway.sockets import handed_name, match
from twoway.gateway.worker import Worker


def raise_it(error: BaseException) -> None:
    raise error


@pytest.fixture
def loop() -> Iterator[Loop]:
    one = Loop(raise_it)
    yield one
    one.dispose()


def turn(loop: Loop) -> None:
    """Let the loop do what there is to do now."""
    loop.later(0, loop.stop)
    loop.run()


@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20), max_size=3), max_size=5
    ),
    st.data(),
)
def test_how_messages_are_cut_into_pieces_changes_nothing(messages: list[dict[str, Any]], data: Any):
    """What is sent arrives, whole and in order."""
    loop = Loop(raise_it)
    ours, theirs = socket.socketpair()
    told: list[dict[str, Any]] = []
    ended: list[bool] = []
    try:
        Channel(loop, ours, told.append, lambda: ended.append(True))
        stream = b"".join(json.dumps(one).encode() + b"\n" for one in messages)
        while stream:
            count = data.draw(st.integers(1, len(stream)))
            theirs.sendall(stream[:count])
            stream = stream[count:]
            turn(loop)
        assert told == messages
        theirs.close()
        turn(loop)
        assert ended == [True]
    finally:
        theirs.close()
        ours.close()
        loop.dispose()


def test_a_message_larger_than_the_socket_waits_for_its_reader(loop: Loop):
    """Back-pressure between processes: nothing is lost, and nobody is blocked."""
    ours, theirs = socket.socketpair()
    told: list[dict[str, Any]] = []
    left = Channel(loop, ours, lambda _: None, lambda: None)
    right = Channel(loop, theirs, told.append, lambda: None)
    left.send({"x": "y" * 3_000_000})
    left.send({"last": 1})
    while len(told) < 2:
        turn(loop)
    assert len(told[0]["x"]) == 3_000_000
    left.close()
    right.close()


def test_a_worker_that_is_gone_answers_with_an_error(loop: Loop):
    """Whoever waits for its answer is told, and so is whoever asks later."""
    ours, theirs = socket.socketpair()
    worker = Worker(loop, ours, 7, 0, lambda *_: None)
    answers: list[dict[str, Any]] = []
    worker.ask({"do": "status"}, answers.append)
    turn(loop)
    theirs.close()
    turn(loop)
    assert answers == [{"error": "worker 7 is gone"}]


_NUMBERS = st.integers(2**20, 2**70) | st.integers(-(2**40), -1)
_HANDED = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.fixed_dictionaries({"sockets": inner, "ready": inner}),
    max_leaves=8,
)  # fmt: skip


@given(st.text(min_size=1, max_size=20) | _HANDED.map(json.dumps))
def test_no_variable_breaks_the_start(text: str):
    """What no gateway wrote is a typed error, and the variable is gone for whatever is started next."""
    environment = {VARIABLE: text}
    with pytest.raises(BadActivation):
        passed, _ = inherited(environment)
        raise BadActivation(str(passed))  # an empty list of sockets is what a gateway may write
    assert environment == {}


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def listener(sock: socket.socket | None = None, name: str = "") -> ListenerOptions:
    port = sock.getsockname()[1] if sock is not None else 0
    return ListenerOptions(
        kind="client", name=name, listen=Address(host="127.0.0.1", port=port), targets=(Address(host="a.example", port=1),), identity="x",
    )  # fmt: skip


def test_passed_sockets_find_their_listener():
    """By name, by address, and at a handover by both: then another address is another socket."""
    with listening() as one, listening() as two, listening() as three:
        listeners = [listener(one), listener(name="second"), listener(three, name="third")]
        found = match(
            listeners,
            [Passed("unknown", one), Passed("second", two), Passed(handed_name(listeners[2]), three)],
        )
        assert found == [[one], [two], [three]]
        moved = [listener(name="third")]
        assert match(moved, [Passed(handed_name(listeners[2]), three)], all_of_them=False) == [[]]
        assert three.fileno() < 0, "nobody's any more: closed"
        with pytest.raises(BadActivation):
            match(moved, [Passed("other", two)])


def test_a_door_looks_only_at_what_it_covers(loop: Loop):
    """And at what it is told to cover later; closed, it looks at nothing any more."""
    took: list[socket.socket] = []
    socks = [listening(), listening()]
    for sock in socks:
        sock.setblocking(False)
    door = Door(socks, loop, lambda sock, _: took.append(sock), lambda _: None)
    callers = [socket.create_connection(sock.getsockname()) for sock in socks]
    try:
        door.open([0])
        turn(loop)
        assert len(took) == 1
        door.cover([1, 7])
        turn(loop)
        assert len(took) == 2
        callers.append(socket.create_connection(socks[0].getsockname()))
        turn(loop)
        assert len(took) == 2
        door.close()
        turn(loop)
        assert all(sock.fileno() < 0 for sock in socks)
    finally:
        for sock in (*callers, *took, *socks):
            sock.close()
