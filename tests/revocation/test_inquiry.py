"""Asking responders: when, how often, where, and what is remembered. Time and the network are parameters."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable

import pytest
from cryptography.x509 import ocsp

from tests.pki import NOW, Issuer
from tests.revocation.answers import answer, asking_at, unsigned
from twoway.errors import TwowayError
from twoway.revocation.faults import FetchFailed
from twoway.revocation.inquiry import KEEP, KEEP_BAD, KEEP_FAILURE, Inquiry, may_wait
from twoway.revocation.stapler import Stapler
from twoway.revocation.urls import Url
from twoway.trust import CertificateRevoked, OcspUnavailable, OcspUnknown
from twoway.trust.revocation import Revocation

ROOT = Issuer.root("Root")
ISSUING = ROOT.below("Issuing", extensions=asking_at("http://root.example/"))
LEAF = ISSUING.leaf("orders", extensions=asking_at("http://ocsp.example/"))
CHAIN = (LEAF.leaf, ISSUING.certificate, ROOT.certificate)


class Network:
    """What stands for `exchange`: remembers who was asked, and answers or fails."""

    def __init__(self, reply: Callable[[Url, bytes], bytes] | None = None) -> None:
        self.asked: list[str] = []
        self.reply = reply or self.good
        self.now = NOW

    def __call__(self, url: Url, *, body: bytes, **_: object) -> bytes:
        self.asked.append(str(url))
        return self.reply(url, body)

    def good(self, url: Url, body: bytes) -> bytes:
        of_root = "root" in str(url)
        issuer, certificate = (ROOT, ISSUING.certificate) if of_root else (ISSUING, LEAF.leaf)
        return answer(issuer, certificate, now=self.now, seconds=7200)

    def revoked(self, url: Url, body: bytes) -> bytes:
        return answer(ISSUING, LEAF.leaf, "revoked", now=self.now)

    def down(self, url: Url, body: bytes) -> bytes:
        raise FetchFailed(str(url), "down")


def later(**delta: float) -> dt.datetime:
    return NOW + dt.timedelta(**delta)


def check(
    inquiry: Inquiry, now: dt.datetime = NOW, lists: Revocation | None = None
) -> tuple[TwowayError, ...]:
    with may_wait():
        return inquiry.check(CHAIN, lists, now)


@pytest.mark.parametrize(
    ("depth", "urls"),
    [("leaf", ["http://ocsp.example/"]), ("chain", ["http://ocsp.example/", "http://root.example/"])],
)
def test_the_responders_that_certificates_name_are_asked(depth: str, urls: list[str]):
    """The leaf's alone, or every one below the anchor."""
    network = Network()
    assert check(Inquiry("hard", depth=depth, ask=network)) == ()  # type: ignore[arg-type]
    assert network.asked == urls


def test_a_configured_responder_is_asked_instead():
    network = Network()
    inquiry = Inquiry("hard", depth="leaf", url="http://127.0.0.1:8/x", ask=network)
    assert check(inquiry) == ()
    assert network.asked == ["http://127.0.0.1:8/x"]
    assert inquiry.url is not None
    assert inquiry.url.configured


def test_what_a_certificate_names_is_never_a_configured_address():
    """So that the bounds on where a certificate may lead hold for it."""
    seen: list[bool] = []

    def ask(url: Url, **_: object) -> bytes:
        seen.append(url.configured)
        raise FetchFailed(str(url), "down")

    check(Inquiry("soft", depth="leaf", ask=ask))
    assert seen == [False]


@pytest.mark.parametrize("url", ["ldap://ocsp.example/", "file:///etc/passwd", "http://user@ocsp.example/"])
def test_an_address_that_is_none_is_not_asked(url: str):
    network = Network()
    leaf = ISSUING.leaf("x", extensions=asking_at(url)).leaf
    with may_wait(), pytest.raises(OcspUnavailable, match="it names none that can be asked"):
        Inquiry("hard", depth="leaf", ask=network).check((leaf, ISSUING.certificate), None, NOW)
    assert network.asked == []


def test_a_good_answer_is_remembered_for_an_hour_at_most():
    network = Network()
    inquiry = Inquiry("hard", depth="leaf", ask=network)
    for at in (NOW, later(minutes=1), NOW + KEEP - dt.timedelta(seconds=1)):
        assert check(inquiry, at) == ()
    assert len(network.asked) == 1
    assert inquiry.counts == {"good": 1, "remembered": 2}
    check(inquiry, NOW + KEEP)
    assert len(network.asked) == 2


