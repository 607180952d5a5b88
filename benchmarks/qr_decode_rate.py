"""How often, and how fast, each QR engine reads the camera set, told by distortion, by resolution and by size.

Every resolution x code size x condition of `lab.frames`, for three text lengths (QR versions 10, 12 and 14), fixed
seeds. Each engine runs as its driver runs it and with its first look alone; all see the same pictures in turn.

    python benchmarks/qr_decode_rate.py              print the tables
    python benchmarks/qr_decode_rate.py --quick      of the smallest resolution alone
    python benchmarks/qr_decode_rate.py --write      and leave docs/qr_decode_rate.md and .svg
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from mdoc_reader.drivers import zbar_decoder, zxing_decoder
from mdoc_reader.engagement.ports import Decoder, Frame
from mdoc_reader.lab.frames import CONDITIONS, SIZES, draw, draw_background, example_text

DOCS = Path(__file__).resolve().parent.parent / "docs"
LENGTHS = (200, 280, 350)
SEED = 18013
ENGINES: dict[str, Decoder] = {
    "zxing": zxing_decoder.open_decoder(zxing_decoder.Options()),
    "zxing, first look": zxing_decoder.open_decoder(zxing_decoder.Options(second_try=False)),
    "zbar": zbar_decoder.open_decoder(zbar_decoder.Options()),
    "zbar, first look": zbar_decoder.open_decoder(zbar_decoder.Options(second_try=False)),
}
DRIVERS = ("zxing", "zbar")
COLOURS = {"zxing": "#1f6f8b", "zbar": "#d98e04"}
COMMAND = "python benchmarks/qr_decode_rate.py --write"


class Tally:
    """What was read of what was shown, and the times."""

    def __init__(self) -> None:
        """Start from nothing."""
        self.read: dict[tuple[str, str, str], int] = defaultdict(int)  # engine, kind, key
        self.shown: dict[tuple[str, str], int] = defaultdict(int)  # kind, key
        self.times: dict[tuple[str, str, str], list[float]] = defaultdict(list)  # engine, resolution, outcome; ms
        self.wrong: dict[str, int] = defaultdict(int)

    def look(self, frame: Frame, text: str | None, kinds: Iterable[tuple[str, str]]) -> None:
        """Show one picture to every engine; `text` is None where there is nothing to read."""
        keys = [("all", "all"), *kinds]
        for told_by in keys if text else []:
            self.shown[told_by] += 1
        for name, decoder in ENGINES.items():
            began = time.perf_counter()
            texts = decoder.decode(frame)
            took = (time.perf_counter() - began) * 1000
            hit = text in texts
            self.wrong[name] += bool(texts) and not hit
            outcome = "nothing there" if text is None else "read" if hit else "missed"
            self.times[name, f"{frame.width}x{frame.height}", outcome].append(took)
            for kind, key in keys if hit else []:
                self.read[name, kind, key] += 1

    def rate(self, engine: str, kind: str, key: str) -> float:
        """Return the share read, in percent."""
        return 100 * self.read[engine, kind, key] / self.shown[kind, key]

    def keys(self, kind: str) -> list[str]:
        """Return what a kind was told by, in the order shown."""
        return [key for each, key in self.shown if each == kind]


def as_frame(pixels: bytes, width: int, height: int) -> Frame:
    """Return drawn bytes as a camera would hand them over."""
    return Frame(width, height, width, memoryview(pixels))


def run(*, quick: bool) -> Tally:
    """Draw and show the whole set, or its smallest resolution alone."""
    tally = Tally()
    seed = SEED
    for (width, height), sizes in list(SIZES.items())[: 1 if quick else None]:
        resolution = f"{width}x{height}"
        for size in sizes:
            for name, distortion in CONDITIONS.items():
                for length in LENGTHS:
                    seed += 1
                    text = example_text(length, seed)
                    picture = draw(text, distortion, seed=seed, width=width, height=height, size=size)
                    kinds = (("distortion", name), ("resolution", resolution), ("size", f"{resolution}, {size} px"))
                    tally.look(as_frame(picture.tobytes(), width, height), text, (*kinds, ("length", str(length))))
        for _ in range(6):
            seed += 1
            tally.look(as_frame(draw_background(seed, width, height).tobytes(), width, height), None, ())
        print(f"{resolution} done", file=sys.stderr)
    return tally


def tables(tally: Tally) -> str:
    """Return the tables as Markdown."""
    lines: list[str] = []
    titles = {
        "all": "Whole set",
        "distortion": "By distortion",
        "resolution": "By resolution",
        "size": "By resolution and width of the code",
        "length": "By characters in the code",
    }
    for kind, title in titles.items():
        lines += [f"## {title}", "", "| | " + " | ".join(ENGINES) + " | pictures |", "|---" * (len(ENGINES) + 2) + "|"]
        for key in tally.keys(kind):
            rates = " | ".join(f"{tally.rate(engine, kind, key):.0f} %" for engine in ENGINES)
            lines.append(f"| {key} | {rates} | {tally.shown[kind, key]} |")
        lines.append("")
    lines += ["## Milliseconds a picture: median (longest)", ""]
    lines += ["| | " + " | ".join(ENGINES) + " |", "|---" * (len(ENGINES) + 1) + "|"]
    for resolution in tally.keys("resolution"):
        for outcome in ("read", "missed", "nothing there"):
            cells = []
            for engine in ENGINES:
                times = tally.times.get((engine, resolution, outcome))
                cells.append(f"{statistics.median(times):.1f} ({max(times):.0f})" if times else "")
            lines.append(f"| {resolution}, {outcome} | " + " | ".join(cells) + " |")
    wrong = ", ".join(f"{engine} {tally.wrong[engine]}" for engine in ENGINES)
    lines += ["", f"Wrong texts: {wrong}.", ""]
    return "\n".join(lines)


def plot(tally: Tally) -> str:
    """Return a bar chart by distortion as SVG: one pair of bars a condition."""
    names = tally.keys("distortion")
    left, top, row, span = 170, 64, 30, 460
    height = top + row * len(names) + 40
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="700" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="26" font-size="16" font-weight="600" fill="#222">Codes read, by distortion</text>',
    ]
    for index, engine in enumerate(DRIVERS):
        x: float = left + index * 160
        out.append(f'<rect x="{x}" y="38" width="12" height="12" fill="{COLOURS[engine]}"/>')
        label = f"{engine}: {tally.rate(engine, 'all', 'all'):.0f} % of all"
        out.append(f'<text x="{x + 18}" y="49" fill="#222">{label}</text>')
    for percent in (0, 25, 50, 75, 100):
        x = left + span * percent / 100
        bottom = top + row * len(names)
        out.append(f'<line x1="{x}" y1="{top}" x2="{x}" y2="{bottom}" stroke="#ddd"/>')
        out.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle" fill="#666">{percent} %</text>')
    for index, name in enumerate(names):
        y = top + index * row + 4
        out.append(f'<text x="{left - 10}" y="{y + 15}" text-anchor="end" fill="#222">{name}</text>')
        for offset, engine in enumerate(DRIVERS):
            rate = tally.rate(engine, "distortion", name)
            width, bar = span * rate / 100, y + offset * 11
            out.append(f'<rect x="{left}" y="{bar}" width="{width:.1f}" height="10" fill="{COLOURS[engine]}"/>')
            out.append(f'<text x="{left + width + 5:.1f}" y="{bar + 9}" font-size="10" fill="#444">{rate:.0f}</text>')
    return "\n".join([*out, "</svg>", ""])


def main() -> None:
    """Run, print, and write when asked to."""
    parser = argparse.ArgumentParser(description="Decode rate and time of the QR engines over the camera set.")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--write", action="store_true", help="leave docs/qr_decode_rate.md and docs/qr_decode_rate.svg")
    how.add_argument("--quick", action="store_true", help="only the smallest resolution")
    arguments = parser.parse_args()
    began = time.monotonic()
    tally = run(quick=arguments.quick)
    report = tables(tally)
    print(report)
    if arguments.write:
        machine = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
        head = (
            "# How often the camera set is read\n\n"
            f"Made by `{COMMAND}` ({machine}, {time.monotonic() - began:.0f} s). The pictures are drawn "
            "(`lab/frames.py`), not taken: they tell engines and distortions apart, and promise nothing about a given "
            "camera. The rates come out the same each time; the times are this machine's, which was doing other work "
            "as well.\n\n"
            "`first look` is the engine alone; without these words it is the driver, which looks a second time where "
            "the first look found nothing (zxing: at half size, in poor light; zbar: at the negative).\n\n"
            "![Codes read, by distortion](qr_decode_rate.svg)\n\n"
        )
        DOCS.mkdir(exist_ok=True)
        (DOCS / "qr_decode_rate.md").write_text(head + report, encoding="utf-8")
        (DOCS / "qr_decode_rate.svg").write_text(plot(tally), encoding="utf-8")


if __name__ == "__main__":
    main()
