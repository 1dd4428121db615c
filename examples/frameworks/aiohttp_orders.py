"""Orders on aiohttp.

Run it: python aiohttp_orders.py
"""

import sys

from aiohttp import web

from twoway.integrations.aiohttp import PEER, allow, peers, serve


async def who(request):
    return web.json_response({"by": request[PEER].describe()})


@allow(cn="orders")
async def update(request):
    order = await request.json()
    return web.json_response({"order_id": order["order_id"], "by": request[PEER].describe()})


app = web.Application(middlewares=[peers])
app.add_routes([web.get("/who", who), web.post("/order/update", update)])

if __name__ == "__main__":
    port = int(sys.argv[sys.argv.index("--port") + 1]) if "--port" in sys.argv else 8443
    serve(app, identity="api", port=port)
