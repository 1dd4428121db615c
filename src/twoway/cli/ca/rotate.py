"""`twoway ca rotate`: another issuing CA or another root, one step at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from twoway.cli._output import complain, emit, printable
from twoway.cli.ca._group import json_option, root_key_option, with_authority
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.authority import Authority
    from twoway.authority.rotating import Progress

_DONE = {
    "none": "no change is under way",
    "distribute": "the new CA is there and handed out; it issues nothing yet",
    "issue": "the new CA issues; the old one is still believed",
    "retired": "the old CA is no longer needed",
}
_SHOWN = 20


@click.command(short_help="Change the issuing CA or the root, step by step.")
@click.argument("kind", type=click.Choice(["issuing", "root"]))
@click.option("--status", is_flag=True, help="Only say how far it is, and whom the next step waits for.")
@click.option("--abort", is_flag=True, help="Take it back; possible until the new CA issues.")
@click.option("--force", is_flag=True, help="Take the step although it cuts somebody off.")
@click.option("--days", type=float, help="Life of the new root, or issuing CA.  [default: 3650, 1825]")
@click.option("--key-type", help="Type of the new keys.  [default: that of the old ones]")
@root_key_option
@json_option
@with_authority
def rotate(
    authority: Authority,
    kind: str,
    status: bool,
    abort: bool,
    force: bool,
    days: float | None,
    key_type: str | None,
    json: bool,
) -> int:
    """Take the next step of changing the issuing CA or the root; call it again until it says `retired`.

    distribute: the new CA is made and handed out beside the old one. issue: the new one issues. retire: the old one is
    believed no longer. A step that would cut somebody off is refused, and names them. Only the first one needs the
    root's key.
    """
    from twoway.authority.succession import Lives

    if status + abort + force > 1:
        raise UsageError("--status, --abort and --force exclude each other", "give one of them")
    rotating = authority.rotating
    if abort:
        rotating.abort(kind)  # type: ignore[arg-type]
        emit({"kind": kind, "step": "aborted"} if json else "taken back; the old CA goes on", json=json)
        return 0
    if status:
        progress = rotating.status(kind)  # type: ignore[arg-type]
    else:
        usual = Lives()
        lives = Lives(
            days if days and kind == "root" else usual.root_days,
            days if days and kind == "issuing" else usual.issuing_days,
            key_type,
        )
        progress = rotating.advance(kind, force=force, lives=lives)  # type: ignore[arg-type]
    _say(progress, json=json)
    return 0


def _say(progress: Progress, *, json: bool) -> None:
    if json:
        emit(progress, json=True)
        return
    facts = {"change of": progress.kind, "step": f"{progress.step}: {_DONE[progress.step]}"}
    if progress.next:
        facts["next"] = progress.next
    waits_for = progress.waits_for
    if waits_for.count:
        facts["waits for"] = f"{waits_for.count} {progress.why}"
    emit(facts)
    for name in waits_for.named[:_SHOWN]:
        emit(printable(f"  {name}"))
    if waits_for.count > _SHOWN:
        complain("info", "all of them: --status --json")
