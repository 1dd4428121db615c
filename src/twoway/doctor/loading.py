"""Files to Material, forgivingly: every fault becomes a finding, and what can be read is read all the same."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from twoway.credential import (
    CredentialError,
    FileUnreadable,
    KeyMismatch,
    NoKeyFound,
    Passphrase,
    PrivateKey,
    Swapped,
    belongs,
    describe,
    read,
)
from twoway.doctor.codes import found
from twoway.doctor.contents import Contents, read_contents
from twoway.doctor.finding import Finding
from twoway.doctor.material import Material, Places, Side

MAX_CRL_FILE = 64 * 1024 * 1024
_MAX_NEARBY = 50
_MAX_NEARBY_SIZE = 256 * 1024
# twoway's own names first, then what certbot, Kubernetes and most tutorials call these files.
_CHAIN = ("cert.pem", "fullchain.pem", "tls.crt", "cert.crt", "{side}.pem", "{side}.crt", "{side}-cert.pem")
_KEY = ("key.pem", "privkey.pem", "tls.key", "cert.key", "{side}.key", "{side}-key.pem", "{side}.key.pem")
_ANCHORS = ("ca.pem", "ca.crt", "ca-cert.pem", "ca-bundle.pem", "cacert.pem", "root.pem", "root.crt")
_CRLS = ("crl.pem", "ca.crl", "crl.der")
_BUNDLES = ("identity.p12", "{side}.p12", "identity.pfx", "{side}.pfx", "keystore.p12")


@dataclass
class Slots:
    """The bytes of each file, where they came from, and what was wrong on the way."""

    chain: bytes | None = None
    key: bytes | None = None
    anchors: bytes | None = None
    crls: bytes | None = None
    places: Places = field(default_factory=Places)
    faults: list[Finding] = field(default_factory=list)
    nearby: list[tuple[str, bytes]] = field(default_factory=list)


def load(
    side: Side,
    identity: str | Path | None = None,
    *,
    cert: str | Path | None = None,
    key: str | Path | None = None,
    ca: str | Path | None = None,
    crl: str | Path | None = None,
    passphrase: Passphrase = None,
    hostname: str | None = None,
) -> Material:
    """What the files of one side hold; never raises: what is wrong with them is in `faults`.

    `identity` is a directory (cert.pem, key.pem, ca.pem, crl.pem, or the names that other programs use), a
    PKCS#12 file, or a PEM file with everything in it. The other paths win over the directory's files.
    """
    directory = Path(identity) if identity is not None else None
    chosen = {"chain": _path(cert), "key": _path(key), "anchors": _path(ca), "crls": _path(crl)}
    slots = Slots()
    if directory is not None and directory.is_dir():
        chosen |= {name: at for name, at in _inside(directory, side).items() if chosen[name] is None}
    elif directory is not None:
        chosen["chain"] = chosen["chain"] or directory  # the key is looked for in the same file
    slots.places = Places(**{name: str(at) for name, at in chosen.items() if at is not None})
    for name, at in chosen.items():
        if at is not None:
            setattr(slots, name, _bytes(at, slots, side, MAX_CRL_FILE if name == "crls" else 1 << 20))
    if chosen["key"] is not None:
        slots.faults.extend(_mode(chosen["key"], side))
    where = directory if directory is not None and directory.is_dir() else None
    slots.nearby = list(_beside(where, {at for at in chosen.values() if at})) if where else []
    return material_of(side, slots, passphrase=passphrase).but(hostname=hostname)


def from_bytes(
    side: Side,
    *,
    cert: bytes | None = None,
    key: bytes | None = None,
    ca: bytes | None = None,
    crl: bytes | None = None,
    passphrase: Passphrase = None,
) -> Material:
    """As `load`, of what the files would hold."""
    return material_of(side, Slots(cert, key, ca, crl), passphrase=passphrase)


def material_of(side: Side, slots: Slots, *, passphrase: Passphrase = None) -> Material:
    """Read every slot; a swapped pair is exchanged, a broken file gives what can be saved of it."""
    places, faults = slots.places, list(slots.faults)
    chain = read_contents(slots.chain, places.chain, passphrase)
    key = read_contents(slots.key, places.key, passphrase)
    if key.certificates and not key.has_key and chain.has_key and not chain.certificates:
        faults.append(_swapped(side, places))
        chain, key = key, chain
    faults += _faults(chain.faults, side) + _faults(key.faults, side)
    if slots.chain is not None and not chain.certificates and not chain.faults:
        faults += _faults([chain.no_certificate()], side)
    own = key.key or chain.key
    if slots.key is not None and not (key.has_key or key.faults or chain.key):
        faults += _faults([NoKeyFound(places.key, key.labels)], side)
    if chain.certificates and not (slots.key is not None or chain.has_key or slots.faults):
        faults.append(_no_key(side, places))
    anchors = read_contents(slots.anchors, places.anchors, None)
    faults += _faults(anchors.faults, side)
    if slots.anchors is not None and not anchors.certificates and not anchors.faults:
        faults += _faults([anchors.no_certificate()], side)
    lists = read_contents(slots.crls, places.crls, None)
    faults += _faults(lists.faults, side)
    if slots.crls is not None and not lists.crls and not lists.faults:
        faults += _faults([lists.no_list()], side)
    trusted: tuple[x509.Certificate, ...] | None = anchors.certificates
    if slots.anchors is None:
        trusted = chain.anchors or None
    beside = [(name, read_contents(data, name, None)) for name, data in slots.nearby]
    if own is not None and chain.certificates:
        faults += _mismatch(side, own, chain, places, beside)
    return Material(
        side,
        chain.certificates,
        own,
        trusted,
        (*lists.crls, *anchors.crls),
        nearby=tuple((name, c) for name, contents in beside for c in contents.certificates),
        faults=tuple(faults),
        places=places,
    )


def finding_of(fault: CredentialError, side: Side) -> Finding:
    """A loading error as a finding: the code, the sentence and the remedy are the error's own."""
    return found(fault.code, "error", side, str(fault), fault.remedy, fault.evidence)


