"""Screens as pictures, for displays of one bit a pixel and for displays with colours, of any size from 128 x 32 up.

A wide display has the icon at the left of the headline, any other has it above; one or two small lines come beneath. A
code takes the icon's place and as much room as the headline leaves. A portrait takes the whole display but for the
headline; where faces could not be told apart (one bit a pixel, fewer than 96 rows), the screen's words stand instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from PIL import Image, ImageDraw, ImageOps

from mdoc_reader.drivers.draw_code import draw_code
from mdoc_reader.drivers.draw_icons import GRID, has_icon, icon_mask
from mdoc_reader.drivers.draw_text import Box, Ink, Set, Style, fit, write
from mdoc_reader.outputs.ports import Mood, Picture, Screen

SIZE = (128, 64)
MIN_FACE = 96
"""Rows a one-bit display needs before a portrait is of any use on it."""
SMALL, SMALL_BOLD = 9, 12
"""Pixels of the smallest letters in lines and headlines: below them one-bit letters run into each other."""
_WIDE = 1.5
_NO_LINES = 40  # a display with fewer rows has room for the headline alone

RGB = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Palette:
    """Ground, words and icon of one mood."""

    ground: RGB
    words: RGB
    icon: RGB


_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
PALETTES: Mapping[Mood, Palette] = MappingProxyType(
    {
        Mood.CALM: Palette((16, 24, 40), _WHITE, (122, 190, 255)),
        Mood.BUSY: Palette((14, 58, 120), _WHITE, (255, 205, 90)),
        Mood.GOOD: Palette((6, 104, 56), _WHITE, _WHITE),
        Mood.BAD: Palette((160, 20, 26), _WHITE, _WHITE),
        Mood.DOUBT: Palette((255, 183, 20), (32, 20, 0), (32, 20, 0)),
    }
)
"""What each mood looks like; words keep a contrast of 4.5 to 1 and more to their ground (WCAG 2.2, 1.4.3)."""


def draw_screen(screen: Screen, size: tuple[int, int] = SIZE, mode: str = "1") -> Image.Image:
    """Return the screen as a picture of mode "1", white on black, or of mode "RGB"."""
    if screen.picture is not None or screen.code:
        return _Sheet(screen, size, mode).drawn()
    return _kept(screen, size, mode).copy()


@lru_cache(maxsize=24)
def _kept(screen: Screen, size: tuple[int, int], mode: str) -> Image.Image:
    """Draw a screen that says nothing about anybody, once."""
    return _Sheet(screen, size, mode).drawn()


def is_dark(screen: Screen) -> bool:
    """Whether a screen shows nothing."""
    return not (screen.icon or screen.headline or screen.lines or screen.code or screen.picture)


def lost_words(screen: Screen, size: tuple[int, int] = SIZE, mode: str = "1") -> tuple[bool, bool]:
    """Whether a display of this size has to cut one of the screen's words, and whether it leaves out a whole line."""
    sheet = _Sheet(screen, size, mode)
    sheet.drawn()
    return sheet.cut, sheet.left_out


def _sizes(largest: float, smallest: float) -> range:
    return range(max(round(largest), round(smallest)), round(smallest) - 1, -1)


