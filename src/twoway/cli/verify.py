"""`twoway verify FILE`: who signed it, and whether it is unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twoway.cli._files import FILE, result, source
from twoway.cli._message import trust_of, trust_options
from twoway.cli._output import complain, emit
from twoway.errors import UsageError

if TYPE_CHECKING:
    from twoway.message import Verified

FORMATS = ("jws", "cms")


@click.command()
@click.argument("file", type=FILE)
@trust_options
@click.option("--format", "format", type=click.Choice(FORMATS), help="Default: what FILE looks like.")
@click.option("--content", type=FILE, metavar="FILE", help="What a detached signature is about.")
@click.option(
    "--signer",
    type=click.Path(path_type=Path),
    metavar="CERT",
    help="The signer's certificate, where the message has none.",
)
@click.option("-o", "--output", type=FILE, metavar="OUT", help="Write the content there, once it is proven.")
@click.option("--json", "as_json", is_flag=True, help="Who signed, as JSON.")
def verify(
    file: Path,
    ca: tuple[Path, ...],
    crl: tuple[Path, ...],
    format: str | None,
    content: Path | None,
    signer: Path | None,
    output: Path | None,
    as_json: bool,
) -> int:
    """Verify the signed FILE (- is stdin), and say who signed it.

    Every signature has to hold, and every signer's certificate to be trusted by --ca, in time and not revoked;
    only then is anything written. Exit status 1 when one is not.
    """
    from contextlib import ExitStack

    from twoway.message.recipient import chain_of
    from twoway.message.signing import verify_stream

    if content is not None and output is not None:
        raise UsageError(
            "a detached signature has no content to write", "leave -o out: it is the file of --content"
        )
    trust = trust_of(ca, crl)
    chain = chain_of(signer) if signer is not None else None
    with ExitStack() as stack:
        message = stack.enter_context(source(file, "verifying"))
        about = stack.enter_context(source(content, "verifying")) if content is not None else None
        sink = stack.enter_context(result(output)) if output is not None else None
        verified = verify_stream(message, sink, trust, content=about, signer=chain, format=format)  # type: ignore[arg-type]
    _tell(verified, as_json, quiet=str(output) == "-")
    return 0


def _tell(verified: Verified, as_json: bool, *, quiet: bool) -> None:
    if quiet:  # stdout has the content
        for signer in verified.signers:
            complain("signed", f"by {signer.subject}, fingerprint {signer.fingerprint}")
    elif as_json:
        emit({"signers": [signer.as_dict() for signer in verified.signers]}, json=True)
    else:
        for signer in verified.signers:
            emit(f"signed by {signer.subject}, issued by {signer.issuer}, fingerprint {signer.fingerprint}")
            emit(f"valid until {signer.not_after:%Y-%m-%d %H:%M} UTC, revocation {signer.revocation}")
