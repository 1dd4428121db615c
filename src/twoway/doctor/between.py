"""Whether it is the server itself that answers: a proxy, an inspecting firewall, another site, or an older self of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cryptography import x509

from twoway.credential import describe, display_name, fingerprint_of, key_type_of, printable
from twoway.doctor.codes import found
from twoway.doctor.finding import Finding
from twoway.doctor.material import Material
from twoway.doctor.order import leaf_first
from twoway.doctor.paths import climb

if TYPE_CHECKING:
    from twoway.doctor.probe import Observed

# How products that end TLS on the way to look inside call the authorities with which they sign.
_INSPECTORS = re.compile(
    r"\b(zscaler|netskope|fortinet|fortigate|palo ?alto|blue ?coat|proxysg|sophos|mitmproxy|portswigger|charles proxy|"
    r"fiddler|do_not_trust|kaspersky|avast|avg|eset ssl filter|bitdefender|cisco umbrella|mcafee|forcepoint|websense|"
    r"barracuda|checkpoint|check point|untangle|watchguard|sonicwall|squid|"
    r"(tls|ssl|https|web)[ -]?(inspect\w*|intercept\w*|decrypt\w*|proxy|forward)|man.in.the.middle)\b",
    re.I,
)


def answers_for_another(observed: Observed, client: Material, server: Material | None) -> list[Finding]:
    """What the certificate that was shown, and the HTTP answer, say about who has answered."""
    seen = observed.showing
    shown = leaf_first(seen.presented)[0] if seen is not None and seen.presented else None
    findings: list[Finding] = []
    if shown is not None and server is not None and server.chain:
        own = leaf_first(server.chain, server.key)[0]
        findings += _not_its_own(observed, shown, own, client)
    if shown is not None and not findings:
        findings += _inspected(client)
    return findings + list(_passed_on(observed))


def _not_its_own(
    observed: Observed, shown: x509.Certificate, own: x509.Certificate, client: Material
) -> Iterator[Finding]:
    if shown == own:
        return
    name = observed.target.name
    evidence: dict[str, object] = {
        "expected": f"{describe(own)}, issued by {display_name(own.issuer)}, SHA-256 {fingerprint_of(own)[:16]}…",
        "presented": f"{describe(shown)}, issued by {display_name(shown.issuer)}, SHA-256 {fingerprint_of(shown)[:16]}…",
    }
    unnamed = observed.unnamed.presented if observed.unnamed is not None else ()
    if own in unnamed[:1]:
        yield found(
            "wrong_virtual_host",
            "error",
            "client",
            f"under the name {name} another certificate is shown than the server's files have; without a name it is the "
            "files' own: they are two sites on one address",
            "call the site by its own name: --server-name NAME",
            evidence,
            also=("hostname_mismatch", "middlebox"),
        )
    elif shown.issuer == own.issuer and shown.subject == own.subject:
        yield from _older(observed, shown, own, evidence)
    elif shown.issuer != own.issuer:
        asked = observed.asking is not None
        trusted = _trusted(client)
        how = "" if asked else ", and nobody asks for a client certificate"
        yield found(
            "middlebox",
            "warning" if trusted and asked else "error",
            "network",
            f"the certificate that answers at {observed.target} is not the one of the server's files, and of another "
            f"authority{how}: something between ends TLS (a proxy, a load balancer, an inspecting firewall), or another "
            "server listens there",
            "have what stands there pass TLS through untouched, or make it the end of mutual TLS itself and pass the "
            "identity on; ask whoever runs the network",
            evidence,
            also=("wrong_virtual_host", "not_reloaded", "unknown_authority"),
            likelihood=1.0,
        )


def _older(
    observed: Observed, shown: x509.Certificate, own: x509.Certificate, evidence: dict[str, object]
) -> Iterator[Finding]:
    """The same name of the same authority: before a renewal, unless the two are of two key types, side by side."""
    if shown.not_valid_after_utc >= own.not_valid_after_utc:
        return
    if key_type_of(shown.public_key()) != key_type_of(own.public_key()):
        return
    evidence["expected"] = f"{evidence['expected']}, until {own.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC"
    evidence["presented"] = (
        f"{evidence['presented']}, until {shown.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC"
    )
    yield found(
        "not_reloaded",
        "warning",
        "server",
        f"the server at {observed.target} presents an older certificate of {describe(own)} than its files have: it was "
        "renewed on disk and not reloaded",
        "reload the server (nginx -s reload; Node and Go need a restart or code that reloads)",
        evidence,
        also=("certificate_expired", "middlebox"),
        likelihood=1.0,
    )


def _trusted(client: Material) -> bool:
    chain = leaf_first(client.presented)
    return bool(client.anchors) and climb(chain[0], chain[1:], client.anchors or (), client.clock).anchored


def _inspected(client: Material) -> Iterator[Finding]:
    """A certificate signed by an authority that calls itself an inspector's."""
    for certificate in client.presented:
        named = _INSPECTORS.search(display_name(certificate.issuer))
        if named is None:
            continue
        trusted = _trusted(client)
        issuer = printable(display_name(certificate.issuer))
        yield found(
            "middlebox",
            "info" if trusted else "error",
            "network",
            f"the server's certificate is signed by {issuer}: by its name an authority of something that opens TLS on the "
            "way to look inside; a client certificate does not get past it",
            "have the address of the server excepted from inspection, or run the client where nothing inspects; do not "
            "trust this authority for it",
            {
                "expected": "the server's own certificate",
                "presented": f"{describe(certificate)}, issued by {issuer}",
            },
            also=("unknown_authority",),
            likelihood=0.99,
        )
        return


def _passed_on(observed: Observed) -> Iterator[Finding]:
    """RFC 9110 §7.6.3: who passes an answer on says so in Via."""
    for seen in observed.all:
        via = seen.header("via") or seen.header("x-squid-error")
        if via is None:
            continue
        asked = observed.asking is not None
        yield found(
            "middlebox",
            "info",
            "network",
            f"an HTTP intermediary has passed the answer on (Via: {via})"
            + (
                ""
                if asked
                else ": it may be what ends TLS here, and a server behind it never sees a certificate"
            ),
            "nothing, if it asks for the certificate itself and passes the identity on (RFC 9440); else have TLS passed "
            "through it untouched",
            {"via": via, "http_status": seen.status},
        )
        return
