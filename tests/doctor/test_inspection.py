"""`twoway inspect`: what a file is, what it says, and what is wrong with it for either use."""

from __future__ import annotations

import base64
import datetime as dt
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
)
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Command, judge
from tests.pki import NOW, Issuer
from twoway.credential import certificate_pem, chain_pem, generate_key, private_key_pem
from twoway.doctor.inspection import inspect_bytes, inspect_directory
from twoway.doctor.inspection.encodings import split
from twoway.doctor.inspection.prose import prose

ROOT = Issuer.root("Acme Root")
ISSUING = ROOT.below("Acme Issuing")
CLIENT = ISSUING.leaf("orders", uri=("spiffe://acme.example/orders",))
LEAF = CLIENT.chain[0]


def request() -> x509.CertificateSigningRequest:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "wanted")])
    )
    names = x509.SubjectAlternativeName([x509.DNSName("wanted.example")])
    return builder.add_extension(names, False).sign(generate_key("p256"), hashes.SHA256())


def response() -> bytes:
    return (
        ocsp.OCSPResponseBuilder()
        .add_response(
            LEAF,
            ISSUING.certificate,
            hashes.SHA256(),
            ocsp.OCSPCertStatus.GOOD,
            NOW,
            NOW + dt.timedelta(days=1),
            None,
            None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.NAME, ISSUING.certificate)
        .sign(ISSUING.key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def ocsp_request() -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(LEAF, ISSUING.certificate, hashes.SHA1())
    return builder.build().public_bytes(Encoding.DER)


KEY = CLIENT.private_key
KINDS = [
    ("certificate", certificate_pem(LEAF)),
    ("certificate", LEAF.public_bytes(Encoding.DER)),
    ("certificate", pkcs7.serialize_certificates([LEAF, ISSUING.certificate], Encoding.DER)),
    ("certificate", pkcs7.serialize_certificates([LEAF, ISSUING.certificate], Encoding.PEM)),
    ("certificate", CLIENT.to_pkcs12("open")),
    ("certificate request", request().public_bytes(Encoding.PEM)),
    ("certificate request", request().public_bytes(Encoding.DER)),
    ("revocation list", ISSUING.crl(LEAF).public_bytes(Encoding.PEM)),
    ("revocation list", ISSUING.crl(LEAF).public_bytes(Encoding.DER)),
    ("OCSP response", response()),
    ("OCSP request", ocsp_request()),
    ("private key", private_key_pem(KEY)),
    ("private key", KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())),
    ("public key", KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
    ("public key", KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
]


@pytest.mark.parametrize(("kind", "data"), KINDS, ids=[f"{kind}-{n}" for n, (kind, _) in enumerate(KINDS)])
def test_each_kind_of_file_is_recognised(kind: str, data: bytes):
    told = inspect_bytes(data, "file", passphrase=b"open")
    assert told.items[0].kind == kind
    assert told.readable
    told.as_dict()


def test_a_certificate_is_told_as_people_ask():
    (item,) = inspect_bytes(certificate_pem(LEAF), "cert.pem").items
    assert item.facts["subject"] == "CN=orders"
    assert item.facts["uri"] == ["spiffe://acme.example/orders"]
    assert item.facts["is"] == "a leaf"
    assert item.facts["usage"] == "clientAuth"
    assert str(item.facts["left"]).endswith("days")


def test_what_is_wrong_is_told_for_each_use():
    told = inspect_bytes(chain_pem(CLIENT.chain), "cert.pem")
    assert told.uses["client"] == []
    assert told.uses["server"][0].code == "wrong_purpose"
    old = ISSUING.leaf("old", start=-60, days=-30)
    told = inspect_bytes(chain_pem(old.chain), "old.pem")
    assert told.uses["client"][0].code == "certificate_expired"


def test_a_key_is_never_shown_and_a_sealed_one_says_so():
    sealed = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    told = inspect_bytes(sealed, "key.pem")
    assert told.faults[0].code == "key_encrypted"
    opened = inspect_bytes(sealed, "key.pem", passphrase=b"secret")
    assert opened.items[0].kind == "private key"
    number = KEY.private_numbers().private_value  # type: ignore[union-attr]
    assert f"{number:x}" not in str(opened.as_dict())


def test_a_directory_is_told_as_one_identity(tmp_path: Path):
    CLIENT.save(tmp_path / "orders")
    told = inspect_directory(tmp_path / "orders")
    assert [item.kind for item in told.items] == [
        "certificate",
        "certificate",
        "private key",
        "trusted authority",
    ]
    assert told.notes == ["chain: orders <- Acme Issuing"]
    (tmp_path / "orders" / "key.pem").write_bytes(private_key_pem(generate_key("p256")))
    assert "key_mismatch" in {
        one.code for found in inspect_directory(tmp_path / "orders").uses.values() for one in found
    } | {one.code for one in inspect_directory(tmp_path / "orders").faults}


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\xfe\xed\xfe\xed\0\0\0\2", "Java keystore"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b'{"certificate": "x"}', "JSON"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", "SSH"),
        (b"SQLite format 3\0", "NSS"),
        (b"\x0a\x0d\x0d\x0a", "capture"),
        (b"MIIB" * 40, "base64"),
        (b"", "nothing"),
        (b"hello\n", "text"),
        (bytes(range(128, 250)), "no DER"),
        (b"data:\n  tls.crt: TUlJ\n", "Kubernetes"),
    ],
)
def test_what_is_none_of_these_is_named_with_a_way_out(data: bytes, what: str):
    told = inspect_bytes(data, "file")
    assert (
        what
        in " ".join(
            [*told.notes, *(fault.summary for fault in told.faults), *(str(i.facts) for i in told.items)]
        )
        or told.faults
    )


