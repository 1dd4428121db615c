"""Gateway files: TOML with [gateway] and [[listener]] tables, with the line in every complaint.

Relative paths are taken from the file's own directory.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twoway.credential import read
from twoway.errors import TwowayError, UsageError
from twoway.gateway.addresses import Address
from twoway.gateway.bounds import Bounds
from twoway.gateway.http.identity import CERT_HEADERS, parse_named
from twoway.gateway.options import GatewayOptions, ListenerOptions
from twoway.gateway.places import BadGatewayFile, Places, in_file
from twoway.names import BadName, parse_dns_name
from twoway.revocation.urls import is_url

MAX_FILE = 1 << 20
_PATHS = (
    "identity",
    "policy",
    "shadow",
    "trust",
    "crl",
    "crl_cache",
    "ocsp_response",
    "passphrase_file",
    "via_credentials",
    "record",
)
_LISTS = ("allow", "deny", "trust", "crl", "pin", "target")
_TEXTS = ("kind", "name", "listen", "listen_owner", "listen_mode", "identity", "policy", "shadow", "clients", "crl_rule", "server_name", "sni", "via", "via_credentials", "record", "passphrase_file", "crl_cache", "revocation_depth", "unknown_name", "label", "client_cert_headers", "ocsp", "ocsp_url", "ocsp_nonce", "ocsp_response")  # fmt: skip
_FLAGS = (
    "allow_anyone_proven",
    "target_tls",
    "proxy_protocol",
    "unsafe_plain",
    "end_at_expiry",
    "http",
    "staple",
)
_LISTENER = (*_TEXTS, *_LISTS, *_FLAGS, "ticket_seconds", "ocsp_seconds", "limits", "name", "headers")
# What a server name may have of its own: a [[listener.name]] table.
_NAMED = ("name", "identity", "trust", "crl", "crl_rule", "revocation_depth", "ocsp", "ocsp_url", "ocsp_response", "staple", "pin", "policy", "allow", "deny", "allow_anyone_proven", "clients", "passphrase_file")  # fmt: skip
_GATEWAY = (
    "workers",
    "drain_seconds",
    "log_format",
    "access_log",
    "admin",
    "metrics",
    "backlog",
    "user",
    "group",
)
_CHOICES = {
    "kind": ("server", "client"),
    "clients": ("required", "optional", "none"),
    "crl_rule": ("refuse", "warn"),
    "revocation_depth": ("leaf", "chain"),
    "unknown_name": ("serve", "refuse"),
    "client_cert_headers": CERT_HEADERS,
    "ocsp": ("off", "soft", "hard"),
    "ocsp_nonce": ("off", "send", "require"),
}


def load(path: str | Path) -> GatewayOptions:
    """The gateway that a file describes; raises BadGatewayFile. Reads no identity yet: see `check`."""
    file = Path(path)
    return parse(read(file, limit=MAX_FILE), base=file.parent, where=str(path))


def parse(data: bytes, *, base: Path = Path(), where: str = "gateway file") -> GatewayOptions:
    """The same of bytes. Raises BadGatewayFile and nothing else for any input."""
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadGatewayFile(f"{where}:{line}", "the file is not UTF-8 text", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        at = match[1] if (match := re.search(r"line (\d+)", str(error))) else "1"
        raise BadGatewayFile(f"{where}:{at}", f"it is not TOML: {error}") from None
    except RecursionError:
        raise BadGatewayFile(where, "it is nested too deeply") from None
    places = Places(where, text)
    for key in document:
        if key not in ("gateway", "listener"):
            raise BadGatewayFile(
                places.of(key), f"there is no {key!r} in a gateway file", _meant(key, ("gateway", "listener"))
            )
    tables = document.get("listener", [])
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise BadGatewayFile(
            places.of("listener"), "expected one [[listener]] table or more", "write [[listener]]"
        )
    listeners = tuple(_listener(table, number, base, places) for number, table in enumerate(tables))
    return _gateway(document.get("gateway", {}), listeners, base, places)


def _listener(table: dict[str, Any], number: int, base: Path, places: Places) -> ListenerOptions:
    def at(key: str) -> str:
        return places.of(key, number)

    for key, value in table.items():
        _known(key, _LISTENER, at(key))
        if key != "name" or not isinstance(value, list):
            _typed(key, value, at(key))
    for key in ("kind", "listen", "target", "identity"):
        if key not in table:
            raise BadGatewayFile(at("listener"), f"the listener has no {key}", f"add: {key} = …")
    names = table.get("name", [])
    named = isinstance(names, list)  # a [[listener.name]] table; text is what the listener is called
    given = _given({key: value for key, value in table.items() if key != "name" or not named}, base)
    if "label" in given:  # what `name = …` says where there are no [[listener.name]] tables
        given["name"] = given.pop("label")
    given["listen"] = _address(table["listen"], at("listen"))
    if "listen_mode" in given:
        try:
            given["listen_mode"] = octal(given["listen_mode"])
        except UsageError as error:
            raise BadGatewayFile(at("listen_mode"), str(error), error.remedy) from None
    targets = given.pop("target")
    given["targets"] = tuple(_address(one, at("target")) for one in targets)
    if "headers" in given:
        given["headers"] = _headers(table["headers"], at)
    given["bounds"] = _bounds(given.pop("limits", {}), at)
    given["where"] = functools.partial(places.about, table, number)
    try:
        listener = ListenerOptions(**given)
        if not named or not names:
            return listener
        found = [
            one
            for position, inner in enumerate(names)
            for one in _named(
                listener,
                inner,
                base,
                functools.partial(places.of, listener=number, name=position),
                functools.partial(places.about, inner, number, name=position),
            )
        ]
        return dataclasses.replace(listener, names=tuple(found))
    except BadGatewayFile:
        raise
    except TwowayError as error:
        raise BadGatewayFile(given["where"](str(error)), in_file(str(error)), in_file(error.remedy)) from None


def _named(
    listener: ListenerOptions, table: Any, base: Path, at: Callable[[str], str], about: Callable[[str], str]
) -> Iterator[tuple[str, ListenerOptions]]:
    """The rules of one [[listener.name]] table, under each of its names."""
    if not isinstance(table, dict):
        raise BadGatewayFile(at("name"), "expected [[listener.name]] tables")
    for key, value in table.items():
        _known(key, _NAMED, at(key))
        if key != "name":
            _typed(key, value, at(key))
    names = table.get("name")
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names or not all(isinstance(one, str) for one in names):
        raise BadGatewayFile(at("name"), "the table has no name", 'add: name = "api.acme.example"')
    try:
        inner = listener.named(**_given({key: value for key, value in table.items() if key != "name"}, base))
        for name in names:
            yield parse_dns_name(name), inner
    except BadName as error:
        raise BadGatewayFile(at("name"), f"no server name: {error}", "use a DNS name or *.DOMAIN") from None
    except TwowayError as error:
        raise BadGatewayFile(about(str(error)), in_file(str(error)), in_file(error.remedy)) from None


def _given(table: dict[str, Any], base: Path) -> dict[str, Any]:
    given = {key: _from_base(key, value, base) for key, value in table.items()}
    passphrase = given.pop("passphrase_file", None)
    if passphrase is not None:
        given["passphrase"] = _from_file(Path(passphrase))
    return given


def _headers(table: Any, at: Any) -> tuple[str, ...]:
    """`headers = { X-Client = "cn" }` as the command line writes it."""
    if not isinstance(table, dict) or not all(isinstance(fact, str) for fact in table.values()):
        raise BadGatewayFile(at("headers"), "expected a table of header fields", 'write { X-Client = "cn" }')
    found = tuple(f"{name}={fact}" for name, fact in table.items())
    try:
        parse_named(found)
    except TwowayError as error:
        raise BadGatewayFile(at("headers"), str(error), error.remedy) from None
    return found


def _bounds(table: Any, at: Any) -> Bounds:
    if not isinstance(table, dict):
        raise BadGatewayFile(at("limits"), "expected a table of limits")
    names = tuple(field.name for field in dataclasses.fields(Bounds))
    for key, value in table.items():
        _known(key, names, at(key))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            raise BadGatewayFile(at(key), f"expected a number for {key}, got {value!r}")
    try:
        return Bounds(**table)
    except TwowayError as error:
        about = max((name for name in names if name in str(error)), key=len, default="limits")
        raise BadGatewayFile(at(about), str(error), error.remedy) from None


def _gateway(
    table: Any, listeners: tuple[ListenerOptions, ...], base: Path, places: Places
) -> GatewayOptions:
    if not isinstance(table, dict):
        raise BadGatewayFile(places.of("gateway"), "expected a table [gateway]")
    kinds: dict[str, type] = {"workers": int, "backlog": int, "log_format": str, "access_log": bool, "admin": str, "metrics": str, "user": str, "group": str}  # fmt: skip
    for key, value in table.items():
        _known(key, _GATEWAY, places.of(key))
        expected = kinds.get(key, (int, float))
        if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
            raise BadGatewayFile(places.of(key), f"expected another kind of value for {key}, got {value!r}")
    given = dict(table)
    if "metrics" in given:
        given["metrics"] = _address(given["metrics"], places.of("metrics"))
    if "admin" in given:
        given["admin"] = base / given["admin"]
    if given.get("log_format", "text") not in ("text", "json"):
        raise BadGatewayFile(
            places.of("log_format"), f"no such log format: {given['log_format']}", "text or json"
        )
    where = functools.partial(places.about, table, None)
    try:
        return GatewayOptions(listeners=listeners, where=where, **given)
    except TwowayError as error:
        raise BadGatewayFile(where(str(error)), str(error), error.remedy) from None


def _known(key: str, known: tuple[str, ...], at: str) -> None:
    if key not in known:
        raise BadGatewayFile(at, f"there is no {key!r} here", _meant(key, known))


def _typed(key: str, value: Any, at: str) -> None:
    if key in _CHOICES and value not in _CHOICES[key]:
        raise BadGatewayFile(at, f"{key} = {value!r} is not one of {', '.join(_CHOICES[key])}")
    if key in _TEXTS and not isinstance(value, str):
        raise BadGatewayFile(at, f"expected text for {key}, got {value!r}")
    if key in _FLAGS and not isinstance(value, bool):
        raise BadGatewayFile(at, f"expected true or false for {key}, got {value!r}")
    if key == "ticket_seconds" and (
        isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 86400
    ):
        raise BadGatewayFile(at, f"expected 0 to 86400 seconds for {key}, got {value!r}")
    if key == "ocsp_seconds" and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise BadGatewayFile(at, f"expected a number for {key}, got {value!r}")
    if key in _LISTS:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
            raise BadGatewayFile(at, f"expected text or a list of texts for {key}, got {value!r}")


def _from_base(key: str, value: Any, base: Path) -> Any:
    if key in _LISTS and isinstance(value, str):
        value = [value]
    if key not in _PATHS:
        return tuple(value) if isinstance(value, list) else value
    if isinstance(value, list):
        return tuple(one if key == "crl" and is_url(one) else base / one for one in value)
    return base / value


def _from_file(path: Path) -> Any:
    def passphrase() -> bytes:
        return read(path, limit=4096).rstrip(b"\r\n")

    return passphrase


def octal(text: str) -> int:
    """A mode as people write it: three octal digits; raises UsageError."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise UsageError(f"{text!r} is no mode", 'write three octal digits: "660"')
    return int(text, 8)


def _address(text: str, at: str) -> Address:
    try:
        return Address.parse(text)
    except TwowayError as error:
        raise BadGatewayFile(at, str(error), error.remedy) from None


def _meant(key: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(key, known, 1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
