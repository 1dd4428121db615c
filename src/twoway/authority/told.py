"""What the audit log tells of, gathered row by row, and whether the store's tables say the same.

The chain of hashes holds the log together; it does not hold the tables, and it is the tables that are asked who is
revoked. Whoever can write the store could take a revocation back without touching the log.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import Counter
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from sqlalchemy import select
from sqlalchemy.engine import Connection
from sqlalchemy.engine import Row as TableRow

from twoway.authority import schema
from twoway.authority.audit import Row
from twoway.authority.faults import AuditBroken

ISSUING_ACTS = ("issue", "sign", "renew")
_LIFT = "removeFromCRL"


class _Issued(NamedTuple):
    row: int
    actor: str
    detail: dict[str, Any]


class _Revoked(NamedTuple):
    row: int
    at: int
    reason: str


class Told:
    """The state that a log describes. `hear` takes its rows in order; `check` compares the tables with them."""

    def __init__(self) -> None:
        self._row = 0
        self._issued: dict[str, _Issued] = {}
        self._revoked: dict[str, _Revoked] = {}
        self._cas: dict[str, int] = {}
        self._signs_now = ""
        self._lists: dict[str, int] = {}
        self._changes: list[tuple[int, str]] = []

    def hear(self, row: Row) -> None:
        """Take in one row, which has been found to follow from the one before."""
        self._row = row.id
        if row.act in ISSUING_ACTS:
            self._issued[row.subject] = _Issued(row.id, row.actor, json.loads(row.detail))
        elif row.act in ("revoke", "revoke-issuing"):
            at = int(datetime.datetime.fromisoformat(row.at).timestamp())
            reason = json.loads(row.detail)["reason"]
            self._revoked[row.subject] = _Revoked(row.id, at, reason)
            self._changes.append((row.id, row.subject))
            if reason == _LIFT:
                del self._revoked[row.subject]
        elif row.act == "create":
            detail = json.loads(row.detail)
            self._cas |= {detail["root"]: row.id, detail["issuing"]: row.id}
            self._signs_now = detail["issuing"]
        elif row.act == "rotate-begin":
            self._cas |= dict.fromkeys(json.loads(row.detail)["certificates"], row.id)
        elif row.act == "rotate-issue":
            self._signs_now = json.loads(row.detail)["issuing"]
        elif row.act == "renew-issuing":
            self._signs_now = json.loads(row.detail)["fingerprint"]
            self._cas[self._signs_now] = row.id
        elif row.act == "crl":
            self._lists[json.loads(row.detail)["sha256"]] = row.id

    def check(self, connection: Connection) -> int:
        """Compare the tables, and return how many certificates there are.

        Raises AuditBroken with the first row that a table contradicts, or with the one that would have to follow the
        last where a table has what no row tells of.
        """
        connection.execution_options(yield_per=1000)
        filed = self._check_certificates(connection)
        cas = self._check_cas(connection)
        self._check_revocations(connection, filed)
        self._check_lists(connection, {serial: issuer for serial, (issuer, _) in filed.items()} | cas)
        return len(filed)

    def _check_cas(self, connection: Connection) -> dict[str, int]:
        """The serials of all CAs, with the CA whose CRL tells of them."""
        missing, parents = dict(self._cas), {}
        for ca in connection.execute(select(schema.issuers)):
            fingerprint = hashlib.sha256(ca.certificate).hexdigest()
            number = missing.pop(fingerprint, None)
            if number is None:
                raise self._untold(f"the CA {ca.serial} is in the store")
            if ca.role == "issuing" and ca.current is not (fingerprint == self._signs_now):
                raise AuditBroken(
                    number, f"the CA {ca.serial} that it tells of is not the one that issues now"
                )
            found = None if ca.revoked_at is None else (ca.revoked_at, ca.reason)
            self._compare_revocation(ca.serial, found)
            parents[ca.serial] = ca.parent
        if missing:
            raise AuditBroken(min(missing.values()), "a CA that it tells of is not in the store")
        return parents

    def _check_certificates(self, connection: Connection) -> dict[str, tuple[int, int]]:
        """The serials of all certificates, with their issuer and end."""
        names: dict[str, set[str]] = {}
        for value, kind, serial in connection.execute(select(schema.names)):
            names.setdefault(serial, set()).add(f"{kind}:{value}")
        missing, filed = dict(self._issued), {}
        for row in connection.execute(select(schema.certificates).order_by(schema.certificates.c.id)):
            told = missing.pop(row.serial, None)
            if told is None:
                raise self._untold(f"certificate {row.serial} is in the store")
            _compare_certificate(row, told, names.pop(row.serial, set()))
            filed[row.serial] = (row.issuer, row.not_after)
        if missing:
            serial, told = min(missing.items(), key=lambda item: item[1].row)
            raise AuditBroken(told.row, f"certificate {serial}, which it tells of, is not in the store")
        if names:
            raise self._untold(f"names of a certificate {next(iter(names))} are in the store")
        return filed

    def _check_revocations(self, connection: Connection, filed: dict[str, tuple[int, int]]) -> None:
        revocations = {row.serial: row for row in connection.execute(select(schema.revocations))}
        for serial, under in filed.items():
            row = revocations.pop(serial, None)
            self._compare_revocation(serial, None if row is None else (row.revoked_at, row.reason))
            if row is not None and (row.issuer, row.not_after) != under:
                raise AuditBroken(
                    self._revoked[serial].row, "its revocation is filed under another CA or end"
                )
        if revocations:
            raise self._untold(f"{next(iter(revocations))} is marked as revoked")

    def _compare_revocation(self, serial: str, found: tuple[int, str] | None) -> None:
        told = self._revoked.get(serial)
        if told is None:
            if found is not None:
                raise self._untold(f"{serial} is marked as revoked")
        elif found is None:
            raise AuditBroken(told.row, f"{serial}, which it revokes, is not revoked in the store")
        elif found != (told.at, told.reason):
            raise AuditBroken(
                told.row, f"{serial}, which it revokes, is revoked at another time or for another reason"
            )

    def _check_lists(self, connection: Connection, issuer: dict[str, int]) -> None:
        """The stored CRLs are those that were signed last, and the store knows what they do not say yet."""
        columns = schema.issuers.c
        counted = {row.id: row.changes for row in connection.execute(select(columns.id, columns.changes))}
        changes = Counter(issuer[serial] for _, serial in self._changes)
        if any(counted[ca] < number for ca, number in changes.items()):
            raise self._untold("a revocation is hidden from the next CRL")
        for stored in connection.execute(select(schema.crls)):
            number = self._lists.get(hashlib.sha256(stored.crl).hexdigest())
            if number is None:
                raise self._untold(f"a CRL with the number {stored.number} is in the store")
            later = sum(row > number and issuer[serial] == stored.issuer for row, serial in self._changes)
            if stored.covers + later > counted[stored.issuer]:
                raise AuditBroken(number, "its CRL passes for newer than it is")

    def _untold(self, what: str) -> AuditBroken:
        return AuditBroken(self._row + 1, f"is missing: {what} and nothing tells of it")


def _compare_certificate(row: TableRow[Any], told: _Issued, names: set[str]) -> None:
    certificate = x509.load_der_x509_certificate(row.certificate)
    detail = told.detail
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    if detail["fingerprint"] != fingerprint:
        raise AuditBroken(
            told.row, f"the certificate {row.serial} in the store is not the one that it tells of"
        )
    expected = {
        "fingerprint": fingerprint,
        "serial": format(certificate.serial_number, "x"),
        "common_name": detail.get("common_name"),
        "profile": detail["profile"],
        "requested_by": told.actor,
        "renews": detail.get("renews"),
        "not_before": int(certificate.not_valid_before_utc.timestamp()),
        "not_after": int(certificate.not_valid_after_utc.timestamp()),
    }
    for column, value in expected.items():
        if getattr(row, column) != value:
            found = f"expected {value!r}, the store says {getattr(row, column)!r}"
            raise AuditBroken(told.row, f"the {column} of certificate {row.serial}: {found}")
    if names != set(detail.get("names", ())):
        raise AuditBroken(told.row, f"the names of certificate {row.serial} are others in the store")
