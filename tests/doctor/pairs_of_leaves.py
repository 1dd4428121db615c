"""More failures with both sides' files: dates, algorithms, names, revocation, order and key."""

from __future__ import annotations

import datetime as dt
from itertools import chain as joined

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.doctor.pairs import Pair, failure
from tests.doctor.sides import HOST, World, present
from tests.pki import NOW, Issuer
from twoway.credential import generate_key
from twoway.wire.handshake import CertificateRequest

# -- dates --------------------------------------------------------------------------------------------


@failure("certificate_expired", "client")
def the_client_has_expired() -> Pair:
    world = World.make()
    return present("client", world.issuing, start=-10, days=-1), world.server


@failure("certificate_expired", "server")
def the_server_has_expired() -> Pair:
    world = World.make()
    return world.client, present("server", world.issuing, start=-10, days=-1)


@failure("certificate_not_yet_valid", "client")
def the_client_is_not_valid_yet() -> Pair:
    world = World.make()
    return present("client", world.issuing, start=2), world.server


@failure("intermediate_expired", "client")
def the_intermediate_of_the_client_has_expired() -> Pair:
    world = World.make()
    old = world.root.below("Acme Old CA", start=-10, days=-1)
    return present("client", old), world.server


@failure("intermediate_expired", "client")
def the_client_still_sends_an_intermediate_that_was_renewed() -> Pair:
    world = World.make()
    key = world.issuing.key
    old = world.root.below("Acme Issuing CA", key=key, organization="Acme", start=-10, days=-1)
    return present("client", old), world.server


@failure("clock_skew", "server")
def the_clock_of_the_server_is_behind() -> Pair:
    world = World.make()
    return world.client, world.server.but(now=NOW - dt.timedelta(days=400))


@failure("clock_skew", "client")
def the_clock_of_the_client_is_ahead() -> Pair:
    world = World.make()
    return world.client.but(now=NOW + dt.timedelta(days=60)), world.server


# -- algorithms ---------------------------------------------------------------------------------------


@failure("weak_algorithm", "client")
def the_client_has_rsa_of_1024_bits() -> Pair:
    world = World.make()
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return present("client", world.issuing, key=key), world.server


@failure("weak_algorithm", "server")
def the_server_is_signed_with_sha1() -> Pair:
    world = World.make()
    signed = present("server", world.issuing)
    weak = _signed_with_sha1(signed.chain[0], world.issuing)
    return world.client, signed.but(chain=(weak, *signed.chain[1:]))


def _signed_with_sha1(certificate: x509.Certificate, issuer: Issuer) -> x509.Certificate:
    """The library signs with SHA-1 no more: the algorithm's identifier is exchanged, and the bytes signed."""
    from cryptography.hazmat.primitives.asymmetric import ec

    sha256, sha1 = bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300906072a8648ce3d0401")
    body = certificate.tbs_certificate_bytes
    inner = body[4:].replace(sha256, sha1, 1)
    signed = b"\x30\x82" + len(inner).to_bytes(2, "big") + inner
    signature = issuer.key.sign(signed, ec.ECDSA(hashes.SHA1()))
    bits = b"\x03" + bytes([len(signature) + 1]) + b"\0" + signature
    whole = signed + sha1 + bits
    return x509.load_der_x509_certificate(b"\x30\x82" + len(whole).to_bytes(2, "big") + whole)


@failure("key_type_not_accepted", "client")
def the_server_accepts_no_such_key() -> Pair:
    world = World.make()
    request = CertificateRequest((), ("rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256"))
    return present("client", world.issuing, key_type="ed25519").but(request=request), world.server


@failure("key_type_not_accepted", "client")
def the_server_accepts_another_curve_only() -> Pair:
    world = World.make()
    request = CertificateRequest((), ("ecdsa_secp256r1_sha256",))
    return present("client", world.issuing, key_type="p384").but(request=request), world.server


# -- names --------------------------------------------------------------------------------------------


