"""A restart without a gap: the next process gets the listening sockets, and takes over once it is ready.

The sockets stay the same, so that nobody's connection is refused or reset, and those that wait in the kernel's
queues are answered by the next one. If it does not come up, nothing has changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence

from twoway.gateway.loop import READ, Loop, Timer
from twoway.gateway.notify import BadActivation, Environment, Passed, adopt

VARIABLE = "TWOWAY_GATEWAY_HANDOVER"
START_SECONDS = 60.0
_READY = b"ready\n"
# What is meant for one process only: sd_notify(3), sd_listen_fds(3).
_OURS = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_PID")


def command() -> list[str]:
    """How this process was started, to be started again."""
    return [sys.executable, *sys.orig_argv[1:]]


def inherited(environment: Environment) -> tuple[list[Passed], int | None]:
    """The sockets of the process before us, and where it waits for our word; nothing when there is none.

    Raises BadActivation. Takes the variable out of the environment.
    """
    text = environment.pop(VARIABLE, "")
    if not text:
        return [], None
    try:
        told = json.loads(text)
        passed = [Passed(str(name), adopt(int(fd)), bool(kept)) for name, fd, kept in told["sockets"]]
        return passed, int(told["ready"])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise BadActivation(f"{VARIABLE} is not what a gateway writes: {error}") from None


def say_ready(descriptor: int | None) -> None:
    """Tell the process before us that it may go."""
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.write(descriptor, _READY)
        os.close(descriptor)


class Successor:
    """The next process, from its start until it is ready or has failed: calls `ready(pid)` or `failed(why)` once."""

    def __init__(
        self,
        loop: Loop,
        sockets: Sequence[Passed],
        ready: Callable[[int], None],
        failed: Callable[[str], None],
        *,
        command: Sequence[str],
        environment: Environment,
        seconds: float = START_SECONDS,
    ) -> None:
        self._loop, self._ready, self._failed = loop, ready, failed
        self._heard = b""
        reading, writing = os.pipe()
        self._pipe = reading
        os.set_blocking(reading, False)
        told = {"sockets": [(one.name, one.sock.fileno(), one.kept) for one in sockets], "ready": writing}
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                pass_fds=[writing, *(one.sock.fileno() for one in sockets)],
                env={**{k: v for k, v in environment.items() if k not in _OURS}, VARIABLE: json.dumps(told)},
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._limit: Timer = loop.later(seconds, lambda: self._fail(f"it was not ready after {seconds:g} s"))
        loop.watch(reading, self._on_word, READ)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _on_word(self, _: int) -> None:
        data = os.read(self._pipe, 64)
        self._heard += data
        if self._heard.startswith(_READY):
            self._close()
            self._ready(self.pid)
        elif not data:
            self._fail("it ended; its own words are in the log above")

    def _fail(self, why: str) -> None:
        self._close()
        self._process.kill()
        self._process.wait()
        self._failed(why)

    def _close(self) -> None:
        self._limit.cancel()
        self._loop.forget(self._pipe)
        os.close(self._pipe)
