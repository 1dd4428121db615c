"""What orders, authorizations and challenges can be, and what makes them so (RFC 8555 §7.1.6).

An order is never seen as `processing`: issuing its certificate and making it valid are one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping

from twoway.enroll.acme.faults import AcmeRefused

States = Mapping[str, Mapping[str, str]]

ACCOUNT: States = {
    "valid": {"deactivated by its owner": "deactivated"},
    "deactivated": {},
}
ORDER: States = {
    "pending": {"all authorized": "ready", "an authorization ended": "invalid", "expired": "invalid"},
    "ready": {"issued": "valid", "an authorization ended": "invalid", "expired": "invalid"},
    "valid": {},
    "invalid": {},
}
AUTHORIZATION: States = {
    "pending": {"proven": "valid", "failed": "invalid", "deactivated": "deactivated", "expired": "expired"},
    "valid": {"deactivated": "deactivated", "expired": "expired"},
    "invalid": {},
    "deactivated": {},
    "expired": {},
}
CHALLENGE: States = {
    "pending": {"begun": "processing"},
    # Begun again: the copy of the service that looked may have died over it.
    "processing": {"begun": "processing", "proven": "valid", "failed": "invalid"},
    "valid": {},
    "invalid": {},
}


class NotNow(AcmeRefused):
    """Something asked for is not possible in the state that a resource is in."""

    code = "acme_state"
    spec = "RFC 8555 §7.1.6"
    advice = "look at the resource's state first"


def after(states: States, state: str, event: str) -> str:
    """The state that follows. Raises NotNow."""
    found = states[state].get(event)
    if found is None:
        possible = " or ".join(states[state]) or "nothing"
        raise NotNow(f"expected {possible} to happen to what is {state}, got {event}")
    return found


def seen(states: States, state: str, expires: int, moment: int) -> str:
    """The state as it is at a moment: what expires does so by itself."""
    return states[state].get("expired", state) if moment > expires else state
