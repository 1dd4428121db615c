"""Name constraints: obeyed when issuing, as strictly as a verifier would."""

from __future__ import annotations

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tests.authority.conftest import NOW, MakeAuthority, extension, make_csr
from twoway.authority import Constraints
from twoway.authority.refusals import NameRefused
from twoway.errors import UsageError

LIMITS = Constraints(
    permitted=("dns:acme.example", "ip:10.0.0.0/8", "uri:acme.example", "email:acme.example"),
    excluded=("dns:secret.acme.example", "ip:10.9.0.0/16"),
)


def test_constraints_are_critical_in_both_ca_certificates(make_authority: MakeAuthority) -> None:
    """RFC 5280 §4.2.1.10."""
    authority = make_authority(name_constraints=LIMITS)
    for certificate in (authority.root_certificate, authority.issuing_certificate):
        assert extension(certificate, x509.NameConstraints).critical
        assert Constraints.of(certificate) == LIMITS
    assert authority.name_constraints == LIMITS


@pytest.mark.parametrize(
    ("kind", "name", "allowed"),
    [
        ("dns", "acme.example", True),
        ("dns", "api.acme.example", True),
        ("dns", "API.ACME.example", True),
        ("dns", "notacme.example", False),
        ("dns", "acme.example.evil.test", False),
        ("dns", "secret.acme.example", False),
        ("dns", "x.secret.acme.example", False),
        ("dns", "*.acme.example", False),
        ("dns", "*.api.acme.example", True),
        ("ip", "10.1.2.3", True),
        ("ip", "10.9.2.3", False),
        ("ip", "11.1.2.3", False),
        ("ip", "2001:db8::1", False),
        ("uri", "spiffe://acme.example/orders", True),
        ("uri", "spiffe://x.acme.example/orders", False),
        ("uri", "https://acme.example.evil.test/", False),
        ("uri", "urn:uuid:0", False),
        ("email", "kim@acme.example", True),
        ("email", "kim@x.acme.example", False),
    ],
)
def test_a_name_is_inside_or_outside(kind: str, name: str, allowed: bool) -> None:
    assert (LIMITS.objection(kind, name) is None) is allowed


@pytest.mark.parametrize(
    ("tree", "kind", "name", "allowed"),
    [
        ("uri:.acme.example", "uri", "https://a.acme.example/", True),
        ("uri:.acme.example", "uri", "https://acme.example/", False),
        ("email:.acme.example", "email", "kim@a.acme.example", True),
        ("email:kim@acme.example", "email", "kim@acme.example", True),
        ("email:kim@acme.example", "email", "kit@acme.example", False),
        ("ip:2001:db8::/32", "ip", "2001:db8::1", True),
        ("dns:acme.example", "uri", "https://evil.test/", True),
    ],
)
def test_trees_of_each_kind_mean_what_rfc_5280_says(tree: str, kind: str, name: str, allowed: bool) -> None:
    assert (Constraints((tree,)).objection(kind, name) is None) is allowed


def test_an_excluded_tree_is_said(make_authority: MakeAuthority) -> None:
    authority = make_authority(name_constraints=LIMITS)
    with pytest.raises(NameRefused) as refused:
        authority.issue_server("x.secret.acme.example", now=NOW)
    assert refused.value.why == "the CA's name constraints exclude dns:secret.acme.example"


def test_names_from_requests_are_constrained_as_well(make_authority: MakeAuthority) -> None:
    authority = make_authority(name_constraints=LIMITS)
    with pytest.raises(NameRefused) as refused:
        authority.sign(
            make_csr("api", dns=("api.acme.example",), ip=("192.0.2.1",)), profile="server", now=NOW
        )
    assert (refused.value.kind, refused.value.name) == ("ip", "192.0.2.1")


def test_a_common_name_that_reads_like_a_host_is_constrained(make_authority: MakeAuthority) -> None:
    """Verifiers that find no DNS name among the alternatives look there."""
    authority = make_authority(name_constraints=["dns:acme.example"])
    uri = x509.UniformResourceIdentifier("spiffe://acme.example/x")
    with pytest.raises(NameRefused) as refused:
        authority.sign(make_csr("www.evil.test", others=(uri,)), profile="client", now=NOW)
    assert (refused.value.kind, refused.value.name) == ("common", "www.evil.test")


def test_a_client_called_by_a_plain_label_is_text_where_hosts_are_constrained(
    make_authority: MakeAuthority,
) -> None:
    authority = make_authority(name_constraints=["dns:acme.example"])
    assert authority.issue_client("orders", now=NOW).names.dns == ()
    with pytest.raises(NameRefused):
        authority.issue_server("orders", now=NOW)


@pytest.mark.parametrize(
    "tree",
    [
        "acme.example",
        "dns:",
        "host:acme.example",
        "ip:10.0.0.0/99",
        "uri:https://acme.example/",
        "ip:10.0.0.1/8",
    ],
)
def test_what_is_no_constraint_is_refused(tree: str) -> None:
    with pytest.raises(UsageError, match="is no name constraint"):
        Constraints((tree,))


@given(st.sampled_from(["dns", "ip", "uri", "email"]), st.text(max_size=30))
def test_any_text_is_a_constraint_or_a_typed_error(kind: str, text: str) -> None:
    try:
        constraints = Constraints((f"{kind}:{text}",))
    except UsageError:
        return
    assert constraints.objection("dns", "a.example") is None or kind == "dns"
