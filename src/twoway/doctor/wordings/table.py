"""How each program words a failure: (who says it, a pattern of what it says, who speaks, what it can mean).

The speaker is "refused" where the text tells that the other side has refused us, "refuses" where the program
itself refuses the other side, "own" where it has not come so far. Codes are the likeliest first. Within a text
the first row that matches wins, so what is more precise stands above.
"""

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
_UNKNOWN_CA = ("unknown_authority", "missing_intermediate", "rekeyed_authority", "crl_missing")
_BAD = ("certificate_not_yet_valid", "weak_algorithm", "not_strict", "unknown_authority")
_EXPIRED = ("certificate_expired", "intermediate_expired", "crl_stale", "clock_skew")
_UNKNOWN = ("not_allowed", "unknown_authority", "crl_missing", "revocation_unknown")
_HANDSHAKE = ("cipher_mismatch", "certificate_required", "protocol_version_mismatch", "key_type_not_accepted")
_PURPOSE = ("wrong_purpose", "key_usage_unfit", "intermediate_wrong_purpose", "key_type_not_accepted")
_REQUIRED = ("certificate_required", "certificate_withheld", "no_certificate")
_LOCAL_ISSUER = ("missing_intermediate", "unknown_authority", "wrong_authority_in_trust", "no_anchors")
_NAMES = (
    "hostname_mismatch",
    "no_subject_alternative_name",
    "address_not_in_certificate",
    "wrong_virtual_host",
)
_CUT = ("connection_cut", "closed_silently", "certificate_required", "middlebox")
_PLAIN = ("plain_http", "not_tls")
_KEYS = ("key_mismatch",)
_SEALED = ("key_encrypted", "wrong_passphrase")

_OPENSSL_ALERTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("certificate[ _]?required", _REQUIRED),
    ("unknown[ _]?(ca\\b|certificate authority)", _UNKNOWN_CA),
    ("certificate[ _]?expired", _EXPIRED),
    ("certificate[ _]?revoked", ("certificate_revoked",)),
    ("unsupported[ _]?certificate", _PURPOSE),
    ("certificate[ _]?unknown", _UNKNOWN),
    ("bad[ _]?certificate", _BAD),
    ("access[ _]?denied", ("not_allowed",)),
    ("decrypt[ _]?error", ("key_mismatch", "bad_signature")),
    ("protocol[ _]?version", ("protocol_version_mismatch",)),
    ("insufficient[ _]?security", ("cipher_mismatch", "weak_algorithm")),
    ("no[ _]?application[ _]?protocol", ("alpn_mismatch",)),
    ("unrecognized[ _]?name", ("wrong_virtual_host",)),
    ("internal[ _]?error", ("server_misconfigured",)),
    ("handshake[ _]?failure", _HANDSHAKE),
)

_VERIFY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("unable to get local issuer certificate", _LOCAL_ISSUER),
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
    ("(unsupported|unsuitable) certificate purpose", _PURPOSE),
    ("hostname mismatch|IP address mismatch", _NAMES),
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

