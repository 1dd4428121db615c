"""A machine that has nothing yet: from a token and a fingerprint to an identity directory."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from twoway.credential import Credential, generate_key, write_public
from twoway.enroll.agent.settings import URL_FILE
from twoway.enroll.asking import enrolled, root_of
from twoway.errors import UsageError


def join(
    url: str, token: str, out: Path, *, fingerprint: str | None = None, key_type: str = "p256"
) -> Credential:
    """Make a key, have it certified, and write the identity directory; the key never leaves this machine.

    The authority is believed if its root has that fingerprint; without one, the fingerprint that stands in the token
    counts, which is as good where the token came over a channel that can be believed. Raises UsageError where an identity
    is in the directory already, RootMismatch, AuthorityRefused, UnusableAnswer, NetworkError, FileUnwritable.
    """
    if (out / "cert.pem").exists() or (out / "key.pem").exists():
        raise UsageError(
            f"{out} already holds an identity", "renew that one, or choose another directory with --out"
        )
    token = token.strip()
    key = generate_key(key_type)
    root = root_of(url, fingerprint or fingerprint_in(token))
    credential = enrolled(url, root, key, token)
    credential.save(out)
    write_public(out / URL_FILE, f"{url}\n".encode("ascii"))
    return credential


def fingerprint_in(token: str) -> str:
    """The root's fingerprint that a token names; raises UsageError for what is no token. Nothing is verified."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["iss"])
    except (IndexError, KeyError, TypeError, ValueError) as failure:
        raise UsageError(
            "that is no token of an authority", "make one where the authority is: twoway ca token NAME"
        ) from failure
