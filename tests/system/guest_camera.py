"""Runs in a guest: a camera driver on the kernel's virtual camera (vimc). Prints what happened as JSON.

    python guest_camera.py v4l2               the V4L2 driver, then the scanner with it, while the camera comes and goes
    python guest_camera.py picamera2 WHEEL... the picamera2 driver with the real picamera2, libcamera and kernel

picamera2 imports its encoders, its file formats and its previews whether they are used or not. Modules of these that
are not in the guest are stand-ins here, which do nothing; no line of what captures pictures is.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import json
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from mdoc_reader.drivers import v4l2_camera, v4l2_wire, zxing_decoder
from mdoc_reader.engagement.ports import Camera, Frame
from mdoc_reader.engagement.scanner import Scanner, ScannerLimits

DRIVER = Path("/sys/bus/platform/drivers/vimc")
NODES = Path("/sys/class/video4linux")
WIDTH, HEIGHT = 640, 480

# struct v4l2_subdev_format: which, pad, width, height, code, field, colorspace, and what stays 0.
SUBDEV_FORMAT = struct.Struct("7I60x")
SUBDEV_S_FMT = 3 << 30 | SUBDEV_FORMAT.size << 16 | ord("V") << 8 | 5
SRGGB8, RGB888 = 0x3014, 0x100A

ABSENT = (
    "pykms",
    "simplejpeg",
    "piexif",
    "pidng.core",
    "pidng.camdefs",
    "av.frame",
    "av.packet",
    "av.video.frame",
    "prctl",
    "libarchive.read",
    "tqdm",
    "jsonschema",
    "OpenEXR",
    "Imath",
)


def node(name: str) -> str:
    """Return the path of a node by what the kernel calls it."""
    (found,) = [path.parent.name for path in NODES.glob("*/name") if path.read_text().strip() == name]
    return f"/dev/{found}"


def join() -> str:
    """Set the virtual camera's parts to formats that fit; return the path of where its pictures come out."""
    for name, code in (("Sensor A", SRGGB8), ("Debayer A", SRGGB8), ("Scaler", RGB888)):
        fd = os.open(node(name), os.O_RDWR)
        fcntl.ioctl(fd, SUBDEV_S_FMT, bytearray(SUBDEV_FORMAT.pack(1, 0, WIDTH, HEIGHT, code, 1, 8)))
        os.close(fd)
    fd = os.open(node("Raw Capture 0"), os.O_RDWR | os.O_NONBLOCK)
    v4l2_wire.set_format(fd, v4l2_wire.fourcc("RGGB"), WIDTH, HEIGHT)
    os.close(fd)
    return node("RGB/YUV Capture")


def told(frame: Frame | None) -> dict[str, int] | None:
    """Return the facts of a picture."""
    if frame is None:
        return None
    levels = set(bytes(frame.pixels[::7]))
    return {
        "width": frame.width,
        "height": frame.height,
        "stride": frame.stride,
        "bytes": frame.pixels.nbytes,
        "levels": len(levels),
    }


def used(camera: Camera) -> dict[str, Any]:
    """Take pictures, wait, and close under a reader."""
    frames = [told(camera.read(20)) for _ in range(6)]
    facts: dict[str, Any] = {"frames": frames, "in no time": told(camera.read(0.0))}
    time.sleep(1.5)
    began = time.monotonic()
    facts["after a pause"] = told(camera.read(20))
    facts["after a pause s"] = time.monotonic() - began
    ended = threading.Event()

    def read() -> None:
        try:
            while True:
                camera.read(60)
        except OSError:
            ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    camera.close()
    thread.join(20)
    facts["reader ended"] = ended.is_set()
    facts["close s"] = time.monotonic() - began
    return facts


def refused(call: Callable[[], object]) -> str:
    """Return what a call raised as OSError, or nothing."""
    try:
        call()
    except OSError as error:
        return str(error)
    return ""


