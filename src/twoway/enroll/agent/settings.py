"""What the agent is to keep fresh, and for whom: from the command line, or from a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from twoway.enroll.agent.hooks import CommandHook, Hook, SignalHook, unit_hook
from twoway.errors import ConfigError, UsageError

URL_FILE = "authority-url"


class AgentFileInvalid(ConfigError):
    """The agent's configuration cannot be used."""

    code = "agent_file_invalid"

    def __init__(self, path: str, place: str, problem: str) -> None:
        super().__init__(path, place, problem)
        self.path, self.place, self.problem = path, place, problem

    def __str__(self) -> str:
        return f"{self.path}: {self.place + ': ' if self.place else ''}{self.problem}"

    @property
    def remedy(self) -> str:
        return "docs/agent.md lists what may stand in it"


@dataclass(frozen=True, kw_only=True)
class Pkcs12:
    """A PKCS#12 copy that is written beside the identity."""

    file: Path
    passphrase_file: Path
    compat: Literal["modern", "legacy"] = "modern"


@dataclass(frozen=True, kw_only=True)
class IdentityOptions:
    """One identity directory and how it is kept."""

    directory: Path
    url: str
    new_key: bool = True
    crl: bool = False
    pkcs12: Pkcs12 | None = None
    hooks: tuple[Hook, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AgentOptions:
    """Everything that one agent keeps. `metrics` is an address for Prometheus, HOST:PORT."""

    identities: tuple[IdentityOptions, ...]
    metrics: str | None = None
    log_format: str = "text"

    def __post_init__(self) -> None:
        if not self.identities:
            raise UsageError("there is no identity to keep", "name its directory: twoway agent run DIR")


def url_of(directory: Path, given: str | None) -> str:
    """The authority of an identity: as given, or as `twoway agent join` left it there; raises UsageError."""
    if given:
        return given
    try:
        return (directory / URL_FILE).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise UsageError(
            f"nobody knows which authority renews {directory}",
            f"say it: --url https://HOST:PORT, or write it into {directory / URL_FILE}",
        ) from None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Reload(_Strict):
    signal: str | None = None
    pid_file: Path | None = None
    command: list[str] | None = None
    unit: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> _Reload:
        if sum(each is not None for each in (self.pid_file, self.command, self.unit)) != 1:
            raise ValueError("expected exactly one of pid_file (with signal), command or unit")
        if self.command is not None and not self.command:
            raise ValueError("the command is empty")
        return self


class _Pkcs12(_Strict):
    file: Path
    passphrase_file: Path
    compat: Literal["modern", "legacy"] = "modern"


class _Identity(_Strict):
    dir: Path
    url: str | None = None
    new_key: bool = True
    crl: bool = False
    pkcs12: _Pkcs12 | None = None
    reload: list[_Reload] = Field(default_factory=list)


class _Agent(_Strict):
    metrics: str | None = None
    log_format: Literal["text", "json"] = "text"


class _File(_Strict):
    agent: _Agent = Field(default_factory=_Agent)
    identity: list[_Identity]


def load(path: Path) -> AgentOptions:
    """The options in a TOML file; paths in it count from its own directory. Raises AgentFileInvalid, UsageError."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        found = _File.model_validate(table)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as failure:
        raise AgentFileInvalid(str(path), "", str(failure)) from None
    except ValidationError as failure:
        first = failure.errors(include_url=False)[0]
        place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in first["loc"])
        raise AgentFileInvalid(
            str(path), place.lstrip("."), str(first["msg"]).removeprefix("Value error, ")
        ) from None
    here = path.parent
    return AgentOptions(
        identities=tuple(_identity(each, here) for each in found.identity),
        metrics=found.agent.metrics,
        log_format=found.agent.log_format,
    )


def _identity(one: _Identity, here: Path) -> IdentityOptions:
    directory = here / one.dir
    return IdentityOptions(
        directory=directory,
        url=url_of(directory, one.url),
        new_key=one.new_key,
        crl=one.crl,
        pkcs12=None
        if one.pkcs12 is None
        else Pkcs12(
            file=here / one.pkcs12.file,
            passphrase_file=here / one.pkcs12.passphrase_file,
            compat=one.pkcs12.compat,
        ),
        hooks=tuple(_hook(each, directory, here) for each in one.reload),
    )


def _hook(one: _Reload, directory: Path, here: Path) -> Hook:
    if one.pid_file is not None:
        return SignalHook(here / one.pid_file, one.signal or "HUP")
    if one.command is not None:
        return CommandHook(tuple(one.command), directory)
    return unit_hook(one.unit or "", directory)
