"""Giving up what was only needed for the start: binding low ports, reading keys, making sockets for others."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from twoway.errors import ConfigError


class CannotDrop(ConfigError):
    """The process cannot become the user that it was told to be."""

    code = "cannot_drop_privileges"

    def __init__(self, user: str, reason: str) -> None:
        super().__init__(user, reason)
        self.user, self.reason = user, reason

    def __str__(self) -> str:
        return f"cannot go on as {self.user}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "start as root, or as that user without the option; `getent passwd` lists who there is"


@dataclass(frozen=True, slots=True)
class Account:
    """A user with a group and further groups, as numbers."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    @classmethod
    def find(cls, user: str, group: str = "") -> Account:
        """By name; the group is the user's own unless one is given. Raises CannotDrop."""
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            raise CannotDrop(user, "there is no such user") from None
        try:
            gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
        except KeyError:
            raise CannotDrop(user, f"there is no group {group}") from None
        return cls(user, entry.pw_uid, gid, tuple(sorted({gid, *os.getgrouplist(user, gid)})))

    def become(self) -> None:
        """Be this account from now on, for good; raises CannotDrop. Nothing happens for who is it already."""
        if os.getuid() == os.geteuid() == self.uid:
            return
        try:
            os.setgroups(self.groups)
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
        except OSError as error:
            raise CannotDrop(self.name, (error.strerror or str(error)).lower()) from None
        if self.uid and 0 in os.getresuid():
            raise CannotDrop(self.name, "some privilege is left")

    def unreadable(self, paths: Iterable[Path]) -> list[Path]:
        """Those of these files that exist and that this account may not read, by mode bits (access lists are not asked)."""
        return [path for path in paths if path.exists() and not self._reads(path)]

    def _reads(self, path: Path) -> bool:
        if not self.uid:
            return True
        real = path.resolve()
        return all(self._may(folder, 1) for folder in real.parents) and self._may(real, 4)

    def _may(self, path: Path, bit: int) -> bool:
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & bit << 6)
        if status.st_gid in self.groups:
            return bool(status.st_mode & bit << 3)
        return bool(status.st_mode & bit)
