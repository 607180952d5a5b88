"""Both QR engines: what they read, and that no picture upsets them."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdoc_reader.drivers import zbar_decoder, zxing_decoder
from mdoc_reader.drivers.grey import halved, tight, usable
from mdoc_reader.engagement.ports import Decoder, Frame
from mdoc_reader.lab.frames import CONDITIONS, Picture, draw, draw_background, example_text

TEXT = example_text(200, 1)
ZXING = zxing_decoder.open_decoder(zxing_decoder.Options())
ZXING_ONCE = zxing_decoder.open_decoder(zxing_decoder.Options(second_try=False))
ZBAR = zbar_decoder.open_decoder(zbar_decoder.Options())
BOTH = pytest.mark.parametrize("decoder", [ZXING, ZBAR], ids=["zxing", "zbar"])


def frame(picture: Picture, *, padding: int = 0, whole: bool = True) -> Frame:
    """A picture as a camera hands it over, its rows padded with noise; `whole` pads the last row too."""
    height, width = picture.shape
    noise = np.random.default_rng(1).integers(0, 255, (height, padding)).astype(np.uint8)
    pixels = np.hstack([picture, noise]).tobytes()
    return Frame(width, height, width + padding, memoryview(pixels if whole else pixels[: len(pixels) - padding]))


@pytest.mark.parametrize("decoder", [ZXING, ZXING_ONCE, ZBAR], ids=["zxing", "zxing-first-look", "zbar"])
@pytest.mark.parametrize("condition", ["clean", "dark-mode"])
@pytest.mark.parametrize(("padding", "whole"), [(0, True), (64, True), (64, False)])
def test_reads_light_and_dark_codes_at_any_stride(
    decoder: Decoder, condition: str, padding: int, *, whole: bool
) -> None:
    picture = draw(TEXT, CONDITIONS[condition], seed=3, size=300)
    assert decoder.decode(frame(picture, padding=padding, whole=whole)) == [TEXT]


@BOTH
def test_finds_nothing_in_an_empty_picture(decoder: Decoder) -> None:
    assert decoder.decode(frame(draw_background(1))) == []


@BOTH
def test_reads_several_codes_and_never_more_than_eight(decoder: Decoder) -> None:
    texts = [example_text(60, seed) for seed in range(12)]
    codes = [draw(text, CONDITIONS["clean"], seed=1, width=240, height=240, size=160) for text in texts]
    wall = np.vstack([np.hstack(codes[row : row + 4]) for row in (0, 4, 8)])
    found = decoder.decode(frame(wall))
    assert 2 <= len(found) <= 8
    assert set(found) <= set(texts)


def test_second_look_of_zxing_reads_a_noisy_dark_scene_that_the_first_does_not() -> None:
    read = [0, 0]
    for seed in range(8):
        picture = frame(draw(example_text(280, seed), CONDITIONS["low-light"], seed=seed, size=250))
        read[0] += bool(ZXING_ONCE.decode(picture))
        read[1] += bool(ZXING.decode(picture))
    assert read[1] >= read[0] + 3


@pytest.mark.parametrize(("gain", "noise", "looks"), [(1.0, 1.0, 1), (0.15, 7.0, 2), (1.0, 15.0, 2), (0.15, 1.0, 2)])
def test_second_look_of_zxing_is_for_poor_light(
    monkeypatch: pytest.MonkeyPatch, gain: float, noise: float, looks: int
) -> None:
    looked_at: list[int] = []
    look = zxing_decoder._look

    def counted(pixels: memoryview | bytes, width: int, height: int, stride: int) -> list[str]:
        looked_at.append(width)
        return look(pixels, width, height, stride)

    monkeypatch.setattr(zxing_decoder, "_look", counted)
    rng = np.random.default_rng(1)
    scene = draw_background(1).astype(float) * gain + rng.normal(0, noise, (480, 640))
    assert ZXING.decode(frame(np.clip(scene, 0, 255).astype(np.uint8), padding=32)) == []
    assert looked_at == [640, 320][:looks]


def test_second_look_of_zbar_is_what_reads_dark_mode() -> None:
    first_only = zbar_decoder.open_decoder(zbar_decoder.Options(second_try=False))
    assert first_only.decode(frame(draw(TEXT, CONDITIONS["dark-mode"], seed=3))) == []


@pytest.mark.parametrize("module", [zxing_decoder, zbar_decoder])
def test_options_refuse_unknown_keys(module: object) -> None:
    options = zxing_decoder.Options if module is zxing_decoder else zbar_decoder.Options
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"try_harder": True}, options)


@BOTH
@pytest.mark.parametrize(
    ("width", "height", "stride", "count"),
    [
        (0, 0, 0, 0),
        (0, 10, 10, 100),
        (10, 0, 10, 100),
        (-1, 10, 10, 100),
        (10, -10, 10, 100),
        (10, 10, 9, 100),  # rows overlap
        (10, 10, -10, 100),
        (10, 10, 10, 99),  # one byte short
        (10, 10, 1000, 100),
        (640, 480, 640, 1),
        (2**31, 2**31, 2**31, 64),
        (2**62, 1, 2**62, 64),
        (1, 1, 2**40, 1),
    ],
)
def test_impossible_shapes_are_no_codes(decoder: Decoder, width: int, height: int, stride: int, count: int) -> None:
    shown = Frame(width, height, stride, memoryview(bytes(count)))
    assert not usable(shown)
    assert decoder.decode(shown) == []


@BOTH
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 500), (500, 1), (81, 81), (80, 80)])
def test_small_pictures_are_no_codes(decoder: Decoder, width: int, height: int) -> None:
    shown = Frame(width, height, width, memoryview(bytes(width * height)))
    assert usable(shown)
    assert decoder.decode(shown) == []


@BOTH
def test_odd_buffers_are_no_codes(decoder: Decoder) -> None:
    released = memoryview(bytes(100))
    released.release()
    step = memoryview(bytes(20000))[::2]
    wide = memoryview(bytes(20000)).cast("H")
    for pixels in (released, step, wide):
        assert not usable(Frame(10, 10, 10, pixels))
        assert decoder.decode(Frame(10, 10, 10, pixels)) == []


@BOTH
@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(-2, 200), st.integers(-2, 200), st.integers(-2, 260)),
    count=st.integers(0, 20_000),
    seed=st.binary(min_size=1, max_size=64),
)
def test_random_pictures_never_raise(decoder: Decoder, shape: tuple[int, int, int], count: int, seed: bytes) -> None:
    pixels = (seed * (count // len(seed) + 1))[:count]
    assert len(decoder.decode(Frame(*shape, memoryview(pixels)))) <= 8


@BOTH
def test_noise_never_raises(decoder: Decoder) -> None:
    for _ in range(3):
        assert decoder.decode(Frame(320, 240, 320, memoryview(os.urandom(320 * 240)))) == []


@settings(max_examples=40, deadline=None)
@given(width=st.integers(2, 40), height=st.integers(2, 40), padding=st.integers(0, 5), seed=st.integers(0, 1000))
def test_halving_is_the_mean_of_each_box(width: int, height: int, padding: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    shown = frame(picture, padding=padding)
    assert usable(shown)
    assert tight(shown) == picture.tobytes()
    half = np.frombuffer(halved(shown), np.uint8).reshape(height // 2, width // 2).astype(float)
    even = picture[: height // 2 * 2, : width // 2 * 2].astype(float)
    mean = (even[0::2, 0::2] + even[0::2, 1::2] + even[1::2, 0::2] + even[1::2, 1::2]) / 4
    assert np.abs(half - mean).max() <= 0.5


@pytest.mark.parametrize(
    "name",
    [
        "zxing_decoder",
        "zbar_decoder",
        "simulated_camera",
        "disabled_camera",
        "v4l2_camera",
        "picamera2_camera",
        "file_camera",
    ],
)
def test_no_driver_brings_numpy_along(name: str) -> None:
    code = f"import sys, mdoc_reader.drivers.{name}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
