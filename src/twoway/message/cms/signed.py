"""SignedData (RFC 5652 §5): signed in one pass, with the signer's certificates, attached or detached."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import BinaryIO

from asn1crypto import core
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from twoway.credential import Credential, describe, key_type_of
from twoway.message.cms import algorithms, ber
from twoway.message.cms.signatures import digest_for, signed, signs
from twoway.message.faults import CannotSign
from twoway.message.purpose import check_may_sign
from twoway.message.streams import Source, parts_of

FORMAT = "cms"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"
_SIGNERS = ("p256", "p384", "rsa", "ed25519", "mldsa44", "mldsa65", "mldsa87")
_PIECE = 256 * 1024


def sign(
    source: Source,
    sink: BinaryIO,
    signers: Sequence[Credential],
    *,
    detached: bool = False,
    now: datetime | None = None,
) -> None:
    """Sign what a source gives, of any length, in constant memory.

    RSASSA-PSS, ECDSA, Ed25519 or ML-DSA by the key, always over signed attributes: the content's type and
    digest, and the signing time. Raises CannotSign or KeyUsageForbids.
    """
    for one in signers:
        check_may_sign(one.leaf)
        if not signs(one):
            raise CannotSign(describe(one.leaf), key_type_of(one.private_key), FORMAT, _SIGNERS)
    digests = {
        digest.name: hashes.Hash(digest) for digest in (digest_for(one.private_key) for one in signers)
    }
    named = [algorithms.identifier(algorithms.DIGEST_OIDS[name]) for name in digests]
    head = ber.element(ber.INTEGER, b"\1") + ber.element(ber.SET, *sorted(named))
    data = core.ObjectIdentifier(algorithms.DATA).dump()
    signed_data = core.ObjectIdentifier(algorithms.SIGNED_DATA).dump()
    if detached:
        for part in parts_of(source, _PIECE):
            _fed(digests, part)
        rest = head + ber.element(ber.SEQUENCE, data) + _tail(signers, digests, now)
        sink.write(ber.element(ber.SEQUENCE, signed_data, ber.element(0xA0, ber.element(ber.SEQUENCE, rest))))
        return
    ends = ber.END_OF_CONTENTS
    sink.write(ber.begun(ber.SEQUENCE) + signed_data + ber.begun(0xA0) + ber.begun(ber.SEQUENCE) + head)
    sink.write(ber.begun(ber.SEQUENCE) + data + ber.begun(0xA0) + ber.begun(0x24))
    for part in parts_of(source, _PIECE):
        _fed(digests, part)
        sink.write(ber.header(ber.OCTET_STRING, len(part)))
        sink.write(part)
    sink.write(ends + ends + ends + _tail(signers, digests, now) + ends + ends + ends)


def _fed(digests: dict[str, hashes.Hash], part: bytes) -> None:
    for digest in digests.values():
        digest.update(part)


def _tail(signers: Sequence[Credential], digests: dict[str, hashes.Hash], now: datetime | None) -> bytes:
    """The certificates of all signers, and their signatures."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    certificates = {one.public_bytes(Encoding.DER) for signer in signers for one in signer.chain}
    finished = {name: digest.finalize() for name, digest in digests.items()}
    infos = [_signer_info(one, finished, moment) for one in signers]
    return ber.element(0xA0, *sorted(certificates)) + ber.element(ber.SET, *sorted(infos))


def _signer_info(signer: Credential, digests: dict[str, bytes], moment: datetime) -> bytes:
    digest = digest_for(signer.private_key).name
    attributes = sorted(
        (
            _attribute(CONTENT_TYPE, core.ObjectIdentifier(algorithms.DATA).dump()),
            _attribute(MESSAGE_DIGEST, ber.element(ber.OCTET_STRING, digests[digest])),
            _attribute(SIGNING_TIME, _time(moment)),
        )
    )
    # RFC 5652 §5.4: what is signed is the DER of a SET OF, although the message has the tag [0] there.
    algorithm, signature = signed(signer.private_key, ber.element(ber.SET, *attributes))
    return ber.element(
        ber.SEQUENCE,
        ber.element(ber.INTEGER, b"\1"),
        ber.element(
            ber.SEQUENCE, signer.leaf.issuer.public_bytes(), core.Integer(signer.leaf.serial_number).dump()
        ),
        algorithms.identifier(algorithms.DIGEST_OIDS[digest]),
        ber.element(0xA0, *attributes),
        algorithm,
        ber.element(ber.OCTET_STRING, signature),
    )


def _attribute(oid: str, value: bytes) -> bytes:
    return ber.element(ber.SEQUENCE, core.ObjectIdentifier(oid).dump(), ber.element(ber.SET, value))


def _time(moment: datetime) -> bytes:
    """RFC 5652 §11.3: UTCTime until 2049."""
    if moment.year < 2050:
        return ber.element(0x17, f"{moment:%y%m%d%H%M%SZ}".encode())
    return ber.element(0x18, f"{moment:%Y%m%d%H%M%SZ}".encode())
