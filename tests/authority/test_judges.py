"""Third-party programs read what we issue, and find nothing wrong with it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority.conftest import MakeAuthority
from tests.conftest import interpreter, judge
from twoway.authority import Authority
from twoway.credential import KEY_TYPES, Credential, certificate_pem

pytestmark = pytest.mark.judge

# OpenSSL 3.0, GnuTLS and Java as distributions ship them do not know ML-DSA yet.
CLASSIC = [kind for kind in KEY_TYPES if not kind.startswith("mldsa")]


def run(*arguments: str | Path) -> str:
    done = subprocess.run([*map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class Files:
    """An authority's files and three identities, as the programs want them."""

    def __init__(self, authority: Authority, directory: Path) -> None:
        self.directory = directory
        self.root = self.write("root.pem", authority.trust_bundle_pem())
        self.issuing = self.write("issuing.pem", certificate_pem(authority.issuing_certificate))
        self.server = authority.issue_server("api.acme.example", ip=["127.0.0.1", "::1"])
        self.client = authority.issue_client("Kim Doe, Orders")
        self.peer = authority.issue_peer("spiffe://acme.example/orders", dns=["orders.acme.example"])
        authority.revoke(authority.issue_client("gone"), "keyCompromise")
        self.crls = self.write("crls.pem", authority.crl_pem())

    def write(self, name: str, data: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(data)
        return path

    def leaf(self, identity: Credential) -> Path:
        return self.write(f"{identity.fingerprint[:8]}.pem", certificate_pem(identity.leaf))


@pytest.fixture(params=CLASSIC, scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Files]:
    """With every key type for the CAs, and constraints that the names keep to."""
    directory = tmp_path_factory.mktemp(request.param)
    with Authority.create(
        directory / "pki",
        name="Acme",
        no_passphrase=True,
        key_type=request.param,
        name_constraints=["dns:acme.example", "uri:acme.example"],
    ) as authority:
        yield Files(authority, directory)


def test_openssl_verifies_strictly_for_both_purposes_with_crls(files: Files) -> None:
    """RFC 5280 as `-x509_strict` reads it, with both CRLs checked."""
    openssl = judge("openssl")
    for identity, purposes in (
        (files.server, ["sslserver"]),
        (files.client, ["sslclient"]),
        (files.peer, ["sslserver", "sslclient"]),
    ):
        for purpose in purposes:
            told = run(
                *(openssl, "verify", "-x509_strict", "-purpose", purpose, "-crl_check_all"),
                *(
                    "-CAfile",
                    files.root,
                    "-CRLfile",
                    files.crls,
                    "-untrusted",
                    files.issuing,
                    files.leaf(identity),
                ),
            )
            assert told.endswith(": OK\n")


def test_openssl_refuses_the_other_purpose(files: Files) -> None:
    leaf = files.leaf(files.client)
    command = [judge("openssl"), "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", files.root]
    done = subprocess.run([*command, "-untrusted", files.issuing, leaf], capture_output=True, text=True)
    assert "unsuitable certificate purpose" in done.stderr


def test_openssl_reads_the_crl(files: Files) -> None:
    told = run(judge("openssl"), "crl", "-in", files.crls, "-noout", "-text", "-CAfile", files.issuing)
    assert "verify OK" in told
    assert "Key Compromise" in told


def test_gnutls_verifies_the_chain(files: Files) -> None:
    certtool = judge("certtool")
    chain = files.write(
        "chain.pem", certificate_pem(files.server.leaf) + files.issuing.read_bytes() + files.root.read_bytes()
    )
    told = run(
        *(certtool, "--verify", "--load-ca-certificate", files.root, "--infile", chain),
        *("--verify-hostname", "api.acme.example", "--verify-purpose", "1.3.6.1.5.5.7.3.1"),
    )
    assert "The certificate is trusted" in told
    for purpose, identity in (("1.3.6.1.5.5.7.3.2", files.peer), ("1.3.6.1.5.5.7.3.2", files.client)):
        chain.write_bytes(certificate_pem(identity.leaf) + files.issuing.read_bytes())
        told = run(
            *(certtool, "--verify", "--load-ca-certificate", files.root, "--infile", chain),
            *("--verify-purpose", purpose),
        )
        assert "The certificate is trusted" in told


def test_gnutls_reads_the_crl(files: Files) -> None:
    told = run(judge("certtool"), "--crl-info", "--infile", files.crls)
    assert "Revoked certificates (1)" in told


def test_java_reads_certificates_and_crls(files: Files) -> None:
    keytool = judge("keytool")
    told = run(keytool, "-printcert", "-file", files.leaf(files.server))
    assert "DNSName: api.acme.example" in told
    assert "serverAuth" in told
    assert "ca:false" in told.lower()
    assert "CN=Acme Issuing CA" in run(keytool, "-printcrl", "-file", files.crls)


VERIFY = """
import ssl, sys
chain, key, root, role = sys.argv[1:]
client = ssl.create_default_context(cafile=root)
server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=root)
assert client.verify_flags & ssl.VERIFY_X509_STRICT
server.verify_mode = ssl.CERT_REQUIRED
server.verify_flags |= ssl.VERIFY_X509_STRICT
for context in (client, server):
    context.load_cert_chain(chain, key)
ends = [ssl.MemoryBIO() for _ in range(4)]
a = client.wrap_bio(ends[0], ends[1], server_hostname="orders.acme.example")
b = server.wrap_bio(ends[2], ends[3], server_side=True)
for _ in range(6):
    for side in (a, b):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
        ends[2].write(ends[1].read())
        ends[0].write(ends[3].read())
print(a.getpeercert()["subject"] == b.getpeercert()["subject"], a.version())
"""


def test_python_3_13_connects_both_ways_under_its_strict_defaults(files: Files) -> None:
    """One identity as server and as client, in one handshake in memory."""
    python = interpreter("3.13")
    files.peer.save(files.directory / "peer")
    told = run(
        *(python, "-c", VERIFY, files.directory / "peer" / "cert.pem", files.directory / "peer" / "key.pem"),
        *(files.root, "both"),
    )
    assert told == "True TLSv1.3\n"


@pytest.mark.parametrize("key_type", CLASSIC)
def test_every_leaf_key_is_verified_strictly(
    make_authority: MakeAuthority, tmp_path: Path, key_type: str
) -> None:
    authority = make_authority(now=None)
    leaf = authority.issue_peer("a.example", key_type=key_type).leaf
    for name, certificate in (("leaf", leaf), ("root", authority.root_certificate)):
        (tmp_path / f"{name}.pem").write_bytes(certificate_pem(certificate))
    (tmp_path / "ca.pem").write_bytes(certificate_pem(authority.issuing_certificate))
    for purpose in ("sslserver", "sslclient"):
        run(
            *(
                judge("openssl"),
                "verify",
                "-x509_strict",
                "-purpose",
                purpose,
                "-CAfile",
                tmp_path / "root.pem",
            ),
            *("-untrusted", tmp_path / "ca.pem", tmp_path / "leaf.pem"),
        )


def test_openssl_opens_the_encrypted_ca_key(make_authority: MakeAuthority) -> None:
    """Our own PBES2 is everybody's PBES2."""
    authority = make_authority(no_passphrase=False, passphrase="opens", key_type="rsa2048")
    key = authority.directory / "root-key.pem"
    told = run(judge("openssl"), "pkey", "-in", key, "-passin", "pass:opens", "-noout", "-check")
    assert "Key is valid" in told
    assert "PBKDF2" in run(judge("openssl"), "asn1parse", "-in", key)


def test_openssl_requests_are_signed(make_authority: MakeAuthority, tmp_path: Path) -> None:
    """A request as people make it, with extensions that they copy from somewhere."""
    run(
        *(judge("openssl"), "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key.pem"),
        *("-out", tmp_path / "csr.pem", "-subj", "/C=NL/O=Elsewhere/CN=orders.acme.example"),
        *("-addext", "subjectAltName=DNS:orders.acme.example,IP:192.0.2.1"),
        *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "extendedKeyUsage=anyExtendedKeyUsage"),
    )
    leaf, issuer = make_authority(now=None).sign((tmp_path / "csr.pem").read_bytes(), profile="server")
    Credential.from_pem(certificate_pem(leaf) + certificate_pem(issuer), (tmp_path / "key.pem").read_bytes())
    assert leaf.subject.rfc4514_string() == "CN=orders.acme.example,O=Acme"
