"""The OCSP responder: what it says of each certificate, who signs it, and what it never does with outside bytes."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from twoway.authority import Authority, der
from twoway.authority.ocsp import Malformed, read
from twoway.authority.ocsp.answer import key_hash
from twoway.authority.ocsp.asked import MAX_BYTES, MAX_CERTIFICATES
from twoway.credential import Credential

NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
LIFE, DAY = datetime.timedelta(minutes=15), datetime.timedelta(days=1)
OCSP_SIGNING = x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    with Authority.create(tmp_path / "pki", name="Acme", no_passphrase=True, now=NOW) as made:
        yield made


@pytest.fixture
def orders(authority: Authority) -> Credential:
    return authority.issue_client("orders", now=NOW)


def question(
    authority: Authority,
    certificate: x509.Certificate,
    *,
    digest: hashes.HashAlgorithm | None = None,
    nonce: bytes | None = None,
    issuer: x509.Certificate | None = None,
) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        certificate, issuer or authority.issuing_certificate, digest or hashes.SHA1()
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def together(*questions: bytes) -> bytes:
    """One request about all that these ask."""
    parts = [asn1.OCSPRequest.load(each)["tbs_request"]["request_list"][0].copy() for each in questions]
    body = asn1.TBSRequest({"request_list": asn1.Requests(parts)})
    return asn1.OCSPRequest({"tbs_request": body}).dump()


def ask(authority: Authority, asked: bytes, now: datetime.datetime = NOW) -> ocsp.OCSPResponse:
    return ocsp.load_der_ocsp_response(authority.ocsp.answer(asked, now).der)


def check_signed(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> x509.Certificate:
    """The responder's certificate, once everything that a client checks about it holds."""
    (signer,) = response.certificates
    signer.verify_directly_issued_by(issuer)
    key = signer.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert response.signature_hash_algorithm is not None
    key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(response.signature_hash_algorithm))
    assert response.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(key).digest
    purposes = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [OCSP_SIGNING]
    assert signer.extensions.get_extension_for_class(x509.OCSPNoCheck)
    return signer


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_a_certificate_in_use_is_good(authority: Authority, orders: Credential, digest: hashes.HashAlgorithm):
    response = ask(authority, question(authority, orders.leaf, digest=digest))
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert response.serial_number == orders.leaf.serial_number
    assert response.this_update_utc == response.produced_at_utc == NOW
    assert response.next_update_utc == NOW + LIFE
    check_signed(response, authority.issuing_certificate)


def test_a_revocation_is_told_at_once_with_its_reason_and_its_time(authority: Authority, orders: Credential):
    """The kept "good" dies in the transaction that revokes."""
    asked = question(authority, orders.leaf)
    assert ask(authority, asked).certificate_status is ocsp.OCSPCertStatus.GOOD
    authority.revoke(orders, "keyCompromise", now=NOW + LIFE / 60)
    response = ask(authority, asked, NOW + LIFE / 60)
    assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert response.revocation_reason is x509.ReasonFlags.key_compromise
    assert response.revocation_time_utc == NOW + LIFE / 60


def test_a_revocation_by_another_process_kills_the_kept_answer_too(authority: Authority, orders: Credential):
    asked = question(authority, orders.leaf)
    ask(authority, asked)
    with Authority.open(authority.directory) as other:
        other.revoke(orders, now=NOW)
    assert ask(authority, asked).certificate_status is ocsp.OCSPCertStatus.REVOKED


def test_a_hold_is_a_revocation_until_it_is_lifted(authority: Authority, orders: Credential):
    asked = question(authority, orders.leaf)
    authority.revoke(orders, "certificateHold", now=NOW)
    assert ask(authority, asked).revocation_reason is x509.ReasonFlags.certificate_hold
    authority.revoke(orders, "removeFromCRL", now=NOW)
    assert ask(authority, asked).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_a_serial_that_was_never_issued_is_unknown_and_is_not_kept(authority: Authority, tmp_path: Path):
    with Authority.create(tmp_path / "other", name="Other", no_passphrase=True, now=NOW) as other:
        stranger = other.issue_client("stranger", now=NOW).leaf
    by = authority.issuing_certificate
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        hashlib.sha256(by.subject.public_bytes()).digest(),
        key_hash(by, "sha256"),
        stranger.serial_number,
        hashes.SHA256(),
    )
    answer = authority.ocsp.answer(builder.build().public_bytes(Encoding.DER), NOW)
    response = ocsp.load_der_ocsp_response(answer.der)
    assert response.certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    assert answer.until is None


def test_who_asks_about_another_authority_is_told_unauthorized(authority: Authority, tmp_path: Path):
    with Authority.create(tmp_path / "other", name="Acme", no_passphrase=True, now=NOW) as other:
        theirs = other.issue_client("orders", now=NOW).leaf
        asked = question(authority, theirs, issuer=other.issuing_certificate)
    assert ask(authority, asked).response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_the_root_answers_for_the_issuing_ca_while_its_key_is_here(authority: Authority, tmp_path: Path):
    asked = question(authority, authority.issuing_certificate, issuer=authority.root_certificate)
    response = ask(authority, asked)
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    check_signed(response, authority.root_certificate)
    (authority.directory / "root-key.pem").rename(tmp_path / "safe.pem")
    with Authority.open(authority.directory) as offline:
        assert ask(offline, asked).response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_several_certificates_are_answered_with_one_signature(authority: Authority, orders: Credential):
    billing = authority.issue_client("billing", now=NOW)
    authority.revoke(billing, "superseded", now=NOW)
    asked = together(question(authority, orders.leaf), question(authority, billing.leaf))
    answers = list(ask(authority, asked).responses)
    assert [each.serial_number for each in answers] == [orders.leaf.serial_number, billing.leaf.serial_number]
    assert [each.certificate_status.name for each in answers] == ["GOOD", "REVOKED"]


