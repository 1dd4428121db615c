"""More ways to fail: how the server is set up, what it is called, and what it answers once both are proven."""

from __future__ import annotations

from tests.doctor.catalogue import H, Setup
from tests.doctor.wider_details import same, server_of

NGINX = ("nginx",)
# A second site on the same address that asks for certificates, where the named one does not.
ASKING_BY_DEFAULT = (
    "server { listen 127.0.0.1:PORT ssl default_server; server_name _; ssl_certificate OWN/cert.pem; "
    "ssl_certificate_key OWN/key.pem; ssl_client_certificate OWN/ca.pem; ssl_verify_client on; }"
)
REJECTING_BY_DEFAULT = "server { listen 127.0.0.1:PORT ssl default_server; ssl_reject_handshake on; }"


def named(*names: str) -> Setup:
    return H.setup(server=server_of(dns=names, ip=()))


SERVICES = [
    # names
    same(
        "an address as a DNS name",
        lambda: named("127.0.0.1"),
        "address_not_in_certificate",
        called="127.0.0.1",
    ),
    same(
        "called by its address", lambda: named("localhost"), "address_not_in_certificate", called="127.0.0.1"
    ),
    same(
        "a wildcard over two labels",
        lambda: named("*.acme.example"),
        "wildcard_mismatch",
        called="a.b.acme.example",
    ),
    same(
        "a wildcard over none",
        lambda: named("*.acme.example"),
        "wildcard_mismatch",
        "hostname_mismatch",
        called="acme.example",
    ),
    same(
        "half a wildcard",
        lambda: named("ap*.acme.example"),
        "wildcard_mismatch",
        "hostname_mismatch",
        called="api.acme.example",
    ),
    # sites
    same(
        "a site that does not ask, beside one that does",
        lambda: H.setup(clients="none", nginx="server_name localhost;", nginx_hosts=ASKING_BY_DEFAULT),
        "wrong_virtual_host",
        servers=NGINX,
    ),
    same(
        "a name that no site has",
        lambda: H.setup(nginx="server_name localhost;", nginx_hosts=REJECTING_BY_DEFAULT),
        "wrong_virtual_host",
        servers=NGINX,
        called="nobody.acme.example",
    ),
    # answers
    same("denied in HTTP", lambda: H.setup(status=403), "not_allowed", servers=("python", "nginx", "go")),
    same("another proof is wanted", lambda: H.setup(status=401), "not_allowed", servers=("python", "go")),
    same("misdirected", lambda: H.setup(status=421), "wrong_virtual_host", servers=("python", "nginx", "go")),
    same("refused as nginx words it", lambda: H.setup(status=495), "refused_at_http", servers=("python",)),
]
