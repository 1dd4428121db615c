"""The options of `twoway ca serve` that are about ACME."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from twoway.errors import UsageError

_RATES = {
    "accounts": "new_accounts",
    "orders": "new_orders",
    "failures": "failures",
    "requests": "requests",
}


def acme_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add them all, as one `acme` of the type AcmeOptions."""

    @functools.wraps(command)
    def gathered(*args: Any, **options: Any) -> Any:
        own = {name: options.pop(name) for name in tuple(options) if name.startswith("acme_")}
        return command(*args, acme=_options(**own), **options)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


_OPTIONS = (
    click.option(
        "--acme",
        "acme_accounts",
        type=click.Choice(["open", "bound", "off"]),
        default="open",
        show_default=True,
        help="Who may have an ACME account: anybody, those with a key of `ca eab`, nobody.",
    ),
    click.option(
        "--acme-profile",
        "acme_profiles",
        multiple=True,
        metavar="NAME",
        help="A profile that can be ordered; the first is the usual one. Repeatable.  [default: server]",
    ),
    click.option(
        "--acme-allow-net",
        "acme_networks",
        multiple=True,
        metavar="CIDR",
        help="A private network whose hosts may prove their names: 10.0.0.0/8. Repeatable.",
    ),
    click.option("--acme-terms", "acme_terms", metavar="URL", help="Terms that accounts have to agree to."),
    click.option(
        "--acme-limit",
        "acme_limits",
        multiple=True,
        metavar="WHAT=NUMBER",
        help="How many in an hour: accounts and requests of an address, orders and failures of an account. Repeatable.",
    ),
    click.option(
        "--acme-resolver", "acme_resolver", metavar="HOST:PORT", help="For tests: the only DNS that is asked."
    ),
    click.option(
        "--acme-http-port",
        "acme_http_port",
        type=click.IntRange(1, 65535),
        default=80,
        help="For tests: where http-01 is looked for.",
    ),
    click.option(
        "--acme-tls-port",
        "acme_tls_port",
        type=click.IntRange(1, 65535),
        default=443,
        help="For tests: where tls-alpn-01 is looked for.",
    ),
)


def _options(
    acme_accounts: Any,
    acme_profiles: tuple[str, ...],
    acme_networks: tuple[str, ...],
    acme_terms: str | None,
    acme_limits: tuple[str, ...],
    acme_resolver: str | None,
    acme_http_port: int,
    acme_tls_port: int,
) -> Any:
    from twoway.enroll.acme.options import AcmeOptions, network
    from twoway.enroll.options import Address

    if acme_resolver is not None:
        Address.parse(acme_resolver)
    return AcmeOptions(
        accounts=acme_accounts,
        profiles=acme_profiles or ("server",),
        terms=acme_terms,
        allow_networks=tuple(map(network, acme_networks)),
        resolver=acme_resolver,
        http_port=acme_http_port,
        tls_port=acme_tls_port,
        **_limits(acme_limits),
    )


def _limits(given: tuple[str, ...]) -> dict[str, Any]:
    from dataclasses import replace

    from twoway.enroll.acme.options import AcmeOptions

    usual, found = AcmeOptions(), {}
    for text in given:
        what, _, number = text.partition("=")
        if what not in _RATES or not number.isdecimal() or len(number) > 9:
            raise UsageError(
                f"{text!r} is no limit: expected WHAT=NUMBER with one of {', '.join(_RATES)}",
                "write it like orders=1000",
            )
        found[_RATES[what]] = replace(getattr(usual, _RATES[what]), per_hour=int(number))
    return found
