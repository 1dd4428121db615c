"""`/renew`: the certificate in hand authenticates its successor, and nothing else does."""

from __future__ import annotations

import base64
import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.authority.conftest import make_csr
from tests.enroll.conftest import Serve, Served
from twoway.authority import Authority, renewal
from twoway.credential import Credential, certificates_from_pem, generate_key, names_of
from twoway.errors import PeerError

DAY = datetime.timedelta(days=1)


def renew(service: Served, who: Credential | None, csr: bytes | None = None, **more: Any) -> httpx2.Response:
    return service.call("POST", "/renew", who, content=csr or make_csr(None), **more)


def test_a_certificate_gets_its_successor_with_the_same_names(service: Served) -> None:
    orders = service.authority.issue_client("orders", uri=["spiffe://acme.example/orders"], days=10)
    answer = renew(service, orders)
    assert answer.status_code == 201, answer.text
    leaf = certificates_from_pem(answer.content)[0]
    assert names_of(leaf) == orders.names
    assert leaf.public_key() != orders.leaf.public_key()
    record = service.authority.show(leaf)
    assert record.renews == f"{orders.leaf.serial_number:x}"
    assert (record.not_after - record.not_before).days == 10
    assert list(service.authority.audit())[-1].act == "renew"


def test_the_same_key_may_be_kept(service: Served) -> None:
    orders = service.authority.issue_client("orders")
    answer = renew(service, orders, make_csr("orders", key=orders.private_key))
    assert certificates_from_pem(answer.content)[0].public_key() == orders.leaf.public_key()


def test_a_request_for_other_names_is_refused(service: Served) -> None:
    orders = service.authority.issue_client("orders")
    for csr in (make_csr("admin"), make_csr(None, dns=("api.acme.example",))):
        refused = renew(service, orders, csr)
        assert (refused.status_code, refused.json()["code"]) == (403, "request_name_refused")


def test_a_revoked_certificate_has_no_successor(service: Served) -> None:
    orders = service.authority.issue_client("orders")
    service.authority.revoke(orders.leaf, "superseded")
    assert renew(service, orders).status_code == 401


