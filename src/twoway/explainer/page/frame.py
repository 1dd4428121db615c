"""The frame of a page: its style and its script are within, and nothing else may run or be loaded."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

from twoway.explainer.page.markup import Html, join, tag


def document(title: str, *parts: object) -> str:
    """A whole HTML document around `parts`."""
    style, script = _asset("style.css"), _asset("page.js")
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(style)),
    )
    body = tag(
        "body",
        tag(
            "main",
            tag("p", tag("button", "light / dark", type="button", id="theme", hidden=True), class_="tools"),
            *parts,
        ),
        tag("footer", tag("p", "told by twoway explain, from the bytes that went over the wire")),
        tag("script", Html(script)),
    )
    return f"<!doctype html>\n{tag('html', join((head, body)), lang='en')}\n"


@cache
def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")
