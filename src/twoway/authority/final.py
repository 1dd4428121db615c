"""The last look: policy judges the certificate exactly as it will be signed, not the request that led to it.

It reads everything from the finished object, so that whatever put a name, a key or a bit there is caught.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509

from twoway.authority import whereabouts
from twoway.authority.cas import Ca
from twoway.authority.certificates import purposes
from twoway.authority.constraints import Constraints
from twoway.authority.profiles import RESPONDER, Profile
from twoway.authority.refusals import KeyNotAccepted, LifetimeRefused, NameNeeded, NameRefused
from twoway.credential import common_name, key_type_of
from twoway.names import guess_kind


def judge(certificate: x509.Certificate, profile: Profile, issuer: Ca, public_url: str | None = None) -> None:
    """Let a leaf pass, or say why not.

    `certificate` holds the very bytes that will be signed, without a signature yet. Raises KeyNotAccepted,
    NameRefused, NameNeeded and LifetimeRefused; ValueError if it is not what a profile can ask for at all, which
    would be a fault of ours.
    """
    extensions = {type(extension.value): extension.value for extension in certificate.extensions}
    _judge_powers(extensions, profile, issuer, public_url)
    _judge_lifetime(certificate, issuer.certificate)
    kind = key_type_of(certificate.public_key())
    if kind not in profile.key_types:
        raise KeyNotAccepted(kind, profile.key_types)
    names = _alternative_names(extensions[x509.SubjectAlternativeName], certificate)
    subject = common_name(certificate.subject)
    for name_kind, value in names:
        judge_name(name_kind, value, profile, issuer.limits)
    if subject is not None:
        _judge_common_name(subject, names, profile, issuer.limits)
    _judge_presence(names, profile)


def _judge_powers(extensions: dict[type, Any], profile: Profile, issuer: Ca, public_url: str | None) -> None:
    pointers = whereabouts.extensions(public_url, issuer.certificate) if public_url else ()
    expected = {*_EXTENSIONS, *map(type, pointers), *([x509.OCSPNoCheck] if profile is RESPONDER else [])}
    if extensions.keys() != expected:
        names = ", ".join(sorted(each.__name__ for each in extensions.keys() ^ expected))
        raise ValueError(f"a leaf with other extensions than every leaf has: {names}")
    if any(extensions[type(each)] != each for each in pointers):
        raise ValueError("a leaf that sends its verifiers elsewhere")
    usage = extensions[x509.KeyUsage]
    if extensions[x509.BasicConstraints].ca or usage.key_cert_sign or usage.crl_sign:
        raise ValueError("a leaf with the powers of a CA")
    if extensions[x509.ExtendedKeyUsage] != purposes(profile):
        raise ValueError("an extended key usage that the profile does not have")


def _judge_lifetime(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    if certificate.not_valid_after_utc > issuer.not_valid_after_utc:
        raise LifetimeRefused(certificate.not_valid_after_utc, issuer.not_valid_after_utc, "the issuing CA")
    if certificate.not_valid_before_utc < issuer.not_valid_before_utc:
        raise ValueError("a leaf that is valid before its issuer")


def _alternative_names(
    alternatives: x509.SubjectAlternativeName, certificate: x509.Certificate
) -> list[tuple[str, str]]:
    names = []
    for name in alternatives:
        kind = _KINDS.get(type(name))
        if kind is not None:
            names.append((kind, str(name.value)))
        elif len(alternatives) > 1 or name != x509.DirectoryName(certificate.subject):
            raise NameRefused(
                type(name).__name__, str(name.value), "no certificate carries names of this kind"
            )
    return names


def judge_name(kind: str, value: str, profile: Profile, limits: Constraints) -> None:
    """Raise NameRefused for an alternative name that the profile or the CA's name constraints do not have.

    For those who want to know before there is anything to sign; `judge` asks again.
    """
    if kind == "dns" and "*" in value and not profile.wildcards:
        raise NameRefused(kind, value, f"the profile {profile.name} has no wildcards")
    if profile.names is not None and not profile.names.allows(kind, value):
        patterns = getattr(profile.names, kind)
        allows = ", ".join(patterns) if patterns else "none of this kind"
        raise NameRefused(kind, value, f"the profile {profile.name} allows {allows}")
    if objection := limits.objection(kind, value):
        raise NameRefused(kind, value, objection)


def _judge_common_name(
    subject: str, names: list[tuple[str, str]], profile: Profile, limits: Constraints
) -> None:
    if any(value == subject for _, value in names):
        return  # judged already, as what it is
    if profile.names is not None and not profile.names.allows("cn", subject):
        allows = ", ".join(profile.names.cn) or "one of the certificate's alternative names"
        raise NameRefused("common", subject, f"the profile {profile.name} allows {allows}")
    # A common name that reads like another kind of name is taken for one by some verifiers.
    kind = guess_kind(subject)
    if kind == "dns" and "." not in subject:
        return
    if kind != "text" and (objection := limits.objection(kind, subject.lower())):
        raise NameRefused("common", subject, objection)


def _judge_presence(names: list[tuple[str, str]], profile: Profile) -> None:
    kinds = {kind for kind, _ in names}
    for kind in profile.require:
        if kind not in kinds:
            raise NameNeeded(profile.name, f"a name of kind {kind}")
    if "server" in profile.purpose and not kinds & {"dns", "ip", "uri"}:
        # RFC 9525 §6.1: a client looks for the host among the alternative names and nowhere else.
        raise NameNeeded(profile.name, "a DNS name, an IP address or a URI to be found by")
    uris = [value for kind, value in names if kind == "uri"]
    if len(uris) > 1 and any(uri.lower().startswith("spiffe:") for uri in uris):
        # X509-SVID §2: exactly one URI, or verifiers must refuse the certificate.
        raise NameRefused("uri", uris[1], "a certificate with a SPIFFE ID has no second URI")


_KINDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "dns",
    x509.IPAddress: "ip",
    x509.UniformResourceIdentifier: "uri",
    x509.RFC822Name: "email",
}

_EXTENSIONS = {
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectKeyIdentifier,
    x509.AuthorityKeyIdentifier,
    x509.SubjectAlternativeName,
}
