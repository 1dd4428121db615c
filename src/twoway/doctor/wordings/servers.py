"""The words of nginx, HAProxy, Java, Go and Node."""

from __future__ import annotations

from twoway.doctor.wordings.causes import (
    CUT,
    KEYS,
    LOCAL_ISSUER,
    NAMES,
    PURPOSE,
    REQUIRED,
    SEALED,
    Wording,
)

ROWS: tuple[Wording, ...] = (
    # nginx: its pages and its error log
    Wording("nginx", "No required SSL certificate was sent", "refused", REQUIRED),
    Wording("nginx", "client sent no required SSL certificate", "own", REQUIRED),
    Wording(
        "nginx",
        "client SSL certificate verify error: \\(10:",
        "own",
        ("certificate_expired", "intermediate_expired"),
    ),
    Wording(
        "nginx",
        "client SSL certificate verify error: \\((2|20|21):",
        "own",
        ("missing_intermediate", "unknown_authority"),
    ),
    Wording(
        "nginx",
        "client SSL certificate verify error: \\((18|19):",
        "own",
        ("self_signed", "unknown_authority"),
    ),
    Wording("nginx", "client SSL certificate verify error: \\(23:", "own", ("certificate_revoked",)),
    # With a CRL for its own authorities only, nginx says so of everybody else's certificates.
    Wording(
        "nginx",
        "client SSL certificate verify error: \\(3:",
        "own",
        ("crl_missing", "unknown_authority", "crl_wrong_issuer"),
    ),
    Wording("nginx", "client SSL certificate verify error: \\(12:", "own", ("crl_stale",)),
    Wording("nginx", "client SSL certificate verify error: \\(26:", "own", PURPOSE),
    Wording(
        "nginx",
        "client SSL certificate verify error: \\(22:",
        "own",
        ("path_length_exceeded", "missing_intermediate"),
    ),
    Wording(
        "nginx",
        "The SSL certificate error",
        "refused",
        (
            "unknown_authority",
            "certificate_expired",
            "missing_intermediate",
            "certificate_revoked",
            "refused_at_http",
        ),
    ),
    Wording("nginx", "SSL_CTX_use_PrivateKey.*key values mismatch", "own", KEYS),
    # HAProxy: its log and what it says of its configuration
    Wording(
        "HAProxy",
        "SSL client CA chain cannot be verified",
        "own",
        ("unknown_authority", "missing_intermediate", "intermediate_expired"),
    ),
    Wording(
        "HAProxy",
        "SSL client certificate not trusted",
        "own",
        ("certificate_expired", "certificate_revoked", "unknown_authority", "wrong_purpose"),
    ),
    Wording(
        "HAProxy",
        "\\S+/\\S+: SSL handshake failure",
        "own",
        ("certificate_required", "plain_http", "cipher_mismatch", "protocol_version_mismatch"),
    ),
    Wording("HAProxy", "Connection closed during SSL handshake", "refused", CUT),
    Wording("HAProxy", "inconsistencies between private key and certificate", "own", KEYS),
    # Java
    # Java looks for a path of valid certificates only: an expired one is no path at all.
    Wording(
        "Java",
        "unable to find valid certification path",
        "refuses",
        ("unknown_authority", "missing_intermediate", "no_anchors", "certificate_expired"),
    ),
    Wording(
        "Java",
        "Path does not chain with any of the trust anchors",
        "refuses",
        ("unknown_authority", "wrong_authority_in_trust"),
    ),
    Wording(
        "Java", "CertificateExpiredException|NotAfter:", "refuses", ("certificate_expired", "clock_skew")
    ),
    Wording(
        "Java",
        "CertificateNotYetValidException|NotBefore:",
        "refuses",
        ("certificate_not_yet_valid", "clock_skew"),
    ),
    Wording(
        "Java",
        "No subject alternative (DNS )?names? matching|No subject alternative names present|No name matching",
        "refuses",
        NAMES,
    ),
    Wording("Java", "the trustAnchors parameter must be non-empty", "own", ("no_anchors", "file_empty")),
    Wording(
        "Java",
        "Extended key usage does not permit use for TLS (client|server) authentication",
        "refuses",
        PURPOSE,
    ),
    Wording("Java", "KeyUsage does not allow", "refuses", ("key_usage_unfit",)),
    Wording(
        "Java",
        "keystore password was incorrect|Keystore was tampered with|Cannot recover key",
        "own",
        ("wrong_passphrase",),
    ),
    Wording("Java", "Invalid keystore format", "own", ("not_pem", "wrong_passphrase")),
    Wording("Java", "Empty (client|server) certificate chain|null cert chain", "own", REQUIRED),
    Wording(
        "Java",
        "PKIX path validation failed.*validity check failed",
        "refuses",
        ("certificate_expired", "certificate_not_yet_valid", "intermediate_expired", "clock_skew"),
    ),
    Wording("Java", "(?-i:Received fatal alert: )", "refused", ()),  # with an alert's name behind it
    Wording("Java", "No appropriate protocol|Server chose TLS", "own", ("protocol_version_mismatch",)),
    Wording("Java", "Remote host (closed connection|terminated the handshake)", "refused", CUT),
    # Go
    Wording(
        "Go",
        "x509: certificate signed by unknown authority",
        "refuses",
        ("unknown_authority", "missing_intermediate", "no_anchors"),
    ),
    Wording(
        "Go",
        "x509: certificate has expired or is not yet valid",
        "refuses",
        ("certificate_expired", "certificate_not_yet_valid", "clock_skew"),
    ),
    Wording(
        "Go",
        "x509: certificate is valid for .* not |x509: certificate is not valid for any names",
        "refuses",
        NAMES,
    ),
    Wording(
        "Go",
        "x509: cannot validate certificate for .* because it doesn't contain any IP SANs",
        "refuses",
        ("address_not_in_certificate",),
    ),
    Wording(
        "Go", "certificate relies on legacy Common Name field", "refuses", ("no_subject_alternative_name",)
    ),
    Wording("Go", "x509: certificate specifies an incompatible key usage", "refuses", PURPOSE),
    Wording(
        "Go",
        "x509: certificate is not authorized to sign other certificates",
        "refuses",
        ("not_an_authority", "path_length_exceeded"),
    ),
    Wording(
        "Go",
        "x509: .*(is not permitted by any constraint|is excluded by constraint)|name constraint",
        "refuses",
        ("name_constraint_violated",),
    ),
    Wording(
        "Go", "x509: too many intermediates for path length constraint", "refuses", ("path_length_exceeded",)
    ),
    Wording("Go", "insecure algorithm SHA1-RSA|crypto/rsa: .*insecure", "refuses", ("weak_algorithm",)),
    Wording("Go", "tls: client didn't provide a certificate", "own", REQUIRED),
    Wording(
        "Go",
        "tls: failed to verify (client )?certificate",
        "refuses",
        ("unknown_authority", "certificate_expired"),
    ),
    Wording("Go", "tls: private key does not match public key", "own", KEYS),
    Wording("Go", "tls: failed to find any PEM data", "own", ("not_pem", "file_empty", "swapped")),
    Wording("Go", "TLS handshake error from .*: EOF", "refused", CUT),
    Wording("Go", "remote error: tls: ", "refused", ()),
    Wording(
        "Go",
        "tls: no supported versions satisfy|tls: client offered only unsupported versions",
        "own",
        ("protocol_version_mismatch",),
    ),
    Wording("Go", "tls: no cipher suite supported by both", "own", ("cipher_mismatch",)),
    # Node
    Wording(
        "Node", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "refuses", ("missing_intermediate", "unknown_authority")
    ),
    Wording("Node", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY|UNABLE_TO_GET_ISSUER_CERT", "refuses", LOCAL_ISSUER),
    Wording("Node", "SELF_SIGNED_CERT_IN_CHAIN", "refuses", ("unknown_authority", "middlebox")),
    Wording("Node", "DEPTH_ZERO_SELF_SIGNED_CERT", "refuses", ("self_signed",)),
    Wording("Node", "CERT_HAS_EXPIRED", "refuses", ("certificate_expired", "clock_skew")),
    Wording("Node", "CERT_NOT_YET_VALID", "refuses", ("certificate_not_yet_valid", "clock_skew")),
    Wording("Node", "CERT_REVOKED", "refuses", ("certificate_revoked",)),
    Wording("Node", "UNABLE_TO_GET_CRL", "refuses", ("crl_missing",)),
    Wording("Node", "CRL_HAS_EXPIRED", "refuses", ("crl_stale",)),
    Wording("Node", "INVALID_PURPOSE", "refuses", PURPOSE),
    Wording(
        "Node",
        "ERR_TLS_CERT_ALTNAME_INVALID|Hostname/IP does not match certificate's altnames",
        "refuses",
        NAMES,
    ),
    Wording("Node", "ERR_OSSL_X509_KEY_VALUES_MISMATCH", "own", KEYS),
    Wording(
        "Node",
        "ERR_OSSL_BAD_DECRYPT|ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED|ERR_OSSL_EVP_BAD_DECRYPT",
        "own",
        SEALED,
    ),
    Wording("Node", "ERR_OSSL_PEM_NO_START_LINE", "own", ("not_pem", "file_empty")),
    Wording(
        "Node",
        "Client network socket disconnected before secure TLS connection was established",
        "refused",
        CUT,
    ),
    Wording(
        "Node",
        "socket hang up|ECONNRESET",
        "refused",
        ("closed_silently", "certificate_required", "unknown_authority", "connection_cut", "plain_http"),
    ),
)
