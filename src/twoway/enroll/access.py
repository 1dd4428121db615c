"""Who may call what: the one table, and the one decision. What is not in it nobody may call."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from twoway.enroll.faults import CredentialNeeded, NotPermitted


class Standing(StrEnum):
    """What a caller may be to this authority, and what that is proven by.

    One caller may be several: a certificate with two roles, or a certificate and a token in the same request.
    """

    NOBODY = "nobody"  # without any credential
    IDENTITY = "identity"  # a certificate of this authority that is neither expired nor revoked
    REQUESTER = "requester"  # such a certificate, which the policy of that role lets in; and so on
    AUDITOR = "auditor"
    OPERATOR = "operator"
    ADMIN = "admin"
    TOKEN = "token"  # noqa: S105 - a token of this authority that was made for this endpoint
    ACME_KEY = (
        "acme-key"  # a request signed with the key that it brings along: it proves that key and no more
    )
    ACME_ACCOUNT = "acme-account"  # a request signed with the key of an ACME account
    EST_BASIC = "est-basic"  # a name and a password for EST


ROLES = (Standing.REQUESTER, Standing.AUDITOR, Standing.OPERATOR, Standing.ADMIN)

EVERYBODY = frozenset(Standing)

ACCESS: Mapping[str, frozenset[Standing]] = {
    "health": EVERYBODY,
    "ready": EVERYBODY,
    "metrics": EVERYBODY,
    "roots": EVERYBODY,
    "crl": EVERYBODY,
    "crls": EVERYBODY,
    "ocsp": EVERYBODY,
    "whoami": EVERYBODY,
    "enroll": frozenset({Standing.TOKEN}),
    "renew": frozenset({Standing.IDENTITY}),
    # An identity revokes itself and nobody else: endpoints/revoking.py.
    "revoke": frozenset({Standing.IDENTITY, Standing.OPERATOR, Standing.ADMIN}),
    "sign": frozenset({Standing.REQUESTER, Standing.OPERATOR, Standing.ADMIN}),
    "est-cacerts": EVERYBODY,
    "est-csrattrs": EVERYBODY,
    "est-enroll": frozenset(
        {Standing.TOKEN, Standing.EST_BASIC, Standing.REQUESTER, Standing.OPERATOR, Standing.ADMIN}
    ),
    "est-reenroll": frozenset({Standing.IDENTITY}),
    "acme-directory": EVERYBODY,
    "acme-new-nonce": EVERYBODY,
    "acme-renewal-info": EVERYBODY,
    "acme-new-account": frozenset({Standing.ACME_KEY}),
    "acme-account": frozenset({Standing.ACME_ACCOUNT}),
    "acme-orders": frozenset({Standing.ACME_ACCOUNT}),
    "acme-key-change": frozenset({Standing.ACME_ACCOUNT}),
    "acme-new-order": frozenset({Standing.ACME_ACCOUNT}),
    "acme-order": frozenset({Standing.ACME_ACCOUNT}),
    "acme-finalize": frozenset({Standing.ACME_ACCOUNT}),
    "acme-authorization": frozenset({Standing.ACME_ACCOUNT}),
    "acme-challenge": frozenset({Standing.ACME_ACCOUNT}),
    "acme-certificate": frozenset({Standing.ACME_ACCOUNT}),
    # Whether the account has issued the certificate, or the key is the certificate's, is asked where it is revoked.
    "acme-revoke": frozenset({Standing.ACME_ACCOUNT, Standing.ACME_KEY}),
}
"""The name of each endpoint, and who may call it."""


def decide(endpoint: str, standings: frozenset[Standing]) -> Standing:
    """As what the caller is let in. Raises CredentialNeeded for nobody at all, else NotPermitted."""
    admitted = ACCESS.get(endpoint, frozenset())
    found = [standing for standing in Standing if standing in admitted and standing in standings]
    if found:
        return found[-1]
    presented = tuple(sorted(standings - {Standing.NOBODY}))
    wanted = tuple(sorted(admitted))
    if not presented:
        raise CredentialNeeded(endpoint, wanted)
    raise NotPermitted(endpoint, presented, wanted)