def files() -> int:
    """Return how many files this process has open."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def v4l2() -> dict[str, Any]:
    """The V4L2 driver alone."""
    path = join()
    options = v4l2_camera.Options(device=path, width=WIDTH, height=HEIGHT)
    facts: dict[str, Any] = {"checks": checks(v4l2_camera.examine(options))}
    before = files()
    camera = v4l2_camera.open_camera(options)
    facts["second"] = refused(lambda: v4l2_camera.open_camera(options))
    facts["checks while used"] = checks(v4l2_camera.examine(options))
    facts.update(used(camera))
    del camera
    for _ in range(3):
        again = v4l2_camera.open_camera(options)
        facts["again"] = told(again.read(20))
        again.close()
    del again
    facts["files left"] = files() - before
    facts["scanner"] = asyncio.run(unplugged(options))
    return facts


async def unplugged(options: v4l2_camera.Options) -> dict[str, Any]:
    """The scanner, while the camera goes and comes back."""
    told_of: list[bool] = []
    limits = ScannerLimits(retry_max_s=1.0)
    decoder = zxing_decoder.open_decoder(zxing_decoder.Options())
    scanner = Scanner(lambda: v4l2_camera.open_camera(options), decoder, lambda _: None, told_of.append, limits)
    scanner.start()
    await until(lambda: scanner.frames >= 2)
    began = time.monotonic()
    (DRIVER / "unbind").write_text("vimc.0")
    await until(lambda: not scanner.available)
    gone_s = time.monotonic() - began
    await asyncio.sleep(0.5)
    no_camera = refused(lambda: v4l2_camera.open_camera(v4l2_camera.Options()))
    (DRIVER / "bind").write_text("vimc.0")
    await asyncio.to_thread(joined)
    await until(lambda: scanner.available and scanner.frames >= 2)
    facts = {"told": list(told_of), "gone s": gone_s, "while gone": no_camera, "quarantined": scanner.quarantined}
    await scanner.close()
    return facts


def joined() -> None:
    """Join the parts of a camera that has just come."""
    ends = time.monotonic() + 20
    while True:
        try:
            join()
        except (OSError, ValueError):
            if time.monotonic() > ends:
                raise
            time.sleep(0.2)
        else:
            return


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(40):
        while not condition():  # noqa: ASYNC110 -- what is waited for is a fact, not an event
            await asyncio.sleep(0.02)


class _Nothing(type):
    """A class that has whatever is asked of it, and does nothing."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing(name, (), {})


class _StandIn(ModuleType):
    """A module that has whatever is asked of it, and does nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing(name, (), {})


def picamera2(wheels: list[str]) -> dict[str, Any]:
    """The picamera2 driver, with the library itself."""
    sys.path[:0] = wheels
    for name in ABSENT:
        parts = name.split(".")
        for depth in range(len(parts)):
            sys.modules.setdefault(".".join(parts[: depth + 1]), _StandIn(name))
    from mdoc_reader.drivers import picamera2_camera as driver

    options = driver.Options()
    facts: dict[str, Any] = {"without memory": refused(lambda: driver.open_camera(options))}
    facts["checks without memory"] = checks(driver.examine(options))
    # The heap a Pi has is of contiguous memory; here is the kernel's plain one, by that name.
    heap = Path("/dev/dma_heap/linux,cma")
    if not heap.exists():
        heap.symlink_to("system")
    facts["checks"] = checks(driver.examine(options))
    facts["no such"] = checks(driver.examine(driver.Options(camera=5)))
    camera = driver.open_camera(options)
    facts["checks while used"] = checks(driver.examine(options))
    facts["second"] = refused(lambda: driver.open_camera(options))
    facts.update(used(camera))
    del camera
    before = files()
    for _ in range(3):
        again = driver.open_camera(options)
        facts["again"] = told(again.read(20))
        again.close()
        del again
    facts["files left"] = files() - before
    return facts


def checks(examining: Any) -> list[dict[str, str]]:
    """Return what doctor says."""
    found: list[SimpleNamespace] = asyncio.run(examining)
    return [{"health": each.health, "what": each.what, "advice": each.advice} for each in found]


if __name__ == "__main__":
    result = v4l2() if sys.argv[1] == "v4l2" else picamera2(sys.argv[2:])
    sys.stdout.write(json.dumps(result) + "\n")
