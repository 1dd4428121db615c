"""What a key may be used for in a message: decided by its kind and its certificate's key usage, in one place."""

from __future__ import annotations

import warnings

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from twoway.credential import describe, key_type_of
from twoway.message.faults import CannotReceive, KeyUsageForbids
from twoway.trust.verification import Purpose

_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
_CURVES = ("secp256r1", "secp384r1")


def key_of(certificate: x509.Certificate) -> object:
    """The public key of a stranger's certificate; of which kind, and how outdated, is judged by whoever asks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a library's remarks about kinds that are refused here anyway
        return certificate.public_key()


def check_may_receive(leaf: x509.Certificate, format: str, usable: tuple[str, ...]) -> None:
    """Refuse a certificate whose key cannot, or may not, be sealed for.

    `usable` are the kinds of keys that the format takes, of "p256", "p384", "rsa". An RSA key needs
    keyEncipherment, an EC key keyAgreement; a certificate without key usage allows everything. Raises
    CannotReceive or KeyUsageForbids.
    """
    key = key_of(leaf)
    kind = receiving_kind(key)
    if kind is None or kind not in usable:
        raise CannotReceive(describe(leaf), key_type_of(key), format, usable)
    # RFC 5280 §4.2.1.3: keyEncipherment for enciphering keys, keyAgreement for agreeing on one.
    _check_usage(leaf, "key_encipherment" if kind == "rsa" else "key_agreement")


def receiving_kind(key: object) -> str | None:
    """ "rsa", "p256" or "p384" for a key (public or private) that can be sealed for; None for others."""
    if isinstance(key, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        return "rsa" if key.key_size >= 2048 else None
    if isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        return key_type_of(key) if key.curve.name in _CURVES else None
    return None


def check_may_sign(leaf: x509.Certificate) -> None:
    """Refuse a certificate whose key usage allows no signatures; raises KeyUsageForbids."""
    # RFC 5280 §4.2.1.3: digitalSignature, or nonRepudiation (contentCommitment), for signatures on messages.
    _check_usage(leaf, "digital_signature", "content_commitment")


def _check_usage(leaf: x509.Certificate, *wanted: str) -> None:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not any(getattr(usage, name) for name in wanted):
        has = tuple(_camel(name) for name in _USAGES if getattr(usage, name))
        raise KeyUsageForbids(describe(leaf), _camel(wanted[0]), has)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join("CRL" if word == "crl" else word.title() for word in rest)


def role_of(leaf: x509.Certificate) -> Purpose:
    """As what a certificate is verified when a message does not say: "server" if it is only that, else "client".

    A certificate for neither is then refused as a client with the purposes that it has.
    """
    try:
        purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return "client"
    serves = ExtendedKeyUsageOID.SERVER_AUTH in purposes
    return "server" if serves and ExtendedKeyUsageOID.CLIENT_AUTH not in purposes else "client"
