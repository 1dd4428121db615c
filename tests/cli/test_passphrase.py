"""Where passphrases come from, what is refused, and that they are never printed."""

from __future__ import annotations

import logging
import os
import pickle
import pty
import select
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from twoway.cli import _passphrase
from twoway.cli._passphrase import Passphrase, PassphraseUnusable, PassphraseWanted, from_file, from_terminal
from twoway.errors import UsageError


def private(tmp_path, data: bytes):
    path = tmp_path / "passphrase"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("data", "passphrase"),
    [
        (b"pa ss\n", b"pa ss"),
        (b"pa ss", b"pa ss"),
        (b" pass \r\n", b" pass "),
        ("grüß\n".encode(), "grüß".encode()),
    ],
)
def test_a_file_is_the_passphrase_less_one_newline(tmp_path, data, passphrase):
    assert from_file(private(tmp_path, data)) == passphrase


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"one\ntwo\n", "it has more than one line"),
        (b"x" * 4097, "it is longer than 4096 bytes"),
        (b"x" * 100_000, "it is longer than 4096 bytes"),
    ],
)
def test_a_file_that_is_no_passphrase_says_why(tmp_path, data, problem):
    path = private(tmp_path, data)
    with pytest.raises(PassphraseUnusable) as refused:
        from_file(path)
    assert refused.value.args == (str(path), problem)


def test_a_missing_file_and_a_directory_are_told_apart(tmp_path):
    with pytest.raises(PassphraseUnusable, match="no such file or directory"):
        from_file(tmp_path / "missing")
    with pytest.raises(PassphraseUnusable, match="is a directory"):
        from_file(tmp_path)


def test_a_file_that_everybody_may_read_is_used_with_a_warning(tmp_path, caplog):
    path = private(tmp_path, b"pass")
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert from_file(path) == b"pass"
    assert caplog.messages == [f"{path} holds a passphrase and everybody may read it: chmod 600 {path}"]


def test_a_pipe_is_a_file_like_another_and_needs_no_warning(caplog):
    reader, writer = os.pipe()
    os.write(writer, b"pass\n")
    os.close(writer)
    try:
        assert from_file(Path(f"/dev/fd/{reader}")) == b"pass"
    finally:
        os.close(reader)
    assert not caplog.messages


def python(program: str) -> str:
    return shlex.join([sys.executable, "-c", program])


def test_a_command_gives_its_first_line_and_meets_no_shell(tmp_path):
    assert Passphrase("x", command=python("print('a $HOME b'); print('second')"))() == b"a $HOME b"
    assert Passphrase(
        "x", command=f"printf %s $HOME;touch{tmp_path}/pwned"
    )() == b"$HOME;touch" + os.fsencode(f"{tmp_path}/pwned")


@pytest.mark.parametrize(
    ("command", "source", "problem"),
    [
        ("   ", "--passphrase-command", "it is empty"),
        ("pass 'show", "--passphrase-command", "no closing quotation"),
        ("no-such-program --secret hunter2", "the command no-such-program", "no such file or directory"),
        ("false hunter2", "the command false", "it ended with exit status 1"),
        ("true", "the command true", "it is empty"),
        ("echo", "the command echo", "it is empty"),
    ],
)
def test_a_command_that_gives_none_says_why_without_its_arguments(command, source, problem):
    with pytest.raises(PassphraseUnusable) as refused:
        Passphrase("x", command=command)()
    assert refused.value.args == (source, problem)
    assert "hunter2" not in str(refused.value) + refused.value.remedy


def test_a_command_that_takes_too_long_is_ended():
    with pytest.raises(PassphraseUnusable, match=r"it took longer than 0\.2 s"):
        _passphrase.from_command(python("import signal; signal.pause()"), timeout=0.2)


def test_what_is_named_wins_over_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TWOWAY_CA_PASSPHRASE", "from the environment")
    assert Passphrase("x", variable="TWOWAY_CA_PASSPHRASE")() == b"from the environment"
    path = private(tmp_path, b"from the file")
    assert Passphrase("x", file=path, variable="TWOWAY_CA_PASSPHRASE")() == b"from the file"


def test_an_empty_variable_is_refused_and_not_skipped(monkeypatch):
    monkeypatch.setenv("TWOWAY_CA_PASSPHRASE", "")
    with pytest.raises(PassphraseUnusable, match="TWOWAY_CA_PASSPHRASE: it is empty"):
        Passphrase("x", variable="TWOWAY_CA_PASSPHRASE")()


def test_two_sources_are_one_too_many(tmp_path):
    with pytest.raises(UsageError, match="exclude each other"):
        Passphrase("x", file=tmp_path, command="true")


def test_without_a_terminal_the_error_names_every_other_way(monkeypatch):
    monkeypatch.setattr(_passphrase, "has_terminal", lambda: False)
    with pytest.raises(PassphraseWanted) as wanted:
        Passphrase("the root key", variable="TWOWAY_CA_PASSPHRASE")()
    assert str(wanted.value) == "the root key needs a passphrase, and there is no terminal to ask on"
    assert wanted.value.remedy == (
        "pass --passphrase-file FILE or --passphrase-command COMMAND, or set TWOWAY_CA_PASSPHRASE"
    )


def test_a_person_is_asked_once_and_for_a_new_one_twice():
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return "päss"

    assert from_terminal("the root key", ask=ask) == "päss".encode()
    assert from_terminal("the root key", new=True, ask=ask) == "päss".encode()
    assert questions == ["passphrase for the root key: ", "passphrase for the root key: ", "the same again: "]


def test_two_different_answers_are_refused_and_neither_is_printed():
    answers = iter(["hunter2", "hunter3"])
    with pytest.raises(
        PassphraseUnusable, match="no passphrase from the terminal: the two differ"
    ) as refused:
        from_terminal("the root key", new=True, ask=lambda question: next(answers))
    assert "hunter" not in repr(refused.value)


@pytest.mark.parametrize(
    "error", [PassphraseWanted("the key", "X"), PassphraseUnusable("a file", "it is empty")]
)
def test_errors_pickle(error):
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_on_a_real_terminal_it_is_asked_for_and_never_echoed():
    """The question goes to the terminal even when stdin is something else, and the answer is not shown."""
    ours, theirs = pty.openpty()
    program = (
        "from twoway.cli._passphrase import Passphrase; print(len(Passphrase('the root key', new=True)()))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        # The first terminal that a session's leader opens becomes its own.
        preexec_fn=lambda: os.close(os.open(os.ttyname(theirs), os.O_RDWR)),
    ) as process:
        try:
            shown = b""
            for question in (b"passphrase for the root key: ", b"the same again: "):
                while not shown.endswith(question):
                    assert select.select([ours], [], [], 30)[0], shown
                    shown += os.read(ours, 1024)
                os.write(ours, b"hunter2\n")
            assert process.communicate(timeout=30)[0] == b"7\n"
        finally:
            process.kill()
            os.close(theirs)
            os.close(ours)
    assert b"hunter2" not in shown
