"""Orders on FastAPI; /docs shows which routes ask for a client certificate.

Run it: twoway serve fastapi_orders:app --identity api
"""

from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from twoway import Peer
from twoway.integrations.fastapi import Caller, allow, install

app = FastAPI(title="Orders")
install(app)


class Order(BaseModel):
    order_id: int


@app.get("/who")
def who(caller: Caller):
    return {"by": caller.describe()}


@app.post("/order/update")
def update(order: Order, caller: Annotated[Peer, Depends(allow(cn="orders"))]):
    return {"order_id": order.order_id, "by": caller.describe()}
