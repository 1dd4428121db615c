"""`twoway` itself: finds the verb, and turns whatever goes wrong into a sentence and an exit code.

A verb is imported only when it is used, so that `twoway --help` costs next to nothing.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import click

from twoway.cli._failure import report


class Verb(NamedTuple):
    """Where a verb lives, and what it does in a few words."""

    place: str
    help: str


VERBS: dict[str, Verb] = {
    "demo": Verb("twoway.cli.demo:demo", "Tell the whole story on this machine, on real sockets."),
    "ca": Verb("twoway.cli.ca:ca", "Be an authority: issue, renew, revoke and list identities."),
    "agent": Verb("twoway.cli.agent:agent", "Get identities from an authority, and keep them."),
    "serve": Verb("twoway.cli.serve:serve", "Serve an application to proven clients only."),
    "gateway": Verb(
        "twoway.cli.gateway:gateway", "Put mutual TLS in front of, or behind, anything that speaks TCP."
    ),
    "call": Verb("twoway.cli.call:call", "Call a URL and prove who is calling."),
    "seal": Verb("twoway.cli.seal:seal", "Seal a file, so that only its recipients can read it."),
    "open": Verb("twoway.cli.open:open_", "Open a file that was sealed for this identity."),
    "sealing-key": Verb(
        "twoway.cli.sealing_key:sealing_key", "Make a post-quantum key to be sealed for, and its signed card."
    ),
    "sign": Verb("twoway.cli.sign:sign", "Sign a file as an identity."),
    "verify": Verb("twoway.cli.verify:verify", "Say who signed a file, and whether it is unchanged."),
    "explain": Verb("twoway.cli.explain:explain", "Tell a handshake step by step, with its real bytes."),
    "doctor": Verb("twoway.cli.doctor:doctor", "Say why a connection fails, and what to change."),
    "inspect": Verb(
        "twoway.cli.inspect:inspect", "Show what a certificate, key or list says, and what is wrong."
    ),
    "policy": Verb("twoway.cli.policy:policy", "Ask what a policy decides about an identity."),
}


class Root(click.Group):
    """A group whose verbs are the table above and whose `main` never lets a traceback out."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        module, _, attribute = verb.place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in VERBS and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(name, possibilities=VERBS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        """Run one verb and leave with its exit code: 0 yes, 1 no, 2 asked wrongly, 70 our own mistake."""
        extra.update(prog_name="twoway", standalone_mode=False)
        try:
            result = super().main(args, **extra)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - nothing may reach a terminal raw
            sys.exit(report(error))
        sys.exit(result if type(result) is int else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            ctx.exit(report(error))  # before click answers it with 1, which says "no" here


def _print_versions(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from twoway.cli._versions import versions

    click.echo("\n".join(f"{name} {version}" for name, version in versions()))
    ctx.exit()


@click.group(
    cls=Root,
    name="twoway",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 yes, 1 no, 2 asked wrongly. TWOWAY_DEBUG=1 shows the traceback of an error.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_versions,
    help="Print the versions of twoway and of what it stands on.",
)
def main() -> None:
    """2-way SSL (mutual TLS): both sides of a connection prove who they are.

    An authority issues the identities, a server lets only proven clients in, a client proves who it
    is, and a refusal says why.
    """
    from twoway.cli._log import print_warnings

    print_warnings()
