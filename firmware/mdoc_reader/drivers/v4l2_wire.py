"""Video4Linux2 as the kernel speaks it: the few structures and ioctl numbers of linux/videodev2.h a camera needs.

Single-planar capture into buffers mapped from the kernel, and nothing else. Every structure is laid out as on the
machine this runs on; a test compiles the kernel's header and compares sizes, places and numbers.
"""

from __future__ import annotations

import fcntl
import struct
from dataclasses import dataclass

CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
MEMORY_MMAP = 1
FIELD_NONE = 1

CAP_VIDEO_CAPTURE = 0x0000_0001
CAP_STREAMING = 0x0400_0000
CAP_DEVICE_CAPS = 0x8000_0000

BUFFER_ERROR = 0x40
TIMESTAMP_MASK = 0xE000
TIMESTAMP_MONOTONIC = 0x2000

FRAME_SIZE_DISCRETE = 1
CAPTURE_TIME_PER_FRAME = 0x1000

CID_POWER_LINE_FREQUENCY = 0x0098_0918
CID_EXPOSURE_AUTO_PRIORITY = 0x009A_0903
CID_FOCUS_AUTO = 0x009A_090C

# `0P` brings what follows, and the end, to where a pointer may stand.
CAPABILITY = struct.Struct("16s32s32s3I12x")
FORMAT_DESCRIPTION = struct.Struct("3I32s2I12x")
FRAME_SIZE = struct.Struct("3I6I8x")
FORMAT = struct.Struct("I0P12I152x0P")
STREAM_PARAMETERS = struct.Struct("I4I184x")
REQUEST_BUFFERS = struct.Struct("4IB3x")
BUFFER = struct.Struct("5I2l2I8B2IL3I0P")
CONTROL = struct.Struct("Ii")

_READ, _WRITE = 2, 1


