"""Takes a body off the wire piece by piece, unpacks it where it is packed, and stops at its bound in both forms."""

from __future__ import annotations

import zlib

from mdoc_reader.edge.codes import FetchCode, FetchError

_GZIP = 16 + zlib.MAX_WBITS
_IDENTITY = frozenset({"", "identity"})
_PACKED = frozenset({"gzip", "x-gzip"})


class Body:
    """A body as it comes. Args: the Content-Encoding, and how many bytes there may be. Raises FetchError."""

    def __init__(self, encoding: str, limit: int) -> None:
        """Begin with nothing."""
        encoding = encoding.strip().lower()
        if encoding not in _IDENTITY | _PACKED:
            raise FetchError(FetchCode.ENCODING, "an encoding that was not asked for")
        self._limit = limit
        self._came = 0
        self._whole = bytearray()
        self._unpacker = zlib.decompressobj(_GZIP) if encoding in _PACKED else None

    def add(self, piece: bytes) -> None:
        """Take the next piece. Raises FetchError."""
        self._came += len(piece)
        if self._came > self._limit:
            raise FetchError(FetchCode.TOO_LARGE, f"more than {self._limit} bytes")
        if self._unpacker is None:
            self._whole += piece
            return
        try:
            self._whole += self._unpacker.decompress(piece, self._limit + 1 - len(self._whole))
        except zlib.error:
            raise FetchError(FetchCode.ENCODING, "not gzip") from None
        if len(self._whole) > self._limit or self._unpacker.unconsumed_tail:
            raise FetchError(FetchCode.BOMB, f"more than {self._limit} bytes unpacked")
        if self._unpacker.unused_data:
            raise FetchError(FetchCode.ENCODING, "data behind its end")

    def end(self) -> bytes:
        """Return the whole. Raises FetchError."""
        if self._unpacker is not None and not self._unpacker.eof:
            raise FetchError(FetchCode.CUT_OFF, "packed, and without its end")
        if not self._whole:
            raise FetchError(FetchCode.EMPTY)
        return bytes(self._whole)
