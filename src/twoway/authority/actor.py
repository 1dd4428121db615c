"""Who acts, where nobody else is named: the login that runs this process."""

from __future__ import annotations

import getpass
import os


def login() -> str:
    """The user's name, or the number where there is no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
