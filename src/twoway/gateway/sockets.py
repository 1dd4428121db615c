"""The listening sockets of a gateway: bound here, or opened by somebody else and matched to a listener."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import socket
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from twoway.errors import UsageError
from twoway.gateway.addresses import Address
from twoway.gateway.notify import BadActivation, Passed
from twoway.gateway.options import ListenerOptions
from twoway.server.running import CannotListen


def bind(options: ListenerOptions, *, share: bool = False) -> socket.socket:
    """A bound, non-blocking socket that does not listen yet; raises CannotListen, or UsageError for an unknown owner.

    `share`: SO_REUSEPORT.
    """
    address = options.listen
    family, place = address.resolve()
    owner = ids_of(options.listen_owner)
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_UNIX:
            _remove_stale(str(place))
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if share:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        before = os.umask(0o177)
        try:
            sock.bind(place)
        finally:
            os.umask(before)
        if family == socket.AF_UNIX:
            _give(str(place), owner, options.listen_mode)
        prepare(sock, options)
    except OSError as error:
        sock.close()
        raise CannotListen(address.path or address.host, address.port, error.strerror or str(error)) from None
    return sock


def prepare(sock: socket.socket, options: ListenerOptions) -> None:
    """What every accepted socket inherits, wherever the listening one comes from."""
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if options.tls_in:
        # Who says nothing is the kernel's until the limit: it costs not even a descriptor.
        seconds = max(1, int(options.bounds.handshake_seconds))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, seconds)


def bind_all(options: ListenerOptions, count: int) -> list[socket.socket]:
    """Sockets for so many workers, all listening on one address; one that they share when it is a UNIX socket."""
    first = bind(options, share=count > 1)
    found = [first]
    try:
        for _ in range(count - 1 if first.family != socket.AF_UNIX else 0):
            sock = socket.socket(first.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            found.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(first.getsockname())
            prepare(sock, options)
    except OSError as error:
        for sock in found:
            sock.close()
        address = options.listen
        raise CannotListen(address.path or address.host, address.port, error.strerror or str(error)) from None
    return found


def match(
    listeners: Sequence[ListenerOptions], passed: Iterable[Passed], *, all_of_them: bool = True
) -> list[list[socket.socket]]:
    """For each listener the passed sockets that are its own, by name or by address; raises BadActivation.

    One that belongs to nobody is an error, since somebody may be waiting at it; unless not `all_of_them`: then
    it is closed.
    """
    found: list[list[socket.socket]] = [[] for _ in listeners]
    for one in passed:
        for number, options in enumerate(listeners):
            names = (options.name or None, str(options.listen), handed_name(options))
            if one.name in names or is_at(one.sock, options.listen):
                prepare(one.sock, options)
                found[number].append(one.sock)
                break
        else:
            told = f"{one.name!r} at {told_place(one.sock)} belongs to no listener"
            one.sock.close()
            if all_of_them:
                raise BadActivation(told)
    return found


def handed_name(options: ListenerOptions) -> str:
    """What a listener's sockets are called at a handover: another address is another socket, whatever its name."""
    return f"{options.name} {options.listen}"


def share_out(sockets: int, workers: Sequence[int]) -> dict[int, list[int]]:
    """Which worker listens on which sockets, by number, so that each worker has one and no socket is left alone."""
    found: dict[int, list[int]] = {worker: [] for worker in workers}
    if not workers:
        return found
    for index in range(max(sockets, len(workers)) if sockets else 0):
        found[workers[index % len(workers)]].append(index % sockets)
    return {worker: sorted(set(mine)) for worker, mine in found.items()}


def port_of(sock: socket.socket) -> int:
    """The TCP port; 0 for a UNIX socket."""
    name = sock.getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0


def told_place(sock: socket.socket) -> str:
    """Where a socket listens, as people write it."""
    name = sock.getsockname()
    if isinstance(name, tuple):
        return str(Address(host=name[0], port=name[1]))
    return f"unix:{name if isinstance(name, str) else name.decode('utf-8', 'replace')}"


def is_at(sock: socket.socket, address: Address) -> bool:
    """Whether a socket listens where this address says; never for port 0."""
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return bool(address.path) and os.path.realpath(name) == os.path.realpath(address.path)
    if address.path or not address.port:
        return False
    family, place = address.resolve()
    return family == sock.family and name[:2] == place[:2]


def _remove_stale(path: str) -> None:
    """A UNIX socket that nobody listens on any more is in the way; anything else is left alone."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
    except OSError:
        return


def _give(path: str, owner: tuple[int | None, int | None], mode: int) -> None:
    """Mode and owner of a UNIX socket; until then it is our own alone."""
    user, group = owner
    if user is not None or group is not None:
        os.chown(path, -1 if user is None else user, -1 if group is None else group)
    os.chmod(path, mode)


def ids_of(owner: str) -> tuple[int | None, int | None]:
    """`user`, `user:group` or `:group` as numbers; raises UsageError for who is not there."""
    user, _, group = owner.partition(":")
    try:
        return (
            pwd.getpwnam(user).pw_uid if user else None,
            grp.getgrnam(group).gr_gid if group else None,
        )
    except KeyError:
        raise UsageError(
            f"there is no such user or group here: {owner}", "write user, user:group or :group"
        ) from None


def remove(path: str, sock: socket.socket) -> None:
    """Take the name of a UNIX socket away, unless it leads to another socket by now."""
    with contextlib.suppress(OSError):
        if sock.fileno() >= 0 and sock.getsockname() == path:
            Path(path).unlink(missing_ok=True)
