"""`twoway ca serve`: the authority as a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from twoway.cli.ca._acme_options import acme_options
from twoway.cli.ca._group import with_authority

if TYPE_CHECKING:
    from twoway.authority import Authority
    from twoway.enroll.acme.options import AcmeOptions


@click.command(short_help="Serve the authority on the network.")
@click.option(
    "--listen", default="127.0.0.1:8443", show_default=True, metavar="ADDR", help="HOST:PORT for HTTPS."
)
@click.option("--public-listen", metavar="ADDR", help="HOST:PORT for CRLs, roots and health in plain HTTP.")
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NAME",
    help="A DNS name or address that it is reached by. Repeatable.",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="ROLE:RULE",
    help="Who is admin, operator, auditor or requester, besides the files in roles/: admin:cn=ops. Repeatable.",
)
@click.option(
    "--gateway",
    "gateways",
    multiple=True,
    metavar="RULE",
    help="Proven gateways whose Client-Cert header counts: cn=edge. Repeatable.",
)
@click.option(
    "--renew-again",
    default="1d",
    show_default=True,
    metavar="TIME",
    help="How long a certificate that has a successor may have another one.",
)
@click.option(
    "--ocsp-lifetime", default="15m", show_default=True, metavar="TIME", help="How long an OCSP answer holds."
)
@click.option("--own-days", default=7.0, show_default=True, help="Life of the service's own certificate.")
@click.option(
    "--drain-seconds", default=10.0, show_default=True, help="How long running calls may take at the end."
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the lines of the log are written.",
)
@click.option("--no-access-log", is_flag=True, help="Write no line for each call.")
@acme_options
@with_authority
def serve(
    authority: Authority,
    listen: str,
    public_listen: str | None,
    names: tuple[str, ...],
    roles: tuple[str, ...],
    gateways: tuple[str, ...],
    renew_again: str,
    ocsp_lifetime: str,
    own_days: float,
    drain_seconds: float,
    log_format: str,
    no_access_log: bool,
    acme: AcmeOptions,
) -> int:
    """Serve the authority: HTTPS with a certificate of its own, and plain HTTP for what everybody may read.

    Several copies may serve the same authority. SIGTERM drains.
    """
    from twoway.cli.ca.token import duration
    from twoway.enroll import Address, ServiceOptions
    from twoway.enroll import serve as run

    options = ServiceOptions(
        listen=Address.parse(listen),
        public_listen=Address.parse(public_listen) if public_listen else None,
        names=names,
        roles=roles,
        gateways=gateways,
        renew_again=duration(renew_again),
        ocsp_seconds=duration(ocsp_lifetime).total_seconds(),
        own_days=own_days,
        drain_seconds=drain_seconds,
        log_format=log_format,
        access_log=not no_access_log,
        acme=acme,
    )
    run(authority, options)
    return 0
