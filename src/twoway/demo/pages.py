"""The demo's own pages: its 2-way handshake message by message, beside a one-way one, and as a drawing."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from twoway.demo.stage import SERVER_NAME, Cast
from twoway.explainer.ladder_svg import as_svg
from twoway.explainer.live import watch
from twoway.explainer.page import as_html, as_html_compared

PAGE, COMPARED, DRAWING = "handshake.html", "one-way-and-two-way.html", "handshake.svg"


def write_pages(cast: Cast, port: int, open_port: int, *, kept: bool) -> Path:
    """Make both handshakes once more, and write what they told; returns the page of the 2-way one.

    Beside the identities where those are kept, else in a directory of its own that stays. No secret is in them.
    """
    now = datetime.now(UTC)
    place = cast.place if kept else Path(tempfile.mkdtemp(prefix="twoway-demo-page-"))
    two = watch(f"127.0.0.1:{port}", identity=cast.client, server_name=SERVER_NAME)
    one = watch(f"127.0.0.1:{open_port}", trust=cast.trust, server_name=SERVER_NAME)
    (place / PAGE).write_text(as_html(two, now=now), "utf-8")
    (place / COMPARED).write_text(as_html_compared(one, two, now=now), "utf-8")
    (place / DRAWING).write_text(as_svg(two), "utf-8")
    return place / PAGE
