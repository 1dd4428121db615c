"""Nobody makes the authority call where its own network alone gets."""

from __future__ import annotations

import ipaddress

import pytest

from tests.enroll.acme.client import Acme
from tests.enroll.acme.conftest import LOOPBACK, StartAcme, settled
from tests.enroll.acme.responder import World, listener
from twoway.enroll.acme.validation.targets import objection

NOWHERE = (
    "0.0.0.0", "::", "169.254.169.254", "fe80::1", "224.0.0.1", "ff02::1", "fd00:ec2::254", "100.100.100.200",
    "192.0.0.192", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::7f00:1",
)  # fmt: skip
PRIVATE = ("10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "240.0.0.1", "127.0.0.1", "::1")
EVERYTHING = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


@pytest.mark.parametrize("address", NOWHERE)
def test_some_addresses_are_refused_whatever_is_allowed(address: str) -> None:
    assert objection(ipaddress.ip_address(address), EVERYTHING)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_unless_their_network_is_named(address: str) -> None:
    found = ipaddress.ip_address(address)
    assert objection(found, ())
    assert objection(found, (ipaddress.ip_network(address),)) is None


def test_everything_does_not_mean_loopback() -> None:
    assert objection(ipaddress.ip_address("127.0.0.1"), EVERYTHING)
    assert objection(ipaddress.ip_address("93.184.216.34"), ()) is None


def failed(acme: Acme, name: str) -> str:
    """Ask for the proof of that name by http-01; why it was not found."""
    order = acme.order(name)
    challenge = acme.challenge(acme.authorization(order), "http-01")
    acme.post(challenge["url"], {})
    found = settled(acme, order.json()["authorizations"][0])
    assert found["status"] == "invalid"
    return str(acme.challenge(found, "http-01")["error"]["detail"])


def test_without_an_allowed_network_nothing_on_loopback_is_connected_to(
    start: StartAcme, world: World
) -> None:
    with start(allow_networks=()) as service, service.client() as http:
        acme = Acme(service, http)
        acme.register()
        assert "loopback" in failed(acme, "www.acme.example")
        assert "loopback" in failed(acme, "127.0.0.1")
        assert world.requests == []


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://127.0.0.1:{port}/", "an address instead of a name"),
        ("http://[::1]/", "an address instead of a name"),
        ("http://inside.acme.example:{port}/", "a port other than 80 and 443"),
        ("http://metadata.acme.example/", "link-local"),
        ("gopher://inside.acme.example/", "another scheme"),
        ("file:///etc/passwd", "another scheme"),
        ("http://user@inside.acme.example/", "a user in it"),
        ("http://[", "no address"),
        ("http://0x7f000001/", "no DNS name"),
        ("/again", "more than 4 redirects"),
    ],
)
def test_a_redirect_leads_nowhere_else(acme: Acme, world: World, location: str, said: str) -> None:
    """And the port that somebody wanted reached was not connected to."""
    world.addresses["metadata.acme.example"] = ["169.254.169.254"]
    with listener() as (port, arrived):
        order = acme.order("www.acme.example")
        challenge = acme.challenge(acme.authorization(order), "http-01")
        page = (302, {"Location": location.format(port=port)}, b"")
        world.pages[f"/.well-known/acme-challenge/{challenge['token']}"] = page
        world.pages["/again"] = (302, {"Location": "/again"}, b"")
        acme.post(challenge["url"], {})
        found = settled(acme, order.json()["authorizations"][0])
        assert said in acme.challenge(found, "http-01")["error"]["detail"]
        assert arrived == []


def test_a_name_is_not_looked_up_again_between_judgement_and_connection(acme: Acme, world: World) -> None:
    """DNS rebinding: the second answer would lead to a place that is never allowed."""
    world.addresses["www.acme.example"] = ["next", "127.0.0.1", "169.254.169.254"]
    order = acme.order("www.acme.example")
    challenge = acme.challenge(acme.authorization(order), "http-01")
    acme.post(challenge["url"], {})
    settled(acme, order.json()["authorizations"][0])
    assert [kind for name, kind in world.asked if name == "www.acme.example"].count("A") == 1


def test_what_a_host_answers_reaches_neither_client_nor_log(acme: Acme, world: World) -> None:
    order = acme.order("www.acme.example")
    challenge = acme.challenge(acme.authorization(order), "http-01")
    world.pages[f"/.well-known/acme-challenge/{challenge['token']}"] = b"the secret of the inside" * 200
    acme.post(challenge["url"], {})
    found = settled(acme, order.json()["authorizations"][0])
    assert "secret" not in str(found)
    assert "secret" not in acme.served.journal.getvalue()


def test_weakenings_are_told_at_the_start(acme: Acme) -> None:
    assert len(acme.served.lines("weakened")) == 4
    assert LOOPBACK.is_loopback
