"""`twoway ca crl` and `twoway ca export`: what others are given, and the root's key on its way offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twoway.cli._output import complain, emit
from twoway.cli.ca._group import PATH, json_option, root_key_option, with_authority
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.authority import Authority


@click.command(short_help="Write the current CRLs.")
@click.option("--out", type=PATH, metavar="FILE", help="Write them here.  [default: print them]")
@root_key_option
@json_option
@with_authority
def crl(authority: Authority, out: Path | None, json: bool) -> None:
    """Write the CRLs of the issuing CA and the root, as PEM in one file.

    They are signed anew after a revocation and when half their time is over; a stale one is never written.
    """
    from cryptography import x509

    from twoway.credential import display_name, write_public

    pem = authority.crl_pem()
    if out is not None:
        write_public(out, pem)
    if json or out is not None:
        lists = [x509.load_der_x509_crl(each) for each in authority.crls()]
        facts = [
            {
                "issuer": display_name(each.issuer),
                "number": each.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number,
                "entries": len(each),
                "this_update": each.last_update_utc,
                "next_update": each.next_update_utc,
            }
            for each in lists
        ]
        if json:
            emit({"crls": facts, "pem": pem.decode()}, json=True)
        else:
            emit(
                f"{fact['issuer']}: number {fact['number']}, {fact['entries']} revoked, "
                f"until {fact['next_update']:%Y-%m-%d %H:%M} UTC"
                for fact in facts
            )
    else:
        click.echo(pem.decode(), nl=False)


@click.command(short_help="Give out the trust bundle; take the root's key offline.")
@click.option("--out", type=PATH, metavar="FILE", help="Write the trust bundle here.  [default: print it]")
@click.option(
    "--root-key", "root_key_out", type=PATH, metavar="FILE", help="Copy the root's key to this file."
)
@click.option("--remove-root-key", is_flag=True, help="With --root-key: then remove it from the authority.")
@with_authority
def export(authority: Authority, out: Path | None, root_key_out: Path | None, remove_root_key: bool) -> None:
    """Write the trust bundle: the root's certificate, which whoever believes this authority has to have.

    --root-key copies the root's key, encrypted as it is, so that it can be kept offline. Without it an authority
    issues and revokes as before; renewing or revoking the issuing CA and signing the root's CRL (once a year) need
    it back, by --root-key FILE of `ca renew --issuing`, `ca revoke --issuing` and `ca crl`.
    """
    from twoway.credential import write_public

    if remove_root_key and root_key_out is None:
        raise UsageError(
            "the only copy of the root's key is not removed",
            "name the file that it is copied to: --root-key FILE --remove-root-key",
        )
    if root_key_out is not None:
        if not (remove_root_key and root_key_out.exists()):
            authority.root_key.export(root_key_out)
            complain("info", f"the root's key is in {root_key_out}: keep it, and its passphrase, offline")
        if remove_root_key:
            authority.root_key.remove(root_key_out)
            complain(
                "info", "removed the root's key; without it the issuing CA cannot be renewed or revoked,"
            )
            complain(
                "info", "and the root's CRL cannot be signed: bring it back with --root-key FILE for that"
            )
    if out is not None:
        write_public(out, authority.trust_bundle_pem())
        emit(str(out))
    elif root_key_out is None:
        click.echo(authority.trust_bundle_pem().decode(), nl=False)
