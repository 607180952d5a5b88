"""A stand-in for picamera2 and libcamera where neither is installed, for what their virtual camera has not: a Y plane.

It is strict where the real one corrupts pictures silently: a buffer is filled again only when no view of it is left.
The real library runs under the same driver in the guest (tests/system).
"""

from __future__ import annotations

import json
import mmap
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

STRIDE_ALIGNMENT = 64
CONTROLS = ("FrameDurationLimits", "ExposureValue", "AeExposureMode", "AfMode", "AfRange", "AfSpeed")


class Request:
    """A captured picture in a buffer of the camera's."""

    def __init__(self, device: Picamera2, memory: mmap.mmap) -> None:
        self.device, self.memory, self.mapped = device, memory, False

    def release(self) -> None:
        if self.mapped:
            raise RuntimeError("released while it is mapped")
        try:
            self.memory.resize(len(self.memory))  # refused while anything looks at it
        except BufferError:
            self.device.overwritten += 1
        self.device.free.append(self.memory)


class Job:
    """A picture that is to come."""

    def __init__(self) -> None:
        self.future: Future[Request] = Future()

    def get_result(self, timeout: float | None = None) -> Request:
        return self.future.result(timeout)


class MappedArray:
    """A request's buffer as numpy sees it."""

    def __init__(self, request: Request, stream: str, *, reshape: bool = True, write: bool = True) -> None:
        if stream not in request.device.configuration or reshape or write:
            raise RuntimeError("not as the driver maps it")
        self._request = request
        self.array: Any = None

    def __enter__(self) -> MappedArray:
        self._request.mapped = True
        self.array = np.frombuffer(self._request.memory, np.uint8)
        return self

    def __exit__(self, *_: object) -> None:
        self._request.mapped = False
        self.array = None


class Picamera2:
    """A camera that shows `bench.picture`."""

    bench: Any = None

    def __init__(self, number: int, *, tuning: object = None, allocator: object = None) -> None:
        if self.bench.busy:
            raise RuntimeError("Camera __init__ sequence did not complete.") from RuntimeError(
                "Device or resource busy"
            )
        self.bench.opened += 1
        self.bench.tuning = tuning
        self.bench.device = self
        self.camera_controls = dict.fromkeys(self.bench.controls)
        self.configuration: dict[str, Any] = {}
        self.free: list[mmap.mmap] = []
        self.overwritten = 0
        self.started = self.closed = False

    @classmethod
    def global_camera_info(cls) -> list[dict[str, object]]:
        return [{"Model": model, "Num": number} for number, model in enumerate(cls.bench.models)]

    @classmethod
    def load_tuning_file(cls, name: str) -> dict[str, Any]:
        if name not in cls.bench.tunings:
            raise RuntimeError("Tuning file not found")
        loaded: dict[str, Any] = json.loads(json.dumps(cls.bench.tunings[name]))
        return loaded

    @staticmethod
    def find_tuning_algo(tuning: dict[str, Any], name: str) -> Any:
        return next(each for each in tuning["algorithms"] if name in each)[name]

    def create_video_configuration(self, **given: Any) -> dict[str, Any]:
        return given

    def configure(self, given: dict[str, Any]) -> None:
        if self.bench.unsettable:
            raise RuntimeError("Configuration failed")
        self.bench.asked = given
        if "lores" in given and self.bench.one_stream:
            raise RuntimeError("Invalid camera configuration")
        self.configuration = {}
        for name in ("main", "lores"):
            if name in given:
                width, height = given[name]["size"]
                form = "YUYV" if self.bench.one_stream else given[name]["format"]
                step = 2 if form == "YUYV" else 1
                stride = -(-width * step // STRIDE_ALIGNMENT) * STRIDE_ALIGNMENT
                self.configuration[name] = {"size": (width, height), "format": form, "stride": stride}
        looked_at = self.configuration.get("lores") or self.configuration["main"]
        length = looked_at["stride"] * looked_at["size"][1] * (1 if self.bench.one_stream else 3) // 2 * 2
        self.free = [mmap.mmap(-1, length) for _ in range(given["buffer_count"])]
        self.looked_at = looked_at

    def camera_configuration(self) -> dict[str, Any]:
        return self.configuration

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.started = False

    def close(self) -> None:
        self.closed = True
        self.bench.closed += 1

    def capture_request(self, *, wait: bool) -> Job:
        if wait or not self.started:
            raise RuntimeError("not as the driver asks")
        job = Job()
        threading.Thread(target=self._capture, args=(job,), daemon=True).start()
        return job

    def _capture(self, job: Job) -> None:
        picture = self.bench.next()
        if picture is None:
            return
        if isinstance(picture, Exception):
            job.future.set_exception(picture)
            return
        memory = self.free.pop(0)
        form = self.looked_at
        step = 2 if form["format"] == "YUYV" else 1
        rows = np.frombuffer(memory, np.uint8)[: form["stride"] * form["size"][1]].reshape(-1, form["stride"])
        rows[:] = 77  # padding, and colours
        rows[:, 0 : form["size"][0] * step : step] = picture
        del rows
        job.future.set_result(Request(self, memory))


class Bench:
    """What the camera shows and how it fails, and what the driver asked of it."""

    def __init__(self) -> None:
        self.models = ["imx708"]
        agc = {
            "channels": [{"exposure_modes": {"normal": {"shutter": [100, 66666]}, "long": {"shutter": [1, 120000]}}}]
        }
        self.tunings = {"imx708.json": {"version": 2.0, "algorithms": [{"rpi.black_level": {}}, {"rpi.agc": agc}]}}
        self.controls = CONTROLS
        self.busy = self.one_stream = self.unsettable = False
        self.opened = self.closed = 0
        self.asked: dict[str, Any] = {}
        self.tuning: Any = None
        self.device: Any = None
        self.pictures: Iterator[Any] = iter(())

    def next(self) -> Any:
        return next(self.pictures, None)


def modules(bench: Bench) -> dict[str, ModuleType]:
    """What to put into `sys.modules`."""

    class Bound(Picamera2):
        pass

    Bound.bench = bench
    picamera2, allocators, libcamera = (
        ModuleType("picamera2"),
        ModuleType("picamera2.allocators"),
        ModuleType("libcamera"),
    )
    picamera2.__dict__.update(Picamera2=Bound, MappedArray=MappedArray)
    allocators.__dict__.update(DmaAllocator=object)
    enums = SimpleNamespace(
        AeExposureModeEnum=SimpleNamespace(Normal="normal"),
        AfModeEnum=SimpleNamespace(Continuous="continuous"),
        AfRangeEnum=SimpleNamespace(Macro="near"),
        AfSpeedEnum=SimpleNamespace(Fast="fast"),
    )
    libcamera.__dict__.update(controls=enums, Transform=lambda **given: given)
    return {"picamera2": picamera2, "picamera2.allocators": allocators, "libcamera": libcamera}


CANCELLED = CancelledError()