@failure("hostname_mismatch", "server")
def the_server_has_another_name() -> Pair:
    world = World.make()
    return world.client, present("server", world.issuing, dns=("other.acme.example",))


@failure("no_subject_alternative_name", "server")
def the_server_has_a_common_name_only() -> Pair:
    world = World.make()
    return world.client, present("server", world.issuing, HOST, dns=())


@failure("address_not_in_certificate", "server")
def the_server_is_called_by_its_address() -> Pair:
    world = World.make()
    return world.client.but(hostname="127.0.0.1"), world.server


@failure("address_not_in_certificate", "server")
def the_address_is_a_dns_name_in_the_certificate() -> Pair:
    world = World.make()
    return world.client.but(hostname="10.0.0.1"), present("server", world.issuing, dns=("10.0.0.1",))


@failure("wildcard_mismatch", "server")
def the_wildcard_is_one_label_short() -> Pair:
    world = World.make()
    return world.client.but(hostname="eu.orders.acme.example"), present(
        "server", world.issuing, dns=("*.acme.example",)
    )


# -- revocation ---------------------------------------------------------------------------------------


@failure("certificate_revoked", "client")
def the_client_is_revoked() -> Pair:
    world = World.make()
    lists = (world.root.crl(), world.issuing.crl(world.client.chain[0]))
    return world.client, world.server.but(crls=lists)


@failure("certificate_revoked", "client")
def the_intermediate_of_the_client_is_revoked() -> Pair:
    world = World.make()
    other = world.root.below("Acme Other CA")
    lists = (world.root.crl(other.certificate), world.issuing.crl(), other.crl())
    return present("client", other), world.server.but(crls=lists)


@failure("crl_stale", "server")
def the_list_of_the_server_is_stale() -> Pair:
    world = World.make()
    lists = (world.root.crl(), world.issuing.crl(start=-9, days=-1))
    return world.client, world.server.but(crls=lists)


@failure("crl_not_yet_valid", "server")
def the_list_of_the_server_begins_tomorrow() -> Pair:
    world = World.make()
    lists = (world.root.crl(), world.issuing.crl(start=1))
    return world.client, world.server.but(crls=lists)


@failure("crl_missing", "server")
def the_list_of_the_issuing_authority_is_missing() -> Pair:
    world = World.make()
    return world.client, world.server.but(crls=(world.root.crl(),))


@failure("crl_wrong_issuer", "server")
def the_list_is_of_another_authority() -> Pair:
    world = World.make()
    return world.client, world.server.but(crls=(Issuer.root("Globex").crl(),))


@failure("crl_bad_signature", "server")
def the_list_is_signed_by_another_key() -> Pair:
    world = World.make()
    lists = (world.root.crl(), world.issuing.crl(key=generate_key()))
    return world.client, world.server.but(crls=lists)


@failure("crl_unusable", "server")
def the_list_is_a_delta() -> Pair:
    world = World.make()
    delta = world.issuing.crl(extensions=((x509.DeltaCRLIndicator(1), True),))
    return world.client, world.server.but(crls=(world.root.crl(), delta))


# -- order and key ------------------------------------------------------------------------------------


@failure("key_mismatch", "client")
def the_key_is_of_another_certificate() -> Pair:
    from twoway.doctor.loading import from_bytes

    world = World.make()
    credential = world.client_credential
    other = world.issuing.leaf("billing")
    anchors = _pem(credential.anchors)
    loaded = from_bytes("client", cert=credential.certificate_pem(), key=other.key_pem(), ca=anchors)
    return loaded.but(now=NOW, hostname=HOST), world.server


@failure("chain_disordered", "client")
def the_issuer_comes_first_in_the_chain() -> Pair:
    world = World.make()
    return world.client.but(chain=tuple(reversed(world.client.chain))), world.server


def _pem(certificates: tuple[x509.Certificate, ...]) -> bytes:
    return b"".join(joined(c.public_bytes(Encoding.PEM) for c in certificates))
