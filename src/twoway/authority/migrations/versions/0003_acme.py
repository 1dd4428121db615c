"""ACME: accounts, orders, authorizations, challenges."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "acme_external_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("names", sa.Text),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("account", sa.Text),
    )
    op.create_table(
        "acme_accounts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("thumbprint", sa.Text, nullable=False, unique=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("contact", sa.Text, nullable=False),
        sa.Column("external_key", sa.Text),
        sa.Column("names", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "acme_orders",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("identifiers", sa.Text, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("replaces", sa.Text),
        sa.Column("serial", sa.Text),
        sa.Column("error", sa.Text),
    )
    op.create_index("acme_orders_by_account", "acme_orders", ["account", "created_at"])
    op.create_index("acme_orders_by_serial", "acme_orders", ["serial"])
    op.create_index("acme_orders_by_replaces", "acme_orders", ["replaces"])
    op.create_index("acme_orders_by_end", "acme_orders", ["expires"])
    op.create_table(
        "acme_authorizations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("for_order", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("wildcard", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
    )
    op.create_index("acme_authorizations_by_order", "acme_authorizations", ["for_order"])
    op.create_index("acme_authorizations_by_value", "acme_authorizations", ["account", "value"])
    op.create_table(
        "acme_challenges",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("authorization", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("begun_at", sa.BigInteger),
        sa.Column("validated_at", sa.BigInteger),
        sa.Column("error", sa.Text),
    )
    op.create_index("acme_challenges_by_authorization", "acme_challenges", ["authorization"])
    op.create_table(
        "acme_nonces",
        sa.Column("nonce", sa.Text, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_index("acme_nonces_by_end", "acme_nonces", ["until"])
