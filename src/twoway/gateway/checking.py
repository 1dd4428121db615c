"""Tries what a gateway file describes, without serving anybody."""

from __future__ import annotations

from pathlib import Path

from twoway.errors import TwowayError
from twoway.gateway.backend import Target
from twoway.gateway.file import BadGatewayFile, load, place_of_listener
from twoway.gateway.material import Material
from twoway.gateway.options import GatewayOptions
from twoway.gateway.sockets import bind


def check(path: str | Path) -> GatewayOptions:
    """The options of a file that would start; raises BadGatewayFile with the listener's line when it would not.

    Loads identity, trust, lists and policy, makes the trial handshake, resolves the targets and binds each
    address for a moment. Not checked: whether the targets are up.
    """
    options = load(path)
    for number, listener in enumerate(options.listeners):
        try:
            via = Material(listener).via
            for target in listener.targets:
                Target(target, via.address if via is not None else None)
            bind(listener).close()
            if listener.listen.path:
                Path(listener.listen.path).unlink(missing_ok=True)
        except TwowayError as error:
            raise BadGatewayFile(place_of_listener(path, number), str(error), error.remedy) from error
    return options
