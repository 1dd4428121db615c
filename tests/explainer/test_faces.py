"""One transcript, four faces: each tells all of it, and none lets a stranger's bytes act."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from tests.explainer.conftest import Told
from twoway.explainer.alignment import aligned
from twoway.explainer.glyphs import Glyphs
from twoway.explainer.json_face import as_dict
from twoway.explainer.ladder_svg import as_svg
from twoway.explainer.page import as_html, as_html_compared
from twoway.explainer.terminal import Terminal
from twoway.explainer.transcript import Transcript

NOW = datetime.now(UTC)
EVERY = list(Told._fields)
HOSTILE = '</script><script>alert(1)</script>\x1b[2J\u202eevil"&'


class Page(HTMLParser):
    """The page as a reader of HTML sees it; fails on elements that are not closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize("name", EVERY)
def test_the_page_is_one_file_that_loads_nothing(told: Told, name: str):
    source = as_html(getattr(told, name), now=NOW)
    assert len(source.encode()) < 300_000
    page = Page(source)
    assert not [one for one in page.found if one[0] in ("link", "img", "iframe", "object", "base", "form")]
    assert not [one for one in page.found if "src" in one[1] or "href" in one[1] or "style" in one[1]]
    assert "http://" not in source.replace("http://www.w3.org/2000/svg", "")
    policy = next(one[1]["content"] for one in page.found if one[1].get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.parametrize("name", EVERY)
def test_every_face_tells_every_message(told: Told, name: str):
    transcript: Transcript = getattr(told, name)
    page, svg = as_html(transcript, now=NOW), as_svg(transcript)
    drawn = Terminal(width=100, detail=2).draw(transcript)
    data = as_dict(transcript)
    assert [step["number"] for step in data["steps"]] == [1, 2, 3, 4, 5]
    listed = [m for step in data["steps"] for m in step["messages"]]
    assert sorted(m["index"] for m in listed) == list(range(len(transcript.messages)))
    for message in transcript.messages:
        assert page.count(message.wire.name)
        assert message.wire.name in svg
        assert message.wire.name in drawn
    for ghost in transcript.ghosts:
        assert f"{ghost.name} never came" in svg
        assert f"({ghost.name})" in drawn
    json.dumps(data)
    assert data["verdict"] == transcript.verdict
    ElementTree.fromstring(svg)


def hostile(transcript: Transcript) -> Transcript:
    sides = tuple(
        replace(
            side,
            because=HOSTILE,
            chain=tuple(
                replace(link, subject=HOSTILE, names=(HOSTILE,), because=HOSTILE) for link in side.chain
            ),
        )
        for side in transcript.sides
    )
    messages = tuple(replace(m, sentence=HOSTILE) for m in transcript.messages)
    return replace(
        transcript,
        verdict=HOSTILE,
        sides=sides,
        messages=messages,
        server_name=HOSTILE,
        notes=(HOSTILE,),  # type: ignore[arg-type]
    )


def test_what_a_stranger_wrote_is_text_in_every_face(told: Told):
    transcript = hostile(told.stranger)
    clean = Page(as_html(told.stranger, now=NOW))
    page = Page(as_html(transcript, now=NOW))
    assert (
        [tag for tag, _ in page.found].count("script") == [tag for tag, _ in clean.found].count("script") == 1
    )
    for source in (as_html(transcript, now=NOW), as_svg(transcript), Terminal().draw(transcript)):
        assert "\x1b[2J" not in source
        assert "\u202e" not in source
    assert "<script>alert" not in as_html(transcript, now=NOW)
    assert ElementTree.fromstring(as_svg(transcript)) is not None


def test_redaction_takes_keys_and_data_out(told: Told):
    transcript = told.mutual
    hello = transcript.messages[0].wire.tree.find("key_exchange")
    assert hello is not None
    assert isinstance(hello.value, bytes)
    # A row of the pane that lies wholly within the key.
    start = (hello.start // 16 + 2) * 16 - hello.start
    row = hello.value[start : start + 16].hex(" ")
    assert row in as_html(transcript, now=NOW)
    hidden = as_html(transcript, now=NOW, redact=True)
    assert row not in hidden
    assert hello.value.hex()[:40] not in hidden
    assert "hidden, " in hidden


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("name", EVERY)
def test_the_terminal_keeps_its_width(told: Told, name: str, width: int):
    for detail in (0, 1, 2):
        lines = Terminal(width=width, detail=detail).draw(getattr(told, name)).splitlines()
        assert max(len(line) for line in lines) <= width
        assert not [line for line in lines if line != line.rstrip()]


def test_ascii_is_ascii(told: Told):
    for transcript in told:
        drawn = Terminal(detail=2, glyphs=Glyphs(True)).draw(transcript)
        assert drawn.isascii()


def test_fields_and_bytes_are_told_when_asked_for(told: Told):
    plain, fields, octets = (Terminal(detail=n).draw(told.mutual) for n in (0, 1, 2))
    assert "legacy_version" not in plain
    assert "legacy_version [4:6] TLSv1.2 (0x0303)" in fields
    assert "000000  01 00 05" in octets


def test_colour_is_never_the_only_sign(told: Told):
    styles: set[str] = set()

    def paint(text: str, style: str) -> str:
        styles.add(style)
        return text

    painted = Terminal(paint=paint).draw(told.stranger)
    assert painted == Terminal().draw(told.stranger)
    assert {"red", "green", "cyan", "bold"} <= styles
    for sign in "○◐●✓✗":
        assert sign in painted


def test_two_handshakes_are_aligned_by_message(told: Told):
    pairs = aligned(told.one_way, told.mutual)
    added = [right.wire.name for left, right in pairs if left is None and right is not None]
    assert added == ["certificate_request", "certificate", "certificate_verify"]
    assert not [left for left, right in pairs if right is None]
    page = as_html_compared(told.one_way, told.mutual, now=NOW)
    Page(page)
    assert page.count("only right") == 3
    drawn = Terminal().draw_pair(told.one_way, told.mutual)
    assert re.search(r"^ {10,}.*certificate_request", drawn, re.M)


def test_the_failure_of_the_json_is_a_finding(told: Told):
    failure = as_dict(told.stranger)["failure"]
    assert failure["severity"] == "error"
    assert failure["blame"] == "client"
    assert set(failure) >= {"code", "summary", "evidence", "remedy", "also_possible"}
    assert as_dict(told.mutual)["failure"] is None
