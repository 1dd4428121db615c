"""From a name to a certificate: the way that every client takes, and who may not take it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from tests.enroll.acme.client import EMPTY, Acme, problem
from tests.enroll.acme.conftest import StartAcme, certified, csr_for, prove, put, settled
from tests.enroll.acme.responder import World
from tests.enroll.conftest import Served
from twoway.credential import certificates_from_pem, names_of
from twoway.enroll.service import utc_now

STORES = ("sqlite", "postgresql")


def test_a_proven_name_becomes_a_certificate(acme: Acme, world: World) -> None:
    """pending → ready → valid; the chain is leaf and issuing CA, and the audit log knows the account."""
    order = acme.order("www.acme.example")
    assert (order.status_code, order.json()["status"]) == (201, "pending")
    ready = prove(acme, world, order)
    assert ready["status"] == "ready"
    done = acme.post(ready["finalize"], csr_for("www.acme.example"))
    assert done.json()["status"] == "valid"
    answer = acme.post(done.json()["certificate"])
    assert answer.headers["content-type"] == "application/pem-certificate-chain"
    leaf, issuing = certificates_from_pem(answer.content)
    leaf.verify_directly_issued_by(issuing)
    assert names_of(leaf).dns == ("www.acme.example",)
    acts = {row.act: row for row in acme.served.authority.audit()}
    assert {"acme-account", "acme-order", "acme-proof", "sign"} <= acts.keys()
    account = str(acme.kid).rpartition("/")[2]
    assert acts["sign"].actor.startswith(f"acme:{account} (account key ")


def test_a_wildcard_is_proven_by_the_dns_alone(acme: Acme, world: World) -> None:
    order = acme.order("*.acme.example", "acme.example")
    wildcard = next(each for each in (acme.authorization(order, n) for n in (0, 1)) if each.get("wildcard"))
    assert wildcard["identifier"] == {"type": "dns", "value": "acme.example"}
    assert [each["type"] for each in wildcard["challenges"]] == ["dns-01"]
    ready = prove(acme, world, order)
    done = acme.post(ready["finalize"], csr_for("*.acme.example", "acme.example"))
    leaf = certificates_from_pem(acme.post(done.json()["certificate"]).content)[0]
    assert set(names_of(leaf).dns) == {"*.acme.example", "acme.example"}


def test_an_address_is_proven_by_anything_but_the_dns(acme: Acme, world: World) -> None:
    """RFC 8738 §7."""
    order = acme.order("127.0.0.1")
    assert [each["type"] for each in acme.authorization(order)["challenges"]] == ["http-01", "tls-alpn-01"]
    ready = prove(acme, world, order)
    done = acme.post(ready["finalize"], csr_for("127.0.0.1"))
    leaf = certificates_from_pem(acme.post(done.json()["certificate"]).content)[0]
    assert names_of(leaf).ip == ("127.0.0.1",)
    assert world.requests[-1][0] == f"127.0.0.1:{world.http_port}"
    assert world.asked == []  # RFC 8738 §4: an address is connected to, not looked up


def test_an_order_that_is_not_ready_is_not_finalized(acme: Acme) -> None:
    order = acme.order("www.acme.example").json()
    assert problem(acme.post(order["finalize"], csr_for("www.acme.example"))) == (403, "orderNotReady")
    assert acme.served.authority.list("www.acme.example") == ()


def test_finalized_at_once_by_many_it_yields_one_certificate(
    service: Served, http: httpx2.Client, acme: Acme, world: World
) -> None:
    """Issuing and the order's change are one transaction, on either store."""
    ready = prove(acme, world, acme.order("www.acme.example"))
    bodies = [acme.body(ready["finalize"], csr_for("www.acme.example")) for _ in range(24)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda body: acme.send(ready["finalize"], body), bodies))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 1
    assert {problem(answer) for answer in answers if answer.status_code != 200} == {(403, "orderNotReady")}
    assert len(service.authority.list("www.acme.example")) == 1


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        (("www.acme.example", "admin.acme.example"), {}, "not ordered: admin.acme.example"),
        (("admin.acme.example",), {}, "not ordered"),
        ((), {"common_name": "www.acme.example"}, None),
        (("www.acme.example",), {"common_name": "admin.acme.example"}, "common name"),
        ((), {}, "missing: www.acme.example"),
    ],
    ids=["more", "other", "common name alone", "other common name", "none"],
)
def test_a_signing_request_is_for_exactly_what_was_ordered(
    acme: Acme, world: World, names: tuple[str, ...], more: dict[str, Any], said: str | None
) -> None:
    """RFC 8555 §7.4; the order stays ready for the right one."""
    ready = prove(acme, world, acme.order("www.acme.example"))
    answer = acme.post(ready["finalize"], csr_for(*names, **more))
    if said is None:
        assert answer.status_code == 200
        return
    assert problem(answer) == (400, "badCSR")
    assert said in answer.json()["detail"]
    assert acme.served.authority.list("*acme.example") == ()
    assert acme.post(ready["finalize"], csr_for("www.acme.example")).status_code == 200


