"""The Video4Linux2 driver as far as it goes without a device; with one it runs in the guest."""

from __future__ import annotations

import asyncio
import io
import mmap
import os
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mdoc_reader.drivers import v4l2_camera, v4l2_examine, zxing_decoder
from mdoc_reader.drivers.grey import every
from mdoc_reader.drivers.v4l2_camera import Options, decoded, open_camera
from mdoc_reader.engagement.ports import Frame
from mdoc_reader.lab.frames import CONDITIONS, draw, example_text
from mdoc_reader.model.check import Health

WITHOUT_DEVICES = pytest.mark.skipif(bool(v4l2_camera.devices()), reason="this machine has a video device")


def jpeg(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> bytes:
    picture = Image.fromarray(np.arange(size[0] * size[1], dtype=np.uint8).reshape(size[1], size[0])).convert(mode)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=95)
    return stream.getvalue()


def test_it_is_a_device() -> None:
    assert not v4l2_camera.SIMULATED


@WITHOUT_DEVICES
def test_no_camera_is_an_error() -> None:
    with pytest.raises(OSError, match="no camera"):
        open_camera(Options())


@pytest.mark.parametrize("what", ["missing", "file", "folder"])
def test_what_is_no_camera_is_an_error_and_is_let_go(tmp_path: Path, what: str) -> None:
    path = tmp_path / "video0"
    if what == "file":
        path.write_bytes(b"no camera")
    elif what == "folder":
        path.mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(OSError):
            open_camera(Options(device=str(path)))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    "given_options",
    [
        {"device": 0},
        {"width": 100},
        {"width": 5000},
        {"height": 10},
        {"fps": 0},
        {"mains_hz": 55},
        {"colour": True},
    ],
)
def test_options_are_checked(given_options: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given_options, Options)


@pytest.mark.parametrize("padding", [0, 2, 16])
@pytest.mark.parametrize(("offset", "step"), [(0, 2), (1, 2), (1, 3), (2, 4)])
def test_grey_is_picked_from_between_colours(offset: int, step: int, padding: int) -> None:
    width, height = 30, 7
    stride = width * step + padding
    memory = mmap.mmap(-1, stride * height)
    memory[:] = os.urandom(stride * height)
    rows = np.frombuffer(memory[:], np.uint8).reshape(height, stride)
    expected = rows[:, offset : width * step : step].tobytes()
    assert every(memory, width, height, stride, (offset, step)) == expected


def test_a_code_in_yuyv_is_read() -> None:
    text = example_text(200, 1)
    picture = draw(text, CONDITIONS["clean"], seed=1)
    height, width = picture.shape
    yuyv = np.stack([picture, np.full_like(picture, 128)], axis=2).tobytes()
    grey = every(yuyv, width, height, 2 * width, (0, 2))
    decoder = zxing_decoder.open_decoder(zxing_decoder.Options())
    assert decoder.decode(Frame(width, height, width, memoryview(grey))) == [text]


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_is_taken_as_grey(mode: str) -> None:
    grey = decoded(jpeg(mode), 64, 48)
    assert grey is not None
    expected = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64).astype(int)
    assert np.abs(np.frombuffer(grey, np.uint8).reshape(48, 64) - expected).mean() < 4


def test_a_jpeg_of_another_size_is_no_picture() -> None:
    assert decoded(jpeg(), 48, 64) is None
    assert decoded(jpeg(size=(640, 480)), 64, 48) is None


@settings(max_examples=150, deadline=None)
@given(cut=st.integers(0, 2000), at=st.integers(0, 1999), byte=st.integers(0, 255))
def test_a_broken_jpeg_is_no_trouble(cut: int, at: int, byte: int) -> None:
    whole = bytearray(jpeg())
    whole[at % len(whole)] = byte
    grey = decoded(bytes(whole[:cut]), 64, 48)
    assert grey is None or len(grey) == 64 * 48


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ([], (640, 480)),
        ([(1920, 1080), (640, 480), (320, 240)], (640, 480)),
        ([(1920, 1080), (800, 600)], (800, 600)),
        ([(0, 0), (4096, 2160)], (640, 480)),
    ],
)
def test_the_nearest_size_is_asked_for(offered: list[tuple[int, int]], taken: tuple[int, int]) -> None:
    assert v4l2_camera._nearest(offered, 640, 480) == taken


@WITHOUT_DEVICES
def test_doctor_says_that_there_is_none() -> None:
    (check,) = asyncio.run(v4l2_camera.examine(Options()))
    assert check.health is Health.FAULT
    assert "no video device" in check.what
    assert "picamera2" in check.advice


def test_doctor_says_what_is_wrong_with_a_path(tmp_path: Path) -> None:
    file = tmp_path / "video0"
    file.write_bytes(b"")
    began = time.monotonic()
    for path in (file, tmp_path / "video1"):
        (check,) = asyncio.run(v4l2_camera.examine(Options(device=str(path))))
        assert check.health is Health.FAULT
        assert str(path) in check.what
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("number", "health", "advice"),
    [(16, Health.WARNING, "running reader"), (13, Health.FAULT, "group"), (19, Health.FAULT, "plug")],
)
def test_doctor_tells_busy_from_forbidden_from_gone(number: int, health: Health, advice: str) -> None:
    check = v4l2_examine._not_open(OSError(number, os.strerror(number)), "/dev/video9")
    assert check.health is health
    assert advice in check.advice
