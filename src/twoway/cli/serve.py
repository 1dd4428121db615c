"""`twoway serve APP`: an application for clients that prove who they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from twoway.cli._identity import passphrase_options
from twoway.cli._passphrase import Passphrase
from twoway.errors import UsageError

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("app", metavar="APP")
@click.option("--identity", type=_PATH, metavar="DIR", help="Directory with cert.pem, key.pem and ca.pem.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8443, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--clients",
    type=click.Choice(["required", "optional", "none"]),
    default="required",
    show_default=True,
    help="Whether callers must show a certificate.",
)
@click.option("--policy", type=_PATH, metavar="FILE", help="Who may come in (TOML).")
@click.option(
    "--allow", multiple=True, metavar="RULE", help="Let in whoever matches key=pattern,…; may be repeated."
)
@click.option("--deny", multiple=True, metavar="RULE", help="Keep out whoever matches; wins over --allow.")
@click.option(
    "--trust", type=_PATH, multiple=True, metavar="FILE", help="Authorities to believe, instead of ca.pem."
)
@click.option(
    "--crl", type=_PATH, multiple=True, metavar="FILE", help="Revocation lists, instead of crl.pem."
)
@click.option(
    "--crl-rule",
    type=click.Choice(["refuse", "warn"]),
    default="refuse",
    show_default=True,
    help="What a missing or stale revocation list means.",
)
@click.option("--workers", default=1, show_default=True, help="Processes on the one port.")
@click.option(
    "--interface",
    type=click.Choice(["auto", "asgi", "wsgi"]),
    default="auto",
    show_default=True,
    help="How the application wants to be called; auto looks at it.",
)
@click.option(
    "--ticket-seconds", default=3600, show_default=True, help="Life of a session ticket; 0 makes none."
)
@click.option(
    "--drain-seconds", default=10.0, show_default=True, help="How long running requests may take at the end."
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the lines of the log are written.",
)
@click.option(
    "--record",
    type=_PATH,
    metavar="DIR",
    help="Record connections here for `twoway explain`, WITH their secrets; bounded.",
)
@click.option("--no-access-log", is_flag=True, help="Write no line for each request.")
@passphrase_options
def serve(
    app: str,
    identity: Path | None,
    trust: tuple[Path, ...],
    no_access_log: bool,
    interface: Any,
    passphrase_file: Path | None,
    passphrase_command: str | None,
    **options: Any,
) -> int:
    """Serve APP (module:name, ASGI or WSGI) with mutual TLS.

    Everything reloads when its files change, and on SIGHUP; SIGTERM drains.
    """
    from twoway.server import serve as run

    if identity is None:
        raise UsageError(
            "no identity was given", "pass --identity DIR (make one: twoway ca issue server NAME --out DIR)"
        )
    passphrase = Passphrase(f"the key of {identity}", file=passphrase_file, command=passphrase_command)
    run(
        app,
        identity=identity,
        trust=trust or None,
        interface=interface,
        access_log=not no_access_log,
        passphrase=passphrase,
        **options,
    )
    return 0
