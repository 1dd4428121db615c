"""Both sides' files are there: the first finding names the cause, and the side whose file must change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from itertools import chain as joined

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.doctor.sides import HOST, World, first, present, side
from tests.pki import NOW, Issuer, make
from twoway.credential import generate_key
from twoway.doctor.files import examine_pair
from twoway.doctor.material import Material
from twoway.wire.handshake import CertificateRequest

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


@pytest.mark.parametrize("name", FAILURES)
def test_the_first_finding_names_the_cause_and_the_side(name: str):
    build, code, blame = FAILURES[name]
    client, server = build()
    findings = examine_pair(client, server)
    expected = "warning" if code == "no_anchors" and server.anchors is None else "error"
    assert first(findings) == (expected, code, blame), [f"{f.code}: {f.summary}" for f in findings]
    assert findings[0].remedy
    assert findings[0].evidence


def test_the_same_question_gets_the_same_answer():
    client, server = the_client_sends_its_leaf_only()
    answers = {tuple(f.code for f in examine_pair(client, server)) for _ in range(50)}
    assert len(answers) == 1


def test_an_expired_intermediate_is_no_unknown_authority():
    client, server = the_intermediate_of_the_client_has_expired()
    codes = [f.code for f in examine_pair(client, server) if f.severity == "error"]
    assert codes == ["intermediate_expired"]


def test_the_names_that_a_server_accepts_are_told_as_people_read_them():
    world = World.make()
    foreign = Issuer.root("Globex Root CA")
    request = CertificateRequest((world.root.certificate.subject.public_bytes(),), ())
    client = present("client", foreign).but(request=request)
    finding = next(f for f in examine_pair(client, world.server) if f.code == "issuer_not_accepted")
    assert finding.evidence["expected"] == ["CN=Acme Root CA, O=Acme"]
    assert finding.evidence["presented"] == ["CN=Globex Root CA"]


def test_what_verifies_leniently_and_not_strictly_is_a_warning_with_the_rules():
    world = World.make()
    client = present("client", world.issuing, without=("aki",))
    findings = examine_pair(client, world.server)
    assert first(findings) == ("warning", "not_strict", "client")
    assert findings[0].evidence["rules"] == ["it has no authority key identifier (§4.2.1.1)"]


def test_what_is_not_strict_is_an_error_before_a_strict_judge():
    world = World.make()
    client = present("client", world.issuing, without=("aki",)).but(strict=True)
    assert first(examine_pair(client, world.server)) == ("error", "not_strict", "client")


def test_a_root_without_key_usage_is_the_trust_files_matter():
    loose = Issuer.root("Loose Root CA", without=("usage",))
    findings = examine_pair(present("client", loose), present("server", loose))
    assert {(f.severity, f.code) for f in findings} == {("warning", "not_strict")}
    assert {f.blame for f in findings} == {"client", "server"}


def test_an_intermediate_that_openssl_would_take_from_the_trust_file_is_a_warning():
    world = World.make()
    both = (world.root.certificate, world.issuing.certificate)
    client = world.client.but(chain=world.client.chain[:1], anchors=both)
    assert first(examine_pair(client, world.server)) == ("warning", "missing_intermediate", "client")


def test_an_intermediate_alone_in_the_trust_is_told_because_programs_differ():
    world = World.make()
    server = world.server.but(anchors=(world.issuing.certificate,))
    assert first(examine_pair(world.client, server)) == ("warning", "intermediate_as_anchor", "server")


def test_a_name_of_an_authority_that_does_not_decode_is_shown_as_bytes():
    world = World.make()
    request = CertificateRequest((b"\x30\x03abc",), ())
    findings = examine_pair(world.client.but(request=request), world.server)
    assert next(f for f in findings if f.code == "issuer_not_accepted").evidence["expected"] == ["3003616263"]


def test_both_sides_are_told_when_both_are_wrong():
    world = World.make()
    client = present("client", world.issuing, start=-10, days=-1)
    server = present("server", world.issuing, dns=("other.example",))
    found = {(f.code, f.blame) for f in examine_pair(client, server) if f.severity == "error"}
    assert found == {("certificate_expired", "client"), ("hostname_mismatch", "server")}


def test_a_finding_of_one_side_is_told_once():
    world = World.make()
    findings = examine_pair(world.client.but(chain=world.client.chain * 2), world.server)
    assert [f.code for f in findings].count("duplicate_certificate") == 1


def test_a_name_is_decoded_whatever_its_length():
    from twoway.doctor.names import decode_name

    for count in (1, 8, 20, 300):
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "unit " + "x" * 40)] * count)
        assert decode_name(name.public_bytes()) == name


def test_a_side_of_another_time_zone_is_judged_the_same():
    world = World.make()
    east = dt.timezone(dt.timedelta(hours=9))
    moved = side("client", world.client_credential, now=NOW.astimezone(east))
    assert [f for f in examine_pair(moved, world.server) if f.severity != "info"] == []