def test_a_revocation_between_the_question_and_the_commit_counts(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is asked inside the issuing transaction: what was valid a moment ago is not enough."""
    orders = service.authority.issue_client("orders")
    check = renewal.check

    def checked_then_revoked(*arguments: Any) -> None:
        check(*arguments)
        service.authority.revoke(orders.leaf, "keyCompromise")

    monkeypatch.setattr(renewal, "check", checked_then_revoked)
    refused = renew(service, orders)
    assert (refused.status_code, refused.json()["code"]) == (403, "renewal_refused")
    assert [record.state for record in service.authority.list("orders")] == ["revoked"]


def test_a_superseded_certificate_may_try_again_for_a_while_and_then_no_more(serve: Serve) -> None:
    """An answer may get lost; a key that was left behind must not renew for ever."""
    with serve(renew_again=DAY) as service:
        orders = service.authority.issue_client("orders", days=10)
        begin = service.running.service.now()
        service.running.service.now = lambda: begin + DAY  # type: ignore[method-assign]
        first = certificates_from_pem(renew(service, orders).content)[0]
        service.running.service.now = lambda: begin + 2 * DAY - datetime.timedelta(minutes=1)  # type: ignore[method-assign]
        assert renew(service, orders).status_code == 201
        service.running.service.now = lambda: begin + 2 * DAY + datetime.timedelta(minutes=1)  # type: ignore[method-assign]
        refused = renew(service, orders)
    assert (refused.status_code, refused.json()["code"]) == (403, "renewal_refused")
    assert "successor has taken its place" in refused.json()["detail"]
    assert first.serial_number


def test_an_expired_certificate_is_refused_in_the_handshake(serve: Serve, tmp_path: Path) -> None:
    ago = datetime.datetime.now(datetime.UTC) - 30 * DAY
    with (
        Authority.create(tmp_path / "older", name="Acme", no_passphrase=True, now=ago) as older,
        serve(older) as service,
    ):
        orders = older.issue_client("orders", days=20, now=ago)
        with pytest.raises(PeerError, match="expired"):
            renew(service, orders)


def lookalike(service: Served, real: Credential) -> Credential:
    """A certificate with the serial, the subject and the names of a real one, signed by the issuing CA, other key."""
    key, leaf = generate_key(), real.leaf
    builder = (
        x509.CertificateBuilder(leaf.issuer, leaf.subject, key.public_key(), leaf.serial_number)
        .not_valid_before(leaf.not_valid_before_utc)
        .not_valid_after(leaf.not_valid_after_utc)
    )
    for extension in leaf.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            value = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(value, extension.critical)
    cas = service.authority.cas
    forged = builder.sign(cas.signer(cas.issuing).key, hashes.SHA256())
    return Credential(key, (forged, service.authority.issuing_certificate), real.anchors)


def test_the_same_serial_and_subject_are_not_enough(service: Served) -> None:
    """UCM recognised its signer by serial and subject; here it is the stored certificate, byte for byte."""
    orders = service.authority.issue_client("orders")
    refused = renew(service, lookalike(service, orders))
    assert (refused.status_code, refused.json()["code"]) == (401, "call_credential_refused")
    assert "did not issue" in refused.json()["detail"]


def header_of(credential: Credential) -> str:
    return ":" + base64.b64encode(credential.leaf.public_bytes(Encoding.DER)).decode() + ":"


def test_a_known_gateway_says_who_called(serve: Serve) -> None:
    """RFC 9440: the certificate in the header renews, not the gateway's own; the audit log names both."""
    with serve(gateways=("cn=edge",)) as service:
        edge, orders = (service.authority.issue_client(name) for name in ("edge", "orders"))
        answer = renew(service, edge, headers={"client-cert": header_of(orders)})
        assert answer.status_code == 201, answer.text
        leaf = certificates_from_pem(answer.content)[0]
        assert service.authority.show(leaf).renews == f"{orders.leaf.serial_number:x}"
        assert list(service.authority.audit())[-1].actor.endswith("said by edge)")


@pytest.mark.parametrize("name", ["Client-Cert", "client-cert", "CLIENT-CERT", "Client-Cert-Chain"])
@pytest.mark.parametrize("who", ["orders", None])
def test_nobody_else_says_who_called(serve: Serve, who: str | None, name: str) -> None:
    """A forged header is refused, with a certificate and without; never passed over in silence."""
    with serve(gateways=("cn=edge",)) as service:
        admin = service.authority.issue_client("admin")
        identity = service.authority.issue_client(who) if who else None
        refused = renew(service, identity, headers={name: header_of(admin)})
        assert (refused.status_code, refused.json()["code"]) == (401, "call_credential_refused")


def test_what_a_gateway_says_is_verified_again(serve: Serve, tmp_path: Path) -> None:
    with (
        serve(gateways=("cn=edge",)) as service,
        Authority.create(tmp_path / "other", name="Acme", no_passphrase=True) as other,
    ):
        edge, revoked = (service.authority.issue_client(name) for name in ("edge", "orders"))
        service.authority.revoke(revoked.leaf)
        forged = lookalike(service, service.authority.issue_client("billing"))
        stranger = other.issue_client("orders")
        server = service.authority.issue_server("api.acme.example")
        for said in (revoked, forged, stranger, server):
            refused = renew(service, edge, headers={"client-cert": header_of(said)})
            assert refused.status_code == 401, said
        for garbage in ("", ":", "::", ":AAAA:", "AAAA", ":%%%:", ":" + "A" * 20000 + ":"):
            refused = renew(service, edge, headers={"client-cert": garbage})
            assert refused.status_code == 401, garbage
        twice = [("client-cert", header_of(edge)), ("client-cert", header_of(edge))]
        assert renew(service, edge, headers=twice).status_code == 401
