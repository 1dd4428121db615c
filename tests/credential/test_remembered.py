"""What was read of a certificate is read once."""

from __future__ import annotations

import threading

import pytest

from twoway.credential.remembered import remembered


class Thing:
    """Equal to every other, and unhashable: only its identity tells it apart."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing)


def test_an_object_is_read_once_and_its_equal_anew():
    read: list[Thing] = []
    recall = remembered(8)(lambda thing: read.append(thing) or len(read))
    one, other = Thing(), Thing()
    assert [recall(one), recall(one), recall(other), recall(one)] == [1, 1, 2, 1]
    assert len(read) == 2


def test_only_the_last_ones_are_kept_and_the_oldest_goes_first():
    read: list[Thing] = []
    recall = remembered(3)(lambda thing: read.append(thing) or len(read))
    things = [Thing() for _ in range(5)]
    for thing in things:
        recall(thing)
    assert [recall(thing) for thing in things[2:]] == [3, 4, 5]
    assert recall(things[0]) == 6


def test_a_number_that_was_given_to_another_object_never_answers_for_the_first():
    recall = remembered(2)(lambda thing: thing)
    for _ in range(1000):
        thing = Thing()
        assert recall(thing) is thing
        del thing


def test_what_is_raised_is_not_remembered():
    answers = iter([ValueError("once"), None])

    @remembered(2)
    def read(_: Thing) -> str:
        if (error := next(answers)) is not None:
            raise error
        return "read"

    thing = Thing()
    with pytest.raises(ValueError, match="once"):
        read(thing)
    assert read(thing) == "read"


def test_threads_may_ask_at_once():
    recall = remembered(4)(lambda thing: thing)
    wrong: list[Thing] = []

    def ask() -> None:
        for _ in range(3000):
            thing = Thing()
            if recall(thing) is not thing:
                wrong.append(thing)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
