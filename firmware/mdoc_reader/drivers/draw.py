"""Screens for small one-bit displays: an icon and a headline above up to two small lines, drawn with Pillow.

Text is shrunk, then wrapped, then cut with an ellipsis, so that nothing ever leaves the picture. The icons are drawn by
code on a 32 x 32 grid; an unknown name draws none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

from PIL import Image, ImageDraw, ImageFont, features

from mdoc_reader.outputs.ports import Screen

SIZE = (128, 64)
ICON = 32
HEADLINE_SIZES = (22, 20, 18, 16, 15, 14, 13, 12, 11)
LINE_SIZES = (13, 12, 11)
MAX_TEXT = 80
_GAP = 4
_TALL = "Shdlgjpy"

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Pen = ImageDraw.ImageDraw
Box = tuple[int, int, int, int]


@lru_cache(maxsize=32)
def font(size: int) -> Font:
    """Return Pillow's own font at about `size` pixels; its bitmap font where FreeType is missing."""
    if features.check_module("freetype2"):
        return ImageFont.load_default(size)
    return ImageFont.load_default_imagefont()


def text_box(text: str, face: Font) -> Box:
    """Return left, top, right, bottom of the ink of `text` drawn at the origin, in whole pixels."""
    # Hinted for one bit a pixel, letters are wider than in grey: measure as it will be drawn.
    left, top, right, bottom = face.getbbox(text, "1")
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


def _width(text: str, face: Font) -> int:
    left, _, right, _ = text_box(text, face)
    return right - left


def _line_height(face: Font) -> int:
    _, top, _, bottom = text_box(_TALL, face)
    return bottom - top


def _wrap(text: str, face: Font, width: int) -> list[str]:
    """Break at spaces into lines; a word longer than `width` stays one line."""
    lines: list[str] = []
    for word in text.split():
        if lines and _width(f"{lines[-1]} {word}", face) <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.append(word)
    return lines


def _cut(text: str, face: Font, width: int) -> str:
    """Shorten one line to `width` with an ellipsis."""
    if _width(text, face) <= width:
        return text
    kept = text
    while kept and _width(f"{kept}...", face) > width:
        kept = kept[:-1]
    return f"{kept}..." if kept else ""


def fit(text: str, width: int, height: int, sizes: tuple[int, ...], most: int) -> tuple[Font, list[str]]:
    """Return the largest font and the lines, at most `most` of them, that fit into `width` x `height` pixels."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text[:MAX_TEXT])
    for size in sizes:
        face = font(size)
        lines = _wrap(clean, face, width)
        fits = len(lines) <= most and len(lines) * (_line_height(face) + 1) <= height + 1
        if fits and all(_width(line, face) <= width for line in lines):
            return face, lines
    face = font(sizes[-1])
    room = max(1, min(most, (height + 1) // (_line_height(face) + 1)))
    lines = _wrap(clean, face, width)
    if len(lines) > room:
        lines = [*lines[: room - 1], " ".join(lines[room - 1 :])]
    return face, [_cut(line, face, width) for line in lines]


def _write(pen: Pen, box: Box, face: Font, lines: list[str], *, centred: bool) -> None:
    """Write lines into a box, centred from top to bottom."""
    left, top, right, bottom = box
    step = _line_height(face) + 1
    y = top + max(0, (bottom - top - (step * len(lines) - 1)) // 2)
    offset = text_box(_TALL, face)[1]
    for line in lines:
        ink_left, _, ink_right, _ = text_box(line, face)
        indent = max(0, (right - left - (ink_right - ink_left)) // 2) if centred else 0
        pen.text((left + indent - ink_left, y - offset), line, fill=1, font=face)
        y += step


def draw_screen(screen: Screen, size: tuple[int, int] = SIZE) -> Image.Image:
    """Return the screen as a picture of mode "1", white on black."""
    width, height = size
    picture = Image.new("1", size, 0)
    pen = ImageDraw.Draw(picture)
    pen.fontmode = "1"
    lines = [line for line in screen.lines[:2] if line.strip()]
    below = 13 * len(lines)
    top_height = height - below - (2 if lines else 0)
    left = 0
    icon = ICONS.get(screen.icon)
    if icon is not None:
        tile = Image.new("1", (ICON, ICON), 0)
        icon(ImageDraw.Draw(tile))
        picture.paste(tile, (1, max(0, (top_height - ICON) // 2)))
        left = ICON + 1 + _GAP
    face, words = fit(screen.headline, width - left - 1, top_height - 1, HEADLINE_SIZES, 3)
    _write(pen, (left, 1, width - 1, top_height), face, words, centred=icon is None)
    for number, line in enumerate(lines):
        top = height - below + 13 * number
        face, words = fit(line, width - 2, 13, LINE_SIZES, 1)
        _write(pen, (1, top, width - 1, top + 13), face, words, centred=True)
    return picture


def _tick(pen: Pen) -> None:
    pen.ellipse((0, 0, 31, 31), fill=1)
    pen.line([(8, 16), (14, 22), (24, 10)], fill=0, width=4, joint="curve")


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
    pen.line([(10, 14), (14, 18), (21, 9)], fill=1, width=3, joint="curve")


def _tap(pen: Pen) -> None:
    _handset(pen, 0, 0, 13, 31)
    for radius in (4, 9, 14):
        pen.arc((15 - radius, 15 - radius, 15 + radius, 15 + radius), -50, 50, fill=1, width=2)
    pen.line([(31, 2), (31, 29)], fill=1, width=2)


def _approve_here(pen: Pen) -> None:
    _handset(pen, 6, 0, 19, 24)
    pen.line([(10, 10), (14, 14), (21, 5)], fill=1, width=3, joint="curve")
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
        "warning": _warning,
        "wrench": _wrench,
    }
)
"""Icons by name."""
