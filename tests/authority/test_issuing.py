"""What a certificate says, whoever asked for it."""

from __future__ import annotations

import datetime
import ipaddress
import threading

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.authority.conftest import DAY, NOW, MakeAuthority, extension
from twoway.authority import Authority
from twoway.authority.refusals import KeyNotAccepted, LifetimeRefused, NameNeeded, NameRefused, ProfileUnknown
from twoway.credential import KEY_TYPES, UnsupportedKey, key_type_of
from twoway.errors import UsageError
from twoway.names import BadName

STORES = ("sqlite", "postgresql")

BOTH = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


@pytest.mark.parametrize(
    ("profile", "purposes"),
    [
        ("server", {ExtendedKeyUsageOID.SERVER_AUTH}),
        ("client", {ExtendedKeyUsageOID.CLIENT_AUTH}),
        ("peer", BOTH),
    ],
)
def test_a_profile_decides_the_purpose(authority: Authority, profile: str, purposes: set[object]) -> None:
    leaf = authority.issue(profile, "orders.acme.example", now=NOW).leaf
    usage = extension(leaf, x509.ExtendedKeyUsage)
    assert (usage.critical, set(usage.value)) == (False, purposes)


def test_a_leaf_says_that_it_is_none(authority: Authority) -> None:
    constraints = extension(authority.issue_client("orders", now=NOW).leaf, x509.BasicConstraints)
    assert (constraints.critical, constraints.value) == (
        True,
        x509.BasicConstraints(ca=False, path_length=None),
    )


def test_key_identifiers_point_from_the_leaf_to_its_issuer(authority: Authority) -> None:
    """RFC 5280 §4.2.1.1 and §4.2.1.2."""
    leaf = authority.issue_client("orders", now=NOW).leaf
    own = extension(authority.issuing_certificate, x509.SubjectKeyIdentifier).value
    assert extension(leaf, x509.AuthorityKeyIdentifier).value.key_identifier == own.digest
    assert len(extension(leaf, x509.SubjectKeyIdentifier).value.digest) == 20


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_every_key_type_is_certified_and_its_usage_fits(authority: Authority, key_type: str) -> None:
    """RSA and EC keys may also be sealed for; the others only sign (RFC 5280 §4.2.1.3)."""
    leaf = authority.issue_client("orders", key_type=key_type, now=NOW).leaf
    usage = extension(leaf, x509.KeyUsage)
    assert key_type_of(leaf.public_key()) == key_type
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert usage.value.key_encipherment is key_type.startswith("rsa")
    assert usage.value.key_agreement is key_type.startswith("p")


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("api.acme.example", x509.DNSName, "api.acme.example"),
        ("API.Acme.Example", x509.DNSName, "api.acme.example"),
        ("192.0.2.7", x509.IPAddress, ipaddress.ip_address("192.0.2.7")),
        ("2001:db8::7", x509.IPAddress, ipaddress.ip_address("2001:db8::7")),
        ("spiffe://acme.example/orders", x509.UniformResourceIdentifier, "spiffe://acme.example/orders"),
        ("kim@acme.example", x509.RFC822Name, "kim@acme.example"),
    ],
)
def test_a_name_becomes_an_alternative_name_of_its_kind(
    authority: Authority, name: str, kind: type[x509.GeneralName], value: object
) -> None:
    leaf = authority.issue_peer(name, dns=["x.example"], now=NOW).leaf
    assert value in extension(leaf, x509.SubjectAlternativeName).value.get_values_for_type(kind)


def test_plain_text_repeats_the_subject_where_verifiers_want_an_alternative_name(
    authority: Authority,
) -> None:
    """A directory name equal to the subject adds no name (RFC 5280 §4.2.1.6)."""
    leaf = authority.issue_client("Kim Doe, Orders", now=NOW).leaf
    alternatives = extension(leaf, x509.SubjectAlternativeName)
    assert list(alternatives.value) == [x509.DirectoryName(leaf.subject)]
    assert alternatives.critical is False


