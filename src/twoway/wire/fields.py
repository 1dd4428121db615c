"""A decoded message as a tree of named byte ranges; pure.

The children of a field lie one after the other and cover it wholly, so that every byte of a message belongs to
exactly one leaf.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Value = int | str | bytes | None


@dataclass(frozen=True, slots=True)
class Field:
    """Bytes `start` to `end` (exclusive) of a message and what they say.

    `name` is the standard's own name in snake_case, `value` what a program wants (None for a group), `text`
    what a person reads, "" where the children say it all.
    """

    name: str
    start: int
    end: int
    value: Value = None
    text: str = ""
    children: tuple[Field, ...] = ()

    @property
    def size(self) -> int:
        return self.end - self.start

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Field]]:
        """This field and all below it, in the order of their bytes, each with its depth."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)

    def find(self, name: str) -> Field | None:
        """The first field of this name, this one included."""
        return next((field for _, field in self.walk() if field.name == name), None)

    def as_dict(self) -> dict[str, object]:
        """Ready for JSON; bytes as hexadecimal digits."""
        told: dict[str, object] = {"name": self.name, "start": self.start, "end": self.end}
        if self.value is not None:
            told["value"] = self.value.hex() if isinstance(self.value, bytes) else self.value
        if self.text:
            told["text"] = self.text
        if self.children:
            told["fields"] = [child.as_dict() for child in self.children]
        return told
