"""`twoway ca est-account`: names and passwords for clients that enrol by EST."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from twoway.cli._output import complain, emit
from twoway.cli.ca._group import json_option, with_authority

if TYPE_CHECKING:
    from twoway.authority import Authority


@click.command("est-account", short_help="Make an account for EST, or remove one.")
@click.argument("name")
@click.option("--profile", default="client", show_default=True, help="What kind of certificates it is for.")
@click.option("--remove", is_flag=True, help="Remove the account.")
@json_option
@with_authority
def est_account(authority: Authority, name: str, profile: str, remove: bool, json: bool) -> None:
    """Print a new password for the EST account NAME. It is kept nowhere; a second call makes another one.

    What such a client may be certified for is the profile's to say: give it one with `names`.
    """
    from twoway.enroll.est_accounts import EstAccounts

    accounts = EstAccounts(authority.directory)
    if remove:
        accounts.remove(name)
        complain("info", f"the EST account {name} is gone; its certificates are not revoked by that")
        return
    _ = authority.rules[profile]  # an unknown one stops here, not at the first device
    password = accounts.add(name, profile)
    if json:
        emit({"name": name, "password": password, "profile": profile}, json=True)
        return
    emit(password)
    complain(
        "hint",
        f"curl --cacert root.pem -u {name}:{password} https://HOST:8443/.well-known/est/simpleenroll …",
    )
