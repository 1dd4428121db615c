"""Contexts for other people's libraries: as strict as ours, from memory, with nothing of the system's."""

from __future__ import annotations

import ssl

import pytest

from twoway.tls import NotExpressible, client_context, server_context
from twoway.trust import Trust

from .conftest import Issuer, Pki


def meet(
    client: ssl.SSLContext, server: ssl.SSLContext, name: str = "api.acme.example"
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A handshake in memory; raises what either side raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name)
    two = server.wrap_bio(to_server, to_client, server_side=True)
    done = {one: False, two: False}
    for _ in range(10):
        for side in done:
            if not done[side]:
                try:
                    side.do_handshake()
                    done[side] = True
                except ssl.SSLWantReadError:
                    continue
    assert all(done.values())
    return one, two


def test_two_standard_contexts_prove_each_other(pki: Pki):
    one, two = meet(client_context(pki.client), server_context(pki.server))
    assert dict(x[0] for x in two.getpeercert()["subject"])["commonName"] == "orders"  # type: ignore[index, misc]
    assert one.version() == "TLSv1.3"


def test_an_identity_directory_is_enough(pki: Pki, tmp_path):
    pki.client.save(tmp_path / "orders")
    pki.server.save(tmp_path / "api")
    meet(client_context(tmp_path / "orders"), server_context(str(tmp_path / "api")))


def test_a_client_without_a_certificate_is_refused(pki: Pki):
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        meet(client_context(trust=pki.trust), server_context(pki.server))


def test_a_stranger_is_refused(pki: Pki):
    with pytest.raises(ssl.SSLCertVerificationError):
        meet(client_context(pki.stranger, trust=pki.trust), server_context(pki.server))


def test_the_wrong_host_name_is_refused(pki: Pki):
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        meet(client_context(pki.client), server_context(pki.server), "other.acme.example")


def test_a_revoked_client_is_refused(pki: Pki):
    trust = Trust((pki.root.certificate,), (pki.issuing.crl(pki.client.leaf), pki.root.crl()))
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        meet(client_context(pki.client), server_context(pki.server, trust=trust))


def test_there_are_no_tickets_to_skip_a_check_with(pki: Pki):
    one, _ = meet(client_context(pki.client), server_context(pki.server))
    with pytest.raises(ssl.SSLWantReadError):
        one.read(1)
    assert one.session is None or not one.session.has_ticket


def test_the_systems_roots_are_not_there(pki: Pki):
    assert client_context(pki.client).cert_store_stats()["x509"] == 1
    assert server_context(pki.server).cert_store_stats()["x509"] == 1


def test_what_ssl_cannot_do_is_said(pki: Pki):
    trust = Trust((pki.root.certificate,), (pki.root.crl(),), crl_rule="warn")
    with pytest.raises(NotExpressible, match="warn"):
        server_context(pki.server, trust=trust)
    with pytest.raises(NotExpressible, match="no trust"):
        client_context()


def test_a_post_quantum_identity_is_refused_in_words_where_ssl_is_too_old():
    credential = Issuer.root("R", "mldsa65").leaf("api", purpose="peer", key_type="mldsa65")
    if ssl.OPENSSL_VERSION_INFO >= (3, 5):
        assert isinstance(server_context(credential), ssl.SSLContext)
    else:
        with pytest.raises(NotExpressible):
            server_context(credential)
