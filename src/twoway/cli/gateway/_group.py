"""The group; its verbs are few, and what they do is imported when they run."""

from __future__ import annotations

import click

from twoway.cli.gateway.look import connections, cut, reload, restart, status
from twoway.cli.gateway.run import check, client, run, server
from twoway.cli.gateway.top import top


@click.group()
def gateway() -> None:
    """2-way SSL in front of a service that cannot do it itself, or behind a client that cannot."""


for command in (server, client, run, check, status, top, connections, cut, reload, restart):
    gateway.add_command(command)
