"""Sign and verify: content that anybody can tell to be from the holder of a private key, and unchanged."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from cryptography import x509

from twoway.credential import Credential
from twoway.credential.keys import Passphrase
from twoway.errors import UsageError
from twoway.message.cms import ber, signed, verifying
from twoway.message.faults import MessageMalformed
from twoway.message.jose import jws
from twoway.message.jose.headers import MAX_CONTENT
from twoway.message.jose.jws import MAX_SIGNATURES
from twoway.message.looks import Looked, format_of, unarmoured
from twoway.message.recipient import Addressee, Believed, chain_of, trust_in
from twoway.message.signer import Verified
from twoway.message.streams import Progress, Source, Watched, appearing, read_whole, reading
from twoway.trust import Trust
from twoway.trust.verification import Purpose

SignFormat = Literal["jws", "cms"]
SIGN_FORMATS: tuple[SignFormat, ...] = ("jws", "cms")
Signers: TypeAlias = "Credential | str | Path | Sequence[Credential | str | Path]"


def sign(
    content: bytes,
    *,
    identity: Signers,
    format: SignFormat = "jws",
    detached: bool = False,
    content_type: str | None = None,
    passphrase: Passphrase = None,
) -> bytes:
    """Sign content as one identity or several; their certificates travel along.

    `detached` gives the signature alone, to be sent beside the content. Raises CannotSign, KeyUsageForbids,
    MessageTooLarge, or a CredentialError of a file. Not hidden: the content; seal it for that.
    """
    sink = io.BytesIO()
    credentials = credentials_of(identity, passphrase)
    sign_stream(
        io.BytesIO(content), sink, credentials, format=format, detached=detached, content_type=content_type
    )
    return sink.getvalue()


def verify(
    message: bytes,
    *,
    trust: Believed,
    content: bytes | None = None,
    signer: Addressee | None = None,
    purpose: Purpose | None = None,
    now: datetime | None = None,
) -> Verified:
    """Verify a signed message: every signature, and that everybody who signed is trusted, in time, not revoked.

    `content` is what a detached signature is about. `signer` names the signer where the message carries no
    certificate. `purpose` asks for a certificate of a "client" or a "server"; by default either signs. Raises
    MessageMalformed, AlgorithmRefused, SignerUnknown, SignatureInvalid or another PeerUntrusted. Not
    checked: when it was signed, for whom, and whether it was seen before.
    """
    sink = io.BytesIO()
    verified = verify_stream(
        io.BytesIO(message),
        sink,
        trust_in(trust),
        content=io.BytesIO(content) if content is not None else None,
        signer=chain_of(signer) if signer is not None else None,
        purpose=purpose,
        now=now,
    )
    return Verified(sink.getvalue() if content is None else None, verified.signers)


def sign_file(
    source: str | Path,
    target: str | Path,
    *,
    identity: Signers,
    format: SignFormat = "jws",
    detached: bool = False,
    passphrase: Passphrase = None,
    progress: Progress | None = None,
) -> None:
    """Sign a file into another, which appears whole or not at all; raises as `sign`."""
    credentials = credentials_of(identity, passphrase)
    with reading(source) as content, appearing(target, private=False) as sink:
        watched = Watched(content, progress) if progress else content
        sign_stream(watched, sink, credentials, format=format, detached=detached)


def verify_file(
    source: str | Path,
    target: str | Path | None = None,
    *,
    trust: Believed,
    content: str | Path | None = None,
    signer: Addressee | None = None,
    purpose: Purpose | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Verify a signed file, its content into another, which appears only if all signatures hold; as `verify`.

    `content` is the file that a detached signature is about.
    """
    if content is not None and target is not None:
        raise UsageError("a detached signature has no content to write", "leave target out: it is `content`")
    with ExitStack() as stack:
        message: Source = stack.enter_context(reading(source))
        about: Source | None = stack.enter_context(reading(content)) if content is not None else None
        if progress is not None:
            message, about = (
                (message, Watched(about, progress)) if about else (Watched(message, progress), None)
            )
        sink = stack.enter_context(appearing(target)) if target is not None else None
        given = chain_of(signer) if signer is not None else None
        return verify_stream(
            message, sink, trust_in(trust), content=about, signer=given, purpose=purpose, now=now
        )


def sign_stream(
    source: Source,
    sink: BinaryIO,
    signers: Sequence[Credential],
    *,
    format: SignFormat,
    detached: bool = False,
    content_type: str | None = None,
) -> None:
    """Sign what a source gives into a sink; raises as `sign`."""
    if format == "jws":
        content = read_whole(source, MAX_CONTENT, format)
        sink.write(jws.sign(content, signers, detached=detached, content_type=content_type))
    elif format == "cms":
        if not signers or len(signers) > MAX_SIGNATURES:
            raise UsageError(f"expected 1 to {MAX_SIGNATURES} signers, got {len(signers)}", "name who signs")
        signed.sign(source, sink, signers, detached=detached)
    else:
        raise UsageError(f"there is no format {format} to sign in", f"choose {' or '.join(SIGN_FORMATS)}")


def verify_stream(
    source: Source,
    sink: BinaryIO | None,
    trust: Trust,
    *,
    content: Source | None = None,
    signer: Sequence[x509.Certificate] | None = None,
    format: SignFormat | None = None,
    purpose: Purpose | None = None,
    now: datetime | None = None,
) -> Verified:
    """Verify what a source gives, its content into a sink; raises as `verify`.

    On an error throw away what the sink has: it was not yet verified.
    """
    looked = Looked(source)
    found = format_of(looked.head)
    if format is not None and found != ("jose" if format == "jws" else "cms"):
        raise MessageMalformed(format, "the first bytes are of another format")
    if found == "cms":
        reader = ber.Reader(unarmoured(looked))
        peers = verifying.verify(
            reader, sink, trust, content=content, signer=signer, purpose=purpose, now=now
        )
        return Verified(None, peers)
    if found != "jose":
        raise MessageMalformed("signed", "the first bytes are of no format that is known")
    message = read_whole(looked, MAX_CONTENT * 2, "jws")
    about = read_whole(content, MAX_CONTENT, "jws") if content is not None else None
    verified = jws.verify(message, trust, content=about, signer=signer, purpose=purpose, now=now)
    if sink is not None and about is None:
        sink.write(verified.content or b"")
    return Verified(None, verified.signers)


def credentials_of(identity: Signers, passphrase: Passphrase = None) -> list[Credential]:
    """The credentials of some identities, none of them expired; raises a CredentialError."""
    listed = [identity] if isinstance(identity, (str, Path, Credential)) else list(identity)
    return [
        one if isinstance(one, Credential) else Credential.load(one, passphrase=passphrase) for one in listed
    ]
