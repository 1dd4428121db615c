"""confluent-kafka with an identity: `Producer({"bootstrap.servers": …} | settings("orders"))`."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from twoway.credential import Credential
from twoway.credential.keys import Passphrase
from twoway.tls import NotExpressible, trust_of
from twoway.trust import Trust


def settings(
    identity: Credential | str | Path,
    *,
    trust: Trust | str | Path | None = None,
    passphrase: Passphrase = None,
) -> dict[str, str]:
    """The settings of librdkafka for mutual TLS, with what an identity is now: from memory, a secret, and for good.

    `trust` defaults to the anchors beside the identity. Brokers' host names are checked. Raises ConfigError;
    revocation lists raise NotExpressible, for librdkafka takes them from a file only. A producer or consumer goes on
    with what it was made with: make a new one after a renewal.
    """
    credential = (
        identity if isinstance(identity, Credential) else Credential.load(identity, passphrase=passphrase)
    )
    believed = (
        trust if isinstance(trust, Trust) else trust_of(credential) if trust is None else Trust.load(trust)
    )
    if believed.crls:
        raise NotExpressible("revocation lists", "librdkafka takes them from a file only")
    return {
        "security.protocol": "ssl",
        "ssl.ca.pem": "".join(a.public_bytes(Encoding.PEM).decode("ascii") for a in believed.anchors),
        "ssl.certificate.pem": credential.certificate_pem().decode("ascii"),
        "ssl.key.pem": credential.key_pem().decode("ascii"),
        "ssl.endpoint.identification.algorithm": "https",
    }
