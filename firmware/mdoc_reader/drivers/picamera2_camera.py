"""A camera on the Raspberry Pi's own connector, through picamera2 (libcamera).

Two streams: `main` keeps the sensor in a wide mode, `lores` is what is looked at, in YUV420: its Y plane is the grey
picture, looked at in the buffer it was captured into. That buffer goes back when the next picture is asked for.

A code on a bright screen, held by a hand: exposure is capped, because movement smears and noise does not hurt as
much; it is set a little low, because a screen in a dark room is what automatic exposure burns out; focus is searched
near. No control caps the exposure of this library's automatics, so the cap goes into the sensor's tuning file.

picamera2 comes with Raspberry Pi OS (`apt install python3-picamera2`), not from PyPI: it needs libcamera of the same
build. It is imported when the camera is opened, on the camera's own thread: that takes seconds on a small board.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from threading import Event, Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from mdoc_reader.engagement.ports import Camera, Frame
from mdoc_reader.model.check import Check

if TYPE_CHECKING:
    from picamera2 import CompletedRequest, Job, MappedArray, Picamera2

SIMULATED = False
MAIN_SIZE = (1280, 720)
BUFFERS = 4
SLICE_S = 0.1  # how soon a `read` notices that the camera was closed
CLOSE_S = 1.0
INSTALL = "apt install python3-picamera2, and let the reader's Python see the system's packages"

PLACES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "YUV420": (0, 1),
        "YVU420": (0, 1),
        "NV12": (0, 1),
        "NV21": (0, 1),
        "YUYV": (0, 2),
        "UYVY": (1, 2),
        "RGB888": (1, 3),
        "BGR888": (1, 3),
        "XRGB8888": (1, 4),
        "XBGR8888": (1, 4),
    }
)
"""Where the first grey byte is and how far the next one; green stands for grey."""

# What the library raises, beside OSError: which one is not documented and has changed.
TROUBLE = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings. `camera`: its number, as `rpicam-hello --list-cameras` shows it. The size is of what is looked at, px.

    `exposure_ms` is the longest exposure, `ev` the correction of its automatics, in stops. `rotate` and `mirror` are
    for a camera that is mounted so, or looks into a mirror: a mirrored code is not read, a turned one is.
    """

    camera: Annotated[int, msgspec.Meta(ge=0, le=7)] = 0
    width: Annotated[int, msgspec.Meta(ge=320, le=1280, multiple_of=32)] = 640
    height: Annotated[int, msgspec.Meta(ge=240, le=720, multiple_of=2)] = 360
    fps: Annotated[int, msgspec.Meta(ge=5, le=60)] = 20
    exposure_ms: Annotated[float, msgspec.Meta(ge=1, le=100)] = 10.0
    ev: Annotated[float, msgspec.Meta(ge=-4, le=4)] = -0.5
    gain: Annotated[float, msgspec.Meta(ge=1, le=64)] = 12.0
    rotate: Literal[0, 180] = 0
    mirror: bool = False


