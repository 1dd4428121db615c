"""dns-01: a TXT record below the name (RFC 8555 §8.4)."""

from __future__ import annotations

import hashlib

from twoway.enroll.acme import base64url
from twoway.enroll.acme.validation.lookup import Lookup
from twoway.enroll.acme.validation.unfulfilled import Unfulfilled


async def prove(lookup: Lookup, host: str, key_authorization: str) -> str:
    """Where the proof was found. Raises Unfulfilled. Aliases (CNAME) are followed by the resolver."""
    name = f"_acme-challenge.{host}"
    wanted = base64url.encode(hashlib.sha256(key_authorization.encode()).digest()).encode()
    found = await lookup.texts(name)
    if wanted not in found:
        raise Unfulfilled(
            "unauthorized",
            f"expected the challenge's text in a TXT record of {name}, found {len(found)} others",
        )
    return name
