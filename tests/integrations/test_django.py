"""Django on the real server, as ASGI and as WSGI: request.peer, @allow, users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from tests.integrations import django_site as site  # settings come before whatever reads them

from django.contrib.auth.models import User  # isort: skip
from django.core.asgi import get_asgi_application  # isort: skip
from django.core.management import call_command  # isort: skip
from django.core.wsgi import get_wsgi_application  # isort: skip
from django.db import connections  # isort: skip
from django.test import RequestFactory, override_settings  # isort: skip

from tests.integrations.conftest import Callers, serving
from tests.tls.conftest import Pki
from twoway.errors import UsageError
from twoway.integrations.django import PeerMiddleware
from twoway.integrations.django_users import PeerBackend
from twoway.trust import BadRule, Peer, verify

INTERFACES = {"asgi": get_asgi_application, "wsgi": get_wsgi_application}


@pytest.fixture(params=["asgi", "wsgi"])
def app(request: pytest.FixtureRequest) -> Any:
    return INTERFACES[request.param]()


@pytest.fixture
def users() -> Iterator[None]:
    """One user, `orders`, in a database in memory."""
    call_command("migrate", verbosity=0, interactive=False)
    User.objects.create_user("orders", is_active=True)
    yield
    User.objects.all().delete()
    connections.close_all()


def test_the_peer_is_on_the_request_or_none(callers: Callers, app: Any):
    with serving(callers.pki, app) as port:
        assert callers.ask(port).json == {"by": "orders"}
        assert callers.ask(port, who=None).json == {"by": None}


@pytest.mark.parametrize("path", ["/guarded", "/guarded-later"])
def test_refusals_are_problem_documents_that_say_why(callers: Callers, app: Any, path: str):
    with serving(callers.pki, app) as port:
        assert callers.ask(port, path).status == 200
        refused = callers.ask(port, path, "reports")
        assert (refused.status, refused.headers["content-type"]) == (403, "application/problem+json")
        assert "no allow rule matches, of 1 tried (cn=reports" in refused.json["detail"]
        nobody = callers.ask(port, path, None)
        assert nobody.status == 401
        assert nobody.headers["www-authenticate"].startswith("ClientCertificate")


def test_the_rules_of_the_settings_guard_every_view(callers: Callers, app: Any):
    with override_settings(TWOWAY_ALLOW=["cn=orders"], TWOWAY_OPTIONAL=False):
        application = type(app)()
    with serving(callers.pki, application) as port:
        assert callers.ask(port).status == 200
        assert callers.ask(port, who="reports").status == 403
        assert callers.ask(port, who=None).status == 401


def test_a_wrong_rule_in_the_settings_stops_the_start():
    with override_settings(TWOWAY_ALLOW=["colour=red"]), pytest.raises(BadRule, match="no key 'colour'"):
        PeerMiddleware(lambda _: None)


@pytest.mark.parametrize("path", ["/user", "/user-later"])
def test_the_user_of_a_request_is_the_one_that_its_certificate_names(
    callers: Callers, users: None, app: Any, path: str
):
    with serving(callers.pki, app) as port:
        first = callers.ask(port, path)
        assert first.json == {"user": "orders", "known": True}
        assert "set-cookie" not in first.headers  # no session outlives the proof
        assert callers.ask(port, path, "reports").json == {"user": "", "known": False}
        assert callers.ask(port, path, None).json == {"user": "", "known": False}


def test_an_inactive_user_is_nobody(pki: Pki, users: None):
    who = Peer.from_verified(verify(pki.client.chain, pki.trust, purpose="client"))
    assert PeerBackend().authenticate(None, peer=who) == User.objects.get(username="orders")
    User.objects.update(is_active=False)
    assert PeerBackend().authenticate(None, peer=who) is None


def test_only_a_proven_peer_is_a_user_and_never_a_name(users: None):
    assert PeerBackend().authenticate(None, peer="orders") is None  # type: ignore[arg-type]
    User.objects.create_user("with-password", password="x")
    assert PeerBackend().authenticate(None, username="with-password", password="x") is None


def test_a_password_counts_for_nothing_in_async_views_either(users: None):
    """ModelBackend has an aauthenticate of its own, which looks at passwords."""
    User.objects.create_user("with-password", password="x")
    asking = async_to_sync(PeerBackend().aauthenticate)
    assert asking(None, username="with-password", password="x") is None


def test_unknown_users_are_made_only_where_that_is_said(pki: Pki, users: None):
    class Making(PeerBackend):
        create_unknown_user = True

    stranger = pki.issuing.leaf("new-service")
    who = Peer.from_verified(verify(stranger.chain, pki.trust, purpose="client"))
    assert PeerBackend().authenticate(None, peer=who) is None
    assert Making().authenticate(None, peer=who).get_username() == "new-service"


def test_on_another_server_nobody_is_proven_and_nothing_is_answered():
    with pytest.raises(UsageError, match="did not come through a server of twoway"):
        site.guarded(RequestFactory().get("/guarded"))
