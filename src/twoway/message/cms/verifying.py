"""SignedData verified: every signature, and every signer's certificate, before anything is believed."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple

from asn1crypto import cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import constant_time, hashes

from twoway.credential import CredentialError, certificate_from_der, describe
from twoway.message.cms import algorithms, ber
from twoway.message.cms.algorithms import Algorithm, algorithm_in
from twoway.message.cms.signatures import verifier
from twoway.message.cms.signed import CONTENT_TYPE, FORMAT, MESSAGE_DIGEST
from twoway.message.faults import (
    AlgorithmRefused,
    ContentMissing,
    MessageMalformed,
    SignatureInvalid,
    SignerUnknown,
)
from twoway.message.purpose import key_of
from twoway.message.signer import verified_signer
from twoway.message.streams import PART, Source, parts_of
from twoway.trust import Peer, Trust
from twoway.trust.verification import MAX_CHAIN, Purpose

MAX_SIGNATURES = 16
MAX_CERTIFICATES = 64


class SignerIdentifier(NamedTuple):
    """How a signature names its certificate: by issuer and serial number, or by its key."""

    serial: int | None
    issuer: str | None
    key: bytes | None

    def __str__(self) -> str:
        return (
            f"the key {self.key.hex()[:64]}" if self.key is not None else f"the certificate {self.serial:x}"
        )


class SignerInfo(NamedTuple):
    """What one signature says, decoded."""

    identifier: SignerIdentifier
    digest: hashes.HashAlgorithm
    content_type: str
    message_digest: bytes
    attributes: bytes  # as they are signed
    algorithm: Algorithm
    signature: bytes


def verify(
    reader: ber.Reader,
    sink: BinaryIO | None,
    trust: Trust,
    *,
    content: Source | None = None,
    signer: Sequence[x509.Certificate] | None = None,
    purpose: Purpose | None = None,
    now: datetime | None = None,
) -> tuple[Peer, ...]:
    """Verify every signature in a ContentInfo, whose content goes to a sink, in constant memory.

    `content` is what a detached signature is about. Raises MessageMalformed, AlgorithmRefused, ContentMissing,
    SignerUnknown, SignatureInvalid or another PeerUntrusted; then what the sink has is to be thrown away. Not
    checked: the signing time, which is what the signer says.
    """
    reader.enter(ber.SEQUENCE)
    kind = _oid(reader.whole(ber.OID))
    if kind != algorithms.SIGNED_DATA:
        raise MessageMalformed(FORMAT, f"the content is of the type {kind}, which is not a signed one")
    reader.enter(0xA0)
    reader.enter(ber.SEQUENCE)
    reader.whole(ber.INTEGER)
    running = {digest.name: hashes.Hash(digest) for digest in _digests(reader.whole(ber.SET))}
    reader.enter(ber.SEQUENCE)
    content_type = _oid(reader.whole(ber.OID))
    if content_type != algorithms.DATA:
        # A time stamp or a certificate response is signed content too, and no message of anybody's.
        raise MessageMalformed(FORMAT, f"what is signed is of the type {content_type}, not data")
    _hash_content(reader, running, sink, content)
    reader.leave()
    digests = {name: one.finalize() for name, one in running.items()}
    certificates = [*(signer or ()), *_certificates(reader)]
    infos = _signer_infos(reader.whole(ber.SET))
    for _ in range(3):
        reader.leave()
    if reader.peek() is not None:
        raise MessageMalformed(FORMAT, "something follows its end")
    return tuple(
        _verify_one(info, content_type, digests, certificates, trust, purpose, now) for info in infos
    )


def _hash_content(
    reader: ber.Reader, running: dict[str, hashes.Hash], sink: BinaryIO | None, content: Source | None
) -> None:
    attached = reader.peek() is not None
    if attached and content is not None:
        raise MessageMalformed(FORMAT, "the content is in it, and content was given too")
    pieces: Iterable[bytes]
    if attached:
        reader.enter(0xA0)
        pieces = reader.octets(ber.OCTET_STRING)
    elif content is None:
        raise ContentMissing(FORMAT)
    else:
        pieces, sink = parts_of(content, PART), None
    for piece in pieces:
        for digest in running.values():
            digest.update(piece)
        if sink is not None:
            sink.write(piece)
    if attached:
        reader.leave()


def _digests(data: bytes) -> list[hashes.HashAlgorithm]:
    """Those of the announced digests that are believed; others are told where a signature needs them."""
    try:
        oids = [one["algorithm"].dotted for one in cms.DigestAlgorithms.load(data, strict=True)]
    except (ValueError, TypeError):
        raise MessageMalformed(FORMAT, "the digest algorithms do not decode") from None
    return [algorithms.DIGESTS[oid] for oid in dict.fromkeys(oids) if oid in algorithms.DIGESTS]


def _certificates(reader: ber.Reader) -> list[x509.Certificate]:
    """The certificates in the message; revocation lists are passed over: the trust has those that count."""
    found: list[x509.Certificate] = []
    if (following := reader.peek()) is not None and following.tag == 0xA0:
        reader.enter(0xA0)
        while (one := reader.peek()) is not None:
            data = reader.whole()
            if one.tag != ber.SEQUENCE:
                continue  # attribute certificates, and other kinds that prove no identity
            if len(found) == MAX_CERTIFICATES:
                raise MessageMalformed(FORMAT, f"there are more than {MAX_CERTIFICATES} certificates")
            try:
                found.append(certificate_from_der(data, where="the message"))
            except CredentialError:
                raise MessageMalformed(FORMAT, f"certificate {len(found) + 1} does not decode") from None
        reader.leave()
    if (following := reader.peek()) is not None and following.tag == 0xA1:
        reader.whole()
    return found


def _signer_infos(data: bytes) -> list[SignerInfo]:
    try:
        infos = list(cms.SignerInfos.load(data, strict=True))
        decoded = [_decoded(info) for info in infos]
    except (ValueError, TypeError, KeyError, OverflowError):
        raise MessageMalformed(FORMAT, "a signature does not decode") from None
    if not 1 <= len(decoded) <= MAX_SIGNATURES:
        raise MessageMalformed(FORMAT, f"there are not 1 to {MAX_SIGNATURES} signatures")
    return decoded


def _decoded(info: Any) -> SignerInfo:
    oid = info["digest_algorithm"]["algorithm"].dotted
    if oid not in algorithms.DIGESTS:
        raise AlgorithmRefused(FORMAT, f"the digest {info['digest_algorithm']['algorithm'].native}", ("SHA-256, SHA-384 or SHA-512",))  # fmt: skip
    raw = info["signed_attrs"]
    if isinstance(raw, core.Void) or not len(raw):
        # Without them a signature on the encoding of attributes passes for one on content, and the other way.
        raise AlgorithmRefused(FORMAT, "a signature without signed attributes", ("signed attributes",))
    values: dict[str, list[Any]] = {}
    for attribute in raw:
        values.setdefault(attribute["type"].dotted, []).extend(attribute["values"])
    # RFC 5652 §11.1, §11.2: both are there once, with one value.
    (content_type,) = values.get(CONTENT_TYPE, [])
    (message_digest,) = values.get(MESSAGE_DIGEST, [])
    encoded = raw.dump()
    if encoded[1] == 0x80:
        raise ValueError("signed attributes are DER")
    return SignerInfo(
        _identifier(info["sid"]),
        algorithms.DIGESTS[oid],
        content_type.dotted,
        bytes(message_digest.native),
        b"\x31" + encoded[1:],  # RFC 5652 §5.4: a SET OF is signed, [0] is written
        algorithm_in(info["signature_algorithm"].dump()),
        bytes(info["signature"].native),
    )


def _verify_one(
    info: SignerInfo,
    content_type: str,
    digests: dict[str, bytes],
    certificates: list[x509.Certificate],
    trust: Trust,
    purpose: Purpose | None,
    now: datetime | None,
) -> Peer:
    leaf = next((one for one in certificates if _is_of(info.identifier, one)), None)
    if leaf is None:
        raise SignerUnknown(FORMAT, f"a signature of {info.identifier} without it")
    verifies = verifier(key_of(leaf), info.algorithm, info.digest)
    peer = verified_signer(_chain(leaf, certificates), trust, purpose=purpose, now=now)
    if info.digest.name not in digests:
        raise MessageMalformed(FORMAT, "a signature has a digest that was not announced")
    fits = constant_time.bytes_eq(info.message_digest, digests[info.digest.name])
    if info.content_type != content_type or not fits or not verifies(info.signature, info.attributes):
        raise SignatureInvalid(describe(leaf))
    return peer


def _identifier(sid: Any) -> SignerIdentifier:
    if sid.name == "issuer_and_serial_number":
        # As RFC 5280 §7.1 compares names; asn1crypto decodes late, so all of it is read here.
        return SignerIdentifier(sid.chosen["serial_number"].native, str(sid.chosen["issuer"].hashable), None)
    return SignerIdentifier(None, None, bytes(sid.chosen.native))


def _is_of(identifier: SignerIdentifier, certificate: x509.Certificate) -> bool:
    if identifier.key is None:
        issuer = asn1_x509.Name.load(certificate.issuer.public_bytes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about serial numbers that verification refuses
            serial = certificate.serial_number
        return (identifier.serial, identifier.issuer) == (serial, issuer.hashable)
    try:
        own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return False
    return identifier.key == own


def _chain(leaf: x509.Certificate, pool: list[x509.Certificate]) -> list[x509.Certificate]:
    """The leaf and, in order, what of the pool may have issued it; verification judges whether it did."""
    chain = [leaf]
    while len(chain) < MAX_CHAIN:
        above = [one for one in pool if one.subject == chain[-1].issuer and one not in chain]
        if not above:
            break
        chain.append(above[0])
    return chain


def _oid(data: bytes) -> str:
    try:
        return str(core.ObjectIdentifier.load(data, strict=True).dotted)
    except (ValueError, TypeError, IndexError):
        raise MessageMalformed(FORMAT, "an object identifier does not decode") from None
