"""FastAPI on the real server: the dependency, the problem documents, the OpenAPI document."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, WebSocket

from tests.integrations.conftest import Callers, serving
from tests.integrations.test_starlette import WEBSOCKET
from twoway.integrations.fastapi import Caller, allow, install
from twoway.trust import Peer


def application(*, installed: bool = True) -> FastAPI:
    app = FastAPI()
    if installed:
        install(app)

    @app.get("/who")
    def who(caller: Caller) -> dict[str, str]:
        return {"by": caller.describe()}

    @app.get("/orders")
    def orders(caller: Annotated[Peer, Depends(allow(cn="orders"))]) -> dict[str, str]:
        return {"by": caller.describe()}

    @app.get("/open")
    def open_to_all() -> dict[str, str]:
        return {}

    @app.websocket("/talk")
    async def talk(websocket: WebSocket, caller: Annotated[Peer, Depends(allow(cn="orders"))]) -> None:
        await websocket.accept()
        await websocket.close()

    return app


def test_the_dependency_gives_the_proven_caller(callers: Callers):
    with serving(callers.pki, application()) as port:
        assert callers.ask(port).json == {"by": "orders"}
        assert callers.ask(port, who="reports").json == {"by": "reports"}
        assert callers.ask(port, "/orders").json == {"by": "orders"}


def test_refusals_are_problem_documents_that_say_why(callers: Callers):
    with serving(callers.pki, application()) as port:
        refused = callers.ask(port, "/orders", "reports")
        assert (refused.status, refused.headers["content-type"]) == (403, "application/problem+json")
        assert "no allow rule matches, of 1 tried (cn=reports" in refused.json["detail"]
        nobody = callers.ask(port, "/orders", None)
        assert (nobody.status, nobody.headers["content-type"]) == (401, "application/problem+json")
        assert nobody.headers["www-authenticate"].startswith("ClientCertificate")


def test_without_install_refusals_are_still_refusals(callers: Callers):
    with serving(callers.pki, application(installed=False)) as port:
        refused = callers.ask(port, "/orders", "reports")
        assert (refused.status, refused.json["detail"]["code"]) == (403, "not_allowed")
        assert callers.ask(port, "/orders", None).status == 401


def test_a_websocket_of_somebody_else_is_not_accepted(callers: Callers):
    with serving(callers.pki, application()) as port:
        assert callers.ask(port, "/talk", headers=WEBSOCKET).status == 101
        assert callers.ask(port, "/talk", "reports", headers=WEBSOCKET).status == 403


def test_the_openapi_document_says_mutual_tls_with_its_answers():
    """OpenAPI 3.1 §4.8.27: a security scheme of the type `mutualTLS`."""
    document = application().openapi()
    assert document["components"]["securitySchemes"]["mutualTLS"]["type"] == "mutualTLS"
    operation = document["paths"]["/orders"]["get"]
    assert operation["security"] == [{"mutualTLS": []}]
    assert "application/problem+json" in operation["responses"]["403"]["content"]
    assert "401" in operation["responses"]
    assert "security" not in document["paths"]["/open"]["get"]
    assert "403" not in document["paths"]["/open"]["get"]["responses"]


def test_an_application_without_guarded_routes_has_no_scheme():
    app = FastAPI()
    install(app)
    assert "components" not in app.openapi()
