"""What counts as movement before a camera, and what is only light and noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mdoc_reader.engagement.ports import Frame
from mdoc_reader.engagement.stillness import REFERENCE_S, Grid, Stillness, changes_between, grid_of
from mdoc_reader.lab.frames import CONDITIONS, Picture, draw, draw_background, example_text

WIDTH, HEIGHT = 640, 360


def frame(picture: Picture, padding: int = 0) -> Frame:
    height, width = picture.shape
    rows = np.pad(picture, ((0, 0), (0, padding)), constant_values=255)
    return Frame(width, height, width + padding, memoryview(rows.tobytes()))


def grid(picture: Picture) -> Grid:
    found = grid_of(frame(picture))
    assert found is not None
    return found


def judged(*pictures: Picture) -> list[bool]:
    """Whether each picture after the first shows movement, one every 0.2 s."""
    stillness = Stillness(1e-9)
    found = []
    for number, picture in enumerate(pictures):
        at = 1e9 + number * 0.2
        stillness.look(frame(picture), at)
        found.append(not stillness.still(at))
    return found[1:]


def scene(rng: np.random.Generator, *, gain: float = 1.0, noise: float = 4.0, light: object = 1.0) -> Picture:
    """The same scene each time, under this light and with this noise."""
    plain = draw_background(1, WIDTH, HEIGHT).astype(np.float64)
    lit: NDArray[np.float64] = plain * gain * np.asarray(light) + rng.normal(0, noise, plain.shape)
    return np.clip(lit, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("gain", "noise"), [(1.0, 4), (1.0, 20), (1.0, 30), (0.3, 20), (0.15, 7)])
def test_noise_is_no_movement(gain: float, noise: float) -> None:
    rng = np.random.default_rng(1)
    assert not any(judged(*(scene(rng, gain=gain, noise=noise) for _ in range(15))))


@pytest.mark.parametrize("depth", [0.1, 0.3, 0.5])
def test_lamps_that_flicker_are_no_movement(depth: float) -> None:
    rng = np.random.default_rng(2)
    rows = np.arange(HEIGHT)[:, None]
    bands = [1 - depth / 2 * (1 + np.sin(rows / 25 + phase)) for phase in rng.uniform(0, 6.3, 12)]
    assert not any(judged(*(scene(rng, light=light) for light in bands)))


@pytest.mark.parametrize("light", [0.5, 0.8, 1.2])
def test_light_that_changes_is_no_movement(light: float) -> None:
    rng = np.random.default_rng(3)
    assert judged(scene(rng), scene(rng, light=light)) == [False]


def test_a_bright_window_that_dims_a_little_is_no_movement() -> None:
    rng = np.random.default_rng(8)
    bright, dim = scene(rng), scene(rng)
    bright[:, 400:] = 240
    dim[:, 400:] = 215
    assert judged(bright, bright, dim) == [False, False]


@pytest.mark.parametrize("condition", ["clean", "dark-mode", "low-light", "strong-blur", "noise"])
@pytest.mark.parametrize("size", [60, 300])
def test_a_phone_is_movement(condition: str, size: int) -> None:
    distortion = CONDITIONS[condition]
    rng = np.random.default_rng(4)
    empty = [scene(rng, gain=distortion.gain, noise=distortion.noise) for _ in range(3)]
    shown = draw(example_text(200, 1), distortion, seed=1, width=WIDTH, height=HEIGHT, size=size)
    assert judged(*empty, shown, empty[0]) == [False, False, True, True]


def test_a_small_thing_is_movement_and_a_speck_is_not() -> None:
    rng = np.random.default_rng(5)
    before = scene(rng), scene(rng)
    with_thing, with_speck = scene(rng), scene(rng)
    with_thing[100:180, 200:280] = 255
    with_speck[100:104, 200:204] = 255
    assert judged(*before, with_thing) == [False, True]
    assert judged(*before, with_speck) == [False, False]


def test_light_is_taken_off_each_band() -> None:
    picture = np.full((HEIGHT, WIDTH), 100, np.uint8)
    brighter = picture.copy()
    brighter[: HEIGHT // 2] = 140
    assert set(changes_between(grid(picture), grid(brighter))) == {0}


def test_padding_is_not_looked_at() -> None:
    picture = draw_background(1, WIDTH, HEIGHT)
    assert grid_of(frame(picture, 64)) == grid_of(frame(picture))


def test_a_cell_is_the_sum_of_its_pixels() -> None:
    picture = np.arange(WIDTH * HEIGHT, dtype=np.uint32).reshape(HEIGHT, WIDTH).astype(np.uint8)
    first = picture[0:16, 0::16].astype(int).sum(axis=0)
    assert sorted(grid(picture).bands[0]) == sorted(first.tolist())


@pytest.mark.parametrize(
    ("width", "height", "stride", "count"),
    [(39, 400, 39, 39 * 400), (640, 191, 640, 640 * 191), (640, 360, 639, 640 * 360), (640, 360, 640, 640 * 300)],
)
def test_what_is_too_small_or_does_not_fit_has_no_grid(width: int, height: int, stride: int, count: int) -> None:
    shown = Frame(width, height, stride, memoryview(bytes(count)))
    assert grid_of(shown) is None
    stillness = Stillness(1.0)
    stillness.look(shown, 1e9)
    assert not stillness.still(1e9 + 0.5)


def test_another_size_is_movement() -> None:
    small, large = draw_background(1, 640, 360), draw_background(1, 640, 480)
    assert judged(small, small, large, large) == [False, True, False]


def test_still_after_a_while_and_awake_with_the_first_movement() -> None:
    rng = np.random.default_rng(6)
    stillness = Stillness(5.0)
    began = 1e9
    for step in range(30):
        stillness.look(frame(scene(rng)), began + step * 0.2)
        assert stillness.still(began + step * 0.2) == (step * 0.2 >= 5.0)
    shown = draw(example_text(200, 1), CONDITIONS["clean"], seed=1, width=WIDTH, height=HEIGHT, size=200)
    stillness.look(frame(shown), began + 6.2)
    assert not stillness.still(began + 6.2)


def test_who_comes_slowly_is_seen() -> None:
    rng = np.random.default_rng(7)
    stillness = Stillness(3.0)
    began = 1e9
    stillness.look(frame(scene(rng)), began)
    for step in range(1, 40):  # a shade that grows by one level at a time
        shaded = scene(rng).astype(int)
        shaded[100:260, 200:440] += 3 * step
        stillness.look(frame(np.clip(shaded, 0, 255).astype(np.uint8)), began + step * REFERENCE_S / 10)
    assert not stillness.still(began + 8.0)