def test_the_subject_names_organisation_and_common_name_in_utf8(authority: Authority) -> None:
    leaf = authority.issue_client("Größe 7", now=NOW).leaf
    assert [(a.oid, a.value) for a in leaf.subject] == [
        (NameOID.ORGANIZATION_NAME, "Acme"),
        (NameOID.COMMON_NAME, "Größe 7"),
    ]


def test_names_are_normalised_and_listed_once(authority: Authority) -> None:
    names = authority.issue_server("A.example", dns=["a.example", "b.example", "B.EXAMPLE"], now=NOW).names
    assert names.dns == ("a.example", "b.example")


def test_a_long_name_is_an_alternative_name_only(authority: Authority) -> None:
    """A common name has at most 64 characters (RFC 5280 appendix A.1)."""
    long = "spiffe://acme.example/" + "x" * 60
    leaf = authority.issue_client(long, now=NOW).leaf
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME) == []
    with pytest.raises(NameRefused, match="has 70 octets, and 64 are the most"):
        authority.issue_client("Kim " + "x" * 66, now=NOW)


@pytest.mark.parametrize("name", ["", "   ", "a\tb", "a\x00b.example", "evil\n.example"])
def test_a_name_that_cannot_be_printed_is_refused(authority: Authority, name: str) -> None:
    with pytest.raises((NameRefused, BadName)):
        authority.issue_client(name, now=NOW)
    assert authority.list() == ()


def test_a_malformed_extra_name_is_refused_by_its_kind(authority: Authority) -> None:
    with pytest.raises(BadName) as bad:
        authority.issue_server("a.example", ip=["300.1.1.1"], now=NOW)
    assert bad.value.kind == "ip"


def test_a_server_needs_a_name_to_be_found_by(authority: Authority) -> None:
    """RFC 9525 §6.1: a host is looked for among the alternative names only."""
    with pytest.raises(NameNeeded) as needed:
        authority.issue_server("kim@acme.example", now=NOW)
    assert needed.value.profile == "server"


def test_a_single_label_is_enough_for_a_server(authority: Authority) -> None:
    assert authority.issue_server("localhost", now=NOW).names.dns == ("localhost",)


def test_wildcards_are_for_servers_alone(authority: Authority) -> None:
    assert authority.issue_server("*.acme.example", now=NOW).names.dns == ("*.acme.example",)
    with pytest.raises(NameRefused, match="the profile client has no wildcards"):
        authority.issue_client("*.acme.example", now=NOW)


@pytest.mark.parametrize(
    "name", ["spiffe://acme.example:8443/orders", "spiffe://Acme/orders/", "https://a b/", "://x"]
)
def test_what_is_meant_as_a_uri_and_is_none_is_no_common_name(authority: Authority, name: str) -> None:
    """It would be issued, and identify nobody."""
    with pytest.raises(BadName):
        authority.issue_client(name, now=NOW)


def test_a_spiffe_id_stands_alone_among_the_uris(authority: Authority) -> None:
    """X509-SVID §2: exactly one URI."""
    with pytest.raises(NameRefused, match="has no second URI"):
        authority.issue_client("spiffe://acme.example/a", uri=["https://acme.example/b"], now=NOW)


def test_without_days_a_leaf_lives_ninety_and_is_back_dated_by_five_minutes(authority: Authority) -> None:
    later = NOW + DAY
    leaf = authority.issue_client("orders", now=later).leaf
    assert leaf.not_valid_after_utc == later + 90 * DAY
    assert leaf.not_valid_before_utc == later - datetime.timedelta(minutes=5)


def test_a_leaf_is_never_valid_before_its_issuer(authority: Authority) -> None:
    issuer = authority.issuing_certificate
    leaf = authority.issue_client("orders", now=issuer.not_valid_before_utc).leaf
    assert leaf.not_valid_before_utc == issuer.not_valid_before_utc


def test_by_default_a_leaf_is_cut_to_the_end_of_its_issuer(make_authority: MakeAuthority) -> None:
    authority = make_authority(issuing_days=20)
    leaf = authority.issue_client("orders", now=NOW).leaf
    assert leaf.not_valid_after_utc == authority.issuing_certificate.not_valid_after_utc


