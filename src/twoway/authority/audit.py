"""The audit log: one row for each act, each row's hash covering the row before it.

    hash(row) = SHA-256( hash(row - 1) as 64 hex digits, newline, the other fields in their order )

Each field is written as its length in characters, a colon, the text and a comma, all in UTF-8; so no text can pass
for that of two fields.

A changed, removed or inserted row breaks the chain at that row. A chain cannot show that rows were cut off at its
*end*, nor that somebody rewrote all of it: against those stand the checkpoints (signatures of the issuing CA over
the head, at the creation and at each CRL), the certificates themselves (each names a row), and a head that was
noted elsewhere (`expect`).
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from twoway.authority.faults import AuditBroken

GENESIS = "0" * 64


class Row(NamedTuple):
    """One act: who did what to what, when. `detail` is JSON text, as it was hashed."""

    id: int
    at: str
    actor: str
    act: str
    subject: str
    detail: str
    hash: str

    def as_dict(self) -> dict[str, object]:
        return {**self._asdict(), "detail": json.loads(self.detail)}


class Head(NamedTuple):
    """The last row of a log, in few enough characters to note elsewhere: `row:hash`."""

    row: int
    hash: str

    def __str__(self) -> str:
        return f"{self.row}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """`row:hash` as `twoway ca audit --verify` prints it; raises ValueError for anything else."""
        row, _, digest = text.strip().partition(":")
        if not row.isdecimal() or len(digest) != 64 or digest.strip("0123456789abcdef"):
            raise ValueError(f"expected ROW:HASH as `twoway ca audit --verify` prints it, got {text!r}")
        return cls(int(row), digest)


START = Head(0, GENESIS)

_DETAIL = json.JSONEncoder(separators=(",", ":"), sort_keys=True)


def chained(
    head: Head, at: datetime.datetime, actor: str, act: str, subject: str, detail: dict[str, object]
) -> Row:
    """The row that follows `head`."""
    text = _DETAIL.encode(detail)
    when = at.astimezone(datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    number = head.row + 1
    return Row(
        number, when, actor, act, subject, text, _digest(head.hash, number, when, actor, act, subject, text)
    )


def verified(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows in their order, until one does not follow from the one before it.

    Raises AuditBroken, which names that row. Checks no signature and not that the end is the end.
    """
    head = START
    for row in rows:
        if row.id != head.row + 1:
            raise AuditBroken(head.row + 1, f"is missing: the next row that exists is {row.id}")
        if row.hash != _digest(head.hash, row.id, row.at, row.actor, row.act, row.subject, row.detail):
            raise AuditBroken(row.id, "its hash does not follow from its content and the row before")
        head = Head(row.id, row.hash)
        yield row


def checkpoint_message(head: Head) -> bytes:
    """What a CA signs for a checkpoint. It begins with a letter, so that it can never be read as DER."""
    return f"twoway audit checkpoint\n{head}\n".encode()


def _digest(previous: str, *fields: object) -> str:
    content = "".join([f"{len(text)}:{text}," for text in map(str, fields)])
    return hashlib.sha256(f"{previous}\n{content}".encode()).hexdigest()
