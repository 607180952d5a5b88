"""Icons of the screens, drawn by code on a 32 x 32 grid and scaled to any size; an unknown name draws none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from PIL import Image, ImageDraw

GRID = 32
_FINE = 8  # drawn this much larger, then reduced, for smooth edges

Point = tuple[float, float]


class Pen:
    """Draws on the grid, enlarged. A pixel of the grid is a square of `scale` pixels; 1 is ink and 0 is ground."""

    def __init__(self, image: Image.Image, scale: int, ink: int) -> None:
        """Draw on an image of mode "1" or "L"."""
        self._draw = ImageDraw.Draw(image)
        self._scale = scale
        self._ink = ink

    def _box(self, box: Sequence[float]) -> tuple[float, float, float, float]:
        left, top, right, bottom = box
        s = self._scale
        return (left * s, top * s, (right + 1) * s - 1, (bottom + 1) * s - 1)

    def _points(self, points: Sequence[Point]) -> list[Point]:
        s = self._scale
        if s == 1:
            return list(points)
        return [((x + 0.5) * s, (y + 0.5) * s) for x, y in points]

    def _of(self, ink: int | None) -> int | None:
        return None if ink is None else ink * self._ink

    def line(self, points: Sequence[Point], fill: int, width: int = 1, *, curved: bool = False) -> None:
        """Draw a line of whole grid pixels in width."""
        joint = "curve" if curved else None
        self._draw.line(self._points(points), fill=self._of(fill), width=width * self._scale, joint=joint)

    def rectangle(
        self, box: Sequence[float], fill: int | None = None, outline: int | None = None, width: int = 1
    ) -> None:
        """Draw a rectangle, corners included."""
        line = width * self._scale
        self._draw.rectangle(self._box(box), fill=self._of(fill), outline=self._of(outline), width=line)

    def rounded_rectangle(
        self, box: Sequence[float], radius: int, fill: int | None = None, outline: int | None = None, width: int = 1
    ) -> None:
        """Draw a rectangle with round corners."""
        radius, line = radius * self._scale, width * self._scale
        self._draw.rounded_rectangle(self._box(box), radius, self._of(fill), self._of(outline), line)

    def ellipse(
        self, box: Sequence[float], fill: int | None = None, outline: int | None = None, width: int = 1
    ) -> None:
        """Draw an ellipse that fills a box."""
        self._draw.ellipse(self._box(box), self._of(fill), self._of(outline), width * self._scale)

    def arc(self, box: Sequence[float], start: float, end: float, fill: int, width: int = 1) -> None:
        """Draw a part of an ellipse, in degrees clockwise from three o'clock."""
        self._draw.arc(self._box(box), start, end, self._of(fill), width * self._scale)

    def polygon(self, points: Sequence[Point], fill: int | None = None, outline: int | None = None) -> None:
        """Draw a polygon."""
        self._draw.polygon(self._points(points), self._of(fill), self._of(outline), self._scale)


def has_icon(name: str) -> bool:
    """Whether there is an icon of this name."""
    return name in ICONS


