"""A presented chain as links, each with a verdict: is it signed by the one above, is it valid, whom does it lead to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from twoway.credential import display_name, fingerprint_of, is_self_issued, key_type_of, names_of
from twoway.explainer.transcript import Link, Mark
from twoway.trust import Trust
from twoway.trust.reading import check_readable

_USAGES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "anyExtendedKeyUsage",
}
_WANTED = {"client": "clientAuth", "server": "serverAuth"}


def links_of(
    ders: Sequence[bytes],
    side: str,
    *,
    at: datetime,
    trust: Trust | None,
    accepted: Collection[bytes] = (),
) -> tuple[Link, ...]:
    """The chain as presented, leaf first, and the anchor above it when `trust` has it.

    `at` is when the handshake was, `accepted` the names (DER) that the other side said it accepts. Without `trust` nothing is said about whether the top is believed. Names,
    revocation and policy are not judged here.
    """
    certificates = [_read(der) for der in ders]
    readable = [certificate for certificate in certificates if certificate is not None]
    anchors = trust.anchors if trust is not None else ()
    links: list[Link] = []
    for index, (der, certificate) in enumerate(zip(ders, certificates, strict=True)):
        if certificate is None:
            links.append(_unreadable(der, index))
            continue
        mark, because = _verdict(certificate, readable, anchors, side if index == 0 else None, at)
        if mark == "unknown" and accepted:
            with suppress(ValueError):  # a name in the request that cannot be read decides nothing
                mark, because = _by_name(certificate, accepted)
        links.append(_link(certificate, _role(certificate, index, anchors), mark, because))
    top = readable[-1] if readable else None
    above = _anchor_above(top, anchors) if top is not None else None
    if above is not None:
        mark, because = _dates(above, at)
        links.append(_link(above, "anchor", mark, "trusted here" if mark == "ok" else because))
    return tuple(links)


def _read(der: bytes) -> x509.Certificate | None:
    try:
        certificate = x509.load_der_x509_certificate(der)
        check_readable([certificate])
    except Exception:  # noqa: BLE001 - the parser raises many kinds; all mean the same here
        return None
    return certificate


def _role(certificate: x509.Certificate, index: int, anchors: Sequence[x509.Certificate]) -> str:
    if index == 0:
        return "leaf"
    if certificate in anchors:
        return "anchor"
    return "root" if is_self_issued(certificate) else "intermediate"


def _verdict(
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    side: str | None,
    at: datetime,
) -> tuple[Mark, str]:
    mark, because = _dates(certificate, at)
    if mark == "bad":
        return mark, because
    if side is not None and (missing := _missing_usage(certificate, side)):
        return "bad", missing
    if certificate in anchors:
        return "ok", "trusted here"
    issuer = next((one for one in (*chain, *anchors) if _issued(one, certificate)), None)
    if issuer is not None and issuer != certificate:
        return "ok", f"signed by {display_name(issuer.subject)}"
    if any(one.subject == certificate.issuer and one != certificate for one in (*chain, *anchors)):
        return "bad", f"not signed by the key of {display_name(certificate.issuer)} that is at hand"
    if is_self_issued(certificate):
        return (
            ("bad", "signed by itself, and not trusted here") if anchors else ("unknown", "signed by itself")
        )
    if anchors:
        return "bad", f"its issuer {display_name(certificate.issuer)} is neither in the chain nor trusted"
    return "unknown", f"its issuer {display_name(certificate.issuer)} is not in the chain"


def _by_name(certificate: x509.Certificate, accepted: Collection[bytes]) -> tuple[Mark, str]:
    """What the names say that the other side accepts; a name proves nothing, so this is never "ok"."""
    issuer = display_name(certificate.issuer)
    if certificate.issuer.public_bytes() in accepted:
        return "unknown", f"leads to {issuer}, which the other side says it accepts"
    names = [display_name(x509.Name.from_bytes(der)) for der in sorted(accepted)[:3]]
    more = f" and {len(accepted) - 3} more" if len(accepted) > 3 else ""
    return "bad", f"leads to {issuer}; the other side accepts {', '.join(names)}{more}"


def _dates(certificate: x509.Certificate, at: datetime) -> tuple[Mark, str]:
    if at > certificate.not_valid_after_utc:
        return "bad", f"expired {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if at < certificate.not_valid_before_utc:
        return "bad", f"not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    return "ok", ""


def _missing_usage(certificate: x509.Certificate, side: str) -> str:
    usages = _usages(certificate)
    wanted = _WANTED[side]
    if not usages or wanted in usages or "anyExtendedKeyUsage" in usages:
        return ""
    return f"for {', '.join(usages)} only, not for {wanted}"


def _usages(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(_USAGES.get(usage, usage.dotted_string) for usage in found)


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if issuer.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _signature_of(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return f"unknown ({certificate.signature_algorithm_oid.dotted_string})"
    return algorithm.name if algorithm is not None else "its own digest"


def _anchor_above(top: x509.Certificate, anchors: Sequence[x509.Certificate]) -> x509.Certificate | None:
    if top in anchors:
        return None
    return next((anchor for anchor in anchors if _issued(anchor, top)), None)


def _link(certificate: x509.Certificate, role: str, mark: Mark, because: str) -> Link:
    names = names_of(certificate)
    return Link(
        subject=display_name(certificate.subject) or "(no subject)",
        issuer=display_name(certificate.issuer),
        serial=f"{certificate.serial_number:x}",
        fingerprint=fingerprint_of(certificate),
        key_type=key_type_of(certificate.public_key()),
        signature=_signature_of(certificate),
        names=(*names.dns, *names.ip, *names.uri, *names.email),
        usages=_usages(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        role=role,  # type: ignore[arg-type]
        mark=mark,
        because=because,
        der=certificate.public_bytes(Encoding.DER),
    )


def _unreadable(der: bytes, index: int) -> Link:
    never = datetime.fromtimestamp(0, tz=UTC)
    return Link(
        subject="(unreadable)",
        issuer="?",
        serial="?",
        fingerprint=sha256(der).hexdigest(),
        key_type="?",
        signature="?",
        names=(),
        usages=(),
        not_before=never,
        not_after=never,
        role="leaf" if index == 0 else "intermediate",
        mark="bad",
        because="these bytes are no certificate that can be read",
        der=der,
    )
