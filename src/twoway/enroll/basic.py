"""HTTP Basic authentication (RFC 7617), which EST clients speak: an account's password, or a one-time token as password."""

from __future__ import annotations

import base64
import binascii

from twoway.authority.refusals import TokenRefused
from twoway.enroll.access import Standing
from twoway.enroll.call import Call
from twoway.enroll.caller import Caller
from twoway.enroll.faults import CredentialRefused

MAX_HEADER = 16 * 1024


async def by_basic(call: Call) -> Caller | None:
    """The account or the token in `Authorization: Basic`; a token is told by its two dots, which no password has."""
    scheme, _, text = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        if len(text) > MAX_HEADER:
            raise ValueError("too long")
        name, colon, password = base64.b64decode(text.strip(), validate=True).decode("utf-8").partition(":")
    except (ValueError, binascii.Error):
        raise CredentialRefused("password", "expected NAME:PASSWORD in base64") from None
    if not colon:
        raise CredentialRefused("password", "expected NAME:PASSWORD in base64")
    service = call.service
    if password.count(".") == 2:
        try:
            token = service.tokens.read(password.strip(), audience="est", now=call.now)
        except TokenRefused as refused:
            raise CredentialRefused("token", refused.why) from refused
        who = token.common_name or str(token.names)
        return Caller(frozenset({Standing.TOKEN}), who, f"token {token.id}", facts=token)
    account = service.est_accounts.find(name, password)
    if account is None:
        raise CredentialRefused("password", "there is no account with this name and this password")
    return Caller(frozenset({Standing.EST_BASIC}), account.name, "EST password", facts=account)
