"""Signed and sealed calls: between httpx2's requests and responses and the exchange that signs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2

from twoway.client.faults import as_call_error
from twoway.client.source import IdentitySource
from twoway.errors import TwowayError, UsageError
from twoway.message.http.exchange import ClientSide
from twoway.message.http.exchanged import HttpRequest, HttpResponse
from twoway.message.http.verifying import Verifier
from twoway.message.recipient import Addressee, recipients


@dataclass
class Messages:
    """Signs each call as the identity that is current, and judges each answer."""

    source: IdentitySource
    seal_for: Addressee | None = None

    def __post_init__(self) -> None:
        self._side()  # what cannot sign, or cannot be sealed for, is told at once

    def _side(self) -> ClientSide:
        settings = self.source.context().settings
        credential, trust = settings.credential, settings.trust
        if credential is None:
            raise UsageError("nobody can sign without an identity", "pass identity= beside sign=True")
        assert trust is not None
        to = recipients(self.seal_for, trust) if self.seal_for is not None else ()
        return ClientSide(credential, Verifier(trust), to)

    def outgoing(self, request: httpx2.Request) -> tuple[httpx2.Request, Exchange]:
        """The request as it travels; its body has been read. Raises a TwowayError that is httpx2's too."""
        try:
            side = self._side()
            sent = side.outgoing(_of_request(request))
        except TwowayError as error:
            raise as_call_error(error) from error
        made = httpx2.Request(
            request.method,
            request.url,
            headers=list(sent.headers),
            content=sent.body,
            extensions=request.extensions,
        )
        return made, Exchange(side, sent, request)


@dataclass
class Exchange:
    """One call: who signed it, as it was sent, and as it was asked for."""

    side: ClientSide
    sent: HttpRequest
    request: httpx2.Request

    def incoming(self, response: httpx2.Response, raw: bytes) -> httpx2.Response:
        """The answer in clear, with its signer in `extensions["twoway.signer"]`; raises as `outgoing`."""
        headers = tuple(response.headers.multi_items())
        said = HttpResponse(response.status_code, self.sent, headers, raw)
        try:
            judged, signers = self.side.incoming(said, hostname=self.request.url.host)
        except TwowayError as error:
            raise as_call_error(error) from error
        made: Any = httpx2.Response(
            judged.status,
            headers=list(judged.headers),
            content=judged.body,
            request=self.request,
            extensions={**response.extensions, "twoway.signer": signers[0]},
        )
        made.default_encoding = response.default_encoding
        return made  # type: ignore[no-any-return]


def _of_request(request: httpx2.Request) -> HttpRequest:
    url = str(request.url.copy_with(fragment=None, userinfo=None))
    return HttpRequest(request.method, url, tuple(request.headers.multi_items()), request.content)
