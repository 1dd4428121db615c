"""A throw-away PKI for the engine's tests, and two ends that shake hands in memory or on sockets."""

from __future__ import annotations

import datetime as dt
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from twoway.credential import Credential, generate_key
from twoway.errors import TwowayError
from twoway.tls import ClientContext, ClientSettings, ServerContext, ServerSettings, Session, TlsSocket
from twoway.trust import Trust

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
BOTH = ("TLSv1.3", "TLSv1.2")


def _digest(key: Any) -> hashes.HashAlgorithm | None:
    unhashed = (
        ed25519.Ed25519PrivateKey,
        mldsa.MLDSA44PrivateKey,
        mldsa.MLDSA65PrivateKey,
        mldsa.MLDSA87PrivateKey,
    )
    return None if isinstance(key, unhashed) else hashes.SHA256()


@dataclass
class Issuer:
    """A CA of the tests: a key, a certificate, and what it has above it."""

    key: Any
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...] = ()

    @classmethod
    def root(cls, name: str, key_type: str = "p256", days: int = 3650) -> Issuer:
        key = generate_key(key_type)
        return cls(key, _certificate(name, key, None, ca=True, days=days))

    def below(self, name: str, key_type: str = "p256", days: int = 1000) -> Issuer:
        key = generate_key(key_type)
        certificate = _certificate(name, key, self, ca=True, path_length=0, days=days)
        return Issuer(key, certificate, (self.certificate, *self.above))

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """What a leaf of this issuer presents above itself: intermediates without the root."""
        return (self.certificate,) if self.above else ()

    @property
    def anchor(self) -> x509.Certificate:
        return self.above[-1] if self.above else self.certificate

    def leaf(
        self,
        name: str,
        *,
        dns: tuple[str, ...] = (),
        uri: tuple[str, ...] = (),
        purpose: str = "client",
        key_type: str = "p256",
        start: int = -1,
        days: int = 30,
        crls: tuple[x509.CertificateRevocationList, ...] = (),
    ) -> Credential:
        key = generate_key(key_type)
        certificate = _certificate(
            name, key, self, dns=dns or (name,), uri=uri, purpose=purpose, start=start, days=days
        )
        return Credential(key, (certificate, *self.chain), (self.anchor,), crls)

    def crl(
        self, *revoked: x509.Certificate, start: int = -1, days: int = 7
    ) -> x509.CertificateRevocationList:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(NOW + dt.timedelta(days=start))
            .next_update(NOW + dt.timedelta(days=days))
            .add_extension(x509.CRLNumber(1), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
        )
        for certificate in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(NOW - dt.timedelta(hours=1))
                .build()
            )
        return builder.sign(self.key, _digest(self.key))


def _certificate(
    name: str,
    key: Any,
    issuer: Issuer | None,
    *,
    ca: bool = False,
    path_length: int | None = None,
    dns: tuple[str, ...] = (),
    uri: tuple[str, ...] = (),
    purpose: str = "",
    start: int = -1,
    days: int = 30,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + dt.timedelta(days=start))
        .not_valid_after(NOW + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.BasicConstraints(ca, path_length), True)
        .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), True)
    )
    if issuer:
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
    if purpose:
        usages = {
            "server": [ExtendedKeyUsageOID.SERVER_AUTH],
            "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
            "peer": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
        }
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages[purpose]), False)
    if dns or uri:
        names: list[x509.GeneralName] = [x509.DNSName(n) for n in dns]
        names += [x509.UniformResourceIdentifier(n) for n in uri]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    return builder.sign(signer, _digest(signer))


@dataclass
class Pki:
    """Everybody a test needs: our issuing CA with a server and a client, and a stranger's CA."""

    root: Issuer
    issuing: Issuer
    server: Credential
    client: Credential
    stranger: Credential

    @property
    def trust(self) -> Trust:
        return Trust((self.root.certificate,))


@pytest.fixture(scope="session")
def pki() -> Pki:
    root = Issuer.root("Acme Root")
    issuing = root.below("Acme Issuing")
    return Pki(
        root,
        issuing,
        issuing.leaf("api.acme.example", dns=("api.acme.example", "localhost"), purpose="server"),
        issuing.leaf("orders"),
        Issuer.root("Other Root").below("Other Issuing").leaf("stranger"),
    )


@dataclass
class Outcome:
    """How a handshake in memory ended on each side; None where it went well."""

    client: Session
    server: Session
    client_error: TwowayError | None = None
    server_error: TwowayError | None = None


def shake(client: Session, server: Session) -> Outcome:
    """Carry bytes between two Sessions until both are done or one has refused; then read once on each side."""
    outcome = Outcome(client, server)
    for _ in range(10):
        if outcome.client_error is None:
            try:
                client.advance()
            except TwowayError as error:
                outcome.client_error = error
        server.receive(client.outgoing())
        if outcome.server_error is None:
            try:
                server.advance()
            except TwowayError as error:
                outcome.server_error = error
        client.receive(server.outgoing())
    for session, side in ((client, "client_error"), (server, "server_error")):
        if getattr(outcome, side) is None:
            try:
                session.read()
            except TwowayError as error:
                setattr(outcome, side, error)
    return outcome


Shake = Callable[..., Outcome]


@pytest.fixture
def meet(pki: Pki) -> Shake:
    """Let a client with these settings meet a server with those."""

    def run(
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
        *,
        server_name: str = "api.acme.example",
        version: str | None = None,
    ) -> Outcome:
        client_arguments = {"credential": pki.client} | (client or {})
        server_arguments = {"credential": pki.server} | (server or {})
        if client_arguments["credential"] is None:
            client_arguments.setdefault("trust", pki.trust)
        if version:
            client_arguments |= {"minimum_version": version, "maximum_version": version}
        return shake(
            Session(ClientContext(ClientSettings(**client_arguments)), server_name=server_name),
            Session(ServerContext(ServerSettings(**server_arguments)), address="192.0.2.1:1"),
        )

    return run


@pytest.fixture
def echo_server(pki: Pki) -> Iterator[Callable[..., tuple[int, list[Any]]]]:
    """Start a blocking echo server on a real socket: (port, what happened), one entry a connection."""
    stop, threads = threading.Event(), []

    def start(context: ServerContext) -> tuple[int, list[Any]]:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(0.1)
        seen: list[Any] = []

        def one(sock: socket.socket) -> None:
            try:
                with TlsSocket.accept(sock, context) as connection:
                    seen.append(connection.session)
                    while data := connection.recv():
                        connection.sendall(data)
            except TwowayError as error:
                seen.append(error)

        def loop() -> None:
            with listener:
                while not stop.is_set():
                    try:
                        sock, _ = listener.accept()
                    except TimeoutError:
                        continue
                    sock.settimeout(None)
                    thread = threading.Thread(target=one, args=(sock,))
                    threads.append(thread)
                    thread.start()

        thread = threading.Thread(target=loop)
        threads.append(thread)
        thread.start()
        return listener.getsockname()[1], seen

    yield start
    stop.set()
    for thread in threads:
        thread.join(10)
