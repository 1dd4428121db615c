"""Bytes, or an identity directory, to what is in them; never raises for what they hold."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key, pkcs7

from twoway.credential import CredentialError, KeyMismatch, Passphrase, belongs, describe, is_ca, pem
from twoway.credential.keys import load_der_key
from twoway.doctor.contents import read_contents
from twoway.doctor.files import examine
from twoway.doctor.finding import Finding
from twoway.doctor.inspection import facts
from twoway.doctor.inspection.encodings import split, unarmoured
from twoway.doctor.inspection.sorts import sort_of
from twoway.doctor.material import Material, Side
from twoway.errors import TwowayError
from twoway.trust.reading import first_line

MAX_BYTES = 64 * 1024 * 1024
_SIDES: tuple[Side, Side] = ("client", "server")
# What one file cannot tell about itself.
_ELSEWHERE = frozenset({"no_key", "no_anchors", "issuer_not_seen", "revocation_unknown", "no_certificate"})


@dataclass(frozen=True, slots=True)
class Item:
    """One object: its kind, and its facts by name in the order in which they are told."""

    kind: str
    facts: dict[str, object]

    def as_dict(self) -> dict[str, object]:
        return {"kind": self.kind, **self.facts}


@dataclass(slots=True)
class Inspected:
    """One file: what is in it, what is wrong with it as a whole, and for use as a client and as a server."""

    where: str
    items: list[Item] = field(default_factory=list)
    faults: list[Finding] = field(default_factory=list)
    uses: dict[Side, list[Finding]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def readable(self) -> bool:
        return bool(self.items)

    def as_dict(self) -> dict[str, object]:
        return {
            "file": self.where,
            "objects": [item.as_dict() for item in self.items],
            "faults": [finding.as_dict() for finding in self.faults],
            "uses": {side: [finding.as_dict() for finding in found] for side, found in self.uses.items()},
            "notes": self.notes,
        }


def inspect_bytes(
    data: bytes, where: str, *, passphrase: Passphrase = None, now: datetime | None = None
) -> Inspected:
    """What is in `data`: PEM with any number of blocks, DER of any kind and number, base64 of it, or PKCS#12."""
    told, at = Inspected(where), now or datetime.now(UTC)
    with warnings.catch_warnings(
        action="ignore"
    ):  # what is odd in a stranger's certificate is told by findings
        if b"-----BEGIN " in data[:MAX_BYTES]:
            _read_pem(data, told, at, passphrase)
        else:
            _read_binary(_without_armour(data, told), told, at, passphrase)
        if not told.items and not told.faults:
            what, hint = sort_of(data)
            told.notes += [f"this looks like {what}", hint]
    return told


def inspect_directory(
    directory: Path, *, passphrase: Passphrase = None, now: datetime | None = None
) -> Inspected:
    """An identity directory: its files, whether they belong together, and what is wrong with it for either use."""
    from twoway.doctor.loading import load

    told, at = Inspected(str(directory)), now or datetime.now(UTC)
    with warnings.catch_warnings(action="ignore"):
        materials = {side: load(side, directory, passphrase=passphrase) for side in _SIDES}
        client = materials["client"]
        told.items += [Item("certificate", facts.of_certificate(one, at)) for one in client.chain]
        if client.key is not None:
            told.items.append(Item("private key", facts.of_key(client.key, private=True)))
        told.items += [
            Item("trusted authority", facts.of_certificate(one, at)) for one in client.anchors or ()
        ]
        told.items += [Item("revocation list", facts.of_crl(one, at)) for one in client.crls]
        told.faults += client.faults
        if client.chain:
            told.uses = {
                side: _worth(examine(material.but(now=at)), client.faults)
                for side, material in materials.items()
            }
        if client.chain and client.key is not None:
            told.notes.append(f"chain: {facts.of_chain(client.chain)}")
    return told


