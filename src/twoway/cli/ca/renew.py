"""`twoway ca renew`: a certificate, an identity directory, or the issuing CA itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twoway.cli._output import emit
from twoway.cli._passphrase import Passphrase
from twoway.cli.ca import _identity_out
from twoway.cli.ca._group import PATH, json_option, root_key_option, with_authority
from twoway.cli.ca.issue import key_passphrase_option
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.authority import Authority


@click.command(short_help="Renew an identity, or the issuing CA.")
@click.argument("certificate", required=False)
@click.option("--identity", type=PATH, metavar="DIR", help="Renew the identity in this directory, in place.")
@click.option("--same-key", is_flag=True, help="Keep the identity's key.")
@click.option("--days", type=float, help="Life of the new certificate.  [default: as long as the old one's]")
@click.option("--allow-expired", is_flag=True, help="Renew also what has expired already.")
@click.option(
    "--out", type=PATH, metavar="DIR", help="Where to write the identity.  [default: named after it]"
)
@key_passphrase_option
@click.option("--issuing", is_flag=True, help="Renew the issuing CA; needs the root's key.")
@click.option("--new-key", is_flag=True, help="With --issuing: a new CA with a new key.")
@root_key_option
@json_option
@with_authority
def renew(
    authority: Authority,
    certificate: str | None,
    identity: Path | None,
    same_key: bool,
    days: float | None,
    allow_expired: bool,
    out: Path | None,
    key_passphrase_file: Path | None,
    issuing: bool,
    new_key: bool,
    json: bool,
) -> None:
    """Renew CERTIFICATE (a name, serial or fingerprint) or the identity in a directory.

    The new certificate has the old one's names and profile, and a new key unless --same-key says otherwise. The
    old one stays valid until its end, or until it is revoked.
    """
    if sum((certificate is not None, identity is not None, issuing)) != 1:
        raise UsageError(
            "renew one thing: a certificate, an identity directory or the issuing CA",
            "give CERTIFICATE, --identity DIR or --issuing",
        )
    if issuing:
        _issuing(authority, new_key, days, json=json)
    elif identity is not None:
        _directory(authority, identity, same_key, days, allow_expired, key_passphrase_file, json=json)
    elif same_key:
        raise UsageError(
            "a renewal with the same key needs that key, and only the certificate was named",
            "give the identity with --identity DIR",
        )
    else:
        record = authority.show(certificate or "")
        directory = _identity_out.directory_for(record.common_name or record.serial, out)
        renewed = authority.renew(record, days=days, allow_expired=allow_expired)
        _identity_out.write(authority, renewed, directory, key_passphrase_file, json=json)


def _directory(
    authority: Authority,
    directory: Path,
    same_key: bool,
    days: float | None,
    allow_expired: bool,
    key_passphrase_file: Path | None,
    *,
    json: bool,
) -> None:
    from twoway.credential import Credential

    passphrase = Passphrase(f"the key of {directory}", file=key_passphrase_file)
    old = Credential.load(directory, passphrase=passphrase, allow_expired=True)
    if key_passphrase_file is None and b"ENCRYPTED" in (directory / "key.pem").read_bytes():
        raise UsageError(
            f"the key in {directory} is encrypted, and its successor would not be",
            "give the passphrase with --key-passphrase-file FILE",
        )
    renewed = authority.renew(old, new_key=not same_key, days=days, allow_expired=allow_expired)
    _identity_out.write(authority, renewed, directory, key_passphrase_file, json=json)


def _issuing(authority: Authority, new_key: bool, days: float | None, *, json: bool) -> None:
    renewed = authority.root_key.renew_issuing(new_key=new_key, days=days or 1825)
    emit(
        {
            "issuing": renewed.name,
            "serial": renewed.serial,
            "until": renewed.certificate.not_valid_after_utc,
            "key": "new" if new_key else "same",
        },
        json=json,
    )