DER = tuple(one.public_bytes(Encoding.DER) for one in (LEAF, ISSUING.certificate))


@pytest.mark.parametrize("lines", [base64.encodebytes, base64.b64encode], ids=["in lines", "in one"])
def test_base64_without_pem_lines_is_opened_and_said(lines: Callable[[bytes], bytes]):
    told = inspect_bytes(lines(DER[0]), "cert.txt")
    assert [item.facts["subject"] for item in told.items] == ["CN=orders"]
    assert told.notes[0].startswith("base64 without its PEM lines")
    assert told.uses["client"] == []


def test_der_objects_one_behind_the_other_are_all_told_and_judged_together():
    """X.690 §8.1: each says its own length. Most programs read no further than the first."""
    key = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    crl = ISSUING.crl(LEAF).public_bytes(Encoding.DER)
    told = inspect_bytes(b"".join((*DER, key, crl, b"\x30\x00")), "all.der")
    assert [item.kind for item in told.items] == [
        "certificate",
        "certificate",
        "private key",
        "revocation list",
        "DER object",
    ]
    assert told.notes[0].startswith("5 DER objects one behind the other")
    assert told.uses["client"] == []
    other = generate_key("p256").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    told = inspect_bytes(b"".join((*DER, other)), "all.der")
    assert [fault.code for fault in told.faults] == ["key_mismatch"]


def test_a_key_of_another_certificate_in_the_same_file_is_told():
    told = inspect_bytes(chain_pem(CLIENT.chain) + private_key_pem(generate_key("p256")), "both.pem")
    assert [fault.code for fault in told.faults] == ["key_mismatch"]
    assert "for a client: nothing else is wrong with it" in "\n".join(prose(told))
    assert inspect_bytes(chain_pem(CLIENT.chain) + private_key_pem(KEY), "both.pem").faults == []


