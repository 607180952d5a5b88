"""A USB camera, or any other that captures through Video4Linux2, read through the standard library alone.

Written here because nothing at hand fits: linuxpy is under the GPL and qamlib under the LGPL with a compiled part,
videodev2 has the kernel's structures only, eight of which are needed, and OpenCV brings some 90 MB and no way to end
a read. A camera of the Raspberry Pi's own connector has its controls in libcamera: driver `picamera2`.

Pictures stay in the buffers the driver fills. Where a format has grey values in a plane of their own no pixel is
copied; where they lie between colours they are picked out; MJPEG is decoded (by Pillow, grey alone), and only used
when nothing else is offered.
"""

from __future__ import annotations

import io
import mmap
import os
import select
import time
from collections.abc import Mapping
from contextlib import suppress
from errno import ENODEV
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Lock
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec

from mdoc_reader.drivers import v4l2_wire as wire
from mdoc_reader.drivers.grey import every
from mdoc_reader.engagement.ports import Camera, Frame
from mdoc_reader.model.check import Check

SIMULATED = False
AUTO = "auto"
BUFFERS = 4
OLD_S = 0.1  # a picture that waited this long is not shown: what it shows may be gone
CLOSE_S = 1.0  # how long `close` waits for a reader it has just woken
MOST_DEVICES = 64
MAX_WIDTH, MAX_HEIGHT = 1920, 1200

PLACES: Mapping[int, tuple[int, int]] = MappingProxyType(
    {
        wire.fourcc("GREY"): (0, 1),
        wire.fourcc("NV12"): (0, 1),
        wire.fourcc("NV21"): (0, 1),
        wire.fourcc("YU12"): (0, 1),
        wire.fourcc("YV12"): (0, 1),
        wire.fourcc("422P"): (0, 1),
        wire.fourcc("YUYV"): (0, 2),
        wire.fourcc("UYVY"): (1, 2),
        wire.fourcc("RGB3"): (1, 3),
        wire.fourcc("BGR3"): (1, 3),
    }
)
"""Where the first grey byte is and how far the next one; green stands for grey. The best first."""

