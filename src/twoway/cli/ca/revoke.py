"""`twoway ca revoke`: take certificates back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from twoway.cli._output import complain, emit
from twoway.cli.ca._group import json_option, root_key_option, with_authority
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.authority import Authority


@click.command(short_help="Take a certificate back.")
@click.argument("certificate", required=False)
@click.option(
    "--reason",
    metavar="REASON",
    help="Why, in the words of RFC 5280: keyCompromise, superseded, cessationOfOperation, affiliationChanged, privilegeWithdrawn, "
    "certificateHold, removeFromCRL (lifts a hold), and the others.  [default: unspecified]",
)
@click.option("--all", "every", is_flag=True, help="Every certificate in use that has this name.")
@click.option(
    "--issuing",
    is_flag=True,
    help="The issuing CA itself, and with it all it issued; with a serial one that was replaced.",
)
@root_key_option
@json_option
@with_authority
def revoke(
    authority: Authority, certificate: str | None, reason: str | None, every: bool, issuing: bool, json: bool
) -> None:
    """Revoke CERTIFICATE: a name, serial or fingerprint. Those who check get to know it by the next CRL."""
    if certificate is None and not issuing:
        raise UsageError("nothing to revoke was named", "give CERTIFICATE or --issuing")
    if issuing:
        serial = certificate or format(authority.issuing_certificate.serial_number, "x")
        authority.root_key.revoke_issuing(reason or "cACompromise", earlier=certificate)
        emit({"revoked": [serial]} if json else f"revoked the issuing CA {serial}", json=json)
    else:
        revoked = authority.revoke(certificate or "", reason or "unspecified", every=every)
        if json:
            emit([authority.show(record.serial) for record in revoked], json=True)
        else:
            word = "restored" if reason == "removeFromCRL" else "revoked"
            emit(f"{word} {record.serial} ({record.subject})" for record in revoked)
    complain("hint", "publish it: twoway ca crl --out crl.pem")
