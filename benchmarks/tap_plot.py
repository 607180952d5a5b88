"""One SVG of the NFC benchmark: taps as time lines, and where the time of a transfer goes.

Plain Python, no library. It follows the viewer's light or dark scheme and reads without colour as well: every part is
named in the order in which it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LEFT, _SPAN, _WIDTH, _ROW, _BAR = 250, 440, 860, 26, 18
_STYLE = """<style>
.page{fill:#ffffff}.text{fill:#1d2733}.faint{fill:#5b6673}.rule{stroke:#d5dae0}
.c0{fill:#8a94a0}.c1{fill:#5b6673}.c2{fill:#b4bcc5}.c3{fill:#d98e04}.c4{fill:#e6b655}.c5{fill:#2f9e77}.c6{fill:#1f6f8b}
.c7{fill:#7b5ea7}.c8{fill:none;stroke:#8a94a0;stroke-dasharray:3 2}
@media (prefers-color-scheme: dark){
.page{fill:#11171e}.text{fill:#e8edf2}.faint{fill:#9aa6b2}.rule{stroke:#33404d}
.c0{fill:#77828e}.c1{fill:#a7b1bc}.c2{fill:#4d5863}.c3{fill:#e0a030}.c4{fill:#a37a2c}.c5{fill:#3fb88d}.c6{fill:#3c9bbd}
.c7{fill:#9d80cc}.c8{stroke:#9aa6b2}}
</style>"""


@dataclass(frozen=True, slots=True)
class Bar:
    """A row: parts as (number of its name, begin, end) in milliseconds, and what is said behind it."""

    label: str
    parts: tuple[tuple[int, float, float], ...]
    note: str


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows on one scale, and the names of their parts."""

    title: str
    names: Sequence[str]
    colours: Sequence[int]
    bars: Sequence[Bar]


def _step(longest: float) -> int:
    """Return a round distance between marks that gives four to ten of them."""
    step = 10
    for factor in (2, 2.5, 2) * 4:
        if longest / step <= 8:
            break
        step = round(step * factor)
    return step


def _legend(panel: Panel, y: float, body: list[str]) -> float:
    x = 16.0
    for name, colour in zip(panel.names, panel.colours, strict=True):
        wide = 34 + 6.6 * len(name)
        if x + wide > _WIDTH:
            x, y = 16.0, y + 20
        body.append(f'<rect class="c{colour}" x="{x:.0f}" y="{y}" width="11" height="11"/>')
        body.append(f'<text class="text" x="{x + 17:.0f}" y="{y + 10}">{escape(name)}</text>')
        x += wide
    return y + 24


def _panel(panel: Panel, y: float, body: list[str]) -> float:
    body.append(f'<text class="text" x="16" y="{y + 14}" font-size="14" font-weight="600">{escape(panel.title)}</text>')
    y = _legend(panel, y + 26, body)
    longest = max(end for bar in panel.bars for _, _, end in bar.parts)
    step = _step(longest)
    bottom = y + _ROW * len(panel.bars)

    def x(value: float) -> float:
        return round(_LEFT + _SPAN * value / longest, 1)

    for mark in range(0, int(longest) + 1, step):
        body.append(f'<path class="rule" d="M{x(mark)} {y - 2} V{bottom}"/>')
        body.append(f'<text class="faint" x="{x(mark)}" y="{bottom + 14}" text-anchor="middle">{mark:,} ms</text>')
    for bar in panel.bars:
        body.append(f'<text class="text" x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(bar.label)}</text>')
        for number, began, ended in bar.parts:
            kind, name = panel.colours[number], escape(panel.names[number])
            body.append(
                f'<rect class="c{kind}" x="{x(began)}" y="{y}" width="{max(x(ended) - x(began), 0.8):.1f}" '
                f'height="{_BAR}"><title>{name}: {ended - began:.1f} ms</title></rect>'
            )
        end = max(x(ended) for _, _, ended in bar.parts)
        body.append(f'<text class="text" x="{end + 8:.1f}" y="{y + 14}">{escape(bar.note)}</text>')
        y += _ROW
    return y + 30


def draw(title: str, panels: Sequence[Panel]) -> str:
    """Return the SVG."""
    body: list[str] = []
    y = 42.0
    for panel in panels:
        y = _panel(panel, y, body)
    height = round(y)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12" role="img">'
    )
    return "\n".join(
        [
            head,
            f"<title>{escape(title)}</title>",
            _STYLE,
            f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
            f'<text class="text" x="16" y="26" font-size="16" font-weight="600">{escape(title)}</text>',
            *body,
            "</svg>",
            "",
        ]
    )
