"""How fast an authority issues, revokes and publishes, with everything durably on the disk.

    python -m bench.issuance [--seconds 3] [--revoked 100000] [--json]

Issuing: signing requests (P-256, verified) become certificates in a SQLite store with `synchronous=FULL`, each with
its audit row, from 1 to 64 threads of one process.
`cryptography_alone` is what the machine could do at that moment: read a request, verify it, sign a certificate with
the library's builder; no policy, no store, one thread.
Revoking and publishing: with that many certificates issued and revoked already, all of them in the audit log.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sqlite3
import ssl
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import cryptography
import sqlalchemy
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy import select, update

from twoway.authority import Authority, schema
from twoway.authority.transaction import Transaction

THREADS = (1, 8, 16, 64)


def issue(authority: Authority, threads: int, seconds: float) -> float:
    """Certificates a second."""
    request = signing_request()
    counts = [0] * threads
    begin = threading.Barrier(threads + 1)
    stop = threading.Event()

    def work(index: int) -> None:
        begin.wait()
        while not stop.is_set():
            authority.sign(request, profile="client")
            counts[index] += 1

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    begin.wait()
    started = time.perf_counter()
    time.sleep(seconds)
    stop.set()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - started)


def signing_request() -> bytes:
    """One P-256 request with a DNS name; the authority verifies it each time."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "orders.acme.example")])
    names = x509.SubjectAlternativeName([x509.DNSName("orders.acme.example")])
    builder = x509.CertificateSigningRequestBuilder(name).add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def alone(authority: Authority, seconds: float) -> float:
    """Certificates a second, by `cryptography` and nothing else."""
    request, count, started = signing_request(), 0, time.perf_counter()
    key = ec.generate_private_key(ec.SECP256R1())
    issuer, now = authority.issuing_certificate.subject, datetime.datetime.now(datetime.UTC)
    while time.perf_counter() - started < seconds:
        asked = x509.load_pem_x509_csr(request)
        assert asked.is_signature_valid
        public = asked.public_key()
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (
            x509.CertificateBuilder(issuer, asked.subject, public, x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=90))
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
            )
            .add_extension(names, critical=False)
            .sign(key, hashes.SHA256())
        )
        count += 1
    return count / (time.perf_counter() - started)


def revoke_in_bulk(authority: Authority, number: int) -> None:
    """As many certificates revoked as are given, each issued as ever; rows and audit are written together.

    One transaction for all revocations: what a revocation costs is measured afterwards, one at a time.
    """
    request, missing = signing_request(), number - len(authority.list(state="valid"))
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: authority.sign(request, profile="client"), range(missing)))
    now = datetime.datetime.now(datetime.UTC)
    reasons = ("keyCompromise", "superseded", "unspecified", "cessationOfOperation")

    def work(transaction: Transaction) -> None:
        leaves, issuers = schema.certificates.c, schema.issuers
        wanted = select(leaves.serial, leaves.issuer, leaves.not_after).limit(number)
        rows = transaction.read(wanted.where(leaves.profile == "client")).all()
        for turn, row in enumerate(rows):
            facts = {**row._asdict(), "revoked_at": int(now.timestamp()), "reason": reasons[turn % 4]}
            transaction.add(schema.revocations, **facts)
            transaction.record("revoke", row.serial, actor="bench", at=now, reason=facts["reason"])
        changed = update(issuers).where(issuers.c.id == rows[0].issuer)
        transaction.execute(changed.values(changes=issuers.c.changes + len(rows)))

    authority.store.write(work)
    with closing(sqlite3.connect(authority.directory / "authority.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the bulk's own debt, not a revocation's


def revoke(authority: Authority, number: int = 50) -> list[float]:
    """Milliseconds of each of some revocations."""
    took = []
    for turn in range(number):
        authority.issue_client(f"client-{turn}")
        started = time.perf_counter()
        authority.revoke(f"client-{turn}", "keyCompromise")
        took.append((time.perf_counter() - started) * 1000)
    return took


def publish(authority: Authority) -> tuple[float, int]:
    """Seconds for a new CRL, and its size in bytes."""
    started = time.perf_counter()
    crl = authority.crls()[0]
    return time.perf_counter() - started, len(crl)


def measure(seconds: float, revoked: int) -> dict[str, object]:
    report: dict[str, object] = {
        "versions": {
            "python": platform.python_version(),
            "cryptography": cryptography.__version__,
            "sqlalchemy": sqlalchemy.__version__,
            "sqlite": sqlite3.sqlite_version,
            "openssl_of_python": ssl.OPENSSL_VERSION,
            "cpus": os.cpu_count(),
        }
    }
    with (
        tempfile.TemporaryDirectory() as directory,
        Authority.create(Path(directory) / "pki", name="Bench", no_passphrase=True) as authority,
    ):
        issue(authority, 2, 0.3)
        report["cryptography_alone"] = round(alone(authority, seconds))
        report["issued_per_second"] = {
            str(threads): round(issue(authority, threads, seconds)) for threads in THREADS
        }
        revoke_in_bulk(authority, revoked)
        took = revoke(authority)
        report["revoked_before"] = revoked
        report["revoke_ms"] = {"median": round(statistics.median(took), 2), "worst": round(max(took), 2)}
        seconds_for_crl, size = publish(authority)
        report["crl"] = {"seconds": round(seconds_for_crl, 2), "bytes": size}
        started = time.perf_counter()
        checked = authority.verify_audit()
        report["audit"] = {"rows": checked.rows, "seconds": round(time.perf_counter() - started, 2)}
    return report


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of issuing, for each number of threads")
    parser.add_argument("--revoked", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    report = measure(options.seconds, options.revoked)
    if options.json:
        print(json.dumps({"at": datetime.datetime.now(datetime.UTC).isoformat(), **report}, indent=2))
        return
    for name, value in report.items():
        shown = (
            ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else value
        )
        print(f"{name:<18} {shown}")


if __name__ == "__main__":
    main(sys.argv[1:])
