"""`twoway gateway server|client|run|check`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from twoway.cli._identity import passphrase_options
from twoway.cli._passphrase import Passphrase
from twoway.errors import UsageError

_PATH = click.Path(path_type=Path)


def _shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--listen", required=True, metavar="ADDR", help="HOST:PORT or unix:PATH; port 0 takes a free one."),
            click.option("--target", "targets", multiple=True, required=True, metavar="ADDR", help="HOST:PORT or unix:PATH; may be repeated."),
            click.option("--identity", type=_PATH, metavar="DIR", help="Directory with cert.pem, key.pem and ca.pem."),
            click.option("--trust", type=_PATH, multiple=True, metavar="FILE", help="Authorities to believe, instead of ca.pem."),
            click.option("--crl", multiple=True, metavar="FILE|URL", help="Revocation lists, instead of crl.pem; of an address they are fetched ahead of need."),
            click.option("--crl-rule", type=click.Choice(["refuse", "warn"]), default="refuse", show_default=True, help="What a missing or stale revocation list means."),
            click.option("--crl-cache", type=_PATH, metavar="DIR", help="Where fetched lists are kept."),
            click.option("--revocation-depth", type=click.Choice(["leaf", "chain"]), default="chain", show_default=True, help="Whose revocation counts."),
            click.option("--ocsp", type=click.Choice(["off", "soft", "hard"]), default="off", show_default=True, help="Ask responders; soft: no answer lets pass, hard: no answer refuses."),
            click.option("--ocsp-url", metavar="URL", help="The responder, instead of the one that a certificate names."),
            click.option("--ocsp-nonce", type=click.Choice(["off", "send", "require"]), default="send", show_default=True, help="Whether a question carries a nonce, and must get it back."),
            click.option("--ocsp-seconds", default=3.0, show_default=True, help="How long one question may take."),
            click.option("--pin", multiple=True, metavar="SHA256", help="The other side's certificate or key must be this one, or another that is pinned."),
            click.option("--unsafe-plain", is_flag=True, help="Let the plain side leave this machine, readable for others."),
            click.option("--workers", default=1, show_default=True, help="Processes on the one port."),
            click.option("--drain-seconds", default=30.0, show_default=True, help="How long running connections may take at the end."),
            click.option("--handshake-seconds", default=10.0, show_default=True, help="The longest that a handshake may take."),
            click.option("--idle-seconds", default=3600.0, show_default=True, help="How long a connection may carry nothing."),
            click.option("--lifetime-seconds", default=0.0, help="The longest life of a connection; 0 sets no bound."),
            click.option("--connections", default=10_000, show_default=True, help="Most connections at a time, in each worker."),
            click.option("--admin", type=_PATH, metavar="PATH", help="Admin socket for `twoway gateway status`; the owner's alone."),
            click.option("--metrics", metavar="ADDR", help="Answer /metrics, /health and /ready here, in plain HTTP."),
            click.option("--user", default="", metavar="NAME", help="Go on as this user once keys are loaded and addresses bound."),
            click.option("--group", default="", metavar="NAME", help="With --user: this group instead of the user's own."),
            click.option("--listen-mode", metavar="OCTAL", help="Who may connect to a UNIX socket: 660 lets its group in. [600]"),
            click.option("--listen-owner", default="", metavar="USER:GROUP", help="Whose a UNIX socket shall be."),
            click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How the lines of the log are written."),
            click.option("--no-access-log", is_flag=True, help="Write no line for each connection."),
        )
    ):  # fmt: skip
        command = option(command)
    return passphrase_options(command)


def _way_out(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--server-name", metavar="NAME", help="The name that a TLS target must prove; its host otherwise."),
            click.option("--sni", metavar="NAME", help="The name that a TLS target is asked for, when it is another one; '' asks for none."),
            click.option("--via", metavar="URL", help="Go through a proxy: http://HOST:PORT (CONNECT) or socks5://HOST:PORT."),
            click.option("--via-credentials", type=_PATH, metavar="FILE", help="The proxy's USER:PASSWORD, in one line."),
            click.option("--health-seconds", default=0.0, help="Check every target this often; 0 checks only those that failed."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@_shared_options
@_way_out
@click.option("--policy", type=_PATH, metavar="FILE", help="Who may pass (TOML).")
@click.option(
    "--allow", multiple=True, metavar="RULE", help="Let in whoever matches key=pattern,…; may be repeated."
)
@click.option("--deny", multiple=True, metavar="RULE", help="Keep out whoever matches; wins over --allow.")
@click.option(
    "--allow-anyone-proven", is_flag=True, help="Let in whoever the authority has given an identity."
)
@click.option(
    "--shadow", type=_PATH, metavar="FILE", help="Log what this policy would refuse; it decides nothing."
)
@click.option(
    "--clients",
    type=click.Choice(["required", "optional", "none"]),
    default="required",
    show_default=True,
    help="Whether callers must show a certificate.",
)
@click.option("--http", is_flag=True, help="Read HTTP/1.1: judge each request, and tell the target who asks.")
@click.option(
    "--client-cert-headers",
    type=click.Choice(["rfc9440", "xfcc", "none"]),
    default="rfc9440",
    show_default=True,
    help="With --http: Client-Cert (RFC 9440), X-Forwarded-Client-Cert (Envoy), or none of them.",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME=FACT",
    help="With --http: a header field with cn, subject, spiffe, uri, dns, email, fingerprint, serial, pem …",
)
@click.option("--proxy-protocol", is_flag=True, help="Tell the target who called, by PROXY protocol v2.")
@click.option(
    "--target-tls", is_flag=True, help="Speak mutual TLS to the target too, under the same identity."
)
@click.option(
    "--record",
    type=_PATH,
    metavar="DIR",
    help="Record connections here for `twoway explain`, WITH their secrets; bounded.",
)
@click.option("--staple", is_flag=True, help="Show clients a current OCSP answer about our own certificate.")
@click.option(
    "--ocsp-response",
    type=_PATH,
    metavar="FILE",
    help="That answer, from a file (DER) that something else keeps current.",
)
@click.option("--end-at-expiry", is_flag=True, help="End a connection when its client's certificate expires.")
@click.option(
    "--connections-per-peer", default=0, help="Most connections of one certificate; 0 sets no bound."
)
@click.option("--handshakes-per-second", default=0.0, help="Most from one address; 0 sets no bound.")
@click.option(
    "--ticket-seconds", default=3600, show_default=True, help="Life of a session ticket; 0 makes none."
)
def server(**options: Any) -> int:
    """Let proven clients through to a plain service: mutual TLS in, plain TCP out.

    Everything reloads when its files change, and on SIGHUP; SIGTERM drains. Refuses to start without a policy.
    """
    return _run("server", options)


@click.command()
@_shared_options
@_way_out
def client(**options: Any) -> int:
    """Give a plain client an identity: plain TCP in, mutual TLS out. Targets share the load by health."""
    return _run("client", options)


def _run(kind: str, options: dict[str, Any]) -> int:
    from twoway.gateway.addresses import Address
    from twoway.gateway.bounds import Bounds
    from twoway.gateway.file import octal
    from twoway.gateway.options import GatewayOptions, ListenerOptions
    from twoway.gateway.starting import run as run_gateway

    identity = options.pop("identity")
    if identity is None:
        raise UsageError(
            "no identity was given", f"pass --identity DIR (make one: twoway ca issue {kind} NAME --out DIR)"
        )
    passphrase = Passphrase(
        f"the key of {identity}",
        file=options.pop("passphrase_file"),
        command=options.pop("passphrase_command"),
    )
    bounds = Bounds(
        **{
            name: options.pop(name)
            for name in (
                "handshake_seconds",
                "idle_seconds",
                "lifetime_seconds",
                "connections",
                "connections_per_peer",
                "handshakes_per_second",
                "health_seconds",
            )
            if name in options
        }
    )
    metrics = options.pop("metrics")
    shared = {
        name: options.pop(name)
        for name in ("workers", "drain_seconds", "admin", "log_format", "user", "group")
    }
    mode = options.pop("listen_mode")
    if mode is not None:
        options["listen_mode"] = octal(mode)
    access_log = not options.pop("no_access_log")
    listener = ListenerOptions(
        kind=kind,  # type: ignore[arg-type]
        listen=Address.parse(options.pop("listen")),
        targets=tuple(Address.parse(one) for one in options.pop("targets")),
        identity=identity,
        passphrase=passphrase,
        bounds=bounds,
        trust=options.pop("trust") or None,
        **options,
    )
    run_gateway(
        GatewayOptions(
            listeners=(listener,),
            access_log=access_log,
            metrics=Address.parse(metrics) if metrics else None,
            **shared,
        )
    )
    return 0


@click.command()
@click.argument("file", type=_PATH)
def run(file: Path) -> int:
    """Run all listeners of FILE (TOML) until a signal ends it."""
    from twoway.gateway.file import load
    from twoway.gateway.starting import run as run_gateway

    run_gateway(load(file))
    return 0


@click.command()
@click.argument("file", type=_PATH)
@click.option("--running", is_flag=True, help="The gateway runs already: its addresses may be taken.")
def check(file: Path, running: bool) -> int:
    """Say whether FILE would start: identities, policies and addresses are loaded and tried, nothing is served."""
    from twoway.cli._output import printable
    from twoway.gateway.checking import check as check_file
    from twoway.gateway.checking import remarks

    options = check_file(file, running=running)
    for one in options.listeners:
        targets = ", ".join(str(target) for target in one.targets)
        click.echo(f"{one.kind} {one.listen} -> {targets}: would start")
    for remark in remarks(options):
        click.echo(f"warning: {printable(remark)}", err=True)
    return 0
