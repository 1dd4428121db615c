"""The store begins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "issuers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("parent", sa.Integer, nullable=False),
        sa.Column("serial", sa.Text, nullable=False, unique=True),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
        sa.Column("key_file", sa.Text, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("reason", sa.Text),
        sa.Column("changes", sa.BigInteger, nullable=False),
        sa.Column("crl_number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "certificates",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("issuer", sa.Integer, sa.ForeignKey("issuers.id"), nullable=False),
        sa.Column("serial", sa.Text, nullable=False, unique=True),
        sa.Column("fingerprint", sa.Text, nullable=False, unique=True),
        sa.Column("common_name", sa.Text),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("renews", sa.Text),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
    )
    op.create_index("certificates_by_common_name", "certificates", ["common_name"])
    op.create_index("certificates_by_end", "certificates", ["not_after"])
    op.create_table(
        "names",
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("serial", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "revocations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("serial", sa.Text, nullable=False, unique=True),
        sa.Column("issuer", sa.Integer, nullable=False),
        sa.Column("revoked_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "crls",
        sa.Column("issuer", sa.Integer, sa.ForeignKey("issuers.id"), primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("this_update", sa.BigInteger, nullable=False),
        sa.Column("next_update", sa.BigInteger, nullable=False),
        sa.Column("covers", sa.BigInteger, nullable=False),
        sa.Column("crl", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_table(
        "checkpoints",
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("issuer", sa.Integer, sa.ForeignKey("issuers.id"), nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
    )
