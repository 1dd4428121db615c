"""What was read of an object that never changes, remembered by the object itself.

`functools.lru_cache` hashes its argument, and a certificate's hash runs over all of its parsed fields: ten
microseconds each time, in every handshake. The same certificate comes back as the same object, so its identity
is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import TypeVar

Subject = TypeVar("Subject")
Fact = TypeVar("Fact")


def remembered(size: int) -> Callable[[Callable[[Subject], Fact]], Callable[[Subject], Fact]]:
    """Decorate a function of one immutable object: it runs once for each object, for the last `size` of them.

    Equal objects that are not the same one are read anew. Remembered objects are kept alive. Threads may
    call at once; what is raised is not remembered.
    """

    def decorate(read: Callable[[Subject], Fact]) -> Callable[[Subject], Fact]:
        known: dict[int, tuple[Subject, Fact]] = {}

        @wraps(read)
        def recall(subject: Subject) -> Fact:
            # The entry keeps the object alive, so nobody else can have its number.
            entry = known.get(id(subject))
            if entry is not None:
                return entry[1]
            fact = read(subject)
            known[id(subject)] = subject, fact
            while len(known) > size:
                with suppress(KeyError, RuntimeError, StopIteration):  # another thread is doing the same
                    del known[next(iter(known))]
            return fact

        return recall

    return decorate
