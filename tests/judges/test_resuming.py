"""A foreign client resumes a session: it is judged again, and known again."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import judge
from tests.judges.clients import REQUEST, alert_in
from tests.judges.conftest import Ours
from tests.judges.identities import Identities
from tests.judges.speaking import environment

pytestmark = pytest.mark.judge


@pytest.fixture
def reloading(everybody: dict[str, Identities], tmp_path: Path) -> Iterator[tuple[Ours, Identities]]:
    """A server whose revocation lists can be replaced; to begin with it has none."""
    identities = Identities(tmp_path)
    for who in ("server", "revoked", "stranger"):
        shutil.copytree(everybody["p256"].directory(who), identities.directory(who))
    (identities.directory("server") / "crl.pem").unlink()
    with Ours(identities).running() as ours:
        yield ours, identities


def visit(port: int, version: str, identities: Identities, *session: str | Path) -> str:
    """What `s_client` says of one visit by the client whose certificate is revoked later."""
    own = identities.directory("revoked")
    command: list[str | Path] = [judge("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof"]
    command += ["-servername", "localhost", "-verify_return_error", "-CAfile", identities.trust]
    command += ["-cert", own / "cert.pem", "-cert_chain", own / "cert.pem", "-key", own / "key.pem"]
    command += [f"-tls1_{version[-1]}", *session]
    done = subprocess.run(command, input=REQUEST, capture_output=True, timeout=30, env=environment())
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def test_a_resumed_client_is_known_and_a_revoked_one_is_refused(
    reloading: tuple[Ours, Identities], everybody: dict[str, Identities], version: str, tmp_path: Path
) -> None:
    """Resumption never skips a check: the same ticket is worth nothing once its certificate is revoked."""
    ours, identities = reloading
    ticket = tmp_path / "ticket.pem"
    first = visit(ours.port, version, identities, "-sess_out", ticket)
    assert "\nNew, " in first
    assert ours.journal.next("request")["resumed"] is False
    kept = ticket.read_bytes()

    again = visit(ours.port, version, identities, "-sess_in", ticket)
    assert "\nReused, " in again
    logged = ours.journal.next("request")
    assert (logged["resumed"], logged["fingerprint"]) == (True, identities.fingerprint("revoked"))
    assert '"uri": "spiffe://acme.example/revoked"' in again

    crl = everybody["p256"].directory("server") / "crl.pem"
    shutil.copy(crl, identities.directory("server") / "crl.pem")
    ours.journal.next("reloaded")
    served = ours.served
    ticket.write_bytes(kept)
    refused = visit(ours.port, version, identities, "-sess_in", ticket)
    assert alert_in(refused) == "certificate_revoked", refused
    assert ours.journal.next("refused")["code"] == "certificate_revoked"
    assert ours.served == served
