"""Whether a certificate is revoked, asked one by one (RFC 6960): requests, answers, and who may give them."""

from twoway.authority.ocsp.answer import Answer, Failure, failure
from twoway.authority.ocsp.asked import Asked, CertId, Malformed, read
from twoway.authority.ocsp.responder import Responder

__all__ = ["Answer", "Asked", "CertId", "Failure", "Malformed", "Responder", "failure", "read"]
