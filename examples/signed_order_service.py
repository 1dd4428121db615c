"""An order service that hears only what a partner has signed, and reads what only it can open.

Run it: twoway serve signed_order_service:app --identity api
"""

import json

import twoway


async def update(scope, receive, send):
    order = json.loads((await receive())["body"])
    answer = {"order_id": order["order_id"], "status": "updated", "by": twoway.signer(scope).describe()}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


app = twoway.SignedMessages(update, identity="api", require_sealed=True)
