"""The OpenSSL inside the cryptography wheel, called below pyOpenSSL's exceptions.

Raising and catching WantReadError costs more than the read itself, and pyOpenSSL has no way to set the
verify error, to send an alert from the server-name callback, or to load an ML-DSA key from memory. All
calls that need this stand in this module and nowhere else; it is pinned to the two libraries' versions
in pyproject.toml, and `require` fails at import when one of them loses a function.

Nothing here decides anything: it moves bytes and pointers.
"""

from __future__ import annotations

from threading import local
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL, crypto
from OpenSSL._util import ffi as ffi  # the reason for this module
from OpenSSL._util import lib as lib

from twoway.errors import ConfigError
from twoway.trust import CertificateUnreadable

NULL = ffi.NULL
BUFFER_SIZE = 65536

WANT_READ = lib.SSL_ERROR_WANT_READ
WANT_WRITE = lib.SSL_ERROR_WANT_WRITE
ZERO_RETURN = lib.SSL_ERROR_ZERO_RETURN
VERIFY_OK = lib.X509_V_OK
VERIFY_ERRORS = {
    name[len("X509_V_ERR_") :].lower(): getattr(lib, name)
    for name in dir(lib)
    if name.startswith("X509_V_ERR_")
}
# X509_V_ERR_UNSPECIFIED and others are not exported; any code outside OpenSSL's alert table is sent as
# certificate_unknown, which is what RFC 8446 §6.2 has for "some other issue".
VERIFY_ERROR_OTHER = lib.X509_V_ERR_EXCLUDED_VIOLATION

_ALERT_REASONS = 1000  # SSL_AD_REASON_OFFSET: reason = 1000 + number of the alert received
_REASON_UNEXPECTED_EOF = lib.SSL_R_UNEXPECTED_EOF_WHILE_READING

_REQUIRED = (
    "SSL_get0_verified_chain",
    "SSL_CTX_set_tlsext_servername_callback",
    "SSL_CTX_set_keylog_callback",
    "SSL_get0_group_name",
    "X509_STORE_CTX_get1_chain",
    "X509_STORE_CTX_set_error",
    "PEM_read_bio_PrivateKey",
    "X509_digest",
    "i2d_SSL_SESSION",
)


class EngineMismatch(ConfigError):
    """The installed cryptography and pyOpenSSL lack something that the TLS engine calls."""

    code = "engine_mismatch"

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__(missing)
        self.missing = missing

    def __str__(self) -> str:
        return f"the installed cryptography lacks {', '.join(self.missing)}, which the TLS engine calls"

    @property
    def remedy(self) -> str:
        return "install the versions that twoway was released with: pip install --force-reinstall twoway"


def require(names: tuple[str, ...] = _REQUIRED) -> None:
    """Fail now, with the names, rather than at the first handshake."""
    missing = tuple(name for name in names if not hasattr(lib, name))
    if missing:
        raise EngineMismatch(missing)


require()


class Failure(NamedTuple):
    """One entry of OpenSSL's error queue."""

    reason: int
    text: str

    @property
    def alert(self) -> int | None:
        """The number of the alert that the other side sent, when that is what failed."""
        number = self.reason - _ALERT_REASONS
        return number if 0 <= number < 256 else None

    @property
    def is_unexpected_eof(self) -> bool:
        return bool(self.reason == _REASON_UNEXPECTED_EOF)


def pending(bio: Any) -> int:
    """How many bytes lie in a memory BIO."""
    return int(lib.BIO_get_mem_data(bio, ffi.new("char **")))


def drain_errors() -> tuple[Failure, ...]:
    """Everything in this thread's error queue, oldest first; the queue is empty afterwards."""
    failures = []
    while code := lib.ERR_get_error():
        text = lib.ERR_reason_error_string(code)
        failures.append(
            Failure(lib.ERR_GET_REASON(code), ffi.string(text).decode("ascii", "replace") if text else "")
        )
    return tuple(failures)


def next_is_unexpected_eof() -> bool:
    """Whether the oldest entry of this thread's error queue says that the stream ended without close_notify."""
    code = lib.ERR_peek_error()
    return bool(code) and lib.ERR_GET_REASON(code) == _REASON_UNEXPECTED_EOF


def version() -> str:
    """The version line of the OpenSSL that carries every handshake."""
    return SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()


# -- certificates across the border -------------------------------------------------------------------


class _DigestBuffer(local):
    """A place a thread for X509_digest to write to."""

    def __init__(self) -> None:
        self.bytes = ffi.new("unsigned char[32]")
        self.view = ffi.buffer(self.bytes)
        self.length = ffi.new("unsigned int[1]")


_sha256 = lib.EVP_get_digestbyname(b"sha256")
_digest = _DigestBuffer()


def sha256_of(certificate: Any) -> bytes:
    """SHA-256 over the DER of an X509 pointer: 32 bytes."""
    place = _digest
    if lib.X509_digest(certificate, _sha256, place.bytes, place.length) != 1:
        raise MemoryError("X509_digest")
    return place.view[:]  # type: ignore[no-any-return]


def to_certificate(pointer: Any) -> x509.Certificate:
    """A certificate object of an X509 pointer that OpenSSL owns (the pointer stays OpenSSL's).

    Raises CertificateUnreadable: OpenSSL takes certificates that cannot be decoded here.
    """
    lib.X509_up_ref(pointer)
    try:
        return crypto.X509._from_raw_x509_ptr(pointer).to_cryptography()
    except Exception as error:  # noqa: BLE001 - the parser raises many kinds; all mean the same here
        raise CertificateUnreadable(None, str(error)[:200]) from None


