"""Tries what a gateway file describes, without serving anybody."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from twoway.errors import TwowayError
from twoway.gateway.backend import Target
from twoway.gateway.file import BadGatewayFile, load, place_of_listener
from twoway.gateway.material import Material
from twoway.gateway.options import GatewayOptions
from twoway.gateway.privileges import Account
from twoway.gateway.sockets import bind
from twoway.server.running import CannotListen


def check(path: str | Path, *, running: bool = False) -> GatewayOptions:
    """The options of a file that would start; raises BadGatewayFile with the listener's line when it would not.

    Loads identity, trust, lists and policy, makes the trial handshake, resolves the targets and binds each
    address for a moment; with `running` an address may be taken, since the gateway itself has it. Not checked:
    whether the targets are up.
    """
    options = load(path)
    for number, listener in enumerate(options.listeners):
        try:
            via = Material(listener).via
            for target in listener.targets:
                Target(target, via.address if via is not None else None)
            try:
                bind(listener).close()
            except CannotListen as error:
                if not running or error.reason != os.strerror(errno.EADDRINUSE):
                    raise
            else:
                if listener.listen.path:
                    Path(listener.listen.path).unlink(missing_ok=True)
        except TwowayError as error:
            raise BadGatewayFile(place_of_listener(path, number), str(error), error.remedy) from error
    if options.user:
        Account.find(options.user, options.group)
    return options


def remarks(options: GatewayOptions) -> Iterator[str]:
    """What would start, and will be in the way later."""
    if not options.user:
        return
    account = Account.find(options.user, options.group)
    for path in account.unreadable({path: None for one in options.listeners for path in one.watched()}):
        yield f"{options.user} cannot read {path}: every reload and restart will fail until it can"
