"""A person holds a phone up to the camera: nothing, a smear from the side, a phone held nearly still, and gone again.

Single pictures of a set are judged one by one; a reader sees this instead, and most of it cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mdoc_reader.lab.frames import Distortion, Picture, draw, draw_background

EMPTY_FRAMES, MOVING_FRAMES, HELD_FRAMES, LEAVING_FRAMES = 3, 6, 6, 3
_AWAY = 0.75  # of the picture's width, from its middle: the phone is still partly in view
_FAST = 21  # px of smear while the hand moves fastest


def moving_frames(
    text: str,
    distortion: Distortion,
    *,
    seed: int,
    count: int = MOVING_FRAMES,
    leaving: bool = False,
    width: int = 640,
    height: int = 480,
    size: float = 300,
) -> Iterator[Picture]:
    """Draw a phone that comes in from the left, partly in view at first, and slows down; or one that leaves."""
    for index in range(count):
        way = 1 - index / count  # how much of the way is left
        if leaving:
            way = (index + 1) / count
        smear = max(distortion.motion_px, 1 + 2 * round(_FAST * way / 2))
        yield draw(
            text,
            replace(distortion, motion_px=smear, roll_deg=distortion.roll_deg - 20 * way),
            seed=seed + index,
            width=width,
            height=height,
            size=size * (1 - 0.3 * way),
            centre=(width * (0.5 - _AWAY * way * way), height * (0.5 + 0.1 * way)),
        )


def held_frames(
    text: str,
    distortion: Distortion,
    *,
    seed: int,
    count: int = HELD_FRAMES,
    width: int = 640,
    height: int = 480,
    size: float = 300,
) -> Iterator[Picture]:
    """Draw a phone held as still as a hand can: each picture a little off, with noise and reflections of its own."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        yield draw(
            text,
            replace(distortion, roll_deg=distortion.roll_deg + rng.normal(0, 0.8)),
            seed=seed + 1 + index,
            width=width,
            height=height,
            size=size * (1 + rng.normal(0, 0.01)),
            centre=(width / 2 + rng.normal(0, 2), height / 2 + rng.normal(0, 2)),
        )


def empty_frames(*, seed: int, count: int = EMPTY_FRAMES, width: int = 640, height: int = 480) -> Iterator[Picture]:
    """Draw what is behind the phone while there is none."""
    for index in range(count):
        yield draw_background(seed + index, width, height)


def render_sequence(
    text: str, distortion: Distortion, *, seed: int, width: int = 640, height: int = 480, size: float = 300
) -> Iterator[Picture]:
    """Draw a whole approach: empty pictures, the phone on its way in, held, on its way out, and empty ones again."""
    yield from empty_frames(seed=seed, width=width, height=height)
    yield from moving_frames(text, distortion, seed=seed + 100, width=width, height=height, size=size)
    yield from held_frames(text, distortion, seed=seed + 200, width=width, height=height, size=size)
    yield from moving_frames(
        text, distortion, seed=seed + 300, count=LEAVING_FRAMES, leaving=True, width=width, height=height, size=size
    )
    yield from empty_frames(seed=seed + 400, width=width, height=height)
