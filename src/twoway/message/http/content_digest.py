"""Content-Digest (RFC 9530): what a body is, so that a signature over headers covers it."""

from __future__ import annotations

import hashlib
import hmac

from twoway.message.http.faults import DigestMismatch
from twoway.message.http.fields import FieldMalformed, Item, parse_dictionary, write_dictionary

_DIGESTS = {
    "sha-512": hashlib.sha512,
    "sha-256": hashlib.sha256,
}  # RFC 9530 §5: the two that are not insecure


def content_digest(body: bytes) -> str:
    """The value of the header for a body."""
    return write_dictionary({"sha-256": Item(hashlib.sha256(body).digest())})


def check_content_digest(header: str | None, body: bytes) -> None:
    """The body is the one of the header, by every digest in it that is known; raises DigestMismatch."""
    if header is None:
        raise DigestMismatch("expected a Content-Digest of the body, got none")
    try:
        members = parse_dictionary(header)
    except FieldMalformed as error:
        raise DigestMismatch(f"the Content-Digest cannot be read: {error}") from None
    known = {name: member for name, member in members.items() if name in _DIGESTS}
    if not known:
        raise DigestMismatch(
            f"expected a Content-Digest of {' or '.join(_DIGESTS)}, got {', '.join(members)[:100]}"
        )
    for name, member in known.items():
        said = member.value if isinstance(member, Item) else None
        if not isinstance(said, bytes) or not hmac.compare_digest(said, _DIGESTS[name](body).digest()):
            raise DigestMismatch(f"the body has another {name} digest than its Content-Digest says")
