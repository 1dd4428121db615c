"""The entries of a revocation list, found by walking its DER once; pure.

Iterating the library's objects for 100,000 entries with dates and reasons takes five times as long and
looking one up takes 14 ms, which would be paid for every refusal; docs/why/revocation.md has the figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

REASONS = {
    0: "unspecified",
    1: "keyCompromise",
    2: "cACompromise",
    3: "affiliationChanged",
    4: "superseded",
    5: "cessationOfOperation",
    6: "certificateHold",
    8: "removeFromCRL",
    9: "privilegeWithdrawn",
    10: "aACompromise",
}
_REMOVED = 8
_INTEGER, _ENUMERATED, _SEQUENCE, _EXTENSIONS = 0x02, 0x0A, 0x30, 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_BOOLEAN, _OCTET_STRING, _OID = 0x01, 0x04, 0x06
_REASON_OID = b"\x55\x1d\x15"
_INVALIDITY_DATE_OID = b"\x55\x1d\x18"
_CERTIFICATE_ISSUER_OID = b"\x55\x1d\x1d"
# The whole of an entry's extensions when there is a reason and nothing else, but for the reason itself.
_ONLY_REASON = b"\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01"


class Unusable(ValueError):
    """Why no entry of this list may be used; stays within `twoway.trust`."""


class Entries:
    """Which serial numbers a list revokes, and since when and why; immutable.

    `tbs` is the list's tbsCertList as DER. Raises Unusable for an entry extension that is critical and not
    understood (RFC 5280 §5.3), for entries of other authorities, and for what is no such DER.
    """

    __slots__ = ("_places", "_tbs")

    def __init__(self, tbs: bytes) -> None:
        try:
            self._places = _places(tbs)
        except (IndexError, ValueError) as error:
            raise error if isinstance(error, Unusable) else Unusable("its entries do not decode") from None
        self._tbs = tbs if self._places else b""

    @classmethod
    def none(cls) -> Entries:
        """No entries: of a list that cannot be used."""
        empty = object.__new__(cls)
        empty._places, empty._tbs = {}, b""
        return empty

    def __contains__(self, serial: object) -> bool:
        return serial in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def since(self, serial: int) -> datetime | None:
        """When it was revoked; None where the list says nothing readable."""
        place = self._places[serial] >> 1
        text = self._tbs[place + 2 : place + 2 + self._tbs[place + 1]].decode("ascii", "replace")
        # RFC 5280 §5.1.2.6: UTCTime until 2049, of which 50 to 99 is the last century.
        if self._tbs[place] == _UTC_TIME:
            text = ("19" if text[:2] >= "50" else "20") + text
        try:
            return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return None

    def reason(self, serial: int) -> str:
        """Why, in the standard's word; "unspecified" where the list does not say."""
        place, extended = self._places[serial] >> 1, self._places[serial] & 1
        if not extended:
            return "unspecified"
        return REASONS.get(_reason_at(self._tbs, place + 2 + self._tbs[place + 1]), "unspecified")


def _places(tbs: bytes) -> dict[int, int]:
    """Serial number -> twice where the time of its revocation stands, and one more if extensions follow it."""
    start, end = _revoked(tbs)
    places: dict[int, int] = {}
    position = start
    while position < end:
        # The short forms of DER, which every entry of a real list has, are read in place: this runs
        # once for every certificate that was ever revoked.
        size = tbs[position + 1]
        if tbs[position] != _SEQUENCE:
            raise Unusable("its entries do not decode")
        body, following = (position + 2, position + 2 + size) if size < 0x80 else _content(tbs, position)
        serial_size = tbs[body + 1]
        if tbs[body] != _INTEGER or serial_size >= 0x80 or following > end:
            raise Unusable("its entries do not decode")
        time = body + 2 + serial_size
        if tbs[time] not in (_UTC_TIME, _GENERALIZED_TIME):
            raise Unusable("its entries do not decode")
        extensions = time + 2 + tbs[time + 1]
        if extensions < following:
            if tbs.startswith(_ONLY_REASON, extensions) and extensions + 14 == following:
                removed = tbs[extensions + 13] == _REMOVED
            else:
                _check_extensions(tbs, extensions, following)
                removed = _reason_at(tbs, extensions) == _REMOVED
            if removed:
                # RFC 5280 §5.3.1: removeFromCRL revokes nothing, and belongs in delta lists only.
                position = following
                continue
        elif extensions > following:
            raise Unusable("its entries do not decode")
        places[int.from_bytes(tbs[body + 2 : time], "big", signed=True)] = time << 1 | (
            extensions < following
        )
        position = following
    return places


def _revoked(tbs: bytes) -> tuple[int, int]:
    """Where the entries begin and end (RFC 5280 §5.1); both 0 for a list without any."""
    position, end = _content(tbs, 0)
    if end != len(tbs):
        raise Unusable("its entries do not decode")
    if tbs[position] == _INTEGER:
        position = _content(tbs, position)[1]
    for _ in range(2):  # the algorithm, the issuer
        position = _content(tbs, position)[1]
    for _ in range(2):  # thisUpdate, nextUpdate
        if position < end and tbs[position] in (_UTC_TIME, _GENERALIZED_TIME):
            position = _content(tbs, position)[1]
    if position < end and tbs[position] == _SEQUENCE:
        return _content(tbs, position)
    return 0, 0


def _content(der: bytes, position: int) -> tuple[int, int]:
    """Where the content of the element at `position` begins and ends."""
    size = der[position + 1]
    begin = position + 2
    if size & 0x80:
        count = size & 0x7F
        begin += count
        size = int.from_bytes(der[position + 2 : begin], "big")
        if not 0 < count <= 4:
            raise Unusable("its entries do not decode")
    if begin + size > len(der):
        raise Unusable("its entries do not decode")
    return begin, begin + size


def _extensions(der: bytes, position: int) -> Iterator[tuple[bytes, bool, bytes]]:
    """The (object identifier, critical, value) of each extension in the SEQUENCE at `position`."""
    position, end = _content(der, position)
    while position < end:
        inner, position = _content(der, position)
        begin, stop = _content(der, inner)
        oid = der[begin:stop]
        critical = der[stop] == _BOOLEAN and der[stop + 2] != 0
        if der[stop] == _BOOLEAN:
            stop = _content(der, stop)[1]
        begin, stop = _content(der, stop)
        yield oid, critical, der[begin:stop]


def _check_extensions(der: bytes, position: int, end: int) -> None:
    if _content(der, position)[1] != end:
        raise Unusable("its entries do not decode")
    for oid, critical, _ in _extensions(der, position):
        if oid == _CERTIFICATE_ISSUER_OID:
            raise Unusable("it is an indirect list, which speaks for other authorities")
        if critical and oid not in (_REASON_OID, _INVALIDITY_DATE_OID):
            # RFC 5280 §5.3: a list with such an entry MUST NOT be used for any certificate.
            raise Unusable("an entry has a critical extension that is not understood")


def _reason_at(der: bytes, position: int) -> int:
    """The reason in the extensions at `position`, 0 when they name none."""
    for oid, _, value in _extensions(der, position):
        if oid == _REASON_OID and value[:2] == b"\x0a\x01" and len(value) == 3:
            return value[2]
    return 0
