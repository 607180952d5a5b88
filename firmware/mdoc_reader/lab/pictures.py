"""Pictures of what happened: the display's screens on one sheet, and a timeline of each presentation's phases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Phase = tuple[str, float, float]
"""Name, start and end in milliseconds since the presentation's start."""

Presentation = tuple[str, Sequence[Phase], str]
"""Name, phases, outcome."""

MAX_SCREENS = 200
MAX_PRESENTATIONS = 100
_PAPER = "#f7f7f4"
_INK = "#22262b"
_FAINT = "#8b9096"
_GRID = "#dcdcd6"
_CASE = "#1b1f24"
_GLASS = (8, 12, 16)
_GLOW = (158, 226, 255)
# Okabe and Ito's palette, which people with any colour vision tell apart, then four of Tol's; the legend names each.
_COLOURS: tuple[str, ...] = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7f7f7f"),
    *("#332288", "#117733", "#882255", "#999933"),
)
_SOFT = 2  # drawn this much larger, then reduced, for smooth edges

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _text_width(text: str, face: Font) -> int:
    left, _, right, _ = face.getbbox(text)
    return math.ceil(right - left)


def _shorten(text: str, face: Font, width: int) -> str:
    if _text_width(text, face) <= width:
        return text
    while text and _text_width(f"{text}...", face) > width:
        text = text[:-1]
    return f"{text}..."


def glass(screen: Image.Image, scale: int = 3) -> Image.Image:
    """Return a one-bit screen as it looks on an OLED: enlarged, each pixel a lit square in a dark grid."""
    width, height = screen.size
    bits = screen.convert("L").tobytes()
    picture = Image.new("RGB", (width * scale, height * scale), _GLASS)
    pen = ImageDraw.Draw(picture)
    gap = 1 if scale >= 4 else 0
    for index, lit in enumerate(bits):
        if lit > 127:
            x, y = index % width * scale, index // width * scale
            pen.rectangle((x, y, x + scale - 1 - gap, y + scale - 1 - gap), fill=_GLOW)
    return picture


def framed(screen: Image.Image, scale: int = 3, border: int = 12) -> Image.Image:
    """Return a screen in a dark case with rounded corners, on paper."""
    inner = glass(screen, scale)
    size = (inner.width + 2 * border, inner.height + 2 * border)
    picture = Image.new("RGB", size, _PAPER)
    ImageDraw.Draw(picture).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), border, fill=_CASE)
    picture.paste(inner, (border, border))
    return picture


