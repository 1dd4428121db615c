"""CMS: streams of any length, one error for whatever depends on a key, and signatures over attributes only."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import cms as structures
from asn1crypto import core

from tests.message.conftest import SEALABLE, SIGNING, Pki, usage
from twoway import message
from twoway.message.cms import ber
from twoway.message.cms.recipients import _issuer_and_serial
from twoway.message.recipient import recipients
from twoway.message.sealing import open_stream, seal_stream
from twoway.message.signing import sign_stream, verify_stream
from twoway.trust import CertificateRevoked, Trust, UnknownAuthority

CONTENT = b"order 1223, " * 40_000


class Dripping:
    """A source that never gives as much as it is asked for: a pipe."""

    def __init__(self, data: bytes, most: int) -> None:
        self._file, self._most = io.BytesIO(data), most

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._most))


class Zeros:
    """So many zeros, made as they are asked for."""

    def __init__(self, count: int) -> None:
        self.left = count

    def read(self, size: int, /) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return bytes(size)


class Nowhere(io.RawIOBase):
    def write(self, data: Any, /) -> int:
        return len(data)


@pytest.mark.parametrize("key_type", SEALABLE)
def test_what_is_sealed_for_a_certificate_opens_with_its_key(pki: Pki, key_type: str):
    identity = pki.identity(key_type)
    for content in (b"", b"x", CONTENT):
        sealed = message.seal(content, to=identity, trust=pki.trust, format="cms")
        assert message.open(sealed, identity=identity) == message.Opened("cms", content)


def test_each_of_several_recipients_opens_it_and_others_are_told_for_whom_it_is(pki: Pki):
    everybody = [pki.identity(key_type) for key_type in SEALABLE]
    sealed = message.seal(CONTENT, to=everybody, trust=pki.trust, format="cms")
    for one in everybody:
        assert message.open(sealed, identity=one).content == CONTENT
    with pytest.raises(message.NotForUs) as caught:
        message.open(sealed, identity=pki.identity("p256", "stranger"))
    assert sorted(caught.value.recipients) == sorted(
        f"serial {one.leaf.serial_number:x} of Common Name: Acme Issuing CA" for one in everybody
    )


@pytest.mark.parametrize("key_type", ["ed25519", "mldsa44"])
def test_a_key_that_only_signs_cannot_be_sealed_for(pki: Pki, key_type: str):
    with pytest.raises(message.CannotReceive, match="for cms, got orders with"):
        message.seal(CONTENT, to=pki.identity(key_type), trust=pki.trust, format="cms")


def test_how_the_bytes_arrive_changes_nothing(pki: Pki):
    identity = pki.identity()
    sealed = message.seal(CONTENT, to=identity, trust=pki.trust, format="cms")
    signed = message.sign(CONTENT, identity=identity, format="cms")
    for most in (1, 7, 4096):
        sink = io.BytesIO()
        open_stream(Dripping(sealed, most), sink, identity)
        assert sink.getvalue() == CONTENT
        sink = io.BytesIO()
        verify_stream(Dripping(signed, most), sink, pki.trust)
        assert sink.getvalue() == CONTENT


def test_memory_does_not_grow_with_the_content(pki: Pki):
    """Sealing, opening, signing and verifying 48 MiB each take less than 4 MiB."""
    identity, size = pki.identity(), 48 * 1024 * 1024
    believed = recipients(identity, pki.trust)
    sealed, signed = io.BytesIO(), io.BytesIO()
    seal_stream(Zeros(size), sealed, believed, format="cms")
    sign_stream(Zeros(size), signed, [identity], format="cms")
    sealed.seek(0)
    signed.seek(0)
    for work in (
        lambda: seal_stream(Zeros(size), Nowhere(), believed, format="cms"),  # type: ignore[arg-type]
        lambda: open_stream(sealed, Nowhere(), identity),  # type: ignore[arg-type]
        lambda: sign_stream(Zeros(size), Nowhere(), [identity], format="cms"),  # type: ignore[arg-type]
        lambda: verify_stream(signed, Nowhere(), pki.trust),  # type: ignore[arg-type]
        lambda: verify_stream(
            io.BytesIO(message.sign(bytes(8), identity=identity, format="cms", detached=True)),
            None, pki.trust, content=Zeros(8),
        ),
    ):  # fmt: skip
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize("key_type", SEALABLE)
def test_every_fault_of_opening_looks_the_same(pki: Pki, key_type: str):
    """The wrapped key, the content, and the tag: one error, without a cause."""
    identity = pki.identity(key_type)
    sealed = message.seal(CONTENT, to=identity, trust=pki.trust, format="cms")
    recipient_ends = sealed.index(b"\x30\x80", 200)
    for at in (recipient_ends - 5, len(sealed) // 2, len(sealed) - 8):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(message.CannotOpen) as caught:
            message.open(bytes(changed), identity=identity)
        assert caught.value.args == ("orders",)
        assert caught.value.__cause__ is None


def test_a_file_that_was_changed_or_cut_never_appears(pki: Pki, tmp_path: Path):
    identity = pki.identity()
    sealed = message.seal(CONTENT, to=identity, trust=pki.trust, format="cms")
    source, target = tmp_path / "sealed", tmp_path / "opened"
    target.write_text("the one before")
    for broken in (sealed[:-8], sealed[:-1], sealed[: len(sealed) // 2], sealed[:-8] + b"\1" + sealed[-7:]):
        source.write_bytes(broken)
        with pytest.raises(message.MessageError):
            message.open_file(source, target, identity=identity)
        assert target.read_text() == "the one before"
        assert sorted(one.name for one in tmp_path.iterdir()) == ["opened", "sealed"]


def test_nothing_may_follow_a_message(pki: Pki):
    identity = pki.identity()
    sealed = message.seal(CONTENT, to=identity, trust=pki.trust, format="cms")
    with pytest.raises(message.MessageMalformed, match="something follows its end"):
        message.open(sealed + b"\0", identity=identity)
    signed = message.sign(CONTENT, identity=identity, format="cms", detached=True)
    with pytest.raises(message.MessageMalformed, match="something follows its end"):
        message.verify(signed + signed, trust=pki.trust, content=CONTENT)


def test_pieces_of_content_cannot_be_exchanged_or_left_out(pki: Pki):
    identity = pki.identity()
    content = bytes(range(256)) * 3072  # three pieces
    sealed = message.seal(content, to=identity, trust=pki.trust, format="cms")
    piece = ber.header(ber.OCTET_STRING, 256 * 1024)
    first = sealed.index(piece)
    size = len(piece) + 256 * 1024
    one, two, rest = (
        sealed[first : first + size],
        sealed[first + size : first + 2 * size],
        sealed[first + 2 * size :],
    )
    for changed in (two + one + rest, one + rest, one + one + rest, one + two + two + rest):
        with pytest.raises(message.CannotOpen):
            message.open(sealed[:first] + changed, identity=identity)


# -- signatures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("key_type", SIGNING)
def test_a_signature_says_who_signed(pki: Pki, key_type: str, detached: bool):
    signed = message.sign(CONTENT, identity=pki.identity(key_type), format="cms", detached=detached)
    verified = message.verify(signed, trust=pki.trust, content=CONTENT if detached else None)
    assert verified.signer.fingerprint == pki.identity(key_type).fingerprint
    assert verified.content == (None if detached else CONTENT)
    other = CONTENT[:-1] + b"x"
    with pytest.raises(message.SignatureInvalid, match="of orders"):
        if detached:
            message.verify(signed, trust=pki.trust, content=other)
        else:
            message.verify(signed.replace(CONTENT[-30:], other[-30:]), trust=pki.trust)


def test_several_sign_one_message(pki: Pki):
    signers = [pki.identity("p256"), pki.identity("ed25519", "auditor"), pki.identity("p384", "boss")]
    verified = message.verify(message.sign(CONTENT, identity=signers, format="cms"), trust=pki.trust)
    assert sorted(str(one.common_name) for one in verified.signers) == ["auditor", "boss", "orders"]


def test_whom_nobody_trusts_or_who_is_revoked_is_not_believed(pki: Pki):
    with pytest.raises(UnknownAuthority):
        message.verify(message.sign(CONTENT, identity=Pki().identity(), format="cms"), trust=pki.trust)
    dismissed = pki.identity("p256", "dismissed")
    trust = Trust(pki.trust.anchors, (pki.root.crl(), pki.issuing.crl(dismissed.leaf)))
    with pytest.raises(CertificateRevoked):
        message.verify(message.sign(CONTENT, identity=dismissed, format="cms"), trust=trust)


def test_a_detached_signature_needs_its_content(pki: Pki):
    signed = message.sign(CONTENT, identity=pki.identity(), format="cms", detached=True)
    with pytest.raises(message.ContentMissing):
        message.verify(signed, trust=pki.trust)


def test_a_certificate_that_may_not_sign_is_refused(pki: Pki):
    with pytest.raises(message.KeyUsageForbids):
        message.sign(CONTENT, identity=pki.make("x", "rsa2048", usage("key_encipherment")), format="cms")


def changed(signed: bytes, change: Callable[[Any], None]) -> bytes:
    """A signed message with something else in its first SignerInfo."""
    info = structures.ContentInfo.load(signed)
    one = info["content"]["signer_infos"][0]
    change(one)
    made = structures.ContentInfo(
        {
            "content_type": "signed_data",
            "content": {
                name: info["content"][name]
                for name in ("version", "digest_algorithms", "encap_content_info", "certificates")
            }
            | {"signer_infos": structures.SignerInfos([one])},
        }
    )
    return bytes(made.dump(force=True))


def test_signatures_without_attributes_and_with_weak_digests_are_refused(pki: Pki):
    """Without attributes, content that looks like attributes could pass for a signed message."""
    signed = message.sign(b"order 1223", identity=pki.identity(), format="cms", detached=True)

    def without(one: Any) -> None:
        one["signed_attrs"] = None

    def weak(one: Any) -> None:
        one["digest_algorithm"] = {"algorithm": "sha1"}

    def unsuited(one: Any) -> None:
        one["signature_algorithm"] = {"algorithm": "rsassa_pkcs1v15"}

    for change, refused in (
        (without, "without signed attributes"), (weak, "the digest sha1"), (unsuited, "1.2.840.113549.1.1.1 with"),
    ):  # fmt: skip
        with pytest.raises(message.AlgorithmRefused, match=refused):
            message.verify(changed(signed, change), trust=pki.trust, content=b"order 1223")


def test_a_signature_of_somebody_whose_certificate_is_missing_needs_it_named(pki: Pki):
    identity = pki.identity()
    signed = message.sign(CONTENT, identity=identity, format="cms", detached=True)
    info = structures.ContentInfo.load(signed)
    info["content"]["certificates"] = []
    bare = info.dump(force=True)
    with pytest.raises(message.SignerUnknown, match="without it"):
        message.verify(bare, trust=pki.trust, content=CONTENT)
    assert (
        message.verify(bare, trust=pki.trust, content=CONTENT, signer=identity).signer.common_name == "orders"
    )


def test_pem_is_read_too(pki: Pki):
    import base64

    signed = message.sign(b"x", identity=pki.identity(), format="cms")
    armoured = b"-----BEGIN CMS-----\n" + base64.encodebytes(signed) + b"-----END CMS-----\n"
    assert message.verify(armoured, trust=pki.trust).content == b"x"
    with pytest.raises(message.MessageMalformed, match="PEM"):
        message.verify(armoured + armoured, trust=pki.trust)


def test_a_sealed_message_is_no_signed_one(pki: Pki):
    identity = pki.identity()
    sealed = message.seal(b"x", to=identity, trust=pki.trust, format="cms")
    signed = message.sign(b"x", identity=identity, format="cms")
    with pytest.raises(message.MessageMalformed, match="not a signed one"):
        message.verify(sealed, trust=pki.trust)
    with pytest.raises(message.MessageMalformed, match="not a sealed one"):
        message.open(signed, identity=identity)


def test_issuer_and_serial_number_are_der(pki: Pki):
    found = core.Sequence.load(_issuer_and_serial(pki.identity().leaf))
    assert found[1].native == pki.identity().leaf.serial_number


def test_files_are_signed_and_verified_with_progress(pki: Pki, tmp_path: Path):
    source, signed, out = tmp_path / "content", tmp_path / "signed", tmp_path / "out"
    source.write_bytes(CONTENT)
    seen: list[int] = []
    message.sign_file(source, signed, identity=pki.identity(), format="cms", progress=seen.append)
    assert seen[-1] == len(CONTENT)
    verified = message.verify_file(signed, out, trust=pki.trust, progress=seen.append)
    assert (verified.signer.common_name, out.read_bytes()) == ("orders", CONTENT)
    message.sign_file(source, signed, identity=pki.identity(), format="cms", detached=True)
    assert message.verify_file(signed, trust=pki.trust, content=source).signer.common_name == "orders"
    sealed = tmp_path / "sealed"
    message.seal_file(source, sealed, to=pki.identity(), trust=pki.trust, format="cms", progress=seen.append)
    message.open_file(sealed, out, identity=pki.identity(), progress=seen.append)
    assert out.read_bytes() == CONTENT


OIDS = {
    "AES-256-GCM": "60864801650304012e",
    "AES-256-CBC": "60864801650304012a",
    "AES-256-wrap": "60864801650304012d",
    "data": "2a864886f70d010701",
    "sha256kdf": "2b8104010b01",
}


@pytest.mark.parametrize(
    ("old", "new", "kind", "told"),
    [
        (
            "AES-256-GCM",
            OIDS["AES-256-CBC"],
            message.AlgorithmRefused,
            "content encryption 2.16.840.1.101.3.4.1.42",
        ),
        ("AES-256-wrap", OIDS["AES-256-CBC"], message.AlgorithmRefused, "key agreement"),
        ("sha256kdf", "2b8104010b09", message.AlgorithmRefused, "key agreement 1.3.132.1.11.9"),
        ("data", "2a864886f70d010702", message.MessageMalformed, "not data"),
    ],
)
def test_algorithms_that_are_not_believed_are_told_before_any_key_is_used(
    pki: Pki, old: str, new: str, kind: type[Exception], told: str
):
    sealed = message.seal(b"x", to=pki.identity(), trust=pki.trust, format="cms")
    was = bytes.fromhex(OIDS[old])
    assert was in sealed
    changed = sealed.replace(was, bytes.fromhex(new), 1)
    with pytest.raises(kind, match=told):
        message.open(changed, identity=pki.identity())


def test_a_short_tag_is_refused(pki: Pki):
    """RFC 5084 lets a tag have 12 bytes, and takes that where nothing is said; 16 are asked for here."""
    sealed = message.seal(b"x", to=pki.identity(), trust=pki.trust, format="cms")
    assert sealed.count(b"\x02\x01\x10") == 1
    with pytest.raises(message.AlgorithmRefused, match="a tag of 12 bytes"):
        message.open(sealed.replace(b"\x02\x01\x10", b"\x02\x01\x0c"), identity=pki.identity())


def test_content_beyond_what_gcm_protects_is_refused(pki: Pki, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("twoway.message.cms.sealed.MAX_CONTENT", 9)
    with pytest.raises(message.MessageTooLarge):
        message.seal(b"order 1223", to=pki.identity(), trust=pki.trust, format="cms")


def test_signed_things_that_are_no_messages_are_refused(pki: Pki):
    """Time stamps and the like are SignedData too, made with other intentions."""
    signed = message.sign(b"x", identity=pki.identity(), format="cms")
    data = bytes.fromhex(OIDS["data"])
    with pytest.raises(message.MessageMalformed, match="not data"):
        message.verify(signed.replace(data, data[:-1] + b"\x06", 1), trust=pki.trust)
