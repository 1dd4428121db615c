"""Orders below gunicorn's process manager, with any WSGI or ASGI framework.

Run it: gunicorn gunicorn_orders:app -k twoway.integrations.gunicorn.PeerWorker --bind 127.0.0.1:8443
"""

from flask_orders import app

__all__ = ["app"]
