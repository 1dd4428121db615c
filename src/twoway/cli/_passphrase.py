"""Where a passphrase comes from: a file, a command, the environment or a person; it is never printed."""

from __future__ import annotations

import logging
import os
import shlex
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twoway.errors import ConfigError, UsageError

MAX_PASSPHRASE = 4096  # bytes; more than that is some other file
COMMAND_TIMEOUT = 60.0  # seconds; a password manager may ask a person

log = logging.getLogger(__name__)


class PassphraseWanted(ConfigError):
    """A passphrase is needed, none was given, and there is no terminal to ask on."""

    code = "passphrase_wanted"

    def __init__(self, purpose: str, variable: str | None = None) -> None:
        super().__init__(purpose, variable)
        self.purpose, self.variable = purpose, variable

    def __str__(self) -> str:
        return f"{self.purpose} needs a passphrase, and there is no terminal to ask on"

    @property
    def remedy(self) -> str:
        variable = f", or set {self.variable}" if self.variable else ""
        return f"pass --passphrase-file FILE or --passphrase-command COMMAND{variable}"


class PassphraseUnusable(ConfigError):
    """The named source gave no passphrase."""

    code = "passphrase_unusable"

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(source, problem)
        self.source, self.problem = source, problem

    def __str__(self) -> str:
        return f"no passphrase from {self.source}: {self.problem}"

    @property
    def remedy(self) -> str:
        return f"a passphrase is one line of 1 to {MAX_PASSPHRASE} bytes"

    @property
    def evidence(self) -> dict[str, object]:
        return {"source": self.source, "problem": self.problem}


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Where the passphrase for one purpose is to be found, asked only when it is needed.

    At most one of `file` and `command`; they win over the environment's `variable`, and that over a
    person at the terminal. `new` asks twice. Raises `UsageError`, `PassphraseUnusable` or
    `PassphraseWanted`.
    """

    purpose: str
    file: Path | None = None
    command: str | None = None
    variable: str | None = None
    new: bool = False

    def __post_init__(self) -> None:
        if self.file and self.command:
            raise UsageError(
                "--passphrase-file and --passphrase-command exclude each other", "give one of them"
            )

    @property
    def given(self) -> bool:
        """Whether it will be found without asking a person."""
        return bool(self.file or self.command or (self.variable and self.variable in os.environ))

    def __call__(self) -> bytes:
        if self.file:
            return from_file(self.file)
        if self.command:
            return from_command(self.command)
        if self.variable and self.variable in os.environ:
            return _checked(os.environb[self.variable.encode()], self.variable)
        if not has_terminal():
            raise PassphraseWanted(self.purpose, self.variable)
        return from_terminal(self.purpose, new=self.new)


def from_file(path: Path) -> bytes:
    """Read a passphrase from a file, less one newline at its end; warn when everybody may read it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_PASSPHRASE + 3)
    except OSError as error:
        raise PassphraseUnusable(str(path), (error.strerror or str(error)).lower()) from error
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        log.warning("%s holds a passphrase and everybody may read it: chmod 600 %s", path, path)
    return _checked(data.removesuffix(b"\n").removesuffix(b"\r"), str(path))


def from_command(command: str, timeout: float = COMMAND_TIMEOUT) -> bytes:
    """Run a command, without a shell, and take the first line of what it prints."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise PassphraseUnusable("--passphrase-command", str(error).lower()) from error
    if not words:
        raise PassphraseUnusable("--passphrase-command", "it is empty")
    # Only the program is named in errors: its arguments may be as secret as what it prints.
    source = f"the command {words[0]}"
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise PassphraseUnusable(source, f"it took longer than {timeout:g} s") from None
    except (OSError, ValueError) as error:
        raise PassphraseUnusable(source, str(getattr(error, "strerror", None) or error).lower()) from error
    if done.returncode != 0:
        raise PassphraseUnusable(source, f"it ended with exit status {done.returncode}")
    return _checked(done.stdout.split(b"\n", 1)[0].removesuffix(b"\r"), source)


def from_terminal(purpose: str, *, new: bool = False, ask: Callable[[str], str] | None = None) -> bytes:
    """Ask a person on the terminal without echo; a new passphrase is asked twice."""
    if ask is None:
        import getpass

        ask = getpass.getpass
    answer = ask(f"passphrase for {purpose}: ")
    if new and ask("the same again: ") != answer:
        raise PassphraseUnusable("the terminal", "the two differ")
    return _checked(answer.encode(errors="surrogateescape"), "the terminal")


def has_terminal() -> bool:
    """Tell whether a person can be asked, wherever stdin comes from."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _checked(passphrase: bytes, source: str) -> bytes:
    if not passphrase:
        raise PassphraseUnusable(source, "it is empty")
    if len(passphrase) > MAX_PASSPHRASE:
        raise PassphraseUnusable(source, f"it is longer than {MAX_PASSPHRASE} bytes")
    if b"\n" in passphrase:
        raise PassphraseUnusable(source, "it has more than one line")
    return passphrase
