"""`twoway call URL`: one request, by somebody who proves who they are."""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from twoway.cli._identity import identity_options
from twoway.errors import UsageError

if TYPE_CHECKING:
    import httpx2

    from twoway.credential import Credential

_PATH = click.Path(path_type=Path)
_PART = 65536
_LONGEST = 86400.0 * 365  # seconds
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@click.command()
@click.argument("url")
@identity_options(required=False)
@click.option("-X", "--method", metavar="METHOD", help="Default: GET, or POST with a body.")
@click.option("-H", "--header", multiple=True, metavar="'NAME: VALUE'", help="A header; may be repeated.")
@click.option("-d", "--data", metavar="DATA", help="Body; @FILE reads a file, @- stdin.")
@click.option("--json-body", metavar="JSON", help="Body as JSON, with its content type.")
@click.option(
    "-o", "--output", type=_PATH, metavar="FILE", help="Write the body to a file, whole or not at all."
)
@click.option("--trust", type=_PATH, metavar="FILE", help="Authorities to believe, instead of ca.pem.")
@click.option("--crl", type=_PATH, multiple=True, metavar="FILE", help="Revocation lists.")
@click.option("--follow", is_flag=True, help="Follow redirects within the same origin.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds for each wait.")
@click.option("-i", "--include", is_flag=True, help="Show status and headers in front of the body.")
@click.option("-v", "--verbose", is_flag=True, help="Tell the connection on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Status, headers, body and server as one JSON object.")
def call(
    url: str,
    identity: Credential | None,
    ca: Path | None,
    method: str | None,
    header: tuple[str, ...],
    data: str | None,
    json_body: str | None,
    output: Path | None,
    trust: Path | None,
    crl: tuple[Path, ...],
    follow: bool,
    timeout: float,
    include: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Send one request to URL and print the body of the answer.

    Exit status 0 for an answer below 400, 1 for an error status or a refusal, 2 when asked wrongly.
    """
    from twoway.client import Client

    if not 0 < timeout < _LONGEST:
        raise UsageError(f"{timeout:g} seconds is no time to wait", "give a number above zero, such as 30")
    headers = _headers(header)
    content = _body(data, json_body, headers)
    if json_body is not None:
        headers.setdefault("content-type", "application/json")
    with Client(
        identity=identity, trust=trust or ca, crl=crl, timeout=timeout, follow_redirects=follow
    ) as client:
        chosen = _method(method or ("POST" if content is not None else "GET"))
        with client.stream(chosen, _checked(url), headers=headers, content=content) as response:
            if verbose:
                _tell(response)
            if output is not None:
                _save(response, output)
            elif as_json:
                _print_json(response)
            else:
                _print(response, include)
    return 0 if response.status_code < 400 else 1


def _checked(url: str) -> str:
    if "://" not in url:
        raise UsageError(f"expected an address, got {url}", f"write it whole: https://{url}")
    return url


def _method(text: str) -> str:
    # RFC 9110 §5.6.2: a method is a token.
    if not _TOKEN.fullmatch(text):
        raise UsageError(f"{text!r} is no method of HTTP", "write one word, such as -X PUT")
    return text.upper()


def _body(data: str | None, json_body: str | None, headers: dict[str, str]) -> bytes | Iterable[bytes] | None:
    """The body to send: a file in parts with its length said, stdin in parts as it comes."""
    if data is not None and json_body is not None:
        raise UsageError("--data and --json-body exclude each other", "give one of them")
    if json_body is not None:
        try:
            json.loads(json_body)
        except ValueError as error:
            raise UsageError(
                f"--json-body is not JSON: {error}", "quote it for the shell: '{\"order_id\": 1223}'"
            ) from None
        return json_body.encode()
    if data is None or not data.startswith("@"):
        return None if data is None else data.encode()
    if data == "@-":
        first = sys.stdin.buffer.read(_PART)
        return first if len(first) < _PART else chain([first], _parts(sys.stdin.buffer))
    file = open(data[1:], "rb")  # noqa: SIM115 - it is read while the request is sent, and the process ends then
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode):
        headers.setdefault("content-length", str(status.st_size))
    return _parts(file)


def _parts(file: BinaryIO) -> Iterator[bytes]:
    while part := file.read(_PART):
        yield part


def _headers(given: tuple[str, ...]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for one in given:
        name, colon, value = one.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"expected 'Name: value', got {one!r}", "write -H 'X-Name: value'")
        if any(character in one for character in "\r\n\0"):
            raise UsageError(f"the header {name.strip()!r} has a line break in it", "a header is one line")
        # RFC 9110 §5.5: newly made values are ASCII.
        if not _TOKEN.fullmatch(name.strip()) or not value.isascii() or not value.strip().isprintable():
            raise UsageError(
                f"the header {one!r} cannot be sent: it has characters that are no printable ASCII",
                "encode them, as the service expects it",
            )
        headers[name.strip().lower()] = value.strip()
    return headers


def _print(response: httpx2.Response, include: bool) -> None:
    out = sys.stdout.buffer
    if include:
        head = [f"HTTP/1.1 {response.status_code} {response.reason_phrase}"]
        head += [f"{name}: {value}" for name, value in response.headers.items()]
        out.write(("\r\n".join(head) + "\r\n\r\n").encode())
    for part in response.iter_bytes():
        out.write(part)
    out.flush()


def _print_json(response: httpx2.Response) -> None:
    from twoway.client import peer

    body = response.read()
    server = peer(response)
    answer: dict[str, Any] = {
        "status": response.status_code,
        "headers": dict(response.headers.items()),
        "server": server.as_dict() if server else None,
    }
    try:
        answer["body"] = json.loads(body)
    except ValueError:
        answer["body"] = body.decode("utf-8", "replace")
    click.echo(json.dumps(answer, indent=2))


def _save(response: httpx2.Response, output: Path) -> None:
    """The body in a file of its own that takes the name only when it is whole; a device is written to."""
    from twoway.credential import FileUnwritable

    try:
        if output.exists() and not output.is_file():
            with output.open("wb") as device:
                for part in response.iter_bytes():
                    device.write(part)
        else:
            _replace(response, output.resolve())  # what a link points at is replaced, the link stays
    except OSError as error:
        raise FileUnwritable(str(output), error.strerror or type(error).__name__) from None


def _replace(response: httpx2.Response, output: Path) -> None:
    aside = output.with_name(f".{output.name[:200]}.{secrets.token_hex(6)}")
    mode = stat.S_IMODE(output.stat().st_mode) if output.exists() else 0o666  # less the umask
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in response.iter_bytes():
                file.write(part)
        os.replace(aside, output)
    except BaseException:
        with suppress(OSError):
            os.unlink(aside)
        raise


def _tell(response: httpx2.Response) -> None:
    from twoway.client import peer, session

    server, connection = peer(response), session(response)
    if server is None or connection is None:
        return
    how = "resumed" if server.resumed else "full handshake"
    shown = connection.context.own_name or "nobody (no certificate)"
    for line in (
        f"1 hello: {connection.target}",
        f"2 the server shows who it is: {server.subject} ({server.names}), issued by {server.issuer}",
        f"3 the client checks: trusted, valid until {server.not_after:%Y-%m-%d %H:%M} UTC, "
        f"revocation {server.revocation}; shows itself as {shown}",
        "4 the server checks: it lets us in",
        f"5 both talk: {server.tls_version}, {server.cipher}, {server.group}, {how}",
        f"status {response.status_code}",
    ):
        click.echo(line, err=True)
