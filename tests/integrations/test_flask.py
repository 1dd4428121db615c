"""Flask on the real server: g.peer, @allow, refusals."""

from __future__ import annotations

import pytest
from flask import Flask, g

from tests.integrations.conftest import Callers, serving
from twoway.errors import UsageError
from twoway.integrations.access import Access
from twoway.integrations.flask import Peers, allow, peer


def application(*rules: str) -> Flask:
    app = Flask(__name__)
    Peers(app, *rules)

    @app.get("/who")
    def who() -> dict[str, str | None]:
        return {"by": g.peer.describe() if g.peer else None}

    @app.get("/orders")
    @allow(cn="orders")
    def orders() -> dict[str, str]:
        return {"by": g.peer.describe()}

    @app.get("/raised")
    def raised() -> str:
        Access.of(cn="orders", what="the books").check(peer())
        return "in"

    return app


def test_the_peer_is_in_g_or_none(callers: Callers):
    with serving(callers.pki, application()) as port:
        assert callers.ask(port).json == {"by": "orders"}
        assert callers.ask(port, who=None).json == {"by": None}


@pytest.mark.parametrize("path", ["/orders", "/raised"])
def test_refusals_are_problem_documents_that_say_why(callers: Callers, path: str):
    with serving(callers.pki, application()) as port:
        assert callers.ask(port, path).status == 200
        refused = callers.ask(port, path, "reports")
        assert (refused.status, refused.headers["content-type"]) == (403, "application/problem+json")
        assert "no allow rule matches, of 1 tried (cn=reports" in refused.json["detail"]
        nobody = callers.ask(port, path, None)
        assert nobody.status == 401
        assert nobody.headers["www-authenticate"].startswith("ClientCertificate")


def test_a_rule_of_the_extension_guards_every_view(callers: Callers):
    with serving(callers.pki, application("cn=orders")) as port:
        assert callers.ask(port).status == 200
        assert callers.ask(port, who="reports").status == 403
        assert callers.ask(port, "/no-such-page", "reports").status == 403


def test_allow_works_without_the_extension(callers: Callers):
    app = Flask(__name__)

    @app.get("/orders")
    @allow(cn="orders")
    def orders() -> str:
        return str(g.peer.common_name)

    with serving(callers.pki, app) as port:
        assert callers.ask(port, "/orders").body == b"orders"
        assert callers.ask(port, "/orders", "reports").status == 403


def test_on_another_server_nobody_is_proven_and_nothing_is_answered():
    app = application()
    app.testing = True
    with pytest.raises(UsageError, match="did not come through a server of twoway"):
        app.test_client().get("/orders")
