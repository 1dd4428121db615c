"""The chain file itself: which certificate comes first, in which order, and what does not belong."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509

from twoway.credential import PrivateKey, belongs, describe, is_ca, is_self_issued
from twoway.doctor.codes import found
from twoway.doctor.finding import Finding
from twoway.doctor.material import Side
from twoway.doctor.names import same_name
from twoway.doctor.paths import signed_by


def leaf_first(
    chain: tuple[x509.Certificate, ...], key: PrivateKey | None = None
) -> tuple[x509.Certificate, ...]:
    """The chain with its leaf in front: the certificate of the key, else the one that issued no other."""
    if not chain:
        return chain
    leaf = next((c for c in chain if key is not None and belongs(key, c)), None)
    if leaf is None and is_ca(chain[0]):
        leaf = next((c for c in chain if not is_ca(c)), None)
    if leaf is None or leaf == chain[0]:
        return chain
    return (leaf, *(c for c in chain if c != leaf))


def ordered(
    chain: tuple[x509.Certificate, ...], side: Side, where: str, key: PrivateKey | None = None
) -> Iterator[Finding]:
    """Faults of the order (RFC 8446 §4.4.2), and certificates that issue nothing here."""
    if not chain:
        return
    sorted_chain = leaf_first(chain, key)
    path = climbed(sorted_chain)
    if sorted_chain[0] != chain[0]:
        yield _disordered(chain, path, side, where, first=True)
    elif [c for c in dict.fromkeys(chain) if c in path] != path:
        yield _disordered(chain, path, side, where, first=False)
    elif len(set(chain)) != len(chain):
        yield found(
            "duplicate_certificate",
            "info",
            side,
            f"{where} has a certificate more than once",
            "leave each certificate in it once",
            {"presented": [describe(c) for c in chain]},
        )
    strangers = [c for c in dict.fromkeys(chain) if c not in path]
    if strangers:
        names = ", ".join(describe(c) for c in strangers)
        yield found(
            "unrelated_certificates",
            "warning",
            side,
            f"{where} has certificates that issued nothing in its chain: {names}",
            f"remove {names} from {where}",
            {"expected": [describe(c) for c in path], "presented": [describe(c) for c in chain]},
            also=("missing_intermediate",),
        )
    if len(path) > 1 and is_self_issued(path[-1]):
        yield found(
            "root_included",
            "info",
            side,
            f"{where} ends with the root {describe(path[-1])}, which the other side does not need",
            "nothing has to change; without it each handshake is a little smaller",
            {"root": describe(path[-1])},
        )


def climbed(chain: tuple[x509.Certificate, ...]) -> list[x509.Certificate]:
    """What of a chain leads from its first certificate upwards, by name, a signature deciding between certificates of one name."""
    path = [chain[0]]
    while len(path) <= len(chain):
        above = [c for c in chain if same_name(c.subject, path[-1].issuer) and c not in path]
        if not above:
            break
        path.append(next((c for c in above if signed_by(path[-1], c)), above[0]))
    return path


def _disordered(
    chain: tuple[x509.Certificate, ...], path: list[x509.Certificate], side: Side, where: str, *, first: bool
) -> Finding:
    expected, got = [describe(c) for c in path], [describe(c) for c in chain]
    why = (
        f"programs take {got[0]} for their own certificate, and the key does not fit it"
        if first
        else "OpenSSL and Go sort it out, other programs refuse"
    )
    return found(
        "chain_disordered",
        "error" if first else "warning",
        side,
        f"{where}: expected {' > '.join(expected)}, got {' > '.join(got)}: {why}",
        f"write the blocks in this order: {', '.join(expected)}",
        {"expected": expected, "presented": got},
        also=("key_mismatch",) if first else (),
    )
