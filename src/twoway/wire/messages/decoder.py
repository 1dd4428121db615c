"""Reads bytes and builds, as it goes, the tree of fields that covers them; pure.

A fault inside a vector ends that vector only: what could not be read there becomes one field "undecoded", and
reading goes on behind it. So every tree tiles its bytes, whatever they are. A message of more than 4,096 fields is
read no further, so that no message costs more than a few milliseconds: the longest honest ones have a few hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twoway.wire.fields import Field
from twoway.wire.tables import named

Table = dict[int, str]
MAX_FIELDS = 4096


class _Stop(Exception):
    """Reading cannot go on here: fewer bytes than were announced, or too many fields."""


@dataclass(slots=True)
class Findings:
    """What all decoders of one message share: the faults found, and how many fields may still be made."""

    faults: list[str] = field(default_factory=list)
    room: int = MAX_FIELDS


class Decoder:
    """A position in the bytes of one message, and the fields read so far."""

    __slots__ = ("at", "data", "end", "fields", "findings")

    def __init__(self, data: bytes, at: int, end: int, findings: Findings) -> None:
        self.data, self.at, self.end, self.findings = data, at, end, findings
        self.fields: list[Field] = []

    @property
    def left(self) -> int:
        return self.end - self.at

    def number(self, name: str, octets: int, table: Table | None = None, text: str = "") -> int:
        """A number as a field; with a table its registered name is the text."""
        start, after = self.at, self.at + octets
        if after > self.end:
            self._short(name, octets)
        if not self.findings.room:
            self._full(name)
        self.findings.room -= 1
        value = int.from_bytes(self.data[start:after], "big")
        self.at = after
        if table is not None:
            text = spelled(table, value, octets)
        self.fields.append(Field(name, start, after, value, text))
        return value

    def numbers(self, name: str, octets: int, table: Table | None = None) -> list[int]:
        """All that is left, as fields of one name."""
        found = []
        while self.left:
            found.append(self.number(name, octets, table))
        return found

    def take(self, name: str, count: int, text: str = "") -> bytes:
        """`count` bytes as a field."""
        start, after = self.at, self.at + count
        if after > self.end:
            self._short(name, count)
        if not self.findings.room:
            self._full(name)
        self.findings.room -= 1
        value = self.data[start:after]
        self.at = after
        if count:
            self.fields.append(Field(name, start, after, value, text))
        return value

    def rest(self, name: str, text: str = "") -> bytes:
        return self.take(name, self.left, text)

    def group(self, name: str, read: Callable[[Decoder], str | None]) -> None:
        """Fields that belong together; `read` may return the text of the whole."""
        inner = Decoder(self.data, self.at, self.end, self.findings)
        try:
            text = read(inner) or ""
        finally:
            start, self.at = self.at, inner.at
            if inner.at > start:
                self.fields.append(Field(name, start, inner.at, None, "", tuple(inner.fields)))
        if text and self.fields:
            self.retell(text)

    def retell(self, text: str) -> None:
        last = self.fields[-1]
        self.fields[-1] = Field(last.name, last.start, last.end, last.value, text, last.children)

    def vector(
        self, name: str, octets: int, read: Callable[[Decoder], str | None], *, head: str | None = None
    ) -> str:
        """A length and what it measures, whose text is returned; what is wrong inside stays inside."""
        return self.within(name, self.number(head or f"{name}_length", octets), read)

    def within(self, name: str, length: int, read: Callable[[Decoder], str | None]) -> str:
        """`length` bytes as a group of their own, wholly covered; returns the group's text."""
        if self.at + length > self.end:
            self._short(name, length)
        inner = Decoder(self.data, self.at, self.at + length, self.findings)
        text = inner.all_of(name, read)
        start, self.at = self.at, inner.end
        if length:
            self.fields.append(Field(name, start, inner.end, None, text, tuple(inner.fields)))
        return text

    def all_of(self, name: str, read: Callable[[Decoder], str | None]) -> str:
        """Run `read` over all bytes of this decoder; what it leaves or cannot read is "undecoded"."""
        text = ""
        try:
            text = read(self) or ""
            if self.left:
                self.fail(f"{name}, byte {self.at}: expected its end, got {self.left} more bytes")
        except _Stop as stop:
            self.fail(str(stop))
        if self.left:
            self.fields.append(Field("undecoded", self.at, self.end, self.data[self.at : self.end]))
            self.at = self.end
        return text

    def opaque(self, name: str, octets: int, text: str = "") -> bytes:
        """A length and bytes without a structure of their own."""
        length = self.number(f"{name}_length", octets)
        return self.take(name, length, text)

    def fail(self, problem: str) -> None:
        """Note what is wrong with bytes that could be read."""
        self.findings.faults.append(problem)

    def _full(self, name: str) -> None:
        raise _Stop(f"{name}, byte {self.at}: more than {MAX_FIELDS} fields, the rest is not read")

    def _short(self, name: str, wanted: int) -> None:
        raise _Stop(f"{name}, byte {self.at}: expected {wanted} bytes, got {self.left}")


def spelled(table: Table, value: int, octets: int) -> str:
    """The registered name with the number behind it; a number without one alone."""
    number = f"0x{value:0{octets * 2}x}" if octets > 1 else str(value)
    name = table.get(value) or (named(table, value) if octets == 2 else "")
    return f"{name} ({number})" if name and not name.startswith("0x") else number


def whole(name: str) -> Callable[[Decoder], None]:
    """A reading that takes all there is as one field."""

    def read(d: Decoder) -> None:
        d.rest(name)

    return read


def listed(name: str, octets: int, table: Table | None) -> Callable[[Decoder], str]:
    """A reading of numbers of one name to the end."""

    def read(d: Decoder) -> str:
        d.numbers(name, octets, table)
        texts = [field.text.partition(" (")[0] or str(field.value) for field in d.fields]
        return ", ".join(texts[:4]) + (f" and {len(texts) - 4} more" if len(texts) > 4 else "")

    return read
