"""Set-ups that work: no finding that would worry anybody, seen from one side or from both."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from cryptography import x509

from tests.doctor.sides import HOST, World, alarms, present
from tests.pki import NOW, Issuer, make
from twoway.credential import generate_key
from twoway.doctor.files import examine, examine_pair, verdict_of
from twoway.doctor.material import Material
from twoway.wire.handshake import CertificateRequest

Pair = tuple[Material, Material]
HEALTHY: dict[str, Callable[[], Pair]] = {}


def healthy(build: Callable[[], Pair]) -> Callable[[], Pair]:
    HEALTHY[build.__name__] = build
    return build


@healthy
def the_ordinary_case() -> Pair:
    world = World.make()
    return world.client, world.server


@healthy
def no_extended_key_usage_at_all() -> Pair:
    world = World.make()
    return present("client", world.issuing, purpose=""), present("server", world.issuing, purpose="")


@healthy
def both_extended_key_usages() -> Pair:
    world = World.make()
    return present("client", world.issuing, purpose="peer"), present("server", world.issuing, purpose="peer")


@healthy
def ed25519_all_the_way() -> Pair:
    world = World.make("ed25519")
    return world.client, world.server


@healthy
def rsa_all_the_way() -> Pair:
    world = World.make("rsa2048")
    return world.client, world.server


@healthy
def ml_dsa_all_the_way() -> Pair:
    world = World.make("mldsa44")
    return world.client, world.server


@healthy
def a_p384_leaf_below_p256() -> Pair:
    world = World.make()
    return present("client", world.issuing, key_type="p384"), world.server


@healthy
def a_long_chain_that_is_valid() -> Pair:
    issuer = root = Issuer.root("Acme Root CA")
    for length in (4, 3, 2, 1, 0):
        issuer = issuer.below(f"Acme Level {length} CA", path_length=length)
    client = present("client", issuer)
    assert len(client.chain) == 6
    return client, present("server", issuer).but(anchors=(root.certificate,))


@healthy
def the_root_is_in_the_chain() -> Pair:
    world = World.make()
    whole = (*world.client.chain, world.root.certificate)
    return world.client.but(chain=whole), world.server


@healthy
def no_intermediate_at_all() -> Pair:
    root = Issuer.root("Acme Root CA")
    return present("client", root), present("server", root)


@healthy
def an_authority_for_each_side() -> Pair:
    clients, servers = Issuer.root("Acme Client CA"), Issuer.root("Acme Server CA")
    client = present("client", clients).but(anchors=(servers.certificate,))
    return client, present("server", servers).but(anchors=(clients.certificate,))


@healthy
def authorities_of_unrelated_names_for_each_side() -> Pair:
    clients, servers = Issuer.root("Kappa"), Issuer.root("Lambda")
    client = present("client", clients).but(anchors=(servers.certificate,))
    return client, present("server", servers).but(anchors=(clients.certificate,))


@healthy
def a_trust_file_with_more_than_is_needed() -> Pair:
    world = World.make()
    more = (Issuer.root("Globex").certificate, world.root.certificate, world.issuing.certificate)
    return world.client.but(anchors=more), world.server.but(anchors=more)


@healthy
def old_and_new_root_of_one_name_in_the_trust() -> Pair:
    old, new = Issuer.root("Acme Root CA", start=-100), Issuer.root("Acme Root CA")
    both = (old.certificate, new.certificate)
    return present("client", old).but(anchors=both), present("server", new).but(anchors=both)


@healthy
def an_expired_root_beside_its_successor() -> Pair:
    key = generate_key()
    old = Issuer.root("Acme Root CA", key=key, start=-100, days=-1)
    new = Issuer.root("Acme Root CA", key=key)
    both = (old.certificate, new.certificate)
    return present("client", new).but(anchors=both), present("server", new).but(anchors=both)


@healthy
def current_lists_of_every_authority() -> Pair:
    world = World.make()
    lists = (world.root.crl(), world.issuing.crl())
    return world.client.but(crls=lists), world.server.but(crls=lists)


@healthy
def somebody_else_is_revoked() -> Pair:
    world = World.make()
    other = world.issuing.leaf("somebody").leaf
    return world.client, world.server.but(crls=(world.root.crl(), world.issuing.crl(other)))


@healthy
def a_stale_list_beside_a_current_one() -> Pair:
    world = World.make()
    lists = (world.root.crl(), world.issuing.crl(start=-9, days=-1), world.issuing.crl())
    return world.client.but(crls=lists), world.server.but(crls=lists)


@healthy
def the_server_is_called_by_an_address_that_it_has() -> Pair:
    world = World.make()
    server = present("server", world.issuing, ip=("127.0.0.1", "::1"))
    return world.client.but(hostname="127.0.0.1"), server


@healthy
def a_wildcard_of_one_label() -> Pair:
    world = World.make()
    return world.client, present("server", world.issuing, dns=("*.acme.example",))


@healthy
def name_constraints_that_allow_the_name() -> Pair:
    world = World.make()
    only = x509.NameConstraints([x509.DNSName("acme.example")], None)
    narrow = world.root.below("Acme Narrow CA", constraints=only)
    return world.client, present("server", narrow)


@healthy
def a_lifetime_of_an_hour() -> Pair:
    world = World.make()
    return present("client", world.issuing, start=-0.02, days=0.02), world.server


@healthy
def a_spiffe_identity_without_a_dns_name() -> Pair:
    world = World.make()
    return present("client", world.issuing, uri=("spiffe://acme.example/billing",)), world.server


@healthy
def the_server_accepts_the_root_and_every_scheme() -> Pair:
    world = World.make()
    request = CertificateRequest(
        (world.root.certificate.subject.public_bytes(),),
        ("ecdsa_secp256r1_sha256", "ed25519", "rsa_pss_rsae_sha256"),
    )
    return world.client.but(request=request), world.server


@healthy
def clocks_that_differ_by_a_minute() -> Pair:
    world = World.make()
    return world.client, world.server.but(now=NOW + dt.timedelta(minutes=1))


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_worries_when_both_sides_are_seen(name: str):
    client, server = HEALTHY[name]()
    findings = examine_pair(client, server)
    assert alarms(findings) == []
    assert verdict_of(findings) == "healthy"


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_worries_when_each_side_is_seen_alone(name: str):
    client, server = HEALTHY[name]()
    assert alarms(examine(client)) == []
    assert alarms(examine(server)) == []


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_worries_when_a_side_has_seen_what_the_other_presents(name: str):
    client, server = HEALTHY[name]()
    assert alarms(examine(client.but(presented=server.chain))) == []
    assert alarms(examine(server.but(presented=client.chain, hostname=None))) == []


def test_a_root_in_the_chain_is_worth_a_word_and_no_more():
    client, server = the_root_is_in_the_chain()
    assert [(f.severity, f.code) for f in examine_pair(client, server)] == [("info", "root_included")]


def test_a_self_signed_certificate_that_is_trusted_itself_is_no_error():
    """OpenSSL, Go and Java take it; twoway does not, so it is a warning."""
    key = generate_key()
    lonely = make(HOST, key, None, purpose="server", dns=(HOST,))
    world = World.make()
    server = Material("server", (lonely,), key, world.server.anchors, now=NOW)
    findings = examine_pair(world.client.but(anchors=(lonely,)), server)
    assert {(f.severity, f.code) for f in findings if f.severity != "info"} == {
        ("warning", "anchor_not_authority")
    }
