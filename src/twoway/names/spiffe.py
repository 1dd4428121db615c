"""SPIFFE IDs: what the SPIFFE-ID specification §2 says a valid one is."""

from __future__ import annotations

import re

SCHEME = "spiffe://"
_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


def spiffe_id(uris: tuple[str, ...]) -> str | None:
    """The SPIFFE ID among the URIs, or None: an X.509-SVID has exactly one URI (X509-SVID §2)."""
    if len(uris) != 1 or not uris[0].lower().startswith("spiffe:"):
        return None
    return uris[0] if spiffe_problem(uris[0]) is None else None


def spiffe_problem(text: str) -> str | None:
    """What the specification has against this text; None when it is a valid SPIFFE ID."""
    if text[: len(SCHEME)].lower() != SCHEME:
        return "a SPIFFE ID begins with spiffe://"
    domain, slash, path = text[len(SCHEME) :].partition("/")
    if not _DOMAIN.fullmatch(domain):
        return "its trust domain may have lower-case letters, digits, dots, dashes and underscores only"
    if not slash:
        return None
    for segment in path.split("/"):
        if not segment:
            return "its path has an empty segment or ends in a slash"
        if segment in (".", ".."):
            return "its path has a relative segment"
        if not _SEGMENT.fullmatch(segment):
            return "its path may have letters, digits, dots, dashes and underscores only"
    return None
