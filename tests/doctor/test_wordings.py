"""Error texts of other programs: who speaks, what it can mean, and that the text alone decides nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.doctor.codes import CODES
from twoway.doctor.wordings import explain_text
from twoway.doctor.wordings.table import ALERTS, ROWS, VERIFY

# Texts as the programs print them: (text, the likeliest code, who speaks begins with).
REFUSED, REFUSES, OWN = "the other side", "this program refuses", "this program says"
TEXTS = [
    (
        "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2580)",
        "certificate_required",
        REFUSED,
    ),
    ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:2580)", "unknown_authority", REFUSED),
    (
        "ssl.SSLError: [SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert certificate expired (_ssl.c:2580)",
        "certificate_expired",
        REFUSED,
    ),
    (
        "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure (_ssl.c:1006)",
        "certificate_required",
        REFUSED,
    ),
    (
        "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version (_ssl.c:1006)",
        "protocol_version_mismatch",
        REFUSED,
    ),
    (
        "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1006)",
        "missing_intermediate",
        REFUSES,
    ),
    (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain (_ssl.c:1006)",
        "unknown_authority",
        REFUSES,
    ),
    (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1006)",
        "self_signed",
        REFUSES,
    ),
    (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)",
        "certificate_expired",
        REFUSES,
    ),
    (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, certificate is not valid for 'x'. (_ssl.c:1006)",
        "hostname_mismatch",
        REFUSES,
    ),
    (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: IP address mismatch, certificate is not valid for '127.0.0.1'. (_ssl.c:1006)",
        "hostname_mismatch",
        REFUSES,
    ),
    (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Missing Authority Key Identifier (_ssl.c:1028)",
        "not_strict",
        REFUSES,
    ),
    (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get certificate CRL (_ssl.c:1006)",
        "crl_missing",
        REFUSES,
    ),
    (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: CRL has expired (_ssl.c:1006)",
        "crl_stale",
        REFUSES,
    ),
    ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", "plain_http", OWN),
    (
        "[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol (_ssl.c:1006)",
        "connection_cut",
        REFUSED,
    ),
    ("[X509: KEY_VALUES_MISMATCH] key values mismatch (_ssl.c:4083)", "key_mismatch", OWN),
    ("[SSL] PEM lib (_ssl.c:3900)", "not_pem", OWN),
    (
        "[SSL: PEER_DID_NOT_RETURN_A_CERTIFICATE] peer did not return a certificate (_ssl.c:1006)",
        "certificate_required",
        OWN,
    ),
    (
        "requests.exceptions.SSLError: HTTPSConnectionPool(host='localhost', port=8443): Max retries exceeded with url: / (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1006)')))",
        "missing_intermediate",
        REFUSES,
    ),
    (
        "httpx.RemoteProtocolError: Server disconnected without sending a response.",
        "closed_silently",
        REFUSED,
    ),
    ("aiohttp.client_exceptions.ServerDisconnectedError: Server disconnected", "closed_silently", REFUSED),
    (
        "http.client.RemoteDisconnected: Remote end closed connection without response",
        "closed_silently",
        REFUSED,
    ),
    ("ConnectionRefusedError: [Errno 111] Connection refused", "connection_refused", OWN),
    ("socket.gaierror: [Errno -2] Name or service not known", "dns_failure", OWN),
    (
        "curl: (60) SSL certificate problem: unable to get local issuer certificate",
        "missing_intermediate",
        REFUSES,
    ),
    ("curl: (60) SSL certificate problem: self-signed certificate", "self_signed", REFUSES),
    (
        "curl: (60) SSL: no alternative certificate subject name matches target host name 'x'",
        "hostname_mismatch",
        REFUSES,
    ),
    (
        "curl: (56) OpenSSL SSL_read: OpenSSL/3.0.17: error:0A00045C:SSL routines::tlsv13 alert certificate required, errno 0",
        "certificate_required",
        REFUSED,
    ),
    (
        "curl: (35) OpenSSL/3.0.17: error:0A000418:SSL routines::tlsv1 alert unknown ca",
        "unknown_authority",
        REFUSED,
    ),
    (
        "curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to localhost:8443",
        "connection_cut",
        REFUSED,
    ),
    ("curl: (58) unable to set private key file: 'key.pem' type PEM", "key_mismatch", OWN),
    ("curl: (58) could not load PEM client certificate from cert.pem, OpenSSL error", "file_missing", OWN),
    ("curl: (52) Empty reply from server", "closed_silently", REFUSED),
    ("curl: (6) Could not resolve host: nowhere.example", "dns_failure", OWN),
    ("remote error: tls: certificate required", "certificate_required", REFUSED),
    ("remote error: tls: unknown certificate authority", "unknown_authority", REFUSED),
    ("remote error: tls: bad certificate", "unknown_authority", REFUSED),
    (
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "unknown_authority",
        REFUSES,
    ),
    (
        "x509: certificate has expired or is not yet valid: current time 2026-01-01T00:00:00Z is after 2025-01-01",
        "certificate_expired",
        REFUSES,
    ),
    ("x509: certificate is valid for api.acme.example, not localhost", "hostname_mismatch", REFUSES),
    (
        "x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs",
        "address_not_in_certificate",
        REFUSES,
    ),
    (
        "x509: certificate relies on legacy Common Name field, use SANs instead",
        "no_subject_alternative_name",
        REFUSES,
    ),
    ("x509: certificate specifies an incompatible key usage", "wrong_purpose", REFUSES),
    ("tls: client didn't provide a certificate", "certificate_required", OWN),
    ("tls: private key does not match public key", "key_mismatch", OWN),
    ("http: server gave HTTP response to HTTPS client", "plain_http", OWN),
    (
        "Error: unable to verify the first certificate\n  code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'",
        "missing_intermediate",
        REFUSES,
    ),
    (
        "Error: self-signed certificate in certificate chain code: 'SELF_SIGNED_CERT_IN_CHAIN'",
        "unknown_authority",
        REFUSES,
    ),
    (
        "Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames: Host: x. is not in the cert's altnames",
        "hostname_mismatch",
        REFUSES,
    ),
    ("Error: socket hang up { code: 'ECONNRESET' }", "closed_silently", REFUSED),
    (
        "Error: write EPROTO 00:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:SSL alert number 116",
        "certificate_required",
        REFUSED,
    ),
    (
        "javax.net.ssl.SSLHandshakeException: PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target",
        "unknown_authority",
        REFUSES,
    ),
    (
        "javax.net.ssl.SSLHandshakeException: Received fatal alert: certificate_required",
        "certificate_required",
        REFUSED,
    ),
    (
        "javax.net.ssl.SSLHandshakeException: Received fatal alert: bad_certificate",
        "unknown_authority",
        REFUSED,
    ),
    (
        "javax.net.ssl.SSLHandshakeException: Received fatal alert: handshake_failure",
        "certificate_required",
        REFUSED,
    ),
    ("javax.net.ssl.SSLHandshakeException: Empty client certificate chain", "certificate_required", OWN),
    (
        "java.security.cert.CertificateException: No subject alternative DNS name matching localhost found.",
        "hostname_mismatch",
        REFUSES,
    ),
    ("java.io.IOException: keystore password was incorrect", "wrong_passphrase", OWN),
    (
        "java.security.InvalidAlgorithmParameterException: the trustAnchors parameter must be non-empty",
        "no_anchors",
        OWN,
    ),
    ("javax.net.ssl.SSLException: Unsupported or unrecognized SSL message", "plain_http", OWN),
    ("<center>No required SSL certificate was sent</center>", "certificate_required", REFUSED),
    ("<center>The SSL certificate error</center>", "unknown_authority", REFUSED),
    (
        "client SSL certificate verify error: (10:certificate has expired) while reading client request headers",
        "certificate_expired",
        OWN,
    ),
    (
        "client SSL certificate verify error: (21:unable to verify the first certificate) while reading",
        "missing_intermediate",
        OWN,
    ),
    (
        "client SSL certificate verify error: (23:certificate revoked) while reading",
        "certificate_revoked",
        OWN,
    ),
    (
        "client sent no required SSL certificate while reading client request headers",
        "certificate_required",
        OWN,
    ),
    ("net::ERR_BAD_SSL_CLIENT_AUTH_CERT", "certificate_required", REFUSED),
    ("net::ERR_CERT_AUTHORITY_INVALID", "unknown_authority", REFUSES),
    ("NET::ERR_CERT_COMMON_NAME_INVALID", "hostname_mismatch", REFUSES),
    ("NET::ERR_CERT_DATE_INVALID", "certificate_expired", REFUSES),
    ("ERR_SSL_VERSION_OR_CIPHER_MISMATCH", "protocol_version_mismatch", REFUSED),
    ("SSL_ERROR_RX_CERTIFICATE_REQUIRED_ALERT", "certificate_required", REFUSED),
    ("SEC_ERROR_UNKNOWN_ISSUER", "missing_intermediate", REFUSES),
    ("SSL_ERROR_BAD_CERT_DOMAIN", "hostname_mismatch", REFUSES),
    ("SSL_ERROR_RX_RECORD_TOO_LONG", "plain_http", OWN),
    (
        "*** Fatal error: A TLS fatal alert has been received. *** Received alert [48]: CA is unknown (unknown_ca)",
        "unknown_authority",
        REFUSED,
    ),
    (
        "Status: The certificate is NOT trusted. The certificate issuer is unknown.",
        "unknown_authority",
        REFUSES,
    ),
    (
        "Status: The certificate is NOT trusted. The name in the certificate does not match the expected.",
        "hostname_mismatch",
        REFUSES,
    ),
    ("verify error:num=20:unable to get local issuer certificate", "missing_intermediate", REFUSES),
    ("140:error:0A000126:SSL routines:ssl3_read_n:unexpected eof while reading", "connection_cut", REFUSED),
    ("error:0A00010B:SSL routines:ssl3_get_record:wrong version number", "plain_http", OWN),
    ("invalid peer certificate: UnknownIssuer", "unknown_authority", REFUSES),
    ("received fatal alert: CertificateRequired", "certificate_required", REFUSED),
    (
        "upstream connect error or disconnect/reset before headers. TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end",
        "unknown_authority",
        REFUSES,
    ),
    (
        "The remote certificate is invalid according to the validation procedure: RemoteCertificateNameMismatch",
        "hostname_mismatch",
        REFUSES,
    ),
    ("read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer", "connection_cut", REFUSED),
    ("remote error: tls: expired certificate", "certificate_expired", REFUSED),
    ("dial tcp: lookup nowhere.example: no such host", "dns_failure", OWN),
    ("http: TLS handshake error from 127.0.0.1:1: EOF", "connection_cut", REFUSED),
    (
        "*** Fatal error: A TLS fatal alert has been received. *** Received alert [45]: Certificate has expired",
        "certificate_expired",
        REFUSED,
    ),
    ("Received alert [40]: Handshake failed", "certificate_required", REFUSED),
    ("*** Fatal error: An unexpected TLS packet was received.", "plain_http", OWN),
    (
        "The remote certificate is invalid because of errors in the certificate chain: NotTimeValid",
        "certificate_expired",
        REFUSES,
    ),
    ("ERROR: The certificate of 'x' is not trusted.", "unknown_authority", REFUSES),
    ("RBAC: access denied", "not_allowed", REFUSED),
    ("SSL alert number 48", "unknown_authority", REFUSED),
    ("dial tcp 10.0.0.2:443: i/o timeout", "timed_out", OWN),
]


@pytest.mark.parametrize(("text", "code", "speaker"), TEXTS, ids=[text[:50] for text, _, _ in TEXTS])
def test_a_real_text_is_understood(text: str, code: str, speaker: str):
    report = explain_text(text)
    assert report.findings, "not understood"
    first = report.findings[0]
    assert first.code == code
    assert str(first.evidence["who_speaks"]).startswith(speaker)
    assert report.verdict == "undecided"
    assert "twoway doctor" in first.remedy


def test_in_a_servers_own_log_it_is_the_client_that_presented():
    text = "error:0A000086:SSL routines:tls_process_client_certificate:certificate verify failed: certificate has expired"
    assert explain_text(text).findings[0].blame == "client"
    assert (
        explain_text("[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired (_ssl.c:1)").findings[0].blame
        == "server"
    )


def test_a_text_that_nobody_knows_gives_no_guess():
    assert explain_text("the moon is full").findings == ()
    assert explain_text("").findings == ()


def test_every_code_of_the_tables_exists():
    for codes in (*(row.codes for row in ROWS), *(codes for _, codes in (*ALERTS, *VERIFY))):
        assert set(codes) <= set(CODES)


@given(st.text(max_size=500))
def test_any_text_is_answered(text: str):
    assert explain_text(text).verdict == "undecided"
