"""A message opened: its fields as a tree beside its bytes, each able to point at the other."""

from __future__ import annotations

from collections.abc import Iterator

from twoway.explainer.page.markup import Html, join, tag
from twoway.explainer.transcript import Message, Side
from twoway.wire.events import WireMessage
from twoway.wire.fields import Field

_ROW = 16
_MAX_SHOWN = 24
# What redaction hides: keys and what they protect.
_SECRET = frozenset(
    {"key_exchange", "ticket", "binder", "verify_data", "identity", "data", "public", "ecdh_yc", "random"}
)


def opened(message: Message, number: int, side: Side | None, *, redact: bool) -> Html:
    """What a message unfolds to; `side` is given for a CertificateVerify, to show what it signs."""
    wire = message.wire
    names = {id(field): f"{number}-{index}" for index, (_, field) in enumerate(wire.tree.walk())}
    return tag(
        "div",
        tag("p", message.sentence, class_="sentence"),
        tag("p", f"does not decode: {wire.fault}", class_="fault") if wire.fault else None,
        _signed(side) if side is not None and side.signed else None,
        tag(
            "div",
            tag("div", tag("h4", "fields"), _tree(wire.tree, names, redact), class_="fields"),
            _pane(wire, names, number, redact),
            class_="panes",
        )
        if wire.data
        else None,
        class_="opened",
    )


def _tree(tree: Field, names: dict[int, str], redact: bool) -> Html:
    return tag("ul", *(_item(child, names, redact) for child in tree.children))


def _item(field: Field, names: dict[int, str], redact: bool) -> Html:
    place = f"{field.start}" if field.size == 1 else f"{field.start}–{field.end - 1}"
    head = (
        tag("b", field.name),
        " ",
        tag("span", _told(field, redact), class_="value"),
        " ",
        tag("span", place, class_="place", title="bytes of the message"),
    )
    inner = tag("ul", *(_item(child, names, redact) for child in field.children)) if field.children else None
    return tag("li", tag("span", *head, class_="f", data_f=names[id(field)]), inner)


def _told(field: Field, redact: bool) -> str:
    if redact and field.name in _SECRET:
        return f"hidden, {field.size} bytes"
    if field.text:
        return field.text
    value = field.value
    if isinstance(value, bytes):
        shown = value[:_MAX_SHOWN].hex()
        return shown if len(value) <= _MAX_SHOWN else f"{shown}… {len(value)} bytes"
    return "" if value is None else str(value)


def _pane(wire: WireMessage, names: dict[int, str], number: int, redact: bool) -> Html:
    return tag(
        "div",
        tag("h4", "bytes"),
        tag(
            "pre",
            join(_rows(wire, names, redact), "\n"),
            class_="hex",
            tabindex="0",
            role="region",
            aria_label=f"bytes of message {number + 1}, {wire.name}",
        ),
        class_="bytes",
    )


def _rows(wire: WireMessage, names: dict[int, str], redact: bool) -> Iterator[Html]:
    leaves = [field for _, field in wire.tree.walk() if not field.children and field.size]
    turn = 0
    for start in range(0, len(wire.data), _ROW):
        end = min(start + _ROW, len(wire.data))
        parts: list[Html] = [tag("i", f"{start:04x}  ")]
        at = start
        while at < end:
            while turn < len(leaves) and leaves[turn].end <= at:
                turn += 1
            leaf = leaves[turn] if turn < len(leaves) else None
            until = min(end, leaf.end) if leaf is not None else end
            hidden = redact and leaf is not None and leaf.name in _SECRET
            octets = "·· " * (until - at) if hidden else wire.data[at:until].hex(" ") + " "
            name = names[id(leaf)] if leaf is not None else None
            parts.append(tag("span", octets, data_f=name))
            at = until
        yield join(parts)


def _signed(side: Side) -> Html:
    """RFC 8446 §4.4.3: the signed octets, part by part; in TLS 1.2 all messages so far."""
    signed = side.signed
    if signed[:64] != b" " * 64:
        rows = [("all handshake messages so far", f"{len(signed)} bytes, {signed[:16].hex(' ')} …")]
    else:
        context, _, digest = signed[64:].partition(b"\0")
        rows = [
            ("64 spaces", "20 20 20 … 20"),
            ("who signs, and for what", context.decode("ascii", "replace")),
            ("a separator", "00"),
            ("the hash of all messages so far", digest.hex(" ")),
        ]
    return tag(
        "div",
        tag("h4", f"exactly what was signed ({side.signature_scheme})"),
        tag("dl", *(join((tag("dt", name), tag("dd", value))) for name, value in rows)),
        tag("p", side.because, class_=f"proof {side.mark}"),
        class_="signed",
    )
