"""Structured fields (RFC 9651), as far as signatures need them: dictionaries of items and inner lists."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

MAX_FIELD = 64 * 1024
MAX_MEMBERS = 64
_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*")
_INTEGER = re.compile(r"-?[0-9]{1,15}(?![0-9.])")
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):")
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')


class FieldMalformed(ValueError):
    """A field is not structured as RFC 9651 §4.2 wants it."""


class Token(str):
    """A token: a word without quotes."""

    __slots__ = ()


Bare: TypeAlias = "int | str | bytes | bool | Token"
Parameters: TypeAlias = "Mapping[str, Bare]"


@dataclass(frozen=True)
class Item:
    """A value with its parameters, in their order."""

    value: Bare
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True)
class InnerList:
    """Items in parentheses, with parameters of the whole."""

    items: tuple[Item, ...]
    parameters: Parameters = field(default_factory=dict)


Member: TypeAlias = "Item | InnerList"


def parse_dictionary(text: str) -> dict[str, Member]:
    """RFC 9651 §4.2.2, of at most 64 members and 64 KiB; raises FieldMalformed. A key comes once here."""
    if len(text) > MAX_FIELD:
        raise FieldMalformed("too long")
    reader = _Reader(text)
    found: dict[str, Member] = {}
    reader.skip(" ")
    while not reader.ended():
        key = reader.key()
        if key in found or len(found) == MAX_MEMBERS:
            raise FieldMalformed(f"{key} comes twice, or there are too many")
        found[key] = reader.member() if reader.took("=") else Item(True, reader.parameters())
        reader.skip(" \t")
        if reader.ended():
            break
        reader.expect(",")
        reader.skip(" \t")
        if reader.ended():
            raise FieldMalformed("a comma at its end")
    return found


def write_dictionary(members: Mapping[str, Member]) -> str:
    return ", ".join(f"{key}={write_member(member)}" for key, member in members.items())


def write_member(member: Member) -> str:
    if isinstance(member, InnerList):
        inner = " ".join(write_member(item) for item in member.items)
        return f"({inner}){write_parameters(member.parameters)}"
    return write_bare(member.value) + write_parameters(member.parameters)


def write_parameters(parameters: Parameters) -> str:
    return "".join(
        f";{key}" if value is True else f";{key}={write_bare(value)}" for key, value in parameters.items()
    )


def write_bare(value: Bare) -> str:
    """RFC 9651 §4.1.3."""
    if isinstance(value, bool):
        return "?1" if value else "?0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return f":{base64.b64encode(value).decode('ascii')}:"
    if isinstance(value, Token):
        return value
    if not all(" " <= character <= "~" for character in value):
        raise FieldMalformed("a string with something else than printable ASCII")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def ended(self) -> bool:
        return self._at >= len(self._text)

    def skip(self, characters: str) -> None:
        while not self.ended() and self._text[self._at] in characters:
            self._at += 1

    def took(self, character: str) -> bool:
        if self._text.startswith(character, self._at):
            self._at += len(character)
            return True
        return False

    def expect(self, character: str) -> None:
        if not self.took(character):
            raise FieldMalformed(f"{character!r} is missing at {self._at}")

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def key(self) -> str:
        found = self.match(_KEY)
        if found is None:
            raise FieldMalformed(f"no key at {self._at}")
        return found[0]

    def member(self) -> Member:
        if not self.took("("):
            return self.item()
        items: list[Item] = []
        while True:
            self.skip(" ")
            if self.took(")"):
                return InnerList(tuple(items), self.parameters())
            if items and self._text[self._at - 1] != " ":
                raise FieldMalformed("items of a list stand together")
            if len(items) == MAX_MEMBERS:
                raise FieldMalformed("too many items")
            items.append(self.item())

    def item(self) -> Item:
        return Item(self.bare(), self.parameters())

    def parameters(self) -> dict[str, Bare]:
        found: dict[str, Bare] = {}
        while self.took(";"):
            self.skip(" ")
            key = self.key()
            if key in found or len(found) == MAX_MEMBERS:
                raise FieldMalformed(f"{key} comes twice, or there are too many")
            found[key] = self.bare() if self.took("=") else True
        return found

    def bare(self) -> Bare:
        if found := self.match(_STRING):
            return re.sub(r"\\(.)", r"\1", found[1])
        if found := self.match(_BYTES):
            try:
                return base64.b64decode(found[1], validate=True)
            except binascii.Error:
                raise FieldMalformed("a byte sequence is not base64") from None
        if found := self.match(_INTEGER):
            return int(found[0])
        if self.took("?1"):
            return True
        if self.took("?0"):
            return False
        if found := self.match(_TOKEN):
            return Token(found[0])
        raise FieldMalformed(f"no value at {self._at}")
