"""Compressed lists: what is inside, and never more of it than was asked for."""

from __future__ import annotations

import gzip

import pytest

from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.trust.packing import unpacked


def test_what_is_inside() -> None:
    assert unpacked(gzip.compress(b"list" * 100), 400) == b"list" * 100
    assert unpacked(b"list", 4) == b"list"
    assert unpacked(b"", 4) == b""


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (bytes(101), MalformedCode.TOO_LARGE),
        (gzip.compress(bytes(101)), MalformedCode.TOO_LARGE),
        (gzip.compress(bytes(1024 * 1024))[:90], MalformedCode.TOO_LARGE),
        (gzip.compress(b"list")[:-1], MalformedCode.TRUNCATED),
        (gzip.compress(b"list")[:12], MalformedCode.TRUNCATED),
        (b"\x1f\x8b", MalformedCode.TRUNCATED),
        (gzip.compress(b"list") + b"\0", MalformedCode.TRAILING_BYTES),
        (gzip.compress(b"li") + gzip.compress(b"st"), MalformedCode.TRAILING_BYTES),
        (b"\x1f\x8b\x08" + bytes(20), MalformedCode.BAD_VALUE),
        (gzip.compress(b"list")[:-8] + bytes(8), MalformedCode.BAD_VALUE),
    ],
)
def test_what_cannot_be_unpacked(data: bytes, code: MalformedCode) -> None:
    with pytest.raises(Malformed) as caught:
        unpacked(data, 100)
    assert caught.value.code is code
