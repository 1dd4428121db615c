"""A real PostgreSQL for the tests: found, started in a temporary directory, and ended with the tests.

It runs as an unprivileged user over a UNIX socket, with its durability on as in production.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.conftest import judge

PORT = 5432


def binaries() -> Path:
    """Where initdb and postgres are: on the path, or where Debian puts them; skips where they are not."""
    if shutil.which("initdb") and shutil.which("postgres"):
        return Path(str(shutil.which("initdb"))).parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    if not found:
        return Path(judge("initdb")).parent  # skips, or fails in CI
    if float(found[-1].parts[4]) < 15:
        pytest.skip("PostgreSQL 15 is not installed")
    return found[-1].parent


@dataclass(frozen=True)
class Server:
    """One running PostgreSQL."""

    directory: Path
    process: subprocess.Popen[bytes]
    port: int = PORT

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://twoway@/{database}?host={self.directory}&port={self.port}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            user="twoway", dbname=database, host=str(self.directory), port=self.port, autocommit=True
        )

    def fresh(self) -> str:
        """The URL of a new, empty database."""
        name = f"t{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


@contextlib.contextmanager
def server(**settings: str) -> Iterator[Server]:
    """Start one; it is gone when the block ends."""
    where = binaries()
    # The path of a UNIX socket has at most 107 characters, which pytest's own directories may exceed.
    directory = Path(tempfile.mkdtemp(prefix="twoway-pg-"))
    user = _unprivileged(directory)
    data = directory / "data"
    try:
        subprocess.run(
            [where / "initdb", "-D", data, "-U", "twoway", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"],
            check=True, capture_output=True, user=user, cwd=directory,
        )  # fmt: skip
        options = {"listen_addresses": "", "unix_socket_directories": str(directory), "port": str(PORT)}
        options |= {"shared_buffers": "64MB", "max_connections": "200"} | settings
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
            [where / "postgres", "-D", data, *(f"--{name}={value}" for name, value in options.items())],
            user=user, cwd=directory, stdout=subprocess.DEVNULL, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        found = Server(directory, process, int(options["port"]))
        try:
            _await(found)
            yield found
        finally:
            process.send_signal(signal.SIGINT)  # fast shutdown
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _unprivileged(directory: Path) -> int | None:
    """PostgreSQL refuses to run as root: then it runs as `nobody`, who is given the directory."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam("nobody")
    os.chown(directory, user.pw_uid, user.pw_gid)
    return user.pw_uid


def _await(found: Server) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            found.connect().close()
            return
        except psycopg.OperationalError:
            if found.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((found.directory / "log").read_text(errors="replace")) from None
            time.sleep(0.02)
