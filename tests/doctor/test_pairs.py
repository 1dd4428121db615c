"""Both sides' files are there: the first finding names the cause, and the side whose file must change."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.doctor.pairs import FAILURES, the_client_sends_its_leaf_only
from tests.doctor.pairs_of_leaves import the_intermediate_of_the_client_has_expired
from tests.doctor.sides import World, first, present, side
from tests.pki import NOW, Issuer
from twoway.doctor.files import examine_pair
from twoway.wire.handshake import CertificateRequest


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
