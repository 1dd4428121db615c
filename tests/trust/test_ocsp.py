"""OCSP answers: who may sign one, about whom, until when; and that any bytes end in an answer or a typed error."""

from __future__ import annotations

import datetime as dt
import pickle

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from tests.pki import NOW, Issuer
from tests.revocation.answers import MUST_STAPLE, answer, asking_at, responder_of, unsigned
from twoway.errors import TwowayError
from twoway.trust import (
    CertificateRevoked,
    OcspStale,
    OcspUnavailable,
    OcspUnknown,
    OcspUnusable,
    StapleMissing,
)
from twoway.trust.ocsp import MAX_ANSWER, Answer, judge_answer, must_staple, question, responders_of
from twoway.trust.revocation import Revocation

ROOT = Issuer.root("Root")
ISSUING = ROOT.below("Issuing")
LEAF = ISSUING.leaf("orders").leaf
OTHER = ISSUING.leaf("billing").leaf
RESPONDER = responder_of(ISSUING)


def judged(data: bytes, **more) -> Answer:
    return judge_answer(data, LEAF, ISSUING.certificate, **{"now": NOW, **more})


def unusable(data: bytes, **more) -> str:
    with pytest.raises(OcspUnusable) as caught:
        judged(data, **more)
    return caught.value.reason


@pytest.mark.parametrize("key_type", ["p256", "p384", "rsa2048", "ed25519", "mldsa65"])
def test_an_issuer_answers_for_what_it_issued(key_type: str):
    """Signed by the issuer's own key, of every type that issues."""
    issuer = Issuer.root("Any", key_type)
    leaf = issuer.leaf("orders").leaf
    found = judge_answer(answer(issuer, leaf), leaf, issuer.certificate, now=NOW)
    assert (found.status, found.until) == ("good", NOW + dt.timedelta(hours=1))


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA512()])
def test_a_responder_that_the_issuer_has_authorized_answers_too(
    hashed: bool, algorithm: hashes.HashAlgorithm
):
    """Named by its subject or by its key; the CertID hashed in any usual way."""
    data = answer(ISSUING, LEAF, by=RESPONDER, hashed=hashed, algorithm=algorithm)
    assert judged(data).status == "good"


def test_revoked_is_told_with_time_and_reason():
    found = judged(answer(ISSUING, LEAF, "revoked"))
    with pytest.raises(CertificateRevoked) as caught:
        found.check(LEAF)
    assert caught.value.revoked_at == NOW - dt.timedelta(hours=1)
    assert caught.value.reason == "keyCompromise"


def test_unknown_is_an_answer_and_not_a_good_one():
    with pytest.raises(OcspUnknown, match="the authority knows no certificate"):
        judged(answer(ISSUING, LEAF, "unknown")).check(LEAF)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: answer(ROOT, LEAF, of=ISSUING.certificate), "expected it from CN=Issuing or a responder of its, it is from CN=Root"),
        (lambda: answer(ROOT.below("Issuing"), LEAF, of=ISSUING.certificate), "its signature does not verify"),
        (lambda: answer(ISSUING, LEAF, by=responder_of(ISSUING, signing=False)), "may not sign answers (no id-kp-OCSPSigning)"),
        (lambda: answer(ISSUING, LEAF, by=responder_of(ROOT)), "CN=Issuing has not authorized CN=Responder"),
        (lambda: answer(ISSUING, LEAF, by=responder_of(ROOT.below("Issuing"))), "CN=Issuing has not authorized CN=Responder"),
        (lambda: answer(ISSUING, LEAF, by=responder_of(ISSUING, start=-9, days=-2)), "is valid from"),
        (lambda: answer(ISSUING, LEAF, by=responder_of(ISSUING, start=2)), "is valid from"),
        (lambda: answer(ISSUING, LEAF, by=RESPONDER, with_certificate=False), "it is from CN=Responder"),
        (lambda: answer(ISSUING, OTHER), "expected it about the serial"),
        (lambda: answer(ISSUING, LEAF, of=ROOT.certificate), "expected it about the serial"),
        (lambda: answer(ISSUING, LEAF, start=600), "it holds only from"),
        (lambda: answer(ISSUING, LEAF)[:-3], "it does not decode"),
        (lambda: b"", "it does not decode"),
        (lambda: b"<html>", "it does not decode"),
        (lambda: b"0" * (MAX_ANSWER + 1), "more than 65536"),
    ],
)  # fmt: skip
def test_what_proves_nothing_is_told_by_what_is_wrong(make, reason: str):
    assert reason in unusable(make())


