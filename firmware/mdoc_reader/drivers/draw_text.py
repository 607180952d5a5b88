"""Text for screens: shrunk, then wrapped, then cut with an ellipsis, so that nothing ever leaves its box.

The font comes with the reader and letters are set one after another, so that a picture is the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

MAX_TEXT = 80
_FOLDER = Path(__file__).parent / "fonts"
_TALL = "Shdlgjpy"

Box = tuple[int, int, int, int]
Ink = int | tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Face:
    """A font at one size, as it will be drawn: hinted to whole pixels where `crisp`, else smooth."""

    font: ImageFont.FreeTypeFont
    crisp: bool

    def box(self, text: str) -> Box:
        """Return left, top, right, bottom of the ink of `text` drawn at the origin, in whole pixels."""
        # Hinted for one bit a pixel, letters are wider than in grey: measure as it will be drawn.
        left, top, right, bottom = self.font.getbbox(text, "1" if self.crisp else "L")
        return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)

    def width(self, text: str) -> int:
        """Return the width of the ink."""
        left, _, right, _ = self.box(text)
        return right - left

    def span(self, rows: Sequence[str]) -> tuple[int, int]:
        """Return where the ink of a row begins, and its height: alike for any words but those with higher accents."""
        _, top, _, bottom = self.box(_TALL + "".join(rows))
        return top, bottom - top

    @property
    def leading(self) -> int:
        """Return the pixels between two rows."""
        return 1 if self.crisp else max(1, self.span(())[1] // 7)

    def height(self, rows: Sequence[str]) -> int:
        """Return the height of some rows of text."""
        return len(rows) * (self.span(rows)[1] + self.leading) - self.leading


@lru_cache(maxsize=128)
def face(size: int, *, bold: bool = False, crisp: bool = True) -> Face:
    """Return the reader's font at about `size` pixels. OSError when its file is gone."""
    path = _FOLDER / ("bold.ttf" if bold else "crisp.ttf" if crisp else "regular.ttf")
    return Face(ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC), crisp)


@dataclass(frozen=True, slots=True)
class Set:
    """Text that was made to fit: the font, the rows, whether a line had to be cut or whole lines had to be left out."""

    face: Face
    rows: list[str]
    cut: bool = False
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class Style:
    """How text may be set: sizes from the largest, the most rows, weight, and whether for one bit a pixel."""

    sizes: Sequence[int]
    most: int
    bold: bool = False
    crisp: bool = True


def _wrap(text: str, at: Face, width: int) -> list[str]:
    """Break at spaces into rows; a word wider than `width` stays one row."""
    rows: list[str] = []
    for word in text.split():
        if rows and at.width(f"{rows[-1]} {word}") <= width:
            rows[-1] = f"{rows[-1]} {word}"
        else:
            rows.append(word)
    return rows


def _cut(text: str, at: Face, width: int) -> str:
    """Shorten one row to `width` with an ellipsis."""
    if at.width(text) <= width:
        return text
    kept = text
    while kept and at.width(f"{kept}…") > width:
        kept = kept[:-1]
    return f"{kept}…" if kept else ""


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:MAX_TEXT])


def fit(texts: Sequence[str], width: int, height: int, style: Style) -> Set:
    """Return the lines in the largest size at which they fit into `width` x `height` pixels.

    Lines are wrapped where there is room for more rows. Where they never fit, the first line matters most: later ones
    are left out, then it is cut itself.
    """
    lines = [line for line in (" ".join(_clean(text).split()) for text in texts) if line]
    smallest = face(style.sizes[-1], bold=style.bold, crisp=style.crisp)
    if not lines:
        return Set(smallest, [])
    for count in range(len(lines), 0, -1):
        for size in style.sizes:
            at = face(size, bold=style.bold, crisp=style.crisp)
            rows = [row for line in lines[:count] for row in _wrap(line, at, width)]
            fits = len(rows) <= style.most and at.height(rows) <= height
            if fits and all(at.width(row) <= width for row in rows):
                return Set(at, rows, left_out=count < len(lines))
    rows = _wrap(lines[0], smallest, width)
    room = max(1, min(style.most, (height + smallest.leading) // (smallest.span(rows)[1] + smallest.leading)))
    if len(rows) > room:
        rows = [*rows[: room - 1], " ".join(rows[room - 1 :])]
    return Set(smallest, [_cut(row, smallest, width) for row in rows], cut=True, left_out=len(lines) > 1)


def write(pen: ImageDraw.ImageDraw, box: Box, text: Set, ink: Ink, *, centred: bool) -> None:
    """Write fitted text into a box, centred from top to bottom."""
    left, top, right, bottom = box
    at = text.face
    first, high = at.span(text.rows)
    y = top + max(0, (bottom - top - at.height(text.rows)) // 2)
    pen.fontmode = "1" if at.crisp else "L"
    for row in text.rows:
        ink_left, _, ink_right, _ = at.box(row)
        indent = max(0, (right - left - (ink_right - ink_left)) // 2) if centred else 0
        pen.text((left + indent - ink_left, y - first), row, fill=ink, font=at.font)
        y += high + at.leading
