"""Whether every certificate of the path may be used for this: key usage, extended key usage, being a CA."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from twoway.credential import describe, is_self_issued
from twoway.doctor.case import Case
from twoway.doctor.codes import found
from twoway.doctor.finding import Finding

_NETSCAPE_TYPE = x509.ObjectIdentifier("2.16.840.1.113730.1.1")
_NAMES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.CODE_SIGNING: "codeSigning",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "emailProtection",
    ExtendedKeyUsageOID.TIME_STAMPING: "timeStamping",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSPSigning",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "anyExtendedKeyUsage",
}


def usages_of(certificate: x509.Certificate) -> tuple[str, ...] | None:
    """The extended key usages by name; None where there is no such extension, which allows everything."""
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return None
    return tuple(_NAMES.get(usage, usage.dotted_string) for usage in usages)


def purposes(case: Case) -> Iterator[Finding]:
    """The leaf's purpose, then each issuer's."""
    yield from _leaf(case)
    below = 0
    for issuer in case.issuers:
        yield from _issuer(case, issuer)
        yield from _path_length(case, issuer, below)
        # RFC 5280 §4.2.1.9: self-issued intermediates do not count.
        below += 0 if is_self_issued(issuer) else 1


def _leaf(case: Case) -> Iterator[Finding]:
    leaf, usages = case.leaf, usages_of(case.leaf)
    name = describe(leaf)
    if usages is not None and case.wanted not in usages:
        # RFC 5280 §4.2.1.12 lets anyExtendedKeyUsage be refused: OpenSSL does, Go and Java do not.
        whatever = "anyExtendedKeyUsage" in usages
        yield found(
            "wrong_purpose",
            "warning" if whatever else "error",
            case.holder,
            f"the certificate of {name} is presented as a {case.holder}'s and its extended key usage has "
            f"{', '.join(usages) or 'nothing'} only: {case.wanted} is missing"
            + (
                ", and OpenSSL (Python, nginx, Node) does not take anyExtendedKeyUsage for it"
                if whatever
                else ""
            )
            + " (RFC 5280 §4.2.1.12)",
            f"issue it anew with {case.wanted}: twoway ca issue {case.holder} {name} (or peer, for both)",
            {"certificate": name, "expected": case.wanted, "presented": list(usages)},
        )
    kinds = _netscape(leaf)
    if kinds is not None and case.holder not in kinds:
        yield found(
            "wrong_purpose",
            "error",
            case.holder,
            f"the certificate of {name} has the old extension nsCertType, which allows {', '.join(kinds) or 'nothing'} only; "
            "OpenSSL still obeys it",
            f"issue it anew without nsCertType, with the extended key usage {case.wanted}",
            {"certificate": name, "expected": case.holder, "presented": list(kinds)},
        )
    usage = _key_usage(leaf)
    if usage is not None and not usage.digital_signature:
        # OpenSSL lets a client's key agreement pass, and a server's key encipherment; nobody signs with it.
        lenient = usage.key_agreement or (case.holder == "server" and usage.key_encipherment)
        yield found(
            "key_usage_unfit",
            "warning" if lenient else "error",
            case.holder,
            f"the key usage of {name} lacks digitalSignature, with which a {case.holder} proves its key",
            "issue it anew with the key usage digitalSignature (RFC 5280 §4.2.1.3)",
            {"certificate": name, "expected": "digitalSignature", "presented": _shown(usage)},
        )


def _netscape(certificate: x509.Certificate) -> tuple[str, ...] | None:
    """What Netscape's certificate type allows, as a BIT STRING of client, server and more; None without it."""
    try:
        found = certificate.extensions.get_extension_for_oid(_NETSCAPE_TYPE).value
    except x509.ExtensionNotFound:
        return None
    value = found.value if isinstance(found, x509.UnrecognizedExtension) else b""
    bits = value[3] if len(value) == 4 and value[:2] == b"\x03\x02" else 0
    return tuple(kind for kind, bit in (("client", 0x80), ("server", 0x40)) if bits & bit)


def _issuer(case: Case, issuer: x509.Certificate) -> Iterator[Finding]:
    name, usages = describe(issuer), usages_of(issuer)
    blame = case.judge if case.is_anchor(issuer) else case.holder
    if usages is not None and case.wanted not in usages:
        yield found(
            "intermediate_wrong_purpose",
            "error",
            blame,
            f"the authority {name} above {describe(case.leaf)} has the extended key usage {', '.join(usages)}: "
            f"that excludes {case.wanted} for everything below it",
            f"have {name} issued anew without an extended key usage, or with {case.wanted} too, and the leaf by "
            "an authority that allows it",
            {"certificate": name, "expected": case.wanted, "presented": list(usages)},
        )
    constraints = _basic_constraints(issuer)
    usage = _key_usage(issuer)
    why = None
    if constraints is None:
        why = "it has no basicConstraints"
    elif not constraints.ca:
        why = "its basicConstraints say CA:FALSE"
    elif usage is not None and not usage.key_cert_sign:
        why = "its key usage lacks keyCertSign"
    if why is not None:
        yield found(
            "not_an_authority",
            "error",
            blame,
            f"{name} stands above {describe(case.leaf)} as an issuer and is no authority: {why}",
            f"have {describe(case.leaf)} issued by a real authority (CA:TRUE and keyCertSign)",
            {"certificate": name, "expected": "CA:TRUE and keyCertSign", "presented": why},
        )


def _path_length(case: Case, issuer: x509.Certificate, below: int) -> Iterator[Finding]:
    constraints = _basic_constraints(issuer)
    if constraints is None or constraints.path_length is None or below <= constraints.path_length:
        return
    name = describe(issuer)
    yield found(
        "path_length_exceeded",
        "error",
        case.judge if case.is_anchor(issuer) and not case.is_root(issuer) else case.holder,
        f"{name} allows {constraints.path_length} authorities below it (pathLenConstraint), and there are {below}",
        f"have the authority below {name} issue the leaf itself, or have {name} issued with a longer path length",
        {"certificate": name, "expected": f"at most {constraints.path_length}", "presented": below},
    )


def _basic_constraints(certificate: x509.Certificate) -> x509.BasicConstraints | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return None


def _key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def _shown(usage: x509.KeyUsage) -> list[str]:
    bits = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign")
    return [bit for bit in bits if getattr(usage, bit)]
