"""How the benchmarks count and show: medians, quartiles, tables, one plain SVG, one section of docs/benchmarks.md."""

from __future__ import annotations

import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Lower quartile, median, upper quartile."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Quartiles:
        """Return those of two values or more."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(low, median, high)

    def text(self, digits: int) -> str:
        """Return `median (low to high)`."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def cpu_model() -> str:
    """Return the processor's name as the kernel gives it."""
    try:
        found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def machine(*packages: str) -> str:
    """Return one line: date, processor, Python, versions of the packages."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    day = datetime.now(UTC).date().isoformat()
    return f"{day}; {cpu_model()} ({platform.machine()}); Python {platform.python_version()}; {versions}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns: reads as well in a terminal."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def write_section(name: str, text: str) -> None:
    """Put one section into docs/benchmarks.md, in place of the one of that name or at the end."""
    path = DOCS / "benchmarks.md"
    begin, end = f"<!-- {name}: written by benchmarks/{name}.py -->", f"<!-- end of {name} -->"
    page = (
        path.read_text()
        if path.is_file()
        else "# Benchmarks\n\nHow to run them: [benchmarks/](../benchmarks/README.md).\n"
    )
    section = f"{begin}\n{text.strip()}\n{end}"
    if begin in page and end in page:
        page = page[: page.index(begin)] + section + page[page.index(end) + len(end) :]
    else:
        page = f"{page.rstrip()}\n\n{section}\n"
    path.write_text(page)


def bars(title: str, rows: Sequence[tuple[str, Quartiles, str]], unit: str, mark: tuple[float, str]) -> str:
    """Return an SVG of horizontal bars (medians) with whiskers (quartiles) and one dashed mark, on a linear scale.

    Rows are (label, figure, colour). Bars that would reach beyond six times the mark are cut and labelled.
    """
    left, width, step, top = 230, 520, 34, 56
    limit = min(max(figure.high for _, figure, _ in rows), mark[0] * 6) * 1.02
    height = top + step * len(rows) + 36
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 150}" height="{height}"',
        'font-family="sans-serif" font-size="13" role="img">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="16" font-weight="bold" fill="#1d2733">{escape(title)}</text>',
    ]

    def x(value: float) -> float:
        return round(left + width * min(value, limit) / limit, 1)

    for number, (label, figure, colour) in enumerate(rows):
        y = top + step * number
        cut = figure.median > limit
        parts += [
            f'<text x="{left - 10}" y="{y + 17}" text-anchor="end" fill="#1d2733">{escape(label)}</text>',
            f'<rect x="{left}" y="{y + 2}" width="{x(figure.median) - left:.1f}" height="22" fill="{colour}"/>',
        ]
        if cut:
            parts.append(
                f'<path d="M{x(limit) - 14} {y + 26} l8 -26 m-2 26 l8 -26" stroke="#ffffff" stroke-width="3"/>'
            )
        else:
            parts.append(
                f'<path d="M{x(figure.low)} {y + 13} H{x(figure.high)}" stroke="#1d2733" stroke-width="2" fill="none"/>'
            )
        text = f"{figure.median:,.0f} {unit}"
        parts.append(f'<text x="{max(x(figure.median), x(figure.high)) + 8}" y="{y + 17}" fill="#1d2733">{text}</text>')
    bottom = top + step * len(rows)
    parts += [
        f'<path d="M{x(mark[0])} {top - 6} V{bottom}" stroke="#b3261e" stroke-dasharray="5 4"/>',
        f'<text x="{x(mark[0])}" y="{bottom + 18}" text-anchor="middle" fill="#b3261e">{escape(mark[1])}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