def test_the_accounts_own_key_is_not_certified(acme: Acme, world: World) -> None:
    """RFC 8555 §11.1."""
    ready = prove(acme, world, acme.order("www.acme.example"))
    answer = acme.post(ready["finalize"], csr_for("www.acme.example", key=acme.key))
    assert problem(answer) == (400, "badCSR")


def test_what_a_signing_request_wishes_besides_is_not_given(acme: Acme, world: World) -> None:
    from cryptography import x509

    ready = prove(acme, world, acme.order("www.acme.example"))
    wished = (x509.BasicConstraints(ca=True, path_length=None),)
    done = acme.post(ready["finalize"], csr_for("www.acme.example", extensions=wished)).json()
    leaf = certificates_from_pem(acme.post(done["certificate"]).content)[0]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    "csr",
    ["", "AAAA", "not base64!", 7, None, "A" * 60_000],
    ids=["empty", "no DER", "text", "number", "none", "long"],
)
def test_what_is_no_signing_request_is_a_problem_and_the_order_stays(
    acme: Acme, world: World, csr: object
) -> None:
    ready = prove(acme, world, acme.order("www.acme.example"))
    assert problem(acme.post(ready["finalize"], {"csr": csr}))[1] in ("badCSR", "malformed")
    assert acme.post(ready["finalize"].removesuffix("/finalize")).json()["status"] == "ready"


def test_a_wrong_proof_makes_authorization_and_order_invalid_with_the_reason(
    acme: Acme, world: World
) -> None:
    order = acme.order("www.acme.example")
    challenge = acme.challenge(acme.authorization(order), "http-01")
    world.pages[f"/.well-known/acme-challenge/{challenge['token']}"] = b"something else"
    acme.post(challenge["url"], {})
    found = settled(acme, order.json()["authorizations"][0])
    assert found["status"] == "invalid"
    failed = acme.challenge(found, "http-01")
    assert failed["error"]["type"] == "urn:ietf:params:acme:error:unauthorized"
    assert "something else" not in str(failed)
    ended = acme.post(order.headers["location"]).json()
    assert (ended["status"], ended["error"]) == ("invalid", failed["error"])
    assert problem(acme.post(ended["finalize"], csr_for("www.acme.example"))) == (403, "orderNotReady")


def test_an_invalid_challenge_is_not_looked_for_again(acme: Acme, world: World) -> None:
    order = acme.order("www.acme.example")
    challenge = acme.challenge(acme.authorization(order), "http-01")
    acme.post(challenge["url"], {})
    settled(acme, order.json()["authorizations"][0])
    seen = len(world.requests)
    assert acme.post(challenge["url"], {}).json()["status"] == "invalid"
    assert len(world.requests) == seen


def test_an_expired_order_is_invalid_and_its_authorizations_are_expired(
    start: StartAcme, world: World
) -> None:
    ahead = [timedelta()]
    with start(now=lambda: utc_now() + ahead[0], order_hours=1) as service, service.client() as http:
        acme = Acme(service, http)
        acme.register()
        pending, ready = acme.order("a.acme.example"), prove(acme, world, acme.order("b.acme.example"))
        ahead[0] = timedelta(hours=2)
        assert acme.post(pending.headers["location"]).json()["status"] == "invalid"
        assert acme.authorization(pending)["status"] == "expired"
        assert problem(acme.post(ready["finalize"], csr_for("b.acme.example"))) == (403, "orderNotReady")
        challenge = acme.challenge(acme.authorization(pending), "http-01")
        assert problem(acme.post(challenge["url"], {})) == (400, "malformed")


