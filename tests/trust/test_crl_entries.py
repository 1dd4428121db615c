"""The entries of a revocation list: found by walking DER, and the same as the library finds them."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.pki import NOW, Issuer
from twoway.trust import Trust, verify
from twoway.trust.crl_entries import Entries, Unusable
from twoway.trust.revocation import RevocationList
from twoway.trust.revocation_faults import CertificateRevoked, CrlUnusable

ROOT = Issuer.root("Acme Root")
REASONS = [one for one in x509.ReasonFlags if one not in (x509.ReasonFlags.remove_from_crl,)]


def listed(
    entries: list[tuple[int, x509.ReasonFlags | None]],
    *extensions: tuple[x509.ExtensionType, bool],
    point: x509.IssuingDistributionPoint | None = None,
) -> x509.CertificateRevocationList:
    """A list of ROOT; `extensions` go onto its first entry."""
    built = []
    for number, (serial, reason) in enumerate(entries):
        one = (
            x509.RevokedCertificateBuilder()
            .serial_number(serial)
            .revocation_date(NOW - dt.timedelta(hours=number))
        )
        if reason is not None:
            one = one.add_extension(x509.CRLReason(reason), False)
        for extension, critical in extensions if not number else ():
            one = one.add_extension(extension, critical)
        built.append(one.build())
    builder = x509.CertificateRevocationListBuilder(
        ROOT.certificate.subject, NOW, NOW + dt.timedelta(days=1), [], built
    )
    if point is not None:
        builder = builder.add_extension(point, True)
    return builder.sign(ROOT.key, hashes.SHA256())


@given(
    st.lists(
        st.tuples(st.integers(1, 2**159 - 1), st.one_of(st.none(), st.sampled_from(REASONS))),
        max_size=12,
        unique_by=lambda e: e[0],
    )
)
def test_the_library_finds_the_same(entries: list[tuple[int, x509.ReasonFlags | None]]):
    crl = listed(entries)
    found = Entries(crl.tbs_certlist_bytes)
    assert set(found) == {entry.serial_number for entry in crl}
    for entry in crl:
        assert found.since(entry.serial_number) == entry.revocation_date_utc
        wanted = dict(entries)[entry.serial_number]
        assert found.reason(entry.serial_number) == (wanted.value if wanted is not None else "unspecified")


def test_an_entry_with_a_critical_extension_nobody_understands_spoils_the_list():
    """RFC 5280 §5.3: such a list MUST NOT be used to judge any certificate."""
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    with pytest.raises(Unusable, match="not understood"):
        Entries(listed([(1, None)], (odd, True)).tbs_certlist_bytes)
    assert 1 in Entries(listed([(1, None)], (odd, False)).tbs_certlist_bytes)


def test_an_entry_of_another_authority_spoils_the_list():
    issuer = x509.CertificateIssuer([x509.DirectoryName(ROOT.certificate.subject)])
    with pytest.raises(Unusable, match="indirect"):
        Entries(listed([(1, None)], (issuer, True)).tbs_certlist_bytes)


def test_a_spoiled_list_refuses_instead_of_clearing_anybody():
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    leaf = ROOT.leaf("orders")
    trust = Trust((ROOT.certificate,), (listed([(1, None)], (odd, True)),))
    with pytest.raises(CrlUnusable, match="not understood"):
        verify(leaf.chain, trust, purpose="client", now=NOW)


def test_a_list_of_a_relatively_named_point_clears_nobody():
    """Which certificates such a list speaks about is not worked out, so it speaks about none."""
    name = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shard 1")])
    point = x509.IssuingDistributionPoint(None, name, False, False, None, False, False)
    trust = Trust((ROOT.certificate,), (listed([], point=point),))
    with pytest.raises(CrlUnusable, match="named relatively"):
        verify(ROOT.leaf("orders").chain, trust, purpose="client", now=NOW)


def test_a_revoked_certificate_is_told_with_date_and_reason():
    leaf = ROOT.leaf("orders")
    crl = listed([(5, None), (leaf.chain[0].serial_number, x509.ReasonFlags.key_compromise)])
    with pytest.raises(CertificateRevoked) as caught:
        verify(leaf.chain, Trust((ROOT.certificate,), (crl,)), purpose="client", now=NOW)
    assert caught.value.reason == "keyCompromise"
    assert "keyCompromise" in str(caught.value)


@given(st.data())
def test_damaged_entries_are_unusable_or_read_and_nothing_else(data: st.DataObject):
    tbs = bytearray(listed([(1, None), (2**100, x509.ReasonFlags.superseded)]).tbs_certlist_bytes)
    for _ in range(data.draw(st.integers(1, 4))):
        tbs[data.draw(st.integers(0, len(tbs) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = Entries(bytes(tbs))
        for serial in found:
            found.since(serial), found.reason(serial)
    except Unusable:
        pass


def test_a_list_that_does_not_decode_is_a_problem_and_no_crash():
    crl = listed([(1, None)])
    der = crl.public_bytes(Encoding.DER)
    assert RevocationList(crl).problem is None
    spoiled = der.replace(b"\x17\x0d", b"\x16\x0d")  # no time where times stand
    try:
        again = x509.load_der_x509_crl(spoiled)
        assert RevocationList(again).problem is not None
    except ValueError:
        pass  # the library has refused it before us
