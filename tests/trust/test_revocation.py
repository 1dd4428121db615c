"""Revocation lists: what is on one refuses, what is missing or stale does what was stated."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.pki import NOW, Issuer
from twoway.credential import BadRevocationList, CredentialError, crls_from_pem
from twoway.errors import TwowayError
from twoway.trust import CertificateRevoked, CrlMissing, CrlStale, CrlUnusable, Trust, verify

ROOT = Issuer.root("Root")
ISSUING = ROOT.below("Issuing")
LEAF = ISSUING.leaf("orders")


def judged(
    *crls: x509.CertificateRevocationList, rule: str = "refuse", scope: str = "chain", now: dt.datetime = NOW
):
    trust = Trust((ROOT.certificate,), crls, rule, scope)  # type: ignore[arg-type]
    return verify(LEAF.chain, trust, purpose="client", now=now)


def refused(*crls: x509.CertificateRevocationList, **more) -> TwowayError:
    with pytest.raises(TwowayError) as caught:
        judged(*crls, **more)
    return caught.value


def test_who_is_on_no_list_is_good():
    assert judged(ISSUING.crl(), ROOT.crl()).revocation == "good"


def test_who_is_on_the_list_is_refused_with_time_and_reason():
    error = refused(ISSUING.crl(LEAF.leaf, reason=x509.ReasonFlags.key_compromise), ROOT.crl())
    assert isinstance(error, CertificateRevoked)
    assert error.reason == "keyCompromise"
    assert error.serial == f"{LEAF.leaf.serial_number:x}"
    assert error.revoked_at == NOW - dt.timedelta(hours=1)


def test_a_revoked_intermediate_takes_everybody_below_it_along():
    error = refused(ISSUING.crl(), ROOT.crl(ISSUING.certificate))
    assert isinstance(error, CertificateRevoked)
    assert error.subject == "Issuing"


def test_a_missing_list_refuses_and_is_named():
    error = refused(ROOT.crl())
    assert isinstance(error, CrlMissing)
    assert (error.subject, error.issuer) == ("orders", "CN=Issuing")
    assert isinstance(refused(ISSUING.crl()), CrlMissing)


def test_a_stale_list_refuses_with_both_times():
    error = refused(ISSUING.crl(start=-9, days=-2), ROOT.crl())
    assert isinstance(error, CrlStale)
    assert error.now == NOW


def test_a_list_of_the_future_is_not_used():
    assert isinstance(refused(ISSUING.crl(start=2), ROOT.crl()), CrlUnusable)


def test_who_was_revoked_stays_revoked_on_a_stale_list():
    error = refused(ISSUING.crl(LEAF.leaf, start=-9, days=-2), ROOT.crl(), rule="warn")
    assert isinstance(error, CertificateRevoked)


@pytest.mark.parametrize(
    "crls", [lambda: (ROOT.crl(),), lambda: (ISSUING.crl(start=-9, days=-2), ROOT.crl())]
)
def test_the_rule_warn_lets_pass_and_says_so(crls):
    verified = judged(*crls(), rule="warn")
    assert verified.revocation == "warned"
    assert len(verified.warnings) == 1


def test_the_scope_leaf_asks_for_the_leafs_list_only():
    assert judged(ISSUING.crl(), scope="leaf").revocation == "good"
    assert isinstance(refused(ISSUING.crl(LEAF.leaf), scope="leaf"), CertificateRevoked)


def test_of_several_lists_one_current_one_is_enough_and_any_entry_counts():
    old, new = ISSUING.crl(start=-9, days=-2), ISSUING.crl()
    assert judged(old, new, ROOT.crl()).revocation == "good"
    assert isinstance(refused(ISSUING.crl(LEAF.leaf, start=-3), new, ROOT.crl()), CertificateRevoked)


def test_a_list_signed_by_another_key_of_the_same_name_is_worth_nothing():
    """An authority of the same name, or one re-keyed: its list neither revokes nor clears."""
    other = Issuer.root("Root").below("Issuing")
    error = refused(other.crl(), ROOT.crl())
    assert isinstance(error, CrlUnusable)
    assert "another key" in error.reason
    assert judged(other.crl(LEAF.leaf), ISSUING.crl(), ROOT.crl()).revocation == "good"


@pytest.mark.parametrize(
    ("extension", "critical", "reason"),
    [
        (x509.DeltaCRLIndicator(1), True, "delta"),
        (x509.IssuingDistributionPoint(None, None, False, False, None, True, False), True, "indirect"),
        (
            x509.IssuingDistributionPoint(
                None, None, False, False, frozenset([x509.ReasonFlags.key_compromise]), False, False
            ),
            True,
            "split by reason",
        ),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True, "not understood"),
    ],
)
def test_lists_of_other_kinds_are_refused_by_name(extension: x509.ExtensionType, critical: bool, reason: str):
    error = refused(ISSUING.crl(extensions=((extension, critical),)), ROOT.crl())
    assert isinstance(error, CrlUnusable)
    assert reason in error.reason


def test_a_list_about_authorities_only_does_not_clear_a_leaf():
    only = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
    assert isinstance(refused(ISSUING.crl(extensions=((only, True),)), ROOT.crl()), CrlMissing)
    users = x509.IssuingDistributionPoint(None, None, True, False, None, False, False)
    assert judged(ISSUING.crl(extensions=((users, True),)), ROOT.crl()).revocation == "good"


def test_a_shard_speaks_for_its_own_certificates_only():
    def point(name: str) -> list[x509.GeneralName]:
        return [x509.UniformResourceIdentifier(f"http://crl.acme.example/{name}")]

    shard = ISSUING.leaf(
        "sharded",
        extensions=(
            (x509.CRLDistributionPoints([x509.DistributionPoint(point("1"), None, None, None)]), False),
        ),
    )
    trust = {}
    for name in ("1", "2"):
        scope = x509.IssuingDistributionPoint(point(name), None, False, False, None, False, False)
        trust[name] = Trust((ROOT.certificate,), (ISSUING.crl(extensions=((scope, True),)), ROOT.crl()))
    assert verify(shard.chain, trust["1"], purpose="client").revocation == "good"
    with pytest.raises(CrlMissing):
        verify(shard.chain, trust["2"], purpose="client")


def test_lists_load_from_pem_and_der_and_from_several_files(tmp_path):
    (tmp_path / "one.pem").write_bytes(ISSUING.crl().public_bytes(Encoding.PEM))
    (tmp_path / "two.crl").write_bytes(ROOT.crl().public_bytes(Encoding.DER))
    from twoway.credential import chain_pem

    (tmp_path / "ca.pem").write_bytes(chain_pem([ROOT.certificate]))
    trust = Trust.load(tmp_path / "ca.pem", crls=[tmp_path / "one.pem", tmp_path / "two.crl"])
    assert verify(LEAF.chain, trust, purpose="client").revocation == "good"


_REAL = ISSUING.crl(LEAF.leaf).public_bytes(Encoding.DER)


@given(st.integers(0, len(_REAL) - 1), st.integers(1, 255))
def test_a_changed_byte_ends_in_a_typed_error_or_a_list_that_is_not_believed(position: int, flip: int):
    changed = bytearray(_REAL)
    changed[position] ^= flip
    try:
        crls = crls_from_pem(bytes(changed))
    except CredentialError:
        return
    error = None
    try:
        judged(*crls, ROOT.crl())
    except TwowayError as raised:
        error = raised
    # Never "good": either it is not believed, or the change was outside what is signed and it still revokes.
    assert error is not None


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_no_list(data: bytes):
    with pytest.raises(CredentialError):
        crls_from_pem(b"\x30" + data)
    assert issubclass(BadRevocationList, CredentialError)