def test_a_signature_algorithm_that_nobody_knows_is_told_by_its_number():
    strange = DER[0].replace(bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040309"))
    told = inspect_bytes(strange, "cert.der")
    assert told.items[0].facts["signature"] == "unknown (1.2.840.10045.4.3.9)"
    told.as_dict()


def test_bytes_behind_a_der_object_that_are_none_are_not_passed_over():
    told = inspect_bytes(DER[0] + b"\n\n", "cert.der")
    assert told.items or told.notes or told.faults
    assert split(DER[0] + b"\n\n") == ()


def test_a_pkcs7_bundle_is_not_blamed_for_its_order():
    """RFC 5652 §5.1: certificates are a set; DER sorts it."""
    for order in ([LEAF, ISSUING.certificate], [ISSUING.certificate, LEAF]):
        told = inspect_bytes(pkcs7.serialize_certificates(order, Encoding.DER), "bundle.p7b")
        assert [item.facts["subject"] for item in told.items] == ["CN=orders", "CN=Acme Issuing"]
        assert told.uses["client"] == []


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_what_is_split_is_what_was_joined(bodies: list[bytes]):
    parts = tuple(
        b"\x30" + (bytes([len(b)]) if len(b) < 128 else b"\x82" + len(b).to_bytes(2, "big")) + b
        for b in bodies
    )
    assert split(b"".join(parts)) == parts
    assert split(b"".join(parts) + b"\x30") == ()


@pytest.mark.parametrize(("kind", "data"), KINDS, ids=[f"{kind}-{n}" for n, (kind, _) in enumerate(KINDS)])
def test_every_kind_fits_on_eighty_columns(kind: str, data: bytes):
    lines = list(prose(inspect_bytes(data, "file", passphrase=b"open")))
    assert [line for line in lines if len(line) > 80] == []
    assert f"  1. {kind}" in lines


@given(st.binary(max_size=400))
def test_any_bytes_are_answered(data: bytes):
    inspect_bytes(data, "file").as_dict()
    inspect_bytes(b"\x30\x82" + data, "file").as_dict()
    inspect_bytes(
        b"-----BEGIN CERTIFICATE-----\n" + data + b"\n-----END CERTIFICATE-----\n", "file"
    ).as_dict()


@given(st.integers(0, len(LEAF.public_bytes(Encoding.DER)) - 1), st.integers(0, 255))
def test_a_damaged_certificate_is_answered(place: int, octet: int):
    der = bytearray(LEAF.public_bytes(Encoding.DER))
    der[place] = octet
    inspect_bytes(bytes(der), "file").as_dict()


@pytest.mark.judge
def test_openssl_says_the_same(tmp_path: Path):
    (tmp_path / "cert.pem").write_bytes(certificate_pem(LEAF))
    command = [
        judge("openssl"),
        "x509",
        "-in",
        str(tmp_path / "cert.pem"),
        "-noout",
        "-serial",
        "-enddate",
        "-fingerprint",
        "-sha256",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (item,) = inspect_bytes((tmp_path / "cert.pem").read_bytes(), "cert.pem").items
    serial = re.search(r"serial=(\w+)", said)
    assert serial is not None
    assert int(serial[1], 16) == int(str(item.facts["serial"]), 16)
    digest = re.search(r"Fingerprint=(\S+)", said)
    assert digest is not None
    assert digest[1].replace(":", "").lower() == item.facts["sha256"]
    until = item.facts["valid_until"]
    assert isinstance(until, dt.datetime)
    assert f"{until:%b} {until.day:2} {until:%H:%M:%S %Y} GMT" in said


def test_the_verb_reads_files_and_stdin(run_twoway: Command, tmp_path: Path):
    CLIENT.save(tmp_path / "orders")
    done = run_twoway("inspect", tmp_path / "orders", tmp_path / "orders" / "key.pem")
    assert done.returncode == 0, done.stderr
    assert "for a client: nothing is wrong with it" in done.stdout
    assert "for a server: error:" in done.stdout
    assert "public key sha256" in done.stdout
    assert run_twoway("inspect", "-", typed="no such thing").returncode == 1
    both = run_twoway("inspect", tmp_path / "missing", tmp_path / "orders" / "key.pem")
    assert both.returncode == 1
    assert "it cannot be read: No such file" in both.stdout
    assert "private key" in both.stdout
    as_json = run_twoway("inspect", tmp_path / "orders" / "cert.pem", "--json")
    assert '"kind": "certificate"' in as_json.stdout
