"""The versions that a report of a problem should carry."""

from __future__ import annotations

import platform


def versions() -> list[tuple[str, str]]:
    """Give the name and version of twoway and of everything a handshake depends on."""
    import cryptography
    import OpenSSL
    from cryptography.hazmat.backends.openssl import backend

    from twoway import __version__

    return [
        ("twoway", __version__),
        (platform.python_implementation(), platform.python_version()),
        ("cryptography", cryptography.__version__),
        ("pyOpenSSL", OpenSSL.__version__),
        ("OpenSSL", backend.openssl_version_text().removeprefix("OpenSSL ")),
    ]
