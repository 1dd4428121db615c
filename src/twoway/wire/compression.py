"""Opens compressed certificates (RFC 8879): zlib always, brotli and zstd where their packages are; pure.

What is opened never grows beyond what it announces, nor beyond 1 MiB.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable

from twoway.errors import ConfigError
from twoway.wire.handshake import read_certificates
from twoway.wire.reader import Malformed, Reader
from twoway.wire.tables import CERTIFICATE_COMPRESSIONS

MAX_DECOMPRESSED = 1024 * 1024
# RFC 8878 §3.1.1.1.2 recommends to support windows of 8 MiB; a larger one only costs memory.
_ZSTD_WINDOW_LOG = 23
_WHAT = "compressed_certificate"


class DecompressorMissing(ConfigError):
    """A certificate is compressed in a way that nothing installed here can open."""

    code = "decompressor_missing"
    spec = "RFC 8879 §7.3"

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithm)
        self.algorithm = algorithm

    def __str__(self) -> str:
        return f"compressed with {self.algorithm}, which nothing installed here opens"

    @property
    def remedy(self) -> str:
        if self.algorithm in CERTIFICATE_COMPRESSIONS.values():
            return "pip install 'twoway[compression]'"
        return "no registered algorithm has this number; what is within stays unknown"

    @property
    def evidence(self) -> dict[str, object]:
        return {"algorithm": self.algorithm}


def read_compressed_certificates(body: bytes) -> tuple[bytes, ...]:
    """The certificates in the body of a CompressedCertificate as DER, the leaf first.

    Raises Malformed for a body that is none or lies about its size, DecompressorMissing where it cannot be told.
    """
    reader = Reader(body, _WHAT)
    algorithm, size = reader.number(2), reader.number(3)
    data = reader.vector(3).data
    reader.end()
    return read_certificates(decompress(algorithm, data, size), "TLSv1.3")


def decompress(algorithm: int, data: bytes, size: int) -> bytes:
    """The `size` bytes that are in `data`; raises as above."""
    name = CERTIFICATE_COMPRESSIONS.get(algorithm, f"algorithm {algorithm}")
    if size > MAX_DECOMPRESSED:
        raise Malformed(_WHAT, 2, f"at most {MAX_DECOMPRESSED} bytes within", f"{size}")
    opened = _DECOMPRESSORS.get(name, _unknown)(name, data, size)
    # RFC 8879 §4: uncompressed_length is exactly what comes out.
    if len(opened) != size:
        found = f"more than {size}" if len(opened) > size else f"{len(opened)}"
        raise Malformed(_WHAT, 2, f"{size} bytes within", found)
    return opened


def _unknown(name: str, data: bytes, size: int) -> bytes:
    raise DecompressorMissing(name)


def _zlib(name: str, data: bytes, size: int) -> bytes:
    opener = zlib.decompressobj()
    try:
        opened = opener.decompress(data, size + 1)
    except zlib.error as error:
        raise _broken(name, error) from None
    return _whole(name, opened, opener.eof, size)


def _brotli(name: str, data: bytes, size: int) -> bytes:
    try:
        import brotli
    except ImportError:
        raise DecompressorMissing(name) from None
    opener, opened = brotli.Decompressor(), b""
    try:
        opened = opener.process(data, output_buffer_limit=size + 1)
        while len(opened) <= size and not opener.can_accept_more_data():
            opened += opener.process(b"", output_buffer_limit=size + 1)
    except brotli.error as error:
        raise _broken(name, error) from None
    return _whole(name, opened, opener.is_finished(), size)


def _zstd(name: str, data: bytes, size: int) -> bytes:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError:
        raise DecompressorMissing(name) from None
    opener = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
    try:
        opened = opener.decompress(data, max_length=size + 1)
    except zstd.ZstdError as error:
        raise _broken(name, error) from None
    return _whole(name, opened, opener.eof, size)


def _whole(name: str, opened: bytes, ended: bool, size: int) -> bytes:
    if not ended and len(opened) <= size:
        raise Malformed(_WHAT, 8, f"{name} data to its end", f"{len(opened)} bytes and no end")
    return opened


def _broken(name: str, error: Exception) -> Malformed:
    return Malformed(_WHAT, 8, f"{name} data", str(error) or type(error).__name__)


_DECOMPRESSORS: dict[str, Callable[[str, bytes, int], bytes]] = {
    "zlib": _zlib,
    "brotli": _brotli,
    "zstd": _zstd,
}
