"""`twoway ca`, as it is typed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from cryptography import x509

from tests.authority.conftest import make_csr
from tests.conftest import Command
from twoway.cli import main


class Done(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def ca(run_twoway: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `twoway ca …` in an empty directory, with the passphrase in the environment.

    With an environment of its own it is the real program, which has no terminal; else it runs in this process.
    """
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, code: int = 0, env: dict[str, str] | None = None) -> Done:
        if env is not None:
            process = run_twoway("ca", *arguments, env=env, cwd=tmp_path)
            done = Done(process.returncode, process.stdout, process.stderr)
        else:
            runner = CliRunner(env={"TWOWAY_CA_PASSPHRASE": "opens", "TWOWAY_CA_DIR": None})
            result = runner.invoke(main, ["ca", *map(str, arguments)])
            done = Done(result.exit_code, result.stdout, result.stderr)
        assert done.code == code, done
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def pki(ca: Run, tmp_path: Path) -> Path:
    ca("init", "pki", "--name", "Acme")
    return tmp_path


def errors(done: Done) -> list[str]:
    return done.stderr.splitlines()


def test_an_identity_is_issued_into_a_directory_named_after_it(ca: Run, pki: Path) -> None:
    done = ca("issue", "server", "api.acme.example", "--ip", "127.0.0.1", "--days", "7")
    assert "names      dns:api.acme.example, ip:127.0.0.1" in done.stdout
    assert sorted(path.name for path in (pki / "api.acme.example").iterdir()) == [
        "ca.pem",
        "cert.pem",
        "key.pem",
    ]
    told = json.loads(
        ca("issue", "client", "orders", "--out", "id", "--key-type", "ed25519", "--json").stdout
    )
    assert (told["directory"], told["profile"], told["state"]) == ("id", "client", "valid")


def test_an_identity_is_never_written_over(ca: Run, pki: Path) -> None:
    ca("issue", "client", "orders")
    before = (pki / "orders" / "key.pem").read_bytes()
    done = ca("issue", "client", "orders", code=2)
    assert errors(done) == [
        "twoway: error: orders already holds an identity",
        "twoway: hint: renew it with: twoway ca renew --identity orders; or choose another --out DIR",
    ]
    assert (pki / "orders" / "key.pem").read_bytes() == before
    assert len(json.loads(ca("list", "--json").stdout)) == 1


@pytest.mark.parametrize("name", ["spiffe://acme.example/orders/eu", "../../etc/passwd", "Kim Doe", "..."])
def test_no_name_leads_out_of_the_directory(ca: Run, pki: Path, name: str) -> None:
    done = ca("issue", "peer", name, "--dns", "a.example", "--json")
    written = pki / json.loads(done.stdout)["directory"]
    assert written.parent == pki
    assert (written / "cert.pem").is_file()


def test_without_terminal_and_passphrase_init_wants_to_be_told(ca: Run, tmp_path: Path) -> None:
    done = ca("init", "pki", "--name", "Acme", env={}, code=2)
    assert errors(done)[0] == "twoway: error: the CA keys in pki need a passphrase, and none was given"
    assert "--no-passphrase" in errors(done)[1]
    assert not (tmp_path / "pki").exists()
    ca("init", "pki", "--name", "Acme", "--no-passphrase", env={})
    assert b"ENCRYPTED" not in (tmp_path / "pki" / "root-key.pem").read_bytes()
    ca("issue", "client", "orders", env={})


