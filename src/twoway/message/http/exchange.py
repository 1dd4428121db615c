"""Both ends of a signed and sealed exchange, without a socket: the client's, and the server's.

What is sealed is signed as it travels, and the sealed part names the signer (`iss`, RFC 7516 §4.1 with RFC 7519
§5.3): whoever takes the signature off and puts his own on cannot pass for the author.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509

from twoway.credential import Credential
from twoway.errors import UsageError
from twoway.message.faults import CannotReceive, KeyUsageForbids, MessageMalformed
from twoway.message.http import signatures
from twoway.message.http.content_digest import content_digest
from twoway.message.http.exchanged import Header, HttpRequest, HttpResponse, combined, merged
from twoway.message.http.faults import NotSealed
from twoway.message.http.fields import FieldMalformed, Item, parse_dictionary
from twoway.message.http.verifying import Verifier
from twoway.message.jose import jwe
from twoway.message.jose.headers import thumbprint
from twoway.message.purpose import check_may_receive
from twoway.message.recipient import Recipient, recipients
from twoway.trust import Peer

MEDIA_TYPE = "application/jose"
SEAL_RESPONSE = "Seal-Response"  # a request with it wants the answer's body sealed for its signer
_Sealable = TypeVar("_Sealable", HttpRequest, HttpResponse)


@dataclass(frozen=True)
class Judged:
    """A request that was verified: who signed it, what it says in clear, and whether it was sealed."""

    signers: tuple[Peer, ...]
    request: HttpRequest
    sealed: bool

    @property
    def signer(self) -> Peer:
        return self.signers[0]


@dataclass
class ClientSide:
    """Signs requests as an identity, seals them for a recipient if there is one, and judges the answers."""

    identity: Credential
    verifier: Verifier
    seal_for: tuple[Recipient, ...] = ()

    def __post_init__(self) -> None:
        for one in self.seal_for:
            check_may_receive(one.certificate, jwe.FORMAT, jwe.RECEIVERS)
        if self.seal_for:  # or the answer could not be sealed for us
            check_may_receive(self.identity.leaf, jwe.FORMAT, jwe.RECEIVERS)

    def outgoing(self, request: HttpRequest, *, now: datetime | None = None) -> HttpRequest:
        """The request as it is sent; raises CannotSign, CannotReceive or KeyUsageForbids."""
        if self.seal_for:
            request = replace(
                request,
                headers=merged(request.headers, [(SEAL_RESPONSE, "jwe"), ("Accept-Encoding", "identity")]),
            )
            if request.body:
                request = _sealed(request, self.seal_for, self.identity)
        return _signed_request(request, self.identity, now or datetime.now(UTC))

    def incoming(
        self, response: HttpResponse, *, hostname: str, now: datetime | None = None
    ) -> tuple[HttpResponse, tuple[Peer, ...]]:
        """An answer in clear, and who signed it: the server of that name, and in answer to this request.

        Raises an ExchangeRefused, a MessageError or a PeerUntrusted.
        """
        signers = self.verifier.response(response, hostname=hostname, binding=_BINDING, now=now)
        if is_sealed(response.headers):
            response, author = _opened(response, self.identity)
            _check_author(author, signers)
        elif self.seal_for and response.body and response.status < 400:
            raise NotSealed("expected a sealed body in the answer, got one in clear")
        return response, signers


@dataclass
class ServerSide:
    """Judges requests, and signs the answers as an identity."""

    identity: Credential
    verifier: Verifier
    require_sealed: bool = False

    def incoming(
        self,
        request: HttpRequest,
        *,
        also: Iterable[Sequence[x509.Certificate]] = (),
        now: datetime | None = None,
    ) -> Judged:
        """A request in clear, and who signed it; raises an ExchangeRefused, a MessageError or a PeerUntrusted."""
        signers = self.verifier.request(request, also=also, now=now)
        if _wants_sealed(request):
            _check_can_receive(signers[0])
        if not is_sealed(request.headers):
            if self.require_sealed and request.body:
                raise NotSealed("expected a sealed body in the request, got one in clear")
            return Judged(signers, request, False)
        opened, author = _opened(request, self.identity)
        _check_author(author, signers)
        return Judged(signers, opened, True)

    def outgoing(
        self, response: HttpResponse, judged: Judged | None, *, now: datetime | None = None
    ) -> HttpResponse:
        """The answer as it is sent: sealed for the signer of a request that asked for it, signed, bound to it."""
        moment = now or datetime.now(UTC)
        if judged is not None and response.body and (judged.sealed or _wants_sealed(response.request)):
            to = recipients(judged.signer, self.verifier.trust, now=moment)
            response = _sealed(response, to, self.identity)
        components = [Item("@status"), *_content_components(response)]
        if _is_bound(response.request.headers):
            components.append(_BINDING)
        headers = merged(response.headers, _digest_of(response.body))
        response = replace(response, headers=headers)
        added = signatures.sign(response, self.identity, components, now=moment)
        return replace(response, headers=merged(headers, added))


# RFC 9421 §2.4: the answer covers the signature of the request, and with it all that it covers.
_BINDING = Item("signature", {"req": True, "key": signatures.LABEL})


def _wants_sealed(request: HttpRequest) -> bool:
    return combined(request.headers, SEAL_RESPONSE) == "jwe" or is_sealed(request.headers)


def _check_can_receive(signer: Peer) -> None:
    """The answer can be sealed for who asks; raises NotSealed before the application does anything."""
    try:
        check_may_receive(signer.leaf, jwe.FORMAT, jwe.RECEIVERS)
    except (CannotReceive, KeyUsageForbids) as error:
        raise NotSealed(f"the answer could not be sealed for who signed: {error}") from None


def is_sealed(headers: Iterable[Header]) -> bool:
    """Whether the body is a JWE, by its media type."""
    said = (combined(headers, "Content-Type") or "").partition(";")[0]
    return said.strip().lower() == MEDIA_TYPE


def _signed_request(request: HttpRequest, identity: Credential, now: datetime) -> HttpRequest:
    components = [Item("@method"), Item("@target-uri"), *_content_components(request)]
    if combined(request.headers, SEAL_RESPONSE) is not None:
        components.append(Item(SEAL_RESPONSE.lower()))
    request = replace(request, headers=merged(request.headers, _digest_of(request.body)))
    added = signatures.sign(request, identity, components, now=now)
    return replace(request, headers=merged(request.headers, added))


def _content_components(message: HttpRequest | HttpResponse) -> list[Item]:
    if not message.body:
        return []
    names = ["content-type", "content-encoding"]
    present = [name for name in names if combined(message.headers, name) is not None]
    return [Item("content-digest"), *(Item(name) for name in present)]


def _digest_of(body: bytes) -> list[Header]:
    return [("Content-Digest", content_digest(body))] if body else []


def _sealed(message: _Sealable, to: tuple[Recipient, ...], signer: Credential) -> _Sealable:
    if combined(message.headers, "Content-Encoding") is not None:
        raise UsageError(
            "a body with a Content-Encoding cannot be sealed: compressed, its length would tell of its content",
            "send it as it is",
        )
    body = jwe.seal(
        message.body,
        to,
        content_type=combined(message.headers, "Content-Type"),
        signer=thumbprint(signer.leaf),
    )
    headers = merged(message.headers, [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(body)))])
    return replace(message, headers=headers, body=body)


def _opened(message: _Sealable, identity: Credential) -> tuple[_Sealable, str | None]:
    opened = jwe.open_whole(message.body, identity)
    headers = merged(
        (one for one in message.headers if one[0].lower() != "content-type"),
        [("Content-Length", str(len(opened.content)))],
    )
    if opened.content_type is not None:
        if "\r" in opened.content_type or "\n" in opened.content_type:
            raise MessageMalformed(jwe.FORMAT, "the content type has a line break in it")
        headers = merged(headers, [("Content-Type", opened.content_type)])
    return replace(message, headers=headers, body=opened.content), opened.signer


def _check_author(author: str | None, signers: Sequence[Peer]) -> None:
    if author not in {thumbprint(one.leaf) for one in signers}:
        raise NotSealed(
            "expected a sealed body that names who signed it, got one that names another or nobody"
        )


def _is_bound(headers: Sequence[Header]) -> bool:
    """Whether the request has the signature that an answer can be bound to."""
    try:
        return signatures.LABEL in parse_dictionary(combined(headers, "Signature") or "")
    except FieldMalformed:
        return False
