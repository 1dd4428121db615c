"""Options for servers that are started by a command of their own, which has no place for ours: from the environment.

| variable | as |
|---|---|
| TWOWAY_IDENTITY | `--identity`, required |
| TWOWAY_TRUST, TWOWAY_CRL | `--trust`, `--crl`; several paths with `:` between them |
| TWOWAY_POLICY | `--policy` |
| TWOWAY_ALLOW | `--allow`; several rules with `;` between them |
| TWOWAY_CLIENTS | `--clients` |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from twoway.errors import UsageError
from twoway.server.options import ServeOptions


def options_from(environment: Mapping[str, str] = os.environ, **more: Any) -> ServeOptions:
    """What to serve with; raises UsageError when no identity is named. An empty variable counts as unset."""
    identity = environment.get("TWOWAY_IDENTITY")
    if not identity:
        raise UsageError(
            "no identity was given: TWOWAY_IDENTITY is not set",
            "set TWOWAY_IDENTITY to an identity directory, or pass identity= in code",
        )
    found: dict[str, Any] = {"identity": identity}
    for name in ("trust", "crl"):
        if value := environment.get(f"TWOWAY_{name.upper()}"):
            found[name] = value.split(":")
    for name in ("policy", "clients"):
        if value := environment.get(f"TWOWAY_{name.upper()}"):
            found[name] = value
    # A rule that is empty stays one, and is refused: it must not quietly let in everybody.
    if "TWOWAY_ALLOW" in environment:
        found["allow"] = environment["TWOWAY_ALLOW"].split(";")
    return ServeOptions(**{**found, **more})
