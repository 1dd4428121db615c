"""What cannot be loaded, each with its own sentence and remedy."""

from __future__ import annotations

import base64
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed448
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from tests.pki import NOW, Issuer
from twoway import credential as c
from twoway.credential import (
    Credential,
    CredentialError,
    generate_key,
    load_private_key,
    pem,
    private_key_pem,
)
from twoway.credential.keys import load_der_key
from twoway.errors import TwowayError

ISSUING = Issuer.root("Acme Root").below("Acme Issuing")
ORDERS = ISSUING.leaf("orders")
BILLING = ISSUING.leaf("billing")


def fault(error: TwowayError) -> TwowayError:
    """Every fault prints, pickles, has a remedy and evidence for JSON, and tells no secret."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args) == (type(error), error.args)
    assert error.remedy
    json.dumps(error.evidence)
    assert "PRIVATE" not in str(error.args)
    return error


def refused(**files: Any) -> TwowayError:
    given = {"cert": ORDERS.certificate_pem(), "key": ORDERS.key_pem(), **files}
    with pytest.raises(TwowayError) as caught:
        Credential.from_pem(**given)
    return fault(caught.value)


def test_the_key_of_another_certificate_names_the_file_that_would_fit(tmp_path: Path):
    ORDERS.save(tmp_path)
    (tmp_path / "old-key.pem").write_bytes(ORDERS.key_pem())
    (tmp_path / "key.pem").write_bytes(BILLING.key_pem())
    with pytest.raises(c.KeyMismatch) as caught:
        Credential.load(tmp_path)
    error = fault(caught.value)
    assert isinstance(error, c.KeyMismatch)
    assert error.matching == (str(tmp_path / "old-key.pem"),)
    assert "old-key.pem" in error.remedy


def test_a_chain_in_the_wrong_order_says_the_right_one():
    leaf, issuer = ORDERS.chain
    error = refused(cert=c.chain_pem([issuer, leaf]))
    assert isinstance(error, c.ChainDisordered)
    assert error.expected == ("orders", "Acme Issuing")


def test_certificates_that_do_not_belong_together_are_told():
    assert isinstance(
        refused(cert=c.chain_pem([ORDERS.leaf, Issuer.root("Other").certificate])), c.ChainDisordered
    )


def test_certificate_and_key_swapped_are_told():
    assert isinstance(refused(cert=ORDERS.key_pem(), key=ORDERS.certificate_pem()), c.Swapped)


def _traditional(passphrase: bytes) -> bytes:
    key = generate_key("rsa2048")
    return key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(passphrase)
    )


@pytest.mark.parametrize("form", ["pkcs8", "traditional"])
def test_an_encrypted_key_without_or_with_the_wrong_passphrase(form: str):
    key = ORDERS.key_pem("right") if form == "pkcs8" else _traditional(b"right")
    for passphrase, kind in (
        (None, c.KeyEncrypted),
        ("wrong", c.WrongPassphrase),
        (lambda: b"", c.KeyEncrypted),
    ):
        with pytest.raises(kind) as caught:
            load_private_key(key, passphrase, where="key.pem")
        assert "key.pem" in str(fault(caught.value))
        assert "wrong" not in str(caught.value.args)
    assert load_private_key(key, "right")


def _opens_to_nonsense(passphrase: bytes) -> bytes:
    """A sealed key whose padding this wrong passphrase happens to satisfy, as one in 256 does by chance."""
    key = ORDERS.private_key
    sealed = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"right"))
    shape = re.search(rb"\x04\x10(.{16})\x02\x02(..).*\x04\x10(.{16})\x04\x81(.)", sealed, re.DOTALL)
    assert shape is not None
    derived = PBKDF2HMAC(hashes.SHA256(), 32, shape[1], int.from_bytes(shape[2]))
    length = shape[4][0]
    nonsense = Cipher(algorithms.AES256(derived.derive(passphrase)), modes.CBC(shape[3])).encryptor()
    der = sealed[:-length] + nonsense.update(b"?" * (length - 1) + b"\x01") + nonsense.finalize()
    label = b"ENCRYPTED PRIVATE KEY"
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, base64.encodebytes(der), label)


def test_a_wrong_passphrase_that_satisfies_the_padding_by_chance_is_told_as_one():
    with pytest.raises(c.WrongPassphrase):
        load_private_key(_opens_to_nonsense(b"wrong"), "wrong")


def test_a_sealed_key_that_was_cut_off_is_broken_whatever_the_passphrase():
    der = ORDERS.private_key.private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"right")
    )
    for damaged in (der[:-20], der + b"\0", b""):
        with pytest.raises(c.BadKey):
            load_der_key(damaged, "right", where="key.pem", encrypted=True)


def test_a_pkcs12_file_without_its_passphrase_says_which_of_the_two_it_is():
    data = ORDERS.to_pkcs12("secret")
    with pytest.raises(c.KeyEncrypted):
        Credential.from_pkcs12(data, None)
    with pytest.raises(c.WrongPassphrase):
        Credential.from_pkcs12(data, "wrong")
    with pytest.raises(c.BadKey, match="not PKCS#12"):
        Credential.from_pkcs12(b"neither", "secret")


def test_what_the_callers_passphrase_raises_is_raised():
    """That there is nobody to ask is not a broken file."""

    def nobody() -> bytes:
        raise LookupError("no terminal")

    with pytest.raises(LookupError, match="no terminal"):
        Credential.from_pkcs12(ORDERS.to_pkcs12("secret"), nobody)


def test_a_pkcs12_file_without_a_passphrase_asks_for_none():
    data = pkcs12.serialize_key_and_certificates(
        None, ORDERS.private_key, ORDERS.leaf, ORDERS.chain[1:], NoEncryption()
    )
    assert Credential.from_pkcs12(data, pytest.fail).chain == ORDERS.chain


@pytest.mark.parametrize("keep", [1, 2])
def test_a_block_that_lost_its_begin_line_is_not_left_out_silently(keep: int):
    """The leaf would be gone, or an authority nobody knows is missing."""
    begin = b"-----BEGIN CERTIFICATE-----\n"
    first, second = (begin + part for part in ORDERS.certificate_pem().split(begin)[1:])
    text = first + second.removeprefix(begin) if keep == 1 else first.removeprefix(begin) + second
    line = text[: text.rindex(b"-----END") if keep == 1 else text.index(b"-----END")].count(b"\n") + 1
    for data in (text, text.rstrip(b"\n")):
        error = refused(cert=data)
        assert error.args == ("certificate", line, "the block CERTIFICATE has no BEGIN line")


def test_an_endless_file_is_told_with_what_was_read():
    with pytest.raises(c.TooLarge) as endless:
        c.read("/dev/zero", limit=10)
    assert endless.value.args == ("/dev/zero", "a file", 11, 10)


def test_der_and_pkcs12_where_pem_is_expected_are_told_with_the_command():
    der = ORDERS.leaf.public_bytes(Encoding.DER)
    error = refused(cert=der)
    assert isinstance(error, c.NotPem)
    assert error.found == "a DER certificate"
    assert "openssl x509" in error.remedy
    key = ORDERS.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    error = refused(key=key)
    assert isinstance(error, c.NotPem)
    assert error.found == "a DER private key"
    error = refused(cert=ORDERS.to_pkcs12("x"))
    assert isinstance(error, c.NotPem)
    assert error.found == "PKCS#12"


def test_two_blocks_glued_together_are_told_with_the_line():
    leaf, issuer = ORDERS.chain
    glued = c.certificate_pem(leaf).rstrip() + c.certificate_pem(issuer)
    error = refused(cert=glued)
    assert isinstance(error, c.PemGlued)
    assert error.line == c.certificate_pem(leaf).count(b"\n")
    assert f"line {error.line}" in str(error)


@pytest.mark.parametrize(
    ("cert", "kind"),
    [
        (b"", c.FileEmpty),
        (b"  \n", c.FileEmpty),
        (b"hello\n", c.NoCertificateFound),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n", c.PemBroken),
        (b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", c.PemBroken),
        (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", c.PemBroken),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", c.BadCertificate),
    ],
)
def test_files_that_hold_no_certificate_are_told_apart(cert: bytes, kind: type):
    assert isinstance(refused(cert=cert), kind)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (b"", c.FileEmpty),
        (b"hello", c.NoKeyFound),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", c.BadKey),
        (private_key_pem(ed448.Ed448PrivateKey.generate()), c.UnsupportedKey),  # type: ignore[arg-type]
    ],
)
def test_files_that_hold_no_key_are_told_apart(key: bytes, kind: type):
    assert isinstance(refused(key=key), kind)


def test_expired_and_not_yet_valid_are_told_with_both_times(tmp_path: Path):
    late = ISSUING.leaf("late", start=-20, days=-1)
    error = refused(cert=late.certificate_pem(), key=late.key_pem())
    assert isinstance(error, c.CredentialExpired)
    assert f"{late.not_after:%Y-%m-%d %H:%M}" in str(error)
    assert Credential.from_pem(late.certificate_pem(), late.key_pem(), allow_expired=True).leaf == late.leaf
    early = ISSUING.leaf("early", start=2)
    assert isinstance(refused(cert=early.certificate_pem(), key=early.key_pem()), c.CredentialNotYetValid)
    assert (
        Credential.from_pem(early.certificate_pem(), early.key_pem(), now=early.not_before).leaf == early.leaf
    )
    assert early.not_before > NOW


def test_missing_and_unreadable_files_are_told_apart(tmp_path: Path):
    with pytest.raises(c.FileMissing):
        Credential.load(tmp_path / "absent")
    ORDERS.save(tmp_path)
    (tmp_path / "key.pem").unlink()
    with pytest.raises(c.FileMissing, match=r"key\.pem"):
        Credential.load(tmp_path)
    (tmp_path / "key.pem").mkdir()
    with pytest.raises(c.FileUnreadable, match=r"key\.pem"):
        Credential.load(tmp_path)


def test_giants_are_refused_before_any_work(tmp_path: Path):
    (tmp_path / "big.pem").write_bytes(b"x" * (2 << 20))
    with pytest.raises(c.TooLarge):
        c.read(tmp_path / "big.pem")
    with pytest.raises(c.TooLarge):
        pem.scan(b"-----BEGIN X-----\nAAAA\n-----END X-----\n" * 2000)
    many = c.certificate_pem(ORDERS.leaf) * 600
    with pytest.raises(c.TooLarge):
        c.certificates_from_pem(many)


def test_scanning_stays_linear_on_hostile_text():
    """A megabyte of beginnings, of endings, of one long line: each is refused or read in one pass."""
    for text in (
        b"-----BEGIN X-----\n" * 60_000,
        b"-----BEGIN X-----" * 60_000,
        b"-----END X-----\n" * 60_000 + b"-----BEGIN X-----",
        b"A" * 1_000_000,
        b"-----BEGIN " * 100_000,
        b"-----BEGIN X-----\n" + b"a: b\n" * 200_000 + b"-----END X-----\n",
    ):
        try:
            pem.scan(text)
        except CredentialError as error:
            assert error.remedy
