"""Reload: a new generation is built aside and tried; when anything fails the old one keeps serving."""

from __future__ import annotations

from typing import NoReturn

import pytest

from twoway.credential import FileEmpty
from twoway.tls import ClientContext, ClientSettings, LiveClient, LiveServer, ServerSettings, Session
from twoway.trust import Policy

from .conftest import Issuer, Pki, shake


def meets(live: LiveServer, pki: Pki, name: str = "api.acme.example") -> Session:
    client = Session(ClientContext(ClientSettings(pki.client)), server_name=name)
    server = Session(live.current.context_for(name))
    outcome = shake(client, server)
    assert outcome.server_error is None, outcome.server_error
    return client


def test_a_reload_shows_the_new_certificate_to_new_connections(pki: Pki):
    live = LiveServer(ServerSettings(pki.server))
    before = meets(live, pki)
    renewed = pki.issuing.leaf("api.acme.example", purpose="server")
    live.reload(lambda: ServerSettings(renewed))
    after = meets(live, pki)
    assert before.peer is not None
    assert after.peer is not None
    assert (before.peer.fingerprint, after.peer.fingerprint) == (pki.server.fingerprint, renewed.fingerprint)
    assert live.current.number == 2


def test_a_load_that_fails_leaves_the_old_generation_serving(pki: Pki):
    live = LiveServer(ServerSettings(pki.server))
    generation = live.current

    def broken() -> NoReturn:
        raise FileEmpty("cert.pem")

    with pytest.raises(FileEmpty):
        live.reload(broken)
    assert live.current is generation
    meets(live, pki)


def test_a_connection_keeps_talking_across_a_reload(pki: Pki):
    live = LiveServer(ServerSettings(pki.server))
    client = Session(ClientContext(ClientSettings(pki.client)), server_name="api.acme.example")
    server = Session(live.current.default)
    shake(client, server)
    live.reload(lambda: ServerSettings(pki.server, policy=Policy()))
    client.write(b"still here")
    server.receive(client.outgoing())
    assert server.read() == b"still here"


def test_each_server_name_has_a_context_of_its_own(pki: Pki):
    """The name decides the certificate, and whether a client's is required: never swapped afterwards."""
    inner = pki.issuing.leaf("inner.acme.example", dns=("*.inner.acme.example",), purpose="server")
    settings = ServerSettings(
        pki.server,
        clients="none",
        names=(("*.inner.acme.example", ServerSettings(inner)),),
    )
    live = LiveServer(settings)
    named = live.current.context_for("a.inner.acme.example")
    assert named.settings.clients == "required"
    assert live.current.context_for("inner.acme.example").settings.clients == "none"
    assert live.current.context_for(None).settings.clients == "none"
    client = Session(ClientContext(ClientSettings(None, pki.trust)), server_name="a.inner.acme.example")
    outcome = shake(client, Session(named))
    assert outcome.server_error is not None
    assert outcome.server_error.code == "no_certificate"


def test_a_ticket_of_one_name_is_worth_nothing_at_another_name_of_the_listener(pki: Pki):
    inner = pki.issuing.leaf("inner", dns=("inner.acme.example",), purpose="server")
    live = LiveServer(
        ServerSettings(pki.server, clients="optional", names=(("inner.acme.example", ServerSettings(inner)),))
    )
    context = ClientContext(ClientSettings(None, pki.trust))
    first = Session(context, server_name="api.acme.example")
    shake(first, Session(live.current.context_for("api.acme.example")))
    ticket = first.ticket()
    assert ticket is not None
    second = Session(
        context, server_name="inner.acme.example", ticket=ticket._replace(server_name="inner.acme.example")
    )
    outcome = shake(second, Session(live.current.context_for("inner.acme.example")))
    assert not outcome.server.complete
    assert outcome.server_error is not None
    assert outcome.server_error.code == "no_certificate"


def test_a_client_reloads_its_identity(pki: Pki):
    live = LiveClient(ClientSettings(pki.client))
    other = pki.issuing.leaf("billing")
    live.reload(lambda: ClientSettings(other))
    server = Session(LiveServer(ServerSettings(pki.server)).current.default)
    shake(Session(live.current, server_name="api.acme.example"), server)
    assert server.peer is not None
    assert server.peer.common_name == "billing"


@pytest.mark.parametrize("key_type", ["p256", "rsa2048", "ed25519", "mldsa65"])
def test_every_kind_of_identity_passes_its_trial(key_type: str):
    credential = Issuer.root("R").leaf("api.acme.example", purpose="peer", key_type=key_type)
    assert LiveServer(ServerSettings(credential)).current.number == 1
    assert LiveClient(ClientSettings(credential)).current.generation == 1
