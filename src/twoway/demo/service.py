"""The order service of the demo: a ten-line ASGI application that knows who is calling."""

from __future__ import annotations

import json
from typing import Any

import twoway


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    caller = twoway.peer(scope)
    known = scope["method"] == "POST" and scope["path"] == "/order/update" and caller is not None
    answer = {"error": "POST /order/update, please"}
    if known and caller is not None:
        answer = {"order_id": json.loads(body)["order_id"], "status": "updated", "by": caller.describe()}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200 if known else 404, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
