"""OpenSSL's responder and clients, and GnuTLS, as judges of questions, answers and staples."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import twoway
from tests.conftest import judge
from tests.gateway.conftest import Backend, Ledger, Pki, ask, context_of, gateway_of, running, until, wrap
from tests.gateway.test_over_time import save
from tests.gateway.test_passing import refused
from tests.pki import Issuer
from tests.revocation.answers import MUST_STAPLE, answer, responder_of
from tests.revocation.responder import Request, Responder, responding
from twoway.gateway.addresses import Address
from twoway.steps import Step
from twoway.trust import CertificateRevoked

pytestmark = pytest.mark.judge


class OpenSsl:
    """`openssl ocsp` as a responder: it reads each question and signs each answer, and listens nowhere itself."""

    def __init__(self, issuer: Issuer, place: Path, *, digest: str = "sha256") -> None:
        place.mkdir()
        self._issuer, self._place, self._digest = issuer, place, digest
        self._responder = responder_of(issuer)
        (place / "ca.pem").write_bytes(issuer.certificate.public_bytes(Encoding.PEM))
        (place / "responder.pem").write_bytes(self._responder.certificate.public_bytes(Encoding.PEM))
        (place / "responder.key").write_bytes(
            self._responder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        self._lines: list[str] = []
        self.knows()

    def knows(self, *good: x509.Certificate, revoked: tuple[x509.Certificate, ...] = ()) -> None:
        lines = [f"V\t491231235959Z\t\t{one.serial_number:040X}\tunknown\t/CN=x" for one in good]
        lines += [
            f"R\t491231235959Z\t250101000000Z,keyCompromise\t{one.serial_number:040X}\tunknown\t/CN=x"
            for one in revoked
        ]
        (self._place / "index.txt").write_text("".join(line + "\n" for line in lines))

    def __call__(self, request: Request) -> bytes:
        (self._place / "question").write_bytes(request.body)
        subprocess.run(
            [judge("openssl"), "ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "responder.pem",
             "-rkey", "responder.key", "-reqin", "question", "-respout", "answer", "-ndays", "1", "-rmd", self._digest],
            cwd=self._place, check=True, capture_output=True, timeout=20,
        )  # fmt: skip
        return (self._place / "answer").read_bytes()


def options(responder: Responder) -> dict[str, Any]:
    return {
        "ocsp": "hard",
        "ocsp_url": f"{responder.url}/ocsp",
        "ocsp_nonce": "require",
        "revocation_depth": "leaf",
    }


def test_openssl_answers_and_is_understood(pki: Pki, backend: Backend, tmp_path: Path):
    """Good, revoked and unknown as OpenSSL's own responder says them, with our nonce repeated."""
    openssl, ledger = OpenSsl(pki.issuing, tmp_path / "openssl"), Ledger()
    other, stray = pki.issuing.leaf("billing"), pki.issuing.leaf("stray")
    openssl.knows(pki.client.leaf, revoked=(other.leaf,))
    with responding(Responder(ocsp=openssl)) as responder:
        with running(gateway_of(pki, backend, ledger=ledger, **options(responder))) as gateway:
            with wrap(gateway.ports[0], context_of(pki)) as sock:
                assert ask(sock) == b"ping"
            assert "REVOKED" in refused(gateway.ports[0], context_of(pki, other)).upper()
            assert refused(gateway.ports[0], context_of(pki, stray)) != "passed"
            until(lambda: len(ledger.refusals) == 2)
    assert [one.code for one in ledger.refusals] == ["certificate_revoked", "ocsp_unknown"]
    assert backend.everything == b"ping"


def test_an_answer_over_sha1_proves_nothing(pki: Pki, backend: Backend, tmp_path: Path):
    """OpenSSL can still sign so; it is refused as a certificate signed so would be."""
    openssl, ledger = OpenSsl(pki.issuing, tmp_path / "openssl", digest="sha1"), Ledger()
    openssl.knows(pki.client.leaf)
    with responding(Responder(ocsp=openssl)) as responder:
        with running(gateway_of(pki, backend, ledger=ledger, **options(responder))) as gateway:
            assert refused(gateway.ports[0], context_of(pki)) != "passed"
            until(lambda: ledger.refusals)
    assert "it is signed over sha1" in ledger.refusals[0].reason
    assert backend.everything == b""


