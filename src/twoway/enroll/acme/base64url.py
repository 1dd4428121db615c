"""base64url as JOSE has it (RFC 7515 §2): no padding, nothing but its alphabet, and one spelling for each value."""

from __future__ import annotations

import base64
import re

from twoway.enroll.acme.faults import Malformed

_TEXT = re.compile(r"[A-Za-z0-9_-]*")


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: object, what: str) -> bytes:
    """The octets; `what` names the place in the error. Raises Malformed."""
    if not isinstance(text, str) or not _TEXT.fullmatch(text) or len(text) % 4 == 1:
        raise Malformed(f"{what} is not base64url without padding")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise Malformed(f"{what} is not base64url in its one spelling")
    return data
