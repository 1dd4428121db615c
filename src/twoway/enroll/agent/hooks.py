"""Telling whoever uses an identity that there is a new one: a signal, a command, or a systemd unit."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from twoway.errors import ConfigError, UsageError

SECONDS = 60.0


class HookFailed(ConfigError):
    """What uses an identity could not be told that there is a new one."""

    code = "reload_hook_failed"

    def __init__(self, hook: str, problem: str) -> None:
        super().__init__(hook, problem)
        self.hook, self.problem = hook, problem

    def __str__(self) -> str:
        return f"the new identity is written, and {self.hook} failed: {self.problem}"

    @property
    def remedy(self) -> str:
        return "run it by hand to see why; it is tried again until it succeeds"


@dataclass(frozen=True, slots=True)
class SignalHook:
    """Send a signal to the process whose number is in a file."""

    pid_file: Path
    name: str = "HUP"

    def __post_init__(self) -> None:
        number_of(self.name)

    def run(self) -> None:
        try:
            pid = int(self.pid_file.read_text(encoding="ascii").strip())
            if pid <= 1:
                raise ValueError(f"{pid} is no process of a service")
            os.kill(pid, number_of(self.name))
        except (OSError, ValueError) as failure:
            reason = failure.strerror if isinstance(failure, OSError) else str(failure)
            raise HookFailed(str(self), str(reason)) from None

    def __str__(self) -> str:
        return f"SIG{self.name} to the process of {self.pid_file}"


@dataclass(frozen=True, slots=True)
class CommandHook:
    """Run a command, without a shell. It gets the identity's directory in TWOWAY_IDENTITY and no secrets."""

    command: tuple[str, ...]
    directory: Path

    def run(self) -> None:
        environment = {**os.environ, "TWOWAY_IDENTITY": str(self.directory)}
        try:
            done = subprocess.run(
                self.command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise HookFailed(str(self), f"it ran for more than {SECONDS:g} s") from None
        except (OSError, ValueError) as failure:
            raise HookFailed(str(self), str(failure)) from None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise HookFailed(
                str(self), f"exit status {done.returncode}" + (f": {said[-1][:300]}" if said else "")
            )

    def __str__(self) -> str:
        return " ".join(self.command)


Hook = SignalHook | CommandHook


def unit_hook(unit: str, directory: Path) -> CommandHook:
    """Reload a systemd unit, or restart it where it cannot reload."""
    return CommandHook(("systemctl", "reload-or-restart", "--no-block", unit), directory)


def number_of(name: str) -> signal.Signals:
    """The signal of that name, with or without SIG; raises UsageError."""
    try:
        return signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"]
    except KeyError:
        raise UsageError(f"there is no signal {name!r}", "such as HUP, USR1 or TERM") from None
