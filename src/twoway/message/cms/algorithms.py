"""The algorithms of CMS that are written and read here, by their object identifiers."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from asn1crypto import algos, core
from cryptography.hazmat.primitives import hashes

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
ENVELOPED_DATA = "1.2.840.113549.1.7.3"
AUTH_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23"  # RFC 5083 §2.1

OAEP = "1.2.840.113549.1.1.7"
PKCS1 = "1.2.840.113549.1.1.1"
PSS = "1.2.840.113549.1.1.10"
EC_PUBLIC_KEY = "1.2.840.10045.2.1"
ED25519 = "1.3.101.112"
MLDSA = {
    "2.16.840.1.101.3.4.3.17": "mldsa44",
    "2.16.840.1.101.3.4.3.18": "mldsa65",
    "2.16.840.1.101.3.4.3.19": "mldsa87",
}

# RFC 5084 §3.2, RFC 3565 §2.3.2: what content is sealed with, and the size of its key.
GCM = {"2.16.840.1.101.3.4.1.46": 32, "2.16.840.1.101.3.4.1.26": 24, "2.16.840.1.101.3.4.1.6": 16}
AES_256_GCM = "2.16.840.1.101.3.4.1.46"
CBC = {"2.16.840.1.101.3.4.1.42": 32, "2.16.840.1.101.3.4.1.2": 16}
WRAP = {"2.16.840.1.101.3.4.1.45": 32, "2.16.840.1.101.3.4.1.25": 24, "2.16.840.1.101.3.4.1.5": 16}
AES_256_WRAP = "2.16.840.1.101.3.4.1.45"

# RFC 5753 §7.1.4. With SHA-1 it is what OpenSSL writes; as a key derivation it is not broken by collisions.
AGREEMENT: dict[str, hashes.HashAlgorithm] = {
    "1.3.132.1.11.1": hashes.SHA256(),
    "1.3.132.1.11.2": hashes.SHA384(),
    "1.3.132.1.11.3": hashes.SHA512(),
    "1.3.133.16.840.63.0.2": hashes.SHA1(),  # noqa: S303
}
AGREEMENT_FOR = {"p256": "1.3.132.1.11.1", "p384": "1.3.132.1.11.2"}

DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}
DIGEST_OIDS = {digest.name: oid for oid, digest in DIGESTS.items()}
# RFC 5754 §3: what a signature algorithm hashes with, where its name says so.
RSA_WITH = {
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
}
ECDSA_WITH = {
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
}
ECDSA_OIDS = {name: oid for oid, name in ECDSA_WITH.items()}


class AlgorithmIdentifier(core.Sequence):
    """Any algorithm, with whatever parameters: RFC 5280 §4.1.1.2."""

    _fields: ClassVar[list[Any]] = [
        ("algorithm", core.ObjectIdentifier),
        ("parameters", core.Any, {"optional": True}),
    ]


class Algorithm(NamedTuple):
    """An AlgorithmIdentifier that has been read: nothing in it can fail any more."""

    oid: str
    parameters: bytes | None


def algorithm_in(data: bytes) -> Algorithm:
    """Read an AlgorithmIdentifier at once; raises ValueError. asn1crypto alone would decode it when it is used."""
    found = AlgorithmIdentifier.load(data, strict=True)
    parameters = found["parameters"]
    absent = isinstance(parameters, core.Void)
    return Algorithm(str(found["algorithm"].dotted), None if absent else bytes(parameters.dump()))


def identifier(oid: str, parameters: core.Asn1Value | None = None) -> bytes:
    """An AlgorithmIdentifier as DER; without parameters they are absent."""
    made = AlgorithmIdentifier({"algorithm": oid})
    if parameters is not None:
        made["parameters"] = parameters
    return bytes(made.dump())


def oaep_sha256() -> core.Asn1Value:
    """RSAES-OAEP-params with SHA-256 in both places (RFC 4055 §4.1)."""
    return algos.RSAESOAEPParams(
        {
            "hash_algorithm": {"algorithm": "sha256"},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha256"}},
        }
    )


def is_oaep_sha256(algorithm: Algorithm) -> bool:
    """Whether parameters say SHA-256 in both places and no label; NULL may stand in them or not (RFC 4055 §2.1)."""
    try:
        found = algos.RSAESOAEPParams.load(algorithm.parameters or b"", strict=True)
        digest, mask = found["hash_algorithm"], found["mask_gen_algorithm"]
        label = found["p_source_algorithm"]["parameters"].native
        names = digest["algorithm"].native, mask["parameters"]["algorithm"].native
    except (ValueError, TypeError, KeyError):
        return False
    return names == ("sha256", "sha256") and not label


def pss(digest: hashes.HashAlgorithm) -> core.Asn1Value:
    """RSASSA-PSS-params with one digest in both places and its length of salt (RFC 4055 §3.1)."""
    return algos.RSASSAPSSParams(
        {
            "hash_algorithm": {"algorithm": digest.name},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": digest.name}},
            "salt_length": digest.digest_size,
        }
    )
