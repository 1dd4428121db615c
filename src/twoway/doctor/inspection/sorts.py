"""What bytes are that are none of ours: so that the hint can say how to turn them into what is wanted; pure."""

from __future__ import annotations

import re

# (what they begin with or match, what it is, what helps)
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"\xfe\xed\xfe\xed",
        "a Java keystore (JKS)",
        "keytool -importkeystore -srckeystore FILE -destkeystore out.p12 -deststoretype PKCS12",
    ),
    (
        b"\xce\xce\xce\xce",
        "a Java keystore (JCEKS)",
        "keytool -importkeystore -srckeystore FILE -srcstoretype JCEKS -destkeystore out.p12 -deststoretype PKCS12",
    ),
    (
        b"-----BEGIN OPENSSH PRIVATE KEY",
        "an SSH private key",
        "ssh-keygen -p -m PKCS8 -f FILE makes PKCS#8 of it",
    ),
    (b"ssh-", "an SSH public key", "ssh-keygen -e -m PKCS8 -f FILE makes PEM of it"),
    (
        b"SQLite format 3\0",
        "an SQLite database: perhaps an NSS certificate database",
        "certutil -d sql:DIR -L lists it, pk12util -o out.p12 exports from it",
    ),
    (b"\x0a\x0d\x0d\x0a", "a capture (pcapng)", "twoway explain FILE tells its handshakes"),
    (b"\xd4\xc3\xb2\xa1", "a capture (pcap)", "twoway explain FILE tells its handshakes"),
    (b"\xa1\xb2\xc3\xd4", "a capture (pcap)", "twoway explain FILE tells its handshakes"),
    (b"PK\x03\x04", "a zip archive", "unpack it, and inspect what is in it"),
    (b"\x1f\x8b", "gzip", "gunzip it, and inspect what is in it"),
    (
        b"Certificate:\n",
        "the text that openssl prints of a certificate",
        "the PEM block is what counts: openssl x509 -in FILE",
    ),
    (b"{", "JSON", "take the PEM text out of it: jq -r .certificate FILE"),
)
_HTML = re.compile(rb"\s*<(!doctype|html|\?xml)", re.I)
_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]{64,}\Z")
_YAML_SECRET = re.compile(rb"^\s*(tls\.crt|tls\.key|ca\.crt):", re.M)


def sort_of(data: bytes) -> tuple[str, str]:
    """What the bytes look like, and what to do with such a file."""
    head = data[:4096]
    for start, what, hint in _STARTS:
        if head.lstrip().startswith(start) or head.startswith(start):
            return what, hint
    if _HTML.match(head):
        return "a page of HTML or XML", "download it again, from the address of the file itself"
    if _YAML_SECRET.search(head):
        return "a Kubernetes secret", "kubectl get secret NAME -o jsonpath='{.data.tls\\.crt}' | base64 -d"
    if _BASE64.match(head):
        return (
            "base64 without its PEM lines",
            "put -----BEGIN CERTIFICATE----- and -----END CERTIFICATE----- around it",
        )
    if not data.strip():
        return "nothing", "the file is empty"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes that are no DER of this field", "ask whoever made the file what it is"
    return "text", "expected PEM (-----BEGIN …) or DER"
