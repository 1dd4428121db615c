"""Only one side's files are there, with or without what the other side has shown: the cause all the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.doctor.sides import HOST, World, alarms, first, present
from tests.pki import NOW, Issuer
from twoway.doctor.files import examine, verdict_of
from twoway.doctor.material import Material
from twoway.wire.handshake import CertificateRequest

ALONE: dict[str, tuple[Callable[[], Material], str, str, str]] = {}


def failure(
    code: str, blame: str, severity: str = "error"
) -> Callable[[Callable[[], Material]], Callable[[], Material]]:
    def registered(build: Callable[[], Material]) -> Callable[[], Material]:
        ALONE[build.__name__] = (build, severity, code, blame)
        return build

    return registered


def accepting(*issuers: Issuer, schemes: tuple[str, ...] = ()) -> CertificateRequest:
    return CertificateRequest(tuple(one.certificate.subject.public_bytes() for one in issuers), schemes)


# -- the client's own files ---------------------------------------------------------------------------


@failure("certificate_expired", "client")
def the_client_has_expired() -> Material:
    return present("client", World.make().issuing, start=-10, days=-1)


@failure("certificate_not_yet_valid", "client")
def the_client_is_not_valid_yet() -> Material:
    return present("client", World.make().issuing, start=3)


@failure("intermediate_expired", "client")
def the_intermediate_has_expired() -> Material:
    return present("client", World.make().root.below("Acme Old CA", start=-10, days=-1))


@failure("wrong_purpose", "client")
def the_client_has_a_server_only_certificate() -> Material:
    return present("client", World.make().issuing, purpose="server")


@failure("intermediate_wrong_purpose", "client")
def the_intermediate_is_for_servers_only() -> Material:
    public = World.make().root.below("Acme Server Issuing CA", purpose="server")
    return present("client", public, purpose="peer")


@failure("wrong_purpose", "server")
def the_server_has_a_client_only_certificate() -> Material:
    return present("server", World.make().issuing, purpose="client")


@failure("weak_algorithm", "client")
def the_key_is_too_short() -> Material:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return present("client", World.make().issuing, key=key)


@failure("path_length_exceeded", "client")
def the_chain_is_too_long() -> Material:
    return present("client", World.make().issuing.below("Acme Lower CA"))


@failure("chain_disordered", "client")
def the_leaf_is_not_first() -> Material:
    client = World.make().client
    return client.but(chain=tuple(reversed(client.chain)))


@failure("chain_disordered", "client", "warning")
def the_intermediates_are_in_the_wrong_order() -> Material:
    world = World.make(path_length=1)
    client = present("client", world.issuing.below("Acme Lower CA"))
    leaf, lower, upper = client.chain
    return client.but(chain=(leaf, upper, lower))


@failure("unrelated_certificates", "client", "warning")
def a_stranger_is_in_the_chain() -> Material:
    client = World.make().client
    return client.but(chain=(*client.chain, Issuer.root("Globex").certificate))


@failure("own_leaf_in_trust", "client")
def the_client_trusts_itself() -> Material:
    client = World.make().client
    return client.but(anchors=client.chain[:1])


@failure("certificate_revoked", "client")
def the_client_is_on_the_list_beside_it() -> Material:
    world = World.make()
    return world.client.but(crls=(world.issuing.crl(world.client.chain[0]),))


@failure("crl_stale", "client")
def the_list_beside_it_is_stale() -> Material:
    world = World.make()
    return world.client.but(crls=(world.issuing.crl(start=-9, days=-1),))


@failure("no_subject_alternative_name", "server", "warning")
def the_server_has_no_names() -> Material:
    return present("server", World.make().issuing, HOST, dns=())


@failure("missing_intermediate", "client", "warning")
def the_intermediate_is_in_the_trust_file_only() -> Material:
    world = World.make()
    both = (world.root.certificate, world.issuing.certificate)
    return world.client.but(chain=world.client.chain[:1], anchors=both)


@failure("missing_intermediate", "client", "warning")
def the_intermediate_lies_beside_the_identity() -> Material:
    world = World.make()
    return world.client.but(
        chain=world.client.chain[:1], nearby=(("intermediate.pem", world.issuing.certificate),)
    )


@failure("rekeyed_authority", "client", "warning")
def the_trust_beside_it_has_another_key_of_the_authority() -> Material:
    again = Issuer.root("Acme Root CA")
    return present("client", Issuer.root("Acme Root CA")).but(anchors=(again.certificate,))


# -- with what the server asked for -------------------------------------------------------------------


@failure("missing_intermediate", "client")
def the_server_accepts_the_root_and_the_chain_stops_below() -> Material:
    world = World.make()
    return world.client.but(chain=world.client.chain[:1], request=accepting(world.root))


@failure("issuer_not_accepted", "client")
def the_server_accepts_somebody_elses_clients() -> Material:
    return World.make().client.but(request=accepting(Issuer.root("Globex")))


@failure("key_type_not_accepted", "client")
def the_server_accepts_no_signature_of_this_key() -> Material:
    request = CertificateRequest((), ("rsa_pss_rsae_sha256",))
    return World.make().client.but(request=request)


# -- with what the server presented -------------------------------------------------------------------


@failure("wrong_authority_in_trust", "client")
def the_client_trusts_another_authority_than_the_servers() -> Material:
    world = World.make()
    wrong = (Issuer.root("Globex").certificate,)
    return world.client.but(anchors=wrong, presented=world.server.chain)


@failure("unknown_authority", "server")
def the_server_presents_a_foreign_certificate() -> Material:
    foreign = present("server", Issuer.root("Globex"))
    world = World.make()
    both = (*world.client.anchors, world.issuing.certificate)
    return world.client.but(presented=foreign.chain, anchors=both)


@failure("missing_intermediate", "server")
def the_server_presents_its_leaf_only() -> Material:
    world = World.make()
    return world.client.but(presented=world.server.chain[:1])


@failure("hostname_mismatch", "server")
def the_server_presents_another_name() -> Material:
    world = World.make()
    server = present("server", world.issuing, dns=("other.example",))
    return world.client.but(presented=server.chain)


@failure("certificate_expired", "server")
def the_server_presents_an_expired_certificate() -> Material:
    world = World.make()
    return world.client.but(presented=present("server", world.issuing, start=-9, days=-2).chain)


@failure("wrong_purpose", "server")
def the_server_presents_a_clients_certificate() -> Material:
    world = World.make()
    return world.client.but(presented=present("server", world.issuing, purpose="client").chain)


@failure("certificate_revoked", "server")
def the_server_presents_a_revoked_certificate() -> Material:
    world = World.make()
    lists = (world.root.crl(), world.issuing.crl(world.server.chain[0]))
    return world.client.but(presented=world.server.chain, crls=lists)


@failure("wrong_purpose", "client")
def a_client_presented_a_server_only_certificate() -> Material:
    world = World.make()
    return world.server.but(presented=present("client", world.issuing, purpose="server").chain)


@failure("clock_skew", "server")
def the_date_of_the_server_is_a_year_behind() -> Material:
    return World.make().client.but(other_now=NOW - dt.timedelta(days=365))


@failure("clock_skew", "client")
def the_own_clock_is_a_year_behind() -> Material:
    return World.make().client.but(now=NOW - dt.timedelta(days=365), other_now=NOW)


@pytest.mark.parametrize("name", ALONE)
def test_the_first_finding_names_the_cause_and_the_side(name: str):
    build, severity, code, blame = ALONE[name]
    findings = examine(build())
    assert first(findings) == (severity, code, blame), [f"{f.code}: {f.summary}" for f in findings]


def test_what_the_server_trusts_cannot_be_told_from_the_clients_files():
    client = present("client", Issuer.root("Kappa")).but(anchors=(Issuer.root("Lambda").certificate,))
    findings = examine(client)
    assert [(f.severity, f.code) for f in findings] == [("info", "issuer_not_seen")]
    assert "run on the server" in findings[0].remedy
    assert verdict_of(findings) == "healthy"


def test_a_server_that_names_the_issuing_authority_needs_no_intermediate():
    world = World.make()
    client = world.client.but(chain=world.client.chain[:1], request=accepting(world.issuing))
    assert alarms(examine(client)) == []


def test_a_missing_intermediate_that_only_names_hint_at_says_what_else_it_could_be():
    findings = examine(the_server_accepts_the_root_and_the_chain_stops_below())
    assert "unknown_authority" in findings[0].also_possible


def test_nothing_at_all_is_nothing_to_complain_of():
    assert examine(Material("client")) == []


def test_a_program_dependent_warning_leaves_the_verdict_open():
    findings = examine(the_intermediate_is_in_the_trust_file_only())
    assert verdict_of(findings) == "undecided"
