"""`twoway sealing-key`: a hybrid key to be sealed for, and the card that shows it."""

from __future__ import annotations

from pathlib import Path

import click

from twoway.cli._files import FILE, result
from twoway.cli._identity import passphrase_options
from twoway.cli._passphrase import Passphrase


@click.command("sealing-key")
@click.option(
    "--identity",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="Whose key it is: the identity signs the card.",
)
@passphrase_options
@click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True),
    default=90,
    show_default=True,
    help="How long the card holds.",
)
@click.option("--renew-card", is_flag=True, help="A new card for the newest key that is there.")
@click.option("-o", "--output", type=FILE, required=True, metavar="CARD", help="Where the card goes.")
def sealing_key(
    identity: Path,
    passphrase_file: Path | None,
    passphrase_command: str | None,
    days: float,
    renew_card: bool,
    output: Path,
) -> int:
    """Make a key for sealed messages that quantum computers do not open either (MLKEM768-X25519).

    The private half goes into DIR as sealing-key.pem, in front of older ones; the public half into CARD, signed by
    the identity. Give the card to whoever seals for you: twoway seal FILE --to CARD --format hpke.
    """
    from twoway.credential import Credential
    from twoway.message.hpke.sealing_key import FILE as NAME
    from twoway.message.hpke.sealing_key import load_sealing_keys, new_sealing_key

    passphrase = Passphrase(f"the key of {identity}", file=passphrase_file, command=passphrase_command)
    credential = Credential.load(identity, passphrase=passphrase)
    key = (
        load_sealing_keys(identity / NAME, passphrase)[0]
        if renew_card
        else new_sealing_key(identity, passphrase)
    )
    with result(output, binary=True, private=False) as sink:
        sink.write(key.card(credential, days=days))
    return 0
