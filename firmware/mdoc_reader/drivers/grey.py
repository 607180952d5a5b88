"""What the decoders need to do to a grey picture before looking at it, with the standard library alone.

numpy would do the same and costs some 12 MiB of resident memory, which a reader on a small board keeps for itself.
"""

from __future__ import annotations

from mdoc_reader.engagement.ports import Frame

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
