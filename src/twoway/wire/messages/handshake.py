"""Every handshake message of TLS 1.2 and 1.3, field by field; pure."""

from __future__ import annotations

from collections.abc import Callable

from twoway.wire.compression import DecompressorMissing, decompress
from twoway.wire.handshake import RETRY_RANDOM, read_certificates
from twoway.wire.messages.decoder import Decoder, listed, whole
from twoway.wire.messages.extensions import read_extensions, read_name, read_ocsp_status
from twoway.wire.reader import Malformed
from twoway.wire.tables import (
    CERTIFICATE_COMPRESSIONS,
    CIPHER_SUITES,
    CLIENT_CERTIFICATE_TYPES,
    COMPRESSIONS,
    CURVE_TYPES,
    GROUPS,
    KEY_UPDATES,
    SIGNATURE_SCHEMES,
    VERSIONS,
)

_TLS13 = "TLSv1.3"


def client_hello(d: Decoder) -> None:
    """RFC 8446 §4.1.2, RFC 5246 §7.4.1.2."""
    d.number("legacy_version", 2, VERSIONS)
    d.take("random", 32)
    d.opaque("legacy_session_id", 1)
    d.vector("cipher_suites", 2, listed("cipher_suite", 2, CIPHER_SUITES))
    d.vector("legacy_compression_methods", 1, listed("compression_method", 1, COMPRESSIONS))
    if d.left:
        read_extensions(d, "client_hello")


def server_hello(d: Decoder) -> None:
    """RFC 8446 §4.1.3 and §4.1.4, RFC 5246 §7.4.1.3."""
    d.number("legacy_version", 2, VERSIONS)
    retry = d.take("random", 32) == RETRY_RANDOM
    d.opaque("legacy_session_id_echo", 1)
    d.number("cipher_suite", 2, CIPHER_SUITES)
    d.number("legacy_compression_method", 1, COMPRESSIONS)
    if d.left:
        read_extensions(d, "hello_retry_request" if retry else "server_hello")


def new_session_ticket_13(d: Decoder) -> None:
    """RFC 8446 §4.6.1."""
    seconds = d.number("ticket_lifetime", 4)
    d.retell(f"{seconds} s")
    d.number("ticket_age_add", 4)
    d.opaque("ticket_nonce", 1)
    d.opaque("ticket", 2)
    read_extensions(d, "new_session_ticket")


def new_session_ticket_12(d: Decoder) -> None:
    """RFC 5077 §3.3."""
    seconds = d.number("ticket_lifetime_hint", 4)
    d.retell(f"{seconds} s")
    d.opaque("ticket", 2)


def encrypted_extensions(d: Decoder) -> None:
    """RFC 8446 §4.3.1."""
    read_extensions(d, "encrypted_extensions")


def certificate_13(d: Decoder) -> None:
    """RFC 8446 §4.4.2."""
    d.opaque("certificate_request_context", 1)

    def entry(inner: Decoder) -> str:
        size = len(inner.opaque("cert_data", 3))
        read_extensions(inner, "certificate")
        return f"a certificate of {size} bytes"

    def entries(inner: Decoder) -> str:
        count = 0
        while inner.left:
            inner.group("certificate_entry", entry)
            count += 1
        return f"{count} certificates"

    d.vector("certificate_list", 3, entries)


def certificate_12(d: Decoder) -> None:
    """RFC 5246 §7.4.2."""

    def entries(inner: Decoder) -> str:
        count = 0
        while inner.left:
            size = len(inner.opaque("asn1_cert", 3))
            if size:
                inner.retell(f"a certificate of {size} bytes")
            count += 1
        return f"{count} certificates"

    d.vector("certificate_list", 3, entries)


def server_key_exchange(d: Decoder, suite: str | None, version: str | None) -> None:
    """RFC 8422 §5.4 (ECDHE), RFC 5246 §7.4.3 (DHE); bytes for every other kind."""
    suite = suite or ""
    if (
        "_PSK_" in suite
        or "_SRP_" in suite
        or "_anon_" in suite
        or version not in ("TLSv1.2", "TLSv1.1", "TLSv1.0")
    ):
        d.rest("params")
        return
    if "_ECDHE_" in suite:
        kind = d.number("curve_type", 1, CURVE_TYPES)
        if kind != 3:
            d.rest("params")
            return
        d.number("named_curve", 2, GROUPS)
        d.opaque("public", 1)
    elif "_DHE_" in suite:
        d.opaque("dh_p", 2)
        d.opaque("dh_g", 2)
        d.opaque("dh_ys", 2)
    else:
        d.rest("params")
        return
    if version == "TLSv1.2":
        d.number("algorithm", 2, SIGNATURE_SCHEMES)
    d.opaque("signature", 2)