def pointers(stack: Any) -> list[Any]:
    """The X509 pointers of a stack, none when there is no stack."""
    if stack == NULL:
        return []
    return [lib.sk_X509_value(stack, index) for index in range(lib.sk_X509_num(stack))]


class OwnedChain:
    """A chain that OpenSSL handed over with its references; released when the block ends."""

    def __init__(self, store_context: Any) -> None:
        self._stack = lib.X509_STORE_CTX_get1_chain(store_context)

    def __enter__(self) -> list[Any]:
        return pointers(self._stack)

    def __exit__(self, *_: object) -> None:
        if self._stack != NULL:
            for pointer in pointers(self._stack):
                lib.X509_free(pointer)
            lib.sk_X509_free(self._stack)


# -- contexts ----------------------------------------------------------------------------------------


class KeyRejected(ConfigError):
    """OpenSSL does not take this private key or certificate for TLS."""

    code = "key_rejected"

    def __init__(self, subject: str, reasons: tuple[str, ...]) -> None:
        super().__init__(subject, reasons)
        self.subject, self.reasons = subject, reasons

    def __str__(self) -> str:
        return f"the TLS library does not take the key and certificate of {self.subject}: " + (
            "; ".join(self.reasons) or "no reason given"
        )

    @property
    def remedy(self) -> str:
        return "issue the identity anew with a key of at least 2048 bits (RSA) or 256 bits (EC)"


def use_identity(
    context: SSL.Context, private_key: Any, chain: tuple[x509.Certificate, ...], who: str
) -> None:
    """Give a context its key and chain (leaf first) from memory; raises KeyRejected."""
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    source = ffi.from_buffer(pem)
    bio = ffi.gc(lib.BIO_new_mem_buf(source, len(pem)), lib.BIO_free)
    pkey = lib.PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL)
    if pkey == NULL:
        raise KeyRejected(who, tuple(f.text for f in drain_errors()))
    pkey = ffi.gc(pkey, lib.EVP_PKEY_free)
    leaf = crypto.X509.from_cryptography(chain[0])
    if (
        lib.SSL_CTX_use_certificate(context._context, leaf._x509) != 1
        or lib.SSL_CTX_use_PrivateKey(context._context, pkey) != 1
        or lib.SSL_CTX_check_private_key(context._context) != 1
    ):
        raise KeyRejected(who, tuple(f.text for f in drain_errors()))
    for certificate in chain[1:]:
        context.add_extra_chain_cert(certificate)


def tls_groups(context: SSL.Context, groups: str) -> bool:
    """Set the key-exchange groups, most wanted first; False when the library knows none of them."""
    done = bool(lib.SSL_CTX_set1_curves_list(context._context, groups.encode("ascii")) == 1)
    drain_errors()
    return done


def tls13_suites(context: SSL.Context, suites: str) -> None:
    """Set the TLS 1.3 suites, most wanted first (pyOpenSSL has no call for them)."""
    if lib.SSL_CTX_set_ciphersuites(context._context, suites.encode("ascii")) != 1:
        raise MemoryError(f"SSL_CTX_set_ciphersuites: {suites}")


def session_der(session: Any) -> bytes | None:
    """A session in OpenSSL's own encoding: a copy that lives on when its connection is freed."""
    length = lib.i2d_SSL_SESSION(session, NULL)
    if length <= 0:
        return None
    buffer = ffi.new("unsigned char[]", length)
    lib.i2d_SSL_SESSION(session, ffi.new("unsigned char **", buffer))
    return bytes(buffer)


def session_from(der: bytes) -> Any | None:
    """The session behind `session_der`, or None when it does not decode."""
    source = ffi.from_buffer(der)
    pointer = lib.d2i_SSL_SESSION(NULL, ffi.new("const unsigned char **", source), len(der))
    if pointer == NULL:
        drain_errors()
        return None
    return ffi.gc(pointer, lib.SSL_SESSION_free)


def session_hostname(session: Any) -> bytes | None:
    """The server name that a session was made for (RFC 6066 §3), read from its own encoding."""
    der = session_der(session)
    return _tagged_octets(der, 0xA6) if der is not None else None


def _tagged_octets(der: bytes, tag: int) -> bytes | None:
    """The OCTET STRING inside the explicit context tag `tag` of a SEQUENCE, or None."""
    _, position, end = _header(der, 0)
    while position < end:
        found, content, after = _header(der, position)
        if found == tag:
            _, start, stop = _header(der, content)
            return der[start:stop]
        position = after
    return None


def _header(der: bytes, position: int) -> tuple[int, int, int]:
    tag, length = der[position], der[position + 1]
    start = position + 2
    if length & 0x80:
        octets = length & 0x7F
        length = int.from_bytes(der[start : start + octets], "big")
        start += octets
    return tag, start, start + length


def names_in(stack: Any) -> tuple[x509.Name, ...]:
    """The names of a stack of X509_NAME pointers, none when there is no stack."""
    if stack == NULL:
        return ()
    return tuple(_name(lib.sk_X509_NAME_value(stack, index)) for index in range(lib.sk_X509_NAME_num(stack)))


def _name(pointer: Any) -> x509.Name:
    out = ffi.new("unsigned char **")
    length = lib.i2d_X509_NAME(pointer, out)
    if length <= 0:
        raise MemoryError("i2d_X509_NAME")
    der = bytes(ffi.buffer(out[0], length))
    lib.OPENSSL_free(out[0])
    return x509.Name.from_bytes(der)
