"""The tables of an authority's store.

Times are whole seconds since 1970 UTC; serials and SHA-256 fingerprints are lower-case hex without separators.
`VERSION` names the newest migration: a fresh store is made from these tables, an older one is migrated.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

VERSION = "0004"

metadata = MetaData()

# The authority's own certificates. The root's `parent` is itself. A CA is its key: an issuing CA that is renewed with
# the same key keeps its row, and its earlier certificate goes into a row of its own that is `renewed`.
issuers = Table(
    "issuers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("role", Text, nullable=False),  # root | issuing | renewed | cross | abandoned
    Column("parent", Integer, nullable=False),
    Column("serial", Text, nullable=False, unique=True),
    Column("certificate", LargeBinary, nullable=False),
    Column("key_file", Text, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("current", Boolean, nullable=False),  # one root and one issuing CA sign at a time
    Column("revoked_at", BigInteger),
    Column("reason", Text),
    Column("changes", BigInteger, nullable=False),  # counts what the next CRL has to say differently
    Column("crl_number", BigInteger, nullable=False),
)

certificates = Table(
    "certificates",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("issuer", Integer, ForeignKey("issuers.id"), nullable=False),
    Column("serial", Text, nullable=False, unique=True),
    Column("fingerprint", Text, nullable=False, unique=True),
    Column("common_name", Text),
    Column("profile", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("renews", Text),  # the serial of the certificate that this one follows
    Column("certificate", LargeBinary, nullable=False),
    Index("certificates_by_common_name", "common_name"),
    Index("certificates_by_end", "not_after"),
    Index("certificates_by_renews", "renews"),
)

# One row for each subject alternative name.
names = Table(
    "names",
    metadata,
    Column("value", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("serial", Text, primary_key=True),
    sqlite_with_rowid=False,
)

# Apart from the certificates, so that a CRL reads these rows and nothing else.
revocations = Table(
    "revocations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("serial", Text, nullable=False, unique=True),
    Column("issuer", Integer, nullable=False),
    Column("revoked_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("not_after", BigInteger, nullable=False),
)

# One-time tokens that were redeemed; kept until their time is over.
redemptions = Table(
    "redemptions",
    metadata,
    Column("token", Text, primary_key=True),
    Column("serial", Text, nullable=False),
    Column("redeemed_at", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Index("redemptions_by_end", "not_after"),
)

# ACME (RFC 8555). Keys for external account binding: the secret is derived from the CA's key and the row's id.
acme_external_keys = Table(
    "acme_external_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("issuer", Text, nullable=False),  # the key identifier of the CA that it is derived from
    Column("names", Text),  # JSON: patterns of what the account may ask for; null is no limit of its own
    Column("made_at", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("account", Text),  # the one that was bound to it
)

# Without foreign keys: rows of several callers are inserted table by table, and never removed alone.
acme_accounts = Table(
    "acme_accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("thumbprint", Text, nullable=False, unique=True),
    Column("key", Text, nullable=False),  # the JWK as JSON
    Column("status", Text, nullable=False),
    Column("contact", Text, nullable=False),  # JSON
    Column("external_key", Text),
    Column("names", Text),  # as in acme_external_keys
    Column("created_at", BigInteger, nullable=False),
)

acme_orders = Table(
    "acme_orders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("identifiers", Text, nullable=False),  # JSON
    Column("profile", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("replaces", Text),  # the serial of the certificate that this one follows
    Column("serial", Text),
    Column("error", Text),  # JSON: why it is invalid
    Index("acme_orders_by_account", "account", "created_at"),
    Index("acme_orders_by_serial", "serial"),
    Index("acme_orders_by_replaces", "replaces"),
    Index("acme_orders_by_end", "expires"),
)

acme_authorizations = Table(
    "acme_authorizations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("for_order", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("wildcard", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Index("acme_authorizations_by_order", "for_order"),
    Index("acme_authorizations_by_value", "account", "value"),
)

acme_challenges = Table(
    "acme_challenges",
    metadata,
    Column("id", Text, primary_key=True),
    Column("authorization", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("begun_at", BigInteger),
    Column("validated_at", BigInteger),
    Column("error", Text),  # JSON: why it failed
    Index("acme_challenges_by_authorization", "authorization"),
)

# Nonces of requests that changed something, so that no copy of the service plays one again; kept until they end.
acme_nonces = Table(
    "acme_nonces",
    metadata,
    Column("nonce", Text, primary_key=True),
    Column("until", BigInteger, nullable=False),
    Index("acme_nonces_by_end", "until"),
)

# Changes of the issuing CA or of the root: at most one is under way. The numbers are those of `issuers`; where only the
# issuing CA changes, both roots are the same.
rotations = Table(
    "rotations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),  # issuing | root
    Column("step", Text, nullable=False),  # distribute | issue, and at the end retired | aborted
    Column("began_at", BigInteger, nullable=False),
    Column("stepped_at", BigInteger, nullable=False),
    Column("old_root", Integer, nullable=False),
    Column("new_root", Integer, nullable=False),
    Column("old_issuing", Integer, nullable=False),
    Column("new_issuing", Integer, nullable=False),
)

# Which identities fetched the trust bundle, and the lists with it, since a rotation has given out a new one.
fetches = Table(
    "fetches",
    metadata,
    Column("serial", Text, primary_key=True),
    Column("rotation", Integer, primary_key=True, autoincrement=False),
    Column("fetched_at", BigInteger, nullable=False),
)

# The newest CRL of each issuer.
crls = Table(
    "crls",
    metadata,
    Column("issuer", Integer, ForeignKey("issuers.id"), primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("this_update", BigInteger, nullable=False),
    Column("next_update", BigInteger, nullable=False),
    Column("covers", BigInteger, nullable=False),  # the count of issuers.changes that it has seen
    Column("crl", LargeBinary, nullable=False),
)

# `hash` is SHA-256 over the previous row's hash and this row: see audit.py.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

# A CA's signature over the head of the audit log as it was at that row.
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("issuer", Integer, ForeignKey("issuers.id"), nullable=False),
    Column("signature", LargeBinary, nullable=False),
)
