"""Whether an identity can prove itself to the authority that is to renew it."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from twoway.credential import Credential
from twoway.errors import ConfigError


class IdentityCannotAsk(ConfigError):
    """A certificate for servers only proves nothing to a server, and the authority's service is one."""

    code = "identity_cannot_ask"
    spec = "RFC 5280 §4.2.1.12"

    def __init__(self, directory: str, subject: str) -> None:
        super().__init__(directory, subject)
        self.directory, self.subject = directory, subject

    def __str__(self) -> str:
        return (
            f"the identity of {self.subject} in {self.directory} is for servers only: expected clientAuth in its "
            "extended key usage, by which it would prove itself to the authority, got none"
        )

    @property
    def remedy(self) -> str:
        return (
            "issue it with the profile peer, which is server and client: twoway ca token NAME --profile peer, and join "
            "again; or renew it where the authority is: twoway ca renew --identity DIR"
        )


def check_can_ask(directory: str, credential: Credential) -> None:
    """Raise IdentityCannotAsk for a certificate whose extended key usage has no clientAuth."""
    try:
        usage = credential.leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise IdentityCannotAsk(directory, credential.describe())
