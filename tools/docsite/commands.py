"""The command line as pages: every verb with its `--help` as a terminal of 80 columns shows it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import click

from twoway.cli._root import main as twoway

COLUMNS = 80


def commands(
    command: click.Command = twoway, path: tuple[str, ...] = ("twoway",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Give every command with the words that lead to it: `twoway`, its verbs, and their verbs."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))


def help_of(path: tuple[str, ...], command: click.Command) -> str:
    """Give what `--help` prints."""
    context: click.Context | None = None
    for name in path[:-1]:
        context = click.Context(twoway, info_name=name, parent=context)
    settings = {**command.context_settings, "max_content_width": COLUMNS, "terminal_width": COLUMNS}
    with click.Context(command, info_name=path[-1], parent=context, **settings) as own:
        return command.get_help(own)


def pages() -> dict[str, str]:
    """Give one page a verb: its name, and its text."""
    made = {}
    for verb, group in groupby(commands(), key=lambda item: item[0][1] if len(item[0]) > 1 else ""):
        parts = []
        for path, command in group:
            level = "#" * min(len(path) - 1, 3) or "#"
            parts.append(f"{level} {' '.join(path)}\n\n```text\n{help_of(path, command).rstrip()}\n```\n")
        made[f"command-{verb}" if verb else "command"] = "\n".join(parts)
    return made