ROWS: tuple[Wording, ...] = (
    # nginx: its pages and its error log
    Wording("nginx", "No required SSL certificate was sent", "refused", _REQUIRED),
    Wording("nginx", "client sent no required SSL certificate", "own", _REQUIRED),
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
    Wording("nginx", "client SSL certificate verify error: \\(3:", "own", ("crl_missing",)),
    Wording("nginx", "client SSL certificate verify error: \\(12:", "own", ("crl_stale",)),
    Wording("nginx", "client SSL certificate verify error: \\(26:", "own", _PURPOSE),
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
    Wording("nginx", "The plain HTTP request was sent to HTTPS port", "refused", ("plain_http",)),
    Wording("nginx", "key values mismatch", "own", _KEYS),
    # Java
    Wording(
        "Java",
        "PKIX path building failed.*unable to find valid certification path|unable to find valid certification path",
        "refuses",
        ("unknown_authority", "missing_intermediate", "no_anchors"),
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
        _NAMES,
    ),
    Wording("Java", "the trustAnchors parameter must be non-empty", "own", ("no_anchors", "file_empty")),
    Wording(
        "Java",
        "Extended key usage does not permit use for TLS (client|server) authentication",
        "refuses",
        _PURPOSE,
    ),
    Wording("Java", "KeyUsage does not allow", "refuses", ("key_usage_unfit",)),
    Wording(
        "Java",
        "keystore password was incorrect|Keystore was tampered with|Cannot recover key",
        "own",
        ("wrong_passphrase",),
    ),
    Wording("Java", "Invalid keystore format", "own", ("not_pem", "wrong_passphrase")),
    Wording("Java", "Empty (client|server) certificate chain|null cert chain", "own", _REQUIRED),
    Wording("Java", "Received fatal alert: ", "refused", ()),  # with an alert's name behind it
    Wording("Java", "No appropriate protocol|Server chose TLS", "own", ("protocol_version_mismatch",)),
    Wording("Java", "Unsupported or unrecognized SSL message", "own", _PLAIN),
    Wording("Java", "Remote host (closed connection|terminated the handshake)", "refused", _CUT),
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
        _NAMES,
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
    Wording("Go", "x509: certificate specifies an incompatible key usage", "refuses", _PURPOSE),
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
    Wording("Go", "tls: client didn't provide a certificate", "own", _REQUIRED),
    Wording(
        "Go",
        "tls: failed to verify (client )?certificate",
        "refuses",
        ("unknown_authority", "certificate_expired"),
    ),
    Wording("Go", "tls: private key does not match public key", "own", _KEYS),
    Wording("Go", "tls: failed to find any PEM data", "own", ("not_pem", "file_empty", "swapped")),
    Wording(
        "Go",
        "tls: first record does not look like a TLS handshake|server gave HTTP response to HTTPS client",
        "own",
        _PLAIN,
    ),
    Wording(
        "Go",
        "http: server gave HTTP response|client sent an HTTP request to an HTTPS server",
        "own",
        ("plain_http",),
    ),
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
    Wording("Node", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY|UNABLE_TO_GET_ISSUER_CERT", "refuses", _LOCAL_ISSUER),
    Wording("Node", "SELF_SIGNED_CERT_IN_CHAIN", "refuses", ("unknown_authority", "middlebox")),
    Wording("Node", "DEPTH_ZERO_SELF_SIGNED_CERT", "refuses", ("self_signed",)),
    Wording("Node", "CERT_HAS_EXPIRED", "refuses", ("certificate_expired", "clock_skew")),
    Wording("Node", "CERT_NOT_YET_VALID", "refuses", ("certificate_not_yet_valid", "clock_skew")),
    Wording("Node", "CERT_REVOKED", "refuses", ("certificate_revoked",)),
    Wording("Node", "UNABLE_TO_GET_CRL", "refuses", ("crl_missing",)),
    Wording("Node", "CRL_HAS_EXPIRED", "refuses", ("crl_stale",)),
    Wording("Node", "INVALID_PURPOSE", "refuses", _PURPOSE),
    Wording(
        "Node",
        "ERR_TLS_CERT_ALTNAME_INVALID|Hostname/IP does not match certificate's altnames",
        "refuses",
        _NAMES,
    ),
    Wording("Node", "ERR_OSSL_X509_KEY_VALUES_MISMATCH", "own", _KEYS),
    Wording(
        "Node",
        "ERR_OSSL_BAD_DECRYPT|ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED|ERR_OSSL_EVP_BAD_DECRYPT",
        "own",
        _SEALED,
    ),
    Wording("Node", "ERR_OSSL_PEM_NO_START_LINE", "own", ("not_pem", "file_empty")),
    Wording(
        "Node",
        "Client network socket disconnected before secure TLS connection was established",
        "refused",
        _CUT,
    ),
    Wording(
        "Node",
        "socket hang up|ECONNRESET",
        "refused",
        ("closed_silently", "certificate_required", "connection_cut"),
    ),
    Wording("Node", "ERR_SSL_WRONG_VERSION_NUMBER|EPROTO.*wrong version number", "own", _PLAIN),
    # browsers
    Wording(
        "Chrome",
        "ERR_BAD_SSL_CLIENT_AUTH_CERT",
        "refused",
        ("certificate_required", "unknown_authority", "certificate_expired", "wrong_purpose"),
    ),
    Wording("Chrome", "ERR_SSL_CLIENT_AUTH_CERT_NEEDED", "refused", _REQUIRED),
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
    Wording("Chrome", "ERR_CERT_COMMON_NAME_INVALID", "refuses", _NAMES),
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
    Wording("Chrome", "ERR_SSL_UNRECOGNIZED_NAME_ALERT", "refused", ("wrong_virtual_host",)),
    Wording("Firefox", "SSL_ERROR_RX_CERTIFICATE_REQUIRED_ALERT", "refused", _REQUIRED),
    Wording("Firefox", "SSL_ERROR_BAD_CERT_ALERT", "refused", _BAD),
    Wording("Firefox", "SSL_ERROR_UNKNOWN_CA_ALERT", "refused", _UNKNOWN_CA),
    Wording("Firefox", "SSL_ERROR_EXPIRED_CERT_ALERT", "refused", _EXPIRED),
    Wording("Firefox", "SSL_ERROR_REVOKED_CERT_ALERT", "refused", ("certificate_revoked",)),
    Wording("Firefox", "SSL_ERROR_CERTIFICATE_UNKNOWN_ALERT", "refused", _UNKNOWN),
    Wording("Firefox", "SSL_ERROR_HANDSHAKE_FAILURE_ALERT", "refused", _HANDSHAKE),
    Wording("Firefox", "SSL_ERROR_ACCESS_DENIED_ALERT", "refused", ("not_allowed",)),
    Wording("Firefox", "SSL_ERROR_BAD_CERT_DOMAIN", "refuses", _NAMES),
    Wording("Firefox", "SEC_ERROR_UNKNOWN_ISSUER", "refuses", ("missing_intermediate", "unknown_authority")),
    Wording(
        "Firefox",
        "SEC_ERROR_EXPIRED_(ISSUER_)?CERTIFICATE",
        "refuses",
        ("certificate_expired", "intermediate_expired"),
    ),
    Wording("Firefox", "SEC_ERROR_INADEQUATE_(CERT_TYPE|KEY_USAGE)", "refuses", _PURPOSE),
    Wording("Firefox", "SEC_ERROR_REVOKED_CERTIFICATE", "refuses", ("certificate_revoked",)),
    Wording("Firefox", "MOZILLA_PKIX_ERROR_SELF_SIGNED_CERT", "refuses", ("self_signed",)),
    Wording("Firefox", "SSL_ERROR_RX_RECORD_TOO_LONG", "own", _PLAIN),
    Wording(
        "Firefox",
        "SSL_ERROR_UNSUPPORTED_VERSION|SSL_ERROR_PROTOCOL_VERSION_ALERT",
        "refused",
        ("protocol_version_mismatch",),
    ),
    Wording("Firefox", "SSL_ERROR_NO_CYPHER_OVERLAP", "refused", ("cipher_mismatch",)),
    # GnuTLS
    Wording(
        "GnuTLS",
        "The certificate issuer is unknown",
        "refuses",
        ("unknown_authority", "missing_intermediate", "no_anchors"),
    ),
    Wording(
        "GnuTLS",
        "The certificate chain uses expired certificate",
        "refuses",
        ("certificate_expired", "intermediate_expired"),
    ),
    Wording(
        "GnuTLS",
        "The certificate chain uses not yet valid certificate",
        "refuses",
        ("certificate_not_yet_valid", "clock_skew"),
    ),
    Wording("GnuTLS", "The name in the certificate does not match the expected", "refuses", _NAMES),
    Wording("GnuTLS", "The certificate chain is revoked", "refuses", ("certificate_revoked",)),
    Wording("GnuTLS", "The certificate chain uses insecure algorithm", "refuses", ("weak_algorithm",)),
    Wording("GnuTLS", "The certificate chain does not match the intended purpose", "refuses", _PURPOSE),
    Wording("GnuTLS", "No certificate was found|Certificate is required", "refused", _REQUIRED),
    Wording("GnuTLS", "The TLS connection was non-properly terminated", "refused", _CUT),
    Wording("GnuTLS", "A TLS fatal alert has been received|Received alert \\[\\d+\\]", "refused", ()),
    # rustls, .NET, proxies
    Wording(
        "rustls",
        "invalid peer certificate: UnknownIssuer|UnknownIssuer",
        "refuses",
        ("unknown_authority", "missing_intermediate"),
    ),
    Wording(
        "rustls",
        "invalid peer certificate: (certificate )?Expired|certificate expired: verification time",
        "refuses",
        ("certificate_expired", "clock_skew"),
    ),
    Wording("rustls", "NotValidForName|not valid for name", "refuses", _NAMES),
    Wording(
        "rustls",
        "InvalidPurpose|EndEntityUsedAsCa|CaUsedAsEndEntity",
        "refuses",
        ("wrong_purpose", "self_signed"),
    ),
    Wording("rustls", "NoCertificatesPresented|peer sent no certificates", "own", _REQUIRED),
    Wording("rustls", "received fatal alert: ", "refused", ()),
    Wording("rustls", "InvalidContentType|received corrupt message", "own", _PLAIN),
    Wording(".NET", "RemoteCertificateNameMismatch", "refuses", _NAMES),
    Wording(
        ".NET",
        "RemoteCertificateChainErrors|PartialChain|UntrustedRoot",
        "refuses",
        ("unknown_authority", "missing_intermediate"),
    ),
    Wording(".NET", "RemoteCertificateNotAvailable", "own", _REQUIRED),
    Wording(
        "Envoy",
        "TLS_error:.*CERTIFICATE_VERIFY_FAILED",
        "refuses",
        ("unknown_authority", "certificate_expired", "missing_intermediate"),
    ),
    Wording("Envoy", "PEER_DID_NOT_RETURN_A_CERTIFICATE", "own", _REQUIRED),
    Wording(
        "HAProxy",
        "SSL client CA chain cannot be verified",
        "own",
        ("unknown_authority", "missing_intermediate"),
    ),
    Wording(
        "HAProxy",
        "SSL client certificate not trusted",
        "own",
        ("unknown_authority", "certificate_expired", "certificate_revoked"),
    ),
    Wording("HAProxy", "peer did not return a certificate", "own", _REQUIRED),
    # curl in its own words
    Wording(
        "curl",
        "SSL: no alternative certificate subject name matches|SSL: certificate subject name .* does not match",
        "refuses",
        _NAMES,
    ),
    Wording(
        "curl", "could not load PEM client certificate", "own", ("file_missing", "not_pem", "key_encrypted")
    ),
    Wording(
        "curl", "unable to set private key file", "own", ("key_mismatch", "key_encrypted", "file_missing")
    ),
    Wording(
        "curl", "error setting certificate (verify locations|file)", "own", ("file_missing", "no_anchors")
    ),
    Wording("curl", "\\(6\\) Could not resolve host", "own", ("dns_failure",)),
    Wording("curl", "\\(7\\) Failed to connect", "own", ("connection_refused", "unreachable")),
    Wording(
        "curl",
        "\\(52\\) Empty reply from server|\\(56\\).*(reset|Recv failure)",
        "refused",
        ("closed_silently", "certificate_required", "connection_cut"),
    ),
    Wording(
        "curl",
        "\\(35\\).*(SSL_ERROR_SYSCALL|Connection reset)|OpenSSL SSL_connect: SSL_ERROR_SYSCALL",
        "refused",
        _CUT,
    ),
    # Python and what stands on it
    Wording("Python", "KEY_VALUES_MISMATCH|key values mismatch", "own", _KEYS),
    Wording(
        "Python",
        "Hostname mismatch, certificate is not valid for|doesn't match|IP address mismatch, certificate is not valid for",
        "refuses",
        _NAMES,
    ),
    Wording("Python", "check_hostname requires server_hostname", "own", ("bad_name",)),
    Wording(
        "Python",
        "PEM lib \\(_ssl|\\[SSL\\] PEM lib|NO_START_LINE|no start line",
        "own",
        ("not_pem", "swapped", "wrong_passphrase", "file_empty"),
    ),
    Wording(
        "Python",
        "WRONG_VERSION_NUMBER|wrong version number|RECORD_LAYER_FAILURE|packet length too long",
        "own",
        _PLAIN,
    ),
    Wording("Python", "\\bHTTP_REQUEST\\b|http request\\b", "own", ("plain_http",)),
    Wording(
        "Python", "UNSAFE_LEGACY_RENEGOTIATION_DISABLED", "own", ("protocol_version_mismatch", "middlebox")
    ),
    Wording(
        "Python", "PEER_DID_NOT_RETURN_A_CERTIFICATE|peer did not return a certificate", "own", _REQUIRED
    ),
    Wording("Python", "NO_SHARED_CIPHER|no shared cipher", "own", ("cipher_mismatch",)),
    Wording(
        "Python",
        "UNSUPPORTED_PROTOCOL|unsupported protocol|NO_PROTOCOLS_AVAILABLE",
        "own",
        ("protocol_version_mismatch",),
    ),
    Wording(
        "Python",
        "CA_MD_TOO_WEAK|EE_KEY_TOO_SMALL|ee key too small|DH_KEY_TOO_SMALL",
        "own",
        ("weak_algorithm",),
    ),
    Wording(
        "Python",
        "UNEXPECTED_EOF_WHILE_READING|unexpected eof while reading|EOF occurred in violation of protocol|UnexpectedEOF",
        "refused",
        _CUT,
    ),
    Wording(
        "Python",
        "Server disconnected without sending a response|RemoteDisconnected|ServerDisconnectedError",
        "refused",
        ("closed_silently", "certificate_required", "unknown_authority", "connection_cut"),
    ),
    Wording(
        "Python",
        "Name or service not known|nodename nor servname|getaddrinfo failed|Temporary failure in name resolution",
        "own",
        ("dns_failure",),
    ),
    Wording("any", "Connection refused|ECONNREFUSED", "own", ("connection_refused",)),
    Wording("any", "No route to host|Network is unreachable|EHOSTUNREACH", "own", ("unreachable",)),
    Wording(
        "any",
        "timed out|ETIMEDOUT|i/o timeout|Timeout was reached",
        "own",
        ("timed_out", "unreachable", "middlebox"),
    ),
    Wording("any", "bad decrypt|bad password read|Could not deserialize key data", "own", _SEALED),
    Wording(
        "any",
        "Connection reset by peer|Broken pipe",
        "refused",
        ("connection_cut", "closed_silently", "certificate_required", "unknown_authority"),
    ),
    Wording(
        "any",
        "40[03] .*certificate|certificate.* 40[03]",
        "refused",
        ("refused_at_http", "certificate_required"),
    ),
)

ALERTS = _OPENSSL_ALERTS
VERIFY = _VERIFY