class Picamera2Camera:
    """A camera that was started, and the picture of it that is looked at."""

    def __init__(self, device: Picamera2, options: Options) -> None:
        """Configure and start an open camera. Raises one of TROUBLE."""
        self._device = device
        self._stream = configure(device, options)
        form = device.camera_configuration()[self._stream]
        self._width, self._height = int(form["size"][0]), int(form["size"][1])
        self._stride = int(form["stride"])
        self._place = PLACES[form["format"]]
        self._needed = self._stride * (self._height - 1) + self._width * self._place[1]
        self._reading = Lock()
        self._closed = Event()
        self._coming: Job | None = None
        self._request: CompletedRequest | None = None
        self._mapped: MappedArray | None = None
        self._view: memoryview | None = None
        device.start()

    @property
    def format(self) -> str:
        """What is looked at, in words."""
        return f"{self._width}x{self._height}, stream {self._stream}"

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next picture, or None when none came within `timeout_s`. OSError when the camera is gone.

        The picture is valid until the next call.
        """
        deadline = time.monotonic() + timeout_s
        with self._reading:
            self._check()
            try:
                self._give_back()
                if self._coming is None:
                    self._coming = self._device.capture_request(wait=False)
                request = self._await(self._coming, deadline)
                if request is None:
                    return None
                self._coming = None
                return self._look(request)
            except OSError:
                raise
            except (*TROUBLE, CancelledError) as error:
                raise OSError(f"the camera failed: {error}") from error

    def _check(self) -> None:
        if self._closed.is_set():
            raise OSError("camera closed")

    def _await(self, coming: Job, deadline: float) -> CompletedRequest | None:
        while True:
            left = deadline - time.monotonic()
            try:
                return coming.get_result(timeout=max(0.0, min(left, SLICE_S)))
            except TimeoutError:
                self._check()
                if left <= SLICE_S:
                    return None

    def _look(self, request: CompletedRequest) -> Frame:
        from picamera2 import MappedArray  # noqa: PLC0415

        self._request = request
        mapped = MappedArray(request, self._stream, reshape=False, write=False)
        mapped.__enter__()  # left in _give_back
        self._mapped = mapped
        whole = mapped.array
        if whole.nbytes < self._needed:
            raise OSError("the camera's buffer is smaller than its picture")
        offset, step = self._place
        if step == 1:
            with memoryview(whole) as view:
                self._view = view[: self._needed].toreadonly()
            return Frame(self._width, self._height, self._stride, self._view)
        rows = whole[: self._stride * self._height].reshape(-1, self._stride)
        grey: bytes = rows[: self._height, offset : self._width * step : step].tobytes()
        return Frame(self._width, self._height, self._width, memoryview(grey))

    def _give_back(self) -> None:
        view, self._view = self._view, None
        mapped, self._mapped = self._mapped, None
        request, self._request = self._request, None
        if view is not None:
            with suppress(BufferError):  # somebody keeps part of it: the memory stays, its content does not
                view.release()
        if mapped is not None:
            mapped.__exit__(None, None, None)
        if request is not None:
            request.release()

    def close(self) -> None:
        """Stop and release the camera; a `read` in another thread ends within 0.1 s with OSError.

        A picture that is still looked at stays where it is: its memory goes with the last view of it.
        """
        if self._closed.is_set():
            return
        self._closed.set()
        if self._reading.acquire(timeout=CLOSE_S):
            try:
                shut(self._device)
            finally:
                self._reading.release()


def configure(device: Picamera2, options: Options) -> str:
    """Set an open camera; return the name of the stream to look at. Raises one of TROUBLE.

    A camera without a second stream (behind USB, or none at all but the kernel's own) is looked at by its only one.
    """
    from libcamera import Transform  # noqa: PLC0415

    turned = options.rotate == 180
    common = {
        "transform": Transform(hflip=turned is not options.mirror, vflip=turned),
        "buffer_count": BUFFERS,
        "queue": False,  # a picture is never older than the wish for it
        "raw": None,
        "display": None,
        "encode": None,
        "controls": controls(device.camera_controls, options),
    }
    size = (options.width, options.height)
    try:
        device.configure(
            device.create_video_configuration(
                main={"size": MAIN_SIZE, "format": "YUV420"}, lores={"size": size, "format": "YUV420"}, **common
            )
        )
    except TROUBLE:
        device.configure(device.create_video_configuration(main={"size": size}, **common))
        return "main"
    return "lores"


def controls(known: Mapping[str, object], options: Options) -> dict[str, object]:
    """Return the controls to set, of those the camera knows."""
    from libcamera import controls as those  # noqa: PLC0415

    pause_us = round(1_000_000 / options.fps)
    wanted: dict[str, object] = {
        "FrameDurationLimits": (pause_us, pause_us),
        "ExposureValue": options.ev,
        "AeExposureMode": those.AeExposureModeEnum.Normal,  # the one that `capped` caps
        "AfMode": those.AfModeEnum.Continuous,
        "AfRange": those.AfRangeEnum.Macro,
        "AfSpeed": those.AfSpeedEnum.Fast,
    }
    return {name: value for name, value in wanted.items() if name in known}


def capped(tuning: dict[str, object], find: object, options: Options) -> dict[str, object]:
    """Return a tuning in which automatic exposure stays below the cap and raises gain instead. Raises TROUBLE."""
    if not callable(find):
        raise TypeError("picamera2 finds no algorithms in a tuning")
    agc = find(tuning, "rpi.agc")
    profile = {"shutter": [100, round(options.exposure_ms * 1000)], "gain": [1.0, options.gain]}
    for channel in agc.get("channels", [agc]):
        for name in channel["exposure_modes"]:
            channel["exposure_modes"][name] = profile
    return tuning


def tuning_of(picamera2: type[Picamera2], model: str, options: Options) -> dict[str, object] | None:
    """Return the capped tuning of a sensor; None where there is no file of it (a camera behind USB)."""
    for name in (f"{model}.json", f"{model}_mono.json"):
        with suppress(*TROUBLE):
            return capped(picamera2.load_tuning_file(name), picamera2.find_tuning_algo, options)
    return None


def shut(device: Picamera2) -> None:
    """Stop and release a camera, however far it came."""
    for step in (device.stop, device.close):
        with suppress(*TROUBLE):
            step()


def library() -> type[Picamera2]:
    """Import picamera2. OSError says what to install."""
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:WARN")
    try:
        import picamera2  # noqa: PLC0415
    except ImportError as error:
        raise OSError(f"the Python package {error.name or error} is missing: {INSTALL}") from error
    except TROUBLE as error:  # it does not fit the libcamera that is there
        raise OSError(f"picamera2 does not load ({error}): {INSTALL}") from error
    found: type[Picamera2] = picamera2.Picamera2
    return found


def open_device(options: Options) -> Picamera2:
    """Open the camera by its number. OSError when there is none, or another program has it."""
    picamera2 = library()
    from picamera2.allocators import DmaAllocator  # noqa: PLC0415

    try:
        tuning = tuning_of(picamera2, _model(picamera2, options.camera), options)
        # Made first: where there is no memory to be had, the library would keep the camera and hand out nothing.
        return picamera2(options.camera, tuning=tuning, allocator=DmaAllocator())
    except TROUBLE as error:
        raise OSError(f"the camera cannot be opened: {error.__cause__ or error}") from error


def _model(picamera2: type[Picamera2], number: int) -> str:
    found = picamera2.global_camera_info()
    if number >= len(found):
        raise OSError(f"there is no camera {number}: libcamera finds {len(found)}")
    return str(found[number].get("Model", ""))


def open_camera(options: Options) -> Camera:
    """Open, set and start the camera. OSError when that cannot be done."""
    device = open_device(options)
    try:
        return Picamera2Camera(device, options)
    except TROUBLE as error:
        shut(device)
        raise OSError(f"the camera cannot be set: {error}") from error


async def examine(options: Options) -> tuple[Check, ...]:
    """Say for `mdoc-reader doctor` how the camera is."""
    from mdoc_reader.drivers import picamera2_examine  # noqa: PLC0415 -- the daemon never needs it

    return await picamera2_examine.examine(options)
