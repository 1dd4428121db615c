"""How each program words a failure: (who says it, a pattern of what it says, who speaks, what it can mean).

The speaker is "refused" where the text tells that the other side has refused us, "refuses" where the program
itself refuses the other side, "own" where it has not come so far. Codes are the likeliest first. Within a text
the first row that matches wins, so what is more precise stands above.
"""

from __future__ import annotations

from twoway.doctor.wordings import browsers, libraries, plaintext, servers
from twoway.doctor.wordings.causes import (
    BAD,
    EXPIRED,
    HANDSHAKE,
    LOCAL_ISSUER,
    NAMES,
    PURPOSE,
    REQUIRED,
    UNKNOWN,
    UNKNOWN_CA,
    Wording,
)

_OPENSSL_ALERTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("certificate[ _]?required", REQUIRED),
    ("unknown[ _]?(ca\\b|certificate authority)", UNKNOWN_CA),
    ("certificate[ _]?expired|expired[ _]?certificate", EXPIRED),
    ("certificate[ _]?revoked|revoked[ _]?certificate", ("certificate_revoked",)),
    ("unsupported[ _]?certificate", PURPOSE),
    ("certificate[ _]?unknown|unknown[ _]?certificate(?! authority)", UNKNOWN),
    ("bad[ _]?certificate", BAD),
    ("access[ _]?denied", ("not_allowed",)),
    ("decrypt[ _]?error|error decrypting message", ("key_mismatch", "bad_signature")),
    ("protocol[ _]?version", ("protocol_version_mismatch",)),
    ("insufficient[ _]?security", ("cipher_mismatch", "weak_algorithm")),
    ("no[ _]?application[ _]?protocol", ("alpn_mismatch",)),
    ("unrecognized[ _]?name", ("wrong_virtual_host",)),
    ("internal[ _]?error", ("server_misconfigured",)),
    ("handshake[ _]?failure", HANDSHAKE),
)

_VERIFY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("unable to get local issuer certificate", LOCAL_ISSUER),
    ("unable to get issuer certificate", ("unknown_authority", "missing_intermediate")),
    ("unable to verify the first certificate", ("missing_intermediate", "unknown_authority")),
    (
        "self[- ]signed certificate in certificate chain",
        ("unknown_authority", "wrong_authority_in_trust", "middlebox"),
    ),
    ("self[- ]signed certificate", ("self_signed", "unknown_authority")),
    (
        "certificate has expired",
        ("certificate_expired", "intermediate_expired", "anchor_expired", "clock_skew"),
    ),
    ("certificate is not yet valid", ("certificate_not_yet_valid", "clock_skew")),
    ("certificate revoked", ("certificate_revoked",)),
    ("unable to get certificate CRL", ("crl_missing", "crl_wrong_issuer")),
    ("CRL has expired", ("crl_stale",)),
    ("CRL is not yet valid", ("crl_not_yet_valid",)),
    ("(unsupported|unsuitable) certificate purpose", PURPOSE),
    ("hostname mismatch|IP address mismatch", NAMES),
    ("path length constraint exceeded", ("path_length_exceeded",)),
    ("permitted subtree violation|excluded subtree violation", ("name_constraint_violated",)),
    ("invalid CA certificate", ("not_an_authority",)),
    ("certificate signature failure", ("bad_signature", "rekeyed_authority")),
    ("(CA|EE) (certificate )?(key|md) too (weak|small)|ca md too weak", ("weak_algorithm",)),
    (
        "Missing Authority Key Identifier|Missing Subject Key Identifier|Basic Constraints of CA cert not marked critical|"
        "CA cert does not include key usage extension",
        ("not_strict",),
    ),
    ("Authority and subject key identifier mismatch", ("key_identifier_mismatch", "rekeyed_authority")),
)

ROWS: tuple[Wording, ...] = (*plaintext.ROWS, *servers.ROWS, *browsers.ROWS, *libraries.ROWS)

ALERTS = _OPENSSL_ALERTS
VERIFY = _VERIFY
