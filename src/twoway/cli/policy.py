"""`twoway policy`: what a policy decides, without a connection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twoway.cli._output import emit
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.trust import Decision, Policy

_PATH = click.Path(path_type=Path)
_KEYS = ("cn", "o", "ou", "dns", "ip", "email", "uri", "fingerprint", "issuer")


@click.group()
def policy() -> None:
    """Ask what a policy decides about an identity."""


def _who_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for key in reversed(_KEYS):
        command = click.option(f"--{key}", multiple=True, metavar="VALUE", help=f"A caller with this {key}.")(
            command
        )
    return command


@policy.command()
@click.option("--policy", "file", type=_PATH, metavar="FILE", help="The policy (TOML).")
@click.option(
    "--allow", multiple=True, metavar="RULE", help="Instead of a file: key=pattern,…; may be repeated."
)
@click.option("--deny", multiple=True, metavar="RULE", help="Instead of a file: a rule that keeps out.")
@click.option("--cert", type=_PATH, metavar="FILE", help="The caller's certificate (PEM).")
@click.option("--identity", type=_PATH, metavar="DIR", help="The caller's identity directory.")
@_who_options
@click.option("--no-certificate", is_flag=True, help="A caller that shows none (with --clients optional).")
@click.option("--method", metavar="NAME", help="What the caller asks for, where the gateway reads HTTP.")
@click.option("--path", metavar="PATH", help="The same: the path, without its query.")
@click.option("--json", "as_json", is_flag=True, help="The decision as JSON.")
def test(
    file: Path | None,
    allow: tuple[str, ...],
    deny: tuple[str, ...],
    cert: Path | None,
    identity: Path | None,
    no_certificate: bool,
    method: str | None,
    path: str | None,
    as_json: bool,
    **names: tuple[str, ...],
) -> int:
    """Say whether a caller would be let in, and which rule decides.

    The caller is a certificate, an identity directory, or names given one by one. Only the policy is asked:
    whether the certificate is trusted is another question. With --path (and --method, GET otherwise) it decides
    about that request, without about the connection. Exit status 0 allowed, 1 denied.
    """
    chosen = _policy(file, allow, deny)
    facts = None if no_certificate else _facts(cert, identity, names)
    decision = _decide(chosen, facts, method, path)
    if as_json:
        rule = decision.rule.where if decision.rule is not None else None
        emit({"allowed": decision.allowed, "because": decision.because, "rule": rule}, json=True)
    else:
        emit(decision.because if decision.rule is not None else f"denied: {decision.because}")
    return 0 if decision.allowed else 1


@policy.command()
@click.argument("file", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="The rules as JSON.")
def check(file: Path, as_json: bool) -> int:
    """Read a policy file, complain with the line, or list its rules."""
    from twoway.trust import Policy

    found = Policy.load(file)
    if as_json:
        emit(
            [
                {"kind": rule.kind, "rule": str(rule), "where": rule.where, "name": rule.name}
                for rule in found.rules
            ],
            json=True,
        )
    elif not found.rules:
        emit("no rules: this policy lets in nobody")
    else:
        emit([f"{rule.kind:5} {rule}" for rule in found.rules])
    return 0


def _decide(
    chosen: Policy, facts: dict[str, tuple[str, ...]] | None, method: str | None, path: str | None
) -> Decision:
    from twoway.names import problem_of
    from twoway.trust import Decision

    if path is None:
        if method is not None or facts is None:
            raise UsageError("a request has a path", "pass --path /…")
        return chosen.for_connections().decide(facts)
    problem = problem_of("path", path) if chosen.judges_paths else None
    if problem is not None:
        return Decision(False, f"the path is ambiguous: {problem}")
    return chosen.decide_request(facts, method or "GET", path)


def _policy(file: Path | None, allow: tuple[str, ...], deny: tuple[str, ...]) -> Policy:
    from twoway.trust import Policy

    if file is not None and (allow or deny):
        raise UsageError(
            "--policy excludes --allow and --deny", "put the rules into the file, or leave it out"
        )
    if file is not None:
        return Policy.load(file)
    if not (allow or deny):
        raise UsageError("no policy was given", "pass --policy FILE, or rules with --allow and --deny")
    return Policy.from_rules(allow, deny)


def _facts(
    cert: Path | None, identity: Path | None, names: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    from twoway.credential import certificates_from_pem, read
    from twoway.trust.rules import facts_of_certificate

    given = {key: value for key, value in names.items() if value}
    if sum((cert is not None, identity is not None, bool(given))) != 1:
        raise UsageError(
            "the caller is to be named in one way",
            "pass --cert FILE, --identity DIR, or names such as --cn and --uri",
        )
    path = identity / "cert.pem" if identity is not None else cert
    if path is None:
        return given
    return facts_of_certificate(certificates_from_pem(read(path), where=str(path))[0])
