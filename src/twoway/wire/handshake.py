"""Handshake messages to facts: the hellos and the certificate request, for TLS 1.3 and 1.2; pure.

Each decoder takes the body of one message (without its four bytes of type and length) and raises Malformed
for anything that is not exactly that message. Unknown extensions are kept as bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twoway.wire.reader import Malformed, Reader
from twoway.wire.tables import CIPHER_SUITES, GROUPS, MESSAGES, SIGNATURE_SCHEMES, VERSIONS, named

# Extension numbers (RFC 8446 §4.2).
SERVER_NAME, SUPPORTED_GROUPS, SIGNATURE_ALGORITHMS, ALPN = 0, 10, 13, 16
PRE_SHARED_KEY, SUPPORTED_VERSIONS, CERTIFICATE_AUTHORITIES, KEY_SHARE = 41, 43, 47, 51

# RFC 8446 §4.1.3: a ServerHello with this random asks the client to try again.
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

_NAMED_CURVE = 3
MAX_CERTIFICATES = 100

Extensions = tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One handshake message: its type's number and name, its body, and its whole length on the wire."""

    number: int
    name: str
    body: bytes = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.body) + 4


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offers, most wanted first."""

    versions: tuple[str, ...]
    cipher_suites: tuple[str, ...]
    groups: tuple[str, ...]
    key_shares: tuple[str, ...]
    signature_schemes: tuple[str, ...]
    server_name: str | None
    alpn: tuple[str, ...]
    offers_session: bool
    random: bytes = field(repr=False)
    extensions: Extensions = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What the server chose. `retry` says that it asks for another ClientHello (HelloRetryRequest)."""

    version: str
    cipher_suite: str
    group: str | None
    resumes: bool
    retry: bool
    random: bytes = field(repr=False)
    extensions: Extensions = field(repr=False)


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """What the server accepts as a client's certificate: names of authorities as DER, and schemes."""

    authorities: tuple[bytes, ...]
    signature_schemes: tuple[str, ...]


def read_message(data: bytes) -> Message:
    """One whole handshake message of exactly these bytes."""
    reader = Reader(data, "handshake message")
    number = reader.number(1)
    body = reader.vector(3)
    reader.end()
    return Message(number, MESSAGES.get(number, f"message {number}"), body.data)


def read_client_hello(body: bytes) -> ClientHello:
    """RFC 8446 §4.1.2, RFC 5246 §7.4.1.2."""
    reader = Reader(body, "client_hello")
    legacy = reader.number(2)
    random = reader.take(32)
    session = reader.vector(1).data
    suites = reader.vector(2).numbers(2)
    reader.vector(1)
    extensions = _extensions(reader.vector(2)) if reader.left else ()
    reader.end()
    found = dict(extensions)
    what = "client_hello"
    versions: tuple[int, ...] = (legacy,)
    if SUPPORTED_VERSIONS in found:
        versions = _all(found[SUPPORTED_VERSIONS], what, 1).numbers(2)
    shares = []
    if KEY_SHARE in found:
        entries = _all(found[KEY_SHARE], what, 2)
        for _ in entries.entries():
            shares.append(entries.number(2))
            entries.vector(2)
    return ClientHello(
        versions=_named(VERSIONS, versions),
        cipher_suites=_named(CIPHER_SUITES, suites),
        groups=_named(GROUPS, _numbers(found, SUPPORTED_GROUPS, what)),
        key_shares=_named(GROUPS, tuple(shares)),
        signature_schemes=_named(SIGNATURE_SCHEMES, _numbers(found, SIGNATURE_ALGORITHMS, what)),
        server_name=_server_name(found.get(SERVER_NAME)),
        alpn=_alpn(found.get(ALPN)),
        offers_session=PRE_SHARED_KEY in found or (SUPPORTED_VERSIONS not in found and bool(session)),
        random=random,
        extensions=extensions,
    )


def read_server_hello(body: bytes) -> ServerHello:
    """RFC 8446 §4.1.3 and §4.1.4, RFC 5246 §7.4.1.3. `resumes` can be told for TLS 1.3 only."""
    what = "server_hello"
    reader = Reader(body, what)
    version = reader.number(2)
    random = reader.take(32)
    reader.vector(1)
    suite = reader.number(2)
    reader.number(1)
    extensions = _extensions(reader.vector(2)) if reader.left else ()
    reader.end()
    found = dict(extensions)
    if SUPPORTED_VERSIONS in found:
        version = _whole(found[SUPPORTED_VERSIONS], what, 2)
    group = Reader(found[KEY_SHARE], what).number(2) if KEY_SHARE in found else None
    return ServerHello(
        version=named(VERSIONS, version),
        cipher_suite=named(CIPHER_SUITES, suite),
        group=named(GROUPS, group) if group is not None else None,
        resumes=PRE_SHARED_KEY in found,
        retry=random == RETRY_RANDOM,
        random=random,
        extensions=extensions,
    )


