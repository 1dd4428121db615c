"""The group of the agent's verbs."""

from __future__ import annotations

import click


@click.group(short_help="Get identities from an authority, and keep them.")
def agent() -> None:
    """Get an identity from an authority's service (`twoway ca serve`), and keep it."""
