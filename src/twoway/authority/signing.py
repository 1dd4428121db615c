"""A CA that can sign: its certificate, its key, and how the two write a signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa

from twoway.authority import der
from twoway.credential import PrivateKey


@dataclass(frozen=True)
class Signer:
    """One CA with its private key."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)

    @cached_property
    def hash(self) -> hashes.SHA256 | hashes.SHA384 | None:
        """The hash to sign with; None for keys that bring their own."""
        return signature_hash(self.key)

    @cached_property
    def name(self) -> bytes:
        """The CA's subject as DER, byte for byte as its certificate has it."""
        return self.certificate.subject.public_bytes()

    @cached_property
    def authority_key_identifier(self) -> bytes:
        """The AuthorityKeyIdentifier value that points at this CA, as DER."""
        return self.key_identifier_extension.public_bytes()

    @cached_property
    def key_identifier_extension(self) -> x509.AuthorityKeyIdentifier:
        """The AuthorityKeyIdentifier of what this CA signs: its own SubjectKeyIdentifier."""
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)

    @cached_property
    def algorithm(self) -> bytes:
        """The AlgorithmIdentifier of this CA's signatures, as DER."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            # RFC 4055 §5: the parameters MUST be NULL.
            return der.sequence(der.oid("1.2.840.113549.1.1.11"), der.tlv(der.NULL, b""))
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            # RFC 5758 §3.2: the parameters MUST be absent.
            return der.sequence(
                der.oid("1.2.840.10045.4.3.2" if self.key.key_size <= 256 else "1.2.840.10045.4.3.3")
            )
        # RFC 8410 §3 and RFC 9881 §2: absent as well.
        for kind, identifier in _OWN_HASH:
            if isinstance(self.key, kind):
                return der.sequence(der.oid(identifier))
        raise TypeError(f"no signature algorithm for {type(self.key).__name__}")

    @cached_property
    def quick(self) -> bool:
        """Whether a signature takes microseconds (EC, Ed25519) and not milliseconds (RSA, ML-DSA)."""
        return isinstance(self.key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`, with this CA's key and `algorithm`."""
        return self._sign(data)

    @cached_property
    def _sign(self) -> Callable[[bytes], bytes]:
        key = self.key
        if isinstance(key, rsa.RSAPrivateKey):
            return lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(key, ec.EllipticCurvePrivateKey):
            ecdsa = ec.ECDSA(self.hash or hashes.SHA256())
            return lambda data: key.sign(data, ecdsa)
        return key.sign

    def issue(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """The builder's certificate, signed."""
        return builder.sign(self.key, self.hash)


def signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | None:
    """The hash that a signature with this key goes with: SHA-256, SHA-384 for P-384, none for EdDSA and ML-DSA."""
    if isinstance(key, rsa.RSAPrivateKey):
        return hashes.SHA256()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return hashes.SHA256() if key.key_size <= 256 else hashes.SHA384()
    return None


def verify(public_key: object, signature: bytes, data: bytes) -> None:
    """Check a signature that `Signer.sign` made; raises InvalidSignature."""
    if isinstance(public_key, rsa.RSAPublicKey):
        public_key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        digest = hashes.SHA256() if public_key.key_size <= 256 else hashes.SHA384()
        public_key.verify(signature, data, ec.ECDSA(digest))
    else:
        public_key.verify(signature, data)  # type: ignore[attr-defined]


_OWN_HASH = (
    (ed25519.Ed25519PrivateKey, "1.3.101.112"),
    (mldsa.MLDSA44PrivateKey, "2.16.840.1.101.3.4.3.17"),
    (mldsa.MLDSA65PrivateKey, "2.16.840.1.101.3.4.3.18"),
    (mldsa.MLDSA87PrivateKey, "2.16.840.1.101.3.4.3.19"),
)
