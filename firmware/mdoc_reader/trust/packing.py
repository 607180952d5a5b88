"""Lists as they travel: some publishers hand them out compressed with gzip (RFC 1952)."""

from __future__ import annotations

import zlib

from mdoc_reader.model.reasons import Malformed, MalformedCode

MAX_BYTES = 32 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_WITH_GZIP_HEAD = 31


def unpacked(data: bytes, most: int = MAX_BYTES) -> bytes:
    """Return what is inside gzip, or the data itself where it is none. Never makes more than `most` bytes.

    Raises Malformed: TOO_LARGE, also for data that is not compressed; TRUNCATED, TRAILING_BYTES, BAD_VALUE.
    """
    if len(data) > most:
        raise Malformed(MalformedCode.TOO_LARGE, detail=f"{len(data)} bytes, at most {most}")
    if not data.startswith(_GZIP):
        return data
    inflater = zlib.decompressobj(_WITH_GZIP_HEAD)
    try:
        plain = inflater.decompress(data, most + 1)
    except zlib.error:
        raise Malformed(MalformedCode.BAD_VALUE, "gzip", detail="damaged") from None
    if len(plain) > most:
        raise Malformed(MalformedCode.TOO_LARGE, "gzip", detail=f"at most {most} bytes")
    if not inflater.eof:
        raise Malformed(MalformedCode.TRUNCATED, "gzip")
    if inflater.unused_data:
        raise Malformed(MalformedCode.TRAILING_BYTES, "gzip")
    return plain
