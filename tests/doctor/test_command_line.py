"""`twoway doctor --files`: the verdict first, then each finding; exit 0 healthy, 1 broken, 2 asked wrongly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.doctor.sides import HOST, World, pem, present
from tests.pki import Issuer
from twoway.credential import Credential


@pytest.fixture(scope="module")
def world() -> World:
    return World.make()


@pytest.fixture
def client(tmp_path: Path, world: World) -> Path:
    return world.client_credential.save(tmp_path / "client")


@pytest.fixture
def server(tmp_path: Path, world: World) -> Path:
    return world.server_credential.save(tmp_path / "server")


def test_a_healthy_pair_ends_with_0(run_twoway: Command, client: Path, server: Path):
    done = run_twoway(
        "doctor", "--files", "--identity", client, "--server-identity", server, "--server-name", HOST
    )
    assert done.stderr == ""
    assert done.stdout == f"{client} and {server}: healthy\n"
    assert done.returncode == 0


def test_a_broken_pair_says_first_what_is_wrong_and_whose_it_is(
    run_twoway: Command, client: Path, server: Path
):
    done = run_twoway(
        "doctor", "--files", "--identity", client, "--server-identity", server, "--server-name", "x.example"
    )
    lines = done.stdout.splitlines()
    assert lines[0].endswith("broken: the certificate is for another name; the server's side must change")
    assert lines[2] == "1. error: hostname_mismatch (to be changed: the server)"
    assert "   expected    x.example" in lines
    assert f"   presented   {HOST}" in lines
    assert any(line.startswith("   remedy ") for line in lines)
    assert done.returncode == 1


def test_the_servers_trust_may_be_a_file_of_its_own(run_twoway: Command, client: Path, tmp_path: Path):
    trust = tmp_path / "trust.pem"
    trust.write_bytes(pem(Issuer.root("Globex").certificate))
    done = run_twoway("doctor", "--files", "--identity", client, "--server-trust", trust, "--json")
    finding = json.loads(done.stdout)["findings"][0]
    assert (finding["code"], finding["blame"]) == ("wrong_authority_in_trust", "server")
    assert done.returncode == 1


def test_json_is_the_same_report(run_twoway: Command, world: World, tmp_path: Path):
    material = present("client", world.issuing, start=-9, days=-1)
    assert material.key is not None
    Credential(material.key, material.chain, material.anchors or ()).save(tmp_path / "old")
    done = run_twoway("doctor", "--files", "--identity", tmp_path / "old", "--json")
    told = json.loads(done.stdout)
    assert told["verdict"] == "broken"
    assert set(told["findings"][0]) == {
        "code",
        "severity",
        "blame",
        "summary",
        "evidence",
        "remedy",
        "also_possible",
    }
    assert told["findings"][0]["code"] == "certificate_expired"
    assert done.returncode == 1


def test_the_server_alone_can_be_examined(run_twoway: Command, server: Path):
    done = run_twoway("doctor", "--files", "--server-identity", server, "--server-name", HOST)
    assert done.stdout.startswith(f"{server}: healthy")
    assert done.returncode == 0


def test_the_revocation_list_of_the_client_counts(
    run_twoway: Command, world: World, client: Path, server: Path, tmp_path: Path
):
    from cryptography.hazmat.primitives.serialization import Encoding

    lists = tmp_path / "lists.pem"
    revoking = world.issuing.crl(world.server_credential.leaf)
    lists.write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in (world.root.crl(), revoking)))
    done = run_twoway(
        "doctor", "--files", "--identity", client, "--crl", lists, "--server-identity", server, "--json"
    )
    finding = json.loads(done.stdout)["findings"][0]
    assert (finding["code"], finding["blame"]) == ("certificate_revoked", "server")


def test_an_encrypted_key_opens_with_a_passphrase_file(run_twoway: Command, world: World, tmp_path: Path):
    identity = world.client_credential.save(tmp_path / "locked", passphrase="sesame")
    (tmp_path / "word").write_text("sesame\n")
    (tmp_path / "word").chmod(0o600)
    shut = run_twoway("doctor", "--files", "--identity", identity)
    assert "key_encrypted" in shut.stdout
    opened = run_twoway("doctor", "--files", "--identity", identity, "--passphrase-file", tmp_path / "word")
    assert opened.returncode == 0, opened.stdout


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--files"], ["doctor", "--filez"]])
def test_who_asks_wrongly_is_told_how_to_ask(run_twoway: Command, arguments: list[str]):
    done = run_twoway(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "twoway: hint: " in done.stderr


def test_a_name_in_a_certificate_cannot_move_the_cursor(run_twoway: Command, world: World, tmp_path: Path):
    forged = present("client", world.issuing, "\x1b[2Jroot\nhealthy", start=-9, days=-1)
    assert forged.key is not None
    Credential(forged.key, forged.chain, forged.anchors or ()).save(tmp_path / "forged")
    done = run_twoway("doctor", "--files", "--identity", tmp_path / "forged")
    assert "\x1b" not in done.stdout
    assert "\\x1b[2Jroot" in done.stdout
