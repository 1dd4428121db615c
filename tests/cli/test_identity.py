"""The options by which a verb learns who it is; what they load is the credential layer's to test."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from twoway.cli._identity import identity_options
from twoway.cli._passphrase import PassphraseWanted
from twoway.cli._root import Root


class Loaded:
    """Stands in for a credential: remembers from what it was loaded."""

    def __init__(self, *place: object, passphrase: object) -> None:
        self.place, self.passphrase = place, passphrase

    @classmethod
    def load(cls, place: Path, *, passphrase: object) -> Loaded:
        return cls(place, passphrase=passphrase)

    @classmethod
    def from_files(cls, *, cert: Path, key: Path, ca: Path | None, passphrase: object) -> Loaded:
        return cls(cert, key, ca, passphrase=passphrase)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "twoway.credential", SimpleNamespace(Credential=Loaded))


def call(*arguments: str, required: bool = True) -> tuple[int, dict[str, object]]:
    """Give the exit code and what the verb was called with."""
    seen: dict[str, object] = {}

    @click.command()
    @click.option("--port", default=8443)
    @identity_options(required=required)
    def act(**options: object) -> None:
        seen.update(options)

    root = Root("twoway")
    root.resolve_command = lambda ctx, args: ("act", act, args[1:])
    with pytest.raises(SystemExit) as left:
        root.main(["act", *arguments])
    return left.value.code, seen


def test_a_directory_is_loaded_as_the_identity():
    code, seen = call("--identity", "orders", "--port", "1")
    assert (code, seen["identity"].place, seen["port"]) == (0, (Path("orders"),), 1)


def test_three_files_are_loaded_as_the_identity():
    code, seen = call("--cert", "c.pem", "--key", "k.pem", "--ca", "a.pem")
    assert (code, seen["identity"].place) == (0, (Path("c.pem"), Path("k.pem"), Path("a.pem")))


def test_the_passphrase_is_asked_for_only_when_the_key_wants_one(tmp_path):
    file = tmp_path / "passphrase"
    file.write_text("hunter2\n")
    file.chmod(0o600)
    _, seen = call("--identity", "orders", "--passphrase-file", str(file))
    assert seen["identity"].passphrase() == b"hunter2"
    _, seen = call("--identity", "orders", "--passphrase-command", "echo hunter3")
    assert seen["identity"].passphrase() == b"hunter3"


def test_without_a_terminal_the_missing_passphrase_names_the_key(monkeypatch):
    monkeypatch.setattr("twoway.cli._passphrase.has_terminal", lambda: False)
    _, seen = call("--identity", "orders")
    with pytest.raises(PassphraseWanted, match=r"^the key of orders needs a passphrase"):
        seen["identity"].passphrase()


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (
            ["--identity", "orders", "--ca", "other.pem"],
            "--identity stands for --cert, --key and --ca, and was given together with one of them",
            "to change one of the three, name them all: --cert orders/cert.pem --key orders/key.pem --ca FILE",
        ),
        (
            ["--cert", "c.pem"],
            "--cert was given without --key",
            "pass --key FILE too, or --identity DIR",
        ),
        (
            ["--key", "k.pem"],
            "--key was given without --cert",
            "pass --cert FILE too, or --identity DIR",
        ),
        ([], "no identity was given", "pass --identity DIR, or --cert, --key and --ca"),
        (["--ca", "a.pem"], "no identity was given", "pass --identity DIR, or --cert, --key and --ca"),
        (
            ["--identity", "orders", "--passphrase-file", "f", "--passphrase-command", "c"],
            "--passphrase-file and --passphrase-command exclude each other",
            "give one of them",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, error, hint, capsys):
    code, seen = call(*arguments)
    assert (code, seen) == (2, {})
    assert capsys.readouterr().err == f"twoway: error: {error}\ntwoway: hint: {hint}\n"


def test_a_verb_may_let_its_caller_stay_anonymous():
    """One-way TLS still needs authorities to believe."""
    assert call(required=False) == (0, {"identity": None, "ca": None, "port": 8443})
    assert call("--ca", "a.pem", required=False)[1] == {"identity": None, "ca": Path("a.pem"), "port": 8443}
    _, seen = call("--identity", "orders", required=False)
    assert (seen["identity"].place, seen["ca"]) == ((Path("orders"),), None)
