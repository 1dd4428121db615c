"""Envoy's `X-Forwarded-Client-Cert`: bytes in, certificates out, nothing is believed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from twoway.integrations.forwarded.faults import ForwardedMalformed

FIELD = "X-Forwarded-Client-Cert"
MAX_FIELD = 64 * 1024
MAX_CHAIN = 5
# A pair, and what ends it; a quoted value escapes its quotes and backslashes.
_PAIR = re.compile(r' *([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;]*))(;|,|\Z)', re.S)


def parse(values: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    """The presented chain, leaf first, of the one element of the header; raises ForwardedMalformed.

    More than one element is what a proxy has passed on from whoever came before it, and proves nothing: refused.
    `Chain` counts before `Cert`; one of them must be there. `Hash` must fit. The names beside them are not looked at,
    since the certificate says them better. Nothing is verified.
    """
    if len(values) != 1:
        raise ForwardedMalformed(FIELD, f"expected it once, got it {len(values)} times")
    pairs = _pairs(values[0])
    said = pairs.get("chain") or pairs.get("cert")
    if not said:
        raise ForwardedMalformed(FIELD, "it has neither Cert nor Chain, so there is nothing to verify")
    try:
        certificates = tuple(x509.load_pem_x509_certificates(unquote_to_bytes(said)))
    except ValueError as failure:
        raise ForwardedMalformed(FIELD, "expected certificates as percent-encoded PEM") from failure
    if len(certificates) > MAX_CHAIN:
        raise ForwardedMalformed(FIELD, f"expected at most {MAX_CHAIN} certificates")
    digest = certificates[0].fingerprint(hashes.SHA256()).hex()
    if pairs.get("hash", digest).lower() != digest:
        raise ForwardedMalformed(FIELD, "its Hash is not that of its certificate")
    return certificates


def _pairs(value: bytes) -> dict[str, str]:
    """The pairs of the only element, by lower-case key. URI and DNS may come again; the first one stays."""
    if len(value) > MAX_FIELD:
        raise ForwardedMalformed(FIELD, f"it has more than {MAX_FIELD:,} characters")
    text = value.decode("latin-1")
    found: dict[str, str] = {}
    at = 0
    while True:
        match = _PAIR.match(text, at)
        if match is None:
            raise ForwardedMalformed(FIELD, f"expected Key=Value at character {at + 1}")
        key, quoted, plain, end = match.groups()
        key = key.lower()
        if key in found and key not in ("uri", "dns", "by"):
            raise ForwardedMalformed(FIELD, f"{key} is there twice")
        found.setdefault(key, re.sub(r"\\(.)", r"\1", quoted, flags=re.S) if quoted is not None else plain)
        if end == ",":
            raise ForwardedMalformed(FIELD, "expected one element, got several")
        at = match.end()
        if end == "":
            return found
