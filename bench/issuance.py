"""How fast an authority issues, revokes and publishes, with everything durably on the disk.

    python -m bench.issuance [--seconds 3] [--revoked 100000] [--json]

Issuing: signing requests (P-256, verified) become certificates in a SQLite store with `synchronous=FULL`, each with
its audit row, from 1 to 64 threads of one process.
`cryptography_alone` is what the machine could do at that moment: read a request, verify it, sign a certificate with
the library's builder; no policy, no store, one thread.
Revoking and publishing: with that many certificates revoked already; those rows are inserted in bulk, without
certificates of their own.
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
from contextlib import closing
from pathlib import Path

import cryptography
import sqlalchemy
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from twoway.authority import Authority

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


def revoke_in_bulk(directory: Path, number: int) -> None:
    """As if so many certificates had been revoked over the last days."""
    now = int(time.time())
    reasons = ("keyCompromise", "superseded", "unspecified", "cessationOfOperation")
    rows = [
        (
            format(1 << 158 | int.from_bytes(os.urandom(19), "big"), "x"),
            now - n % 86400,
            reasons[n % 4],
            now + 10**7,
        )
        for n in range(number)
    ]
    with closing(sqlite3.connect(directory / "authority.db")) as connection, connection:
        connection.executemany(
            "INSERT INTO revocations (serial, issuer, revoked_at, reason, not_after) VALUES (?, 2, ?, ?, ?)",
            rows,
        )
        connection.execute("UPDATE issuers SET changes = changes + 1 WHERE id = 2")
        connection.commit()
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
        revoke_in_bulk(authority.directory, revoked)
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
