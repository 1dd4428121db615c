"""Finding issued certificates by what people have in hand: a name, a serial, the certificate itself."""

from __future__ import annotations

import datetime
from typing import TypedDict, Unpack

from cryptography import x509

from twoway.authority import records
from twoway.authority.records import Record, State
from twoway.authority.refusals import NoSuchCertificate, SelectorAmbiguous
from twoway.authority.store import Store
from twoway.credential import Credential, describe

Selector = str | int | Record | Credential | x509.Certificate


class Only(TypedDict, total=False):
    """What a list can be narrowed by; the state is that of the moment `now`."""

    state: State | None
    profile: str | None
    expires_before: datetime.datetime | None
    limit: int | None
    now: datetime.datetime | None


class Register:
    """The certificates of one authority."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, match: str | None = None, **only: Unpack[Only]) -> tuple[Record, ...]:
        """Those that fit, oldest first."""
        with self._store.read() as connection:
            return records.search(
                connection,
                moment_of(only.get("now")),
                match=match,
                state=only.get("state"),
                profile=only.get("profile"),
                expires_before=only.get("expires_before"),
                limit=only.get("limit"),
            )

    def find(self, what: Selector, now: datetime.datetime | None = None) -> tuple[Record, ...]:
        """Those that are meant, in any state. A certificate is recognised byte for byte, or NotIssuedHere raised."""
        if isinstance(what, str):
            return self.list(what, now=now)
        if isinstance(what, int):
            return self.list(format(what, "x"), now=now)
        if isinstance(what, Record):
            return self.list(what.serial, now=now)
        with self._store.read() as connection:
            return (records.by_certificate(connection, moment_of(now), what),)

    def in_use(self, what: Selector, now: datetime.datetime | None = None) -> tuple[Record, ...]:
        """Those that are valid or on hold; where none is, the last one. Raises NoSuchCertificate.

        `*.acme.example` is first of all the certificate that has that name, and only then a pattern.
        """
        found = self._named(what, now) or self.find(what, now)
        if not found:
            raise NoSuchCertificate(_told(what))
        return tuple(record for record in found if record.state in ("valid", "held")) or found[-1:]

    def _named(self, what: Selector, now: datetime.datetime | None) -> tuple[Record, ...]:
        if not isinstance(what, str):
            return ()
        with self._store.read() as connection:
            return records.search(connection, moment_of(now), match=what, literally=True)

    def one(self, what: Selector, now: datetime.datetime | None = None, *, newest: bool = False) -> Record:
        """The one that is meant. Raises NoSuchCertificate and SelectorAmbiguous.

        With `newest` one that was renewed gives way to its successor, though both are in use.
        """
        found = self.in_use(what, now)
        if newest:
            renewed = {record.renews for record in found}
            found = tuple(record for record in found if record.serial not in renewed)
        if len(found) > 1:
            raise SelectorAmbiguous(_told(what), tuple(record.serial for record in found))
        return found[0]


def moment_of(now: datetime.datetime | None) -> datetime.datetime:
    """The moment that a caller gave, or the present one, in UTC."""
    return datetime.datetime.now(datetime.UTC) if now is None else now.astimezone(datetime.UTC)


def _told(what: Selector) -> str:
    if isinstance(what, int):
        return format(what, "x")
    if isinstance(what, Record):
        return what.serial
    if isinstance(what, Credential):
        return describe(what.leaf)
    return describe(what) if isinstance(what, x509.Certificate) else what
