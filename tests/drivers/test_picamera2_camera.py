"""The Pi camera's driver: without its library, and with a strict stand-in for it."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import time
from importlib.util import find_spec

import msgspec
import numpy as np
import picamera2_stand_in
import pytest
from picamera2_stand_in import Bench

from mdoc_reader.drivers import picamera2_camera, zxing_decoder
from mdoc_reader.drivers.picamera2_camera import Options, open_camera
from mdoc_reader.engagement.ports import Camera, Frame
from mdoc_reader.lab.frames import CONDITIONS, draw, example_text
from mdoc_reader.model.check import Check, Health

WITHOUT_LIBRARY = pytest.mark.skipif(find_spec("picamera2") is not None, reason="picamera2 is installed here")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The library's stand-in, showing a picture whose level grows."""
    bench = Bench()
    for name, module in picamera2_stand_in.modules(bench).items():
        monkeypatch.setitem(sys.modules, name, module)
    bench.pictures = (np.full((360, 640), level, np.uint8) for level in range(200))
    return bench


def taken(camera: Camera) -> Frame:
    frame = camera.read(5)
    assert frame is not None
    return frame


def examined(options: Options | None = None) -> tuple[Check, ...]:
    return asyncio.run(picamera2_camera.examine(options or Options()))


@WITHOUT_LIBRARY
def test_without_the_library_it_says_what_to_install() -> None:
    with pytest.raises(OSError, match="python3-picamera2"):
        open_camera(Options())
    (check,) = examined()
    assert check.health is Health.FAULT
    assert "apt install python3-picamera2" in check.advice


def test_a_library_that_does_not_fit_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(OSError, match="python3-picamera2"):
        open_camera(Options())


def test_it_is_asked_for_what_a_code_on_a_screen_needs(bench: Bench) -> None:
    open_camera(Options())
    assert bench.asked["main"] == {"size": (1280, 720), "format": "YUV420"}
    assert bench.asked["lores"] == {"size": (640, 360), "format": "YUV420"}
    assert bench.asked["raw"] is None
    assert bench.asked["queue"] is False
    assert bench.asked["controls"] == {
        "FrameDurationLimits": (50_000, 50_000),
        "ExposureValue": -0.5,
        "AeExposureMode": "normal",
        "AfMode": "continuous",
        "AfRange": "near",
        "AfSpeed": "fast",
    }
    agc = bench.tuning["algorithms"][1]["rpi.agc"]["channels"][0]
    assert set(agc["exposure_modes"]) == {"normal", "long"}
    for profile in agc["exposure_modes"].values():
        assert profile == {"shutter": [100, 10_000], "gain": [1.0, 12.0]}


def test_what_the_camera_has_not_is_not_asked_for(bench: Bench) -> None:
    bench.controls = ("FrameDurationLimits",)
    bench.tunings = {}
    open_camera(Options(fps=30))
    assert bench.asked["controls"] == {"FrameDurationLimits": (33_333, 33_333)}
    assert bench.tuning is None


@pytest.mark.parametrize(
    ("rotate", "mirror", "hflip", "vflip"),
    [(0, False, False, False), (180, False, True, True), (0, True, True, False), (180, True, False, True)],
)
def test_how_it_is_mounted(bench: Bench, rotate: int, *, mirror: bool, hflip: bool, vflip: bool) -> None:
    open_camera(msgspec.convert({"rotate": rotate, "mirror": mirror}, Options))
    assert bench.asked["transform"] == {"hflip": hflip, "vflip": vflip}


def test_a_tuning_of_the_first_version_is_capped_as_well(bench: Bench) -> None:
    bench.tunings = {"imx708.json": {"algorithms": [{"rpi.agc": {"exposure_modes": {"normal": {}}}}]}}
    open_camera(Options(exposure_ms=4, gain=8))
    modes = bench.tuning["algorithms"][0]["rpi.agc"]["exposure_modes"]
    assert modes == {"normal": {"shutter": [100, 4000], "gain": [1.0, 8.0]}}


def test_pictures_are_looked_at_where_they_are(bench: Bench) -> None:
    camera = open_camera(Options(width=608))
    bench.pictures = iter([np.full((360, 608), 5, np.uint8)])
    frame = taken(camera)
    assert (frame.width, frame.height, frame.stride) == (608, 360, 640)
    assert frame.pixels.readonly
    rows = [frame.pixels[start : start + 608] for start in range(0, 640 * 360, 640)]
    assert set(b"".join(rows)) == {5}
    memory = np.frombuffer(frame.pixels, np.uint8)
    assert memory.base is not None, "a copy"
    assert camera.read(0.01) is None


