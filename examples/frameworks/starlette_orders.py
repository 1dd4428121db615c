"""Orders on Starlette.

Run it: twoway serve starlette_orders:app --identity api
"""

from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from twoway.integrations.starlette import PeerBackend, allow


@requires("authenticated")
async def who(request):
    return JSONResponse({"by": request.user.display_name})


@allow(cn="orders")
async def update(request):
    order = await request.json()
    return JSONResponse({"order_id": order["order_id"], "by": request.user.display_name})


app = Starlette(
    routes=[Route("/who", who), Route("/order/update", update, methods=["POST"])],
    middleware=[Middleware(AuthenticationMiddleware, backend=PeerBackend())],
)
