"""Profiles that people write, and how a mistake in one is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tests.authority.conftest import DAY, NOW, check_told, extension, make_csr
from twoway.authority import Authority
from twoway.authority.profiles import BUILT_IN, Profile, Profiles, load
from twoway.authority.refusals import LifetimeRefused, NameNeeded, NameRefused, ProfileInvalid

ROBOT = """
purpose = ["client", "1.3.6.1.5.5.7.3.4"]
days = 7
max_days = 30
key_types = ["p256", "ed25519"]
key_usage = ["digital_signature", "key_agreement"]
require = ["uri"]
organization = "Acme Robots"
organizational_unit = "R2"

[names]
dns = ["*.robots.acme.example"]
ip = ["10.0.0.0/8", "2001:db8::7"]
uri = ["spiffe://acme.example/robots/**"]
cn = ["r*"]
"""


@pytest.fixture
def robots(authority: Authority) -> Authority:
    (authority.directory / "profiles" / "robot.toml").write_text(ROBOT)
    return authority


def test_a_profile_of_ones_own_decides_everything(robots: Authority) -> None:
    leaf = robots.issue(
        "robot",
        "r2",
        uri=["spiffe://acme.example/robots/r2"],
        dns=["r2.robots.acme.example"],
        ip=["10.1.2.3"],
        now=NOW,
    ).leaf
    assert leaf.subject.rfc4514_string() == "CN=r2,OU=R2,O=Acme Robots"
    assert leaf.not_valid_after_utc == NOW + 7 * DAY
    assert extension(leaf, x509.KeyUsage).value.key_agreement
    assert [oid.dotted_string for oid in extension(leaf, x509.ExtendedKeyUsage).value] == [
        "1.3.6.1.5.5.7.3.2",
        "1.3.6.1.5.5.7.3.4",
    ]
    assert robots.profiles == ("server", "client", "peer", "robot")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("dns", "a.b.robots.acme.example"),
        ("dns", "robots.acme.example"),
        ("ip", "11.0.0.1"),
        ("ip", "2001:db8::8"),
        ("uri", "spiffe://acme.example/people/kim"),
        ("email", "r2@robots.acme.example"),
    ],
)
def test_every_kind_of_name_in_a_request_is_judged(robots: Authority, kind: str, name: str) -> None:
    """IP ranges too, and kinds for which nothing is written."""
    wanted = {"uri": ["spiffe://acme.example/robots/r2"], kind: [name]}
    with pytest.raises(NameRefused) as refused:
        robots.issue("robot", "Robot r2", **wanted, now=NOW)
    assert (refused.value.kind, refused.value.name) == (kind, name)
    assert "the profile robot allows" in refused.value.why
    assert robots.list() == ()


def test_the_common_name_is_judged_too(robots: Authority) -> None:
    """A common name is taken for an identity by some, so it is one: it matches, or it is an alternative name."""
    uri = x509.UniformResourceIdentifier("spiffe://acme.example/robots/r2")
    with pytest.raises(NameRefused) as refused:
        robots.sign(make_csr("admin", others=(uri,)), profile="robot", now=NOW)
    assert (refused.value.kind, refused.value.name) == ("common", "admin")
    assert robots.sign(make_csr("r2", others=(uri,)), profile="robot", now=NOW)
    assert robots.sign(make_csr(None, others=(uri,)), profile="robot", now=NOW)


def test_a_name_that_the_profile_requires_is_missed(robots: Authority) -> None:
    with pytest.raises(NameNeeded, match="a name of kind uri"):
        robots.sign(make_csr("r2"), profile="robot", now=NOW)


def test_the_profiles_own_limit_is_said(robots: Authority) -> None:
    with pytest.raises(LifetimeRefused) as refused:
        robots.issue(
            "robot", "r2.robots.acme.example", uri=["spiffe://acme.example/robots/r2"], days=31, now=NOW
        )
    assert (refused.value.latest, refused.value.limit) == (NOW + 30 * DAY, "the profile robot")


def test_a_file_takes_the_place_of_a_built_in_profile(authority: Authority) -> None:
    (authority.directory / "profiles" / "client.toml").write_text('purpose = ["client"]\ndays = 1\n')
    assert authority.issue_client("orders", now=NOW).not_after == NOW + DAY


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('purpose = ["client"]\ndays = 0', "line 2, days", "greater than or equal to 1"),
        ('purpose = ["client"]\n\ndyas = 3', "line 3, dyas", "Extra inputs are not permitted"),
        ('purpose = ["cleint"]', "line 1, purpose[0]", "expected server, client or an object identifier"),
        ('purpose = ["1.3.6.1.5.5.7.3.9"]', "line 1, purpose[0]", "OCSPSigning is never given"),
        ('purpose = ["2.5.29.37.0"]', "line 1, purpose[0]", "anyExtendedKeyUsage is never given"),
        ("purpose = []", "line 1, purpose", "at least 1 item"),
        ("days = 3", "purpose", "Field required"),
        ('purpose = ["client"]\nkey_types = ["rsa512"]', "line 2, key_types[0]", "expected one of p256"),
        ('purpose = ["client"]\nkey_usage = ["key_cert_sign"]', "line 2, key_usage[0]", "Input should be"),
        ('purpose = ["client"]\n[names]\nip = ["10.0.0.0/99"]', "line 3, names.ip[0]", "does not appear"),
        ('purpose = ["client"]\ndays = 9\nmax_days = 3', "", "days = 9 is more than max_days = 3"),
        ('purpose = ["client"]\norganization = "  "', "line 2, organization", "expected 1 to 64 octets"),
        ("purpose = [", "", "at end of document"),
        ("purpose = 1\nx = ?", "", "line 2"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, place: str, reason: str) -> None:
    path = tmp_path / "robot.toml"
    path.write_text(text)
    with pytest.raises(ProfileInvalid) as invalid:
        load(path)
    assert invalid.value.place == place
    assert reason in invalid.value.reason
    assert str(path) in str(invalid.value)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileInvalid, match="utf-8"):
        Profiles(tmp_path)["x"]


@given(st.text(max_size=120))
def test_any_text_is_a_profile_or_a_typed_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        assert isinstance(load(path), Profile)
    except ProfileInvalid as error:
        check_told(error)


def test_the_built_in_profiles_let_any_name_through() -> None:
    assert [profile.names for profile in BUILT_IN.values()] == [None] * 3
