"""Accounts for EST: a name and a generated password, good for certificates of one profile.

The password is made here and has 160 bits, so one salted hash is enough and costs nothing to check: nobody can guess
it, and nobody can keep the service busy with guesses.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from twoway.authority.faults import AuthorityError
from twoway.credential.files import write_private
from twoway.errors import UsageError

FILE = "est-accounts.json"
MAX_BYTES = 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")


class EstAccountsUnusable(AuthorityError):
    """The file with the EST accounts cannot be read."""

    code = "est_accounts_unusable"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path} holds no EST accounts: {self.problem}"

    @property
    def remedy(self) -> str:
        return "make the accounts anew with twoway ca est-account; until then nobody enrols by a password"


@dataclass(frozen=True, slots=True)
class EstAccount:
    """One account, without its password."""

    name: str
    profile: str
    salt: str
    digest: str


class EstAccounts:
    """The accounts of one authority, in a file of its directory that only its owner reads; read again when it changes."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._stamp: tuple[int, int] | None = None
        self._known: dict[str, EstAccount] = {}

    def add(self, name: str, profile: str) -> str:
        """A new account, or a new password for one that is there: the password, which is kept nowhere."""
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name of an account",
                "use up to 64 letters, digits, and . _ - @ without spaces",
            )
        self._refresh()
        password = base64.b32encode(secrets.token_bytes(20)).decode("ascii").lower()
        salt = secrets.token_hex(16)
        self._known[name] = EstAccount(name, profile, salt, _digest(salt, password))
        self._write()
        return password

    def remove(self, name: str) -> None:
        """Raises UsageError for an account that is not there."""
        self._refresh()
        if self._known.pop(name, None) is None:
            raise UsageError(
                f"there is no EST account {name!r}", f"there are: {', '.join(self.names()) or 'none'}"
            )
        self._write()

    def names(self) -> tuple[str, ...]:
        self._refresh()
        return tuple(sorted(self._known))

    def find(self, name: str, password: str) -> EstAccount | None:
        """The account with that name and password; a wrong name costs as much as a wrong password."""
        self._refresh()
        account = self._known.get(name)
        wanted = account.digest if account is not None else "0" * 64
        given = _digest(account.salt if account is not None else "", password)
        return account if hmac.compare_digest(wanted, given) and account is not None else None

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._known = None, {}
            return
        stamp = status.st_ino, status.st_mtime_ns
        if stamp == self._stamp:
            return
        try:
            table = json.loads(self._path.read_bytes()[:MAX_BYTES])
            self._known = {
                str(name): EstAccount(str(name), str(one["profile"]), str(one["salt"]), str(one["digest"]))
                for name, one in table.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as failure:
            self._stamp, self._known = None, {}
            raise EstAccountsUnusable(str(self._path), str(failure)) from failure
        self._stamp = stamp

    def _write(self) -> None:
        table = {
            one.name: {"profile": one.profile, "salt": one.salt, "digest": one.digest}
            for one in self._known.values()
        }
        write_private(self._path, json.dumps(table, indent=1).encode() + b"\n")
        self._stamp = None


def _digest(salt: str, password: str) -> str:
    return hashlib.sha256(f"{salt}:{password}".encode()).hexdigest()
