"""Checking an authority's audit log against itself, its signatures, and the certificates in the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from sqlalchemy import select
from sqlalchemy.engine import Connection

from twoway.authority import schema, signing
from twoway.authority.audit import START, Head, Row, checkpoint_message, verified
from twoway.authority.faults import AuditBroken
from twoway.authority.store import Store

ISSUING_ACTS = ("issue", "sign", "renew")


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What a log that holds together shows."""

    rows: int
    head: Head
    signed: int
    """The last row that a CA's signature covers; those after it are held by their hashes alone."""
    signed_at: str | None
    certificates: int

    def as_dict(self) -> dict[str, object]:
        return {
            "rows": self.rows,
            "head": str(self.head),
            "signed_rows": self.signed,
            "signed_at": self.signed_at,
            "certificates": self.certificates,
        }


def rows(store: Store, *, after: int = 0, limit: int | None = None) -> Iterator[Row]:
    """The log in its order, unverified."""
    columns = schema.audit.c
    query = select(schema.audit).where(columns.id > after).order_by(columns.id).limit(limit)
    with store.read() as connection:
        for row in connection.execution_options(yield_per=1000).execute(query):
            yield Row(*row)


def verify(store: Store, root: x509.Certificate, expect: Head | None = None) -> AuditReport:
    """Read the whole log and check that it is what was written.

    Checked: each row follows from the one before; each checkpoint is signed by a CA under `root` and fits its row;
    each certificate in the store has the row that it was issued with, and the other way round; `expect`, a head
    noted earlier, is still in it. Raises AuditBroken with the first row that does not hold. Not shown by any of
    this: that rows after the last checkpoint which issued nothing were cut off, unless `expect` is one of them.
    """
    with store.read() as connection:
        checkpoints = _checkpoints(connection, root)
        head, issued, signed, signed_at = START, {}, 0, None
        if expect is not None:
            checkpoints.setdefault(expect.row, []).append(("the head that was noted earlier", expect.hash))
        everything = connection.execution_options(yield_per=1000).execute(
            select(schema.audit).order_by(schema.audit.c.id)
        )
        for row in verified(Row(*row) for row in everything):
            head = Head(row.id, row.hash)
            for what, digest in checkpoints.pop(row.id, ()):
                if digest != row.hash:
                    raise AuditBroken(row.id, f"it differs from {what}")
                if what == _SIGNED:
                    signed, signed_at = row.id, row.at
            if row.act in ISSUING_ACTS:
                issued[row.subject] = (row.id, json.loads(row.detail)["fingerprint"])
        if checkpoints:
            row_number = min(checkpoints)
            raise AuditBroken(
                head.row + 1,
                f"is missing: the log was cut off, and {checkpoints[row_number][0][0]} names row {row_number}",
            )
        count = _check_certificates(connection, issued, head)
    return AuditReport(head.row, head, signed, signed_at, count)


_SIGNED = "the CA's signature over it"


def _checkpoints(connection: Connection, root: x509.Certificate) -> dict[int, list[tuple[str, str]]]:
    authorities = {}
    for row in connection.execute(select(schema.issuers.c.id, schema.issuers.c.certificate)):
        certificate = x509.load_der_x509_certificate(row.certificate)
        try:
            certificate.verify_directly_issued_by(root)
        except (InvalidSignature, ValueError, TypeError):
            continue
        authorities[row.id] = certificate
    found: dict[int, list[tuple[str, str]]] = {}
    for row in connection.execute(select(schema.checkpoints)):
        try:
            signer = authorities[row.issuer]
            signing.verify(signer.public_key(), row.signature, checkpoint_message(Head(row.row, row.hash)))
        except (InvalidSignature, KeyError) as failure:
            raise AuditBroken(row.row, "its checkpoint is not signed by a CA of this authority") from failure
        found.setdefault(row.row, []).append((_SIGNED, row.hash))
    return found


def _check_certificates(connection: Connection, issued: dict[str, tuple[int, str]], head: Head) -> int:
    count = 0
    columns = schema.certificates.c
    query = select(columns.serial, columns.certificate).order_by(columns.id)
    for serial, certificate in connection.execution_options(yield_per=1000).execute(query):
        number, fingerprint = issued.pop(serial, (head.row + 1, None))
        if fingerprint is None:
            raise AuditBroken(
                number, f"is missing: certificate {serial} is in the store and nothing tells of it"
            )
        if fingerprint != hashlib.sha256(certificate).hexdigest():
            raise AuditBroken(
                number, f"the certificate {serial} in the store is not the one that it tells of"
            )
        count += 1
    if issued:
        number, serial = min((number, serial) for serial, (number, _) in issued.items())
        raise AuditBroken(number, f"certificate {serial}, which it tells of, is not in the store")
    return count
