"""What the decoders need to do to a grey picture before looking at it, with the standard library alone.

numpy would do the same and costs some 12 MiB of resident memory, which a reader on a small board keeps for itself.
"""

from __future__ import annotations

from mmap import mmap
from operator import sub

from mdoc_reader.engagement.ports import Frame

PAIRS_ACROSS, PAIRS_DOWN = 40, 24
DARK = 64  # grey levels, that nineteen of twenty pixels stay below
NOISY = 6  # grey levels, by which half of all neighbours differ
MAX_PIXELS = 4096 * 2304  # more than any camera mode this reader would be set to


def usable(frame: Frame) -> bool:
    """Say whether the numbers of a frame agree with each other and with the bytes that came along."""
    if not 0 < frame.width <= frame.stride or frame.height <= 0 or frame.stride * frame.height > MAX_PIXELS * 2:
        return False
    try:
        pixels = frame.pixels
        return (
            pixels.ndim == 1
            and pixels.itemsize == 1
            and pixels.c_contiguous
            and pixels.nbytes >= frame.stride * (frame.height - 1) + frame.width
        )
    except ValueError:  # the driver released its buffer under us
        return False


def tight(frame: Frame) -> bytes:
    """Return width x height bytes without padding. The frame has to be `usable`."""
    width, height, stride, pixels = frame.width, frame.height, frame.stride, frame.pixels
    if stride == width:
        return bytes(pixels[: width * height])
    return b"".join([pixels[start : start + width] for start in range(0, stride * height, stride)])


def halved(frame: Frame) -> bytes:
    """Return (width // 2) x (height // 2) bytes, each the mean of a 2x2 box, off by at most half a grey level.

    All pixels of the picture are averaged at once as the bytes of one long integer: a sum of two bytes is twice their
    common bits plus the bits that differ, so no byte ever carries into its neighbour. One mean rounds down and the
    other up, which keeps the picture's brightness. The frame has to be `usable`, and at least 2x2.
    """
    width, height, stride, pixels = frame.width & ~1, frame.height & ~1, frame.stride, frame.pixels
    even = b"".join([pixels[start : start + width] for start in range(0, stride * height, 2 * stride)])
    odd = b"".join([pixels[start : start + width] for start in range(stride, stride * height, 2 * stride)])
    a, b = int.from_bytes(even, "little"), int.from_bytes(odd, "little")
    rows = ((a & b) + (((a ^ b) & _high_bits(len(even))) >> 1)).to_bytes(len(even), "little")
    left, right = rows[0::2], rows[1::2]
    a, b = int.from_bytes(left, "little"), int.from_bytes(right, "little")
    return ((a | b) - (((a ^ b) & _high_bits(len(left))) >> 1)).to_bytes(len(left), "little")


def _high_bits(count: int) -> int:
    # the lowest bit of each byte would be shifted into the byte below
    return int.from_bytes(b"\xfe" * count, "little")


def poor_light(frame: Frame) -> bool:
    """Say whether a picture is dark, or noisy as a sensor's is in the dark. The frame has to be `usable`.

    Told from pairs of neighbours on a sparse grid: how bright the brighter ones are, and how much most pairs differ.
    """
    width, height, stride, pixels = frame.width, frame.height, frame.stride, frame.pixels
    across, down = max(1, width // PAIRS_ACROSS), max(1, height // PAIRS_DOWN)
    starts = range(0, stride * height, stride * down)
    ones = b"".join([bytes(pixels[start : start + width - 1 : across]) for start in starts])
    others = b"".join([bytes(pixels[start + 1 : start + width : across]) for start in starts])
    if not ones:
        return True
    if sorted(ones)[len(ones) * 19 // 20] < DARK:
        return True
    usual: int = sorted(map(abs, map(sub, ones, others)))[len(ones) // 2]
    return usual >= NOISY


def every(memory: mmap | bytes, width: int, height: int, stride: int, place: tuple[int, int]) -> bytes:
    """Return width x height grey bytes out of rows with colours between: `place` is the first one's, and the step.

    `memory` holds at least `stride` x (`height` - 1) + `width` x step bytes. A memory map steps in C; through a
    memoryview the same takes twelve times as long.
    """
    offset, step = place
    row = width * step
    if stride == row:
        return memory[offset : row * height : step]
    return b"".join([memory[start + offset : start + row : step] for start in range(0, stride * height, stride)])
