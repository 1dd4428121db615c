"""Who signed a request or response: what must be covered, when, by whom, and not twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509

from twoway.credential import CredentialError, certificate_from_der
from twoway.message.faults import SignerUnknown
from twoway.message.http import signatures
from twoway.message.http.base import Message
from twoway.message.http.content_digest import check_content_digest
from twoway.message.http.exchanged import HttpRequest, HttpResponse, combined
from twoway.message.http.faults import (
    NotCovered,
    SignatureMalformed,
    SignatureMissing,
    SignatureOutOfTime,
)
from twoway.message.http.fields import Item, write_member
from twoway.message.http.replay import ReplayCache
from twoway.message.http.signatures import Signature
from twoway.message.jose.headers import thumbprint
from twoway.message.signer import verified_signer
from twoway.trust import Peer, Trust
from twoway.trust.verification import MAX_CHAIN

MAX_AGE = timedelta(minutes=5)
SKEW = timedelta(seconds=30)
MAX_NONCE = 256
_TARGET = ("@target-uri",)
_PARTS = ("@authority", "@path", "@query")


@dataclass
class Verifier:
    """How signed messages are judged; one for a client or a server, and for all its threads.

    `max_age` and `skew` bound `created`. `known` are certificates (leaf first) of signers whose messages do not
    carry them.
    """

    trust: Trust
    known: Sequence[Sequence[x509.Certificate]] = ()
    max_age: timedelta = MAX_AGE
    skew: timedelta = SKEW
    replays: ReplayCache = field(default_factory=ReplayCache)

    def request(
        self,
        request: HttpRequest,
        *,
        also: Iterable[Sequence[x509.Certificate]] = (),
        now: datetime | None = None,
    ) -> tuple[Peer, ...]:
        """Who signed a request; every signature has to hold. `also` are further known chains (of the connection).

        Each covers the method, the target, the digest of a body and its type, and has `created` and a `nonce`
        that was not seen before. Raises an ExchangeRefused, SignerUnknown, AlgorithmRefused or PeerUntrusted.
        """
        now = now or datetime.now(UTC)
        found = signatures.signatures_in(request.headers)
        if not found:
            raise SignatureMissing("request")
        peers = []
        for one in found:
            _covers(one, ("@method",))
            _covers(one, *((_PARTS,) if _has(one, _PARTS) else (_TARGET,)))
            self._content(request, one)
            peers.append(self._signer(request, one, (*self.known, *also), "client", None, now))
        for one, peer in zip(found, peers, strict=True):
            nonce = one.covered.parameters.get("nonce")
            if not isinstance(nonce, str) or not nonce:
                raise NotCovered("a nonce")
            if len(nonce) > MAX_NONCE:
                raise SignatureMalformed(f"the nonce has more than {MAX_NONCE} characters")
            self.replays.check(peer.fingerprint, nonce, until=now + self.max_age + 2 * self.skew, now=now)
        return tuple(peers)

    def response(
        self,
        response: HttpResponse,
        *,
        hostname: str | None,
        binding: Item | None,
        now: datetime | None = None,
    ) -> tuple[Peer, ...]:
        """Who signed a response: the server of that name, and in answer to the request whose signature is `binding`."""
        now = now or datetime.now(UTC)
        found = signatures.signatures_in(response.headers)
        if not found:
            raise SignatureMissing("response")
        peers = []
        for one in found:
            _covers(one, ("@status",))
            if binding is not None and write_member(binding) not in _identifiers(one):
                raise NotCovered("the signature of the request that it answers")
            self._content(response, one)
            peers.append(self._signer(response, one, self.known, "server", hostname, now))
        return tuple(peers)

    def _content(self, message: Message, signature: Signature) -> None:
        if message.body or combined(message.headers, "Content-Digest") is not None:
            _covers(signature, ("content-digest",))
            check_content_digest(combined(message.headers, "Content-Digest"), message.body)
        for name in ("Content-Type", "Content-Encoding"):
            if message.body and combined(message.headers, name) is not None:
                _covers(signature, (name.lower(),))

    def _signer(
        self,
        message: Message,
        signature: Signature,
        known: Iterable[Sequence[x509.Certificate]],
        purpose: str,
        hostname: str | None,
        now: datetime,
    ) -> Peer:
        self._in_time(signature, now)
        chain = _chain(signature, known)
        peer = verified_signer(chain, self.trust, purpose=purpose, hostname=hostname, now=now)  # type: ignore[arg-type]
        signatures.verify(message, signature, chain[0])
        return peer

    def _in_time(self, signature: Signature, now: datetime) -> None:
        created, expires = (signature.covered.parameters.get(name) for name in ("created", "expires"))
        if not isinstance(created, int) or isinstance(created, bool):
            raise NotCovered("the time when it was created")
        seconds = now.timestamp()
        if created > seconds + self.skew.total_seconds():
            raise SignatureOutOfTime(
                f"the signature was created {created - seconds:.0f} seconds in the future"
            )
        if created < seconds - (self.max_age + self.skew).total_seconds():
            raise SignatureOutOfTime(f"the signature was created {seconds - created:.0f} seconds ago")
        if isinstance(expires, int) and expires < seconds:
            raise SignatureOutOfTime(f"the signature expired {seconds - expires:.0f} seconds ago")


def _chain(signature: Signature, known: Iterable[Sequence[x509.Certificate]]) -> tuple[x509.Certificate, ...]:
    if signature.chain:
        if len(signature.chain) > MAX_CHAIN:
            raise SignatureMalformed(f"there are more than {MAX_CHAIN} certificates")
        try:
            return tuple(certificate_from_der(one, where=signatures.CERTIFICATES) for one in signature.chain)
        except CredentialError:
            raise SignatureMalformed("a certificate does not decode") from None
    keyid = signature.covered.parameters.get("keyid")
    for chain in known:
        if chain and keyid == thumbprint(chain[0]):
            return tuple(chain)
    raise SignerUnknown(signatures.FORMAT, f"the keyid {str(keyid)[:100]}, which is nobody's that is known")


def _covers(signature: Signature, *choices: tuple[str, ...]) -> None:
    for wanted in choices:
        if not _has(signature, wanted):
            raise NotCovered(" and ".join(wanted))


def _has(signature: Signature, names: tuple[str, ...]) -> bool:
    identifiers = _identifiers(signature)
    return all(write_member(Item(name)) in identifiers for name in names)


def _identifiers(signature: Signature) -> set[str]:
    return {write_member(item) for item in signature.covered.items}
