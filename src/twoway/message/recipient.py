"""Recipient: for whom a message is sealed. Only verification of a certificate makes one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from cryptography import x509

from twoway.credential import Credential, certificates_from_pem, describe, fingerprint_of, read
from twoway.errors import UsageError
from twoway.message.hpke.sealing_key import Card, verified_card
from twoway.message.purpose import role_of
from twoway.trust import Peer, Trust, VerifiedChain, verify

# A certificate file, identity directory or sealing card, or what holds the certificates already.
Addressee: TypeAlias = "str | Path | Credential | Peer | x509.Certificate | Sequence[x509.Certificate]"
Believed: TypeAlias = "Trust | str | Path | Sequence[str | Path]"

MAX_RECIPIENTS = 16


@dataclass(frozen=True, slots=True)
class Recipient:
    """One whose certificate has been verified: trusted, in time, not revoked. `recipients` makes them."""

    verified: VerifiedChain
    card: Card | None = None  # where a sealing card was named instead of a certificate

    @property
    def certificate(self) -> x509.Certificate:
        return self.verified.leaf

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.certificate)

    def describe(self) -> str:
        return describe(self.certificate)


def recipients(
    to: Addressee | Iterable[Addressee], trust: Believed, *, now: datetime | None = None
) -> tuple[Recipient, ...]:
    """Verify everybody that a message is to be sealed for; all of them, or an error about the first that fails.

    Raises a CredentialError for a file, a PeerUntrusted for a certificate that is not trusted, out of time,
    revoked or for another purpose, and UsageError for nobody, for one named twice or for more than 16.
    """
    believed = trust_in(trust)
    named = _several(to)
    if not named:
        raise UsageError("nobody was named to seal the message for", "pass at least one certificate")
    if len(named) > MAX_RECIPIENTS:
        raise UsageError(
            f"expected at most {MAX_RECIPIENTS} recipients, got {len(named)}", "seal it several times"
        )
    found = tuple(_recipient(one, believed, now) for one in named)
    if len({one.fingerprint for one in found}) != len(found):
        raise UsageError("a recipient was named twice", "name each certificate once")
    return found


def _recipient(source: Addressee, trust: Trust, now: datetime | None) -> Recipient:
    if isinstance(source, (str, Path)) and Path(source).is_file():
        data = read(source)
        if data[:1] == b"\x30":  # DER: a card; certificates are PEM
            card = verified_card(data, trust, now=now)
            return Recipient(card.peer.verified, card)
    chain = chain_of(source)
    return Recipient(verify(chain, trust, purpose=role_of(chain[0]), now=now))


def chain_of(source: Addressee) -> tuple[x509.Certificate, ...]:
    """The certificates of somebody, leaf first, not verified; raises a CredentialError for a file."""
    if isinstance(source, x509.Certificate):
        return (source,)
    if isinstance(source, (Credential, Peer)):
        return source.chain
    if isinstance(source, (str, Path)):
        path = Path(source)
        path = path / "cert.pem" if path.is_dir() else path
        return certificates_from_pem(read(path), where=str(path))
    return tuple(source)


def trust_in(source: Believed | None) -> Trust:
    """The trust itself, or loaded from its files; raises as Trust.load, and UsageError without any."""
    if source is None:
        raise UsageError(
            "no authority to trust was given, so nobody's certificate can be believed",
            "pass --ca FILE (trust= in code): the bundle of the authorities you believe",
        )
    return source if isinstance(source, Trust) else Trust.load(source)


def _several(to: Addressee | Iterable[Addressee]) -> list[Addressee]:
    if isinstance(to, (str, Path, Credential, Peer, x509.Certificate)):
        return [to]
    listed: list[Addressee] = list(to)
    if listed and all(isinstance(one, x509.Certificate) for one in listed):
        return [listed]  # type: ignore[list-item]  # one chain, leaf first
    return listed
