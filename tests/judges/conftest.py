"""Our server in a thread, foreign clients and servers: each started once, when the first test asks for it."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.judges.clients import Call, client
from tests.judges.identities import KEY_TYPES, VERSIONS, Identities, issue_all
from tests.judges.servers import Ports, server
from tests.judges.speaking import Program, program
from twoway import peer
from twoway.server import Journal, background

Record = dict[str, Any]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("judges")


@pytest.fixture(scope="session")
def everybody(place: Path) -> dict[str, Identities]:
    """By key type."""
    return {key_type: issue_all(place / key_type, key_type) for key_type in KEY_TYPES}


@pytest.fixture(params=KEY_TYPES)
def key_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def identities(everybody: dict[str, Identities], key_type: str) -> Identities:
    return everybody[key_type]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Lines(io.StringIO):
    """A journal's stream whose records can be waited for: a server writes them when it is its turn."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[Record] = []
        self._changed = threading.Condition()

    def write(self, text: str) -> int:
        with self._changed:
            self._records.append(json.loads(text))
            self._changed.notify_all()
        return len(text)

    def next(self, event: str) -> Record:
        """The oldest record of this kind that nobody has asked for yet; fails after ten seconds."""

        def there() -> Record | None:
            return next((one for one in self._records if one["event"] == event), None)

        with self._changed:
            found = self._changed.wait_for(there, 10)
            assert found is not None, f"no {event} in {self._records}"
            self._records.remove(found)
            return found

    def forget(self) -> None:
        with self._changed:
            self._records.clear()


class Ours:
    """A server of ours that tells each caller who it is, and what it wrote in its journal."""

    def __init__(self, identities: Identities) -> None:
        self.journal, self.served = Lines(), 0
        self._identities = identities
        self.port = 0

    async def application(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.served += 1
        proven = peer(scope)
        body = json.dumps({"fingerprint": proven.fingerprint, "uri": proven.names.uri[0]}).encode()
        length = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": body})

    @contextlib.contextmanager
    def running(self) -> Iterator[Ours]:
        with background(
            self.application,
            identity=self._identities.directory("server"),
            allow=["uri=spiffe://acme.example/**"],
            deny=["uri=spiffe://acme.example/unwanted"],
            journal=Journal("json", self.journal),
        ) as running:
            self.port = running.port
            yield self


@pytest.fixture(scope="session")
def our_servers(everybody: dict[str, Identities]) -> Iterator[dict[str, Ours]]:
    with contextlib.ExitStack() as stack:
        yield {
            key_type: stack.enter_context(Ours(identities).running())
            for key_type, identities in everybody.items()
        }


@pytest.fixture
def ours(our_servers: dict[str, Ours], key_type: str) -> Ours:
    found = our_servers[key_type]
    found.journal.forget()
    return found


@pytest.fixture(scope="session")
def foreign_client(place: Path) -> Iterator[Callable[[str], Call]]:
    """Give a foreign client by its name."""
    running: dict[str, Call] = {}
    with contextlib.ExitStack() as stack:

        def give(name: str) -> Call:
            if name not in running:
                running[name] = stack.enter_context(client(name, place))
            return running[name]

        yield give


@pytest.fixture(scope="session")
def helper(place: Path) -> Iterator[Callable[[str], Program]]:
    """Give a helper program by its name, to be both asked to serve and asked what failed."""
    running: dict[str, Program] = {}
    with contextlib.ExitStack() as stack:

        def give(name: str) -> Program:
            if name not in running:
                running[name] = stack.enter_context(program(name, place))
            return running[name]

        yield give


@pytest.fixture(scope="session")
def foreign_server(everybody: dict[str, Identities], place: Path) -> Iterator[Callable[[str], Ports]]:
    """Give the ports of a foreign server by its name."""
    running: dict[str, Ports] = {}
    with contextlib.ExitStack() as stack:

        def give(name: str) -> Ports:
            if name not in running:
                running[name] = stack.enter_context(server(name, everybody, place))
            return running[name]

        yield give