def display_sheet(
    source: Path | Sequence[Path], target: Path, *, columns: int = 3, scale: int = 3, captions: Sequence[str] = ()
) -> None:
    """Write an enlarged sheet of screens.

    Args:
        source: a folder of numbered PNGs (in the order of their names, `latest.png` left out), or the PNGs themselves.
        target: the PNG to write.
        columns: screens side by side.
        scale: how much each pixel is enlarged.
        captions: a line under each screen; the file's name where there is none.

    Raises ValueError when there is no screen, or more than 200; OSError when one cannot be read.
    """
    if isinstance(source, Path):
        paths = sorted(path for path in source.glob("*.png") if path.name != "latest.png")
    else:
        paths = list(source)
    if not 0 < len(paths) <= MAX_SCREENS:
        raise ValueError(f"a sheet holds 1 to {MAX_SCREENS} screens, not {len(paths)}")
    tiles = []
    for path in paths:
        with Image.open(path) as screen:
            tiles.append(framed(screen.convert("L"), scale))
    names = [captions[number] if number < len(captions) else path.stem for number, path in enumerate(paths)]
    columns = max(1, min(columns, len(tiles)))
    face, gap, foot = _font(16), 24, 26
    wide, high = max(tile.width for tile in tiles), max(tile.height for tile in tiles)
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (columns * (wide + gap) + gap, rows * (high + foot + gap) + gap), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, (tile, name) in enumerate(zip(tiles, names, strict=True)):
        x = gap + number % columns * (wide + gap)
        y = gap + number // columns * (high + foot + gap)
        sheet.paste(tile, (x, y))
        pen.text((x + wide // 2, y + high + 6), _shorten(name, face, wide), fill=_INK, font=face, anchor="mt")
    sheet.save(target, optimize=True)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Milliseconds to pixels."""

    left: int
    right: int
    end_ms: float
    step_ms: float

    def x(self, ms: float) -> int:
        return self.left + round(min(max(ms, 0.0), self.end_ms) / self.end_ms * (self.right - self.left))


def _axis(longest_ms: float, left: int, right: int) -> _Axis:
    """Return an axis of four to ten round steps that holds `longest_ms`."""
    rough = max(longest_ms, 1.0) / 8
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return _Axis(left, right, math.ceil(max(longest_ms, 1.0) / step) * step, step)


def timeline(
    presentations: Sequence[Presentation], target: Path, *, title: str = "Phases of each presentation"
) -> None:
    """Write a timeline: one bar of phases for each presentation, with its outcome and milliseconds.

    Raises ValueError when there is no presentation, more than 100, or a phase that is not finite or ends before it
    starts.
    """
    if not 0 < len(presentations) <= MAX_PRESENTATIONS:
        raise ValueError(f"a timeline holds 1 to {MAX_PRESENTATIONS} presentations, not {len(presentations)}")
    names: list[str] = []
    for _, phases, _ in presentations:
        for phase, start, end in phases:
            if not (math.isfinite(start) and math.isfinite(end) and 0 <= start <= end):
                raise ValueError(f"phase {phase!r} has no sensible start and end")
            if phase not in names:
                names.append(phase)
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}
    longest = max((end for _, phases, _ in presentations for _, _, end in phases), default=1.0)

    s = _SOFT
    label, small, head = _font(15 * s), _font(12 * s), _font(20 * s)
    width, row, margin = 1180 * s, 44 * s, 28 * s
    name_width = min(260 * s, max(_text_width(name, label) for name, _, _ in presentations) + 16 * s)
    result_width = min(240 * s, max(_text_width(result, label) for _, _, result in presentations) + 24 * s)
    axis = _axis(longest, margin + name_width, width - margin - result_width)
    legend = _legend_rows(names, small, width - 2 * margin)
    top = margin + 44 * s + len(legend) * 24 * s + 16 * s
    bottom = top + row * len(presentations)
    picture = Image.new("RGB", (width, bottom + 52 * s), _PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((margin, margin), title, fill=_INK, font=head, anchor="lt")
    for number, entries in enumerate(legend):
        _draw_legend(pen, margin, margin + 44 * s + number * 24 * s, entries=entries, colours=colours, face=small)
    tick = 0.0
    while tick <= axis.end_ms * 1.0001:
        x = axis.x(tick)
        pen.line([(x, top - 6 * s), (x, bottom)], fill=_GRID, width=s)
        pen.text(
            (x, bottom + 8 * s), f"{tick:g} ms" if tick == 0 else f"{tick:g}", fill=_FAINT, font=small, anchor="mt"
        )
        tick += axis.step_ms
    for number, (name, phases, result) in enumerate(presentations):
        y = top + number * row
        pen.text((margin, y + row // 2), _shorten(name, label, name_width - 12 * s), fill=_INK, font=label, anchor="lm")
        total = _draw_bar(pen, axis, y, row, phases=phases, colours=colours, face=small)
        x = axis.right + 14 * s
        text = _shorten(result, label, result_width - 14 * s)
        pen.text((x, y + row // 2 - 9 * s), text, fill=_INK, font=label, anchor="lm")
        pen.text((x, y + row // 2 + 10 * s), f"{total:.0f} ms", fill=_FAINT, font=small, anchor="lm")
    picture.resize((width // s, picture.height // s), Image.Resampling.LANCZOS).save(target, optimize=True)


def _legend_rows(names: Sequence[str], face: Font, width: int) -> list[list[tuple[str, int]]]:
    """Return the legend's entries with their left edges, broken into rows."""
    rows: list[list[tuple[str, int]]] = [[]]
    x = 0
    for name in names:
        step = _text_width(name, face) + 46 * _SOFT
        if x + step > width and rows[-1]:
            rows.append([])
            x = 0
        rows[-1].append((name, x))
        x += step
    return rows


def _draw_legend(
    pen: ImageDraw.ImageDraw,
    left: int,
    top: int,
    *,
    entries: Sequence[tuple[str, int]],
    colours: dict[str, str],
    face: Font,
) -> None:
    s = _SOFT
    for name, x in entries:
        pen.rounded_rectangle((left + x, top, left + x + 16 * s, top + 14 * s), 3 * s, fill=colours[name])
        pen.text((left + x + 22 * s, top + 7 * s), name, fill=_INK, font=face, anchor="lm")


def _draw_bar(
    pen: ImageDraw.ImageDraw,
    axis: _Axis,
    top: int,
    row: int,
    *,
    phases: Sequence[Phase],
    colours: dict[str, str],
    face: Font,
) -> float:
    """Draw one presentation's phases, with milliseconds where they fit; return when the last one ends."""
    s = _SOFT
    for phase, start, end in phases:
        left, right = axis.x(start), max(axis.x(end), axis.x(start) + s)
        pen.rectangle((left, top + 8 * s, right - s, top + row - 8 * s), fill=colours[phase])
        text = f"{end - start:.0f}"
        if _text_width(text, face) + 8 * s <= right - left:
            dark = colours[phase] in ("#e69f00", "#56b4e9", "#f0e442", "#cc79a7")
            pen.text(
                ((left + right) // 2, top + row // 2),
                text,
                fill=_INK if dark else "#ffffff",
                font=face,
                anchor="mm",
            )
    return max((end for _, _, end in phases), default=0.0)
