"""What trust costs a connection: revocation by lists of 100,000, a policy of 1,000 rules, and the Peer."""

from __future__ import annotations

import datetime as dt
import time
import timeit

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.pki import NOW, Issuer
from twoway.trust import Peer, Policy, Trust, accept_verified, verify
from twoway.trust.rules import facts_of

ENTRIES, RULES = 100_000, 1_000


def large_list(issuer: Issuer) -> x509.CertificateRevocationList:
    entries = [
        x509.RevokedCertificateBuilder()
        .serial_number(x509.random_serial_number())
        .revocation_date(NOW - dt.timedelta(hours=1))
        .build()
        for _ in range(ENTRIES)
    ]
    builder = x509.CertificateRevocationListBuilder(
        issuer.certificate.subject, NOW - dt.timedelta(days=1), NOW + dt.timedelta(days=7), [], entries
    )
    return builder.sign(issuer.key, hashes.SHA256())


def micros(call: object) -> float:
    """The best of five runs of a thousand calls, a call, in µs."""
    return min(timeit.repeat(call, number=1000, repeat=5)) * 1000  # type: ignore[arg-type]


def main() -> None:
    root = Issuer.root("Root")
    issuing = root.below("Issuing")
    chain = issuing.leaf("orders", uri=("spiffe://acme.example/orders",)).chain
    plain = Trust((root.certificate,))
    crls = (large_list(issuing), root.crl())
    began = time.perf_counter()
    listed = Trust((root.certificate,), crls)
    made = time.perf_counter() - began
    began = time.perf_counter()
    path = verify(chain, listed, purpose="client").certificates
    first = time.perf_counter() - began
    few = Policy.from_rules(allow=["uri=spiffe://acme.example/*"])
    many = Policy.from_rules(
        allow=[f"uri=spiffe://acme.example/service-{n}/**" for n in range(RULES - 1)]
        + ["uri=spiffe://acme.example/*"]
    )
    verified = accept_verified(path, listed, purpose="client", now=NOW)
    facts = facts_of(Peer.from_verified(verified))
    print(
        f"a trust with a list of {ENTRIES}: made in {made:.2f} s, first check {first:.2f} s (its signature, once)"
    )
    for label, call in (
        ("dates, no list", lambda: accept_verified(path, plain, purpose="client", now=NOW)),
        (f"dates and a list of {ENTRIES}", lambda: accept_verified(path, listed, purpose="client", now=NOW)),
        ("a policy of 1 rule", lambda: few.decide(facts)),
        (f"a policy of {RULES} rules", lambda: many.decide(facts)),
        ("the Peer", lambda: Peer.from_verified(verified)),
    ):
        print(f"{label:32}{micros(call):7.1f} us")


if __name__ == "__main__":
    main()
