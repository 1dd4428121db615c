"""Every refusal that a client and a server of twoway can meet, on demand: for tests of what your code does then.

The names are the codes of docs/failures.md.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from twoway.client import Client
from twoway.credential import Credential
from twoway.errors import TwowayError
from twoway.testing.company import Company
from twoway.testing.issuer import Issuer
from twoway.testing.served import serving
from twoway.tls import Refusal
from twoway.trust import Trust

By = Literal["server", "client"]


@dataclass(frozen=True)
class Setup:
    """What has to be wrong: options of the server, and of the client that calls it.

    `instead` stands in the server's place: it gets each connection as a plain socket, or nobody listens at all.
    """

    server: dict[str, Any]
    client: dict[str, Any]
    instead: Callable[[socket.socket], None] | Literal["nobody"] | None = None


@dataclass(frozen=True)
class Failed:
    """How it went: what the caller's code got, and what the server wrote down where it was the one to refuse."""

    code: str
    error: TwowayError
    refusal: Refusal | None


@dataclass(frozen=True)
class Failure:
    """One failure: its code, who refuses, and how it is brought about."""

    code: str
    by: By
    build: Callable[[Company], Setup]

    def happen(self, company: Company) -> Failed:
        """Bring it about on real sockets; what the caller's code gets is returned, not raised."""
        setup = self.build(company)
        if setup.instead is not None:
            with _instead(setup.instead) as port:
                return Failed(self.code, _error_of(Client(**setup.client), port), None)
        with serving(company, **setup.server) as served:
            error = _error_of(served.client(**setup.client), served.port)
            return Failed(self.code, error, served.refusal() if self.by == "server" else None)


def _error_of(client: Client, port: int) -> TwowayError:
    try:
        with client:
            client.get(f"https://localhost:{port}/")
    except TwowayError as error:
        return error
    raise AssertionError("the call went well")


@contextlib.contextmanager
def _instead(answer: Callable[[socket.socket], None] | Literal["nobody"]) -> Iterator[int]:
    """A port of loopback where each connection is answered like that, or where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
        if answer == "nobody":
            listener.close()
            yield port
            return

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as sock:
                        answer(sock)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield port
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


FAILURES: dict[str, Failure] = {}


def _failure(code: str, by: By) -> Callable[[Callable[[Company], Setup]], Callable[[Company], Setup]]:
    def registered(build: Callable[[Company], Setup]) -> Callable[[Company], Setup]:
        FAILURES[code] = Failure(code, by, build)
        return build

    return registered


def _shown(identity: Credential | None, **server: Any) -> Setup:
    return Setup(server, {"identity": identity})


def _below(company: Company, issuer: Issuer, **leaf: Any) -> Credential:
    """A client of this issuer that believes the company."""
    return company.believed_by(issuer.leaf("client", **leaf))


@_failure("no_certificate", "server")
def _no_certificate(company: Company) -> Setup:
    return _shown(None)


@_failure("unknown_authority", "server")
def _unknown_authority(company: Company) -> Setup:
    return _shown(company.stranger)


@_failure("missing_intermediate", "server")
def _missing_intermediate(company: Company) -> Setup:
    # A CA that the server has never seen: whoever issued the server's own certificate it knows without being told.
    elsewhere = company.root.below("Acme Partners CA").leaf("client")
    return _shown(Credential(elsewhere.private_key, elsewhere.chain[:1], elsewhere.anchors))


@_failure("certificate_expired", "server")
def _certificate_expired(company: Company) -> Setup:
    return _shown(company.expired)


@_failure("certificate_not_yet_valid", "server")
def _certificate_not_yet_valid(company: Company) -> Setup:
    return _shown(company.client(start=1, days=30))


@_failure("certificate_revoked", "server")
def _certificate_revoked(company: Company) -> Setup:
    return _shown(company.revoked)


@_failure("wrong_purpose", "server")
def _wrong_purpose(company: Company) -> Setup:
    return _shown(company.client(purpose="server"))


@_failure("not_allowed", "server")
def _not_allowed(company: Company) -> Setup:
    return _shown(company.client("billing"), allow=("cn=orders",))


@_failure("name_constraint_violated", "server")
def _name_constraint_violated(company: Company) -> Setup:
    limits = x509.NameConstraints([x509.DNSName("acme.example")], None)
    narrow = company.root.below("Narrow CA", constraints=limits)
    return _shown(_below(company, narrow, dns=("orders.globex.example",)), trust=company.trust())


@_failure("not_an_authority", "server")
def _not_an_authority(company: Company) -> Setup:
    leaf = company.client("no CA")
    impostor = Issuer(leaf.private_key, leaf.leaf, (company.issuing.certificate, company.root.certificate))
    return _shown(_below(company, impostor))


@_failure("not_strict", "server")
def _not_strict(company: Company) -> Setup:
    return _shown(company.client(without=("aki",)))


@_failure("bad_signature", "server")
def _bad_signature(company: Company) -> Setup:
    good = company.client()
    der = bytearray(good.leaf.public_bytes(Encoding.DER))
    der[-1] ^= 1  # the last bit of the signature
    forged = x509.load_der_x509_certificate(bytes(der))
    return _shown(Credential(good.private_key, (forged, *good.chain[1:]), good.anchors))


@_failure("crl_missing", "server")
def _crl_missing(company: Company) -> Setup:
    return _shown(company.client(), trust=company.trust(crls=(company.root.crl(),)))


@_failure("crl_stale", "server")
def _crl_stale(company: Company) -> Setup:
    old = company.issuing.crl(start=-8, days=-1), company.root.crl()
    return _shown(company.client(), trust=company.trust(crls=old))


@_failure("hostname_mismatch", "client")
def _hostname_mismatch(company: Company) -> Setup:
    return Setup({"identity": company.server("api.acme.example")}, {"identity": company.client()})


@_failure("server_certificate_expired", "client")
def _server_certificate_expired(company: Company) -> Setup:
    """The same code on the other side: `certificate_expired` of the server's certificate."""
    return Setup({"identity": company.server(start=-30, days=-1)}, {"identity": company.client()})


@_failure("server_unknown_authority", "client")
def _server_unknown_authority(company: Company) -> Setup:
    """`unknown_authority`, where the caller does not believe the server."""
    elsewhere = Trust((Issuer.root("Globex Root CA").certificate,))
    return Setup({}, {"identity": company.client(), "trust": elsewhere})


@_failure("server_certificate_revoked", "client")
def _server_certificate_revoked(company: Company) -> Setup:
    """`certificate_revoked`, of the server's certificate."""
    server = company.server()
    company.revoke(server)
    return Setup(
        {"identity": server}, {"identity": company.client(), "trust": company.trust(crls=company.crl())}
    )


@_failure("connection_refused", "client")
def _connection_refused(company: Company) -> Setup:
    return Setup({}, {"identity": company.client()}, "nobody")


@_failure("not_tls", "client")
def _not_tls(company: Company) -> Setup:
    """A server that speaks plain HTTP."""

    def plain(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    return Setup({}, {"identity": company.client()}, plain)


@_failure("connection_cut", "client")
def _connection_cut(company: Company) -> Setup:
    """Something that hangs up in the middle of the handshake, without an alert."""

    def cut(sock: socket.socket) -> None:
        sock.recv(65536)

    return Setup({}, {"identity": company.client()}, cut)
