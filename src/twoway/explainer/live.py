"""Makes one real handshake, records it, and tells it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
import warnings
from pathlib import Path

from cryptography import x509

from twoway.credential import Credential
from twoway.credential.keys import Passphrase
from twoway.errors import NetworkError, TwowayError, UsageError
from twoway.explainer.handshakes import handshakes
from twoway.explainer.telling import Ending, Knowledge, tell
from twoway.explainer.transcript import Transcript
from twoway.tls import (
    ClientContext,
    ClientSettings,
    ConnectFailed,
    ConnectionCut,
    TimedOut,
    TlsSocket,
    Truncated,
)
from twoway.tls.recording import KeyLog, RecordedSocket, Recording
from twoway.tls.session import Session
from twoway.tls.settings import Version
from twoway.trust import Trust
from twoway.wire.conversation import Conversation
from twoway.wire.events import Sender, WireMessage
from twoway.wire.keylog import Keylog

LISTEN_SECONDS = 0.5
_WARNINGS = threading.Lock()  # the filters of warnings are the process's: two threads would undo each other's
DEFAULT_PORT = 443


def watch(
    target: str,
    *,
    identity: Credential | str | Path | None = None,
    trust: Trust | str | Path | None = None,
    server_name: str | None = None,
    minimum_version: Version = "TLSv1.2",
    maximum_version: Version = "TLSv1.3",
    passphrase: Passphrase = None,
    timeout: float = 10.0,
    listen: float = LISTEN_SECONDS,
) -> Transcript:
    """Connect to `target` ("host:port"), shake hands, hear the server's judgement, and tell all of it.

    Without `identity` no certificate is shown; without `trust` too, the system's authorities are believed.
    A refusal, on either side, is told and not raised. Raises UsageError for what makes no sense as asked,
    CredentialError for files that cannot be used, ConnectFailed when nobody answers. In TLS 1.3 the server
    judges after the client is done: `listen` is how many seconds it is given to object.
    """
    host, port = address_of(target)
    settings = _settings(identity, trust, passphrase, minimum_version, maximum_version)
    context = ClientContext(settings)
    log, recording = KeyLog(context), Recording("client")
    connecting = time.perf_counter()
    try:
        sock = socket.create_connection((host, port), timeout)
    except OSError as error:
        raise ConnectFailed(f"{host}:{port}", error.strerror or str(error)) from error
    connected = time.perf_counter() - connecting
    session = Session(context, server_name=server_name or host, target=f"{host}:{port}")
    local = _printed(sock.getsockname())
    connection = TlsSocket(RecordedSocket.around(sock, recording), session, timeout=timeout)
    fault, ending, ended_by = _shake(connection, listen)
    *before, messages = handshakes(decode(recording, log.text()))
    notes = [f"the TCP connection took {connected * 1000:.1f} ms"]
    if before:
        notes.append(
            f"this is handshake {len(before) + 1} of this connection (renegotiation): the last is told"
        )
    return tell(
        messages,
        Knowledge(
            client=local,
            server=f"{host}:{port}",
            began=recording.began,
            client_trust=settings.trust,
            us="client",
            fault=fault,
            ending=ending,
            ended_by=ended_by,
            keys=_labels(log.text()),
            notes=tuple(notes),
            renegotiated=bool(before),
        ),
    )


def address_of(target: str) -> tuple[str, int]:
    """Host and port of "host:port", "host" (port 443), "[::1]:port" or an https:// URL; raises UsageError."""
    text = target.removeprefix("https://").partition("/")[0]
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(
            f"expected HOST:PORT, got {target}", "write it as in api.acme.example:8443 or [::1]:8443"
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def decode(recording: Recording, secrets: bytes) -> list[WireMessage]:
    """The messages of a recording."""
    conversation = Conversation(Keylog.read(secrets))
    messages: list[WireMessage] = []
    for chunk in recording.chunks:
        messages += conversation.feed(chunk.sender, chunk.data, chunk.at_us)
    for sender in ("client", "server"):
        messages += conversation.end(sender)
    return messages


def _settings(
    identity: Credential | str | Path | None,
    trust: Trust | str | Path | None,
    passphrase: Passphrase,
    minimum: Version,
    maximum: Version,
) -> ClientSettings:
    credential = identity
    if isinstance(identity, (str, Path)):
        credential = Credential.load(identity, passphrase=passphrase)
    believed = Trust.load(trust) if isinstance(trust, (str, Path)) else trust
    assert credential is None or isinstance(credential, Credential)
    if believed is None and credential is None:
        believed = public_authorities()
    return ClientSettings(credential, believed, minimum_version=minimum, maximum_version=maximum)


def public_authorities() -> Trust:
    """Those that the system believes: good for looking at a public server, never for judging a client."""
    anchors = []
    with _WARNINGS, warnings.catch_warnings(action="error"):
        for der in ssl.create_default_context().get_ca_certs(binary_form=True):
            with contextlib.suppress(ValueError, Warning):  # some old ones break RFC 5280 and are left out
                anchors.append(x509.load_der_x509_certificate(der))
    if not anchors:
        raise UsageError(
            "nobody to believe: neither an identity nor authorities were given, and the system has none",
            "pass --identity DIR or --ca FILE",
        )
    return Trust(tuple(anchors))


def _shake(connection: TlsSocket, listen: float) -> tuple[TwowayError | None, Ending, Sender | None]:
    """The error that ended it, if one did, and how the transport ended, by whom."""
    try:
        connection.handshake()
        if connection.session.version == "TLSv1.3":
            _hear(connection, listen)
    except ConnectionCut as fault:
        return (fault if not connection.session.complete else None), "closed", "server"
    except Truncated:
        return None, "closed", "server"
    except TimedOut as fault:
        return fault, "timeout", "server"
    except NetworkError as fault:
        return fault, "reset", "server"
    except TwowayError as fault:
        return fault, "open", None
    finally:
        connection.close()
    return None, "open", None


def _hear(connection: TlsSocket, seconds: float) -> None:
    """Read before writing: in TLS 1.3 the server's judgement comes now, as an alert, a ticket or an end."""
    session, end = connection.session, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        connection.timeout = left
        try:
            data = connection.receive()
        except TimedOut:
            return
        if data:
            # Something came and it was no refusal: the server has let us in.
            session.read()
            return


def _printed(name: tuple[str, int]) -> str:
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _labels(text: bytes) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line.split(b" ")[0].decode("ascii") for line in text.splitlines()))
