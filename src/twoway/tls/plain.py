"""What somebody is told who speaks plain HTTP to a TLS port."""

from __future__ import annotations

# What a plain HTTP client is told when it knocks at a TLS port; there is no TLS to say it in.
_PLAIN_HTTP_BODY = b"this port speaks TLS: use https:// and a client certificate\n"
PLAIN_HTTP_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_PLAIN_HTTP_BODY), _PLAIN_HTTP_BODY)
)
