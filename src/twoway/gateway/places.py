"""Where things stand in a gateway file: every complaint about one names its line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from twoway.errors import ConfigError, TwowayError
from twoway.gateway.options import GatewayOptions, ListenerOptions

_NAME_TABLE = re.compile(r"\s*\[\[\s*listener\s*\.\s*name\s*\]\]")


class BadGatewayFile(ConfigError):
    """A gateway file that cannot mean what it says."""

    code = "bad_gateway_file"

    def __init__(self, where: str, problem: str, hint: str = "") -> None:
        super().__init__(where, problem, hint)
        self.where, self.problem, self.hint = where, problem, hint

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"

    @property
    def remedy(self) -> str:
        return self.hint or "compare with the example in docs/gateway.md"


class Places:
    """Where tables and keys stand in the text, for people."""

    def __init__(self, where: str, text: str) -> None:
        self._where, self._lines = where, text.split("\n")
        self._listeners = [
            n for n, line in enumerate(self._lines) if re.match(r"\s*\[\[\s*listener\s*\]\]", line)
        ]

    def of(self, key: str, listener: int | None = None, name: int | None = None) -> str:
        """`file:line` of a key; of its table when the key is not found. `name`: in that table of the listener."""
        start = 0
        if listener is not None and listener < len(self._listeners):
            start = self._listeners[listener]
        end = next((n for n in self._listeners if n > start), len(self._lines))
        if name is not None:
            names = [n for n in range(start, end) if _NAME_TABLE.match(self._lines[n])]
            start = names[name] if name < len(names) else start
            end = names[name + 1] if name + 1 < len(names) else end
        pattern = re.compile(rf"""\s*\[*\s*["']?([A-Za-z_]+\.)?{re.escape(key)}["']?\s*[=\]]""")
        for number in range(start if name is None else start + 1, end):
            if pattern.match(self._lines[number]):
                return f"{self._where}:{number + 1}"
        inline = re.compile(rf"[^#]*[{{,]\s*{re.escape(key)}\s*=")  # within a table of one line
        for number in range(start, end):
            if inline.match(self._lines[number]):
                return f"{self._where}:{number + 1}"
        return f"{self._where}:{start + 1}"

    def about(
        self, table: dict[str, Any], listener: int | None, sentence: str, *, name: int | None = None
    ) -> str:
        """`file:line` of the key that a sentence is about, by its name or its value; of the table for none of them."""
        matches = [(0, "gateway" if listener is None else "listener")]
        for key, value in table.items():
            if key in ("kind", "name"):  # common words
                continue
            said = [f"--{key.replace('_', '-')}", *(value if isinstance(value, list) else (value,))]
            said += [re.sub(r":(\d+)$", r" port \1", one) for one in said if isinstance(one, str)]
            matches += [(len(one), key) for one in said if isinstance(one, str) and one and one in sentence]
            if ("_" in key or listener is None) and re.search(rf"\b{re.escape(key)}\b", sentence):
                matches.append((len(key), key))
        return self.of(max(matches)[1], listener, name)


def in_file(text: str) -> str:
    """Words about options of the command line, in terms of the file."""
    return re.sub(r"--([a-z-]+)", lambda match: match[1].replace("-", "_"), text)


@contextlib.contextmanager
def told_with_its_place(options: ListenerOptions | GatewayOptions) -> Iterator[None]:
    """Let what goes wrong with these options name its line, where it comes from a file; raises BadGatewayFile then."""
    try:
        yield
    except BadGatewayFile:
        raise
    except TwowayError as error:
        if options.where is None:
            raise
        place = options.where(str(error))
        raise BadGatewayFile(place, in_file(str(error)), in_file(error.remedy)) from error
