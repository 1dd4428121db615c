"""The authority on the network: it hands out identities, renews them, and says which are revoked."""

from twoway.enroll.options import Address, ServiceOptions
from twoway.enroll.running import Running, running, serve
from twoway.enroll.service import Service

__all__ = ["Address", "Running", "Service", "ServiceOptions", "running", "serve"]
