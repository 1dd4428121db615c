"""Where what an authority says about its certificates is found: one public address, written into every leaf."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from twoway.authority.faults import PublicUrlUnusable
from twoway.names import BadName, is_ip, parse_dns_name

FILE = "public-url"
MAX_LENGTH = 200


def read(directory: Path) -> str | None:
    """The public address in an authority's directory; None where it has none. Raises PublicUrlUnusable."""
    path = directory / FILE
    try:
        return checked(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as failure:
        raise PublicUrlUnusable(str(path), str(failure)) from None


def checked(url: str) -> str:
    """The address without a final slash; raises PublicUrlUnusable for what no verifier could follow."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as failure:
        raise PublicUrlUnusable(url, str(failure)) from None
    # RFC 5280 §8: a list behind HTTPS would need the very verification that it is needed for.
    if parts.scheme != "http" or not host:
        raise PublicUrlUnusable(url, "it has to begin with http://HOST")
    if parts.username or parts.query or parts.fragment or port == 0 or len(url) > MAX_LENGTH:
        raise PublicUrlUnusable(url, "only a host, a port and a path may be in it")
    if not url.isascii() or any(character <= " " for character in url):
        raise PublicUrlUnusable(url, "it has characters that belong in no address")
    if not is_ip(host):
        try:
            parse_dns_name(host)
        except BadName as failure:
            raise PublicUrlUnusable(url, str(failure)) from None
    return url.rstrip("/")


def extensions(url: str, issuer: x509.Certificate) -> tuple[x509.ExtensionType, x509.ExtensionType]:
    """What a leaf of that CA says: its OCSP responder (RFC 5280 §4.2.2.1), and its CRL (§4.2.1.13)."""
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()
    ocsp = x509.AccessDescription(
        AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(f"{url}/ocsp")
    )
    crl = x509.UniformResourceIdentifier(f"{url}/crl/{identifier}.crl")
    return (
        x509.AuthorityInformationAccess([ocsp]),
        x509.CRLDistributionPoints([x509.DistributionPoint([crl], None, None, None)]),
    )
