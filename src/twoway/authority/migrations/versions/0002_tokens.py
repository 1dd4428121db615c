"""One-time tokens; successors are found by what they renew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "redemptions",
        sa.Column("token", sa.Text, primary_key=True),
        sa.Column("serial", sa.Text, nullable=False),
        sa.Column("redeemed_at", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
    )
    op.create_index("redemptions_by_end", "redemptions", ["not_after"])
    op.create_index("certificates_by_renews", "certificates", ["renews"])