def test_a_bad_answer_is_remembered_for_a_minute():
    network = Network()
    network.reply = network.revoked
    inquiry = Inquiry("soft", depth="leaf", ask=network)
    for at in (NOW, later(seconds=30), NOW + KEEP_BAD):
        network.now = at
        with pytest.raises(CertificateRevoked):
            check(inquiry, at)
    assert len(network.asked) == 2


def test_a_failure_is_remembered_for_ten_seconds_and_told_once():
    told: list[TwowayError] = []
    network = Network()
    network.reply = network.down
    inquiry = Inquiry("soft", depth="leaf", ask=network, told=told.append)
    for at in (NOW, later(seconds=5)):
        (doubt,) = check(inquiry, at)
        assert isinstance(doubt, OcspUnavailable)
    assert len(network.asked) == len(told) == 1
    check(inquiry, NOW + KEEP_FAILURE)
    assert len(network.asked) == 2


def test_a_responder_that_is_down_is_left_alone_for_others_too():
    """The next certificate of the same responder does not wait for it again."""
    network = Network()
    network.reply = network.down
    inquiry = Inquiry("soft", depth="leaf", url="http://down.example/", ask=network)
    check(inquiry)
    other = ISSUING.leaf("billing").leaf
    with may_wait():
        (doubt,) = inquiry.check((other, ISSUING.certificate), None, later(seconds=5))
    assert "down (a moment ago)" in str(doubt)
    assert len(network.asked) == 1


def test_hard_refuses_and_soft_lets_pass_when_nobody_answers():
    network = Network()
    network.reply = network.down
    with pytest.raises(OcspUnavailable, match="down"):
        check(Inquiry("hard", depth="leaf", ask=network))
    (doubt,) = check(Inquiry("soft", depth="leaf", ask=network))
    assert doubt.code == "ocsp_unavailable"


@pytest.mark.parametrize("rule", ["soft", "hard"])
def test_unknown_and_revoked_refuse_under_both_rules(rule: str):
    for status, fault in (("revoked", CertificateRevoked), ("unknown", OcspUnknown)):
        network = Network(lambda *_, status=status: answer(ISSUING, LEAF.leaf, status))
        with pytest.raises(fault):
            check(Inquiry(rule, depth="leaf", ask=network))  # type: ignore[arg-type]


def test_an_answer_that_still_holds_outlives_its_responder():
    """Asked again after an hour and not answered: what was signed until then counts on, and then no more."""
    network = Network()
    inquiry = Inquiry("hard", depth="leaf", ask=network)
    check(inquiry)
    network.reply = network.down
    assert check(inquiry, later(minutes=90)) == ()
    assert inquiry.counts["unavailable"] == 1
    with pytest.raises(OcspUnavailable):
        check(inquiry, later(hours=2, seconds=10))


def test_who_may_not_wait_gets_what_is_remembered_and_never_asks():
    """On an event loop: nothing known is a doubt, and what was said last counts however old it is."""
    network = Network()
    inquiry = Inquiry("hard", depth="leaf", ask=network)
    with pytest.raises(OcspUnavailable, match="no time to ask"):
        inquiry.check(CHAIN, None, NOW)
    assert network.asked == []
    check(inquiry)
    assert inquiry.check(CHAIN, None, later(days=1)) == ()
    assert len(network.asked) == 1


def test_one_certificate_is_asked_about_once_at_a_time():
    """Twenty handshakes of one client at once are one question."""
    go, asked = threading.Event(), threading.Barrier(20)

    def slow(url: Url, body: bytes) -> bytes:
        assert go.wait(10)
        return answer(ISSUING, LEAF.leaf)

    network = Network(slow)
    inquiry = Inquiry("hard", depth="leaf", ask=network)
    results: list[object] = []

    def work() -> None:
        asked.wait(10)
        results.append(check(inquiry))

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    while not network.asked:
        pass
    go.set()
    for thread in threads:
        thread.join(10)
    assert results == [()] * 20
    assert len(network.asked) == 1


def test_what_names_no_responder_is_a_matter_of_the_lists():
    """Roots publish lists: with a current one an intermediate is judged by it, without one nobody knows."""
    bare = ROOT.below("Bare")
    leaf = bare.leaf("orders", extensions=asking_at("http://ocsp.example/"))
    chain = (leaf.leaf, bare.certificate, ROOT.certificate)
    network = Network(lambda *_: answer(bare, leaf.leaf))
    with may_wait():
        assert (
            Inquiry("hard", ask=network).check(chain, Revocation((ROOT.crl(),), "refuse", "chain"), NOW) == ()
        )
        with pytest.raises(OcspUnavailable, match="no current list speaks about it"):
            Inquiry("hard", ask=network).check(chain, None, NOW)
        with pytest.raises(CertificateRevoked):
            Inquiry("soft", ask=network).check(
                chain, Revocation((ROOT.crl(bare.certificate),), "refuse", "chain"), NOW
            )