def test_a_code_is_read_from_the_plane(bench: Bench) -> None:
    text = example_text(200, 1)
    bench.pictures = itertools.repeat(draw(text, CONDITIONS["clean"], seed=1, width=640, height=360, size=250))
    camera = open_camera(Options())
    decoder = zxing_decoder.open_decoder(zxing_decoder.Options())
    for _ in range(8):  # more than there are buffers
        frame = taken(camera)
        assert decoder.decode(frame) == [text]
        del frame
    assert bench.device.overwritten == 0


def test_every_view_is_let_go_before_the_buffer_is(bench: Bench) -> None:
    camera = open_camera(Options())
    for level in range(12):
        frame = taken(camera)
        assert frame.pixels[0] == level
    assert bench.device.overwritten == 0
    before = taken(camera).pixels
    taken(camera)
    with pytest.raises(ValueError, match="released"):
        before[0]


def test_no_picture_in_time_is_none_and_comes_later(bench: Bench) -> None:
    gate = threading.Event()

    def late() -> object:
        gate.wait(10)
        return np.full((360, 640), 9, np.uint8)

    bench.pictures = (late() for _ in range(2))
    camera = open_camera(Options())
    began = time.monotonic()
    assert camera.read(0.05) is None
    assert time.monotonic() - began < 1
    gate.set()
    assert taken(camera).pixels[0] == 9


def test_one_stream_is_looked_at_where_there_is_no_second(bench: Bench) -> None:
    bench.one_stream = True
    bench.pictures = iter([np.full((360, 640), 3, np.uint8)])
    frame = taken(open_camera(Options()))
    assert (frame.width, frame.height, frame.stride) == (640, 360, 640)
    assert set(bytes(frame.pixels)) == {3}


@pytest.mark.parametrize("trouble", [RuntimeError("timed out"), OSError(19, "gone"), picamera2_stand_in.CANCELLED])
def test_trouble_of_the_library_is_a_lost_camera(bench: Bench, trouble: Exception) -> None:
    bench.pictures = iter([trouble])
    with pytest.raises(OSError):
        open_camera(Options()).read(5)


@pytest.mark.parametrize("trouble", ["busy", "unsettable"])
def test_a_camera_that_cannot_be_had_is_an_error_and_let_go(bench: Bench, trouble: str) -> None:
    setattr(bench, trouble, True)
    with pytest.raises(OSError, match="camera cannot be"):
        open_camera(Options())
    assert bench.closed == bench.opened


def test_a_number_too_high_is_an_error(bench: Bench) -> None:
    with pytest.raises(OSError, match="no camera 1"):
        open_camera(Options(camera=1))


def test_close_ends_a_read_and_leaves_what_is_looked_at(bench: Bench) -> None:
    camera = open_camera(Options())
    frame = taken(camera)
    bench.pictures = iter(())
    ended = threading.Event()

    def read() -> None:
        with pytest.raises(OSError, match="closed"):
            camera.read(60)
        ended.set()

    looked_at = frame.pixels[:10]  # as a decoder does that is at it right now
    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.05)
    began = time.monotonic()
    camera.close()
    thread.join(10)
    assert ended.is_set()
    assert time.monotonic() - began < 2
    assert bytes(looked_at) == bytes(10)
    assert bench.closed == 1
    camera.close()  # again does no harm
    with pytest.raises(OSError):
        camera.read(0.1)


@pytest.mark.parametrize(
    "given",
    [
        {"camera": -1},
        {"width": 641},
        {"height": 100},
        {"fps": 0},
        {"exposure_ms": 0},
        {"ev": -9},
        {"rotate": 90},
        {"iso": 1},
    ],
)
def test_options_are_checked(given: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, Options)


def test_doctor_says_what_there_is(bench: Bench) -> None:
    (check,) = examined()
    assert check.health is Health.OK
    assert "imx708, autofocus, looked at in 640x360" in check.what
    assert bench.closed == bench.opened == 1


def test_doctor_warns_of_what_is_less_than_it_should_be(bench: Bench) -> None:
    bench.tunings, bench.one_stream, bench.controls = {}, True, ()
    good, exposure, stream = examined()
    assert (good.health, exposure.health, stream.health) == (Health.OK, Health.WARNING, Health.WARNING)
    assert "fixed focus" in good.what
    assert "not capped" in exposure.what
    assert "v4l2" in stream.advice


def test_doctor_tells_none_from_busy_from_broken(bench: Bench) -> None:
    bench.models = []
    (none,) = examined()
    assert none.health is Health.FAULT
    assert "cable" in none.advice
    bench.models, bench.busy = ["imx219"], True
    (busy,) = examined()
    assert busy.health is Health.WARNING
    assert "running reader" in busy.advice
    bench.busy, bench.unsettable = False, True
    (broken,) = examined()
    assert broken.health is Health.FAULT
    assert bench.closed == bench.opened
