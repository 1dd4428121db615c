"""Orders on the stock uvicorn, with any ASGI framework; TLS and the peer are twoway's.

Run it: uvicorn uvicorn_orders:app --http twoway.integrations.uvicorn:http
"""

from fastapi_orders import app

__all__ = ["app"]
