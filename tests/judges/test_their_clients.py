"""Foreign clients call a server of ours: proven ones are answered, others read the exact alert."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.judges.clients import CLIENTS, Call
from tests.judges.conftest import Ours
from tests.judges.identities import Identities

pytestmark = pytest.mark.judge
FindClient = Callable[[str], Call]

# Who calls, what our journal says, and the alert on TLS 1.3 and 1.2 (RFC 8446 §6.2, RFC 5246 §7.2.2).
REFUSALS = {
    None: ("no_certificate", "certificate_required", "handshake_failure"),
    "stranger": ("unknown_authority", "unknown_ca", "unknown_ca"),
    "revoked": ("certificate_revoked", "certificate_revoked", "certificate_revoked"),
    "expired": ("certificate_expired", "certificate_expired", "certificate_expired"),
    "server-only": ("wrong_purpose", "unsupported_certificate", "unsupported_certificate"),
    "unwanted": ("not_allowed", "certificate_unknown", "certificate_unknown"),
}
# What a client says to us when it does not trust our authority. Node finishes the handshake, judges us in
# JavaScript and hangs up: there is no alert.
DISTRUST = {
    "openssl": "unknown_ca",
    "curl": "unknown_ca",
    "gnutls": "bad_certificate",
    "java": "certificate_unknown",
    "python3.13": "unknown_ca",
}


@pytest.fixture(params=CLIENTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def call(name: str, foreign_client: FindClient) -> Call:
    return foreign_client(name)


def test_a_proven_client_is_answered_and_we_know_who_it_is(
    call: Call, ours: Ours, identities: Identities, key_type: str, version: str
) -> None:
    """Leaf and intermediate on both sides, all of one key type."""
    answer = call(ours.port, version, identities.directory("client"), identities.trust)
    fingerprint = identities.fingerprint("client")
    assert len(identities.chain("client")) == 2
    assert answer.body is not None, answer.said
    assert json.loads(answer.body) == {"fingerprint": fingerprint, "uri": "spiffe://acme.example/orders"}
    logged = ours.journal.next("request")
    assert (logged["tls"], logged["fingerprint"]) == (version, fingerprint)


@pytest.mark.parametrize("who", REFUSALS, ids=lambda who: who or "nobody")
def test_a_refused_client_reads_the_exact_alert(
    name: str, call: Call, ours: Ours, identities: Identities, key_type: str, version: str, who: str | None
) -> None:
    """And our journal has who it was and why; not a byte of it reached the application."""
    code, on_13, on_12 = REFUSALS[who]
    alert = on_13 if version == "TLSv1.3" else on_12
    before = ours.served
    answer = call(ours.port, version, identities.directory(who) if who else None, identities.trust)
    assert answer.body is None
    if (name, who, version) == ("curl", "expired", "TLSv1.2"):
        # curl takes this alert for a verdict about the server's certificate, and hides its name.
        assert "SSL certificate verification failed" in answer.said
    else:
        assert answer.alert == alert, answer.said
    logged = ours.journal.next("refused")
    assert (logged["by"], logged["step"], logged["code"], logged["alert"]) == ("us", 4, code, alert)
    assert logged["remedy"]
    shown = [one["fingerprint"] for one in logged["presented"]]
    assert shown[:1] == ([identities.fingerprint(who)] if who else [])
    assert ours.served == before


@pytest.mark.parametrize("key_type", ["p256"], indirect=True)
def test_java_by_itself_withholds_what_no_named_authority_has_issued(
    foreign_client: FindClient, ours: Ours, identities: Identities, key_type: str, version: str
) -> None:
    """We name the authorities we accept, so a stranger's certificate is not even shown; our log says so."""
    answer = foreign_client("java")(
        ours.port, version, identities.directory("stranger"), identities.trust, insist=False
    )
    assert answer.alert == ("certificate_required" if version == "TLSv1.3" else "handshake_failure")
    assert "withhold" in ours.journal.next("refused")["remedy"]


@pytest.mark.parametrize("key_type", ["p256"], indirect=True)
def test_java_by_itself_shows_what_a_named_authority_has_issued(
    foreign_client: FindClient, ours: Ours, identities: Identities, key_type: str, version: str
) -> None:
    answer = foreign_client("java")(
        ours.port, version, identities.directory("client"), identities.trust, insist=False
    )
    assert answer.body is not None, answer.said


def test_a_client_that_does_not_trust_us_says_why_and_we_log_it(
    name: str, call: Call, ours: Ours, identities: Identities, key_type: str, version: str
) -> None:
    before = ours.served
    answer = call(ours.port, version, identities.directory("client"), identities.elsewhere)
    assert answer.body is None
    if name in DISTRUST:
        logged = ours.journal.next("refused")
        assert (logged["by"], logged["code"]) == ("peer", f"refused_{DISTRUST[name]}")
    else:
        assert "UNABLE_TO_GET_ISSUER_CERT_LOCALLY" in answer.said
    assert ours.served == before
