"""Compressed certificates (RFC 8879): opened exactly as far as they announce, or a typed reason why not."""

from __future__ import annotations

import pickle
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.test_messages import assert_tiles, message, vector
from twoway.wire.compression import (
    MAX_DECOMPRESSED,
    DecompressorMissing,
    decompress,
    read_compressed_certificates,
)
from twoway.wire.messages import decode_message
from twoway.wire.reader import Malformed

if sys.version_info >= (3, 14):
    from compression import zstd

    ZSTD = "compression"
else:
    from backports import zstd

    ZSTD = "backports"

PACKERS: dict[int, Callable[[bytes], bytes]] = {1: zlib.compress, 2: brotli.compress, 3: zstd.compress}
NAMES = {1: "zlib", 2: "brotli", 3: "zstd"}
CERTIFICATES = (b"a leaf of an age", b"and one above it")
BODY = b"\0" + vector(3, b"".join(vector(3, one) + b"\0\0" for one in CERTIFICATES))
every = pytest.mark.parametrize("number", PACKERS, ids=NAMES.get)


def packed(number: int, body: bytes = BODY, size: int | None = None) -> bytes:
    size = len(body) if size is None else size
    return number.to_bytes(2, "big") + size.to_bytes(3, "big") + vector(3, PACKERS[number](body))


@every
def test_the_certificates_within_are_found(number: int):
    assert read_compressed_certificates(packed(number)) == CERTIFICATES
    data = message(25, packed(number))
    name, tree, fault = decode_message(data, version="TLSv1.3", sender="server")
    assert (name, fault) == ("compressed_certificate", None)
    assert_tiles(tree, len(data))
    told = tree.find("compressed_certificate_message")
    assert told is not None
    assert told.text.startswith(f"2 certificates, {len(BODY)} bytes in ")
    assert (tree.find("algorithm") or tree).text == f"{NAMES[number]} (0x000{number})"


@every
@pytest.mark.parametrize("by", [-1, 1])
def test_a_size_that_is_not_true_is_a_fault(number: int, by: int):
    with pytest.raises(Malformed) as caught:
        read_compressed_certificates(packed(number, size=len(BODY) + by))
    assert caught.value.expected == f"{len(BODY) + by} bytes within"


@every
def test_a_bomb_is_opened_no_further_than_it_announces(number: int):
    bomb = PACKERS[number](bytes(64 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(Malformed, match="more than 1000"):
            decompress(number, bomb, 1000)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


@every
def test_more_than_a_mebibyte_is_not_even_begun(number: int):
    with pytest.raises(Malformed, match=f"at most {MAX_DECOMPRESSED} bytes"):
        decompress(number, b"", MAX_DECOMPRESSED + 1)


@every
def test_data_without_its_end_is_a_fault(number: int):
    with pytest.raises(Malformed, match=r"to its end|bytes within"):
        decompress(number, PACKERS[number](BODY)[:-3], len(BODY))


def test_a_window_that_costs_memory_is_not_opened():
    """RFC 8878 §3.1.1.1.2: 8 MiB are enough for anybody's certificate."""
    greedy = zstd.compress(BODY, options={zstd.CompressionParameter.window_log: 27})
    header = bytearray(zstd.compress(bytes(200_000), options={zstd.CompressionParameter.window_log: 27}))
    assert decompress(3, greedy, len(BODY)) == BODY  # one segment: it needs no window
    with pytest.raises(Malformed):
        # A frame without its content's size, and a window of 2^31 bytes (RFC 8878 §3.1.1.1).
        decompress(3, bytes(header[:4]) + b"\x00\xa8" + b"\x03\x00\x00\x00", 1)


def test_an_algorithm_that_nobody_registered_is_said():
    with pytest.raises(
        DecompressorMissing, match="algorithm 9, which nothing installed here opens"
    ) as caught:
        decompress(9, b"", 0)
    assert pickle.loads(pickle.dumps(caught.value)).evidence == {"algorithm": "algorithm 9"}


@pytest.mark.parametrize(("number", "module"), [(2, "brotli"), (3, ZSTD)])
def test_without_the_package_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, number: int, module: str
):
    monkeypatch.setitem(sys.modules, module, None)
    _, tree, fault = decode_message(message(25, packed(number)), version="TLSv1.3", sender="server")
    assert fault is None
    told = tree.find("compressed_certificate_message")
    assert told is not None
    assert told.text == f"compressed with {NAMES[number]}, which nothing installed here opens"
    with pytest.raises(DecompressorMissing) as caught:
        read_compressed_certificates(packed(number))
    assert caught.value.remedy == "pip install 'twoway[compression]'"


@given(st.sampled_from([1, 2, 3]), st.binary(max_size=300), st.integers(0, 2000))
def test_any_bytes_are_opened_or_refused_by_a_typed_error(number: int, data: bytes, size: int):
    try:
        assert len(decompress(number, data, size)) == size
    except Malformed as fault:
        assert fault.what == "compressed_certificate"


@given(st.sampled_from([1, 2, 3]), st.data())
def test_damaged_data_is_opened_or_refused_by_a_typed_error(number: int, data: st.DataObject):
    octets = bytearray(PACKERS[number](BODY * 20))
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert len(decompress(number, bytes(octets), len(BODY) * 20)) == len(BODY) * 20
    except Malformed as fault:
        assert fault.what == "compressed_certificate"
