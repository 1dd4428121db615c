"""rustls as a client: reqwest's binding, from .judges/rustls: rustls_call.py URL [CA [IDENTITY]] (`-` for none)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / ".judges" / "rustls"))

from pyreqwest.client import SyncClientBuilder

url, trust, identity = [*sys.argv[1:], "-", "-"][:3]
builder = SyncClientBuilder()
if trust != "-":
    builder = builder.add_root_certificate_pem(Path(trust).read_bytes())
if identity != "-":
    own = Path(identity)
    builder = builder.identity_pem((own / "cert.pem").read_bytes() + (own / "key.pem").read_bytes())
try:
    with builder.build() as client:
        print("answered", client.get(url).build().send().text(), sep="\n")
except Exception as error:
    while error is not None:
        print(f"{type(error).__name__}: {error}", getattr(error, "details", ""))
        error = error.__cause__
