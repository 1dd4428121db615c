"""The words of libraries, Envoy, curl and Python."""

from __future__ import annotations

from twoway.doctor.wordings.causes import CUT, KEYS, NAMES, PURPOSE, REQUIRED, SEALED, Wording

ROWS: tuple[Wording, ...] = (
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
    Wording("GnuTLS", "The name in the certificate does not match the expected", "refuses", NAMES),
    Wording("GnuTLS", "The certificate chain is revoked", "refuses", ("certificate_revoked",)),
    Wording("GnuTLS", "The certificate chain uses insecure algorithm", "refuses", ("weak_algorithm",)),
    Wording("GnuTLS", "The certificate chain does not match the intended purpose", "refuses", PURPOSE),
    Wording("GnuTLS", "No certificate was found|Certificate is required", "refused", REQUIRED),
    Wording("GnuTLS", "The TLS connection was non-properly terminated", "refused", CUT),
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
    Wording("rustls", "NotValidForName|not valid for name", "refuses", NAMES),
    Wording(
        "rustls",
        "InvalidPurpose|EndEntityUsedAsCa|CaUsedAsEndEntity",
        "refuses",
        ("wrong_purpose", "self_signed"),
    ),
    Wording("rustls", "NoCertificatesPresented|peer sent no certificates", "own", REQUIRED),
    Wording("rustls", "(?-i:received fatal alert: )", "refused", ()),
    Wording("rustls", "keys may not be consistent|InconsistentKeys|KeyMismatch", "own", KEYS),
    Wording(".NET", "RemoteCertificateNameMismatch", "refuses", NAMES),
    Wording(
        ".NET",
        "RemoteCertificateChainErrors|PartialChain|UntrustedRoot",
        "refuses",
        ("unknown_authority", "missing_intermediate"),
    ),
    Wording("rustls", "tls handshake eof", "refused", CUT),
    Wording(".NET", "NotTimeValid", "refuses", ("certificate_expired", "clock_skew")),
    Wording(
        "wget",
        "doesn't have a known issuer|certificate of .* is not trusted",
        "refuses",
        ("unknown_authority", "missing_intermediate", "no_anchors"),
    ),
    Wording("Envoy", "RBAC: access denied", "refused", ("not_allowed",)),
    Wording(".NET", "RemoteCertificateNotAvailable", "own", REQUIRED),
    Wording(
        "Envoy",
        "TLS_error:.*CERTIFICATE_VERIFY_FAILED",
        "refuses",
        ("unknown_authority", "certificate_expired", "missing_intermediate"),
    ),
    Wording("Envoy", "TLS_error:.*PEER_DID_NOT_RETURN_A_CERTIFICATE", "own", REQUIRED),
    # curl in its own words
    Wording(
        "curl",
        "SSL: no alternative certificate subject name matches|SSL: certificate subject name .* does not match",
        "refuses",
        NAMES,
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
        ("closed_silently", "certificate_required", "connection_cut", "plain_http"),
    ),
    Wording(
        "curl",
        "\\(35\\).*(SSL_ERROR_SYSCALL|Connection reset)|OpenSSL SSL_connect: SSL_ERROR_SYSCALL",
        "refused",
        CUT,
    ),
    # Python and what stands on it
    Wording("any", "KEY_VALUES_MISMATCH|key values mismatch", "own", KEYS),
    Wording(
        "Python",
        "Hostname mismatch, certificate is not valid for|doesn't match|IP address mismatch, certificate is not valid for",
        "refuses",
        NAMES,
    ),
    Wording("Python", "check_hostname requires server_hostname", "own", ("bad_name",)),
    Wording(
        "Python",
        "PEM lib \\(_ssl|\\[SSL\\] PEM lib|NO_START_LINE|no start line",
        "own",
        ("not_pem", "swapped", "wrong_passphrase", "file_empty"),
    ),
    Wording(
        "Python", "UNSAFE_LEGACY_RENEGOTIATION_DISABLED", "own", ("protocol_version_mismatch", "middlebox")
    ),
    Wording("any", "PEER_DID_NOT_RETURN_A_CERTIFICATE|peer did not return a certificate", "own", REQUIRED),
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
        CUT,
    ),
    Wording(
        "Python",
        "Server disconnected without sending a response|RemoteDisconnected|ServerDisconnectedError",
        "refused",
        ("closed_silently", "certificate_required", "unknown_authority", "connection_cut", "plain_http"),
    ),
    Wording(
        "Python",
        "Name or service not known|no such host|nodename nor servname|getaddrinfo failed|Temporary failure in name resolution",
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
    Wording("any", "bad decrypt|bad password read|Could not deserialize key data", "own", SEALED),
    Wording(
        "any",
        "Connection reset by peer|SocketException: Connection reset|Broken pipe",
        "refused",
        ("connection_cut", "closed_silently", "certificate_required", "unknown_authority", "plain_http"),
    ),
    Wording(
        "any",
        "HTTP Error 400|HTTP response code: 400",
        "refused",
        ("refused_at_http", "certificate_required", "plain_http"),
    ),
    Wording(
        "any",
        "40[03] .*certificate|certificate.* 40[03]",
        "refused",
        ("refused_at_http", "certificate_required"),
    ),
)
