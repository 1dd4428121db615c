"""Independent judges of CMS: openssl and GnuTLS's certtool, both ways."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import judge
from tests.message.conftest import SEALABLE, Pki
from twoway import message
from twoway.credential import chain_pem

CONTENT = bytes(range(256)) * 3000
OAEP = ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")
PSS = ("-keyopt", "rsa_padding_mode:pss")

pytestmark = pytest.mark.judge


@pytest.fixture
def openssl(place: Path, pki: Pki) -> Any:
    program = judge("openssl")
    for key_type in ("p256", "p384", "rsa2048", "ed25519"):
        pki.identity(key_type).save(place / key_type)
    (place / "chain.pem").write_bytes(chain_pem(pki.issuing.chain))
    (place / "content").write_bytes(CONTENT)

    def ask(verb: str, *arguments: str) -> bytes:
        command = [program, "cms", f"-{verb}", "-binary", *arguments, "-out", "out"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return (place / "out").read_bytes()

    return ask


@pytest.mark.parametrize("key_type", SEALABLE)
def test_openssl_opens_what_we_seal(openssl: Any, place: Path, pki: Pki, key_type: str):
    both = [pki.identity(key_type), pki.identity("p256", "other")]
    sealed = message.seal(CONTENT, to=both, trust=pki.trust, format="cms")
    (place / "sealed").write_bytes(sealed)
    me = ("-recip", f"{key_type}/cert.pem", "-inkey", f"{key_type}/key.pem")
    assert openssl("decrypt", "-inform", "DER", "-in", "sealed", *me) == CONTENT


@pytest.mark.parametrize("form", ["DER", "PEM"])
@pytest.mark.parametrize("more", [("-stream",), (), ("-keyid",), ("-aes-128-gcm",)])
@pytest.mark.parametrize("key_type", SEALABLE)
def test_we_open_what_openssl_seals(openssl: Any, pki: Pki, key_type: str, more: tuple[str, ...], form: str):
    cipher = () if "-aes-128-gcm" in more else ("-aes-256-gcm",)
    to = ("-recip", f"{key_type}/cert.pem", *(OAEP if key_type == "rsa2048" else ()))
    sealed = openssl("encrypt", "-in", "content", "-outform", form, *cipher, *more, *to)
    assert message.open(sealed, identity=pki.identity(key_type)).content == CONTENT


def test_pkcs1_padding_of_openssl_is_refused_by_name(openssl: Any, pki: Pki):
    """Its default for RSA: a padding oracle, however it is refused (Bleichenbacher)."""
    to = ("-recip", "rsa2048/cert.pem")
    sealed = openssl("encrypt", "-in", "content", "-outform", "DER", "-aes-256-gcm", *to)
    with pytest.raises(
        message.AlgorithmRefused, match=r"expected rsaesOaep with SHA-256 .* got rsaes_pkcs1v15"
    ):
        message.open(sealed, identity=pki.identity("rsa2048"))


def test_cbc_of_openssl_is_opened_only_where_it_is_asked_for(openssl: Any, pki: Pki):
    """Nothing protects it from changes; whoever wants it anyway says so."""
    sealed = openssl(
        "encrypt", "-in", "content", "-outform", "DER", "-stream", "-aes-256-cbc", "-recip", "p256/cert.pem"
    )
    identity = pki.identity("p256")
    with pytest.raises(message.AlgorithmRefused, match="which anybody can change"):
        message.open(sealed, identity=identity)
    opened = message.open(sealed, identity=identity, dangerously_allow_unauthenticated=True)
    assert opened.content == CONTENT


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("key_type", ["p256", "p384", "rsa2048"])
def test_openssl_verifies_what_we_sign(openssl: Any, place: Path, pki: Pki, key_type: str, detached: bool):
    signed = message.sign(CONTENT, identity=pki.identity(key_type), format="cms", detached=detached)
    (place / "signed").write_bytes(signed)
    about = ("-content", "content") if detached else ()
    # OpenSSL wants a purpose of mail otherwise, which identities of a service do not have.
    trust = ("-CAfile", "ca.pem", "-purpose", "any")
    assert openssl("verify", "-inform", "DER", "-in", "signed", *trust, *about) == CONTENT


@pytest.mark.parametrize(
    "more", [(), ("-nodetach",), ("-nodetach", "-stream"), ("-keyid",), ("-md", "sha512"), PSS]
)
@pytest.mark.parametrize("key_type", ["p256", "p384", "rsa2048"])
def test_we_verify_what_openssl_signs(openssl: Any, pki: Pki, key_type: str, more: tuple[str, ...]):
    if more == PSS and key_type != "rsa2048":
        return
    who = ("-signer", f"{key_type}/cert.pem", "-inkey", f"{key_type}/key.pem", "-certfile", "chain.pem")
    signed = openssl("sign", "-in", "content", "-outform", "DER", *who, *more)
    detached = "-nodetach" not in more
    verified = message.verify(signed, trust=pki.trust, content=CONTENT if detached else None)
    assert verified.signer.common_name == "orders"
    assert detached or verified.content == CONTENT


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("key_type", ["p256", "rsa2048", "ed25519"])
def test_certtool_verifies_what_we_sign(place: Path, pki: Pki, key_type: str, detached: bool):
    """The judge of Ed25519 (RFC 8419), which OpenSSL 3.0 does not know in CMS."""
    (place / "content").write_bytes(CONTENT)
    signed = message.sign(CONTENT, identity=pki.identity(key_type), format="cms", detached=detached)
    (place / "signed").write_bytes(signed)
    command = [judge("certtool"), "--p7-verify", "--inder", "--infile", "signed"]
    command += ["--load-ca-certificate", "ca.pem", *(["--load-data", "content"] if detached else [])]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Signature status: ok" in done.stderr


@pytest.mark.parametrize("key_type", ["p256", "rsa2048"])
def test_we_verify_what_certtool_signs(place: Path, pki: Pki, key_type: str):
    identity = pki.identity(key_type)
    identity.save(place / "me")
    (place / "content").write_bytes(CONTENT)
    command = [judge("certtool"), "--p7-sign", "--p7-include-cert", "--p7-time", "--infile", "content"]
    command += ["--load-certificate", "me/cert.pem", "--load-privkey", "me/key.pem", "--outfile", "signed"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    verified = message.verify((place / "signed").read_bytes(), trust=pki.trust, signer=identity)
    assert verified.content == CONTENT
