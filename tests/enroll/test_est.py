"""EST (RFC 7030): every operation, every right, and two other programs that enrol by it."""

from __future__ import annotations

import base64
import email
import subprocess
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key, pkcs7
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import judge
from tests.enroll.conftest import Served
from twoway.credential import (
    certificate_pem,
    common_name,
    generate_key,
    names_of,
    private_key_pem,
)
from twoway.enroll.asking import signing_request
from twoway.enroll.est_accounts import EstAccounts, EstAccountsUnusable
from twoway.errors import UsageError

EST = "/.well-known/est"
TYPE = {"content-type": "application/pkcs10", "content-transfer-encoding": "base64"}
KEY = generate_key("p256")
PROFILE = 'purpose = ["client"]\n[names]\ncn = ["device-*"]\ndns = ["device-*"]\n'


def request(name: str | None = "device-1") -> bytes:
    return base64.b64encode(signing_request(KEY, name))


def basic(name: str, password: str) -> dict[str, str]:
    return {**TYPE, "authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def certificates(answer: Any) -> list[x509.Certificate]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pkcs7-mime; smime-type=certs-only"
    assert b"\n" not in answer.content  # RFC 8951 §3.1
    return pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.content))


@pytest.fixture
def factory(service: Served) -> dict[str, str]:
    """The headers of a factory that may enrol devices."""
    (service.authority.directory / "profiles" / "device.toml").write_text(PROFILE)
    password = EstAccounts(service.authority.directory).add("factory", "device")
    return basic("factory", password)


def test_the_authorities_certificates_are_for_everybody(service: Served):
    found = certificates(service.call("GET", f"{EST}/cacerts"))
    # A SET OF has an order of its own in DER.
    assert set(found) == {service.authority.issuing_certificate, service.authority.root_certificate}


def test_an_account_enrols_what_its_profile_allows_and_nothing_else(service: Served, factory: dict[str, str]):
    (leaf,) = certificates(service.call("POST", f"{EST}/simpleenroll", content=request(), headers=factory))
    assert common_name(leaf.subject) == "device-1"
    assert leaf.public_key() == KEY.public_key()
    record = service.authority.show(leaf)
    assert (record.profile, record.requested_by) == ("device", "factory (EST password)")
    refused = service.call("POST", f"{EST}/simpleenroll", content=request("admin"), headers=factory)
    assert (refused.status_code, refused.json()["code"]) == (403, "request_name_refused")


def test_an_account_cannot_choose_another_profile_by_a_label(service: Served, factory: dict[str, str]):
    assert certificates(
        service.call("POST", f"{EST}/device/simpleenroll", content=request(), headers=factory)
    )
    refused = service.call("POST", f"{EST}/peer/simpleenroll", content=request(), headers=factory)
    assert (refused.status_code, refused.json()["code"]) == (403, "call_not_permitted")


@pytest.mark.parametrize(
    "headers", [{}, basic("factory", "wrong"), basic("nobody", "x"), {"authorization": "Basic ?"}]
)
def test_who_has_no_right_is_asked_for_a_password(
    service: Served, factory: dict[str, str], headers: dict[str, str]
):
    answer = service.call("POST", f"{EST}/simpleenroll", content=request(), headers={**TYPE, **headers})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_an_account_that_was_removed_is_refused_at_once(service: Served, factory: dict[str, str]):
    assert certificates(service.call("POST", f"{EST}/simpleenroll", content=request(), headers=factory))
    EstAccounts(service.authority.directory).remove("factory")
    assert service.call("POST", f"{EST}/simpleenroll", content=request(), headers=factory).status_code == 401


def test_a_token_works_once_as_bearer_or_as_password(service: Served):
    now = service.running.service.now()
    for kind in ("bearer", "password"):
        token = service.authority.tokens.make("client", "orders", audience="est", actor="tester", now=now)
        headers = (
            {**TYPE, "authorization": f"Bearer {token.text}"}
            if kind == "bearer"
            else basic("any", token.text)
        )
        (leaf,) = certificates(
            service.call("POST", f"{EST}/simpleenroll", content=request(None), headers=headers)
        )
        assert common_name(leaf.subject) == "orders"
        again = service.call("POST", f"{EST}/simpleenroll", content=request(None), headers=headers)
        assert (again.status_code, again.json()["code"]) == (403, "token_spent")


def test_a_token_for_enroll_is_worth_nothing_here(service: Served):
    """A credential of one kind at the other kind's endpoint (CVE-2025-44005)."""
    now = service.running.service.now()
    token = service.authority.tokens.make("client", "orders", audience="enroll", actor="tester", now=now)
    for headers in ({**TYPE, "authorization": f"Bearer {token.text}"}, basic("any", token.text)):
        answer = service.call("POST", f"{EST}/simpleenroll", content=request(None), headers=headers)
        assert answer.status_code == 401


