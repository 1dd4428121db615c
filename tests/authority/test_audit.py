"""The audit log: every act is a row, and no row can be changed without being found out."""

from __future__ import annotations

import datetime
import json
import pickle
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authority.conftest import DAY, NOW, make_csr
from twoway.authority import AuditHead, Authority
from twoway.authority.audit import START, Head, Row, chained, verified
from twoway.authority.faults import AuditBroken


@pytest.fixture
def lived(authority: Authority) -> Authority:
    """Rows: 1 create, 2 and 3 CRLs, 4 and 5 issue, 6 revoke, 7 CRL, 8 issue."""
    authority.issue_client("orders", now=NOW)
    authority.issue_client("billing", now=NOW)
    authority.revoke("orders", now=NOW)
    authority.crl_pem(now=NOW)
    authority.issue_client("late", now=NOW)
    return authority


def tamper(authority: Authority, *statements: str) -> None:
    with closing(sqlite3.connect(authority.directory / "authority.db")) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for statement in statements:
            connection.execute(statement)


def test_every_act_is_a_row(authority: Authority, tmp_path: object) -> None:
    identity = authority.issue_client("orders", now=NOW)
    authority.sign(make_csr("billing"), profile="client", now=NOW)
    authority.renew(identity, now=NOW)
    authority.revoke(identity, now=NOW)
    authority.crl_pem(now=NOW)
    authority.root_key.export(authority.directory / "copy.pem", now=NOW)
    authority.root_key.renew_issuing(now=NOW)
    authority.root_key.remove(authority.directory / "copy.pem", now=NOW)
    assert [row.act for row in authority.audit()] == [
        *("create", "crl", "crl", "issue", "sign", "renew", "revoke", "crl"),
        *("export-root-key", "renew-issuing", "crl", "remove-root-key"),
    ]
    assert authority.verify_audit().rows == 12


def test_a_whole_log_is_reported_with_its_head(lived: Authority) -> None:
    report = lived.verify_audit()
    assert (report.rows, report.certificates) == (8, 3)
    assert report.signed == 7
    assert report.head == Head(8, list(lived.audit())[-1].hash)
    assert json.loads(json.dumps(report.as_dict()))["head"] == str(report.head)


def test_it_is_verified_without_any_key(lived: Authority) -> None:
    for name in ("root-key.pem", "issuing-key.pem"):
        (lived.directory / name).unlink()
    with Authority.open(lived.directory) as opened:
        assert opened.verify_audit().rows == 8


def test_refusals_leave_no_row(authority: Authority) -> None:
    before = authority.verify_audit().rows
    with pytest.raises(Exception, match="no lifetime"):
        authority.issue_client("orders", days=-1, now=NOW)
    assert authority.verify_audit().rows == before


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "'nobody'"),
        ("at", "'2020-01-01'"),
        ("act", "'sign'"),
        ("subject", "'x'"),
        ("detail", "detail || ' '"),
        ("hash", "replace(hash, 'a', 'b')"),
    ],
)
def test_a_changed_row_is_named(lived: Authority, column: str, value: str) -> None:
    tamper(lived, f"UPDATE audit SET {column} = {value} WHERE id = 5")
    with pytest.raises(AuditBroken) as broken:
        lived.verify_audit()
    assert broken.value.row == 5
    assert "does not follow" in broken.value.why


def test_a_removed_row_is_named(lived: Authority) -> None:
    tamper(lived, "DELETE FROM audit WHERE id = 4")
    with pytest.raises(AuditBroken) as broken:
        lived.verify_audit()
    assert broken.value.args == (4, "is missing: the next row that exists is 5")


def test_an_inserted_row_is_named(lived: Authority) -> None:
    tamper(lived, "INSERT INTO audit SELECT 9, at, actor, act, subject, detail, hash FROM audit WHERE id = 8")
    with pytest.raises(AuditBroken) as broken:
        lived.verify_audit()
    assert broken.value.row == 9


def test_an_end_that_was_cut_off_before_a_checkpoint_is_found(lived: Authority) -> None:
    tamper(lived, "DELETE FROM audit WHERE id >= 6")
    with pytest.raises(AuditBroken) as broken:
        lived.verify_audit()
    assert broken.value.row == 6
    assert "cut off" in broken.value.why
    assert "names row 7" in broken.value.why


def test_an_end_that_was_cut_off_with_its_checkpoint_leaves_certificates_behind(lived: Authority) -> None:
    tamper(lived, "DELETE FROM audit WHERE id >= 5", "DELETE FROM checkpoints WHERE row >= 5")
    with pytest.raises(AuditBroken, match=r"row 5: is missing: certificate \w+ is in the store"):
        lived.verify_audit()


def test_a_certificate_that_vanished_is_found(lived: Authority) -> None:
    tamper(lived, "DELETE FROM certificates WHERE common_name = 'late'")
    with pytest.raises(AuditBroken) as broken:
        lived.verify_audit()
    assert broken.value.row == 8
    assert "is not in the store" in broken.value.why


