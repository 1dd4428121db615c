"""`twoway agent run` and `twoway agent status`: identities that stay fresh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.enroll.agent import AgentOptions

DIRECTORIES = click.argument("directories", nargs=-1, type=click.Path(path_type=Path), metavar="[DIR]...")
CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="A TOML file with identities; see docs."
)
URL = click.option(
    "--url", metavar="URL", help="The authority's service.  [default: the one that the identity joined]"
)


@click.command(short_help="Keep identities fresh, until a signal ends it.")
@DIRECTORIES
@CONFIG
@URL
@click.option("--same-key", is_flag=True, help="Renew for the same key instead of a new one.")
@click.option("--crl", is_flag=True, help="Keep the revocation lists beside the identity, too.")
@click.option(
    "--reload-pid-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Send a signal to the process with the number in FILE after each change.",
)
@click.option("--reload-signal", default="HUP", show_default=True, help="Which signal that is.")
@click.option("--reload-command", metavar="COMMAND", help="Run this after each change, without a shell.")
@click.option("--reload-unit", metavar="UNIT", help="Reload this systemd unit after each change.")
@click.option("--metrics", metavar="HOST:PORT", help="Answer Prometheus there.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the lines of the log are written.",
)
@click.option("--once", is_flag=True, help="Look once, do what is due, and end: for timers.")
def run(
    directories: tuple[Path, ...],
    config: Path | None,
    url: str | None,
    same_key: bool,
    crl: bool,
    reload_pid_file: Path | None,
    reload_signal: str,
    reload_command: str | None,
    reload_unit: str | None,
    metrics: str | None,
    log_format: str,
    once: bool,
) -> int:
    """Renew each identity after two thirds of its life, and tell whoever uses it.

    SIGHUP looks at once, SIGTERM ends. With --once: exit 1 when an identity could not be kept.
    """
    import shlex

    from twoway.enroll.agent import Agent, AgentOptions, IdentityOptions
    from twoway.enroll.agent import run as keep
    from twoway.enroll.agent.hooks import CommandHook, Hook, SignalHook, unit_hook
    from twoway.enroll.agent.settings import load, url_of
    from twoway.server import Journal

    if config is not None:
        if directories:
            raise UsageError("directories and --config exclude each other", "list them in the file")
        options: AgentOptions = load(config)
    else:

        def hooks(directory: Path) -> tuple[Hook, ...]:
            found: list[Hook] = []
            if reload_pid_file is not None:
                found.append(SignalHook(reload_pid_file, reload_signal))
            if reload_command is not None:
                found.append(CommandHook(tuple(shlex.split(reload_command)), directory))
            if reload_unit is not None:
                found.append(unit_hook(reload_unit, directory))
            return tuple(found)

        options = AgentOptions(
            identities=tuple(
                IdentityOptions(
                    directory=each, url=url_of(each, url), new_key=not same_key, crl=crl, hooks=hooks(each)
                )
                for each in directories
            ),
            metrics=metrics,
            log_format=log_format,
        )
    if not once:
        keep(options)
        return 0
    agent = Agent(options, Journal(options.log_format))
    agent.turn()
    return int(any(one.state.failures or one.state.hooks_due for one in agent.identities))


@click.command(short_help="How the identities of this machine stand.")
@DIRECTORIES
@CONFIG
@URL
@click.option("--json", "json", is_flag=True, help="Print one JSON document.")
def status(directories: tuple[Path, ...], config: Path | None, url: str | None, json: bool) -> int:
    """Print for each identity until when it holds, when it is renewed, and what went wrong last.

    Exit 1 when one is late, expired, failing or unusable.
    """
    from datetime import UTC, datetime

    from twoway.cli.agent._status import emit_status
    from twoway.enroll.agent import IdentityOptions, Managed
    from twoway.enroll.agent.settings import load, url_of
    from twoway.enroll.asking import AuthorityAt

    if config is not None:
        wanted = load(config).identities
    else:
        wanted = tuple(IdentityOptions(directory=each, url=url_of(each, url)) for each in directories)
    if not wanted:
        raise UsageError("there is no identity to look at", "name its directory: twoway agent status DIR")
    now = datetime.now(UTC)
    found = [Managed(one, AuthorityAt(one.url), lambda *_, **__: None).facts(now) for one in wanted]
    return emit_status(found, now, json=json)
