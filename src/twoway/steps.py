"""The five steps of 2-way TLS, as every part of twoway names them."""

from __future__ import annotations

from enum import IntEnum


class Step(IntEnum):
    """One of the five steps in which a mutual TLS connection comes to be."""

    HELLO = 1
    SERVER_SHOWS = 2
    CLIENT_CHECKS = 3
    SERVER_CHECKS = 4
    TALK = 5

    @property
    def title(self) -> str:
        return _TITLES[self]


_TITLES = {
    Step.HELLO: "hello",
    Step.SERVER_SHOWS: "the server shows who it is",
    Step.CLIENT_CHECKS: "the client checks and shows itself",
    Step.SERVER_CHECKS: "the server checks",
    Step.TALK: "both talk in secret",
}
