"""`twoway ca init`: a new authority."""

from __future__ import annotations

from pathlib import Path

import click

from twoway.cli._identity import passphrase_options
from twoway.cli._output import emit
from twoway.cli._passphrase import has_terminal
from twoway.cli.ca._group import PATH, ca_passphrase, json_option
from twoway.errors import UsageError


@click.command(short_help="Make a new authority.")
@click.argument("directory", type=PATH, metavar="DIR")
@click.option("--name", required=True, help="The organisation, as all its certificates name it.")
@click.option(
    "--key-type",
    default="p256",
    show_default=True,
    help="Type of the CA keys: p256, p384, rsa2048 to rsa4096, ed25519, mldsa44 to mldsa87.",
)
@click.option("--root-days", type=float, default=3650, show_default=True, help="Life of the root.")
@click.option("--issuing-days", type=float, default=1825, show_default=True, help="Life of the issuing CA.")
@click.option(
    "--permit",
    multiple=True,
    metavar="KIND:NAME",
    help="Certify no other names of that kind: dns:acme.example, ip:10.0.0.0/8, uri:…, email:…. Repeatable.",
)
@click.option("--exclude", multiple=True, metavar="KIND:NAME", help="Never certify these. Repeatable.")
@click.option(
    "--public-url",
    metavar="URL",
    help="Where everybody can ask whether a certificate is revoked: http://HOST:PORT of `ca serve --public-listen`.",
)
@click.option(
    "--store",
    metavar="URL",
    envvar="TWOWAY_CA_STORE",
    help="Keep the store in this empty database: postgresql+psycopg://…  [default: a file in DIR]",
)
@click.option("--no-passphrase", is_flag=True, help="Store the CA keys unencrypted.")
@passphrase_options
@json_option
def init(
    directory: Path,
    name: str,
    key_type: str,
    root_days: float,
    issuing_days: float,
    permit: tuple[str, ...],
    exclude: tuple[str, ...],
    public_url: str | None,
    store: str | None,
    no_passphrase: bool,
    passphrase_file: Path | None,
    passphrase_command: str | None,
    json: bool,
) -> None:
    """Make a new authority in DIR: a root, an issuing CA under it, and an empty store.

    DIR appears whole or not at all. What everybody who is to believe the authority needs is DIR/root.pem.
    """
    from twoway.authority import Authority, Constraints
    from twoway.authority.directory import check_free
    from twoway.authority.faults import PassphraseNeeded
    from twoway.credential import fingerprint_of

    check_free(directory)
    passphrase = ca_passphrase(directory, passphrase_file, passphrase_command, new=True)
    if no_passphrase and (passphrase_file or passphrase_command):
        raise UsageError("--no-passphrase and a passphrase exclude each other", "leave one of them out")
    if not no_passphrase and not passphrase.given and not has_terminal():
        raise PassphraseNeeded(str(directory), True)
    with Authority.create(
        directory,
        name=name,
        passphrase=None if no_passphrase else passphrase,
        no_passphrase=no_passphrase,
        key_type=key_type,
        root_days=root_days,
        issuing_days=issuing_days,
        name_constraints=Constraints(permit, exclude),
        public_url=public_url,
        store=store,
    ) as authority:
        emit(
            {
                "authority": authority.name,
                "directory": directory,
                "root": directory / "root.pem",
                "fingerprint": fingerprint_of(authority.root_certificate),
                "until": authority.root_certificate.not_valid_after_utc,
                "issuing_until": authority.issuing_certificate.not_valid_after_utc,
            },
            json=json,
        )
