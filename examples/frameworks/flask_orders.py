"""Orders on Flask.

Run it: twoway serve flask_orders:app --identity api
"""

from flask import Flask, g, request

from twoway.integrations.flask import Peers, allow

app = Flask(__name__)
Peers(app, "anyone")  # the whole application is for callers that are proven


@app.get("/who")
def who():
    return {"by": g.peer.describe()}


@app.post("/order/update")
@allow(cn="orders")
def update():
    return {"order_id": request.json["order_id"], "by": g.peer.describe()}