def test_a_nonce_comes_back_as_it_came_and_such_an_answer_is_not_kept(
    authority: Authority, orders: Credential
):
    """RFC 9654 §2.1."""
    for size in (1, 32, 128):
        answer = authority.ocsp.answer(question(authority, orders.leaf, nonce=b"n" * size), NOW)
        response = ocsp.load_der_ocsp_response(answer.der)
        assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * size
        assert answer.until is None


@pytest.mark.parametrize("size", [0, 129])
def test_a_nonce_out_of_bounds_is_malformed(authority: Authority, orders: Credential, size: int):
    asked = question(authority, orders.leaf, nonce=b"n" * size)
    assert ask(authority, asked).response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_a_kept_answer_is_given_again_until_half_of_its_time(authority: Authority, orders: Credential):
    asked = question(authority, orders.leaf)
    first = authority.ocsp.answer(asked, NOW)
    assert authority.ocsp.answer(asked, NOW + LIFE * 0.49).der == first.der
    later = ocsp.load_der_ocsp_response(authority.ocsp.answer(asked, NOW + LIFE / 2).der)
    assert later.this_update_utc == NOW + LIFE / 2


def test_the_responder_renews_itself_and_no_answer_outlives_its_certificate(
    authority: Authority, orders: Credential
):
    asked = question(authority, orders.leaf)
    first = check_signed(ask(authority, asked), authority.issuing_certificate)
    assert check_signed(ask(authority, asked, NOW + 4 * DAY), authority.issuing_certificate) == first
    later = NOW + 5 * DAY
    second = check_signed(ask(authority, asked, later), authority.issuing_certificate)
    assert second != first
    assert ask(authority, asked, later).next_update_utc <= second.not_valid_after_utc


def test_the_responders_certificate_is_on_record(authority: Authority, orders: Credential):
    signer = check_signed(ask(authority, question(authority, orders.leaf)), authority.issuing_certificate)
    record = authority.show(signer)
    assert (record.profile, record.requested_by) == ("ocsp responder", "ocsp responder")
    assert authority.verify_audit().rows


def test_nobody_can_ask_for_a_responders_certificate(authority: Authority):
    from twoway.authority.refusals import ProfileUnknown

    with pytest.raises(ProfileUnknown):
        authority.issue("ocsp responder", "me")


def test_a_revoked_ca_is_not_answered_for(authority: Authority, orders: Credential):
    from sqlalchemy import update

    from twoway.authority import schema

    asked = question(authority, orders.leaf)
    ask(authority, asked)
    issuers = schema.issuers
    work = update(issuers).where(issuers.c.id == authority.cas.issuing.id)
    authority.store.write(
        lambda transaction: transaction.execute(
            work.values(revoked_at=1, reason="cACompromise", changes=issuers.c.changes + 1)
        )
    )
    authority.cas.reload()
    assert ask(authority, asked).response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_more_than_the_bound_is_malformed(authority: Authority, orders: Credential):
    one = question(authority, orders.leaf)
    assert len(read(together(*[one] * MAX_CERTIFICATES)).certificates) == MAX_CERTIFICATES
    with pytest.raises(Malformed, match="33 certificates"):
        read(together(*[one] * (MAX_CERTIFICATES + 1)))
    with pytest.raises(Malformed, match="bytes"):
        read(one + bytes(MAX_BYTES))
    with pytest.raises(Malformed):
        read(one + b"\0")


def test_giant_numbers_are_refused_before_they_are_read() -> None:
    """Reading an object identifier of 16 KiB took 0.15 s, for anybody and over plain HTTP."""

    def asking(oid: bytes, serial: bytes) -> bytes:
        algorithm = der.sequence(der.tlv(0x06, oid), b"\x05\x00")
        hashed = der.tlv(0x04, bytes(20))
        asked = der.sequence(der.sequence(algorithm, hashed, hashed, der.tlv(0x02, serial)))
        return der.sequence(der.sequence(der.sequence(asked)))

    sha1 = b"\x2b\x0e\x03\x02\x1a"
    assert read(asking(sha1, b"\x05")).certificates[0].serial == 5
    with pytest.raises(Malformed, match="an algorithm or an extension of 16007 octets"):
        read(asking(b"\x81" * 16000 + b"\x01", b"\x05"))
    with pytest.raises(Malformed, match="a serial number that no certificate has"):
        read(asking(sha1, b"\x01" * 21))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_malformed(data: bytes):
    with contextlib.suppress(Malformed):
        assert read(data).certificates


@given(st.data())
def test_a_request_with_one_byte_changed_is_a_request_or_malformed(data: st.DataObject):
    good = bytearray(REQUEST)
    position = data.draw(st.integers(0, len(good) - 1))
    good[position] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(Malformed):
        read(bytes(good))


REQUEST = asn1.OCSPRequest(
    {
        "tbs_request": {
            "request_list": [
                {
                    "req_cert": {
                        "hash_algorithm": {"algorithm": name},
                        "issuer_name_hash": b"n" * size,
                        "issuer_key_hash": b"k" * size,
                        "serial_number": 5,
                    }
                }
                for name, size in (("sha1", 20), ("sha256", 32))
            ],
            "request_extensions": [{"extn_id": "nonce", "extn_value": b"\x04\x20" + b"n" * 32}],
        }
    }
).dump()