def _faults(faults: list[CredentialError], side: Side) -> list[Finding]:
    return [finding_of(fault, side) for fault in faults]


def _swapped(side: Side, places: Places) -> Finding:
    return finding_of(Swapped(places.chain, places.key), side)


def _no_key(side: Side, places: Places) -> Finding:
    return found(
        "no_key",
        "info",
        side,
        f"{places.chain} has no private key, and none was given beside it",
        "to examine the key too, pass the identity directory, or the file of the key",
        {"file": places.chain},
    )


def _mismatch(
    side: Side, key: PrivateKey, chain: Contents, places: Places, beside: list[tuple[str, Contents]]
) -> list[Finding]:
    """The key is nobody's of the chain; a key of another certificate than the first is a matter of order."""
    if any(belongs(key, certificate) for certificate in chain.certificates):
        return []
    leaf = chain.certificates[0]
    keys = [name for name, contents in beside if contents.key and belongs(contents.key, leaf)]
    certs = [name for name, contents in beside if any(belongs(key, c) for c in contents.certificates)]
    fault = KeyMismatch(places.key, describe(leaf), tuple(keys))
    finding = finding_of(fault, side)
    if certs and not keys:
        remedy = f"use the certificate that this key was made for: {certs[0]}"
        return [found("key_mismatch", "error", side, finding.summary, remedy, finding.evidence)]
    return [finding]


def _path(given: str | Path | None) -> Path | None:
    return Path(given) if given is not None else None


def _inside(directory: Path, side: Side) -> dict[str, Path | None]:
    """Which files of an identity directory are which; cert.pem and key.pem are expected where none is there."""

    def first(names: tuple[str, ...]) -> Path | None:
        paths = [directory / name.format(side=side) for name in names]
        return next((path for path in paths if path.exists()), None)

    bundle = first(_BUNDLES)
    chain, key = first(_CHAIN), first(_KEY)
    if bundle is not None and chain is None and key is None:
        chain = bundle
    elif key is None and chain is not None and _holds_key(chain):
        key = None
    else:
        chain, key = chain or directory / _CHAIN[0], key or directory / _KEY[0]
    return {"chain": chain, "key": key, "anchors": first(_ANCHORS), "crls": first(_CRLS)}


def _holds_key(path: Path) -> bool:
    try:
        return b"PRIVATE KEY-----" in read(path)
    except CredentialError:
        return False


def _bytes(path: Path, slots: Slots, side: Side, limit: int) -> bytes | None:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise FileUnreadable(str(path), "it is no regular file")  # a pipe would make us wait
        return read(path, limit=limit)
    except CredentialError as fault:
        slots.faults.append(finding_of(fault, side))
    except (OSError, ValueError) as error:
        slots.faults.append(finding_of(_unreadable(path, error), side))
    return None


def _unreadable(path: Path, error: Exception) -> CredentialError:
    return FileUnreadable(str(path), getattr(error, "strerror", None) or str(error))


def _mode(path: Path, side: Side) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, ValueError):
        return
    if mode & 0o007:
        summary = f"{path} holds a private key and everybody may read it (mode {mode:04o})"
        yield found(
            "key_readable_by_others", "info", side, summary, f"chmod 600 {path}", {"mode": f"{mode:04o}"}
        )


def _beside(directory: Path, known: set[Path]) -> Iterator[tuple[str, bytes]]:
    """Other small files of the directory, where a missing intermediate or the right key may lie."""
    try:
        entries = sorted(directory.iterdir())[:_MAX_NEARBY]
    except OSError:
        return
    for entry in entries:
        try:
            if entry in known or not entry.is_file() or entry.stat().st_size > _MAX_NEARBY_SIZE:
                continue
            yield str(entry), read(entry)
        except (CredentialError, OSError):
            continue  # it has gone, or is not for us
