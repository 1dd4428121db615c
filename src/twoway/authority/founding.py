"""How an authority begins: a root, an issuing CA under it, and a store that knows both."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from twoway.authority import directory as files
from twoway.authority import keys, schema, whereabouts
from twoway.authority.cas import Cas
from twoway.authority.certificates import BACKDATE, ca, ca_subject
from twoway.authority.constraints import Constraints
from twoway.authority.faults import PassphraseNeeded
from twoway.authority.issuance import after_days
from twoway.authority.publishing import Publishing
from twoway.authority.signing import Signer, signature_hash
from twoway.authority.store import Store
from twoway.authority.transaction import Transaction
from twoway.credential import (
    KEY_TYPES,
    PrivateKey,
    certificate_pem,
    fingerprint_of,
    generate_key,
    write_private,
    write_public,
)
from twoway.errors import UsageError


def found(
    directory: Path,
    *,
    name: str,
    passphrase: keys.Passphrase,
    key_type: str,
    root_days: float,
    issuing_days: float,
    constraints: Constraints,
    public_url: str | None = None,
    actor: str,
    now: datetime.datetime,
    store_url: str | None = None,
) -> bytes:
    """Make a new authority in `directory`, whole or not at all; its store there too, or in the database of a URL.

    The passphrase is returned as it was resolved; None stores the keys unencrypted. Raises UsageError, PassphraseNeeded, DirectoryTaken, DirectoryUnwritable, StoreTaken.
    """
    files.check_free(directory)
    secret = keys.resolve(passphrase)
    if passphrase is not None and not secret:
        raise PassphraseNeeded(str(directory), True)
    _check(name, key_type)
    begin = (now - BACKDATE).replace(microsecond=0)
    root_end = after_days(root_days, now)
    root = _root(name, key_type, begin, root_end, constraints)
    # A CA must not outlive the one that vouches for it.
    issuing = subordinate(
        root, name, key_type, begin, min(after_days(issuing_days, now), root_end), constraints
    )
    with files.building(directory) as building:
        for signer, key_file, certificate_file in (
            (root, files.ROOT_KEY, files.ROOT_CERTIFICATE),
            (issuing, files.ISSUING_KEY, files.ISSUING_CERTIFICATE),
        ):
            write_private(building / key_file, keys.encrypted_pem(signer.key, secret))
            write_public(building / certificate_file, certificate_pem(signer.certificate))
        if public_url is not None:
            write_public(building / whereabouts.FILE, f"{public_url}\n".encode("ascii"))
        if store_url is not None:
            write_private(building / files.STORE_URL, f"{store_url}\n".encode())
        store = Store.create(store_url or building / files.STORE)
        try:
            _enter(store, name, root, issuing, actor, now)
            cas = Cas(building, store, secret, None)
            publishing = Publishing(store, cas, actor)
            publishing.publish(cas.root, root, now)
            publishing.publish(cas.issuing, issuing, now)
        except BaseException:
            store.remove()  # a file goes with its directory; on a server it has to be said
            raise
        finally:
            store.close()
    return secret


def subordinate(
    root: Signer,
    name: str,
    key_type: str,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    constraints: Constraints,
    key: PrivateKey | None = None,
) -> Signer:
    """An issuing CA under the root; it may sign leaves and no further CA (RFC 5280 §4.2.1.9, pathlen 0)."""
    key = key or generate_key(key_type)
    builder = ca(
        ca_subject(name, "Issuing CA"),
        key.public_key(),
        issuer=root,
        path_length=0,
        not_before=not_before,
        not_after=not_after,
        constraints=constraints,
    )
    return Signer(root.issue(builder), key)


def issuer_row(signer: Signer, *, role: str, parent: int, key_file: str) -> dict[str, object]:
    """A CA as the store keeps it."""
    return {
        "role": role,
        "parent": parent,
        "serial": format(signer.certificate.serial_number, "x"),
        "certificate": signer.certificate.public_bytes(Encoding.DER),
        "key_file": key_file,
        "not_after": int(signer.certificate.not_valid_after_utc.timestamp()),
        "current": True,
        "changes": 0,
        "crl_number": 0,
    }


def _root(
    name: str,
    key_type: str,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    constraints: Constraints,
) -> Signer:
    key = generate_key(key_type)
    builder = ca(
        ca_subject(name, "Root CA"),
        key.public_key(),
        issuer=None,
        path_length=1,
        not_before=not_before,
        not_after=not_after,
        constraints=constraints,
    )
    certificate: x509.Certificate = builder.sign(key, signature_hash(key))
    return Signer(certificate, key)


def _enter(
    store: Store, name: str, root: Signer, issuing: Signer, actor: str, now: datetime.datetime
) -> None:
    def work(transaction: Transaction) -> None:
        roots = issuer_row(root, role="root", parent=1, key_file=files.ROOT_KEY)
        transaction.add(schema.issuers, id=1, **roots)
        transaction.add(
            schema.issuers, id=2, **issuer_row(issuing, role="issuing", parent=1, key_file=files.ISSUING_KEY)
        )
        transaction.record(
            "create",
            name,
            actor=actor,
            at=now,
            root=fingerprint_of(root.certificate),
            issuing=fingerprint_of(issuing.certificate),
        )

    store.write(work)


def _check(name: str, key_type: str) -> None:
    if not name.strip() or not name.isprintable() or len(name.encode()) > 64:
        raise UsageError(
            f"{name[:80]!r} cannot be an authority's name: expected 1 to 64 octets of printable text",
            "choose a shorter or plainer name, such as your organisation's",
        )
    if key_type not in KEY_TYPES:
        raise UsageError(
            f"{key_type!r} is no key type: expected one of {', '.join(KEY_TYPES)}", "choose one, such as p256"
        )