@contextlib.contextmanager
def stapling(pki: Pki, backend: Backend, place: Path, openssl: OpenSsl) -> Iterator[int]:
    identity = save(pki, place / "api")
    with responding(Responder(ocsp=openssl)) as responder:
        more = {"identity": identity, "trust": None, "staple": True, "ocsp_url": f"{responder.url}/ocsp"}
        with running(gateway_of(pki, backend, clients="optional", **more)) as gateway:
            (told,) = gateway.frontends[0].status()["staples"]
            assert told["until"] is not None
            yield gateway.ports[0]


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_gets_and_verifies_our_staple(pki: Pki, backend: Backend, tmp_path: Path, version: str):
    openssl = OpenSsl(pki.issuing, tmp_path / "openssl")
    openssl.knows(pki.server.leaf)
    (tmp_path / "root.pem").write_bytes(pki.root.certificate.public_bytes(Encoding.PEM))
    with stapling(pki, backend, tmp_path, openssl) as port:
        done = subprocess.run(
            [judge("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-status",
             version, "-CAfile", str(tmp_path / "root.pem"), "-verify_return_error"],
            input=b"", capture_output=True, timeout=20, check=False,
        )  # fmt: skip
    text = done.stdout.decode()
    assert "OCSP Response Status: successful (0x0)" in text
    assert "Cert Status: good" in text
    assert f"{pki.server.leaf.serial_number:X}" in text


def test_gnutls_gets_and_verifies_our_staple(pki: Pki, backend: Backend, tmp_path: Path):
    openssl = OpenSsl(pki.issuing, tmp_path / "openssl")
    openssl.knows(pki.server.leaf)
    (tmp_path / "root.pem").write_bytes(pki.root.certificate.public_bytes(Encoding.PEM))
    with stapling(pki, backend, tmp_path, openssl) as port:
        done = subprocess.run(
            [judge("gnutls-cli"), "--port", str(port), "--x509cafile", str(tmp_path / "root.pem"),
             "--sni-hostname", "localhost", "--verify-hostname", "localhost", "127.0.0.1", "--save-ocsp", "staple.der"],
            input=b"", capture_output=True, timeout=20, check=False, cwd=tmp_path,
        )  # fmt: skip
    assert "Options:" in done.stdout.decode()
    assert "OCSP status request" in done.stdout.decode()
    assert (tmp_path / "staple.der").stat().st_size > 100


@contextlib.contextmanager
def s_server(pki: Pki, server: Any, place: Path, staple: bytes | None, how: str = "-rev") -> Iterator[int]:
    """OpenSSL's own server, with this staple."""
    server.save(place / "server")
    (place / "staple.der").write_bytes(staple or b"")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [judge("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-cert", "server/cert.pem", "-key",
               "server/key.pem", "-cert_chain", "server/cert.pem", "-quiet", how]  # fmt: skip
    if staple is not None:
        command += ["-status_file", "staple.der"]
    process = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listens)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("good", None),
        ("revoked", "certificate_revoked"),
        ("unknown", "ocsp_unknown"),
        ("of another", "ocsp_unusable"),
        ("none", "staple_missing"),
    ],
)
def test_a_client_gateway_judges_what_openssl_staples(
    pki: Pki, tmp_path: Path, status: str, code: str | None
):
    """A must-staple certificate at OpenSSL's server: good passes, every other answer and none get no byte."""
    server = pki.issuing.leaf("shop", dns=("localhost",), purpose="server", extensions=MUST_STAPLE)
    staple = None
    if status == "of another":
        staple = answer(pki.issuing, pki.server.leaf)
    elif status != "none":
        staple = answer(pki.issuing, server.leaf, status)
    with s_server(pki, server, tmp_path, staple) as port:
        target = Address(host="127.0.0.1", port=port)
        more = {"kind": "client", "identity": pki.client, "server_name": "localhost"}
        with running(gateway_of(pki, target, **more)) as gateway:
            with socket.create_connection(("127.0.0.1", gateway.ports[0]), 10) as sock:
                if code is None:
                    sock.sendall(b"abc\n")
                    assert sock.recv(10) == b"cba\n"
                    return
                with pytest.raises(ConnectionResetError):
                    sock.sendall(b"secret\n")
                    if not sock.recv(10):
                        raise ConnectionResetError
            until(lambda: gateway.frontends[0].tally.failed)
            assert dict(gateway.frontends[0].tally.failed) == {code: 1}


@pytest.mark.parametrize("status", ["good", "revoked"])
def test_a_client_of_ours_judges_what_openssl_staples(pki: Pki, tmp_path: Path, status: str):
    """`twoway.Client`: a revoked server is refused with a typed error, and has seen no certificate of ours."""
    server = pki.issuing.leaf("shop", dns=("localhost",), purpose="server")
    with s_server(pki, server, tmp_path, answer(pki.issuing, server.leaf, status), "-www") as port:
        with twoway.Client(identity=pki.client, trust=pki.trust) as client:
            if status == "good":
                assert client.get(f"https://localhost:{port}/").status_code == 200
                return
            with pytest.raises(CertificateRevoked) as caught:
                client.get(f"https://localhost:{port}/")
    assert caught.value.step is Step.CLIENT_CHECKS