def test_a_certificate_that_was_exchanged_is_found(lived: Authority) -> None:
    tamper(
        lived,
        "UPDATE certificates SET certificate = (SELECT certificate FROM certificates WHERE common_name = 'billing')"
        " WHERE common_name = 'late'",
    )
    with pytest.raises(AuditBroken) as broken:
        lived.verify_audit()
    assert broken.value.row == 8


def rewrite(authority: Authority, after: int) -> None:
    """What somebody does who can write the store and has no key: make all hashes fit again."""
    rows = list(authority.audit())
    head = Head(rows[after - 1].id, rows[after - 1].hash)
    statements = []
    for row in rows[after:]:
        at = datetime.datetime.fromisoformat(row.at)
        new = chained(head, at, "innocent", row.act, row.subject, json.loads(row.detail))
        statements.append(f"UPDATE audit SET actor = 'innocent', hash = '{new.hash}' WHERE id = {row.id}")
        head = Head(new.id, new.hash)
    tamper(authority, *statements)


def test_history_that_was_rewritten_whole_contradicts_the_cas_signatures(lived: Authority) -> None:
    rewrite(lived, 3)
    with pytest.raises(AuditBroken) as broken:
        lived.verify_audit()
    assert broken.value.args == (7, "it differs from the CA's signature over it")


def test_a_checkpoint_cannot_be_signed_by_anybody_else(lived: Authority) -> None:
    tamper(lived, "UPDATE checkpoints SET signature = zeroblob(70) WHERE row = 7")
    with pytest.raises(AuditBroken) as broken:
        lived.verify_audit()
    assert broken.value.args == (7, "its checkpoint is not signed by a CA of this authority")


def test_a_ca_that_is_not_under_the_root_vouches_for_nothing(lived: Authority, tmp_path: object) -> None:
    tamper(
        lived, "UPDATE issuers SET certificate = (SELECT certificate FROM certificates LIMIT 1) WHERE id = 2"
    )
    with pytest.raises(AuditBroken, match="not signed by a CA of this authority"):
        lived.verify_audit()


def test_signatures_that_were_taken_away_are_missed(lived: Authority) -> None:
    """Else whoever rewrites the chain would only have to remove the signatures too."""
    rewrite(lived, 3)
    tamper(lived, "DELETE FROM checkpoints WHERE row >= 7")
    with pytest.raises(AuditBroken) as broken:
        lived.verify_audit()
    assert broken.value.args == (7, "the CA's signature that was made over it is gone")


def test_a_log_without_any_signature_is_none(lived: Authority) -> None:
    tamper(
        lived,
        *(
            f"DELETE FROM {table}"
            for table in ("audit", "checkpoints", "certificates", "names", "revocations")
        ),
    )
    with pytest.raises(AuditBroken, match="nothing in this log was ever signed by the CA"):
        lived.verify_audit()


SILENT = {
    "a revocation taken back": ("DELETE FROM revocations", 6, "is not revoked in the store"),
    "a reason softened": ("UPDATE revocations SET reason = 'certificateHold'", 6, "for another reason"),
    "a revocation postdated": ("UPDATE revocations SET revoked_at = revoked_at + 9", 6, "at another time"),
    "an entry that ends early": ("UPDATE revocations SET not_after = 1", 6, "under another CA or end"),
    "an entry for another CA's list": ("UPDATE revocations SET issuer = 1", 6, "under another CA or end"),
    "a revocation that nobody made": (
        "INSERT INTO revocations SELECT 9, serial, issuer, 1, 'superseded', not_after FROM certificates"
        " WHERE common_name = 'late'",
        9,
        "is marked as revoked and nothing tells of it",
    ),
    "a revocation of nothing": (
        "INSERT INTO revocations VALUES (9, 'abc', 2, 1, 'superseded', 1)",
        9,
        "abc is marked as revoked and nothing tells of it",
    ),
    "a name added": (
        "INSERT INTO names SELECT 'admin', 'dns', serial FROM names LIMIT 1",
        None,
        "the names of",
    ),
    "a name of nobody": ("INSERT INTO names VALUES ('a', 'dns', 'ff')", 9, "names of a certificate ff"),
    "another profile": ("UPDATE certificates SET profile = 'peer' WHERE id = 2", 5, "the profile of"),
    "another requester": (
        "UPDATE certificates SET requested_by = 'x' WHERE id = 2",
        5,
        "the requested_by of",
    ),
    "another end": ("UPDATE certificates SET not_after = 9 WHERE id = 2", 5, "the not_after of"),
    "the issuing CA revoked": (
        "UPDATE issuers SET revoked_at = 1, reason = 'superseded' WHERE id = 2",
        9,
        "is marked as revoked",
    ),
    "no CA issuing": ("UPDATE issuers SET current = 0", 1, "is not the one that issues now"),
    "a CA forgotten": ("DELETE FROM issuers WHERE id = 1", 2, "not signed by a CA"),
    "a CRL that nobody signed": (
        "UPDATE crls SET crl = zeroblob(9) WHERE issuer = 2",
        9,
        "a CRL with the number",
    ),
    "a CRL that passes for newer": (
        "UPDATE crls SET covers = covers + 1 WHERE issuer = 2",
        7,
        "newer than it is",
    ),
    "a change uncounted": ("UPDATE issuers SET changes = 0", 9, "hidden from the next CRL"),
}


