"""Orders on granian, which cannot tell an application who connects, behind our gateway, which says it (RFC 9440).

Run it: granian --interface asgi --host 127.0.0.1 --port 8080 granian_behind_gateway:app
and:    twoway gateway server --http --listen 127.0.0.1:8443 --target 127.0.0.1:8080 --identity api --allow anyone
"""

from fastapi_orders import app as orders

from twoway.integrations.proxied import BehindGateway

# Only the gateway may reach granian's port: here, whoever is on this machine.
app = BehindGateway(orders, trust="api", dangerously_trust_every_connection=True)