def _worth(findings: list[Finding], told: tuple[Finding, ...]) -> list[Finding]:
    return [
        one for one in findings if one.severity != "info" and one not in told and one.code not in _ELSEWHERE
    ]


# -- PEM -------------------------------------------------------------------------------------------------


def _read_pem(data: bytes, told: Inspected, now: datetime, passphrase: Passphrase) -> None:
    contents = read_contents(data, told.where, passphrase)
    told.faults += [_as_finding(fault) for fault in contents.faults]
    try:
        blocks = pem.scan(data, where=told.where)
    except CredentialError:
        blocks = ()
    for block in blocks:
        if not block.label.endswith(("CERTIFICATE", "PRIVATE KEY")) and block.label != "X509 CRL":
            _read_block(block, told, now)
    _tell_contents(told, contents.certificates, contents.crls, contents.key, now)
    if contents.has_key and contents.key is None:
        told.items.append(Item("private key", {"state": "it does not open: see below"}))


def _read_block(block: pem.Block, told: Inspected, now: datetime) -> None:
    readers: dict[str, Callable[[bytes], Item]] = {
        "CERTIFICATE REQUEST": lambda der: _request(der),
        "NEW CERTIFICATE REQUEST": lambda der: _request(der),
        "PUBLIC KEY": lambda der: Item("public key", facts.of_key(load_der_public_key(der), private=False)),
        "OCSP RESPONSE": lambda der: Item("OCSP response", facts.of_ocsp_response(der)),
        "OCSP REQUEST": lambda der: Item("OCSP request", facts.of_ocsp_request(der)),
    }
    if block.label == "PKCS7":
        _read_pkcs7(block.der, told, now)
        return
    reader = readers.get(block.label)
    if reader is None:
        told.items.append(
            Item(block.label.lower(), {"size": f"{len(block.der)} bytes", "state": "not read any further"})
        )
        return
    try:
        told.items.append(reader(block.der))
    except Exception as error:  # noqa: BLE001 - parsers raise many kinds for what does not decode
        told.items.append(Item(block.label.lower(), {"state": f"does not decode: {first_line(error)}"}))


def _request(der: bytes) -> Item:
    return Item("certificate request", facts.of_request(x509.load_der_x509_csr(der)))


def _tell_contents(
    told: Inspected,
    certificates: tuple[x509.Certificate, ...],
    crls: tuple[x509.CertificateRevocationList, ...],
    key: object,
    now: datetime,
) -> None:
    for one in certificates:
        try:
            told.items.append(Item("certificate", facts.of_certificate(one, now)))
        except Exception as error:  # noqa: BLE001 - the library decodes late
            told.items.append(Item("certificate", {"state": f"cannot be read: {first_line(error)}"}))
    told.items += [Item("revocation list", facts.of_crl(one, now)) for one in crls]
    if key is not None:
        told.items.append(Item("private key", facts.of_key(key, private=True)))
        if certificates and not any(belongs(key, one) for one in certificates):  # type: ignore[arg-type]
            told.faults.append(
                _as_finding(KeyMismatch(f"the key in {told.where}", describe(certificates[0])))
            )
    if certificates and not all(_authority(one) for one in certificates):
        for side in _SIDES:
            material = Material(side, chain=certificates, key=key, now=now)  # type: ignore[arg-type]
            told.uses[side] = _worth(examine(material), ())


def _authority(one: x509.Certificate) -> bool:
    try:
        return is_ca(one)
    except Exception:  # noqa: BLE001 - as above
        return False


def _as_finding(fault: TwowayError) -> Finding:
    return Finding(fault.code, "error", "config", str(fault), fault.remedy, fault.evidence)


# -- DER -------------------------------------------------------------------------------------------------


def _without_armour(data: bytes, told: Inspected) -> bytes:
    der = unarmoured(data)
    if der is None:
        return data
    told.notes.append("base64 without its PEM lines: most programs want a -----BEGIN … line above it")
    return der


