"""One wording, and the causes that several wordings share."""

from __future__ import annotations

from typing import Literal, NamedTuple

Speaker = Literal["refused", "refuses", "own"]


class Wording(NamedTuple):
    """One row of the table; `pattern` is a regular expression, matched without regard to case."""

    program: str
    pattern: str
    speaker: Speaker
    codes: tuple[str, ...]


# The causes behind each alert when it comes back to whoever presented a certificate.
UNKNOWN_CA = ("unknown_authority", "missing_intermediate", "rekeyed_authority", "crl_missing")
BAD = (
    "unknown_authority",
    "certificate_required",
    "certificate_not_yet_valid",
    "hostname_mismatch",
    "not_strict",
)
EXPIRED = ("certificate_expired", "intermediate_expired", "crl_stale", "clock_skew")
UNKNOWN = ("not_allowed", "unknown_authority", "crl_missing", "revocation_unknown")
HANDSHAKE = ("certificate_required", "cipher_mismatch", "protocol_version_mismatch", "key_type_not_accepted")
PURPOSE = ("wrong_purpose", "key_usage_unfit", "intermediate_wrong_purpose", "key_type_not_accepted")
REQUIRED = ("certificate_required", "certificate_withheld", "no_certificate")
LOCAL_ISSUER = ("missing_intermediate", "unknown_authority", "wrong_authority_in_trust", "no_anchors")
NAMES = (
    "hostname_mismatch",
    "no_subject_alternative_name",
    "address_not_in_certificate",
    "wrong_virtual_host",
)
CUT = ("connection_cut", "closed_silently", "certificate_required", "middlebox")
PLAIN = ("plain_http", "not_tls")
KEYS = ("key_mismatch",)
SEALED = ("key_encrypted", "wrong_passphrase")
