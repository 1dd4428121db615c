"""Who acts, where nobody else is named: the login that runs this process, or a part of the authority itself."""

from __future__ import annotations

import getpass
import os

SERVICE = "twoway ca serve"
"""Asks for the running service's own certificate, which replaces itself."""


def login() -> str:
    """The user's name, or the number where there is no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
