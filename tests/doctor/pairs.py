"""Failures where both sides' files are there: what is built, the code, and the side whose file must change."""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.doctor.sides import HOST, World, present
from tests.pki import NOW, Issuer, make
from twoway.credential import generate_key
from twoway.doctor.material import Material

Pair = tuple[Material, Material]
Failure = Callable[[], Pair]
FAILURES: dict[str, tuple[Failure, str, str]] = {}


def failure(code: str, blame: str) -> Callable[[Failure], Failure]:
    def registered(build: Failure) -> Failure:
        FAILURES[build.__name__] = (build, code, blame)
        return build

    return registered


def pair(client: Material | None = None, server: Material | None = None, world: World | None = None) -> Pair:
    world = world or World.make()
    return client or world.client, server or world.server


# -- where the chain leads ----------------------------------------------------------------------------


@failure("missing_intermediate", "client")
def the_client_sends_its_leaf_only() -> Pair:
    world = World.make()
    return world.client.but(chain=world.client.chain[:1]), world.server


@failure("missing_intermediate", "server")
def the_server_sends_its_leaf_only() -> Pair:
    world = World.make()
    return world.client, world.server.but(chain=world.server.chain[:1])


@failure("missing_intermediate", "client")
def one_of_two_intermediates_is_missing() -> Pair:
    world = World.make(path_length=1)
    lower = world.issuing.below("Acme Issuing CA for programs")
    client = present("client", lower)
    return client.but(chain=client.chain[:2]), world.server


@failure("missing_intermediate", "client")
def the_intermediate_lies_unused_beside_the_identity() -> Pair:
    root = Issuer.root("Kappa")
    issuing = root.below("Lambda")
    client = present("client", issuing)
    beside = (("intermediate.pem", issuing.certificate),)
    return client.but(chain=client.chain[:1], nearby=beside), present("server", issuing)


@failure("unknown_authority", "client")
def the_client_is_of_a_foreign_authority() -> Pair:
    world = World.make()
    foreign = present("client", Issuer.root("Globex Root CA"))
    return foreign.but(anchors=(world.root.certificate,)), world.server


@failure("unknown_authority", "server")
def the_server_is_of_a_foreign_authority() -> Pair:
    world = World.make()
    foreign = present("server", Issuer.root("Globex Root CA"))
    return world.client, foreign.but(anchors=(world.root.certificate,))


@failure("wrong_authority_in_trust", "server")
def the_server_trusts_another_authority() -> Pair:
    world = World.make()
    return world.client, world.server.but(anchors=(Issuer.root("Globex Root CA").certificate,))


@failure("wrong_authority_in_trust", "client")
def the_client_trusts_another_authority() -> Pair:
    world = World.make()
    return world.client.but(anchors=(Issuer.root("Globex Root CA").certificate,)), world.server


@failure("wrong_authority_in_trust", "server")
def the_server_loaded_its_own_authority_for_its_clients() -> Pair:
    clients, servers = Issuer.root("Acme Client CA"), Issuer.root("Acme Server CA")
    client = present("client", clients).but(anchors=(servers.certificate,))
    return client, present("server", servers).but(anchors=(servers.certificate,))


@failure("rekeyed_authority", "server")
def the_server_trusts_the_old_key_of_the_authority() -> Pair:
    old = Issuer.root("Acme Root CA", start=-100)
    new = Issuer.root("Acme Root CA")
    return present("client", new), present("server", new).but(anchors=(old.certificate,))


@failure("rekeyed_authority", "client")
def the_client_still_has_a_certificate_of_the_old_key() -> Pair:
    old = Issuer.root("Acme Root CA", start=-100)
    new = Issuer.root("Acme Root CA", start=-2)
    client = present("client", old, start=-50).but(anchors=(new.certificate,))
    return client, present("server", new)


@failure("rekeyed_authority", "client")
def the_client_sends_the_old_intermediate_with_a_new_leaf() -> Pair:
    world = World.make()
    renewed = world.root.below("Acme Issuing CA", organization="Acme")
    client = present("client", renewed)
    return client.but(chain=(client.chain[0], world.issuing.certificate)), world.server


