"""What an attempt showed, in words: the names that the server accepts, and the chain that was presented."""

from __future__ import annotations

import contextlib

from cryptography import x509

from twoway.credential import describe, display_name
from twoway.doctor.observing import Attempt
from twoway.explainer.checklist import name_of


def accepted_names(seen: Attempt) -> list[str]:
    """The authorities that the server named in its request."""
    return [name_of(der) for der in seen.facts.request.authorities] if seen.facts.request is not None else []


def accepted(seen: Attempt) -> str:
    """Of whom an identity has to be."""
    names = accepted_names(seen)
    return f"issued by {' or '.join(names)}" if names else "that the server trusts"


def shown(seen: Attempt) -> list[str]:
    """The client's chain as it went over the wire."""
    told = []
    for der in seen.facts.chains.get("client", ()):
        try:
            one = x509.load_der_x509_certificate(der)
            told.append(f"{describe(one)}, issued by {display_name(one.issuer)}")
        except Exception:  # noqa: BLE001 - whatever the parser raises means the same here
            told.append("a certificate that cannot be read")
    return told


def issuers_shown(seen: Attempt) -> list[bytes]:
    """The issuers' names (DER) of the chain that went over the wire."""
    names = []
    for der in seen.facts.chains.get("client", ()):
        with contextlib.suppress(Exception):  # as above
            names.append(x509.load_der_x509_certificate(der).issuer.public_bytes())
    return names