def _number(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("V") << 8 | number


QUERYCAP = _number(_READ, 0, CAPABILITY.size)
ENUM_FMT = _number(_READ | _WRITE, 2, FORMAT_DESCRIPTION.size)
S_FMT = _number(_READ | _WRITE, 5, FORMAT.size)
REQBUFS = _number(_READ | _WRITE, 8, REQUEST_BUFFERS.size)
QUERYBUF = _number(_READ | _WRITE, 9, BUFFER.size)
QBUF = _number(_READ | _WRITE, 15, BUFFER.size)
DQBUF = _number(_READ | _WRITE, 17, BUFFER.size)
STREAMON = _number(_WRITE, 18, 4)
STREAMOFF = _number(_WRITE, 19, 4)
S_PARM = _number(_READ | _WRITE, 22, STREAM_PARAMETERS.size)
S_CTRL = _number(_READ | _WRITE, 28, CONTROL.size)
ENUM_FRAMESIZES = _number(_READ | _WRITE, 74, FRAME_SIZE.size)

MOST_LISTED = 64  # entries of any list the driver gives


def fourcc(name: str) -> int:
    """Return the number of a format's four letters."""
    return int.from_bytes(name.encode("ascii"), "little")


@dataclass(frozen=True, slots=True)
class Capability:
    """Who answers at a device, and whether it captures pictures into mapped buffers."""

    driver: str
    card: str
    captures: bool


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """What a device delivers: px, the four letters as a number, bytes from one row to the next, bytes in all."""

    width: int
    height: int
    code: int
    stride: int
    size: int


@dataclass(frozen=True, slots=True)
class Filled:
    """A buffer that came back: its number, bytes in it, whether it is damaged, and when (monotonic s) if it says."""

    index: int
    used: int
    damaged: bool
    at: float | None


def capability(fd: int) -> Capability:
    """Ask a device what it is. OSError where it is no video device."""
    driver, card, _, _, device, own = CAPABILITY.unpack(_asked(fd, QUERYCAP, bytearray(CAPABILITY.size)))
    caps = own if device & CAP_DEVICE_CAPS else device
    wanted = CAP_VIDEO_CAPTURE | CAP_STREAMING
    return Capability(_text(driver), _text(card), caps & wanted == wanted)


def formats(fd: int) -> list[int]:
    """Return the codes of the formats a device offers, as it orders them."""
    found = []
    for index in range(MOST_LISTED):
        try:
            answer = _asked(fd, ENUM_FMT, bytearray(FORMAT_DESCRIPTION.pack(index, CAPTURE, 0, b"", 0, 0)))
        except OSError:  # EINVAL: there are no more
            break
        found.append(FORMAT_DESCRIPTION.unpack(answer)[4])
    return found


def sizes(fd: int, code: int) -> list[tuple[int, int]]:
    """Return the sizes a device offers in a format, in px; none where it takes any."""
    found = []
    for index in range(MOST_LISTED):
        try:
            answer = _asked(fd, ENUM_FRAMESIZES, bytearray(FRAME_SIZE.pack(index, code, 0, *[0] * 6)))
        except OSError:
            break
        _, _, kind, width, height, *_ = FRAME_SIZE.unpack(answer)
        if kind != FRAME_SIZE_DISCRETE:
            break
        found.append((width, height))
    return found


def set_format(fd: int, code: int, width: int, height: int) -> PixelFormat:
    """Ask for a format and a size; return what the device made of it."""
    asked = bytearray(FORMAT.pack(CAPTURE, width, height, code, FIELD_NONE, *[0] * 8))
    _, width, height, code, _, stride, size, *_ = FORMAT.unpack(_asked(fd, S_FMT, asked))
    return PixelFormat(width, height, code, stride, size)


def set_rate(fd: int, fps: int) -> float:
    """Ask for pictures per second; return what the device made of it, 0.0 where it does not say."""
    answer = _asked(fd, S_PARM, bytearray(STREAM_PARAMETERS.pack(CAPTURE, 0, 0, 1, fps)))
    _, can, _, numerator, denominator = STREAM_PARAMETERS.unpack(answer)
    return denominator / numerator if can & CAPTURE_TIME_PER_FRAME and numerator else 0.0


def set_control(fd: int, control: int, value: int) -> None:
    """Set one control. OSError where the device does not have it, or not that value."""
    _asked(fd, S_CTRL, bytearray(CONTROL.pack(control, value)))


def request_buffers(fd: int, count: int) -> int:
    """Have the kernel keep so many buffers; return how many it keeps. 0 gives them up."""
    answer = _asked(fd, REQBUFS, bytearray(REQUEST_BUFFERS.pack(count, CAPTURE, MEMORY_MMAP, 0, 0)))
    kept: int = REQUEST_BUFFERS.unpack(answer)[0]
    return kept


def where(fd: int, index: int) -> tuple[int, int]:
    """Return the offset at which a buffer is mapped, and its length in bytes."""
    answer = BUFFER.unpack(_asked(fd, QUERYBUF, _buffer(index)))
    return answer[19], answer[20]


def queue(fd: int, index: int) -> None:
    """Give a buffer to the device to fill."""
    _asked(fd, QBUF, _buffer(index))


def dequeue(fd: int) -> Filled:
    """Take back the buffer that was filled first. BlockingIOError while there is none, OSError of a lost device."""
    answer = BUFFER.unpack(_asked(fd, DQBUF, _buffer(0)))
    index, _, used, flags, _, seconds, microseconds = answer[:7]
    at = seconds + microseconds / 1e6 if flags & TIMESTAMP_MASK == TIMESTAMP_MONOTONIC else None
    return Filled(index, used, bool(flags & BUFFER_ERROR), at)


def stream(fd: int, *, on: bool) -> None:
    """Start or stop the stream; stopping takes every buffer from the device."""
    fcntl.ioctl(fd, STREAMON if on else STREAMOFF, struct.pack("i", CAPTURE))


def _buffer(index: int) -> bytearray:
    packed = bytearray(BUFFER.size)
    struct.pack_into("2I", packed, 0, index, CAPTURE)
    struct.pack_into("I", packed, _MEMORY_AT, MEMORY_MMAP)
    return packed


_MEMORY_AT = struct.calcsize("5I2l2I8BI")


def _asked(fd: int, request: int, message: bytearray) -> bytearray:
    fcntl.ioctl(fd, request, message)
    return message


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("ascii", "replace")