@failure("self_signed", "client")
def the_client_is_self_signed() -> Pair:
    key = generate_key()
    world = World.make()
    lonely = Material("client", (make("lonely", key, None, purpose="client"),), key, world.client.anchors)
    return lonely.but(now=NOW, hostname=HOST), world.server


@failure("bad_signature", "client")
def the_client_certificate_was_changed() -> Pair:
    world = World.make()
    der = bytearray(world.client.chain[0].public_bytes(Encoding.DER))
    place = der.index(b"billing")
    der[place : place + 7] = b"BILLING"
    changed = x509.load_der_x509_certificate(bytes(der))
    return world.client.but(chain=(changed, *world.client.chain[1:])), world.server


# -- the trust slot -----------------------------------------------------------------------------------


@failure("own_leaf_in_trust", "client")
def the_client_trusts_its_own_leaf() -> Pair:
    world = World.make()
    return world.client.but(anchors=world.client.chain[:1]), world.server


@failure("anchor_not_authority", "server")
def the_server_trusts_a_leaf() -> Pair:
    world = World.make()
    stranger = world.issuing.leaf("somebody").chain[:1]
    return world.client, world.server.but(anchors=stranger)


@failure("no_anchors", "server")
def the_server_trusts_nobody() -> Pair:
    world = World.make()
    return world.client, world.server.but(anchors=())


@failure("anchor_expired", "server")
def the_root_that_the_server_trusts_has_expired() -> Pair:
    key = generate_key()
    old = Issuer.root("Acme Root CA", key=key, start=-100, days=-1)
    new = Issuer.root("Acme Root CA", key=key)
    return present("client", new), present("server", new).but(anchors=(old.certificate,))


# -- purpose ------------------------------------------------------------------------------------------


@failure("wrong_purpose", "client")
def the_client_has_a_server_only_certificate() -> Pair:
    world = World.make()
    return present("client", world.issuing, purpose="server"), world.server


@failure("wrong_purpose", "server")
def the_server_has_a_client_only_certificate() -> Pair:
    world = World.make()
    return world.client, present("server", world.issuing, purpose="client")


@failure("wrong_purpose", "client")
def the_client_has_a_code_signing_certificate() -> Pair:
    world = World.make()
    return present("client", world.issuing, purpose="other"), world.server


@failure("intermediate_wrong_purpose", "client")
def the_client_has_an_intermediate_for_servers_only() -> Pair:
    world = World.make()
    public = world.root.below("Acme Server Issuing CA", purpose="server")
    return present("client", public, purpose="peer"), world.server


@failure("key_usage_unfit", "client")
def the_client_may_not_sign() -> Pair:
    world = World.make()
    usage = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
    client = present("client", world.issuing, without=("usage",), extensions=((usage, True),))
    return client, world.server


@failure("not_an_authority", "client")
def the_client_was_issued_by_a_leaf() -> Pair:
    world = World.make()
    key = generate_key()
    leaf = Issuer(
        key, make("not a ca", key, world.issuing), (world.issuing.certificate, *world.issuing.above)
    )
    return present("client", leaf), world.server


@failure("not_an_authority", "server")
def the_intermediate_lacks_cert_sign() -> Pair:
    world = World.make()
    usage = x509.KeyUsage(True, False, False, False, False, False, True, False, False)
    weak = world.root.below(
        "Acme Weak CA", without=("usage",), extensions=((usage, True),), organization="Acme"
    )
    return world.client, present("server", weak)


@failure("path_length_exceeded", "client")
def the_chain_is_longer_than_the_path_length() -> Pair:
    world = World.make()
    return present("client", world.issuing.below("Acme Lower CA")), world.server


@failure("name_constraint_violated", "server")
def the_server_has_a_name_outside_the_constraints() -> Pair:
    world = World.make()
    only = x509.NameConstraints([x509.DNSName("globex.example")], None)
    narrow = world.root.below("Acme Narrow CA", constraints=only)
    return world.client, present("server", narrow)
