"""The HPKE container: chunks that cannot be moved, keys of three kinds, cards, and a second reader of its specification."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import pickle
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from tests.conftest import Command
from tests.message.conftest import SIGNING, Pki, usage
from tests.message.test_cms import Dripping, Nowhere, Zeros
from tests.pki import NOW
from twoway import message
from twoway.credential import BadKey, Credential
from twoway.errors import UsageError
from twoway.message.hpke import container
from twoway.message.hpke.sealing_key import SealingKey, verified_card
from twoway.message.recipient import recipients
from twoway.message.sealing import open_stream, seal_stream
from twoway.trust import CertificateRevoked, Trust, UnknownAuthority

CHUNK = 64 * 1024
CONTENT = bytes(range(256)) * 1024  # four chunks
KINDS = ("p256", "p384", "hybrid")


def sealed_for(pki: Pki, kind: str, content: bytes, place: Path) -> tuple[bytes, Any]:
    """Content sealed for an identity with that kind of key, and what opens it."""
    if kind != "hybrid":
        return message.seal(content, to=pki.identity(kind), trust=pki.trust, format="hpke"), pki.identity(
            kind
        )
    directory = pki.identity("ed25519").save(place / "quantum")
    (place / "card").write_bytes(message.new_sealing_key(directory).card(pki.identity("ed25519")))
    return message.seal(content, to=place / "card", trust=pki.trust, format="hpke"), directory


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK])
def test_what_is_sealed_opens_at_every_length(pki: Pki, tmp_path: Path, kind: str, size: int):
    sealed, identity = sealed_for(pki, kind, CONTENT[:size], tmp_path)
    assert message.open(sealed, identity=identity) == message.Opened("hpke", CONTENT[:size])


def test_chunks_cannot_be_moved_doubled_left_out_or_cut_off(pki: Pki):
    identity = pki.identity()
    sealed = message.seal(CONTENT, to=identity, trust=pki.trust, format="hpke")
    size = CHUNK + 16
    head = sealed[: len(sealed) - 4 * size]
    one, two, three, four = (sealed[len(head) + n * size :][:size] for n in range(4))
    empty = message.seal(b"", to=identity, trust=pki.trust, format="hpke")[-16:]
    for chunks in (
        (two, one, three, four), (one, two, two, three, four), (one, three, four), (one, two, three), (one,), (),
        (one, two, three, four, four), (four,), (one, two, three, four, empty), (one, two, three, four[:-1]),
    ):  # fmt: skip
        with pytest.raises(message.CannotOpen):
            message.open(head + b"".join(chunks), identity=identity)


def test_chunks_of_one_message_do_not_fit_into_another(pki: Pki):
    identity = pki.identity()
    first, second = (message.seal(CONTENT, to=identity, trust=pki.trust, format="hpke") for _ in range(2))
    with pytest.raises(message.CannotOpen):
        message.open(first[: -CHUNK - 16] + second[-CHUNK - 16 :], identity=identity)


def test_the_header_cannot_be_changed_for_the_others(pki: Pki):
    """A recipient that was taken out, or put in, breaks the message for everybody."""
    both = [pki.identity("p256"), pki.identity("p384", "archive")]
    sealed = message.seal(b"x", to=both, trust=pki.trust, format="hpke")
    first = 33 + 113
    alone = sealed[:8] + b"\1" + sealed[9 : 9 + first] + sealed[9 + first + 33 + 145 :]
    with pytest.raises(message.CannotOpen):
        message.open(alone, identity=both[0])
    other = bytearray(sealed)
    other[9 + first + 40] ^= 1  # within the share of the other recipient
    with pytest.raises(message.CannotOpen):
        message.open(bytes(other), identity=both[0])


def test_two_keys_never_open_one_message(pki: Pki):
    """AES-GCM alone does not commit to its key; the MAC over the header does."""
    identity = pki.identity()
    sealed = message.seal(b"x", to=identity, trust=pki.trust, format="hpke")
    (recipient,) = recipients(identity, pki.trust)
    share = container._share(recipient, bytes(32))
    exchanged = sealed[:9] + b"\1" + share.fingerprint + share.sealed + sealed[9 + 33 + 113 :]
    with pytest.raises(message.CannotOpen):
        message.open(exchanged, identity=identity)


def test_versions_kinds_and_counts_that_are_unknown_are_told(pki: Pki):
    sealed = message.seal(b"x", to=pki.identity(), trust=pki.trust, format="hpke")
    for changed, problem in (
        (sealed[:7] + b"\2" + sealed[8:], "version 2"),
        (sealed[:8] + b"\0" + sealed[9:], "1 to 16 recipients"),
        (sealed[:9] + b"\7" + sealed[10:], "unknown kind 7"),
        (sealed[:60], "ends too early"),
    ):
        with pytest.raises(message.MessageMalformed, match=problem):
            message.open(changed, identity=pki.identity())


def test_who_is_not_a_recipient_is_told_who_is(pki: Pki):
    identity = pki.identity()
    sealed = message.seal(b"x", to=identity, trust=pki.trust, format="hpke")
    for other in (pki.identity("p256", "stranger"), pki.identity("rsa2048"), pki.identity("ed25519")):
        with pytest.raises(message.NotForUs) as caught:
            message.open(sealed, identity=other)
        assert caught.value.recipients == (f"{identity.fingerprint} (p256)",)


def test_keys_without_a_kem_are_refused_with_what_to_do(pki: Pki):
    with pytest.raises(message.CannotReceive) as caught:
        message.seal(b"x", to=pki.identity("rsa2048"), trust=pki.trust, format="hpke")
    assert "jwe or cms" in caught.value.remedy
    with pytest.raises(message.CannotReceive) as caught:
        message.seal(b"x", to=pki.identity("mldsa44"), trust=pki.trust, format="hpke")
    assert "sealing card" in caught.value.remedy
    with pytest.raises(message.KeyUsageForbids):
        only_signs = pki.make("only-signs", "p256", usage("digital_signature"))
        message.seal(b"x", to=only_signs, trust=pki.trust, format="hpke")


def test_how_the_bytes_arrive_changes_nothing_and_memory_does_not_grow(pki: Pki):
    import tracemalloc

    identity = pki.identity()
    believed = recipients(identity, pki.trust)
    sink = io.BytesIO()
    seal_stream(Dripping(CONTENT, 1000), sink, believed, format="hpke")
    opened = io.BytesIO()
    open_stream(Dripping(sink.getvalue(), 777), opened, identity)
    assert opened.getvalue() == CONTENT
    tracemalloc.start()
    seal_stream(Zeros(48 * 1024 * 1024), Nowhere(), believed, format="hpke")  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 1024 * 1024


# -- cards --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", SIGNING)
def test_every_identity_can_show_a_card(pki: Pki, key_type: str):
    """Also one whose own key only signs; with ML-DSA nothing about it is of before quantum computers."""
    key = SealingKey.generate()
    card = verified_card(key.card(pki.identity(key_type)), pki.trust)
    assert card.public == key.public
    assert card.peer.common_name == "orders"


def test_a_card_is_believed_only_of_a_trusted_identity_and_in_its_time(pki: Pki):
    key = SealingKey.generate()
    with pytest.raises(UnknownAuthority):
        verified_card(key.card(Pki().identity()), pki.trust)
    dismissed = pki.identity("p256", "dismissed")
    trust = Trust(pki.trust.anchors, (pki.root.crl(), pki.issuing.crl(dismissed.leaf)))
    with pytest.raises(CertificateRevoked):
        verified_card(key.card(dismissed), trust)
    data = key.card(pki.identity(), days=1, now=NOW)
    verified_card(data, pki.trust, now=NOW + timedelta(hours=23))
    with pytest.raises(message.CardExpired) as caught:
        verified_card(data, pki.trust, now=NOW + timedelta(hours=25))
    assert caught.value.subject == "orders"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert json.dumps(caught.value.evidence)


def test_another_signed_message_is_no_card(pki: Pki):
    for said in (b"{}", b"[]", b"no json", b'{"public_key": "00"}', b'{"public_key": 7}'):
        signed = message.sign(said, identity=pki.identity(), format="cms")
        with pytest.raises(message.MessageMalformed, match="sealing card"):
            verified_card(signed, pki.trust)


def test_a_new_key_keeps_what_was_sealed_for_the_old_one_readable(pki: Pki, tmp_path: Path):
    sealed, directory = sealed_for(pki, "hybrid", b"old", tmp_path)
    message.new_sealing_key(directory)
    assert len(message.load_sealing_keys(directory / "sealing-key.pem")) == 2
    assert message.open(sealed, identity=directory).content == b"old"
    assert (directory / "sealing-key.pem").stat().st_mode & 0o777 == 0o600


def test_a_file_of_other_keys_is_told(pki: Pki, tmp_path: Path):
    path = tmp_path / "sealing-key.pem"
    for text in (pki.identity().key_pem(), pki.identity().key_pem() * 2):
        path.write_bytes(text)
        path.chmod(0o600)
        with pytest.raises(BadKey):
            message.load_sealing_keys(path)


def test_a_card_is_for_hpke(pki: Pki, tmp_path: Path):
    (tmp_path / "card").write_bytes(SealingKey.generate().card(pki.identity()))
    with pytest.raises(UsageError, match="jwe seals for certificates"):
        message.seal(b"x", to=tmp_path / "card", trust=pki.trust)


def test_the_command_line_makes_a_key_and_a_card(run_twoway: Command, place: Path):
    made = run_twoway("sealing-key", "--identity", "orders", "-o", "orders.card", cwd=place)
    assert (made.returncode, made.stderr) == (0, "")
    (place / "order").write_text("order 1223")
    sealed = run_twoway(
        "seal", "order", "--to", "orders.card", "--ca", "ca.pem", "--format", "hpke", "-o", "s", cwd=place
    )
    assert (sealed.returncode, sealed.stderr) == (0, "")
    opened = run_twoway("open", "s", "--identity", "orders", cwd=place)
    assert opened.stdout == "order 1223"
    again = run_twoway("sealing-key", "--identity", "orders", "--renew-card", "-o", "orders.card", cwd=place)
    assert again.returncode == 0
    assert len(message.load_sealing_keys(place / "orders" / "sealing-key.pem")) == 1


# -- a second reader ----------------------------------------------------------------------------------


def labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, "sha256")


def labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labeled = struct.pack(">H", length) + b"HPKE-v1" + suite + label + info
    return HKDFExpand(hashes.SHA256(), length, labeled).derive(key)


def hpke_open(
    sealed: bytes, key: ec.EllipticCurvePrivateKey, info: bytes, aad: bytes = b"", *, aead: int = 2
) -> bytes:
    """RFC 9180 §4.1 and §5.2 for DHKEM(P-256, HKDF-SHA256), written from the RFC."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    encapsulated = sealed[:65]
    own = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(key.curve, encapsulated))
    kem = b"KEM" + struct.pack(">H", 0x0010)
    secret = labeled_expand(
        kem, labeled_extract(kem, b"", b"eae_prk", shared), b"shared_secret", encapsulated + own, 32
    )
    return scheduled_open(0x0010, secret, sealed[65:], info, aad, aead)


