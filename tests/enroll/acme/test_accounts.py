"""Who may do what: keys, nonces, addresses, owners, closed accounts, external keys."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from tests.enroll.acme.client import EMPTY, Acme, b64, flattened, jwk_of, problem
from tests.enroll.acme.conftest import StartAcme, certified
from tests.enroll.acme.responder import World
from twoway.authority.profiles import NameRules
from twoway.credential import certificates_from_pem
from twoway.enroll.acme import external, jws
from twoway.enroll.acme.faults import AcmeRefused


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate,
        lambda: rsa.generate_private_key(65537, 2048),
    ],
    ids=["ES256", "ES384", "EdDSA", "RS256"],
)
def test_accounts_have_keys_of_four_kinds_and_are_found_again(acme: Acme, make: Any) -> None:
    one = Acme(acme.served, acme.http, make())
    assert one.register().status_code == 201
    again = Acme(acme.served, acme.http, one.key)
    assert (again.register().status_code, again.kid) == (200, one.kid)


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "AAAA"},
        {"kty": "RSA", "n": b64(b"\xff" * 2048), "e": "AQAB"},
        {"kty": "RSA", "n": b64(b"\xff" * 128), "e": "AQAB"},
        {"kty": "RSA", "n": b64(b"\xff" * 256), "e": "Aw"},
        {"kty": "RSA", "n": b64(b"\xff" * 256), "e": b64(b"\xff" * 256)},
        {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": b64(bytes(32)), "y": b64(bytes(32))},
        {"kty": ["EC"]},
    ],
)
def test_keys_out_of_bounds_are_refused_before_they_are_used(acme: Acme, jwk: dict[str, Any]) -> None:
    """Giant moduli and exponents would be a CPU bomb."""
    body = acme.body("/acme/new-account", {}, kid=None, jwk=jwk)
    assert problem(acme.send("/acme/new-account", body)) == (400, "badPublicKey")


def test_a_nonce_is_good_once_and_a_refusal_brings_the_next(acme: Acme) -> None:
    body = acme.body(str(acme.kid))
    assert acme.send(str(acme.kid), body).status_code == 200
    refused = acme.send(str(acme.kid), body)
    assert problem(refused) == (400, "badNonce")
    fresh = acme.body(str(acme.kid), nonce=refused.headers["replay-nonce"])
    assert acme.send(str(acme.kid), fresh).status_code == 200


@pytest.mark.parametrize("nonce", [None, "AAAA", "A" * 46, "!"])
def test_a_nonce_of_nobody_is_refused(acme: Acme, nonce: str | None) -> None:
    assert problem(acme.post(str(acme.kid), nonce=nonce)) == (400, "badNonce")


def test_a_change_is_not_played_again_at_another_copy(acme: Acme) -> None:
    """The other copy has its own memory: the store says that the nonce is spent."""
    body = acme.body("/acme/new-order", {"identifiers": [{"type": "dns", "value": "www.acme.example"}]})
    assert acme.send("/acme/new-order", body).status_code == 201
    acme.served.running.service.acme.nonces._used.clear()
    assert problem(acme.send("/acme/new-order", body)) == (400, "badNonce")


def test_a_request_for_another_address_is_refused(acme: Acme) -> None:
    elsewhere = acme.body(str(acme.kid), url="https://evil.example/acme/account/1")
    assert problem(acme.send(str(acme.kid), elsewhere)) == (401, "unauthorized")
    body = acme.body(str(acme.kid))
    headers = {"content-type": "application/jose+json", "host": "evil.example"}
    assert acme.http.post(str(acme.kid), json=body, headers=headers).status_code == 421


def test_a_signature_by_another_key_is_refused(acme: Acme) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    assert problem(acme.post(str(acme.kid), key=other)) == (401, "unauthorized")


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS256"}, {"alg": "ES384"}, {"alg": 1}])
def test_other_algorithms_are_refused(acme: Acme, header: dict[str, Any]) -> None:
    assert problem(acme.post(str(acme.kid), **header)) == (400, "badSignatureAlgorithm")


def test_both_or_neither_of_jwk_and_kid_and_what_is_critical_is_malformed(acme: Acme) -> None:
    for header in ({"jwk": jwk_of(acme.key)}, {"kid": None}, {"crit": ["b64"]}):
        assert problem(acme.post(str(acme.kid), **header)) == (400, "malformed")
    general = {**acme.body(str(acme.kid)), "header": {}}
    assert problem(acme.send(str(acme.kid), general)) == (400, "malformed")
    assert acme.send(str(acme.kid), acme.body(str(acme.kid)), "application/json").status_code == 415
    assert problem(acme.http.get(acme.url("/acme/new-order"))) == (405, "malformed")


@given(st.binary(max_size=200))
def test_whatever_is_no_request_is_a_typed_refusal(data: bytes) -> None:
    with pytest.raises(AcmeRefused):
        jws.read(data)


def test_what_is_anothers_can_neither_be_read_nor_changed(acme: Acme, another: Acme, world: World) -> None:
    done = certified(acme, world, "www.acme.example")
    order = acme.order("a.acme.example")
    challenge = acme.authorization(order)["challenges"][0]["url"]
    for url in (order.headers["location"], done["certificate"], *order.json()["authorizations"], challenge):
        assert problem(another.post(url)) == (403, "unauthorized")
    for url in (str(acme.kid), f"{acme.kid}/orders"):
        assert problem(another.post(url)) == (403, "unauthorized")
    for url in (challenge, str(acme.kid), *order.json()["authorizations"]):
        assert problem(another.post(url, {"status": "deactivated"})) == (403, "unauthorized")
    assert problem(another.post(order.json()["finalize"], {"csr": "AAAA"})) == (403, "unauthorized")
    leaf = certificates_from_pem(acme.post(done["certificate"]).content)[0]
    from cryptography.hazmat.primitives.serialization import Encoding

    payload = {"certificate": b64(leaf.public_bytes(Encoding.DER))}
    assert problem(another.post("/acme/revoke-certificate", payload)) == (403, "unauthorized")
    assert problem(acme.post("/acme/revoke-certificate", {**payload, "reason": 6})) == (
        400,
        "badRevocationReason",
    )
    assert acme.post("/acme/revoke-certificate", {**payload, "reason": 1}).status_code == 200
    assert problem(acme.post("/acme/revoke-certificate", payload))[1] == "alreadyRevoked"


def test_a_deactivated_account_can_do_nothing(acme: Acme) -> None:
    order = acme.order("a.acme.example")
    assert acme.post(str(acme.kid), {"status": "deactivated"}).json()["status"] == "deactivated"
    for url in (str(acme.kid), order.headers["location"], *order.json()["authorizations"]):
        assert problem(acme.post(url)) == (403, "unauthorized")
    assert problem(acme.order("b.acme.example")) == (403, "unauthorized")
    assert problem(Acme(acme.served, acme.http, acme.key).register()) == (403, "unauthorized")


def test_a_key_is_changed_by_old_and_new_together(acme: Acme, another: Acme) -> None:
    def change(old: Acme, new: Any) -> Any:
        inner = {"account": old.kid, "oldKey": jwk_of(old.key)}
        kind = {"alg": "ES256", "jwk": jwk_of(new), "url": old.url("/acme/key-change")}
        return old.post("/acme/key-change", flattened(new, kind, inner))

    taken = change(acme, another.key)
    assert (taken.status_code, taken.headers["location"]) == (409, another.kid)
    new = ec.generate_private_key(ec.SECP256R1())
    assert change(acme, new).status_code == 200
    assert problem(acme.post(str(acme.kid), EMPTY)) == (401, "unauthorized")
    acme.key = new
    assert acme.post(str(acme.kid), EMPTY).status_code == 200


def test_an_external_key_is_good_for_one_account_and_its_names(start: StartAcme) -> None:
    with start(accounts="bound") as service, service.client() as http:
        now = service.running.service.now()
        rules = NameRules(dns=("*.shop.acme.example",))
        key = external.make(
            service.authority, "shop", names=rules, lifetime=datetime.timedelta(days=1), now=now
        )
        one, two = Acme(service, http), Acme(service, http)
        assert problem(one.register()) == (403, "externalAccountRequired")
        stolen = two.binding(key.id, key.secret)
        assert problem(one.register(externalAccountBinding=stolen)) == (403, "unauthorized")
        wrong = one.binding(key.id, b64(bytes(32)))
        assert problem(one.register(externalAccountBinding=wrong)) == (403, "unauthorized")
        assert one.register(externalAccountBinding=one.binding(key.id, key.secret)).status_code == 201
        assert problem(two.register(externalAccountBinding=stolen)) == (403, "unauthorized")
        assert problem(one.order("www.acme.example")) == (403, "rejectedIdentifier")
        assert one.order("www.shop.acme.example").status_code == 201


def test_no_external_key_looks_like_an_option(acme: Acme) -> None:
    """One in 32 began with a dash, and certbot took it for an option of its own."""
    now, life = acme.served.running.service.now(), datetime.timedelta(days=1)
    for _ in range(200):
        key = external.make(acme.served.authority, "shop", names=None, lifetime=life, now=now)
        assert "-" not in (key.id[0], key.secret[0])
