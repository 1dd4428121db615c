"""Writes the connections of a listener as captures that `twoway explain` and Wireshark read; off by default.

Each file holds the secrets of its connection, is readable by its owner only, and goes when it is among the oldest
of too many. Beside them `refusals.jsonl` keeps what the log says of each refusal, so that it can be asked about.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twoway.credential.files import write_private
from twoway.errors import ConfigError
from twoway.tls.aio import TlsConnection
from twoway.tls.context import EngineContext
from twoway.tls.recording import KeyLog, Recording
from twoway.tls.refusal import Refusal
from twoway.wire.pcapng_writer import write_recording

if TYPE_CHECKING:
    from twoway.tls.listener import Listener

log = logging.getLogger("twoway.tls")

REFUSALS = "refusals.jsonl"
MAX_FILES, MAX_BYTES, MAX_REFUSAL_BYTES = 200, 65536, 8 * 1024 * 1024
_MAX_PENDING = 10_000


class CannotRecord(ConfigError):
    """The directory for recordings cannot be used."""

    code = "cannot_record"

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place, self.reason = place, reason

    def __str__(self) -> str:
        return f"cannot record into {self.place}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "name a directory that this process may write to, or leave --record out"


class Recorder:
    """Records at most `files` connections (the newest), at most `limit` bytes of each; raises CannotRecord."""

    def __init__(self, directory: Path, *, files: int = MAX_FILES, limit: int = MAX_BYTES) -> None:
        self.directory, self._files, self.limit = directory, files, limit
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CannotRecord(str(directory), error.strerror or str(error)) from None
        if not os.access(directory, os.W_OK | os.X_OK):
            raise CannotRecord(str(directory), "permission denied")
        self._secrets = KeyLog(limit=files * 8)
        self._refused: OrderedDict[str, str] = OrderedDict()

    def prepare(self, context: EngineContext) -> None:
        self._secrets.attach(context)

    def connection(self, listener: Listener) -> TlsConnection:
        """The protocol factory of a listener that is recorded."""
        return RecordedConnection(listener, self)

    def refused(self, refusal: Refusal) -> None:
        """Keep what the log says of a refusal, and its id for the file of that connection."""
        if refusal.address is not None:
            self._refused[refusal.address] = refusal.id
            while len(self._refused) > _MAX_PENDING:
                self._refused.popitem(last=False)
        place = self.directory / REFUSALS
        with self._trouble_is_logged():
            with contextlib.suppress(FileNotFoundError):
                if place.stat().st_size > MAX_REFUSAL_BYTES:
                    place.replace(place.with_suffix(".old.jsonl"))
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(refusal.as_line().encode("ascii") + b"\n")

    def keep(
        self, recording: Recording, client: tuple[str, int], server: tuple[str, int], *, broke: bool
    ) -> None:
        """Write one connection, and forget the oldest if there are too many."""
        if not recording.chunks:
            return
        name = self._refused.pop(f"{_bracketed(client[0])}:{client[1]}", "ok")
        capture = write_recording(
            ((chunk.sender, chunk.data, chunk.at_us) for chunk in recording.chunks),
            client,
            server,
            began=recording.began,
            secrets=self._secrets.text(recording.client_random) or None,
            ending="open" if recording.full else ("reset" if broke else "fin"),
        )
        with self._trouble_is_logged():
            write_private(
                self.directory / f"{recording.began:%Y%m%dT%H%M%S.%f}-{client[1]}-{name}.pcapng", capture
            )
            for old in sorted(self.directory.glob("*.pcapng"))[: -self._files]:
                old.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _trouble_is_logged(self) -> Any:
        """A full disk must not take the service with it."""
        try:
            yield
        except (OSError, ConfigError) as error:
            log.error("a recording was not written: %s", error)


class RecordedConnection(TlsConnection):
    """A connection whose bytes are kept until it ends, or until there are too many."""

    __slots__ = ("_ends", "_recorder", "_recording")

    def __init__(self, listener: Listener, recorder: Recorder) -> None:
        super().__init__(listener)
        self._recorder: Recorder | None = recorder
        self._recording = Recording("server", limit=recorder.limit)
        self._ends: tuple[tuple[str, int], tuple[str, int]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if isinstance(client, tuple) and isinstance(server, tuple):
            self._ends = client[:2], server[:2]
        super().connection_made(_Overheard(transport, self._recording))  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        self._recording.received(data)
        super().data_received(data)
        if self._recording.full:
            self._keep(broke=False)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._keep(broke=exc is not None)

    def _keep(self, *, broke: bool) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None and self._ends is not None:
            recorder.keep(self._recording, *self._ends, broke=broke)


class _Overheard:
    """A transport whose writes are recorded; everything else is the transport's own."""

    def __init__(self, transport: asyncio.BaseTransport, recording: Recording) -> None:
        self._transport, self._recording = transport, recording

    def write(self, data: bytes) -> None:
        self._recording.sent(data)
        self._transport.write(data)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