class _Sheet:
    """One picture in the making."""

    def __init__(self, screen: Screen, size: tuple[int, int], mode: str) -> None:
        self._screen = screen
        self._width, self._height = size
        self._crisp = mode == "1"
        palette = Palette(_BLACK, _WHITE, _WHITE) if self._crisp or is_dark(screen) else PALETTES[screen.mood]
        self._words: Ink = 1 if self._crisp else palette.words
        self._icon: Ink = 1 if self._crisp else palette.icon
        self._image = Image.new(mode, size, 0 if self._crisp else palette.ground)
        self._pen = ImageDraw.Draw(self._image)
        self._lines = [line for line in screen.lines[:2] if line.strip()] if self._height >= _NO_LINES else []
        self.cut = self.left_out = False

    def drawn(self) -> Image.Image:
        picture = self._screen.picture
        wide = self._width >= self._height * _WIDE
        if picture is not None and (not self._crisp or self._height >= MIN_FACE):
            self._with_picture(picture)
        elif self._screen.code and self._with_code(wide=wide):
            pass
        elif wide:
            self._beside()
        else:
            self._stacked()
        return self._image

    def _headline(self, box: Box, largest: float, smallest: float, most: int, *, centred: bool = True) -> None:
        width, height = box[2] - box[0], box[3] - box[1]
        style = Style(_sizes(largest, max(SMALL_BOLD, smallest)), most, bold=True, crisp=self._crisp)
        text = fit([self._screen.headline], width, height, style)
        if text.cut:  # a narrow place, or a long word: thin letters are smaller
            text = fit(
                [self._screen.headline], width, height, Style(_sizes(SMALL_BOLD, SMALL), most, crisp=self._crisp)
            )
        self._put(text, box, centred=centred)

    def _small(self, box: Box, largest: float, smallest: float, most: int) -> None:
        style = Style(_sizes(largest, max(SMALL, smallest)), most, crisp=self._crisp)
        self._put(fit(self._lines, box[2] - box[0], box[3] - box[1], style), box, centred=True)

    def _put(self, text: Set, box: Box, *, centred: bool) -> None:
        self.cut, self.left_out = self.cut or text.cut, self.left_out or text.left_out
        write(self._pen, box, text, self._words, centred=centred)

    def _draw_icon(self, left: int, top: int, side: int) -> None:
        mask = icon_mask(self._screen.icon, side, smooth=not self._crisp)
        self._image.paste(self._icon, (left, top), mask)

    def _beside(self) -> None:
        """Icon and headline above, lines beneath; measures are those of 64 rows."""
        width, height = self._width, self._height
        unit = min(height, 64 * 3) / 64 if self._lines else 1.0
        row = round(13 * unit)
        below = row * len(self._lines)
        upper = height - below - (round(2 * unit) if self._lines else 0)
        left = 1
        if has_icon(self._screen.icon):
            side = GRID * max(1, round(upper * 0.75) // GRID)
            self._draw_icon(1, max(0, (upper - side) // 2), side)
            left = side + 1 + round(4 * unit)
        box = (left, 1, width - 1, upper)
        self._headline(box, 22 * height / 64, SMALL_BOLD, 3, centred=left == 1)
        if self._lines:
            self._small((1, height - below, width - 1, height), row, SMALL, len(self._lines))

    def _stacked(self) -> None:
        """Icon, headline and lines from top to bottom, each in a place of its own on every screen."""
        width, height = self._width, self._height
        tall = height > width * 1.25
        least = min(width, height)
        margin = 1 if self._crisp else max(2, least // 24)
        side = round(least * (0.5 if tall else 0.34))
        if self._crisp:
            side = max(1, side // GRID) * GRID
        top = round(height * 0.06)
        text = top + side + round(height * 0.045)
        if has_icon(self._screen.icon):
            self._draw_icon((width - side) // 2, top, side)
        lines = text + round((height - text) * (0.55 if self._lines else 0.8))
        self._headline((margin, text, width - margin, lines), least * 0.145, least * 0.075, 3 if tall else 2)
        if self._lines:
            lines += round(height * 0.03)
            box = (margin, lines, width - margin, height - margin)
            self._small(box, least * (0.11 if tall else 0.085), least * (0.075 if tall else 0.06), 4)

    def _with_picture(self, picture: Picture) -> None:
        """A portrait with the headline beneath, or beside it where the display is wide."""
        width, height = self._width, self._height
        margin = max(2, min(width, height) // 40)
        if width >= height * 1.3:
            space = (margin, margin, round(width * 0.62), height - margin)
            words = (space[2] + margin, margin, width - margin, height - margin)
        else:
            space = (margin, margin, width - margin, height - round(height * 0.16))
            words = (margin, space[3], width - margin, height)
        face = Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)
        face = ImageOps.contain(face, (space[2] - space[0], space[3] - space[1]), Image.Resampling.LANCZOS)
        if self._crisp:
            face = ImageOps.autocontrast(face.convert("L"), cutoff=1).convert("1")
        at = (space[0] + space[2] - face.width) // 2, (space[1] + space[3] - face.height) // 2
        self._image.paste(face, at)
        self._headline(words, min(width, height) * 0.12, SMALL_BOLD, 4 if words[0] > margin else 1)

    def _with_code(self, *, wide: bool) -> bool:
        """A code as large as fits, with the headline beside or beneath. False when the code does not fit."""
        width, height = self._width, self._height
        if wide:
            code = draw_code(self._screen.code, min(height, width - 44))
        else:
            code = draw_code(self._screen.code, min(width, round(height * 0.8)))
        if code is None:
            return False
        ground = code if self._crisp else code.convert("RGB")
        if wide:
            self._image.paste(ground, (0, (height - code.height) // 2))
            self._headline((code.width + 2, 0, width - 1, height), 14 * height / 64, SMALL_BOLD, 4)
        else:
            space = 0 if self._crisp else max(0, (round(height * 0.75) - code.height) // 2)
            self._image.paste(ground, ((width - code.width) // 2, space))
            box = (2, code.height + 1 + space, width - 2, height - space // 2)
            self._headline(box, min(width, height) * 0.105, SMALL_BOLD, 2)
        return True
