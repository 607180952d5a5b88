"""A camera whose pictures come over a Unix stream socket, from a program that draws what a camera would see.

The wire, one way, one picture after the other (all numbers big-endian):

    magic   4 bytes   "GRY1"
    width   u16       pixels of a row, 1 to 1920
    height  u16       rows, 1 to 1088
    stride  u16       bytes of a row, width to 2048
    pixels            stride x height bytes, 0 black to 255 white

A far end that goes away, or breaks this format, is a camera that was unplugged: `read` raises OSError, and the owner
opens anew.
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from threading import Lock

import msgspec

from mdoc_reader.engagement.ports import Camera, Frame

SIMULATED = True
HEADER = struct.Struct(">4sHHH")
MAGIC = b"GRY1"
MAX_WIDTH, MAX_HEIGHT, MAX_STRIDE = 1920, 1088, 2048
CLOSE_S = 1.0  # how long `close` waits for a reader it has just woken


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings: `wire` is the path of the socket where pictures are served."""

    wire: str
    connect_timeout_s: float = 1.0


class SimulatedCamera:
    """The near end of that socket."""

    def __init__(self, wire: socket.socket) -> None:
        """Take a connected stream socket."""
        self._wire = wire
        self._closed = False
        self._reading = Lock()
        self._header = bytearray(HEADER.size)
        self._shape: tuple[int, int, int] | None = None  # set while the pixels of a picture are on their way
        self._pixels = bytearray()
        self._filled = 0

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next picture, or None when it was not complete within `timeout_s`; the rest is awaited next time.

        OSError when the far end is gone, broke the format, or the camera was closed.
        """
        deadline = time.monotonic() + timeout_s
        with self._reading:
            if self._shape is None:
                if not self._fill(self._header, deadline):
                    return None
                self._begin()
            if not self._fill(self._pixels, deadline) or self._shape is None:
                return None
            width, height, stride = self._shape
            self._shape, self._filled = None, 0
            return Frame(width, height, stride, memoryview(self._pixels).toreadonly())

    def _begin(self) -> None:
        magic, width, height, stride = HEADER.unpack(self._header)
        if (
            magic != MAGIC
            or not 0 < width <= MAX_WIDTH
            or not 0 < height <= MAX_HEIGHT
            or not width <= stride <= MAX_STRIDE
        ):
            raise OSError("the simulated camera broke its format")
        if len(self._pixels) != stride * height:
            self._pixels = bytearray(stride * height)  # a new one: a view of the last picture may still be held
        self._shape, self._filled = (width, height, stride), 0

    def _fill(self, into: bytearray, deadline: float) -> bool:
        with memoryview(into) as view:
            while self._filled < len(into):
                if self._closed:
                    raise OSError("camera closed")
                self._wire.settimeout(max(0.001, deadline - time.monotonic()))
                try:
                    count = self._wire.recv_into(view[self._filled :])
                except TimeoutError:
                    return False
                if count == 0:
                    raise OSError("the simulated camera is gone")
                self._filled += count
        return True

    def close(self) -> None:
        """Disconnect; a `read` in another thread ends at once with OSError."""
        self._closed = True
        with suppress(OSError):  # the far end was first
            self._wire.shutdown(socket.SHUT_RDWR)
        # Closing a descriptor that another thread is about to read could hit a stranger's file of the same number.
        if self._reading.acquire(timeout=CLOSE_S):
            self._wire.close()
            self._reading.release()


def open_camera(options: Options) -> Camera:
    """Connect. OSError when nobody serves there."""
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        wire.settimeout(options.connect_timeout_s)
        wire.connect(options.wire)
    except OSError:
        wire.close()
        raise
    return SimulatedCamera(wire)
