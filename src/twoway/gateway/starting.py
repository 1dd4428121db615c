"""From options to a gateway that serves: load, open or take over the sockets, give up privileges, start the workers."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from twoway.gateway.admin import check_place
from twoway.gateway.backend import Target
from twoway.gateway.crew import METRICS, Crew
from twoway.gateway.handover import inherited
from twoway.gateway.material import Material
from twoway.gateway.notify import Notifier, Passed, activated
from twoway.gateway.options import GatewayOptions
from twoway.gateway.places import told_with_its_place
from twoway.gateway.privileges import Account
from twoway.gateway.running import raise_descriptor_limit
from twoway.gateway.sockets import bind_all, is_at, match
from twoway.server.journal import Journal
from twoway.tls.reload import FileWatch


def run(options: GatewayOptions, *, journal: Journal | None = None) -> None:
    """Run a gateway until a signal ends it; raises ConfigError before anything listens."""
    journal = journal or Journal(options.log_format, access=options.access_log)
    notifier = Notifier(os.environ, os.getpid())
    raise_descriptor_limit()
    given, predecessor = inherited(os.environ)
    started = activated(os.environ, os.getpid())
    with told_with_its_place(options):
        account = Account.find(options.user, options.group) if options.user else None
        if options.admin is not None:
            check_place(options.admin, taken=predecessor is not None)
    watch = FileWatch(path for one in options.listeners for path in one.watched())
    materials = []
    for one in options.listeners:
        with told_with_its_place(one):
            material = Material(one)
            for target in one.targets:
                Target(target, material.via.address if material.via is not None else None)
        materials.append(material)
    with contextlib.ExitStack() as undo:
        metrics = _metrics(options, given)
        sockets = _sockets(options, [one for one in given if one.name != METRICS], started, undo)
        with told_with_its_place(options):
            crew = Crew(
                options, materials, sockets, journal, notifier,
                watch=watch, metrics=metrics, predecessor=predecessor,
                kept=frozenset(one.sock.fileno() for one in started) | kept_of(given),
            )  # fmt: skip
        undo.pop_all()
    if account is not None:
        unreadable = account.unreadable(watch.paths)
        crew.own(account.uid, account.gid)
        for material in materials:
            if material.recorder is not None:
                os.chown(material.recorder.directory, account.uid, account.gid)
        account.become()
        watch.changed()  # what cannot be read any more has not changed
        _warn(journal, account, unreadable)
    crew.run()


def _metrics(options: GatewayOptions, given: list[Passed]) -> socket.socket | None:
    """The socket of the page that the process before us has answered on, where we are to answer there too."""
    for one in given:
        if one.name == METRICS:
            if options.metrics is not None and (not options.metrics.port or is_at(one.sock, options.metrics)):
                return one.sock
            one.sock.close()
    return None


def _sockets(
    options: GatewayOptions, given: list[Passed], started: list[Passed], undo: contextlib.ExitStack
) -> list[list[socket.socket]]:
    """Listening sockets for each listener: passed over, or bound here."""
    # What a successor has no listener for any more is closed; what a service manager opens must have one.
    found = match(options.listeners, given, all_of_them=False)
    for mine, more in zip(found, match(options.listeners, started), strict=True):
        mine += more
    for number, one in enumerate(options.listeners):
        if not found[number]:
            with told_with_its_place(one):
                found[number] = bind_all(one, options.workers)
            for sock in found[number]:
                undo.callback(sock.close)
    for mine in found:
        for sock in mine:
            sock.listen(options.backlog)
    return found


def kept_of(given: list[Passed]) -> frozenset[int]:
    """The passed sockets whose names in the file system are somebody else's to remove."""
    return frozenset(one.sock.fileno() for one in given if one.kept)


def _warn(journal: Journal, account: Account, paths: list[Path]) -> None:
    for path in paths:
        journal.event(
            "unreadable", f"{account.name} cannot read {path}: every reload and restart will fail until it can",
            path=str(path),
        )  # fmt: skip