def _read_binary(data: bytes, told: Inspected, now: datetime, passphrase: Passphrase) -> None:
    parts = split(data)
    if len(parts) > 1:
        _read_several(parts, told, now)
    elif not _read_der(data, told, now):
        _read_bundle(data, told, now, passphrase)


def _read_several(parts: tuple[bytes, ...], told: Inspected, now: datetime) -> None:
    """Certificates, and a key beside them, are judged together, as in a PEM file."""
    told.notes.append(f"{len(parts)} DER objects one behind the other: most programs read the first only")
    certificates, key, rest = list[x509.Certificate](), None, list[bytes]()
    for part in parts:
        try:
            certificates.append(x509.load_der_x509_certificate(part))
            continue
        except Exception:  # noqa: BLE001 - it is something else
            opened = _key_in(part, told.where)
        if opened is None or key is not None:
            rest.append(part)
        key = key or opened
    _tell_contents(told, tuple(certificates), (), key, now)
    for part in rest:
        if not _read_der(part, told, now):
            told.items.append(
                Item("DER object", {"size": f"{len(part)} bytes", "state": "not read any further"})
            )


def _key_in(der: bytes, where: str) -> object | None:
    try:
        return load_der_key(der, None, where=where, encrypted=False)
    except Exception:  # noqa: BLE001 - it is something else
        return None


def _read_der(data: bytes, told: Inspected, now: datetime) -> bool:
    """Try each kind of object; the first that decodes is what it is."""
    if data[:1] != b"\x30":
        return False
    before = len(told.items)
    try:
        _tell_contents(told, (x509.load_der_x509_certificate(data),), (), None, now)
        return True
    except Exception:  # noqa: BLE001 - it is something else
        del told.items[before:]
    if _read_pkcs7(data, told, now):
        return True
    tries: tuple[Callable[[], Item], ...] = (
        lambda: _request(data),
        lambda: Item("revocation list", facts.of_crl(x509.load_der_x509_crl(data), now)),
        lambda: Item("OCSP response", facts.of_ocsp_response(data)),
        lambda: Item("OCSP request", facts.of_ocsp_request(data)),
        lambda: Item("public key", facts.of_key(load_der_public_key(data), private=False)),
        lambda: Item(
            "private key",
            facts.of_key(load_der_key(data, None, where=told.where, encrypted=False), private=True),
        ),
    )
    for one in tries:
        try:
            told.items.append(one())
            return True
        except Exception:  # noqa: BLE001, S112 - it is something else
            continue
    return False


def _read_pkcs7(der: bytes, told: Inspected, now: datetime) -> bool:
    try:
        certificates = _chained(pkcs7.load_der_pkcs7_certificates(der))
    except Exception:  # noqa: BLE001 - it is something else
        return False
    told.notes.append(f"a PKCS#7 bundle of {len(certificates)} certificates, which has no order of its own")
    _tell_contents(told, certificates, (), None, now)
    return True


def _chained(found: list[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """RFC 5652 §5.1: a set has no order; the leaf, then each issuer, then the rest."""
    rest = sorted(found, key=_authority)
    order = rest[:1]
    while above := next((one for one in rest if one not in order and one.subject == order[-1].issuer), None):
        order.append(above)
    return (*order, *(one for one in rest if one not in order))


def _read_bundle(data: bytes, told: Inspected, now: datetime, passphrase: Passphrase) -> None:
    contents = read_contents(data, told.where, passphrase)
    _tell_contents(told, (*contents.certificates, *contents.anchors), contents.crls, contents.key, now)
    if contents.certificates or contents.has_key:
        told.faults += [_as_finding(fault) for fault in contents.faults]
    if passphrase is None and any(fault.code == "wrong_passphrase" for fault in told.faults):
        told.notes.append("a PKCS#12 file is sealed with a passphrase: pass --passphrase-file FILE")