def read_certificate_request(body: bytes, version: str) -> CertificateRequest:
    """RFC 8446 §4.3.2 for "TLSv1.3", RFC 5246 §7.4.4 for "TLSv1.2"."""
    what = "certificate_request"
    reader = Reader(body, what)
    if version == "TLSv1.3":
        reader.vector(1)
        found = dict(_extensions(reader.vector(2)))
        reader.end()
        names = found.get(CERTIFICATE_AUTHORITIES)
        return CertificateRequest(
            authorities=_names(_all(names, what, 2)) if names is not None else (),
            signature_schemes=_named(SIGNATURE_SCHEMES, _numbers(found, SIGNATURE_ALGORITHMS, what)),
        )
    reader.vector(1)
    schemes = reader.vector(2).numbers(2)
    authorities = _names(reader.vector(2))
    reader.end()
    return CertificateRequest(authorities, _named(SIGNATURE_SCHEMES, schemes))


def read_certificates(body: bytes, version: str) -> tuple[bytes, ...]:
    """The certificates of a Certificate message as DER, the leaf first (RFC 8446 §4.4.2, RFC 5246 §7.4.2).

    Raises Malformed for more than 100 of them too: no chain is so long.
    """
    reader = Reader(body, "certificate")
    if version == "TLSv1.3":
        reader.vector(1)
    entries = reader.vector(3)
    reader.end()
    found: list[bytes] = []
    while entries.left:
        if len(found) == MAX_CERTIFICATES:
            raise Malformed(
                "certificate", entries.position, f"at most {MAX_CERTIFICATES} certificates", "more"
            )
        found.append(entries.vector(3).data)
        if version == "TLSv1.3":
            entries.vector(2)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class CertificateVerify:
    """With which scheme a side has signed the handshake, and the signature."""

    scheme: str
    signature: bytes = field(repr=False)


def read_certificate_verify(body: bytes) -> CertificateVerify:
    """RFC 8446 §4.4.3, RFC 5246 §7.4.8."""
    reader = Reader(body, "certificate_verify")
    scheme = named(SIGNATURE_SCHEMES, reader.number(2))
    signature = reader.vector(2).data
    reader.end()
    return CertificateVerify(scheme, signature)


@dataclass(frozen=True, slots=True)
class SignedKeyExchange:
    """A TLS 1.2 server's ephemeral key: its group, the bytes that are signed, and the signature over them."""

    group: str | None
    scheme: str
    parameters: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def read_server_key_exchange(body: bytes) -> SignedKeyExchange:
    """An ECDHE key exchange of TLS 1.2 on a named curve (RFC 8422 §5.4); raises Malformed for any other."""
    what = "server_key_exchange"
    reader = Reader(body, what)
    kind = reader.number(1)
    if kind != _NAMED_CURVE:
        raise Malformed(what, 0, "a named curve", f"curve type {kind}")
    group = named(GROUPS, reader.number(2))
    reader.vector(1)
    parameters = body[: reader.position]
    scheme = named(SIGNATURE_SCHEMES, reader.number(2))
    signature = reader.vector(2).data
    reader.end()
    return SignedKeyExchange(group, scheme, parameters, signature)


def _extensions(reader: Reader) -> Extensions:
    found: list[tuple[int, bytes]] = []
    seen: set[int] = set()
    for _ in reader.entries():
        at = reader.position
        number = reader.number(2)
        if number in seen:
            # RFC 8446 §4.2: there MUST NOT be more than one extension of the same type.
            raise Malformed(reader.what, at, "each extension once", f"extension {number} again")
        seen.add(number)
        found.append((number, reader.vector(2).data))
    return tuple(found)


def _all(data: bytes, what: str, octets: int) -> Reader:
    """The contents of data that is one vector and nothing else."""
    reader = Reader(data, what)
    inner = reader.vector(octets)
    reader.end()
    return inner


def _whole(data: bytes, what: str, octets: int) -> int:
    reader = Reader(data, what)
    number = reader.number(octets)
    reader.end()
    return number


def _numbers(found: dict[int, bytes], extension: int, what: str) -> tuple[int, ...]:
    return _all(found[extension], what, 2).numbers(2) if extension in found else ()


def _names(reader: Reader) -> tuple[bytes, ...]:
    names = []
    for _ in reader.entries():
        names.append(reader.vector(2).data)
    return tuple(names)


def _named(table: dict[int, str], numbers: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(named(table, number) for number in numbers)


def _server_name(data: bytes | None) -> str | None:
    """RFC 6066 §3: the one host_name."""
    if not data:
        return None
    entries = _all(data, "server_name", 2)
    name = None
    for _ in entries.entries():
        kind, text = entries.number(1), entries.vector(2).data
        if kind == 0 and name is None:
            name = text.decode("ascii", "replace").lower()
    return name


def _alpn(data: bytes | None) -> tuple[str, ...]:
    if data is None:
        return ()
    entries = _all(data, "application_layer_protocol_negotiation", 2)
    names = []
    for _ in entries.entries():
        names.append(entries.vector(1).data.decode("ascii", "replace"))
    return tuple(names)