@pytest.mark.parametrize(("statement", "row", "why"), SILENT.values(), ids=SILENT)
def test_the_tables_say_what_the_log_tells(
    lived: Authority, statement: str, row: int | None, why: str
) -> None:
    """It is the tables that are asked who is revoked; the log alone would stay whole."""
    tamper(lived, statement)
    with pytest.raises(AuditBroken, match=why) as broken:
        lived.verify_audit()
    assert row in (None, broken.value.row)


def test_what_the_log_tells_is_what_happened(lived: Authority) -> None:
    """Holds, lifted holds, several CAs with several certificates: an honest store is never called broken."""
    lived.revoke("billing", "certificateHold", now=NOW)
    lived.revoke("billing", "removeFromCRL", now=NOW)
    lived.revoke("late", "certificateHold", now=NOW)
    lived.revoke("late", "keyCompromise", now=NOW + DAY)
    lived.root_key.renew_issuing(now=NOW)
    lived.root_key.renew_issuing(new_key=True, now=NOW)
    lived.issue_peer("both", uri=["spiffe://acme.example/both"], now=NOW)
    lived.crl_pem(now=NOW + DAY)
    lived.root_key.revoke_issuing(now=NOW + DAY)
    lived.root_key.renew_issuing(new_key=True, now=NOW + DAY)
    lived.crl_pem(now=NOW + DAY)
    assert lived.verify_audit().certificates == 4


def test_what_signatures_do_not_cover_is_covered_by_a_head_that_was_noted(lived: Authority) -> None:
    """Rows after the last checkpoint that issued nothing can be cut off unseen; a noted head shows it."""
    lived.issue_client("x", now=NOW)
    lived.revoke("x", now=NOW)
    noted = lived.verify_audit().head
    tamper(lived, "DELETE FROM audit WHERE id = 10", "DELETE FROM revocations WHERE id = 2")
    assert lived.verify_audit().rows == 9
    with pytest.raises(AuditBroken) as broken:
        lived.verify_audit(noted)
    assert broken.value.row == 10
    assert "the head that was noted earlier" in broken.value.why


def test_a_noted_head_that_is_still_there_is_fine(lived: Authority) -> None:
    noted = lived.verify_audit().head
    lived.issue_client("next", now=NOW + DAY)
    assert lived.verify_audit(noted).rows == 9
    other = AuditHead(noted.row, "0" * 64)
    with pytest.raises(AuditBroken, match="differs from the head that was noted earlier"):
        lived.verify_audit(other)


@pytest.mark.parametrize("text", ["", "5", "5:xyz", "x:" + "0" * 64, "5:" + "0" * 63])
def test_a_head_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected ROW:HASH"):
        AuditHead.parse(text)


def test_rows_can_be_read_from_a_place_on(lived: Authority) -> None:
    assert [row.id for row in lived.audit(after=5)] == [6, 7, 8]
    assert [row.id for row in lived.audit(after=5, limit=1)] == [6]


ROWS = st.lists(
    st.tuples(
        st.text(max_size=20),
        st.text(max_size=10),
        st.text(max_size=40),
        st.dictionaries(st.text(), st.text()),
    ),
    min_size=1,
    max_size=6,
)


def chain(contents: list[tuple[str, str, str, dict[str, object]]]) -> list[Row]:
    rows, head = [], START
    for actor, act, subject, detail in contents:
        rows.append(chained(head, NOW, actor, act, subject, detail))
        head = Head(rows[-1].id, rows[-1].hash)
    return rows


@given(ROWS)
def test_what_was_chained_is_verified(contents: list[tuple[str, str, str, dict[str, object]]]) -> None:
    rows = chain(contents)
    assert list(verified(rows)) == rows
    assert Head.parse(str(Head(rows[-1].id, rows[-1].hash))).row == len(rows)


@given(ROWS, st.data())
def test_any_change_of_any_field_is_found(
    contents: list[tuple[str, str, str, dict[str, object]]], data: st.DataObject
) -> None:
    """Also one that moves text from one field to the next."""
    rows = chain(contents)
    place = data.draw(st.integers(0, len(rows) - 1))
    row = rows[place]
    field = data.draw(st.sampled_from(["actor", "act", "subject", "detail", "at"]))
    value = data.draw(st.text(max_size=30).filter(lambda text: text != getattr(row, field)))
    rows[place] = row._replace(**{field: value})
    with pytest.raises(AuditBroken) as broken:
        list(verified(rows))
    assert broken.value.row == row.id
    assert pickle.loads(pickle.dumps(broken.value)).args == broken.value.args