MJPEG = wire.fourcc("MJPG")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings. `device`: a path, best one of /dev/v4l/by-id, or "auto". The size is what is asked for, in px.

    `mains_hz`: of the lamps, against bands in the picture; 0 leaves the camera's own setting.
    """

    device: str = AUTO
    width: Annotated[int, msgspec.Meta(ge=320, le=MAX_WIDTH)] = 640
    height: Annotated[int, msgspec.Meta(ge=240, le=MAX_HEIGHT)] = 480
    fps: Annotated[int, msgspec.Meta(ge=5, le=60)] = 30
    mains_hz: Literal[0, 50, 60] = 0


class V4l2Camera:
    """An open device that streams."""

    def __init__(self, path: str, options: Options) -> None:
        """Open, set and start the device. OSError when it is not there, busy, or offers nothing this driver reads."""
        self.path = path
        self._reading = Lock()
        self._closed = Event()
        self._maps: list[mmap.mmap] = []
        self._view: memoryview | None = None
        self._held: int | None = None
        self._wake = -1
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self.format = choose(self._fd, options)
            self.fps = settle(self._fd, options)
            self._start()
        except OSError:
            self._release()
            raise
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def _start(self) -> None:
        for index in range(wire.request_buffers(self._fd, BUFFERS)):
            offset, length = wire.where(self._fd, index)
            if length < self.format.size or not length:
                raise OSError(f"{self.path}: its buffers are smaller than its pictures")
            self._maps.append(mmap.mmap(self._fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset))
            wire.queue(self._fd, index)
        if len(self._maps) < 2:
            raise OSError(f"{self.path}: no memory for its pictures")
        wire.stream(self._fd, on=True)

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next picture, or None when none came within `timeout_s`. OSError when the device is gone.

        The picture is valid until the next call; a view of it that is kept longer keeps its memory, not its content.
        """
        deadline = time.monotonic() + timeout_s
        with self._reading:
            self._give_back()
            frame = self._take(old_too=False) if self._wait(0.0) else None
            while frame is None and time.monotonic() < deadline and self._wait(deadline):
                frame = self._take(old_too=True)
            return frame

    def _give_back(self) -> None:
        view, self._view = self._view, None
        if view is not None:
            with suppress(BufferError):  # somebody keeps part of it
                view.release()
        held, self._held = self._held, None
        if held is not None and not self._closed.is_set():
            wire.queue(self._fd, held)

    def _wait(self, deadline: float) -> bool:
        """Wait for a picture; False when none came. OSError when the device is gone or the camera closed."""
        ready = dict(self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
        if self._closed.is_set():
            raise OSError("camera closed")
        told = ready.get(self._fd, 0)
        if told & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
            raise OSError(ENODEV, "the camera is gone", self.path)
        return bool(told & select.POLLIN)

    def _take(self, *, old_too: bool) -> Frame | None:
        """Take the newest picture that is there and whole; give all others back."""
        newest: wire.Filled | None = None
        for _ in range(2 * BUFFERS):
            try:
                filled = wire.dequeue(self._fd)
            except BlockingIOError:
                break
            if filled.index >= len(self._maps):
                raise OSError(f"{self.path}: returned a buffer that does not exist")
            if filled.damaged:
                wire.queue(self._fd, filled.index)
                continue
            if newest is not None:
                wire.queue(self._fd, newest.index)
            newest = filled
        if newest is None:
            return None
        self._held = newest.index
        if not old_too and newest.at is not None and time.monotonic() - newest.at > OLD_S:
            self._give_back()
            return None
        frame = self._frame(newest)
        if frame is None:
            self._give_back()
            return None
        self._view = frame.pixels
        return frame

    def _frame(self, filled: wire.Filled) -> Frame | None:
        """Return the grey picture in a buffer; None where it is cut short or, as a JPEG, broken."""
        form, memory = self.format, self._maps[filled.index]
        if form.code == MJPEG:
            pixels = decoded(memory[: filled.used], form.width, form.height)
            return None if pixels is None else Frame(form.width, form.height, form.width, memoryview(pixels))
        step = PLACES[form.code][1]
        needed = form.stride * (form.height - 1) + form.width * step
        if filled.used < needed:
            return None
        if step == 1:
            with memoryview(memory) as view:
                return Frame(form.width, form.height, form.stride, view[:needed])
        grey = every(memory, form.width, form.height, form.stride, PLACES[form.code])
        return Frame(form.width, form.height, form.width, memoryview(grey))

    def close(self) -> None:
        """Stop and release the device; a `read` in another thread ends at once with OSError."""
        if self._closed.is_set():
            return
        self._closed.set()
        with suppress(OSError):
            os.eventfd_write(self._wake, 1)
        # Closing a descriptor that another thread is about to read could hit a stranger's file of the same number.
        if self._reading.acquire(timeout=CLOSE_S):
            try:
                self._release()
            finally:
                self._reading.release()

    def _release(self) -> None:
        with suppress(OSError):  # it was not started, or is gone
            wire.stream(self._fd, on=False)
        for memory in self._maps:
            with suppress(BufferError):  # a picture is still looked at: its memory goes with the last view of it
                memory.close()
        self._maps.clear()
        with suppress(OSError):
            wire.request_buffers(self._fd, 0)
        os.close(self._fd)
        if self._wake >= 0:
            os.close(self._wake)


def choose(fd: int, options: Options) -> wire.PixelFormat:
    """Set the best format the device offers, in the size asked for or the nearest. OSError where it offers none."""
    if not wire.capability(fd).captures:
        raise OSError("this device captures no pictures")
    offered = wire.formats(fd)
    code = next((code for code in (*PLACES, MJPEG) if code in offered), None)
    if code is None:
        raise OSError("this camera offers no format the driver reads")
    if code == MJPEG and find_spec("PIL") is None:
        raise OSError("this camera offers JPEG alone, which needs the Python package Pillow")
    taken = wire.set_format(fd, code, *_nearest(wire.sizes(fd, code), options.width, options.height))
    step = 1 if code == MJPEG else PLACES[code][1]
    if (
        taken.code != code
        or not 0 < taken.width <= MAX_WIDTH
        or not 0 < taken.height <= MAX_HEIGHT
        or (code != MJPEG and taken.stride < taken.width * step)
    ):
        raise OSError(f"this camera cannot be set to {options.width}x{options.height}")
    return taken


def _nearest(offered: list[tuple[int, int]], width: int, height: int) -> tuple[int, int]:
    """Return the size nearest to what is asked for by its number of px; what is asked for where all are possible."""
    fitting = [size for size in offered if 0 < size[0] <= MAX_WIDTH and 0 < size[1] <= MAX_HEIGHT]
    return min(fitting, key=lambda size: abs(size[0] * size[1] - width * height), default=(width, height))


def settle(fd: int, options: Options) -> float:
    """Set what a reader wants of a camera, as far as it has it; return its pictures per second, 0.0 for unknown."""
    mains = {0: None, 50: 1, 60: 2}[options.mains_hz]
    wanted = [(wire.CID_FOCUS_AUTO, 1), (wire.CID_EXPOSURE_AUTO_PRIORITY, 0)]  # 0: the rate is not lowered in the dark
    for control, value in wanted + ([(wire.CID_POWER_LINE_FREQUENCY, mains)] if mains else []):
        with suppress(OSError):
            wire.set_control(fd, control, value)
    try:
        return wire.set_rate(fd, options.fps)
    except OSError:  # it has one rate only
        return 0.0


def decoded(jpeg: bytes, width: int, height: int) -> bytes | None:
    """Return the grey pixels of a JPEG of this size, or None for what is none."""
    from PIL import Image  # noqa: PLC0415 -- only cameras without a better format need it

    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as picture:
            if picture.size != (width, height):
                return None
            picture.draft("L", picture.size)
            picture.load()
            return picture.convert("L").tobytes()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def devices() -> list[str]:
    """Return the paths of all video devices, by their number."""
    found = [path for path in Path("/dev").glob("video*") if path.name[5:].isdecimal()]
    return [str(path) for path in sorted(found, key=lambda path: int(path.name[5:]))[:MOST_DEVICES]]


def open_camera(options: Options) -> Camera:
    """Open the camera named, or the first that offers what this driver reads. OSError when there is none."""
    if options.device != AUTO:
        return V4l2Camera(options.device, options)
    for path in devices():
        with suppress(OSError):
            return V4l2Camera(path, options)
    raise OSError(ENODEV, "no camera")


async def examine(options: Options) -> tuple[Check, ...]:
    """Say for `mdoc-reader doctor` how the camera is."""
    from mdoc_reader.drivers import v4l2_examine  # noqa: PLC0415 -- the daemon never needs it

    return await v4l2_examine.examine(options)