def test_a_deactivated_authorization_ends_its_order(acme: Acme, world: World) -> None:
    """RFC 8555 §7.5.2."""
    order = acme.order("www.acme.example")
    ready = prove(acme, world, order)
    url = ready["authorizations"][0]
    assert acme.post(url, {"status": "deactivated"}).json()["status"] == "deactivated"
    assert problem(acme.post(ready["finalize"], csr_for("www.acme.example"))) == (403, "orderNotReady")
    assert acme.post(order.headers["location"]).json()["status"] == "invalid"
    assert problem(acme.post(url, {"status": "deactivated"})) == (400, "malformed")
    assert problem(acme.post(url, {"status": "valid"})) == (400, "malformed")


def test_a_proof_that_comes_after_the_account_was_closed_counts_for_nothing(acme: Acme, world: World) -> None:
    order = acme.order("www.acme.example")
    challenge = acme.challenge(acme.authorization(order), "http-01")
    put(acme, world, challenge, "www.acme.example")
    acme.post(str(acme.kid), {"status": "deactivated"})
    assert problem(acme.post(challenge["url"], {})) == (403, "unauthorized")
    assert world.requests == []


def test_the_orders_of_an_account_are_listed(acme: Acme, world: World) -> None:
    urls = [acme.order(f"{name}.acme.example").headers["location"] for name in "abc"]
    account = acme.post(str(acme.kid)).json()
    assert set(acme.post(account["orders"]).json()["orders"]) == set(urls)


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({}, "malformed"),
        ({"identifiers": []}, "malformed"),
        ({"identifiers": "www.acme.example"}, "malformed"),
        ({"identifiers": [{"type": "dns"}]}, "malformed"),
        ({"identifiers": [{"type": "dns", "value": "x.example"}] * 101}, "malformed"),
        ({"identifiers": [{"type": "email", "value": "a@x.example"}]}, "unsupportedIdentifier"),
        ({"identifiers": [{"type": "dns", "value": "192.0.2.1"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "dns", "value": "a b.example"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "dns", "value": "*.*.acme.example"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "ip", "value": "10.0.0.0/8"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "ip", "value": "fe80::1%eth0"}]}, "rejectedIdentifier"),
        ({"identifiers": [{"type": "dns", "value": "x.example"}], "profile": "client"}, "invalidProfile"),
        ({"identifiers": [{"type": "dns", "value": "x.example"}], "profile": ["server"]}, "invalidProfile"),
        (
            {"identifiers": [{"type": "dns", "value": "x.example"}], "notAfter": "2030-01-01T00:00:00Z"},
            "malformed",
        ),
        ([], "malformed"),
        (b"{", "malformed"),
        (b'{"identifiers": [], "identifiers": []}', "malformed"),
        (b"[" * 5000, "malformed"),
    ],
)
def test_an_order_that_cannot_be_is_refused_as_it_is_made(acme: Acme, payload: object, told: str) -> None:
    assert problem(acme.post("/acme/new-order", payload))[1] == told


def test_every_name_that_is_refused_has_its_subproblem(acme: Acme) -> None:
    """RFC 8555 §6.7.1."""
    answer = acme.order("a.acme.example", "b c", "d?.x")
    assert problem(answer) == (403, "rejectedIdentifier")
    subproblems = answer.json()["subproblems"]
    assert [each["identifier"]["value"] for each in subproblems] == ["b c", "d?.x"]
    assert all(each["detail"] and each["type"].endswith(":rejectedIdentifier") for each in subproblems)


def test_profiles_are_offered_and_chosen(start: StartAcme, world: World) -> None:
    with start(profiles=("server", "peer")) as service, service.client() as http:
        acme = Acme(service, http)
        acme.register()
        assert set(acme.directory["meta"]["profiles"]) == {"server", "peer"}
        assert certified(acme, world, "www.acme.example", profile="peer")["profile"] == "peer"
        assert [each.profile for each in service.authority.list("www.acme.example")] == ["peer"]


def test_only_reading_takes_an_empty_payload(acme: Acme) -> None:
    """RFC 8555 §6.3."""
    order = acme.order("www.acme.example").headers["location"]
    assert problem(acme.post(order, {})) == (400, "malformed")
    assert acme.post(order, EMPTY).status_code == 200