def test_an_explicit_request_to_outlive_the_issuer_is_refused_with_the_maximum(
    make_authority: MakeAuthority,
) -> None:
    authority = make_authority(issuing_days=20)
    with pytest.raises(LifetimeRefused) as refused:
        authority.issue_client("orders", days=21, now=NOW)
    assert refused.value.latest == authority.issuing_certificate.not_valid_after_utc
    assert "2026-06-21" in str(refused.value)
    assert authority.issue_client("orders", days=20, now=NOW)


@pytest.mark.parametrize("days", [0, -3, float("inf"), float("nan"), 10**7])
def test_a_lifetime_that_is_none_is_refused(authority: Authority, days: float) -> None:
    with pytest.raises(UsageError, match="is no lifetime"):
        authority.issue_client("orders", days=days, now=NOW)


def test_a_fraction_of_a_day_is_a_lifetime(authority: Authority) -> None:
    leaf = authority.issue_client("orders", days=0.5, now=NOW).leaf
    assert leaf.not_valid_after_utc == NOW + DAY / 2


def test_an_unknown_profile_lists_the_known(authority: Authority) -> None:
    with pytest.raises(ProfileUnknown) as unknown:
        authority.issue("robot", "r2", now=NOW)
    assert unknown.value.known == ("server", "client", "peer")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", ".", "..", "", "client\0"])
def test_a_profile_name_never_leaves_the_directory(authority: Authority, name: str) -> None:
    with pytest.raises(ProfileUnknown):
        authority.issue(name, "orders", now=NOW)


def test_an_unknown_key_type_makes_no_key(authority: Authority) -> None:
    with pytest.raises(UnsupportedKey):
        authority.issue_client("orders", key_type="p521", now=NOW)
    assert authority.list() == ()


def test_serials_are_positive_of_twenty_octets_and_random(authority: Authority) -> None:
    """RFC 5280 §4.1.2.2; 158 bits of each are random."""
    serials = [authority.issue_client("orders", now=NOW).leaf.serial_number for _ in range(20)]
    assert len(set(serials)) == 20
    assert all(serial.bit_length() == 159 for serial in serials)


def test_identities_carry_the_chain_and_the_anchor(authority: Authority) -> None:
    identity = authority.issue_client("orders", now=NOW)
    assert identity.chain[1:] == (authority.issuing_certificate,)
    assert identity.anchors == (authority.root_certificate,)


def test_many_threads_issue_at_once_and_all_is_remembered(authority: Authority) -> None:
    issued: list[str] = []

    def work() -> None:
        for _ in range(5):
            issued.append(authority.issue_client("orders", now=NOW).fingerprint)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {record.fingerprint for record in authority.list()} == set(issued)
    assert len(issued) == 40
    assert authority.verify_audit().certificates == 40


def test_who_asked_is_remembered(authority: Authority) -> None:
    credential = authority.issue_client("orders", now=NOW, requested_by="kim via deploy")
    assert authority.show(credential).requested_by == "kim via deploy"
    assert [row.actor for row in authority.audit()][-1] == "kim via deploy"


def test_the_final_check_also_stops_what_a_profile_does_not_certify(make_authority: MakeAuthority) -> None:
    authority = make_authority()
    (authority.directory / "profiles" / "modern.toml").write_text(
        'purpose = ["client"]\nkey_types = ["ed25519"]\n'
    )
    assert authority.issue("modern", "orders", now=NOW).key_type == "ed25519"
    with pytest.raises(KeyNotAccepted) as refused:
        authority.issue("modern", "orders", key_type="p256", now=NOW)
    assert refused.value.args == ("p256", ("ed25519",))


def test_a_key_that_was_read_is_not_read_again_at_each_look(authority: Authority) -> None:
    """A service looks every few seconds whether its CAs are still the same; opening a key takes a third of one."""
    before = authority.cas.signer(authority.cas.issuing)
    authority.cas.reload()
    assert authority.cas.signer(authority.cas.issuing) is before