def test_a_responder_on_a_list_of_its_issuer_answers_no_more():
    lists = Revocation((ISSUING.crl(RESPONDER.certificate),), "refuse", "chain")
    assert "is revoked" in unusable(answer(ISSUING, LEAF, by=RESPONDER), lists=lists)
    assert judged(answer(ISSUING, LEAF, by=RESPONDER), lists=Revocation((ISSUING.crl(),), "refuse", "chain"))


@pytest.mark.parametrize(
    ("start", "seconds", "at", "good"),
    [
        (-60, 60, 0, True),
        (-60, 60, 60 + 299, True),
        (-60, 60, 60 + 301, False),
        (299, 900, 0, True),
        (-60, None, 0, True),
        (-60, None, 540 + 299, True),
        (-60, None, 540 + 301, False),
    ],
)
def test_clocks_may_differ_by_five_minutes_and_no_more(
    start: float, seconds: float | None, at: float, good: bool
):
    """Without a nextUpdate an answer holds for ten minutes: newer ones are always there (RFC 6960 §4.2.2.1)."""
    data, now = answer(ISSUING, LEAF, start=start, seconds=seconds), NOW + dt.timedelta(seconds=at)
    if good:
        assert judged(data, now=now).status == "good"
        return
    with pytest.raises(OcspStale) as caught:
        judged(data, now=now)
    assert caught.value.now == now


def test_a_nonce_comes_back_or_was_not_required():
    nonce = b"n" * 32
    assert judged(answer(ISSUING, LEAF, nonce=nonce), nonce=nonce).status == "good"
    assert judged(answer(ISSUING, LEAF), nonce=nonce).status == "good"
    assert "another nonce" in unusable(answer(ISSUING, LEAF, nonce=b"m" * 32), nonce=nonce)
    assert "does not repeat the nonce" in unusable(answer(ISSUING, LEAF), nonce=nonce, nonce_required=True)


@pytest.mark.parametrize("status", [one for one in ocsp.OCSPResponseStatus if one.value])
def test_an_unsigned_refusal_is_no_answer(status: ocsp.OCSPResponseStatus):
    """Anybody on the way can say tryLater: it proves nothing, and is told in the responder's own word."""
    with pytest.raises(OcspUnavailable, match="is no answer"):
        judged(unsigned(status))


def test_a_question_names_the_certificate_and_carries_the_nonce():
    asked = ocsp.load_der_ocsp_request(question(LEAF, ISSUING.certificate, nonce=b"n" * 32))
    assert asked.serial_number == LEAF.serial_number
    assert asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 32


def test_what_a_certificate_says_about_asking():
    leaf = ISSUING.leaf("orders", extensions=(*asking_at("http://ocsp.example/"), *MUST_STAPLE)).leaf
    assert responders_of(leaf) == ("http://ocsp.example/",)
    assert must_staple(leaf)
    assert not responders_of(LEAF)
    assert not must_staple(LEAF)


@pytest.mark.parametrize(
    "fault",
    [
        OcspUnavailable("orders", "down"),
        OcspUnusable("orders", "the answer", "bad"),
        OcspStale("orders", "the answer", NOW, NOW),
        OcspUnknown("orders", "ab", "the answer"),
        StapleMissing("orders"),
    ],
)
def test_the_reasons_travel(fault: TwowayError):
    again = pickle.loads(pickle.dumps(fault))
    assert (str(again), again.remedy, again.evidence) == (str(fault), fault.remedy, fault.evidence)
    assert fault.remedy


@given(st.binary(max_size=400))
def test_any_bytes_are_an_answer_or_a_typed_error(data: bytes):
    with pytest.raises((OcspUnusable, OcspUnavailable)):
        judged(data)


GOOD = answer(ISSUING, LEAF, by=RESPONDER, nonce=b"n" * 32)
REVOKED = answer(ISSUING, LEAF, "revoked")


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255), st.integers(0, 3))
def test_no_changed_byte_makes_another_verdict(at: int, change: int, cut: int):
    """What was signed is what counts: a changed answer says the same or proves nothing."""
    for whole, status in ((GOOD, "good"), (REVOKED, "revoked")):
        data = bytearray(whole)
        data[at % len(data)] ^= change
        try:
            found = judged(bytes(data[: len(data) - cut]))
        except TwowayError:
            continue
        assert found.status == status