@lru_cache(maxsize=64)
def icon_mask(name: str, side: int, *, smooth: bool) -> Image.Image:
    """Return an icon as a square mask: mode "L" when smooth, else "1". KeyError when there is no such icon."""
    draw = ICONS[name]
    if not smooth:
        scale = max(1, side // GRID)
        grid = Image.new("1", (GRID * scale, GRID * scale), 0)
        draw(Pen(grid, scale, 1))
        return grid
    grid = Image.new("L", (GRID * _FINE, GRID * _FINE), 0)
    draw(Pen(grid, _FINE, 255))
    return grid.resize((side, side), Image.Resampling.BOX if side < GRID else Image.Resampling.LANCZOS)


def _tick(pen: Pen) -> None:
    pen.ellipse((0, 0, 31, 31), fill=1)
    pen.line([(8, 16), (14, 22), (24, 10)], fill=0, width=4, curved=True)


def _cross(pen: Pen) -> None:
    pen.polygon([(9, 0), (22, 0), (31, 9), (31, 22), (22, 31), (9, 31), (0, 22), (0, 9)], fill=1)
    pen.line([(10, 10), (21, 21)], fill=0, width=4)
    pen.line([(10, 21), (21, 10)], fill=0, width=4)


def _finder(pen: Pen, x: int, y: int, side: int) -> None:
    pen.rectangle((x, y, x + side - 1, y + side - 1), outline=1, width=2)
    pen.rectangle((x + 4, y + 4, x + side - 5, y + side - 5), fill=1)


def _qr(pen: Pen) -> None:
    for x, y in ((0, 0), (19, 0), (0, 19)):
        _finder(pen, x, y, 13)
    for x, y in ((19, 19), (27, 19), (23, 23), (19, 27), (27, 27), (15, 2), (15, 10), (2, 15), (10, 15), (15, 17)):
        pen.rectangle((x, y, x + 3, y + 3), fill=1)


def _no_qr(pen: Pen) -> None:
    _qr(pen)
    pen.line([(1, 30), (30, 1)], fill=0, width=8)
    pen.line([(1, 30), (30, 1)], fill=1, width=3)


def _handset(pen: Pen, x: int, y: int, width: int, height: int) -> None:
    pen.rounded_rectangle((x, y, x + width, y + height), 3, outline=1, width=2)
    pen.line([(x + width // 2 - 2, y + height - 3), (x + width // 2 + 2, y + height - 3)], fill=1)


def _phone(pen: Pen) -> None:
    _handset(pen, 6, 0, 19, 31)
    pen.line([(10, 14), (14, 18), (21, 9)], fill=1, width=3, curved=True)


def _tap(pen: Pen) -> None:
    _handset(pen, 0, 0, 13, 31)
    for radius in (4, 9, 14):
        pen.arc((15 - radius, 15 - radius, 15 + radius, 15 + radius), -50, 50, fill=1, width=2)
    pen.line([(31, 2), (31, 29)], fill=1, width=2)


def _approve_here(pen: Pen) -> None:
    _handset(pen, 6, 0, 19, 24)
    pen.line([(10, 10), (14, 14), (21, 5)], fill=1, width=3, curved=True)
    pen.rectangle((0, 28, 31, 31), fill=1)


def _unlock(pen: Pen) -> None:
    pen.arc((9, 0, 24, 18), 180, 330, fill=1, width=3)
    pen.line([(10, 9), (10, 15)], fill=1, width=3)
    pen.rounded_rectangle((4, 14, 27, 31), 3, fill=1)
    pen.ellipse((13, 18, 18, 23), fill=0)
    pen.rectangle((15, 22, 16, 27), fill=0)


def _one(pen: Pen) -> None:
    _handset(pen, 0, 4, 13, 27)
    _handset(pen, 18, 4, 13, 27)
    pen.line([(17, 29), (31, 8)], fill=0, width=7)
    pen.line([(17, 29), (31, 8)], fill=1, width=3)


def _tap_again(pen: Pen) -> None:
    _handset(pen, 0, 0, 13, 31)
    pen.arc((15, 8, 30, 23), 30, 320, fill=1, width=3)
    pen.polygon([(31, 6), (31, 14), (23, 12)], fill=1)


def _waves(pen: Pen) -> None:
    _handset(pen, 0, 4, 13, 27)
    for radius in (7, 12, 17):
        pen.arc((12 - radius, 12 - radius, 12 + radius, 12 + radius), -48, 48, fill=1, width=2)


def _transfer(pen: Pen) -> None:
    _handset(pen, 0, 0, 13, 31)
    for y in (8, 22):
        pen.rectangle((16, y - 1, 25, y), fill=1)
        pen.polygon([(25, y - 5), (31, y - 1), (31, y), (25, y + 4)], fill=1)


def _hourglass(pen: Pen) -> None:
    for y in (0, 28):
        pen.rectangle((5, y, 26, y + 3), fill=1)
    pen.polygon([(7, 4), (24, 4), (17, 15), (17, 16), (24, 27), (7, 27), (14, 16), (14, 15)], outline=1)
    pen.polygon([(11, 9), (20, 9), (16, 14), (15, 14)], fill=1)
    pen.polygon([(9, 27), (22, 27), (16, 21), (15, 21)], fill=1)
    pen.line([(15, 14), (15, 22)], fill=1)


def _question(pen: Pen) -> None:
    pen.ellipse((0, 0, 31, 31), outline=1, width=2)
    pen.arc((9, 6, 22, 19), 180, 80, fill=1, width=3)
    pen.line([(15, 18), (15, 20)], fill=1, width=3)
    pen.rectangle((14, 23, 16, 25), fill=1)


def _hand(pen: Pen) -> None:
    for x, top in ((7, 6), (12, 2), (17, 2), (22, 5)):
        pen.rounded_rectangle((x, top, x + 3, 20), 1, fill=1)
    pen.rounded_rectangle((7, 16, 25, 31), 5, fill=1)
    pen.line([(2, 16), (9, 25)], fill=1, width=4)


def _again(pen: Pen) -> None:
    pen.arc((3, 3, 28, 28), 30, 320, fill=1, width=4)
    pen.polygon([(31, 2), (31, 15), (19, 12)], fill=1)


def _faces(pen: Pen) -> None:
    pen.rounded_rectangle((0, 2, 13, 29), 2, outline=1, width=2)
    for x, y in ((7, 11), (24, 11)):
        pen.ellipse((x - 3, y - 4, x + 3, y + 3), fill=1)
    pen.rectangle((3, 19, 10, 24), fill=1)
    pen.rounded_rectangle((17, 18, 31, 36), 5, fill=1)


def _clock(pen: Pen) -> None:
    pen.ellipse((0, 0, 31, 31), outline=1, width=3)
    pen.line([(15, 7), (15, 17)], fill=1, width=3)
    pen.line([(15, 16), (22, 20)], fill=1, width=3)


def _bell(pen: Pen) -> None:
    pen.ellipse((7, 3, 24, 20), fill=1)
    pen.rectangle((7, 11, 24, 22), fill=1)
    pen.polygon([(7, 20), (24, 20), (29, 26), (2, 26)], fill=1)
    pen.rectangle((14, 0, 17, 4), fill=1)
    pen.ellipse((12, 25, 19, 31), fill=1)
    pen.rectangle((2, 26, 29, 27), fill=1)
    pen.line([(4, 4), (1, 10)], fill=1, width=2)
    pen.line([(27, 4), (30, 10)], fill=1, width=2)


def _warning(pen: Pen) -> None:
    pen.polygon([(15, 0), (16, 0), (31, 29), (31, 30), (0, 30), (0, 29)], fill=1)
    pen.polygon([(14, 9), (17, 9), (16, 20), (15, 20)], fill=0)
    pen.rectangle((14, 23, 17, 26), fill=0)


def _wrench(pen: Pen) -> None:
    pen.line([(6, 26), (20, 12)], fill=1, width=6)
    pen.ellipse((1, 21, 10, 30), fill=1)
    pen.ellipse((14, 1, 30, 17), fill=1)
    pen.polygon([(22, 9), (27, -2), (34, 5)], fill=0)
    pen.line([(22, 9), (29, 2)], fill=0, width=5)
    pen.ellipse((4, 24, 7, 27), fill=0)


ICONS: Mapping[str, Callable[[Pen], None]] = MappingProxyType(
    {
        "tick": _tick,
        "cross": _cross,
        "qr": _qr,
        "no_qr": _no_qr,
        "phone": _phone,
        "approve_here": _approve_here,
        "tap": _tap,
        "tap_again": _tap_again,
        "unlock": _unlock,
        "one": _one,
        "waves": _waves,
        "transfer": _transfer,
        "hourglass": _hourglass,
        "question": _question,
        "hand": _hand,
        "again": _again,
        "faces": _faces,
        "clock": _clock,
        "bell": _bell,
        "warning": _warning,
        "wrench": _wrench,
    }
)
"""Icons by name."""
