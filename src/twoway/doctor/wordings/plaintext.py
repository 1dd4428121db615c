"""The words of those that meet plain HTTP where TLS should be, or TLS where plain HTTP should be."""

from __future__ import annotations

from twoway.doctor.wordings.causes import CUT, PLAIN, Wording

_BYTES = ("plain_http", "not_tls")  # an alert in TLS's own bytes, read as if it were HTTP
_SILENT = ("closed_silently", "plain_http", "certificate_required", "connection_cut")

ROWS: tuple[Wording, ...] = (
    # servers, to a client that forgot the s of https
    Wording("twoway", "this port speaks TLS: use https://", "refused", ("plain_http",)),
    Wording("nginx", "The plain HTTP request was sent to HTTPS port", "refused", ("plain_http",)),
    Wording("nginx", "client sent plain HTTP request to HTTPS port", "own", ("plain_http",)),
    Wording("Go", "client sent an HTTP request to an HTTPS server", "own", ("plain_http",)),
    Wording("Python", "\\bHTTP_REQUEST\\b|http request\\b", "own", ("plain_http",)),
    # clients that were answered in TLS, or not at all
    Wording("curl", "Received HTTP/0\\.9 when not allowed", "own", _BYTES),
    Wording("Go", 'malformed HTTP response "\\\\x15', "own", _BYTES),
    Wording("Go", '"http://[^"]*": EOF', "refused", ("plain_http", "closed_silently", "connection_cut")),
    Wording("Go", '"https://[^"]*": EOF', "refused", CUT),
    Wording("Node", "HPE_INVALID_CONSTANT|Parse Error: Expected HTTP/", "own", _BYTES),
    Wording("Python", "BadStatusLine", "own", _BYTES),
    Wording("Java", "Unexpected end of file from server|Invalid Http response", "refused", _SILENT),
    Wording("rustls", "invalid HTTP version parsed", "own", _BYTES),
    Wording("rustls", "connection closed before message completed", "refused", _SILENT),
    # clients that spoke TLS and were answered in HTTP
    Wording(
        "Go",
        "tls: first record does not look like a TLS handshake|server gave HTTP response to HTTPS client",
        "own",
        PLAIN,
    ),
    Wording("rustls", "InvalidContentType|received corrupt message", "own", PLAIN),
    Wording("Java", "Unsupported or unrecognized SSL message", "own", PLAIN),
    Wording("GnuTLS", "An unexpected TLS packet was received", "own", PLAIN),
    Wording("Node", "ERR_SSL_WRONG_VERSION_NUMBER|EPROTO.*wrong version number", "own", PLAIN),
    Wording("Firefox", "SSL_ERROR_RX_RECORD_TOO_LONG", "own", PLAIN),
    Wording(
        "Python",
        "WRONG_VERSION_NUMBER|wrong version number|RECORD_LAYER_FAILURE|packet length too long",
        "own",
        PLAIN,
    ),
)
