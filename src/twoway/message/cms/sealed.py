"""AuthEnvelopedData (RFC 5083) with AES-GCM (RFC 5084): sealed in one pass, of any length up to 64 GiB."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar, Protocol

from asn1crypto import core
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM
from cryptography.hazmat.primitives.padding import PKCS7

from twoway.credential import Credential
from twoway.message.cms import algorithms, ber
from twoway.message.cms.algorithms import Algorithm, algorithm_in
from twoway.message.cms.recipients import FORMAT, fresh_key, unwrapped, wrapped
from twoway.message.faults import AlgorithmRefused, CannotOpen, MessageMalformed, MessageTooLarge
from twoway.message.purpose import check_may_receive
from twoway.message.recipient import Recipient
from twoway.message.streams import Source, parts_of

RECEIVERS = ("p256", "p384", "rsa")
MAX_CONTENT = 2**36 - 32  # NIST SP 800-38D §5.2.1.1: what GCM protects under one key and nonce
_PIECE = 256 * 1024
_TAG = 16


class _GcmParameters(core.Sequence):
    """GCMParameters (RFC 5084 §3.2)."""

    _fields: ClassVar[list[Any]] = [
        ("nonce", core.OctetString),
        ("icv_length", core.Integer, {"default": 12}),
    ]


def seal(source: Source, sink: BinaryIO, recipients: tuple[Recipient, ...]) -> None:
    """Seal what a source gives, of at most 64 GiB, in constant memory.

    AES-256-GCM under a fresh key, which goes to RSA keys by RSAES-OAEP with SHA-256 and to EC keys by
    ephemeral ECDH and AES-256 key wrap. Raises CannotReceive, KeyUsageForbids or MessageTooLarge.
    """
    for one in recipients:
        check_may_receive(one.certificate, FORMAT, RECEIVERS)
    key, nonce = fresh_key(), os.urandom(12)
    encryptor = Cipher(AES(key), GCM(nonce)).encryptor()
    infos = [wrapped(key, one.certificate) for one in recipients]
    parameters = _GcmParameters({"nonce": nonce, "icv_length": _TAG})
    sink.write(
        ber.begun(ber.SEQUENCE)
        + core.ObjectIdentifier(algorithms.AUTH_ENVELOPED_DATA).dump()
        + ber.begun(0xA0)
        + ber.begun(ber.SEQUENCE)
        + ber.element(ber.INTEGER, b"\0")
        + ber.element(ber.SET, *sorted(infos))
        + ber.begun(ber.SEQUENCE)
        + core.ObjectIdentifier(algorithms.DATA).dump()
        + algorithms.identifier(algorithms.AES_256_GCM, parameters)
        + ber.begun(0xA0)
    )
    count = 0
    for part in parts_of(source, _PIECE):
        count += len(part)
        if count > MAX_CONTENT:
            raise MessageTooLarge(FORMAT, MAX_CONTENT)
        sink.write(ber.header(ber.OCTET_STRING, len(part)))
        sink.write(encryptor.update(part))
    encryptor.finalize()
    ends = ber.END_OF_CONTENTS
    sink.write(ends + ends + ber.element(ber.OCTET_STRING, encryptor.tag) + ends + ends + ends)


class _Decryptor(Protocol):
    def update(self, data: bytes, /) -> bytes: ...


def open_sealed(
    reader: ber.Reader, sink: BinaryIO, identity: Credential, *, unauthenticated: bool = False
) -> None:
    """Open the content of a ContentInfo whose first element is read next, into a sink, in constant memory.

    EnvelopedData with AES-CBC, which nothing protects from changes, is opened only where `unauthenticated`
    allows it. Raises MessageMalformed, NotForUs, AlgorithmRefused, and CannotOpen for all that depends on the
    key; on an error what the sink has is to be thrown away.
    """
    reader.enter(ber.SEQUENCE)
    kind = _oid(reader)
    authenticated = kind == algorithms.AUTH_ENVELOPED_DATA
    if not authenticated and kind != algorithms.ENVELOPED_DATA:
        raise MessageMalformed(FORMAT, f"the content is of the type {kind}, which is not a sealed one")
    if not authenticated and not unauthenticated:
        raise AlgorithmRefused(FORMAT, "EnvelopedData, which anybody can change", ("AuthEnvelopedData",))
    reader.enter(0xA0)
    reader.enter(ber.SEQUENCE)
    reader.whole(ber.INTEGER)
    if (following := reader.peek()) is not None and following.tag == 0xA0:
        reader.whole()  # originatorInfo: certificates that nobody here asks for
    key = unwrapped(reader.whole(ber.SET), identity)
    reader.enter(ber.SEQUENCE)
    content_type = _oid(reader)
    if content_type != algorithms.DATA:
        raise MessageMalformed(FORMAT, f"what is sealed is of the type {content_type}, not data")
    algorithm = _algorithm(reader.whole(ber.SEQUENCE))
    pieces = reader.octets(0x80) if reader.peek() is not None else iter(())
    if authenticated:
        _open_gcm(reader, pieces, sink, key, algorithm, identity)
    else:
        _open_cbc(pieces, sink, key, algorithm, identity)
        reader.leave()
        if reader.peek() is not None:
            reader.whole(0xA1)  # unprotectedAttrs
    reader.leave()
    reader.leave()
    reader.leave()
    if reader.peek() is not None:
        raise MessageMalformed(FORMAT, "something follows its end")


def _open_gcm(
    reader: ber.Reader,
    pieces: Iterator[bytes],
    sink: BinaryIO,
    key: bytes,
    algorithm: Algorithm,
    identity: Credential,
) -> None:
    oid = algorithm.oid
    if oid not in algorithms.GCM:
        raise AlgorithmRefused(FORMAT, f"content encryption {oid}", ("AES-256-GCM",))
    try:
        parameters = _GcmParameters.load(algorithm.parameters or b"", strict=True)
        nonce, size = bytes(parameters["nonce"].native), parameters["icv_length"].native
    except (ValueError, TypeError):
        raise MessageMalformed(FORMAT, "the parameters of GCM do not decode") from None
    if size != _TAG or not 12 <= len(nonce) <= 16:
        raise AlgorithmRefused(FORMAT, f"GCM with a tag of {size} bytes", ("GCM with a tag of 16 bytes",))
    try:
        decryptor = Cipher(AES(_sized(key, algorithms.GCM[oid])), GCM(nonce)).decryptor()
    except ValueError:
        raise CannotOpen(identity.describe()) from None
    for piece in pieces:
        sink.write(_updated(decryptor, piece, identity))
    reader.leave()
    following = reader.peek()
    if following is not None and following.tag == 0xA1:
        # RFC 5083 §2.2: they stand behind the content and are authenticated before it: that takes two passes.
        raise AlgorithmRefused(FORMAT, "authenticated attributes", ("content without attributes",))
    tag = b"".join(reader.octets(ber.OCTET_STRING))
    if reader.peek() is not None:
        reader.whole(0xA2)  # unauthAttrs
    try:
        decryptor.finalize_with_tag(tag)
    except Exception:  # noqa: BLE001 - a wrong tag and one of a wrong length are the same
        raise CannotOpen(identity.describe()) from None


def _open_cbc(
    pieces: Iterator[bytes], sink: BinaryIO, key: bytes, algorithm: Algorithm, identity: Credential
) -> None:
    oid = algorithm.oid
    if oid not in algorithms.CBC:
        raise AlgorithmRefused(FORMAT, f"content encryption {oid}", ("AES-256-CBC",))
    try:
        vector = bytes(core.OctetString.load(algorithm.parameters or b"", strict=True).native)
        decryptor = Cipher(AES(_sized(key, algorithms.CBC[oid])), CBC(vector)).decryptor()
        unpadder = PKCS7(128).unpadder()
        for piece in pieces:
            sink.write(unpadder.update(decryptor.update(piece)))
        sink.write(unpadder.update(decryptor.finalize()) + unpadder.finalize())
    except (ValueError, TypeError):
        raise CannotOpen(identity.describe()) from None


def _updated(decryptor: _Decryptor, piece: bytes, identity: Credential) -> bytes:
    try:
        return decryptor.update(piece)
    except ValueError:  # more than GCM can protect
        raise CannotOpen(identity.describe()) from None


def _sized(key: bytes, size: int) -> bytes:
    if len(key) != size:
        raise ValueError("a key of another size")
    return key


def _oid(reader: ber.Reader) -> str:
    try:
        return str(core.ObjectIdentifier.load(reader.whole(ber.OID), strict=True).dotted)
    except (ValueError, TypeError, IndexError):
        raise MessageMalformed(FORMAT, "an object identifier does not decode") from None


def _algorithm(data: bytes) -> Algorithm:
    try:
        return algorithm_in(data)
    except (ValueError, TypeError, IndexError):
        raise MessageMalformed(FORMAT, "an algorithm does not decode") from None
