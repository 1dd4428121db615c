"""The words of browsers."""

from __future__ import annotations

from twoway.doctor.wordings.causes import (
    BAD,
    CUT,
    EXPIRED,
    HANDSHAKE,
    NAMES,
    PURPOSE,
    REQUIRED,
    UNKNOWN,
    UNKNOWN_CA,
    Wording,
)

ROWS: tuple[Wording, ...] = (
    # browsers
    Wording(
        "Chrome",
        "ERR_BAD_SSL_CLIENT_AUTH_CERT",
        "refused",
        ("certificate_required", "unknown_authority", "certificate_expired", "wrong_purpose"),
    ),
    Wording("Chrome", "ERR_SSL_CLIENT_AUTH_CERT_NEEDED", "refused", REQUIRED),
    Wording(
        "Chrome",
        "ERR_SSL_CLIENT_AUTH_SIGNATURE_FAILED|ERR_SSL_CLIENT_AUTH_PRIVATE_KEY_ACCESS_DENIED",
        "own",
        ("key_mismatch", "key_type_not_accepted"),
    ),
    Wording(
        "Chrome",
        "ERR_CERT_AUTHORITY_INVALID",
        "refuses",
        ("unknown_authority", "missing_intermediate", "self_signed"),
    ),
    Wording("Chrome", "ERR_CERT_COMMON_NAME_INVALID", "refuses", NAMES),
    Wording(
        "Chrome",
        "ERR_CERT_DATE_INVALID",
        "refuses",
        ("certificate_expired", "certificate_not_yet_valid", "clock_skew"),
    ),
    Wording("Chrome", "ERR_CERT_REVOKED", "refuses", ("certificate_revoked",)),
    Wording("Chrome", "ERR_CERT_WEAK_(SIGNATURE_ALGORITHM|KEY)", "refuses", ("weak_algorithm",)),
    Wording(
        "Chrome",
        "ERR_SSL_VERSION_OR_CIPHER_MISMATCH",
        "refused",
        ("protocol_version_mismatch", "cipher_mismatch"),
    ),
    Wording("Chrome", "ERR_SSL_PROTOCOL_ERROR", "own", ("plain_http", "not_tls", "handshake_failed")),
    Wording(
        "Chrome",
        "ERR_(EMPTY_RESPONSE|SOCKET_NOT_CONNECTED|CONNECTION_(RESET|CLOSED))",
        "refused",
        (*CUT, "plain_http"),
    ),
    Wording("Chrome", "ERR_INVALID_HTTP_RESPONSE", "own", ("plain_http", "not_tls")),
    Wording(
        "Firefox",
        "PR_(CONNECT_RESET|END_OF_FILE)_ERROR|about:neterror\\?e=netReset",
        "refused",
        (*CUT, "plain_http"),
    ),
    Wording("Chrome", "ERR_SSL_UNRECOGNIZED_NAME_ALERT", "refused", ("wrong_virtual_host",)),
    Wording("Firefox", "SSL_ERROR_RX_CERTIFICATE_REQUIRED_ALERT", "refused", REQUIRED),
    Wording("Firefox", "SSL_ERROR_BAD_CERT_ALERT", "refused", BAD),
    Wording("Firefox", "SSL_ERROR_UNKNOWN_CA_ALERT", "refused", UNKNOWN_CA),
    Wording("Firefox", "SSL_ERROR_EXPIRED_CERT_ALERT", "refused", EXPIRED),
    Wording("Firefox", "SSL_ERROR_REVOKED_CERT_ALERT", "refused", ("certificate_revoked",)),
    Wording("Firefox", "SSL_ERROR_CERTIFICATE_UNKNOWN_ALERT", "refused", UNKNOWN),
    Wording("Firefox", "SSL_ERROR_HANDSHAKE_FAILURE_ALERT", "refused", HANDSHAKE),
    Wording("Firefox", "SSL_ERROR_ACCESS_DENIED_ALERT", "refused", ("not_allowed",)),
    Wording("Firefox", "SSL_ERROR_BAD_CERT_DOMAIN", "refuses", NAMES),
    Wording("Firefox", "SEC_ERROR_UNKNOWN_ISSUER", "refuses", ("missing_intermediate", "unknown_authority")),
    Wording(
        "Firefox",
        "SEC_ERROR_EXPIRED_(ISSUER_)?CERTIFICATE",
        "refuses",
        ("certificate_expired", "intermediate_expired"),
    ),
    Wording("Firefox", "SEC_ERROR_INADEQUATE_(CERT_TYPE|KEY_USAGE)", "refuses", PURPOSE),
    Wording("Firefox", "SEC_ERROR_REVOKED_CERTIFICATE", "refuses", ("certificate_revoked",)),
    Wording("Firefox", "MOZILLA_PKIX_ERROR_SELF_SIGNED_CERT", "refuses", ("self_signed",)),
    Wording(
        "Firefox",
        "SSL_ERROR_UNSUPPORTED_VERSION|SSL_ERROR_PROTOCOL_VERSION_ALERT",
        "refused",
        ("protocol_version_mismatch",),
    ),
    Wording("Firefox", "SSL_ERROR_NO_CYPHER_OVERLAP", "refused", ("cipher_mismatch",)),
)
