"""A server of ours that says whom it sees, and identity directories for those who call it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.server.conftest import Ledger, tell
from tests.tls.conftest import Pki, pki
from twoway.server import background

__all__ = ["pki"]


@pytest.fixture
def server(pki: Pki) -> Iterator[str]:
    with background(tell, identity=pki.server, journal=Ledger()) as running:
        yield f"https://localhost:{running.port}/"


@pytest.fixture
def workplace(pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which the test runs, with the identities "orders", "billing" and "api"."""
    pki.client.save(tmp_path / "orders")
    pki.issuing.leaf("billing").save(tmp_path / "billing")
    pki.server.save(tmp_path / "api")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _who(request: bytes, context: grpc.ServicerContext) -> bytes:
    """The fingerprint of the caller's certificate."""
    pem = context.auth_context()["x509_pem_cert"][0]
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex().encode()


@pytest.fixture
def grpc_port(pki: Pki) -> Iterator[int]:
    """The port of a gRPC server with one method, /acme.Orders/Who."""
    served = grpc.server(futures.ThreadPoolExecutor(8))
    handler = grpc.unary_unary_rpc_method_handler(_who)
    served.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("acme.Orders", {"Who": handler})])
    shown = (pki.server.key_pem(), pki.server.certificate_pem())
    root = pki.root.certificate.public_bytes(Encoding.PEM)
    port = served.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([shown], root, True))
    served.start()
    yield port
    served.stop(0).wait()
