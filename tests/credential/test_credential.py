"""Identities on disk and in memory: what loads, what is refused, and in which words."""

from __future__ import annotations

import pickle
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import judge
from tests.pki import Issuer
from twoway import credential as c
from twoway.credential import (
    KEY_TYPES,
    Credential,
    CredentialError,
    display_name,
    generate_key,
    load_private_key,
    pem,
    private_key_pem,
)
from twoway.errors import UsageError

ISSUING = Issuer.root("Acme Root").below("Acme Issuing")
ORDERS = ISSUING.leaf("orders")
BILLING = ISSUING.leaf("billing")


# -- what works ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", [kind for kind in KEY_TYPES if kind not in ("rsa3072", "rsa4096")])
def test_every_kind_of_key_is_made_saved_and_loaded(key_type: str, tmp_path: Path):
    identity = ISSUING.leaf("orders", key_type=key_type)
    identity.save(tmp_path / "plain")
    identity.save(tmp_path / "locked", passphrase="open sesame")
    for place, passphrase in (("plain", None), ("locked", b"open sesame")):
        loaded = Credential.load(tmp_path / place, passphrase=passphrase)
        assert loaded.key_type == key_type
        assert loaded.chain == identity.chain
        assert loaded.anchors == identity.anchors


def test_large_rsa_keys_are_made_too():
    assert c.key_type_of(generate_key("rsa3072")) == "rsa3072"


def test_an_identity_directory_has_the_files_and_modes_that_are_promised(tmp_path: Path):
    identity = ISSUING.leaf("orders", crls=(ISSUING.crl(),))
    identity.save(tmp_path / "orders")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "orders").iterdir()}
    assert modes == {"cert.pem": 0o644, "key.pem": 0o600, "ca.pem": 0o644, "crl.pem": 0o644}
    assert stat.S_IMODE((tmp_path / "orders").stat().st_mode) == 0o700
    assert Credential.load(tmp_path / "orders").crls == identity.crls


