"""RecipientInfo (RFC 5652 §6.2): the key of the content, wrapped for one recipient; RSA and EC."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, ClassVar

from asn1crypto import cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twoway.credential import Credential, key_type_of
from twoway.message.cms import ber
from twoway.message.cms.algorithms import (
    AES_256_WRAP,
    AGREEMENT,
    AGREEMENT_FOR,
    EC_PUBLIC_KEY,
    OAEP,
    WRAP,
    AlgorithmIdentifier,
    algorithm_in,
    identifier,
    is_oaep_sha256,
    oaep_sha256,
)
from twoway.message.faults import AlgorithmRefused, CannotOpen, MessageMalformed, NotForUs
from twoway.message.recipient import MAX_RECIPIENTS
from twoway.message.streams import Source

FORMAT = "cms"
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
_READ = ("rsaesOaep with SHA-256", "ECDH with AES key wrap")


class _SharedInfo(core.Sequence):
    """ECC-CMS-SharedInfo: what binds an agreed key to its use (RFC 5753 §7.2)."""

    _fields: ClassVar[list[Any]] = [
        ("key_info", AlgorithmIdentifier),
        ("entity_u_info", core.OctetString, {"explicit": 0, "optional": True}),
        ("supp_pub_info", core.OctetString, {"explicit": 2}),
    ]


def wrapped(key: bytes, certificate: x509.Certificate) -> bytes:
    """The RecipientInfo by which the holder of a certificate gets the key; raises nothing for keys that may receive."""
    public = certificate.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        return ber.element(
            ber.SEQUENCE,
            ber.element(ber.INTEGER, b"\0"),
            _issuer_and_serial(certificate),
            identifier(OAEP, oaep_sha256()),
            ber.element(ber.OCTET_STRING, public.encrypt(key, _OAEP)),
        )
    assert isinstance(public, ec.EllipticCurvePublicKey)
    ephemeral = ec.generate_private_key(public.curve)
    wrap = identifier(AES_256_WRAP)
    scheme = AGREEMENT_FOR[key_type_of(public)]
    agreed = _agreed(ephemeral, public, scheme, wrap, None)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    originator = ber.element(0xA1, identifier(EC_PUBLIC_KEY), ber.element(0x03, b"\0", point))
    encrypted = ber.element(ber.OCTET_STRING, aes_key_wrap(agreed, key))
    return ber.element(
        0xA1,
        ber.element(ber.INTEGER, b"\3"),
        ber.element(0xA0, originator),
        ber.element(ber.SEQUENCE, ber.element(ber.OID, core.ObjectIdentifier(scheme).contents), wrap),
        ber.element(ber.SEQUENCE, ber.element(ber.SEQUENCE, _issuer_and_serial(certificate), encrypted)),
    )


def _agreed(
    private: ec.EllipticCurvePrivateKey,
    public: ec.EllipticCurvePublicKey,
    scheme: str,
    wrap: bytes,
    ukm: bytes | None,
) -> bytes:
    size = WRAP[algorithm_in(wrap).oid]
    info = _SharedInfo({"key_info": AlgorithmIdentifier.load(wrap), "supp_pub_info": (size * 8).to_bytes(4)})
    if ukm is not None:
        info["entity_u_info"] = ukm
    secret = private.exchange(ec.ECDH(), public)
    return X963KDF(AGREEMENT[scheme], size, info.dump()).derive(secret)


def _issuer_and_serial(certificate: x509.Certificate) -> bytes:
    serial = core.Integer(certificate.serial_number).dump()
    return ber.element(ber.SEQUENCE, certificate.issuer.public_bytes(), serial)


# -- reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Wrapped:
    """The share of one recipient, as a message has it."""

    named: str
    ours: bool
    algorithm: Any
    encrypted: bytes
    originator: Any = None
    ukm: bytes | None = None


def unwrapped(infos: bytes, identity: Credential) -> bytes:
    """The key of the content out of RecipientInfos.

    Raises MessageMalformed, NotForUs, AlgorithmRefused, and CannotOpen for everything that depends on the key.
    """
    try:
        found = [share for info in _infos(infos) for share in _shares(info, identity.leaf)]
    except (ValueError, TypeError, KeyError, OverflowError):
        raise MessageMalformed(FORMAT, "a recipient does not decode") from None
    ours = next((one for one in found if one.ours), None)
    if ours is None:
        names = tuple(one.named for one in found)
        raise NotForUs(identity.describe(), f"serial {identity.leaf.serial_number:x}", names)
    try:
        unwrap = _prepared(ours, identity)
    except (ValueError, TypeError, KeyError):
        raise MessageMalformed(FORMAT, "our recipient does not decode") from None
    try:
        return bytes(unwrap())
    except Exception:  # noqa: BLE001 - padding, curve, key wrap: which one is nobody's business
        raise CannotOpen(identity.describe()) from None


def _infos(infos: bytes) -> list[Any]:
    listed = list(cms.RecipientInfos.load(infos, strict=True))
    if not 1 <= len(listed) <= MAX_RECIPIENTS:
        raise MessageMalformed(FORMAT, f"there are not 1 to {MAX_RECIPIENTS} recipients")
    return listed


def _shares(info: Any, leaf: x509.Certificate) -> list[_Wrapped]:
    if info.name == "ktri":
        chosen = info.chosen
        named, ours = _identified(chosen["rid"], leaf)
        return [
            _Wrapped(named, ours, chosen["key_encryption_algorithm"], bytes(chosen["encrypted_key"].native))
        ]
    if info.name == "kari":
        chosen = info.chosen
        ukm = chosen["ukm"].native
        shares = []
        for one in chosen["recipient_encrypted_keys"]:
            named, ours = _identified(one["rid"], leaf)
            key = bytes(one["encrypted_key"].native)
            algorithm = chosen["key_encryption_algorithm"]
            shares.append(_Wrapped(named, ours, algorithm, key, chosen["originator"], ukm))
        return shares
    return [_Wrapped(f"a recipient by {info.name}", False, None, b"")]


def _identified(rid: Any, leaf: x509.Certificate) -> tuple[str, bool]:
    """How a message names a recipient, and whether that is the holder of this certificate."""
    if rid.name == "issuer_and_serial_number":
        serial = rid.chosen["serial_number"].native
        issuer = asn1_x509.Name.load(leaf.issuer.public_bytes())
        ours = serial == leaf.serial_number and rid.chosen["issuer"] == issuer
        return f"serial {serial:x} of {str(rid.chosen['issuer'].human_friendly)[:100]}", ours
    chosen = rid.chosen
    identifier = chosen["subject_key_identifier"].native if rid.name == "r_key_id" else chosen.native
    try:
        own = leaf.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        own = None
    return f"key {identifier.hex()[:64]}", identifier == own


def _prepared(share: _Wrapped, identity: Credential) -> Any:
    """What yields the key; algorithms and structure are judged before, and without any secret."""
    private = identity.private_key
    algorithm = algorithm_in(share.algorithm.dump())
    oid = algorithm.oid
    if share.originator is None:
        # PKCS #1 v1.5 is refused, however its padding is checked; docs/messages.md says why.
        if oid != OAEP or not is_oaep_sha256(algorithm):
            raise AlgorithmRefused(FORMAT, share.algorithm["algorithm"].native, _READ)
        if not isinstance(private, rsa.RSAPrivateKey):
            raise MessageMalformed(FORMAT, "our recipient has a key of another kind")
        return lambda: private.decrypt(share.encrypted, _OAEP)
    wrap = algorithm.parameters or b""
    if oid not in AGREEMENT or algorithm_in(wrap).oid not in WRAP:
        raise AlgorithmRefused(FORMAT, f"key agreement {oid}", _READ)
    if not isinstance(private, ec.EllipticCurvePrivateKey) or share.originator.name != "originator_key":
        raise MessageMalformed(FORMAT, "our recipient has a key of another kind")
    point = _point(share.originator.chosen.dump())

    def unwrap() -> bytes:
        # from_encoded_point refuses what is not on the curve.
        public = ec.EllipticCurvePublicKey.from_encoded_point(private.curve, point)
        return aes_key_unwrap(_agreed(private, public, oid, wrap, share.ukm), share.encrypted)

    return unwrap


class _Buffer:
    """Bytes in memory as a source."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int, /) -> bytes:
        taken, self._data = self._data[:size], self._data[size:]
        return taken


def _point(originator: bytes) -> bytes:
    """The public point of OriginatorPublicKey; its algorithm's parameters may be absent, so it is read here."""
    source: Source = _Buffer(originator)
    reader = ber.Reader(source)
    reader.enter(0xA1, ber.SEQUENCE)
    reader.whole(ber.SEQUENCE)
    bits = core.BitString.load(reader.whole(0x03))
    return bytes(bits.contents[1:])


def fresh_key() -> bytes:
    """A key for the content of one message."""
    return os.urandom(32)
