"""The group itself, and the options by which its verbs find the authority and open its keys."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twoway.cli._identity import passphrase_options
from twoway.cli._passphrase import Passphrase

if TYPE_CHECKING:
    pass

PATH = click.Path(path_type=Path)
PASSPHRASE = "TWOWAY_CA_PASSPHRASE"  # noqa: S105 - the variable's name


@click.group(short_help="Be an authority.")
def ca() -> None:
    """Be an authority: issue, renew, revoke and list identities.

    The authority is found by --ca-dir, else TWOWAY_CA_DIR, else ./pki. Verbs that sign need its passphrase:
    from --passphrase-file, --passphrase-command, TWOWAY_CA_PASSPHRASE, or the terminal.
    """


json_option = click.option("--json", "json", is_flag=True, help="Print one JSON document.")

root_key_option = click.option(
    "--root-key", type=PATH, metavar="FILE", help="The root's key, where it is kept offline."
)


def ca_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--ca-dir`, as `ca_dir`."""
    return click.option(
        "--ca-dir",
        type=PATH,
        metavar="DIR",
        envvar="TWOWAY_CA_DIR",
        default=Path("pki"),
        show_default="TWOWAY_CA_DIR, or pki",
        help="The authority's directory.",
    )(command)


def store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--store`, as `store`."""
    return click.option(
        "--store",
        metavar="URL",
        envvar="TWOWAY_CA_STORE",
        help="The store's database, postgresql+psycopg://….  [default: what the directory says]",
    )(command)


def with_authority(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the opened `authority`; its keys are read only if the verb needs them."""

    @functools.wraps(command)
    def opened(
        *args: Any,
        ca_dir: Path,
        store: str | None,
        passphrase_file: Path | None,
        passphrase_command: str | None,
        **options: Any,
    ) -> Any:
        from twoway.authority import Authority

        passphrase = ca_passphrase(ca_dir, passphrase_file, passphrase_command)
        with Authority.open(
            ca_dir, passphrase=passphrase, root_key=options.pop("root_key", None), store=store
        ) as authority:
            return command(*args, authority=authority, **options)

    return ca_dir_option(store_option(passphrase_options(opened)))


def ca_passphrase(ca_dir: Path, file: Path | None, command: str | None, *, new: bool = False) -> Passphrase:
    """Where the passphrase of an authority's keys comes from."""
    return Passphrase(f"the authority in {ca_dir}", file=file, command=command, variable=PASSPHRASE, new=new)
