"""OCSP on the network: by POST and by GET, and three other programs that believe what it says."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.conftest import judge
from tests.enroll.conftest import Serve, Served
from twoway.authority import Authority
from twoway.credential import Credential, certificate_pem
from twoway.tls import Limits

TYPE = {"content-type": "application/ocsp-request"}


@pytest.fixture
def orders(service: Served) -> Credential:
    return service.authority.issue_client("orders")


def question(service: Served, credential: Credential) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        credential.leaf, service.authority.issuing_certificate, hashes.SHA1()
    )
    return builder.build().public_bytes(Encoding.DER)


def test_it_answers_by_post_and_by_get_on_both_ports(service: Served, orders: Credential):
    asked = question(service, orders)
    in_path = "/ocsp/" + quote(base64.b64encode(asked).decode(), safe="")
    answers = [
        service.plain("/ocsp", "POST", content=asked, headers=TYPE),
        service.plain(in_path),
        service.call("POST", "/ocsp", content=asked, headers=TYPE),
        service.call("GET", in_path),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/ocsp-response"
        assert answer.headers["cache-control"] == "public, max-age=60"
        response = ocsp.load_der_ocsp_response(answer.content)
        assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    service.authority.revoke(orders)
    again = ocsp.load_der_ocsp_response(service.plain(in_path).content)
    assert again.certificate_status is ocsp.OCSPCertStatus.REVOKED


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/ocsp", b"what is this"),
        ("POST", "/ocsp", b""),
        ("POST", "/ocsp", b"x" * 20_000),
        ("GET", "/ocsp/not%20base64", None),
        ("GET", "/ocsp/", None),
    ],
)
def test_what_is_no_request_gets_an_ocsp_answer_that_says_so(
    service: Served, method: str, path: str, body: bytes | None
):
    answer = service.plain(path, method, **({} if body is None else {"content": body}))
    assert answer.status_code == 200
    response = ocsp.load_der_ocsp_response(answer.content)
    assert response.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    assert answer.headers["cache-control"] == "no-store"


class Asked:
    """Two leaves of an authority whose certificates say where to ask, with a service at that address."""

    def __init__(self, service: Served, place: Path) -> None:
        self.authority, self.place = service.authority, place
        self.url = f"{service.plain_url}/ocsp"
        for name in ("good", "revoked"):
            (place / f"{name}.pem").write_bytes(
                certificate_pem(self.authority.issue_server(name + ".example").leaf)
            )
        self.authority.revoke("revoked.example", "keyCompromise")
        (place / "issuing.pem").write_bytes(certificate_pem(self.authority.issuing_certificate))
        (place / "root.pem").write_bytes(certificate_pem(self.authority.root_certificate))
        both = (place / "issuing.pem").read_bytes() + (place / "root.pem").read_bytes()
        (place / "both.pem").write_bytes(both)

    def run(self, *command: str, answer: str = "") -> str:
        done = subprocess.run(
            command, cwd=self.place, capture_output=True, text=True, timeout=30, check=False, input=answer
        )
        return done.stdout + done.stderr


@pytest.fixture
def asked(service: Served, tmp_path: Path) -> Asked:
    return Asked(service, tmp_path)


@pytest.mark.judge
@pytest.mark.parametrize("digest", ["-sha1", "-sha256"])
def test_openssl_believes_it_and_its_nonce(asked: Asked, digest: str):
    openssl = judge("openssl")
    said = asked.run(
        openssl, "ocsp", "-url", asked.url, "-issuer", "issuing.pem", "-CAfile", "both.pem", digest,
        "-cert", "good.pem", "-cert", "revoked.pem", "-nonce",
    )  # fmt: skip
    assert "Response verify OK" in said
    assert "good.pem: good" in said
    assert "revoked.pem: revoked" in said
    assert "Reason: keyCompromise" in said
    assert "WARNING" not in said  # it would warn of a nonce that did not come back


@pytest.mark.judge
@pytest.mark.parametrize(("name", "state"), [("good", "good"), ("revoked", "revoked")])
def test_gnutls_believes_it(asked: Asked, name: str, state: str):
    said = asked.run(
        judge("ocsptool"), f"--ask={asked.url}", "--nonce", "--load-issuer=issuing.pem",
        f"--load-cert={name}.pem", "--load-trust=both.pem",
    )  # fmt: skip
    assert f"Certificate Status: {state}" in said
    assert "Verifying OCSP Response: Success" in said


@pytest.fixture
def pointing(tmp_path: Path, serve: Serve) -> Iterator[Served]:
    """A service whose authority writes that service's address into its leaves."""
    import socket

    from tests.enroll.conftest import Address

    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    made = Authority.create(
        tmp_path / "pointing", name="Acme", no_passphrase=True, public_url=f"http://127.0.0.1:{port}"
    )
    with made, serve(made, public_listen=Address("127.0.0.1", port), limits=Limits()) as service:
        yield service


@pytest.mark.judge
def test_nss_finds_the_responder_in_the_certificate_and_believes_it(pointing: Served, tmp_path: Path):
    asked = Asked(pointing, tmp_path)
    certutil, client = judge("certutil"), judge("ocspclnt")
    asked.run(certutil, "-N", "-d", "sql:.", "--empty-password")
    for name, trust in (("root", "CT,C,C"), ("issuing", ",,"), ("good", ",,"), ("revoked", ",,")):
        asked.run(certutil, "-A", "-d", "sql:.", "-n", name, "-t", trust, "-i", f"{name}.pem")
    assert "succeeded" in (good := asked.run(client, "-V", "good", "-d", "sql:.", "-u", "s")), good
    assert "revoked" in (bad := asked.run(client, "-V", "revoked", "-d", "sql:.", "-u", "s")).lower(), bad


@pytest.mark.judge
def test_openssl_finds_the_list_by_the_address_in_the_certificate(pointing: Served, tmp_path: Path):
    asked = Asked(pointing, tmp_path)
    pointing.turn()  # lists are made by nobody's request
    openssl = judge("openssl")
    told = asked.run(openssl, "x509", "-in", "good.pem", "-noout", "-ocsp_uri")
    assert told.strip() == f"{pointing.plain_url}/ocsp"
    for name, verdict in (("good", "good.pem: OK"), ("revoked", "certificate revoked")):
        said = asked.run(
            openssl,
            "verify",
            "-x509_strict",
            "-crl_check",
            "-crl_download",
            "-CAfile",
            "both.pem",
            f"{name}.pem",
        )
        assert verdict in said, said