def hybrid_open(sealed: bytes, key: SealingKey, info: bytes) -> bytes:
    """X-Wing (draft-connolly-cfrg-xwing-kem, KEM 0x647a): ML-KEM-768 and X25519, put together with SHA3-256."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    first, second = sealed[:1088], sealed[1088:1120]
    own = key.x25519_key.public_key().public_bytes_raw()
    halves = key.mlkem_key.decapsulate(first) + key.x25519_key.exchange(
        X25519PublicKey.from_public_bytes(second)
    )
    secret = hashlib.sha3_256(halves + second + own + b"\\.//^\\").digest()
    return scheduled_open(0x647A, secret, sealed[1120:], info, b"", 2)


def scheduled_open(kem: int, secret: bytes, ciphertext: bytes, info: bytes, aad: bytes, aead: int) -> bytes:
    """RFC 9180 §5.1 and §5.2, base mode with HKDF-SHA256."""
    suite = b"HPKE" + struct.pack(">HHH", kem, 0x0001, aead)
    context = (
        b"\0"
        + labeled_extract(suite, b"", b"psk_id_hash", b"")
        + labeled_extract(suite, b"", b"info_hash", info)
    )
    schedule = labeled_extract(suite, secret, b"secret", b"")
    content_key = labeled_expand(suite, schedule, b"key", context, {1: 16, 2: 32}[aead])
    nonce = labeled_expand(suite, schedule, b"base_nonce", context, 12)
    return AESGCM(content_key).decrypt(nonce, ciphertext, aad)


def read_by_specification(sealed: bytes, identity: Credential) -> bytes:
    """What docs/messages.md says, for one P-256 recipient, with nothing of twoway."""
    assert sealed[:8] == b"twoway\0\1"
    assert sealed[8:10] == b"\1\1"
    fingerprint, share = sealed[10:42], sealed[42 : 42 + 113]
    head, rest = sealed[: 42 + 113], sealed[42 + 113 :]
    key = hpke_open(share, identity.private_key, b"twoway\0\1" + b"\1" + fingerprint)  # type: ignore[arg-type]
    mac_key = HKDF(hashes.SHA256(), 32, None, b"twoway header 1").derive(key)
    assert rest[:32] == hmac.digest(mac_key, head, "sha256")
    payload_key = HKDF(hashes.SHA256(), 32, hashlib.sha256(head).digest(), b"twoway payload 1").derive(key)
    chunks, content = rest[32:], b""
    for number in range(0, len(chunks), CHUNK + 16):
        last = number + CHUNK + 16 >= len(chunks)
        nonce = (number // (CHUNK + 16)).to_bytes(11) + bytes([last])
        content += AESGCM(payload_key).decrypt(nonce, chunks[number : number + CHUNK + 16], None)
    return content


@pytest.mark.parametrize("size", [0, 1, CHUNK, len(CONTENT)])
def test_a_second_reader_written_from_the_documents_reads_it(pki: Pki, size: int):
    identity = pki.identity()
    sealed = message.seal(CONTENT[:size], to=identity, trust=pki.trust, format="hpke")
    assert read_by_specification(sealed, identity) == CONTENT[:size]


def test_the_second_reader_reads_the_vector_of_the_rfc():
    """RFC 9180 appendix A.3.1, sequence number 0: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM."""
    key = ec.derive_private_key(
        0xF3CE7FDAE57E1A310D87F1EBBDE6F328BE0A99CDBCADF4D6589CF29DE4B8FFD2, ec.SECP256R1()
    )
    encapsulated = bytes.fromhex(
        "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9"
        "8536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4"
    )
    ciphertext = bytes.fromhex(
        "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434"
    )
    info = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
    opened = hpke_open(encapsulated + ciphertext, key, info, b"Count-0", aead=1)
    assert opened == b"Beauty is truth, truth beauty"


def test_the_hybrid_is_x_wing_as_its_draft_has_it(pki: Pki):
    """The library's key agreement, computed again from the two algorithms that it is made of."""
    key = SealingKey.generate()
    card = verified_card(key.card(pki.identity()), pki.trust)
    share = container._share(message.Recipient(card.peer.verified, card), b"k" * 32)
    assert hybrid_open(share.sealed, key, b"twoway\0\1" + b"\3" + key.fingerprint) == b"k" * 32
