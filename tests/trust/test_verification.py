"""Chains that verify and chains that do not, each with its own reason."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conftest import judge
from tests.pki import NOW, Issuer, make
from twoway.credential import chain_pem
from twoway.errors import TwowayError
from twoway.trust import (
    AnchorNotAuthority,
    BadSignature,
    CertificateExpired,
    CertificateNotYetValid,
    HostnameMismatch,
    NameConstraintViolated,
    NoAnchors,
    NoCertificate,
    NotAnAuthority,
    NotStrict,
    OutOfBounds,
    Peer,
    Trust,
    UnknownAuthority,
    VerifiedChain,
    WeakAlgorithm,
    WrongPurpose,
    check_hostname,
    verify,
)

ROOT = Issuer.root("Acme Root", organization="Acme")
ISSUING = ROOT.below("Acme Issuing", organization="Acme")
TRUST = Trust((ROOT.certificate,))
KEY = ROOT.below("spare").key
Chain = tuple[x509.Certificate, ...]


def refused(chain: Chain, trust: Trust = TRUST, purpose: str = "client", **more: Any) -> TwowayError:
    with pytest.raises(TwowayError) as caught:
        verify(chain, trust, purpose=purpose, **more)  # type: ignore[arg-type]
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value)
    assert str(again) == str(caught.value)
    assert caught.value.remedy
    return caught.value


def test_a_good_chain_verifies_up_to_its_anchor():
    credential = ISSUING.leaf("orders")
    verified = verify(credential.chain, TRUST, purpose="client")
    assert verified.certificates == (credential.leaf, ISSUING.certificate, ROOT.certificate)
    assert verified.revocation == "unchecked"


def test_an_issuing_authority_may_be_the_anchor():
    chain = ISSUING.leaf("orders").chain
    assert verify(chain, Trust((ISSUING.certificate,)), purpose="client").certificates == chain


@pytest.mark.parametrize("purpose", ["client", "server"])
def test_a_leaf_without_extended_key_usage_serves_both_purposes(purpose: str):
    chain = ISSUING.leaf("orders", purpose="").chain
    assert verify(chain, TRUST, purpose=purpose).purpose == purpose  # type: ignore[arg-type]


def test_no_chain_at_all_is_no_certificate():
    assert refused(()).args == NoCertificate("client").args


def test_a_stranger_is_told_from_whom_he_comes_and_who_is_trusted():
    other = Issuer.root("Other Root", organization="Other").below("Other Issuing").leaf("x")
    error = refused(other.chain)
    assert isinstance(error, UnknownAuthority)
    assert error.why == "unknown"
    assert error.anchors == ("CN=Acme Root, O=Acme",)
    assert error.issuer == "CN=Other Root, O=Other"


def test_a_missing_intermediate_is_told_as_such():
    error = refused(ISSUING.leaf("orders").chain[:1])
    assert isinstance(error, UnknownAuthority)
    assert error.why == "missing_intermediate"
    assert "CN=Acme Issuing, O=Acme" in error.remedy


def test_an_authority_with_a_new_key_is_told_as_rekeyed():
    again = Issuer.root("Acme Root", organization="Acme")
    error = refused(again.leaf("orders").chain)
    assert isinstance(error, UnknownAuthority)
    assert error.why == "rekeyed"


def test_a_self_signed_leaf_is_told_as_such():
    leaf = make("orders", KEY, None, dns=("orders",), purpose="client")
    error = refused((leaf,))
    assert isinstance(error, UnknownAuthority)
    assert error.why == "self_signed"


def test_an_expired_leaf_is_told_with_both_times():
    error = refused(ISSUING.leaf("orders", start=-20, days=-1).chain)
    assert isinstance(error, CertificateExpired)
    assert error.subject == "orders"
    assert "ago" in str(error)


def test_an_expired_intermediate_is_named():
    late = ROOT.below("Late Issuing", start=-20, days=-1)
    error = refused(late.leaf("orders").chain)
    assert isinstance(error, CertificateExpired)
    assert error.subject == "Late Issuing"


def test_a_certificate_of_the_future_is_not_valid_yet():
    error = refused(ISSUING.leaf("orders", start=2).chain)
    assert isinstance(error, CertificateNotYetValid)
    verify(ISSUING.leaf("orders", start=2).chain, TRUST, purpose="client", now=NOW + dt.timedelta(days=3))


@pytest.mark.parametrize(
    ("purpose", "wanted", "has"), [("client", "clientAuth", "server"), ("server", "serverAuth", "client")]
)
def test_a_leaf_for_the_other_purpose_is_refused(purpose: str, wanted: str, has: str):
    error = refused(ISSUING.leaf("orders", purpose=has).chain, purpose=purpose)
    assert isinstance(error, WrongPurpose)
    assert (error.subject, error.wanted, error.has) == ("orders", wanted, (f"{has}Auth",))


def test_an_intermediate_that_may_only_issue_servers_is_the_one_named():
    """An EKU of serverAuth on an intermediate kills client authentication below it (RFC 5280 §4.2.1.12)."""
    narrow = ROOT.below("Narrow Issuing", purpose="server")
    error = refused(narrow.leaf("orders").chain)
    assert isinstance(error, WrongPurpose)
    assert error.subject == "Narrow Issuing"


def test_a_leaf_that_issues_is_no_authority():
    leaf = ISSUING.leaf("orders")
    fake = Issuer(leaf.private_key, leaf.leaf, (ISSUING.certificate, ROOT.certificate))
    assert isinstance(refused(fake.leaf("mallory").chain), NotAnAuthority)


def test_a_path_longer_than_allowed_is_refused():
    deeper = ISSUING.below("Too Deep")
    error = refused(deeper.leaf("orders").chain)
    assert isinstance(error, NotAnAuthority)
    assert "path" in error.reason


def test_a_changed_certificate_has_a_bad_signature():
    credential = ISSUING.leaf("orders")
    der = bytearray(
        credential.leaf.public_bytes(__import__("cryptography").hazmat.primitives.serialization.Encoding.DER)
    )
    der[-5] ^= 1
    changed = x509.load_der_x509_certificate(bytes(der))
    assert isinstance(refused((changed, *credential.chain[1:])), BadSignature)


@pytest.mark.parametrize(
    ("names", "fine"),
    [
        ({"dns": ("a.acme.example",)}, True),
        ({"dns": ("a.evil.example",)}, False),
        ({"dns": ("a.acme.example",), "email": ("kim@acme.example",)}, True),
        ({"dns": ("a.acme.example",), "email": ("kim@evil.example",)}, False),
        ({"dns": ("a.acme.example",), "ip": ("10.1.2.3",)}, True),
        ({"dns": ("a.acme.example",), "ip": ("192.0.2.1",)}, False),
        ({"dns": ("a.acme.example",), "uri": ("spiffe://acme.example/a",)}, True),
        ({"dns": ("a.acme.example",), "uri": ("spiffe://evil.example/a",)}, False),
    ],
)
def test_name_constraints_hold_for_every_kind_of_name(names: dict[str, tuple[str, ...]], fine: bool):
    import ipaddress

    constraints = x509.NameConstraints(
        [
            x509.DNSName("acme.example"),
            x509.RFC822Name("acme.example"),
            x509.IPAddress(ipaddress.ip_network("10.0.0.0/8")),
            x509.UniformResourceIdentifier("acme.example"),
        ],
        None,
    )
    chain = ROOT.below("Constrained", constraints=constraints).leaf("a", **names).chain  # type: ignore[arg-type]
    if fine:
        verify(chain, TRUST, purpose="client")
    else:
        assert isinstance(refused(chain), NameConstraintViolated)


@pytest.mark.parametrize("without", ["aki", "ski"])
def test_strict_verification_asks_for_key_identifiers(without: str):
    if without == "aki":
        chain = ISSUING.leaf("orders", without=("aki",)).chain
    else:
        chain = ROOT.below("Lax", without=("ski",)).leaf("orders").chain
    error = refused(chain)
    assert isinstance(error, NotStrict)
    assert "identifier" in error.rule.lower()


def test_weak_keys_and_signatures_are_refused():
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    leaf = make("orders", small, ISSUING, dns=("orders",), purpose="client")
    assert isinstance(refused((leaf, *ISSUING.chain)), WeakAlgorithm)
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    below = ROOT.below("Weak Issuing", key=weak)
    assert isinstance(refused(below.leaf("orders").chain), WeakAlgorithm)


def test_what_is_too_large_is_refused_before_any_signature_is_checked():
    assert isinstance(refused(ISSUING.leaf("orders").chain * 5), OutOfBounds)
    bulky = make(
        "orders",
        KEY,
        ISSUING,
        extensions=(
            (
                x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x04\x00" + bytes(70_000)),
                False,
            ),
        ),
    )
    assert isinstance(refused((bulky, *ISSUING.chain)), OutOfBounds)


@pytest.mark.parametrize(
    ("host", "fine"),
    [
        ("api.acme.example", True),
        ("API.ACME.EXAMPLE", True),
        ("x.wild.acme.example", True),
        ("x.y.wild.acme.example", False),
        ("127.0.0.1", True),
        ("::1", True),
        ("127.0.0.2", False),
        ("orders", False),
        ("acme.example\0.evil", False),
        ("", False),
    ],
)
def test_host_names_count_in_alternative_names_only(host: str, fine: bool):
    """The common name never counts (RFC 9525 §2)."""
    leaf = ISSUING.leaf(
        "orders", dns=("api.acme.example", "*.wild.acme.example"), ip=("127.0.0.1", "::1"), purpose="server"
    ).leaf
    if fine:
        check_hostname(leaf, host)
    else:
        with pytest.raises(HostnameMismatch) as caught:
            check_hostname(leaf, host)
        assert "api.acme.example" in caught.value.names


def test_trust_fails_closed(tmp_path: Path):
    leaf = ISSUING.leaf("orders").leaf
    with pytest.raises(NoAnchors):
        Trust(())
    with pytest.raises(AnchorNotAuthority):
        Trust((leaf,))
    (tmp_path / "leaf.pem").write_bytes(chain_pem([leaf]))
    (tmp_path / "empty.pem").write_bytes(b"")
    (tmp_path / "text.pem").write_bytes(b"nothing here\n")
    (tmp_path / "both.pem").write_bytes(chain_pem([ROOT.certificate, leaf]))
    for name, code in [
        ("leaf", "anchor_not_authority"),
        ("empty", "file_empty"),
        ("text", "no_certificate_found"),
        ("absent", "file_missing"),
        ("both", "anchor_not_authority"),
    ]:
        with pytest.raises(TwowayError) as caught:
            Trust.load(tmp_path / f"{name}.pem")
        assert caught.value.code == code
        assert f"{name}.pem" in str(caught.value)


def test_nobody_makes_a_verified_chain_or_a_peer_by_hand():
    verified = verify(ISSUING.leaf("orders").chain, TRUST, purpose="client")
    with pytest.raises(TypeError):
        VerifiedChain(verified.certificates, "client", "good")
    with pytest.raises(TypeError):
        Peer(**dict.fromkeys(Peer.__dataclass_fields__))
    peer = Peer.from_verified(verified)
    assert copy.copy(peer).fingerprint == peer.fingerprint
    with pytest.raises((TypeError, pickle.PicklingError, AttributeError)):
        pickle.dumps(peer)


def test_a_peer_tells_who_it_is():
    credential = ISSUING.leaf(
        "orders", dns=("orders.acme.example",), uri=("spiffe://acme.example/orders",), organization="Acme"
    )
    peer = Peer.from_verified(
        verify(credential.chain, TRUST, purpose="client"), tls_version="TLSv1.3", address="192.0.2.1:5"
    )
    assert peer.subject == "CN=orders, O=Acme"
    assert peer.spiffe_id == peer.describe() == "spiffe://acme.example/orders"
    assert peer.organizations == ("Acme",)
    assert peer.fingerprint == credential.fingerprint
    told = peer.as_dict()
    assert told["chain"] == ["CN=orders, O=Acme", "CN=Acme Issuing, O=Acme", "CN=Acme Root, O=Acme"]
    assert told["tls_version"] == "TLSv1.3"


def _table() -> list[tuple[str, Chain]]:
    wrong = Issuer.root("Other Root").below("Other Issuing")
    leaf = ISSUING.leaf("orders")
    fake = Issuer(leaf.private_key, leaf.leaf, (ISSUING.certificate, ROOT.certificate))
    p384 = Issuer.root("x").leaf
    assert p384
    return [
        ("good", leaf.chain),
        ("good rsa", ISSUING.leaf("r", key_type="rsa2048").chain),
        ("good ed25519", ISSUING.leaf("e", key_type="ed25519").chain),
        ("good p384", ISSUING.leaf("p", key_type="p384").chain),
        ("server only", ISSUING.leaf("s", purpose="server").chain),
        ("peer", ISSUING.leaf("b", purpose="peer").chain),
        ("no eku", ISSUING.leaf("n", purpose="").chain),
        ("other eku", ISSUING.leaf("o", purpose="other").chain),
        ("expired", ISSUING.leaf("l", start=-20, days=-1).chain),
        ("future", ISSUING.leaf("f", start=3).chain),
        ("stranger", wrong.leaf("x").chain),
        ("missing intermediate", leaf.chain[:1]),
        ("wrong intermediate", (leaf.leaf, *wrong.chain)),
        ("too deep", ISSUING.below("deep").leaf("d").chain),
        ("leaf as issuer", fake.leaf("m").chain),
        ("narrow intermediate", ROOT.below("Narrow", purpose="server").leaf("n").chain),
        ("expired intermediate", ROOT.below("Old", start=-20, days=-1).leaf("o").chain),
        ("no aki", ISSUING.leaf("a", without=("aki",)).chain),
        ("intermediate without ski", ROOT.below("NoSki", without=("ski",)).leaf("a").chain),
        ("intermediate without usage", ROOT.below("NoUsage", without=("usage",)).leaf("a").chain),
        ("intermediate without constraints", ROOT.below("NoBasic", without=("constraints",)).leaf("a").chain),
        ("constrained good", ROOT.below("C1", constraints=x509.NameConstraints([x509.DNSName("a.example")], None)).leaf("x", dns=("x.a.example",)).chain),
        ("constrained bad", ROOT.below("C2", constraints=x509.NameConstraints([x509.DNSName("a.example")], None)).leaf("x", dns=("x.b.example",)).chain),
        ("excluded", ROOT.below("C3", constraints=x509.NameConstraints(None, [x509.DNSName("a.example")])).leaf("x", dns=("x.a.example",)).chain),
        ("unknown critical", ISSUING.leaf("u", extensions=((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),)).chain),
        ("unknown uncritical", ISSUING.leaf("u", extensions=((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False),)).chain),
        ("sha384", ISSUING.leaf("h", digest=hashes.SHA384()).chain),
        ("self-signed leaf", (make("orders", KEY, None, dns=("orders",), purpose="client"),)),
        ("rekeyed root", Issuer.root("Acme Root", organization="Acme").leaf("orders").chain),
        ("directly below the root", ROOT.leaf("direct").chain),
        ("unrelated certificates besides", (*leaf.chain, wrong.certificate)),
    ]  # fmt: skip


@pytest.mark.judge
@pytest.mark.parametrize("purpose", ["client", "server"])
def test_openssl_gives_the_same_verdict_on_every_chain(tmp_path: Path, purpose: str):
    """openssl verify -x509_strict -partial_chain judges the same table; every disagreement is listed."""
    openssl = judge("openssl")
    (tmp_path / "ca.pem").write_bytes(chain_pem([ROOT.certificate]))
    differ = []
    table = _table()
    assert len(table) >= 30
    for name, chain in table:
        (tmp_path / "leaf.pem").write_bytes(chain_pem(chain[:1]))
        (tmp_path / "more.pem").write_bytes(chain_pem(chain[1:]))
        more = ["-untrusted", tmp_path / "more.pem"] if chain[1:] else []
        done = subprocess.run(
            [openssl, "verify", "-x509_strict", "-partial_chain", "-purpose", f"ssl{purpose}", "-CAfile", tmp_path / "ca.pem",
             "-no-CApath", "-no-CAstore", *more, tmp_path / "leaf.pem"],
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        try:
            verify(chain, TRUST, purpose=purpose)  # type: ignore[arg-type]
            ours = "ok"
        except TwowayError as error:
            ours = error.code
        if (done.returncode == 0) != (ours == "ok"):
            differ.append((name, ours, done.stderr.strip()))
    assert differ == []