def test_whoever_reads_while_it_is_replaced_sees_old_or_new_or_a_mismatch(tmp_path: Path):
    ORDERS.save(tmp_path)
    again = ISSUING.leaf("orders")
    stop, seen = threading.Event(), set()

    def read() -> None:
        while not stop.is_set():
            try:
                seen.add(Credential.load(tmp_path).fingerprint)
            except c.KeyMismatch:
                seen.add("mismatch")

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(30):
        again.save(tmp_path)
        ORDERS.save(tmp_path)
    stop.set()
    thread.join()
    assert seen <= {ORDERS.fingerprint, again.fingerprint, "mismatch"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_disk_that_is_full_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ORDERS.save(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(c.FileUnwritable, match="No space left"):
        BILLING.save(tmp_path)
    monkeypatch.undo()
    assert Credential.load(tmp_path).fingerprint == ORDERS.fingerprint
    assert {path.name for path in tmp_path.iterdir()} == {"cert.pem", "key.pem", "ca.pem"}


@pytest.mark.parametrize("compat", ["modern", "legacy"])
@pytest.mark.parametrize("key_type", ["p256", "rsa2048"])
def test_pkcs12_goes_out_and_comes_back(compat: str, key_type: str, tmp_path: Path):
    identity = ISSUING.leaf("orders", key_type=key_type)
    data = identity.to_pkcs12("secret", compat=compat)  # type: ignore[arg-type]
    again = Credential.from_pkcs12(data, b"secret")
    assert again.chain == identity.chain
    assert again.anchors == identity.anchors  # else the file alone could call nobody
    (tmp_path / "orders.p12").write_bytes(data)
    assert (
        Credential.load(tmp_path / "orders.p12", passphrase=lambda: "secret").fingerprint
        == identity.fingerprint
    )
    with pytest.raises(c.WrongPassphrase):
        Credential.from_pkcs12(data, "wrong")
    with pytest.raises(UsageError, match="passphrase"):
        identity.to_pkcs12(None)


def test_pkcs12_cannot_hold_a_post_quantum_key_and_says_so():
    with pytest.raises(c.UnsupportedKey) as caught:
        ISSUING.leaf("orders", key_type="mldsa44").to_pkcs12("secret")
    assert "mldsa44" in str(caught.value)


def test_the_key_is_never_shown(tmp_path: Path):
    assert "PRIVATE" not in repr(ORDERS)
    assert "private_key" not in repr(ORDERS)
    with pytest.raises(UsageError):
        pickle.dumps(ORDERS)


def test_a_root_at_the_end_of_the_chain_is_left_out():
    everything = ORDERS.certificate_pem() + c.chain_pem(ORDERS.anchors)
    assert Credential.from_pem(everything, ORDERS.key_pem()).chain == ORDERS.chain


def test_text_around_the_blocks_crlf_and_a_byte_order_mark_do_no_harm():
    text = (
        b"\xef\xbb\xbfsubject=CN = orders\n"
        + ORDERS.certificate_pem().replace(b"\n", b"\r\n")
        + b"trailing words\n"
    )
    assert (
        Credential.from_pem(b"\xef\xbb\xbf" + ORDERS.certificate_pem(), ORDERS.key_pem()).leaf == ORDERS.leaf
    )
    assert Credential.from_pem(text, ORDERS.key_pem()).leaf == ORDERS.leaf


def test_a_key_that_others_may_read_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    ORDERS.save(tmp_path)
    (tmp_path / "key.pem").chmod(0o644)
    Credential.load(tmp_path)
    assert "chmod 600" in caplog.text


# -- laws ---------------------------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_any_bytes_are_blocks_or_a_typed_error(data: bytes):
    for head in (b"", b"-----BEGIN CERTIFICATE-----\n"):
        try:
            pem.scan(head + data)
        except CredentialError as error:
            assert error.where == "memory"


@given(st.binary(min_size=1, max_size=200), st.sampled_from(["CERTIFICATE", "PRIVATE KEY", "X509 CRL"]))
def test_what_is_encoded_is_scanned_again(der: bytes, label: str):
    (block,) = pem.scan(b"some words\n" + pem.encode(label, der) + b"more\n")
    assert (block.label, block.der, block.line) == (label, der, 2)


_CERT = ORDERS.leaf.public_bytes(Encoding.DER)
_KEY = ORDERS.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
_P12 = ORDERS.to_pkcs12("x")


@given(st.data())
def test_a_changed_byte_ends_in_a_value_or_a_typed_error(data: st.DataObject):
    for original, load in (
        (_CERT, lambda one: c.certificates_from_pem(pem.encode("CERTIFICATE", one))),
        (_KEY, lambda one: load_private_key(pem.encode("PRIVATE KEY", one))),
    ):
        position = data.draw(st.integers(0, len(original) - 1))
        changed = bytearray(original)
        changed[position] ^= data.draw(st.integers(1, 255))
        try:
            load(bytes(changed))
        except CredentialError as error:
            assert error.remedy


@pytest.mark.parametrize("position", range(0, len(_P12), 97))
def test_a_changed_pkcs12_ends_in_a_typed_error(position: int):
    changed = bytearray(_P12)
    changed[position] ^= 0x55
    with pytest.raises(CredentialError):
        Credential.from_pkcs12(bytes(changed), "x")


# -- judges -------------------------------------------------------------------------------------------


def ran(*command: Any, **more: Any) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.judge
def test_openssl_reads_our_keys(tmp_path: Path):
    openssl = judge("openssl")
    for key_type in ("p256", "rsa2048", "ed25519"):
        (tmp_path / "key.pem").write_bytes(private_key_pem(generate_key(key_type), "secret"))
        ran(openssl, "pkey", "-in", tmp_path / "key.pem", "-passin", "pass:secret", "-noout")


@pytest.mark.judge
def test_openssl_and_java_read_our_pkcs12(tmp_path: Path):
    openssl, keytool = judge("openssl"), judge("keytool")
    for compat, more in (("modern", []), ("legacy", ["-legacy"])):
        file = tmp_path / f"{compat}.p12"
        file.write_bytes(ORDERS.to_pkcs12("secret", compat=compat))  # type: ignore[arg-type]
        ran(
            openssl,
            "pkcs12",
            "-in",
            file,
            "-passin",
            "pass:secret",
            "-nodes",
            "-out",
            tmp_path / "all.pem",
            *more,
        )
        assert load_private_key((tmp_path / "all.pem").read_bytes())
        assert "PrivateKeyEntry" in ran(
            keytool, "-list", "-keystore", file, "-storepass", "secret", "-storetype", "PKCS12"
        )


@pytest.mark.judge
def test_we_read_what_openssl_writes(tmp_path: Path):
    openssl = judge("openssl")
    key = tmp_path / "key.pem"
    for command, passphrase, kind in (
        (["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], None, "p256"),
        (["genpkey", "-algorithm", "ED25519"], None, "ed25519"),
        (
            [
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
                "-aes256",
                "-pass",
                "pass:x",
            ],
            "x",
            "rsa2048",
        ),
        (["genrsa", "-traditional", "2048"], None, "rsa2048"),
        (["genrsa", "-traditional", "-aes128", "-passout", "pass:x", "2048"], "x", "rsa2048"),
        (["ecparam", "-name", "prime256v1", "-genkey"], None, "p256"),
    ):
        ran(openssl, *command, "-out", key) if command[0] != "genrsa" else ran(
            openssl, *command[:-1], "-out", key, command[-1]
        )
        assert c.key_type_of(load_private_key(key.read_bytes(), passphrase)) == kind
    ORDERS.save(tmp_path)
    for more in ([], ["-legacy"]):
        ran(
            openssl,
            "pkcs12",
            "-export",
            "-in",
            tmp_path / "cert.pem",
            "-inkey",
            tmp_path / "key.pem",
            "-passout",
            "pass:x",
            "-out",
            tmp_path / "o.p12",
            *more,
        )
        assert Credential.load(tmp_path / "o.p12", passphrase="x").fingerprint == ORDERS.fingerprint


def test_no_value_of_a_name_passes_for_two():
    """RFC 4514 §2.4; a common name is its owner's to choose, and this is what logs and issuer rules compare."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme\\"),
            x509.NameAttribute(NameOID.COMMON_NAME, "a, O=Evil+CN=b"),
        ]
    )
    assert display_name(name) == "CN=a\\, O=Evil\\+CN=b, O=Acme\\\\"
