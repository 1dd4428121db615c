"""The rules that strict verification adds (X509_STRICT in Python 3.13, openssl -x509_strict; RFC 5280 §4).

Lenient programs let all of this pass, so it is an error only where the judge is known to be strict.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from cryptography import x509

from twoway.credential import describe, is_ca, is_self_issued
from twoway.doctor.case import Case
from twoway.doctor.codes import found
from twoway.doctor.finding import Finding

Kind = TypeVar("Kind", bound=x509.ExtensionType)
_MAX_SERIAL_BITS = 159  # RFC 5280 §4.1.2.2: at most 20 octets, and the first bit is the sign


def strictness(case: Case) -> Iterator[Finding]:
    """One finding for each certificate of the path that breaks a rule, with all the rules that it breaks."""
    path = case.path.certificates
    for position, certificate in enumerate(path):
        last = position + 1 == len(path) and (case.path.anchored or is_self_issued(certificate))
        broken = list(rules_broken(certificate, last=last))
        if not broken:
            continue
        name = describe(certificate)
        yield found(
            "not_strict",
            "error" if case.strict else "warning",
            case.judge if case.is_anchor(certificate) else case.holder,
            f"{name} breaks rules that strict verification asks for (twoway, Python 3.13, openssl -x509_strict): "
            f"{'; '.join(broken)}",
            f"have {name} issued anew; until then, lenient programs accept it",
            {"certificate": name, "judged_by": case.judge, "rules": broken},
        )


def rules_broken(certificate: x509.Certificate, *, last: bool) -> Iterator[str]:
    """What RFC 5280 has against one certificate; `last` is the end of a path, which needs no issuer's key."""
    yield from _number_and_version(certificate)
    extensions = certificate.extensions
    present = {extension.oid for extension in extensions}
    constraints = _extension(extensions, x509.BasicConstraints)
    usage = _extension(extensions, x509.KeyUsage)
    authority = is_ca(certificate)
    may_sign = usage is not None and usage.value.key_cert_sign
    if certificate.version is x509.Version.v3:
        # OpenSSL asks for it of every certificate but the last of the path (RFC 5280 §4.2.1.1).
        aki = _extension(extensions, x509.AuthorityKeyIdentifier)
        if not last and aki is None:
            yield "it has no authority key identifier (§4.2.1.1)"
        elif not last and aki is not None and aki.value.key_identifier is None:
            yield "its authority key identifier names no key (§4.2.1.1)"
        if authority and x509.SubjectKeyIdentifier.oid not in present:
            yield "it is a CA without a subject key identifier (§4.2.1.2)"
    if authority and constraints is not None and not constraints.critical:
        yield "its basicConstraints are not critical (§4.2.1.9)"
    if authority and usage is None:
        yield "it is a CA without a key usage (§4.2.1.3)"
    if not authority and may_sign:
        yield "its key usage has keyCertSign and it is no CA (§4.2.1.3)"
    if constraints is not None and constraints.value.path_length is not None and not may_sign:
        yield "it has a path length without keyCertSign (§4.2.1.9)"
    names = _extension(extensions, x509.SubjectAlternativeName)
    if not list(certificate.subject):
        if authority:
            yield "it is a CA without a subject (§4.1.2.6)"
        elif names is None or not names.critical:
            yield "it has no subject, and no critical subject alternative name in its place (§4.2.1.6)"
    if not list(certificate.issuer):
        yield "its issuer has no name (§4.1.2.4)"
    for identifier in (x509.AuthorityKeyIdentifier, x509.SubjectKeyIdentifier):
        extension = _extension(extensions, identifier)
        if extension is not None and extension.critical:
            yield f"its {identifier.oid._name} is critical (§4.2.1)"
    if names is not None and not list(names.value):
        yield "its subject alternative name is empty (§4.2.1.6)"


def _number_and_version(certificate: x509.Certificate) -> Iterator[str]:
    serial = certificate.serial_number
    if serial == 0:
        yield "its serial number is 0 (§4.1.2.2)"
    elif serial < 0:
        yield "its serial number is negative (§4.1.2.2)"
    elif serial.bit_length() > _MAX_SERIAL_BITS:
        yield "its serial number is longer than 20 octets (§4.1.2.2)"
    if certificate.version is not x509.Version.v3:
        yield "it is of version 1 and has no extensions (§4.1.2.1)"


def _extension(extensions: x509.Extensions, kind: type[Kind]) -> x509.Extension[Kind] | None:
    try:
        return extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
