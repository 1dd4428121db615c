"""`twoway ca issue` and `twoway ca sign`: with a new key, or for the key of a signing request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from twoway.cli._output import emit
from twoway.cli.ca import _identity_out
from twoway.cli.ca._group import PATH, json_option, with_authority

if TYPE_CHECKING:
    from twoway.authority import Authority
    from twoway.credential import Compat


def name_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--dns`, `--ip`, `--uri` and `--email`, each repeatable."""
    for kind, what in (
        ("email", "mail address"),
        ("uri", "URI, such as a SPIFFE ID"),
        ("ip", "IP address"),
        ("dns", "DNS name"),
    ):
        command = click.option(
            f"--{kind}", multiple=True, metavar="NAME", help=f"Another {what}. Repeatable."
        )(command)
    return command


key_passphrase_option = click.option(
    "--key-passphrase-file",
    type=PATH,
    metavar="FILE",
    help="Encrypt the identity's key with this passphrase.",
)


@click.command(short_help="Make a new identity: key and certificate.")
@click.argument("profile")
@click.argument("name")
@name_options
@click.option("--days", type=float, help="Life of the certificate.  [default: the profile's, usually 90]")
@click.option(
    "--key-type", help="p256, p384, rsa2048 to rsa4096, ed25519, mldsa44 to mldsa87.  [default: p256]"
)
@click.option(
    "--out", type=PATH, metavar="DIR", help="Where to write the identity.  [default: named after it]"
)
@key_passphrase_option
@click.option("--p12", type=PATH, metavar="FILE", help="Write key and chain as one PKCS#12 file too.")
@click.option("--p12-passphrase-file", type=PATH, metavar="FILE", help="The PKCS#12 file's passphrase.")
@click.option(
    "--p12-compat",
    type=click.Choice(["modern", "legacy"]),
    default="modern",
    show_default=True,
    help="legacy is for old phones, Windows and Java, and protects the key badly.",
)
@json_option
@with_authority
def issue(
    authority: Authority,
    profile: str,
    name: str,
    dns: tuple[str, ...],
    ip: tuple[str, ...],
    uri: tuple[str, ...],
    email: tuple[str, ...],
    days: float | None,
    key_type: str | None,
    out: Path | None,
    key_passphrase_file: Path | None,
    p12: Path | None,
    p12_passphrase_file: Path | None,
    p12_compat: Compat,
    json: bool,
) -> None:
    """Make a new identity for NAME, as PROFILE says: server, client, peer, or one of your own.

    NAME becomes the common name, and an alternative name of the kind that it looks like.
    """
    directory = _identity_out.directory_for(name, out)
    bundle = _identity_out.Pkcs12.wanted(p12, p12_passphrase_file, p12_compat, key_type)
    credential = authority.issue(
        profile, name, dns=dns, ip=ip, uri=uri, email=email, days=days, key_type=key_type
    )
    _identity_out.write(authority, credential, directory, key_passphrase_file, json=json, p12=bundle)


@click.command(short_help="Answer a signing request.")
@click.argument("request", type=click.File("rb"), metavar="CSR")
@click.option("--profile", required=True, help="server, client, peer, or one of your own.")
@name_options
@click.option("--common-name", metavar="NAME", help="Instead of the request's.")
@click.option("--days", type=float, help="Life of the certificate.  [default: the profile's, usually 90]")
@click.option("--out", type=PATH, metavar="FILE", help="Write the chain here.  [default: print it]")
@json_option
@with_authority
def sign(
    authority: Authority,
    request: BinaryIO,
    profile: str,
    dns: tuple[str, ...],
    ip: tuple[str, ...],
    uri: tuple[str, ...],
    email: tuple[str, ...],
    common_name: str | None,
    days: float | None,
    out: Path | None,
    json: bool,
) -> None:
    """Sign the request in the file CSR (PEM or DER, `-` for stdin) and print the chain.

    A request only asks: its key and its names are taken, everything else is the profile's. Names given here
    replace all of the request's.
    """
    from twoway.authority.request import MAX_BYTES
    from twoway.credential import chain_pem, write_public
    from twoway.names import Names

    names = Names(dns, ip, uri, email)
    chain = authority.sign(
        request.read(MAX_BYTES + 1),
        profile=profile,
        common_name=common_name,
        names=names if names else None,
        days=days,
    )
    if out is not None:
        write_public(out, chain_pem(chain))
    if json:
        emit({**authority.show(chain[0]).as_dict(), "chain": chain_pem(chain).decode()}, json=True)
    elif out is None:
        click.echo(chain_pem(chain).decode(), nl=False)
    else:
        record = authority.show(chain[0])
        emit({"file": out, "subject": record.subject, "serial": record.serial, "until": record.not_after})
