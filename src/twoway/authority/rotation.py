"""Where a change of the issuing CA or of the root stands: one row of the store, at most one under way."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.engine import Connection, Row

from twoway.authority import schema

Kind = Literal["issuing", "root"]
KINDS: tuple[Kind, ...] = ("issuing", "root")
UNDER_WAY = ("distribute", "issue")


@dataclass(frozen=True, slots=True)
class Rotation:
    """One change. The numbers are those of the CAs in the store; for the issuing CA alone both roots are one.

    `step` is what has been done and is being waited for: `distribute` (the new CA exists, is handed out to be believed,
    and signs nothing yet), `issue` (everything is issued by the new one, and the old one is still believed).
    """

    id: int
    kind: Kind
    step: str
    began_at: datetime.datetime
    stepped_at: datetime.datetime
    old_root: int
    new_root: int
    old_issuing: int
    new_issuing: int

    @classmethod
    def under_way(cls, connection: Connection) -> Rotation | None:
        """The one that has begun and not ended."""
        table = schema.rotations
        row = connection.execute(select(table).where(table.c.step.in_(UNDER_WAY))).first()
        return None if row is None else cls._of(row)

    @classmethod
    def _of(cls, row: Row[Any]) -> Rotation:
        began, stepped = (
            datetime.datetime.fromtimestamp(at, datetime.UTC) for at in (row.began_at, row.stepped_at)
        )
        return cls(
            row.id,
            row.kind,
            row.step,
            began,
            stepped,
            row.old_root,
            row.new_root,
            row.old_issuing,
            row.new_issuing,
        )

    @property
    def roots(self) -> frozenset[int]:
        """The roots that are believed while it is under way."""
        return frozenset({self.old_root, self.new_root})
