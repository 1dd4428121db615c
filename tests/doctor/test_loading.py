"""Files of identities with whatever can be wrong with files: each fault is a finding, and the rest is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.doctor.sides import World, alarms, first, pem
from twoway.doctor.files import examine
from twoway.doctor.loading import from_bytes, load

Spoil = Callable[[Path, World], None]
SPOILED: dict[str, tuple[Spoil, str]] = {}


def spoils(code: str) -> Callable[[Spoil], Spoil]:
    def registered(spoil: Spoil) -> Spoil:
        SPOILED[spoil.__name__] = (spoil, code)
        return spoil

    return registered


@pytest.fixture(scope="module")
def world() -> World:
    return World.make()


@pytest.fixture
def identity(tmp_path: Path, world: World) -> Path:
    return world.client_credential.save(tmp_path / "billing")


@spoils("file_missing")
def the_certificate_is_not_there(identity: Path, world: World) -> None:
    (identity / "cert.pem").unlink()


@spoils("file_missing")
def the_key_is_not_there(identity: Path, world: World) -> None:
    (identity / "key.pem").unlink()


@spoils("file_unreadable")
def the_certificate_is_a_directory(identity: Path, world: World) -> None:
    (identity / "cert.pem").unlink()
    (identity / "cert.pem").mkdir()


@spoils("file_empty")
def the_certificate_is_empty(identity: Path, world: World) -> None:
    (identity / "cert.pem").write_bytes(b"")


@spoils("file_empty")
def the_trust_is_empty(identity: Path, world: World) -> None:
    (identity / "ca.pem").write_bytes(b"\n")


@spoils("no_certificate_found")
def the_certificate_is_prose(identity: Path, world: World) -> None:
    (identity / "cert.pem").write_bytes(b"<html>404 not found</html>\n")


@spoils("no_certificate_found")
def the_trust_holds_the_key(identity: Path, world: World) -> None:
    (identity / "ca.pem").write_bytes((identity / "key.pem").read_bytes())


@spoils("no_key_found")
def the_key_is_a_certificate(identity: Path, world: World) -> None:
    (identity / "key.pem").write_bytes((identity / "cert.pem").read_bytes())


@spoils("swapped")
def certificate_and_key_are_swapped(identity: Path, world: World) -> None:
    cert, key = (identity / "cert.pem").read_bytes(), (identity / "key.pem").read_bytes()
    (identity / "cert.pem").write_bytes(key)
    (identity / "key.pem").write_bytes(cert)


@spoils("pem_glued")
def the_blocks_are_glued(identity: Path, world: World) -> None:
    text = (identity / "cert.pem").read_bytes()
    glued = text.replace(b"-----END CERTIFICATE-----\n-----BEGIN", b"-----END CERTIFICATE----------BEGIN")
    assert glued != text
    (identity / "cert.pem").write_bytes(glued)


@spoils("pem_broken")
def the_certificate_is_cut_off(identity: Path, world: World) -> None:
    (identity / "cert.pem").write_bytes((identity / "cert.pem").read_bytes()[:300])


@spoils("bad_certificate")
def the_certificate_is_other_base64(identity: Path, world: World) -> None:
    (identity / "cert.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n")


@spoils("bad_key")
def the_key_is_other_base64(identity: Path, world: World) -> None:
    (identity / "key.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n")


@spoils("key_encrypted")
def the_key_is_encrypted(identity: Path, world: World) -> None:
    (identity / "key.pem").write_bytes(world.client_credential.key_pem(b"sesame"))


@spoils("key_mismatch")
def the_key_is_another(identity: Path, world: World) -> None:
    (identity / "key.pem").write_bytes(world.server_credential.key_pem())


@spoils("not_pem")
def the_certificate_is_der(identity: Path, world: World) -> None:
    (identity / "cert.pem").write_bytes(world.client_credential.leaf.public_bytes(Encoding.DER))


@spoils("not_pem")
def the_key_is_der(identity: Path, world: World) -> None:
    key = world.client_credential.private_key
    (identity / "key.pem").write_bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


@spoils("not_pem")
def the_trust_is_utf_16(identity: Path, world: World) -> None:
    (identity / "ca.pem").write_bytes((identity / "ca.pem").read_text().encode("utf-16"))


@spoils("bad_revocation_list")
def the_list_is_a_certificate(identity: Path, world: World) -> None:
    (identity / "crl.pem").write_bytes((identity / "ca.pem").read_bytes())


@spoils("bad_revocation_list")
def the_list_does_not_decode(identity: Path, world: World) -> None:
    (identity / "crl.pem").write_bytes(b"-----BEGIN X509 CRL-----\nMAMCAQE=\n-----END X509 CRL-----\n")


@spoils("wrong_authority_in_trust")
def the_trust_is_another_authority(identity: Path, world: World) -> None:
    from tests.pki import Issuer

    (identity / "ca.pem").write_bytes(pem(Issuer.root("Globex").certificate))


@pytest.mark.parametrize("name", SPOILED)
def test_the_fault_of_a_file_is_the_first_finding(name: str, identity: Path, world: World):
    spoil, code = SPOILED[name]
    spoil(identity, world)
    material = load("client", identity).but(presented=world.server.chain)
    findings = examine(material)
    assert first(findings) == ("error", code, "client"), [f"{f.code}: {f.summary}" for f in findings]
    assert findings[0].remedy


@pytest.mark.parametrize(
    "name", ["the_certificate_is_der", "the_blocks_are_glued", "certificate_and_key_are_swapped"]
)
def test_what_can_be_read_of_a_faulty_file_is_examined_all_the_same(name: str, identity: Path, world: World):
    SPOILED[name][0](identity, world)
    material = load("client", identity)
    assert material.chain[0] == world.client_credential.leaf
    assert material.key is not None


def test_the_fault_of_a_servers_file_is_the_servers(identity: Path):
    (identity / "key.pem").unlink()
    assert first(examine(load("server", identity))) == ("error", "file_missing", "server")


def test_an_untouched_identity_is_healthy(identity: Path):
    assert alarms(examine(load("client", identity))) == []


def test_a_passphrase_opens_the_key(identity: Path, world: World):
    the_key_is_encrypted(identity, world)
    assert alarms(examine(load("client", identity, passphrase=b"sesame"))) == []
    assert first(examine(load("client", identity, passphrase=b"no")))[1] == "wrong_passphrase"


def test_a_key_that_would_fit_is_named(identity: Path, world: World):
    (identity / "spare.pem").write_bytes((identity / "key.pem").read_bytes())
    the_key_is_another(identity, world)
    findings = examine(load("client", identity))
    assert findings[0].code == "key_mismatch"
    assert findings[0].remedy == f"use {identity / 'spare.pem'}"


def test_a_certificate_that_would_fit_is_named(identity: Path, world: World):
    (identity / "spare.pem").write_bytes(pem(world.server_credential.leaf))
    the_key_is_another(identity, world)
    assert examine(load("client", identity))[0].remedy.endswith(str(identity / "spare.pem"))


def test_an_intermediate_that_lies_beside_is_named(identity: Path, world: World):
    (identity / "cert.pem").write_bytes(pem(world.client_credential.leaf))
    (identity / "intermediate.pem").write_bytes(pem(world.issuing.certificate))
    finding = examine(load("client", identity))[0]
    assert finding.code == "missing_intermediate"
    assert finding.evidence["found_in"] == str(identity / "intermediate.pem")


@pytest.mark.parametrize(
    ("chain", "key", "ca"),
    [
        ("tls.crt", "tls.key", "ca.crt"),
        ("fullchain.pem", "privkey.pem", "root.pem"),
        ("client.crt", "client.key", "ca.crt"),
        ("client-cert.pem", "client-key.pem", "ca-cert.pem"),
    ],
)
def test_the_names_that_other_programs_use_are_found(identity: Path, chain: str, key: str, ca: str):
    for old, new in (("cert.pem", chain), ("key.pem", key), ("ca.pem", ca)):
        (identity / old).rename(identity / new)
    material = load("client", identity)
    assert material.chain
    assert material.key
    assert material.anchors
    assert alarms(examine(material)) == []


def test_a_pem_file_with_everything_in_it_is_an_identity(tmp_path: Path, world: World):
    credential = world.client_credential
    (tmp_path / "all.pem").write_bytes(credential.key_pem() + credential.certificate_pem())
    material = load("client", tmp_path / "all.pem")
    assert material.key is not None
    assert alarms(examine(material)) == []


def test_a_certificate_alone_can_be_examined(tmp_path: Path, world: World):
    (tmp_path / "cert.pem").write_bytes(world.client_credential.certificate_pem())
    assert {f.code for f in examine(load("client", tmp_path / "cert.pem"))} == {"no_key", "issuer_not_seen"}


def test_pkcs12_is_an_identity_in_whatever_order_it_is(tmp_path: Path, world: World):
    from cryptography.hazmat.primitives.serialization import pkcs12

    credential = world.client_credential
    bundle = pkcs12.serialize_key_and_certificates(
        None,
        credential.private_key,
        credential.leaf,
        [world.root.certificate, world.issuing.certificate],
        BestAvailableEncryption(b"sesame"),
    )
    (tmp_path / "billing.p12").write_bytes(bundle)
    material = load("client", tmp_path / "billing.p12", passphrase="sesame")
    assert material.chain == credential.chain
    assert material.anchors == (world.root.certificate,)
    assert alarms(examine(material)) == []
    assert examine(load("client", tmp_path / "billing.p12"))[0].code == "key_encrypted"
    wrong = load("client", tmp_path / "billing.p12", passphrase="parsley")
    assert examine(wrong)[0].code == "wrong_passphrase"


def test_a_list_in_der_is_taken_as_it_is(identity: Path, world: World):
    (identity / "crl.pem").write_bytes(world.issuing.crl().public_bytes(Encoding.DER))
    material = load("client", identity)
    assert len(material.crls) == 1
    assert alarms(examine(material)) == []


def test_a_key_that_everybody_may_read_is_worth_a_word(identity: Path):
    os.chmod(identity / "key.pem", 0o644)
    findings = examine(load("client", identity))
    assert ("info", "key_readable_by_others") in {(f.severity, f.code) for f in findings}


def test_a_named_pipe_is_not_waited_for(identity: Path):
    (identity / "ca.pem").unlink()
    os.mkfifo(identity / "ca.pem")
    assert first(examine(load("client", identity)))[1] == "file_unreadable"


def test_a_path_that_no_file_can_have_is_a_finding():
    assert first(examine(load("client", "a\0b")))[1] == "file_unreadable"


def test_what_nobody_gave_is_no_fault():
    assert from_bytes("client").faults == ()


def test_a_passphrase_that_cannot_be_had_is_a_finding(identity: Path, world: World):
    the_key_is_encrypted(identity, world)

    def ask() -> bytes:
        raise OSError("no terminal")

    assert first(examine(load("client", identity, passphrase=ask)))[1] == "key_encrypted"