def test_a_requester_enrols_and_a_mere_identity_does_not(service: Served):
    requester = service.authority.issue_client("requester")
    (leaf,) = certificates(
        service.call("POST", f"{EST}/simpleenroll", requester, content=request("orders"), headers=TYPE)
    )
    assert service.authority.show(leaf).profile == "client"
    orders = service.authority.issue_client("billing")
    answer = service.call("POST", f"{EST}/simpleenroll", orders, content=request(), headers=TYPE)
    assert (answer.status_code, answer.json()["code"]) == (403, "call_not_permitted")


def test_a_certificate_makes_its_successor_and_for_no_other_name(service: Served):
    held = service.authority.issue_client("orders", uri=["spiffe://acme.example/orders"])
    (leaf,) = certificates(
        service.call("POST", f"{EST}/simplereenroll", held, content=request("orders"), headers=TYPE)
    )
    assert names_of(leaf) == held.names
    assert service.authority.show(leaf).renews == f"{held.leaf.serial_number:x}"
    other = service.call("POST", f"{EST}/simplereenroll", held, content=request("billing"), headers=TYPE)
    assert (other.status_code, other.json()["code"]) == (403, "request_name_refused")
    nobody = service.call("POST", f"{EST}/simplereenroll", content=request("orders"), headers=TYPE)
    assert nobody.status_code == 401


def test_a_key_that_is_made_here_comes_with_its_certificate_and_is_not_kept(
    service: Served, factory: dict[str, str]
):
    answer = service.call("POST", f"{EST}/serverkeygen", content=request(), headers=factory)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    kind = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(kind + answer.content).get_payload()
    assert isinstance(parts, list)
    private, bundle = (part for part in parts if isinstance(part, Message))
    assert private.get_content_type() == "application/pkcs8"
    key = load_der_private_key(private.get_payload(decode=True), None)  # type: ignore[arg-type]
    (leaf,) = pkcs7.load_der_pkcs7_certificates(bundle.get_payload(decode=True))  # type: ignore[arg-type]
    assert leaf.public_key() == key.public_key() != KEY.public_key()
    assert common_name(leaf.subject) == "device-1"
    secret = key.private_numbers().private_value.to_bytes(32)  # type: ignore[union-attr]
    stored = b"".join(each.read_bytes() for each in service.authority.directory.rglob("*") if each.is_file())
    assert secret not in stored
    assert base64.b64encode(secret)[3:40] not in stored


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ('["p256", "rsa2048"]', "1.2.840.10045.3.1.7"),
        ('["rsa3072", "rsa4096"]', "1.2.840.113549.1.1.1"),
        ('["ed25519"]', None),
    ],
)
def test_clients_are_told_which_key_the_profile_wants(service: Served, types: str, expected: str | None):
    (service.authority.directory / "profiles" / "odd.toml").write_text(
        f'purpose = ["client"]\nkey_types = {types}\n'
    )
    answer = service.call("GET", f"{EST}/odd/csrattrs")
    if expected is None:
        assert answer.status_code == 204
        return
    assert answer.headers["content-type"] == "application/csrattrs"
    arcs = x509.ObjectIdentifier(expected)
    from twoway.authority import der

    assert der.oid(arcs.dotted_string) in base64.b64decode(answer.content)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"?" * 10, 400), (base64.b64encode(b"0\x03\x02\x01\x05"), 400), (b"A" * 200_000, 413)],
)
def test_what_is_no_request_is_told_so(service: Served, factory: dict[str, str], body: bytes, status: int):
    answer = service.call("POST", f"{EST}/simpleenroll", content=body, headers=factory)
    assert answer.status_code == status
    assert answer.json()["remedy"]


def test_pem_and_line_breaks_are_taken_too(service: Served, factory: dict[str, str]):
    der = signing_request(KEY, "device-1")
    pem = x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)
    for body in (pem, der, base64.encodebytes(der)):
        assert certificates(service.call("POST", f"{EST}/simpleenroll", content=body, headers=factory))


# -- accounts


def test_a_password_is_kept_nowhere_and_its_file_is_the_owners(tmp_path: Path):
    accounts = EstAccounts(tmp_path)
    password = accounts.add("factory", "client")
    path = tmp_path / "est-accounts.json"
    assert password not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert accounts.find("factory", password) is not None
    assert accounts.find("factory", password + "x") is None
    assert accounts.find("factory2", password) is None
    assert accounts.add("factory", "client") != password
    assert EstAccounts(tmp_path).find("factory", password) is None


@pytest.mark.parametrize("name", ["", "a b", "a:b", "x" * 65, "é"])
def test_a_name_that_basic_could_not_carry_is_refused(tmp_path: Path, name: str):
    with pytest.raises(UsageError):
        EstAccounts(tmp_path).add(name, "client")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60))
