"""One SVG of growth: panels of lines, both axes in powers of ten, medians with quartiles, aims as dashed lines.

Plain Python, no library. It follows the viewer's light or dark scheme; each line carries its name at its end, and
reads without colour as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from figures import Quartiles

_LEFT, _TOP, _SPAN, _HEIGHT, _NAMES = 62, 76, 300, 210, 158
_CELL_X, _CELL_Y, _GAP = _LEFT + _SPAN + _NAMES, _HEIGHT + 88, 13
_STYLE = """<style>
.page{fill:#ffffff}.text{fill:#1d2733}.faint{fill:#5b6673}.rule{stroke:#e3e7eb}
.l0{stroke:#1f6f8b}.l1{stroke:#d98e04}.l2{stroke:#2f9e77}.l3{stroke:#7b5ea7}.l4{stroke:#8a94a0}.l5{stroke:#c2517c}
.d0{fill:#1f6f8b}.d1{fill:#d98e04}.d2{fill:#2f9e77}.d3{fill:#7b5ea7}.d4{fill:#8a94a0}.d5{fill:#c2517c}
.aim{stroke:#b3261e}.said{fill:#b3261e}
@media (prefers-color-scheme: dark){
.page{fill:#11171e}.text{fill:#e8edf2}.faint{fill:#9aa6b2}.rule{stroke:#2a3540}
.l0{stroke:#3c9bbd}.l1{stroke:#e0a030}.l2{stroke:#3fb88d}.l3{stroke:#9d80cc}.l4{stroke:#77828e}.l5{stroke:#dd7fa3}
.d0{fill:#3c9bbd}.d1{fill:#e0a030}.d2{fill:#3fb88d}.d3{fill:#9d80cc}.d4{fill:#77828e}.d5{fill:#dd7fa3}
.aim{stroke:#f2766d}.said{fill:#f2766d}}
</style>"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name, its colour's number, and figures by count. An aim is dashed and has no whiskers."""

    name: str
    colour: int
    points: tuple[tuple[int, Quartiles], ...]
    aim: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines on axes of their own."""

    title: str
    across: str
    unit: str
    lines: tuple[Line, ...]


def limit(name: str, value: float, counts: Sequence[int]) -> Line:
    """Return an aim that is the same for every count."""
    flat = Quartiles(value, value, value)
    return Line(name, 0, tuple((count, flat) for count in (min(counts), max(counts))), aim=True)


def draw(title: str, subtitle: str, panels: Sequence[Panel]) -> str:
    """Return the SVG, two panels beside each other."""
    width, height = 2 * _CELL_X + 8, math.ceil(len(panels) / 2) * _CELL_Y + 52
    body: list[str] = []
    for number, panel in enumerate(panels):
        _panel(panel, _LEFT + _CELL_X * (number % 2), _TOP + 14 + _CELL_Y * (number // 2), body)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" role="img">'
    )
    return "\n".join(
        [
            head,
            f"<title>{escape(title)}</title>",
            _STYLE,
            f'<rect class="page" width="{width}" height="{height}"/>',
            f'<text class="text" x="16" y="26" font-size="16" font-weight="600">{escape(title)}</text>',
            f'<text class="faint" x="16" y="45">{escape(subtitle)}</text>',
            *body,
            "</svg>",
            "",
        ]
    )


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _power(exponent: int) -> str:
    if exponent < 0:
        return f"{10.0**exponent:.{-exponent}f}"
    for size, name in ((6, " M"), (3, " k")):
        if exponent >= size:
            return f"{10 ** (exponent - size)}{name}"
    return str(10**exponent)


def _panel(panel: Panel, left: float, top: float, body: list[str]) -> None:
    counts = [count for line in panel.lines for count, _ in line.points]
    first, last = _decades(counts)
    low, high = _decades([value for line in panel.lines for _, one in line.points for value in (one.low, one.high)])
    bottom = top + _HEIGHT

    def x(count: float) -> float:
        return left + _SPAN * (math.log10(count) - first) / (last - first)

    def y(value: float) -> float:
        return bottom - _HEIGHT * (math.log10(value) - low) / (high - low)

    title = escape(panel.title)
    body.append(f'<text class="text" x="{left - 46}" y="{top - 12}" font-size="13" font-weight="600">{title}</text>')
    for exponent in range(low, high + 1):
        at = y(10.0**exponent)
        mark = _power(exponent) + (f" {escape(panel.unit)}" if exponent == high else "")
        body.append(f'<line class="rule" x1="{left}" y1="{at:.1f}" x2="{left + _SPAN}" y2="{at:.1f}"/>')
        body.append(f'<text class="faint" x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{mark}</text>')
    for exponent in range(first, last + 1):
        at = x(10.0**exponent)
        body.append(f'<line class="rule" x1="{at:.1f}" y1="{top}" x2="{at:.1f}" y2="{bottom}"/>')
        body.append(
            f'<text class="faint" x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{_power(exponent)}</text>'
        )
    middle, across = left + _SPAN / 2, escape(panel.across)
    body.append(f'<text class="faint" x="{middle}" y="{bottom + 33}" text-anchor="middle">{across}</text>')
    named: list[tuple[float, float, Line]] = []
    for line in panel.lines:
        points = [(x(count), one) for count, one in sorted(line.points, key=lambda each: each[0])]
        track = " ".join(
            f"{'L' if place else 'M'}{at:.1f} {y(one.median):.1f}" for place, (at, one) in enumerate(points)
        )
        kind = 'class="aim" stroke-dasharray="5 4"' if line.aim else f'class="l{line.colour}"'
        body.append(f'<path {kind} d="{track}" fill="none" stroke-width="{1.5 if line.aim else 2}"/>')
        for at, one in [] if line.aim else points:
            body.append(
                f'<path class="l{line.colour}" d="M{at:.1f} {y(one.low):.1f} V{y(one.high):.1f}" stroke-width="5"/>'
            )
            body.append(f'<circle class="d{line.colour}" cx="{at:.1f}" cy="{y(one.median):.1f}" r="3.2"/>')
        named.append((y(points[-1][1].median), points[-1][0], line))
    at = -math.inf
    for wanted, _, line in sorted(named, key=lambda each: each[0]):
        at = max(wanted + 4, at + _GAP)
        kind = "said" if line.aim else f"d{line.colour}"
        body.append(
            f'<text class="{kind}" x="{left + _SPAN + 9}" y="{at:.1f}" font-size="11">{escape(line.name)}</text>'
        )