def test_the_passphrase_comes_from_a_file_a_command_or_the_environment(ca: Run, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    (tmp_path / "secret").chmod(0o600)
    ca("init", "pki", "--name", "Acme", "--passphrase-file", "secret", env={})
    ca("issue", "client", "a", "--passphrase-file", "secret", env={})
    ca("issue", "client", "b", "--passphrase-command", "cat secret", env={})
    ca("issue", "client", "c", env={"TWOWAY_CA_PASSPHRASE": "from a file"})
    done = ca("issue", "client", "d", env={"TWOWAY_CA_PASSPHRASE": "a guess"}, code=2)
    assert "the passphrase does not open" in errors(done)[0]
    assert not (tmp_path / "d").exists()
    done = ca("issue", "client", "d", env={}, code=2)
    assert "no terminal to ask on" in errors(done)[0]


def test_no_authority_says_where_one_was_looked_for(ca: Run) -> None:
    done = ca("list", code=2)
    assert "pki is not an authority directory: the directory is missing" in errors(done)[0]
    assert "TWOWAY_CA_DIR" in errors(done)[1]


def test_the_directory_comes_from_the_option_or_the_environment(ca: Run, pki: Path) -> None:
    (pki / "pki").rename(pki / "elsewhere")
    ca("list", code=2)
    ca("list", "--ca-dir", pki / "elsewhere")
    ca("list", env={"TWOWAY_CA_DIR": str(pki / "elsewhere")})


def test_an_authority_is_not_made_twice(ca: Run, pki: Path) -> None:
    assert "already holds an authority" in errors(ca("init", "pki", "--name", "Other", code=2))[0]


def test_a_request_is_signed_to_stdout_or_a_file(ca: Run, pki: Path) -> None:
    (pki / "csr.pem").write_bytes(make_csr("orders", dns=("orders.acme.example",)))
    chain = x509.load_pem_x509_certificates(ca("sign", "csr.pem", "--profile", "server").stdout.encode())
    assert len(chain) == 2
    done = ca("sign", "csr.pem", "--profile", "server", "--dns", "other.example", "--out", "chain.pem")
    assert "file     chain.pem" in done.stdout
    told = json.loads(ca("sign", "csr.pem", "--profile", "client", "--json").stdout)
    assert told["names"]["dns"] == ["orders.acme.example"]
    assert told["chain"].count("BEGIN CERTIFICATE") == 2


def test_a_request_that_is_refused_is_a_no(ca: Run, pki: Path) -> None:
    """Exit status 1: the request was understood."""
    (pki / "csr.pem").write_bytes(make_csr("orders"))
    done = ca("sign", "csr.pem", "--profile", "server", code=1)
    assert errors(done)[0].startswith("twoway: error: a server certificate needs a DNS name")
    (pki / "bad.pem").write_text("not a request")
    done = ca("sign", "bad.pem", "--profile", "server", code=1)
    assert "openssl req -new" in errors(done)[1]
    ca("sign", "csr.pem", "--profile", "sever", code=2)
    ca("sign", "nowhere.pem", "--profile", "server", code=2)


def test_revoke_list_show_and_crl(ca: Run, pki: Path) -> None:
    ca("issue", "client", "orders")
    ca("issue", "client", "billing")
    done = ca("revoke", "orders", "--reason", "keyCompromise")
    assert done.stdout.startswith("revoked ")
    assert errors(done) == ["twoway: hint: publish it: twoway ca crl --out crl.pem"]
    table = ca("list").stdout.splitlines()
    assert [line.split()[1] for line in table] == ["STATE", "revoked", "valid"]
    assert ca("list", "orders", "--state", "valid").stdout == ""
    assert json.loads(ca("show", "orders", "--json").stdout)["reason"] == "keyCompromise"
    assert x509.load_pem_x509_certificate(ca("show", "billing", "--pem").stdout.encode())
    assert "CN=Acme Issuing CA, O=Acme: number 2, 1 revoked" in ca("crl", "--out", "crl.pem").stdout
    assert (pki / "crl.pem").read_text() == ca("crl").stdout
    assert json.loads(ca("crl", "--json").stdout)["crls"][0]["entries"] == 1
    ca("show", "nobody", code=1)
    ca("revoke", "billing", "--reason", "stolen", code=2)
    ca("revoke", "orders", code=1)


def test_an_identity_is_renewed_in_place(ca: Run, pki: Path) -> None:
    ca("issue", "client", "orders")
    files = {name: (pki / "orders" / name).read_bytes() for name in ("cert.pem", "key.pem")}
    ca("renew", "--identity", "orders", "--same-key")
    assert (pki / "orders" / "key.pem").read_bytes() == files["key.pem"]
    assert (pki / "orders" / "cert.pem").read_bytes() != files["cert.pem"]
    ca("renew", "--identity", "orders")
    assert (pki / "orders" / "key.pem").read_bytes() != files["key.pem"]
    ca("revoke", "orders", "--all")
    done = ca("renew", "--identity", "orders", code=1)
    assert "cannot be renewed: it is revoked" in errors(done)[0]


def test_an_encrypted_key_stays_encrypted(ca: Run, pki: Path) -> None:
    (pki / "secret").write_text("mine\n")
    (pki / "secret").chmod(0o600)
    ca("issue", "client", "orders", "--key-passphrase-file", "secret")
    assert b"ENCRYPTED" in (pki / "orders" / "key.pem").read_bytes()
    ca("renew", "--identity", "orders", code=2)
    ca("renew", "--identity", "orders", "--key-passphrase-file", "secret")
    assert b"ENCRYPTED" in (pki / "orders" / "key.pem").read_bytes()


def test_a_certificate_is_renewed_by_name_into_a_new_directory(ca: Run, pki: Path) -> None:
    ca("issue", "client", "orders", "--out", "first")
    ca("renew", "orders", "--out", "second")
    assert (pki / "second" / "key.pem").is_file()
    for arguments in ((), ("orders", "--issuing"), ("orders", "--same-key")):
        ca("renew", *arguments, code=2)


def test_the_roots_key_goes_offline_and_comes_back(ca: Run, pki: Path) -> None:
    done = ca("export", "--root-key", "safe.pem", "--remove-root-key")
    assert "cannot be renewed or revoked" in done.stderr
    assert not (pki / "pki" / "root-key.pem").exists()
    done = ca("renew", "--issuing", code=2)
    assert "cannot renew the issuing CA: the root's key is kept offline" in errors(done)[0]
    assert "key      same" in ca("renew", "--issuing", "--root-key", "safe.pem").stdout
    assert ca("issue", "client", "orders")
    ca("revoke", "--issuing", "--root-key", "safe.pem")
    assert "is revoked" in errors(ca("issue", "client", "late", code=2))[0]
    # The key had two certificates: whoever has it could show either.
    assert json.loads(ca("crl", "--json").stdout)["crls"][1]["entries"] == 2


def test_the_only_copy_of_the_roots_key_is_not_removed(ca: Run, pki: Path) -> None:
    ca("export", "--remove-root-key", code=2)
    assert (pki / "pki" / "root-key.pem").exists()


def test_the_trust_bundle_is_the_root(ca: Run, pki: Path) -> None:
    assert ca("export").stdout == (pki / "pki" / "root.pem").read_text()
    ca("export", "--out", "ca.pem")
    assert (pki / "ca.pem").read_text() == (pki / "pki" / "root.pem").read_text()


def test_the_audit_log_is_printed_and_verified(ca: Run, pki: Path) -> None:
    ca("issue", "client", "orders")
    acts = [json.loads(line)["act"] for line in ca("audit", "--json").stdout.splitlines()]
    assert acts == ["create", "crl", "crl", "issue"]
    report = json.loads(ca("audit", "--verify", "--json").stdout)
    assert (report["rows"], report["certificates"]) == (4, 1)
    assert ca("audit", "--verify", "--expect", report["head"])
    assert len(ca("audit", "--after", "3").stdout.splitlines()) == 1
    printed = ca("audit", "--verify").stdout.split("head")[1].strip()
    assert printed == report["head"]  # as a person copies it
    ca("audit", "--verify", "--expect", "nonsense", code=2)
    ca("audit", "--expect", report["head"], code=2)


def test_a_broken_log_is_a_no_that_names_the_row(ca: Run, pki: Path) -> None:
    ca("issue", "client", "orders")
    with closing(sqlite3.connect(pki / "pki" / "authority.db")) as connection, connection:
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE id = 2")
    done = ca("audit", "--verify", code=1)
    assert errors(done)[0] == (
        "twoway: error: audit row 2: its hash does not follow from its content and the row before"
    )


def test_constraints_are_given_at_the_beginning(ca: Run, tmp_path: Path) -> None:
    ca("init", "pki", "--name", "Acme", "--permit", "dns:acme.example", "--exclude", "dns:hr.acme.example")
    done = ca("issue", "server", "evil.test", code=1)
    assert "permit only dns:acme.example" in errors(done)[0]
    ca("init", "other", "--name", "Acme", "--permit", "acme.example", code=2)


def test_a_profile_with_a_mistake_is_told_with_its_line(ca: Run, pki: Path) -> None:
    (pki / "pki" / "profiles" / "robot.toml").write_text('purpose = ["client"]\ndays = "many"\n')
    done = ca("issue", "robot", "r2", code=2)
    assert "robot.toml: line 2, days: input should be" in errors(done)[0].lower()


def test_a_root_is_changed_as_it_is_typed(ca: Run, pki: Path) -> None:
    """Each call takes a step; one that would cut somebody off ends with 1, and names them."""
    ca("issue", "client", "orders", "--out", "orders")
    assert "distribute" in ca("rotate", "root", "--days", "100").stdout
    assert ca("export").stdout.count("BEGIN CERTIFICATE") == 2
    refused = ca("rotate", "root", code=1)
    assert "orders" in refused.stderr
    assert "--force" in refused.stderr
    status = json.loads(ca("rotate", "root", "--status", "--json").stdout)
    assert (status["step"], status["next"], status["waits_for"]) == ("distribute", "issue", 1)
    assert "orders" in ca("rotate", "root", "--status").stdout
    ca("rotate", "root", "--status", "--force", code=2)
    ca("rotate", "root", "--abort")
    ca("rotate", "root", "--abort", code=2)
    for step in ("distribute", "issue", "retired"):
        assert step in ca("rotate", "root", *(["--force"] if step != "distribute" else [])).stdout
    assert "rows" in ca("audit", "--verify").stdout
    assert ca("export").stdout.count("BEGIN CERTIFICATE") == 1


def test_a_root_without_a_passphrase_is_changed_without_one(ca: Run) -> None:
    """New keys are kept as the old ones are: nobody is asked for a passphrase that there is not."""
    nowhere = {"PATH": "/usr/bin:/bin"}
    ca("init", "open", "--name", "Acme", "--no-passphrase", env=nowhere)
    assert "distribute" in ca("rotate", "root", "--ca-dir", "open", env=nowhere).stdout
    assert "issue" in ca("rotate", "root", "--ca-dir", "open", env=nowhere).stdout
    ca("renew", "--issuing", "--new-key", "--ca-dir", "open", env=nowhere, code=2)
