"""HTTP Message Signatures: the published cases, what must be covered, when, by whom, and not twice."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.message.conftest import Pki
from tests.pki import NOW
from twoway import message
from twoway.errors import TwowayError
from twoway.message.http import faults, signatures
from twoway.message.http.base import signature_base
from twoway.message.http.content_digest import check_content_digest, content_digest
from twoway.message.http.exchange import ClientSide, ServerSide
from twoway.message.http.exchanged import HttpRequest, HttpResponse, combined, merged
from twoway.message.http.fields import Item, parse_dictionary, write_dictionary
from twoway.message.http.verifying import Verifier
from twoway.message.jose import jwe
from twoway.message.recipient import recipients
from twoway.trust import CertificateRevoked, HostnameMismatch, Trust, UnknownAuthority, WrongPurpose

VECTORS = json.loads((Path(__file__).parent / "vectors" / "rfc9421.json").read_text())
SIGNERS = ("p256", "p384", "rsa2048", "ed25519")
REQUEST = HttpRequest(
    "POST",
    "https://api.acme.example/order/update?dry=1",
    (("Host", "api.acme.example"), ("Content-Type", "application/json")),
    b'{"order_id": 1223}',
)


def given_messages() -> dict[str, Any]:
    asked, answered = VECTORS["request"], VECTORS["response"]
    request = HttpRequest(
        asked["method"], asked["url"], tuple(asked["headers"].items()), asked["body"].encode()
    )
    response = HttpResponse(
        answered["status"], request, tuple(answered["headers"].items()), answered["body"].encode()
    )
    return {"request": request, "response": response}


@pytest.mark.parametrize("name", VECTORS["cases"])
def test_the_published_cases_verify_and_changed_ones_do_not(name: str):
    case = VECTORS["cases"][name]
    about = given_messages()[case["about"]]
    headers = [("Signature-Input", case["input"]), ("Signature", case["signature"])]
    (signature,) = signatures.signatures_in(merged(about.headers, headers))
    key = load_der_public_key(base64.b64decode(VECTORS["keys"][case["key"]]))
    text = signature_base(about, signature.covered)
    signatures._check(key, signature.value, text)
    with pytest.raises(signatures.InvalidSignature):
        signatures._check(key, signature.value, text.replace(b"created=1618884473", b"created=1618884474"))


def test_the_published_digests_are_of_the_published_bodies():
    for about in given_messages().values():
        check_content_digest(combined(about.headers, "Content-Digest"), about.body)
        with pytest.raises(faults.DigestMismatch, match="another sha-512 digest"):
            check_content_digest(combined(about.headers, "Content-Digest"), about.body + b" ")


@pytest.fixture
def sides(pki: Pki) -> tuple[ClientSide, ServerSide]:
    server = pki.make("api.acme.example", "p256", purpose="server")
    return ClientSide(pki.identity(), Verifier(pki.trust)), ServerSide(server, Verifier(pki.trust))


@pytest.mark.parametrize("key_type", SIGNERS)
def test_a_request_and_its_answer_are_signed_by_every_kind_of_key(pki: Pki, key_type: str):
    server = pki.make("api.acme.example", key_type, purpose="server")
    ours, theirs = (
        ClientSide(pki.identity(key_type), Verifier(pki.trust)),
        ServerSide(server, Verifier(pki.trust)),
    )
    sent = ours.outgoing(REQUEST)
    judged = theirs.incoming(sent)
    assert (judged.signer.common_name, judged.request.body, judged.sealed) == ("orders", REQUEST.body, False)
    answer = HttpResponse(200, sent, (("Content-Type", "text/plain"),), b"updated")
    said, signers = ours.incoming(theirs.outgoing(answer, judged), hostname="api.acme.example")
    assert (said.body, signers[0].common_name) == (b"updated", "api.acme.example")


def test_ml_dsa_has_no_algorithm_there(pki: Pki):
    with pytest.raises(message.CannotSign, match="RFC 9421"):
        ClientSide(pki.identity("mldsa44"), Verifier(pki.trust)).outgoing(REQUEST)


def test_whatever_is_signed_cannot_be_changed(sides: tuple[ClientSide, ServerSide]):
    ours, theirs = sides
    sent = ours.outgoing(REQUEST)
    for changed in (
        replace(sent, method="PUT"),
        replace(sent, url=sent.url.replace("dry=1", "dry=0")),
        replace(sent, url=sent.url.replace("api.", "evil.")),
        replace(sent, headers=merged(sent.headers, [("Content-Type", "text/html")])),
    ):
        with pytest.raises(message.SignatureInvalid, match="of orders"):
            theirs.incoming(changed)
    with pytest.raises(faults.DigestMismatch):
        theirs.incoming(replace(sent, body=b'{"order_id": 1224}'))
    digest = ("Content-Digest", content_digest(b"other"))
    with pytest.raises(message.SignatureInvalid):
        theirs.incoming(replace(sent, body=b"other", headers=merged(sent.headers, [digest])))


def test_the_same_request_is_believed_once(sides: tuple[ClientSide, ServerSide]):
    ours, theirs = sides
    sent = ours.outgoing(REQUEST)
    theirs.incoming(sent)
    with pytest.raises(faults.Replayed):
        theirs.incoming(sent)
    theirs.incoming(ours.outgoing(REQUEST))


def test_an_old_request_and_one_of_the_future_are_refused(sides: tuple[ClientSide, ServerSide]):
    ours, theirs = sides
    sent = ours.outgoing(REQUEST, now=NOW)
    theirs.incoming(sent, now=NOW + timedelta(minutes=5))
    with pytest.raises(faults.SignatureOutOfTime, match="seconds ago"):
        theirs.incoming(sent, now=NOW + timedelta(minutes=6))
    with pytest.raises(faults.SignatureOutOfTime, match="in the future"):
        theirs.incoming(sent, now=NOW - timedelta(minutes=1))


def signed_by_hand(pki: Pki, components: list[Item], **changed: Any) -> HttpRequest:
    """A request whose signature covers only this, with parameters that are others or missing."""
    request = replace(
        REQUEST, headers=merged(REQUEST.headers, [("Content-Digest", content_digest(REQUEST.body))])
    )
    identity = pki.identity()
    headers = dict(signatures.sign(request, identity, components, now=NOW))
    member: Any = parse_dictionary(headers["Signature-Input"])[signatures.LABEL]
    parameters = {
        name: value for name, value in (dict(member.parameters) | changed).items() if value is not None
    }
    covered = replace(member, parameters=parameters)
    value = signatures._signed(identity.private_key, signature_base(request, covered))
    headers["Signature-Input"] = write_dictionary({signatures.LABEL: covered})
    headers["Signature"] = write_dictionary({signatures.LABEL: Item(value)})
    return replace(request, headers=merged(request.headers, headers.items()))


ALL = [Item("@method"), Item("@target-uri"), Item("content-digest"), Item("content-type")]


@pytest.mark.parametrize("left_out", ["@method", "@target-uri", "content-digest", "content-type"])
def test_a_signature_that_leaves_something_out_is_refused_by_what_it_leaves_out(
    pki: Pki, sides: tuple[ClientSide, ServerSide], left_out: str
):
    sent = signed_by_hand(pki, [one for one in ALL if one.value != left_out])
    with pytest.raises(faults.NotCovered, match=left_out):
        sides[1].incoming(sent, now=NOW)


def test_the_target_may_be_covered_in_its_parts(pki: Pki, sides: tuple[ClientSide, ServerSide]):
    parts = [Item("@method"), Item("@authority"), Item("@path"), Item("@query"), *ALL[2:]]
    sides[1].incoming(signed_by_hand(pki, parts), now=NOW)
    with pytest.raises(faults.NotCovered):
        sides[1].incoming(signed_by_hand(pki, [one for one in parts if one.value != "@query"]), now=NOW)


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"created": None}, faults.NotCovered),
        ({"created": "yesterday"}, faults.NotCovered),
        ({"nonce": None}, faults.NotCovered),
        ({"nonce": ""}, faults.NotCovered),
        ({"alg": "hmac-sha256"}, message.AlgorithmRefused),
        ({"alg": "ecdsa-p384-sha384"}, message.AlgorithmRefused),
        ({"keyid": "somebody"}, faults.SignatureMalformed),
        ({"expires": 1}, faults.SignatureOutOfTime),
    ],
)
def test_parameters_are_asked_for_and_judged(
    pki: Pki, sides: tuple[ClientSide, ServerSide], changed: dict[str, Any], kind: type[TwowayError]
):
    with pytest.raises(kind):
        sides[1].incoming(signed_by_hand(pki, ALL, **changed), now=NOW)
    sides[1].incoming(signed_by_hand(pki, ALL, alg=None), now=NOW)


def test_an_unsigned_request_is_refused_and_an_unsigned_answer_too(sides: tuple[ClientSide, ServerSide]):
    ours, theirs = sides
    with pytest.raises(faults.SignatureMissing, match="signed request"):
        theirs.incoming(REQUEST)
    with pytest.raises(faults.SignatureMissing, match="signed response"):
        ours.incoming(HttpResponse(200, ours.outgoing(REQUEST)), hostname="api.acme.example")


def test_who_signs_is_verified_like_a_peer(pki: Pki, sides: tuple[ClientSide, ServerSide]):
    ours, theirs = sides
    with pytest.raises(UnknownAuthority):
        theirs.incoming(ClientSide(Pki().identity(), Verifier(pki.trust)).outgoing(REQUEST))
    server = pki.make("api", purpose="server")
    with pytest.raises(WrongPurpose):
        theirs.incoming(ClientSide(server, Verifier(pki.trust)).outgoing(REQUEST))
    trust = Trust(pki.trust.anchors, (pki.root.crl(), pki.issuing.crl(pki.identity().leaf)))
    with pytest.raises(CertificateRevoked):
        ServerSide(server, Verifier(trust)).incoming(ours.outgoing(REQUEST))


def test_a_chain_of_the_connection_or_one_that_is_known_serves_where_none_is_sent(
    pki: Pki, sides: tuple[ClientSide, ServerSide]
):
    ours, theirs = sides
    sent = ours.outgoing(REQUEST)
    bare = replace(sent, headers=tuple(one for one in sent.headers if one[0] != signatures.CERTIFICATES))
    with pytest.raises(message.SignerUnknown):
        theirs.incoming(bare)
    assert theirs.incoming(bare, also=[pki.identity().chain]).signer.common_name == "orders"


def test_an_answer_belongs_to_its_request_and_to_the_server_of_that_name(
    sides: tuple[ClientSide, ServerSide],
):
    ours, theirs = sides
    first, second = ours.outgoing(REQUEST), ours.outgoing(REQUEST)
    answered = theirs.outgoing(HttpResponse(200, first, (), b"updated"), theirs.incoming(first))
    with pytest.raises(message.SignatureInvalid):
        ours.incoming(replace(answered, request=second), hostname="api.acme.example")
    with pytest.raises(HostnameMismatch):
        ours.incoming(answered, hostname="other.example")
    with pytest.raises(message.SignatureInvalid):
        ours.incoming(replace(answered, status=500), hostname="api.acme.example")
    unbound = theirs.outgoing(HttpResponse(200, REQUEST, (), b"updated"), None)
    with pytest.raises(faults.NotCovered, match="signature of the request"):
        ours.incoming(replace(unbound, request=first), hostname="api.acme.example")


# -- sealed -------------------------------------------------------------------------------------------


@pytest.fixture
def sealing(pki: Pki, sides: tuple[ClientSide, ServerSide]) -> tuple[ClientSide, ServerSide]:
    ours, theirs = sides
    ours.seal_for = recipients(theirs.identity, pki.trust)
    theirs.require_sealed = True
    return ours, theirs


def test_bodies_are_sealed_both_ways_and_typed_as_before(sealing: tuple[ClientSide, ServerSide]):
    ours, theirs = sealing
    sent = ours.outgoing(REQUEST)
    assert b"1223" not in sent.body
    assert combined(sent.headers, "Content-Type") == "application/jose"
    judged = theirs.incoming(sent)
    assert (judged.sealed, judged.request.body) == (True, REQUEST.body)
    assert combined(judged.request.headers, "Content-Type") == "application/json"
    answer = theirs.outgoing(HttpResponse(200, sent, (("Content-Type", "text/plain"),), b"updated"), judged)
    assert b"updated" not in answer.body
    said, _ = ours.incoming(answer, hostname="api.acme.example")
    assert (said.body, combined(said.headers, "Content-Type")) == (b"updated", "text/plain")


def test_an_answer_to_a_request_without_a_body_is_sealed_too(sealing: tuple[ClientSide, ServerSide]):
    ours, theirs = sealing
    sent = ours.outgoing(HttpRequest("GET", REQUEST.url))
    answer = theirs.outgoing(HttpResponse(200, sent, (), b"secret"), theirs.incoming(sent))
    assert b"secret" not in answer.body
    assert ours.incoming(answer, hostname="api.acme.example")[0].body == b"secret"


def test_what_is_in_clear_is_refused_where_it_should_be_sealed(
    pki: Pki, sealing: tuple[ClientSide, ServerSide]
):
    ours, theirs = sealing
    plain = ClientSide(pki.identity(), Verifier(pki.trust)).outgoing(REQUEST)
    with pytest.raises(faults.NotSealed, match="in the request"):
        theirs.incoming(plain)
    sent = ours.outgoing(REQUEST)
    answer = theirs.outgoing(HttpResponse(200, replace(sent, headers=tuple(
        one for one in sent.headers if one[0] != "Seal-Response")), (), b"x"), None)  # fmt: skip
    with pytest.raises(faults.NotSealed, match="in the answer"):
        ours.incoming(replace(answer, request=sent), hostname="api.acme.example")


def test_whoever_takes_the_signature_off_and_puts_his_own_on_is_not_the_author(
    pki: Pki, sealing: tuple[ClientSide, ServerSide]
):
    """He cannot read what is sealed, and would pass for who wrote it."""
    ours, theirs = sealing
    sent = ours.outgoing(REQUEST)
    thief = ClientSide(pki.identity("p256", "thief"), Verifier(pki.trust))
    with pytest.raises(faults.NotSealed, match="names who signed it"):
        theirs.incoming(thief.outgoing(replace(sent, headers=(("Content-Type", "application/jose"),))))
    body = jwe.seal(b"x", recipients(theirs.identity, pki.trust))
    nobody = replace(REQUEST, headers=(("Content-Type", "application/jose"),), body=body)
    with pytest.raises(faults.NotSealed):
        theirs.incoming(thief.outgoing(nobody))


def test_who_cannot_be_sealed_for_is_told_before_anything_is_sent(pki: Pki):
    to = recipients(pki.identity("p256", "partner"), pki.trust)
    with pytest.raises(message.CannotReceive, match="got orders with ed25519"):
        ClientSide(pki.identity("ed25519"), Verifier(pki.trust), to)


def test_who_wants_a_sealed_answer_and_cannot_have_one_is_told_before_anything_is_done(
    pki: Pki, sides: tuple[ClientSide, ServerSide]
):
    asks = replace(REQUEST, headers=merged(REQUEST.headers, [("Seal-Response", "jwe")]))
    with pytest.raises(faults.NotSealed, match="got orders with ed25519"):
        sides[1].incoming(ClientSide(pki.identity("ed25519"), Verifier(pki.trust)).outgoing(asks))