def test_a_broken_file_lets_nobody_in(tmp_path: Path, data: bytes):
    (tmp_path / "est-accounts.json").write_bytes(data)
    try:
        assert EstAccounts(tmp_path).find("factory", "password") is None
    except EstAccountsUnusable as error:
        assert error.remedy


# -- judges


class Device:
    """A place with what a device has before it enrols."""

    def __init__(self, service: Served, place: Path) -> None:
        self.service, self.place = service, place
        for name, certificate in (
            ("root", service.authority.root_certificate),
            ("issuing", service.authority.issuing_certificate),
        ):
            (place / f"{name}.pem").write_bytes(certificate_pem(certificate))
        (place / "key.pem").write_bytes(private_key_pem(KEY))
        self.request("device-1")

    def request(self, name: str) -> None:
        csr = x509.load_der_x509_csr(signing_request(KEY, name))
        (self.place / "req.pem").write_bytes(csr.public_bytes(Encoding.PEM))

    def run(self, *command: str) -> bytes:
        done = subprocess.run(command, cwd=self.place, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        return done.stdout


@pytest.fixture
def device(service: Served, tmp_path: Path) -> Device:
    place = tmp_path / "device"
    place.mkdir()
    return Device(service, place)


@pytest.mark.judge
def test_strongswan_gets_the_authorities_enrols_and_enrols_again(
    device: Device, factory: dict[str, str], service: Served
):
    pki = judge("pki")
    password = base64.b64decode(factory["authorization"].removeprefix("Basic ")).decode()
    anchors = ("--cacert", "root.pem", "--cacert", "issuing.pem")
    device.run(
        pki, "--estca", "--url", service.url, "--cacert", "root.pem", "--caout", "ca-", "--outform", "pem"
    )
    assert (device.place / "ca-.pem").exists()
    first = device.run(
        pki,
        "--est",
        "--url",
        service.url,
        "--in",
        "req.pem",
        *anchors,
        "--userpass",
        password,
        "--outform",
        "pem",
    )
    (device.place / "first.pem").write_bytes(first)
    leaf = x509.load_pem_x509_certificate(first)
    assert common_name(leaf.subject) == "device-1"
    again = device.run(
        pki, "--est", "--url", service.url, "--in", "req.pem", *anchors,
        "--cert", "first.pem", "--key", "key.pem", "--outform", "pem",
    )  # fmt: skip
    second = x509.load_pem_x509_certificate(again)
    assert service.authority.show(second).renews == f"{leaf.serial_number:x}"


@pytest.mark.judge
def test_curl_and_openssl_enrol(device: Device, factory: dict[str, str], service: Served):
    openssl, curl = judge("openssl"), judge("curl")
    password = base64.b64decode(factory["authorization"].removeprefix("Basic ")).decode()
    device.run(
        openssl,
        "req",
        "-new",
        "-key",
        "key.pem",
        "-subj",
        "/CN=device-1",
        "-outform",
        "DER",
        "-out",
        "req.der",
    )
    device.run(openssl, "base64", "-in", "req.der", "-out", "req.b64")
    device.run(
        curl, "-sS", "--fail", "--cacert", "root.pem", "-u", password, "--data-binary", "@req.b64",
        "-H", "Content-Type: application/pkcs10", "-o", "answer.b64", f"{service.url}{EST}/simpleenroll",
    )  # fmt: skip
    device.run(openssl, "base64", "-d", "-A", "-in", "answer.b64", "-out", "answer.p7")
    device.run(openssl, "pkcs7", "-inform", "DER", "-in", "answer.p7", "-print_certs", "-out", "leaf.pem")
    said = device.run(
        openssl, "verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "issuing.pem", "leaf.pem"
    )
    assert b"leaf.pem: OK" in said


def test_the_command_line_makes_and_removes_accounts(run_twoway: Any, tmp_path: Path):
    done = run_twoway("ca", "init", tmp_path / "pki", "--name", "Acme", "--no-passphrase")
    assert done.returncode == 0
    made = run_twoway("ca", "est-account", "factory", "--ca-dir", tmp_path / "pki")
    assert made.returncode == 0, made.stderr
    assert EstAccounts(tmp_path / "pki").find("factory", made.stdout.strip()) is not None
    unknown = run_twoway("ca", "est-account", "x", "--profile", "none", "--ca-dir", tmp_path / "pki")
    assert unknown.returncode != 0
    gone = run_twoway("ca", "est-account", "factory", "--remove", "--ca-dir", tmp_path / "pki")
    assert gone.returncode == 0
    assert EstAccounts(tmp_path / "pki").names() == ()
