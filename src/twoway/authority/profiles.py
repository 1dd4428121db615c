"""Profiles: what a certificate of a kind may say, whoever asks for it.

Three are built in: `server`, `client` and `peer`. Others are TOML files in the authority's `profiles/` directory,
where a file with a built-in's name takes its place.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from twoway.authority.refusals import ProfileInvalid, ProfileUnknown
from twoway.credential import KEY_TYPES
from twoway.names import matches_pattern

DAYS = 90

Kind = Literal["dns", "ip", "uri", "email"]

# RFC 5280 §4.2.1.3. The two that make a CA are not here: no profile makes one.
KeyUsageName = Literal[
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"
]


_PROFILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")

# An authority keeps these for itself: they would let a leaf speak for the CA.
_FORBIDDEN_PURPOSES = {
    "2.5.29.37.0": "anyExtendedKeyUsage",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
}


def _purpose(value: str) -> str:
    if value in ("server", "client") or re.fullmatch(r"[0-2](\.\d+)+", value):
        if value in _FORBIDDEN_PURPOSES:
            raise ValueError(f"{_FORBIDDEN_PURPOSES[value]} is never given to a profile's certificates")
        return value
    raise ValueError(
        f"expected server, client or an object identifier such as 1.3.6.1.5.5.7.3.4, got {value!r}"
    )


def _network_or_address(value: str) -> str:
    if value in ("*", "**"):
        return value
    return str(ipaddress.ip_network(value))


def _subject_text(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value.encode()) > 64:
        raise ValueError(f"expected 1 to 64 octets of printable text, got {value!r}")
    return value


def _key_type(value: str) -> str:
    if value not in KEY_TYPES:
        raise ValueError(f"expected one of {', '.join(KEY_TYPES)}, got {value!r}")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NameRules(_Strict):
    """Patterns of the names that a certificate may carry. A kind without a pattern may not be used at all.

    In `dns`, `uri`, `email` and `cn`, `*` stands for anything within a segment and `**` across segments; `ip` takes
    addresses and networks. Without `cn`, a common name has to be one of the alternative names.
    """

    dns: tuple[str, ...] = ()
    ip: tuple[Annotated[str, AfterValidator(_network_or_address)], ...] = ()
    uri: tuple[str, ...] = ()
    email: tuple[str, ...] = ()
    cn: tuple[str, ...] = ()

    def allows(self, kind: str, value: str) -> bool:
        """Whether a name of that kind fits one of its patterns."""
        if kind == "ip":
            address = ipaddress.ip_address(value)
            return any(each in ("*", "**") or address in ipaddress.ip_network(each) for each in self.ip)
        return any(matches_pattern(kind, pattern, value) for pattern in getattr(self, kind))


class Profile(_Strict):
    """What every certificate of this profile says, and what a request may choose."""

    name: str
    purpose: Annotated[tuple[Annotated[str, AfterValidator(_purpose)], ...], Field(min_length=1)]
    days: Annotated[int, Field(ge=1, le=36500)] = DAYS
    max_days: Annotated[int, Field(ge=1, le=36500)] | None = None
    key_types: Annotated[tuple[Annotated[str, AfterValidator(_key_type)], ...], Field(min_length=1)] = (
        KEY_TYPES
    )
    key_usage: Annotated[tuple[KeyUsageName, ...], Field(min_length=1)] | None = None
    require: tuple[Kind, ...] = ()
    wildcards: bool = False
    organization: Annotated[str, AfterValidator(_subject_text)] | None = None
    organizational_unit: Annotated[str, AfterValidator(_subject_text)] | None = None
    names: NameRules | None = None

    @model_validator(mode="after")
    def _default_within_maximum(self) -> Profile:
        if self.max_days is not None and self.days > self.max_days:
            raise ValueError(f"days = {self.days} is more than max_days = {self.max_days}")
        return self


BUILT_IN = {
    profile.name: profile
    for profile in (
        Profile(name="server", purpose=("server",), wildcards=True),
        Profile(name="client", purpose=("client",)),
        Profile(name="peer", purpose=("server", "client")),
    )
}


# The authority's own OCSP responders (RFC 6960 §4.2.2.2). It is in no table, and its name is none that a file or a
# request could have: nobody is given such a certificate.
RESPONDER = Profile.model_construct(
    name="ocsp responder",
    purpose=("1.3.6.1.5.5.7.3.9",),
    days=7,
    max_days=7,
    key_usage=("digital_signature",),
)


class Profiles:
    """The profiles of one authority: those built in, and the files in a directory, read when first used."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[str, Profile] = {}

    def __getitem__(self, name: str) -> Profile:
        """The profile of that name. Raises ProfileUnknown and ProfileInvalid."""
        if name not in self._read:
            path = self._directory / f"{name}.toml"
            # A name with a slash or dots would leave the directory.
            if _PROFILE_NAME.fullmatch(name) and path.is_file():
                self._read[name] = load(path)
            elif name in BUILT_IN:
                self._read[name] = BUILT_IN[name]
            else:
                raise ProfileUnknown(name, self.known())
        return self._read[name]

    def known(self) -> tuple[str, ...]:
        """The names that can be asked for."""
        files = (path.stem for path in self._directory.glob("*.toml"))
        return (*BUILT_IN, *sorted(set(files) - set(BUILT_IN)))


def load(path: Path) -> Profile:
    """A profile from its TOML file, named after the file. Raises ProfileInvalid with the line."""
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as failure:
        raise ProfileInvalid(str(path), "", str(failure)) from failure
    try:
        return Profile.model_validate({**table, "name": path.stem})
    except ValidationError as failure:
        first = failure.errors(include_url=False)[0]
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise ProfileInvalid(str(path), _place(text, first["loc"]), reason) from failure


def _place(text: str, location: tuple[int | str, ...]) -> str:
    """`line 7, names.dns[0]`: the last line that begins with the key which is at fault."""
    keys = [str(part) for part in location if isinstance(part, str)]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    for number, line in reversed(list(enumerate(text.splitlines(), 1))):
        if keys and re.match(rf"\s*\[?\s*{re.escape(keys[-1])}\b", line):
            return f"line {number}, {path}"
    return path
