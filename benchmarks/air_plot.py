"""One SVG of expected air times: a panel a document size, bars of phases beside each other, the floor above the count.

Plain Python, no library. It follows the viewer's light or dark scheme and reads without colour as well: phases always
stand in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LEFT, _SPAN, _WIDTH, _ROW, _BAR = 256, 450, 840, 15, 11
_STYLE = """<style>
.page{fill:#ffffff}.text{fill:#1d2733}.faint{fill:#5b6673}.rule{stroke:#d5dae0}
.p0{fill:#8a94a0}.p1{fill:#d98e04}.p2{fill:#2f9e77}.p3{fill:#1f6f8b}.p4{fill:#7b5ea7}.apart{fill:none;stroke:#8a94a0}
@media (prefers-color-scheme: dark){
.page{fill:#11171e}.text{fill:#e8edf2}.faint{fill:#9aa6b2}.rule{stroke:#33404d}
.p0{fill:#77828e}.p1{fill:#e0a030}.p2{fill:#3fb88d}.p3{fill:#3c9bbd}.p4{fill:#9d80cc}.apart{stroke:#9aa6b2}}
</style>"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its name, milliseconds a phase in order, and what the phone chose, drawn as an empty box behind."""

    label: str
    phases: tuple[float, ...]
    apart: float = 0.0
    note: str = ""

    @property
    def total(self) -> float:
        """Milliseconds, without what stands apart."""
        return sum(self.phases)


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars on one scale of their own, in groups with a little air between."""

    title: str
    groups: tuple[tuple[Bar, ...], ...]


def step_for(longest: float) -> int:
    """Return a round distance between marks that gives four to ten of them."""
    step = 10
    for factor in (2, 2.5, 2) * 6:
        if longest / step <= 8:
            break
        step = round(step * factor)
    return step


def draw(title: str, phases: Sequence[str], panels: Sequence[Panel], apart: str = "chosen by the phone, apart") -> str:
    """Return the SVG. `apart` says what an empty box is."""
    body: list[str] = []
    x = 16.0
    for number, phase in enumerate((*phases, apart)):
        kind = f"p{number}" if number < len(phases) else "apart"
        body.append(f'<rect class="{kind}" x="{x}" y="40" width="11" height="11"/>')
        body.append(f'<text class="text" x="{x + 17}" y="50">{escape(phase)}</text>')
        x += 36 + 7 * len(phase)
    y = 72.0
    for panel in panels:
        y = _panel(panel, y, body)
    height = round(y + 4)
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


def _panel(panel: Panel, top: float, body: list[str]) -> float:
    """Draw one panel from `top` on; return where the next may begin."""
    longest = max(bar.total + bar.apart for group in panel.groups for bar in group) or 1
    body.append(f'<text class="text" x="16" y="{top + 14}" font-weight="600">{escape(panel.title)}</text>')
    top += 24
    bottom = top + sum(len(group) * _ROW + 8 for group in panel.groups)
    step = step_for(longest)
    for mark in range(0, int(longest) + 1, step):
        x = _LEFT + _SPAN * mark / longest
        body.append(f'<line class="rule" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>')
        unit = " ms" if mark == 0 else ""
        body.append(f'<text class="faint" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{mark:,}{unit}</text>')
    y = top + 4
    for group in panel.groups:
        for bar in group:
            _bar(bar, y, longest, body)
            y += _ROW
        y += 8
    return bottom + 28


def _bar(bar: Bar, y: float, longest: float, body: list[str]) -> None:
    body.append(f'<text class="text" x="{_LEFT - 8}" y="{y + 10}" text-anchor="end">{escape(bar.label)}</text>')
    x = float(_LEFT)
    for number, part in enumerate(bar.phases):
        width = _SPAN * part / longest
        body.append(f'<rect class="p{number}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}"/>')
        x += width
    if bar.apart > 0:
        width = _SPAN * bar.apart / longest
        body.append(f'<rect class="apart" x="{x:.1f}" y="{y + 0.5}" width="{width:.1f}" height="{_BAR - 1}"/>')
        x += width
    body.append(f'<text class="text" x="{x + 5:.1f}" y="{y + 10}">{bar.total:,.0f}{escape(bar.note)}</text>')
