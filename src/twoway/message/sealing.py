"""Seal and open: content that only the holder of a private key can read."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal

from twoway.credential import Credential
from twoway.credential.keys import Passphrase
from twoway.errors import UsageError
from twoway.message.cms import ber
from twoway.message.cms import sealed as cms
from twoway.message.faults import MessageMalformed
from twoway.message.hpke import container
from twoway.message.hpke.sealing_key import FILE, SealingKey, load_sealing_keys
from twoway.message.jose import jwe
from twoway.message.jose.headers import MAX_CONTENT
from twoway.message.looks import Looked, format_of, unarmoured
from twoway.message.recipient import Addressee, Believed, Recipient, recipients
from twoway.message.streams import Progress, Source, Watched, appearing, read_whole, reading

SealFormat = Literal["jwe", "cms", "hpke"]
SEAL_FORMATS: tuple[SealFormat, ...] = ("jwe", "cms", "hpke")


@dataclass(frozen=True, slots=True)
class Opened:
    """What was sealed: the content (None where it went to a file or stream), how, and its type if one was said."""

    format: SealFormat
    content: bytes | None
    content_type: str | None = None


def seal(
    content: bytes,
    *,
    to: Addressee | Iterable[Addressee],
    trust: Believed,
    format: SealFormat = "jwe",
    content_type: str | None = None,
    now: datetime | None = None,
) -> bytes:
    """Seal content for one or several recipients, each named by a certificate file, identity or Peer.

    Nothing is sealed unless every recipient's certificate is trusted, in time, not revoked, and of a key that
    may be sealed for. Raises a PeerUntrusted, CannotReceive, KeyUsageForbids, MessageTooLarge or a
    CredentialError of a file. Not said by a sealed message: who sealed it; sign it for that.
    """
    sink = io.BytesIO()
    believed = recipients(to, trust, now=now)
    seal_stream(io.BytesIO(content), sink, believed, format=format, content_type=content_type)
    return sink.getvalue()


def open_message(
    message: bytes,
    *,
    identity: Credential | str | Path,
    passphrase: Passphrase = None,
    dangerously_allow_unauthenticated: bool = False,
) -> Opened:
    """Open a message that was sealed for an identity, whichever format it has.

    An expired identity still opens what was sealed for it. `dangerously_allow_unauthenticated` opens CMS
    EnvelopedData too, which anybody on the way can change without a trace. Raises MessageMalformed, NotForUs,
    AlgorithmRefused, MessageTooLarge, and CannotOpen for everything that depends on the key.
    """
    sink = io.BytesIO()
    opened = open_stream(
        io.BytesIO(message),
        sink,
        *opener(identity, passphrase),
        dangerously_allow_unauthenticated=dangerously_allow_unauthenticated,
    )
    return Opened(opened.format, sink.getvalue(), opened.content_type)


def seal_file(
    source: str | Path,
    target: str | Path,
    *,
    to: Addressee | Iterable[Addressee],
    trust: Believed,
    format: SealFormat = "jwe",
    content_type: str | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> tuple[Recipient, ...]:
    """Seal a file into another, which appears whole or not at all; raises as `seal`. Returns the recipients."""
    believed = recipients(to, trust, now=now)
    with reading(source) as content, appearing(target, private=False) as sink:
        watched = Watched(content, progress) if progress else content
        seal_stream(watched, sink, believed, format=format, content_type=content_type)
    return believed


def open_file(
    source: str | Path,
    target: str | Path,
    *,
    identity: Credential | str | Path,
    passphrase: Passphrase = None,
    dangerously_allow_unauthenticated: bool = False,
    progress: Progress | None = None,
) -> Opened:
    """Open a sealed file into another, which appears only after all of it was found unchanged; as `open`."""
    credential, sealing_keys = opener(identity, passphrase)
    with reading(source) as message, appearing(target) as sink:
        return open_stream(
            Watched(message, progress) if progress else message,
            sink,
            credential,
            sealing_keys,
            dangerously_allow_unauthenticated=dangerously_allow_unauthenticated,
        )


def seal_stream(
    source: Source,
    sink: BinaryIO,
    believed: tuple[Recipient, ...],
    *,
    format: SealFormat,
    content_type: str | None = None,
) -> None:
    """Seal what a source gives into a sink; raises as `seal`."""
    if format != "hpke" and any(one.card for one in believed):
        raise UsageError(
            f"a sealing card was named, and {format} seals for certificates", "choose the format hpke"
        )
    if format == "jwe":
        content = read_whole(source, MAX_CONTENT, format)
        sink.write(jwe.seal(content, believed, content_type=content_type))
    elif format == "cms":
        cms.seal(source, sink, believed)
    elif format == "hpke":
        container.seal(source, sink, believed)
    else:
        raise UsageError(f"there is no format {format} to seal in", f"choose {' or '.join(SEAL_FORMATS)}")


def open_stream(
    source: Source,
    sink: BinaryIO,
    identity: Credential,
    sealing_keys: Sequence[SealingKey] = (),
    *,
    dangerously_allow_unauthenticated: bool = False,
) -> Opened:
    """Open what a source gives into a sink; raises as `open`. `sealing_keys` are those that cards were made of.

    On an error throw away what the sink has: it was not yet verified.
    """
    looked = Looked(source)
    format = format_of(looked.head)
    if format == "cms":
        reader = ber.Reader(unarmoured(looked))
        cms.open_sealed(reader, sink, identity, unauthenticated=dangerously_allow_unauthenticated)
        return Opened("cms", None)
    if format == "hpke":
        container.open_sealed(looked, sink, identity, sealing_keys)
        return Opened("hpke", None)
    if format == "jose":
        content, content_type = jwe.open_sealed(read_whole(looked, MAX_CONTENT * 2, "jwe"), identity)
        sink.write(content)
        return Opened("jwe", None, content_type)
    raise MessageMalformed("sealed", "the first bytes are of no format that is known")


def opener(
    identity: Credential | str | Path, passphrase: Passphrase = None
) -> tuple[Credential, tuple[SealingKey, ...]]:
    """An identity, which may have expired, and the sealing keys in its directory; raises a CredentialError."""
    if isinstance(identity, Credential):
        return identity, ()
    beside = Path(identity) / FILE
    keys = load_sealing_keys(beside, passphrase) if beside.is_file() else ()
    return Credential.load(identity, passphrase=passphrase, allow_expired=True), keys
