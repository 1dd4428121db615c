"""The order service: who calls is proven before a byte of the request is read.

Run it: twoway serve order_service:app --identity api
"""

import json

import twoway


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    caller = twoway.peer(scope)
    answer = {"order_id": json.loads(body)["order_id"], "status": "updated", "by": caller.describe()}
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
    )
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
