"""`twoway` itself: finds verbs, prints errors as sentences, leaves with the right code. No traceback."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.conftest import Command
from twoway.cli import _failure
from twoway.cli._root import VERBS, Root, main
from twoway.errors import ConfigError, NetworkError, PeerDenied, UsageError


def verb(function: object) -> Root:
    """A root with one verb more, so that its failures can be seen."""

    class WithVerb(Root):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            return click.command("act")(function) if cmd_name == "act" else super().get_command(ctx, cmd_name)

        def resolve_command(self, ctx: click.Context, args: list[str]):
            return click.Group.resolve_command(self, ctx, args)

    return WithVerb("twoway")


def outcome(function: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        verb(function).main(["act"])
    return left.value.code, capsys.readouterr().err


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_in_the_table_exists(name):
    module, _, attribute = VERBS[name].place.partition(":")
    assert isinstance(getattr(importlib.import_module(module), attribute), click.Command)


def test_help_names_every_verb_and_imports_none_of_them(run_twoway: Command):
    done = run_twoway("--help")
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in VERBS)
    heavy = "import sys, twoway.cli; print([m for m in sys.modules if m.split('.')[0] in "
    heavy += "('cryptography', 'OpenSSL', 'sqlalchemy', 'uvicorn', 'httpx2', 'rich', 'asyncio', 'pydantic')])"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True).stdout == "[]\n"


def test_version_prints_what_a_report_of_a_problem_needs(run_twoway: Command):
    done = run_twoway("--version")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "twoway",
        "CPython",
        "cryptography",
        "pyOpenSSL",
        "OpenSSL",
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["serv"], "there is no verb 'serv'", "did you mean serve?"),
        (["xyzzy"], "there is no verb 'xyzzy'", f"the verbs are {', '.join(VERBS)}"),
        (["--versoin"], "there is no option --versoin", "did you mean --version?"),
        (["--xyzzy"], "there is no option --xyzzy", "see twoway --help"),
        (["--version=3"], "option '--version' does not take a value", "see twoway --help"),
        (["\x1b]0;owned\x07"], r"there is no verb '\x1b]0;owned\x07'", f"the verbs are {', '.join(VERBS)}"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_hint(run_twoway: Command, arguments, error, hint):
    done = run_twoway(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"twoway: error: {error}\ntwoway: hint: {hint}\n"


class Denied(PeerDenied):
    remedy = "add a rule"


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (
            UsageError("no name was given", "pass --name"),
            2,
            ["error: no name was given", "hint: pass --name"],
        ),
        (ConfigError("no such file"), 2, ["error: no such file"]),
        (Denied("orders is not allowed"), 1, ["error: orders is not allowed", "hint: add a rule"]),
        (NetworkError("connection reset"), 1, ["error: connection reset"]),
        (NetworkError("line one\ntwoway: error: forged"), 1, [r"error: line one\ntwoway: error: forged"]),
        (PermissionError(13, "Permission denied", "key.pem"), 2, ["error: key.pem: permission denied"]),
        (
            ValueError("odd"),
            70,
            [
                "error: internal error: ValueError: odd",
                "hint: set TWOWAY_DEBUG=1 to see where, and report it with `twoway --version`",
            ],
        ),
    ],
)
def test_an_error_becomes_a_sentence_a_hint_and_an_exit_code(error, code, lines, capsys):
    def act() -> None:
        raise error

    assert outcome(act, capsys) == (code, "".join(f"twoway: {line}\n" for line in lines))


def test_an_error_that_cannot_say_what_it_is_does_not_end_in_a_traceback(capsys):
    class Faulty(PeerDenied):
        def __str__(self) -> str:
            return self.missing

    def act() -> None:
        raise Faulty

    code, printed = outcome(act, capsys)
    assert code == 70
    assert printed.startswith(
        "twoway: error: internal error: AttributeError: 'Faulty' object has no attribute"
    )


def test_the_traceback_is_shown_to_who_asks_for_it(monkeypatch, capsys):
    monkeypatch.setenv("TWOWAY_DEBUG", "1")

    def act() -> None:
        raise ValueError("odd")

    code, printed = outcome(act, capsys)
    assert code == 70
    assert printed.startswith("Traceback (most recent call last)")
    assert "twoway: error: internal error: ValueError: odd\n" in printed


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (1, 1), (2, 2), ("text", 0), (True, 0)])
def test_the_number_that_a_verb_returns_is_the_exit_code(answer, code, capsys):
    assert outcome(lambda: answer, capsys) == (code, "")


def test_a_person_who_interrupts_gets_130_and_no_words(capsys):
    def act() -> None:
        raise KeyboardInterrupt

    code, printed = outcome(act, capsys)
    assert (code, printed.strip()) == (130, "")


def test_an_unknown_verb_of_a_group_is_refused_in_the_same_form(capsys):
    group = click.Group("act", commands={"issue": click.Command("issue"), "list": click.Command("list")})
    error = click.exceptions.NoSuchCommand("isue", possibilities=group.commands, ctx=click.Context(group))
    assert _failure.report(error) == 2
    assert (
        capsys.readouterr().err
        == "twoway: error: there is no verb 'isue'\ntwoway: hint: did you mean issue?\n"
    )


def test_a_warning_of_a_library_is_one_line_on_stderr(capsys):
    def act() -> None:
        import logging

        from twoway.cli._log import print_warnings

        print_warnings()
        logging.getLogger("twoway.anything").warning("stored %s", "unencrypted")
        logging.getLogger("twoway.anything").info("not shown")

    import logging

    before, root = logging.lastResort, logging.getLogger()
    handlers, root.handlers = root.handlers, []  # as in a program: nobody has configured logging
    try:
        assert outcome(act, capsys) == (0, "twoway: warning: stored unencrypted\n")
    finally:
        logging.lastResort, root.handlers = before, handlers


def test_a_reader_who_leaves_early_is_no_error(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(
        "import click, sys\nfrom twoway.cli._root import Root\nroot = Root('twoway')\n"
        "root.get_command = lambda ctx, name: act\nroot.resolve_command = lambda ctx, a: ('act', act, a[1:])\n"
        "@click.command()\ndef act():\n    for number in range(100_000): click.echo(number)\n"
        "root.main(['act'])\n"
    )
    with subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_broken_pipe_that_is_not_ours_is_not_taken_for_a_reader_who_left(capsys):
    def act() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    code, printed = outcome(act, capsys)
    assert code == 70
    assert "internal error: BrokenPipeError" in printed


@pytest.mark.parametrize("standard", [signal.SIGINT])
def test_a_running_verb_ends_quietly_when_interrupted(standard, tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(
        "import click, signal\nfrom twoway.cli._root import Root\nroot = Root('twoway')\n"
        "root.resolve_command = lambda ctx, a: ('act', act, a[1:])\n"
        "@click.command()\ndef act():\n    click.echo('ready')\n    signal.pause()\nroot.main(['act'])\n"
    )
    with subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"ready\n"
        os.kill(process.pid, standard)
        assert process.stderr.read().strip() == b""
    assert process.returncode == 130


def test_colours_need_a_terminal_and_no_objection(monkeypatch):
    from twoway.cli._output import coloured

    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not coloured(Terminal())


def test_main_is_a_group_that_programs_can_walk():
    assert isinstance(main, click.Group)
    assert main.list_commands(click.Context(main)) == list(VERBS)
