"""Checking an authority's audit log against itself, its signatures, and the certificates in the store."""

from __future__ import annotations

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
from twoway.authority.told import Told


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

    Checked: each row follows from the one before; each CRL has the checkpoint that was made with it, signed by a CA
    under `root`; the tables say what the rows tell, and the other way round (Told); `expect`, a head noted earlier,
    is still in it. Raises AuditBroken with the first row that does not hold. Not shown by any of this: that the whole
    store was set back to what it was at a checkpoint, or written on differently from there, unless `expect` is later.
    """
    with store.read() as connection:
        _check_database(connection)
        checkpoints = _checkpoints(connection, root)
        head, told, signed, signed_at = START, Told(), 0, None
        if expect is not None:
            checkpoints.setdefault(expect.row, []).append(("the head that was noted earlier", expect.hash))
        everything = connection.execution_options(yield_per=1000).execute(
            select(schema.audit).order_by(schema.audit.c.id)
        )
        for row in verified(Row(*row) for row in everything):
            head = Head(row.id, row.hash)
            signatures = checkpoints.pop(row.id, [])
            for what, digest in signatures:
                if digest != row.hash:
                    raise AuditBroken(row.id, f"it differs from {what}")
                if what == _SIGNED:
                    signed, signed_at = row.id, row.at
            if row.act == "crl" and signed != row.id:
                raise AuditBroken(row.id, "the CA's signature that was made over it is gone")
            told.hear(row)
        if checkpoints:
            row_number = min(checkpoints)
            raise AuditBroken(
                head.row + 1,
                f"is missing: the log was cut off, and {checkpoints[row_number][0][0]} names row {row_number}",
            )
        if not signed:
            raise AuditBroken(head.row + 1, "is missing: nothing in this log was ever signed by the CA")
        count = told.check(connection)
    return AuditReport(head.row, head, signed, signed_at, count)


_SIGNED = "the CA's signature over it"


def _checkpoints(connection: Connection, root: x509.Certificate) -> dict[int, list[tuple[str, str]]]:
    rows = connection.execute(select(schema.issuers.c.id, schema.issuers.c.certificate))
    ours = {row.id: x509.load_der_x509_certificate(row.certificate) for row in rows}
    authorities = _vouched(root, ours)
    found: dict[int, list[tuple[str, str]]] = {}
    for row in connection.execute(select(schema.checkpoints)):
        try:
            signer = authorities[row.issuer]
            signing.verify(signer.public_key(), row.signature, checkpoint_message(Head(row.row, row.hash)))
        except (InvalidSignature, KeyError) as failure:
            raise AuditBroken(row.row, "its checkpoint is not signed by a CA of this authority") from failure
        found.setdefault(row.row, []).append((_SIGNED, row.hash))
    return found


def _vouched(root: x509.Certificate, cas: dict[int, x509.Certificate]) -> dict[int, x509.Certificate]:
    """The CAs under the root, and under those roots whose keys it certifies: the ones before it (RFC 4210 §4.4)."""
    found: dict[int, x509.Certificate] = {}
    believed = [root]
    while believed:
        above = believed.pop()
        for number, certificate in cas.items():
            if number in found:
                continue
            try:
                certificate.verify_directly_issued_by(above)
            except (InvalidSignature, ValueError, TypeError):
                continue
            found[number] = certificate
            if certificate.subject == above.subject:
                believed.append(certificate)
    return found


def _check_database(connection: Connection) -> None:
    """A damaged index would answer that a certificate is not revoked while the table says that it is."""
    if connection.dialect.name != "sqlite":
        return  # a server has its administrator for that (pg_amcheck)
    found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
    if found != "ok":
        raise AuditBroken(1, f"the database itself is damaged: {found}")