def certificate_request_13(d: Decoder) -> None:
    """RFC 8446 §4.3.2."""
    d.opaque("certificate_request_context", 1)
    read_extensions(d, "certificate_request")


def certificate_request_12(d: Decoder, version: str | None) -> None:
    """RFC 5246 §7.4.4."""
    d.vector("certificate_types", 1, listed("certificate_type", 1, CLIENT_CERTIFICATE_TYPES))
    if version == "TLSv1.2":
        d.vector("supported_signature_algorithms", 2, listed("signature_scheme", 2, SIGNATURE_SCHEMES))

    def names(inner: Decoder) -> None:
        while inner.left:
            read_name(inner)

    d.vector("certificate_authorities", 2, names)


def certificate_verify(d: Decoder, version: str | None) -> None:
    """RFC 8446 §4.4.3, RFC 5246 §7.4.8."""
    if version not in ("TLSv1.0", "TLSv1.1"):
        d.number("algorithm", 2, SIGNATURE_SCHEMES)
    d.opaque("signature", 2)


def client_key_exchange(d: Decoder, suite: str | None) -> None:
    """RFC 5246 §7.4.7: which of these it is, only the cipher suite tells."""
    suite = suite or ""
    if "_ECDHE_" in suite and "_PSK_" not in suite:
        d.opaque("ecdh_yc", 1)
    elif "_DHE_" in suite and "_PSK_" not in suite:
        d.opaque("dh_yc", 2)
    elif suite.startswith("TLS_RSA_WITH"):
        d.opaque("encrypted_pre_master_secret", 2)
    else:
        d.rest("exchange_keys")


def certificate_status(d: Decoder) -> None:
    """RFC 6066 §8."""
    read_ocsp_status(d)


def key_update(d: Decoder) -> None:
    """RFC 8446 §4.6.3."""
    d.number("request_update", 1, KEY_UPDATES)


def compressed_certificate(d: Decoder) -> None:
    """RFC 8879 §4. What is within has no place in these bytes: its text says what was found there."""
    algorithm = d.number("algorithm", 2, CERTIFICATE_COMPRESSIONS)
    size = d.number("uncompressed_length", 3)
    data = d.opaque("compressed_certificate_message", 3)
    try:
        found = read_certificates(decompress(algorithm, data, size), _TLS13)
    except DecompressorMissing as missing:
        d.retell(str(missing))
    except Malformed as fault:
        d.fail(str(fault))
    else:
        d.retell(f"{len(found)} certificates, {size} bytes in {len(data)}")


def next_protocol(d: Decoder) -> None:
    d.opaque("selected_protocol", 1)
    d.opaque("padding", 1)


def nothing(d: Decoder) -> None:
    """A message that says all by being there."""


def reading(number: int, version: str | None, suite: str | None) -> Callable[[Decoder], None]:
    """How the body of a message is read."""
    modern = version == _TLS13
    match number:
        case 1:
            return client_hello
        case 2:
            return server_hello
        case 4:
            return new_session_ticket_13 if modern else new_session_ticket_12
        case 8:
            return encrypted_extensions
        case 11:
            return certificate_13 if modern else certificate_12
        case 12:
            return lambda d: server_key_exchange(d, suite, version)
        case 13:
            return certificate_request_13 if modern else lambda d: certificate_request_12(d, version)
        case 15:
            return lambda d: certificate_verify(d, version)
        case 16:
            return lambda d: client_key_exchange(d, suite)
        case 20:
            return whole("verify_data")
        case 22:
            return certificate_status
        case 24:
            return key_update
        case 25:
            return compressed_certificate
        case 67:
            return next_protocol
        case 254:
            return whole("hash")
        case 0 | 5 | 14:
            return nothing
    return whole("body")
