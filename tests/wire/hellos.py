"""What holds for the hello of any real program: every byte has one place, and nothing that it says is unnamed."""

from __future__ import annotations

import re

from tests.wire.test_messages import assert_tiles, leaves
from twoway.wire.fields import Field
from twoway.wire.handshake import ClientHello, read_client_hello
from twoway.wire.messages import decode_message

# What no registry names: GREASE (RFC 8701) has no contents.
_OPAQUE = re.compile(r"data|undecoded|extension_\d+")


def encoded(tree: Field) -> bytes:
    """The bytes again, from the values alone."""
    out = b""
    for leaf in leaves(tree):
        value = leaf.value
        assert isinstance(value, (int, bytes)), leaf
        out += value.to_bytes(leaf.size, "big") if isinstance(value, int) else value
    return out


def unnamed(tree: Field) -> list[str]:
    """Fields that say only a number, and extensions that are told as bytes; GREASE is a name."""
    found = []
    extensions = tree.find("extensions")
    assert extensions is not None
    for extension in extensions.children:
        for _, one in extension.walk():
            if extension.name != "grease" and _OPAQUE.fullmatch(one.name):
                found.append(f"{extension.name}: {one.name}")
    return found + [f"{one.name} {one.text}" for _, one in tree.walk() if re.match(r"0x|\d+$", one.text)]


def check(data: bytes) -> ClientHello:
    """The facts of this hello; fails where its tree is not whole."""
    name, tree, fault = decode_message(data, version=None, sender="client")
    assert (name, fault) == ("client_hello", None)
    assert_tiles(tree, len(data))
    assert encoded(tree) == data
    assert unnamed(tree) == []
    return read_client_hello(data[4:])


def extensions_of(data: bytes) -> list[str]:
    _, tree, _ = decode_message(data, version=None, sender="client")
    extensions = tree.find("extensions")
    return [one.name for one in extensions.children] if extensions is not None else []
