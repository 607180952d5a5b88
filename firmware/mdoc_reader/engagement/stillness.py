"""Whether anything moved before the camera, told from a sparse grid of its pixels with the standard library alone.

Each of the grid's cells is a sum of 16 pixels that lie apart, which takes the noise of a dark scene down to a quarter.
A cell has changed when it differs by more than the light does: of each band of cells the median difference is taken
off first, so that lamps that flicker (bands across a picture, changing from one to the next) or are switched on move
nothing, and the rest has to exceed a share of the cell's own brightness and the noise of the last pictures. Some cells
have to change, not one.

What is compared with is renewed every two seconds: who comes slowly is seen as well, and daylight is not.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from dataclasses import dataclass
from operator import gt

from mdoc_reader.engagement.ports import Frame

COLUMNS = 40
BANDS = 12
ROWS = 16  # of one band, each adding a pixel to every cell of it

LEVELS = 12  # grey levels, the mean of a cell, that a change has to exceed
SHARE = 8  # ... and this part of the cell's own brightness
NOISES = 5  # ... and this many times the noise
MOST_LEVELS = 30  # ... but no more than this is asked for
LOOKS = 10  # of which the least noisy tells how noisy the pictures are
CELLS = 4  # that have to change
REFERENCE_S = 2.0

_EVEN = int.from_bytes(b"\xff\x00" * (COLUMNS // 2), "little")


@dataclass(frozen=True, slots=True)
class Grid:
    """The sums of a picture's cells, band by band."""

    shape: tuple[int, int]
    bands: tuple[tuple[int, ...], ...]


def grid_of(frame: Frame) -> Grid | None:
    """Return a picture's grid; None where it is too small for one, or its numbers do not fit its bytes."""
    width, height, stride, pixels = frame.width, frame.height, frame.stride, frame.pixels
    step = width // COLUMNS
    if step < 1 or height < BANDS * ROWS or stride < width or pixels.nbytes < stride * (height - 1) + width:
        return None
    down = height // (BANDS * ROWS)
    bands = []
    for band in range(BANDS):
        first = band * ROWS * down * stride
        even = odd = 0
        for start in range(first, first + ROWS * down * stride, down * stride):
            # The pixels of a row as one long number: every second one is added apart, with room for its sum.
            row = int.from_bytes(pixels[start : start + step * COLUMNS : step], "little")
            even += row & _EVEN
            odd += row >> 8 & _EVEN
        sums = f"<{COLUMNS // 2}H"
        bands.append(
            struct.unpack(sums, even.to_bytes(COLUMNS, "little")) + struct.unpack(sums, odd.to_bytes(COLUMNS, "little"))
        )
    return Grid((width, height), tuple(bands))


def changes_between(before: Grid, now: Grid) -> list[int]:
    """Return by how much each cell's sum changed, without what the light did to its band. The shapes are the same."""
    changes: list[int] = []
    for old, new in zip(before.bands, now.bands, strict=True):
        differences = [b - a for a, b in zip(old, new, strict=True)]
        light = sorted(differences)[COLUMNS // 2]
        changes += [abs(difference - light) for difference in differences]
    return changes


def moved(before: Grid, changes: list[int], noise: int) -> bool:
    """Say whether something moved; `noise` is what half of the cells change by when nothing does."""
    needed = min(max(LEVELS, NOISES * noise // ROWS), MOST_LEVELS) * ROWS
    shares = (needed + level // SHARE for band in before.bands for level in band)
    changed: int = sum(map(gt, changes, shares))
    return changed >= CELLS


class Stillness:
    """Watches the pictures of one camera."""

    def __init__(self, after_s: float) -> None:
        """Call a scene still when nothing moved for `after_s`."""
        self._after_s = after_s
        self._reference: Grid | None = None
        self._taken = 0.0
        self._moved = time.monotonic()
        self._usual: deque[int] = deque(maxlen=LOOKS)

    def look(self, frame: Frame, now: float) -> None:
        """Take note of a picture, taken at `now` (monotonic s)."""
        grid = grid_of(frame)
        if grid is None:  # too small to judge: as if it always moved
            self._moved = now
            return
        if self._moved_since(grid):
            self._moved = now
        elif now - self._taken < REFERENCE_S:
            return
        self._reference, self._taken = grid, now

    def _moved_since(self, grid: Grid) -> bool:
        before = self._reference
        if before is None or before.shape != grid.shape:
            self._usual.clear()
            return True
        changes = changes_between(before, grid)
        self._usual.append(sorted(changes)[len(changes) // 2])
        return moved(before, changes, min(self._usual))  # the least: half of one picture may well have moved

    def wake(self) -> None:
        """Take it that something moved now."""
        self._moved = time.monotonic()

    def still(self, now: float) -> bool:
        """Say whether nothing has moved for long enough."""
        return now - self._moved >= self._after_s
