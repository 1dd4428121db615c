"""Tries what a gateway file describes, without serving anybody."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from twoway.gateway.admin import check_place
from twoway.gateway.backend import Target
from twoway.gateway.file import load
from twoway.gateway.material import Material
from twoway.gateway.metrics import bound
from twoway.gateway.options import GatewayOptions, ListenerOptions
from twoway.gateway.places import told_with_its_place
from twoway.gateway.privileges import Account
from twoway.gateway.sockets import bind
from twoway.server.running import CannotListen


def check(path: str | Path, *, running: bool = False) -> GatewayOptions:
    """The options of a file that would start; raises BadGatewayFile with the line when it would not.

    Loads identity, trust, lists and policy, makes the trial handshake, resolves the targets and binds each
    address for a moment, also that of the metrics; with `running` an address may be taken, since the gateway itself has it. Not checked:
    whether the targets are up.
    """
    options = load(path)
    for listener in options.listeners:
        with told_with_its_place(listener):
            _try(listener, running)
    with told_with_its_place(options):
        if options.admin is not None:
            check_place(options.admin, taken=running)
        if options.metrics is not None:
            with _taken_by_itself(running):
                bound(options.metrics).close()
        if options.user:
            Account.find(options.user, options.group)
    return options


def _try(listener: ListenerOptions, running: bool) -> None:
    via = Material(listener).via
    for target in listener.targets:
        Target(target, via.address if via is not None else None)
    with _taken_by_itself(running):
        bind(listener).close()
        if listener.listen.path:
            Path(listener.listen.path).unlink(missing_ok=True)


@contextlib.contextmanager
def _taken_by_itself(running: bool) -> Iterator[None]:
    """An address that is taken is no mistake where the gateway itself has it."""
    try:
        yield
    except CannotListen as error:
        if not running or error.reason != os.strerror(errno.EADDRINUSE):
            raise


def remarks(options: GatewayOptions) -> Iterator[str]:
    """What would start, and will be in the way later."""
    if not options.user:
        return
    account = Account.find(options.user, options.group)
    for path in account.unreadable({path: None for one in options.listeners for path in one.watched()}):
        yield f"{options.user} cannot read {path}: every reload and restart will fail until it can"
