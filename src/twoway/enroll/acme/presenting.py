"""Accounts, orders, authorizations and challenges as their JSON objects (RFC 8555 §7.1)."""

from __future__ import annotations

import datetime

from twoway.enroll.acme import addresses
from twoway.enroll.acme.accounts import Account
from twoway.enroll.acme.authorizations import Authorization, Challenge
from twoway.enroll.acme.orders import Order
from twoway.enroll.call import Call


def account(call: Call, found: Account) -> dict[str, object]:
    return {
        "status": found.status,
        "contact": list(found.contact),
        "orders": f"{addresses.account(call, found.id)}/orders",
    }


def order(call: Call, found: Order) -> dict[str, object]:
    told: dict[str, object] = {
        "status": found.status,
        "expires": _time(found.expires),
        "identifiers": [each.as_dict() for each in found.identifiers],
        "profile": found.profile,
        "authorizations": [addresses.authorization(call, each) for each in found.authorizations],
        "finalize": f"{addresses.order(call, found.id)}/finalize",
    }
    if found.replaces is not None:
        told["replaces"] = found.replaces
    if found.error is not None:
        told["error"] = dict(found.error)
    if found.serial is not None:
        told["certificate"] = addresses.certificate(call, found.serial)
    return told


def authorization(call: Call, found: Authorization) -> dict[str, object]:
    told: dict[str, object] = {
        "status": found.status,
        "expires": _time(found.expires),
        "identifier": found.identifier.as_dict(),
        "challenges": [challenge(call, each) for each in found.challenges],
    }
    if found.wildcard:
        told["wildcard"] = True  # RFC 8555 §7.1.4: present and true, or absent
    return told


def challenge(call: Call, found: Challenge) -> dict[str, object]:
    told: dict[str, object] = {
        "type": found.type,
        "url": addresses.challenge(call, found.id),
        "status": found.status,
        "token": found.token,
    }
    if found.validated_at is not None:
        told["validated"] = _time(found.validated_at)
    if found.error is not None:
        told["error"] = dict(found.error)
    return told


def _time(seconds: int) -> str:
    """RFC 3339, in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
