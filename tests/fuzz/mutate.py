"""Mutations that keep CBOR well-formed: one item of the tree is replaced, so that what lies deep is reached."""

from __future__ import annotations

import random

from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed

_LIMITS = cbor.Limits(max_bytes=8192, max_depth=24, max_items=2000)
_REPLACEMENTS = """
00 01 0a 0b 14 17 1818 19ffff 1b7fffffffffffffff 1bffffffffffffffff 20 26 3822 3bffffffffffffffff
40 4100 60 6161 63312e30 80 8100 8201f6 a0 a10001 a1616100 f4 f5 f6 f7 f97e00 fb7ff0000000000000
d81840 d81841a0 d81841ff c06161 c074323032302d30312d30315430303a30303a30305a d903ec6a323032302d30312d3031
c24101 d8236161 d81c80 d81d00 d9010080 d90102820101 d9d9f700
5f40ff 9fff bfff 7f60ff 5affffffff 9bffffffffffffffff bb0000010000000000 f8ff ff
"""
TAGS = (0, 1, 2, 3, 4, 5, 17, 18, 24, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 1004, 55799, 2**64 - 1)
_SIZES = (0, 1, 23, 24, 255, 2**16 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
REPLACEMENTS = tuple(bytes.fromhex(text) for text in _REPLACEMENTS.split())


def mutate(data: bytes, dice: random.Random, depth: int = 0) -> bytes:
    """Return `data` with one item changed, inside embedded CBOR too; unchanged when it is no CBOR."""
    try:
        heads = [at for at, _, _ in cbor.walk(data, 0, _LIMITS)]
        start = dice.choice(heads)
        end = cbor.scan(data, start, _LIMITS)
        changed = _changed(data[start:end], dice, depth, data, heads)
    except (Malformed, IndexError):
        return data
    return data[:start] + changed + data[end:]


def _changed(item: bytes, dice: random.Random, depth: int, data: bytes, heads: list[int]) -> bytes:
    major, low = item[0] >> 5, item[0] & 31
    if major == 2 and depth < 4 and dice.random() < 0.8:
        width = {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0)
        inner = mutate(item[1 + width :], dice, depth + 1)
        if inner != item[1 + width :]:
            return cbor.head(2, len(inner)) + inner
    match dice.randrange(9):
        case 0 if major in {0, 1} and low < 23:
            return bytes((item[0] + dice.choice((-1, 1)) if low else item[0] + 1,))
        case 1:  # another item of the same message in its place
            other = dice.choice(heads)
            return data[other : cbor.scan(data, other, _LIMITS)]
        case 2:
            return item + item
        case 3:
            return b"\xd8\x18" + cbor.bstr(item)
        case 4:
            return cbor.head(6, dice.choice(TAGS)) + item
        case 5:  # a length or a count that is a lie, in any of its forms
            return cbor.head(major, dice.choice(_SIZES)) + item[1 + {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0) :]
        case 6 if major == 5 and 0 < low < 23:  # its first entry twice
            value = cbor.scan(item, cbor.scan(item, 1, _LIMITS), _LIMITS)
            return bytes((item[0] + 1,)) + item[1:value] + item[1:]
        case 7:
            return dice.choice((b"\x81", b"\xc1", b"\xa1\x00", b"\xd8\x18")) * dice.choice((3, 23, 24, 300)) + item
        case _:
            return dice.choice(REPLACEMENTS)
