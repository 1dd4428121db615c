"""Rotations of the issuing CA and of the root."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "rotations",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("stepped_at", sa.BigInteger, nullable=False),
        sa.Column("old_root", sa.Integer, nullable=False),
        sa.Column("new_root", sa.Integer, nullable=False),
        sa.Column("old_issuing", sa.Integer, nullable=False),
        sa.Column("new_issuing", sa.Integer, nullable=False),
    )
    op.create_table(
        "fetches",
        sa.Column("serial", sa.Text, primary_key=True),
        sa.Column("rotation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("fetched_at", sa.BigInteger, nullable=False),
    )