def test_a_second_responder_is_asked_when_the_first_fails():
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    places = [x509.UniformResourceIdentifier(f"http://{one}.example/") for one in "abc"]
    access = x509.AuthorityInformationAccess(
        [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place) for place in places]
    )
    leaf = ISSUING.leaf("orders", extensions=((access, False),)).leaf

    def reply(url: Url, body: bytes) -> bytes:
        return unsigned(ocsp.OCSPResponseStatus.TRY_LATER) if "a." in str(url) else answer(ISSUING, leaf)

    network = Network(reply)
    with may_wait():
        assert Inquiry("hard", depth="leaf", ask=network).check((leaf, ISSUING.certificate), None, NOW) == ()
    assert network.asked == ["http://a.example/", "http://b.example/"]


def test_a_question_carries_a_fresh_nonce_unless_told_otherwise():
    bodies: list[bytes] = []

    def reply(url: Url, body: bytes) -> bytes:
        bodies.append(body)
        return answer(ISSUING, LEAF.leaf)

    for nonce in ("send", "send", "off"):
        check(Inquiry("hard", depth="leaf", nonce=nonce, ask=Network(reply)))  # type: ignore[arg-type]
    first, second, none = (ocsp.load_der_ocsp_request(body) for body in bodies)
    assert len(list(none.extensions)) == 0
    nonces = {one.extensions[0].value.nonce for one in (first, second)}  # type: ignore[attr-defined]
    assert len(nonces) == 2
    assert {len(one) for one in nonces} == {32}
    with pytest.raises(TwowayError, match="does not repeat the nonce"):
        check(Inquiry("hard", depth="leaf", nonce="require", ask=Network(reply)))


# -- staples -------------------------------------------------------------------------------------------


def stapler(network: Network, now: list[float], **more: object) -> Stapler:
    return Stapler(jitter=lambda: 0.0, clock=lambda: now[0], ask=network, **more)  # type: ignore[arg-type]


def test_a_staple_is_fetched_ahead_of_its_end_and_never_shown_after_it():
    network, now = Network(), [NOW.timestamp()]
    one = stapler(network, now)
    assert one(LEAF.leaf) is None
    assert one.due(LEAF.leaf) == 0
    assert one.refresh(LEAF.chain, (ROOT.certificate,), now[0])
    shown = one(LEAF.leaf)
    assert shown is not None
    assert now[0] + 3000 < one.due(LEAF.leaf) < now[0] + 3700
    now[0] += 7300
    assert one(LEAF.leaf) is None


def test_a_new_certificate_needs_a_new_staple_at_once():
    network, now = Network(), [NOW.timestamp()]
    one = stapler(network, now)
    one.refresh(LEAF.chain, (ROOT.certificate,), now[0])
    other = ISSUING.leaf("renewed").leaf
    assert one(other) is None
    assert one.due(other) == 0


def test_an_answer_that_our_own_certificate_is_revoked_is_told_and_not_stapled():
    network, now = Network(), [NOW.timestamp()]
    one = stapler(network, now)
    one.refresh(LEAF.chain, (ROOT.certificate,), now[0])
    network.reply = network.revoked
    with pytest.raises(CertificateRevoked):
        one.refresh(LEAF.chain, (ROOT.certificate,), now[0])
    assert (one.failures, one.due(LEAF.leaf)) == (1, now[0] + 15)
    assert "was revoked" in one.last_error


def test_a_staple_from_a_file_is_judged_like_a_fetched_one(tmp_path):
    file, now = tmp_path / "api.ocsp", [NOW.timestamp()]
    one = stapler(Network(), now, file=file)
    file.write_bytes(answer(ISSUING, ISSUING.leaf("other").leaf))
    with pytest.raises(TwowayError, match="expected it about the serial"):
        one.refresh(LEAF.chain, (ROOT.certificate,), now[0])
    assert one(LEAF.leaf) is None
    file.write_bytes(answer(ISSUING, LEAF.leaf))
    assert one.refresh(LEAF.chain, (ROOT.certificate,), now[0])
    assert one(LEAF.leaf) == file.read_bytes()
