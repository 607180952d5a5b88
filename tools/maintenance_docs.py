"""Write the pictures of docs/maintenance.md: what doctor says, and what the display says under maintenance.

`--check` only says whether the table fits. The findings are made up; the table is doctor's own.
"""

from __future__ import annotations

import io
import os
import re
import sys
from html import escape
from pathlib import Path

from PIL import Image

from mdoc_reader.app.doctor_table import told
from mdoc_reader.drivers.draw import draw_screen
from mdoc_reader.lab.pictures import framed
from mdoc_reader.model.check import Check, Health
from mdoc_reader.model.sign import Sign
from mdoc_reader.outputs.languages import chosen
from mdoc_reader.outputs.signals import naming, signals

DOCS = Path(__file__).resolve().parent.parent / "docs"
TABLE, SCREENS = DOCS / "doctor.svg", DOCS / "maintenance_screens.png"
FOUND = (
    Check("profile", Health.OK, "'over 18' opens for: age_over(18) and status.clear"),
    Check(
        "lists",
        Health.WARNING,
        "1 list should have been replaced by now: AAMVA VICAL (vical)",
        "run `mdoc-reader trust sync`, or bring a newer one with `mdoc-reader trust import FILE`",
    ),
    Check("clock", Health.OK, "2026-11-21 14:45 UTC, set by a battery or network"),
    Check("key", Health.OK, "key 'reader' in token 'reader' signs in 24.1 ms"),
    Check("key certificate", Health.OK, "valid until 2028-02-14"),
    Check(
        "nfc",
        Health.FAULT,
        "The NFC reader does not answer: check its power, wiring and interface switches. (/dev/ttyAMA0)",
        "see that the board is set to UART (I0 and I1 both low: L L), and that RX and TX are joined to the header",
    ),
    Check("bluetooth", Health.OK, "adapter hci0, bluetoothd 5.82, powered"),
    Check("camera", Health.OK, "camera 0, imx708, autofocus, looked at in 640x480"),
    Check("decoder", Health.OK, "driver 'zxing' loads; it cannot tell more"),
    Check("display", Health.OK, "ST7789 240x240 on /dev/spidev0.0, 32 MHz; whether it is there cannot be seen"),
    Check("pins", Health.OK, "6 pins on pinctrl-bcm2711, free to be used"),
    Check("building", Health.OK, "disabled by the configuration"),
    Check("disk", Health.OK, "24310 MiB free at /var/lib/mdoc-reader"),
    Check("temperature", Health.OK, "51 degrees Celsius"),
    Check(
        "power",
        Health.WARNING,
        "the voltage was too low since the start",
        "use the board's own power supply and a short, thick cable",
    ),
)
_WIDTH, _LETTER, _LINE, _EDGE = 112, 8.43, 20, 18
_COLOURS = {"✓": "#7ee787", "!": "#f2cc60", "✗": "#ff7b72"}
_PAPER, _INK, _FAINT = "#0d1117", "#e6edf3", "#8b949e"


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def table() -> str:
    """Return doctor's table as a terminal shows it, as SVG."""
    before = {name: os.environ.get(name) for name in ("COLUMNS", "NO_COLOR")}
    os.environ |= {"COLUMNS": str(_WIDTH), "NO_COLOR": "1"}
    try:
        lines = ["$ mdoc-reader doctor --config /etc/mdoc-reader/reader.toml", *told(FOUND, _Terminal()).splitlines()]
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    size = (round(_WIDTH * _LETTER) + 2 * _EDGE, len(lines) * _LINE + 2 * _EDGE)
    rows = "\n".join(_row(number, line) for number, line in enumerate(lines) if line)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" '
        f'viewBox="0 0 {size[0]} {size[1]}">\n<rect width="100%" height="100%" rx="8" fill="{_PAPER}"/>\n'
        f'<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="14" '
        f'fill="{_INK}" xml:space="preserve">\n{rows}\n</g>\n</svg>\n'
    )


def _row(number: int, line: str) -> str:
    y = _EDGE + number * _LINE + 14
    mark, rest = (line[:9], line[9:]) if line[0] in _COLOURS else ("", line)
    faint = f' fill="{_FAINT}"' if re.match(r"\s+(->)?|\$", line) and not mark else ""
    parts = [_text(_EDGE, y, mark, f' fill="{_COLOURS[mark[0]]}" font-weight="bold"')] if mark else []
    start = len(mark) + len(rest) - len(rest.lstrip())
    return "".join([*parts, _text(_EDGE + start * _LETTER, y, rest.strip(), faint)])


def _text(x: float, y: int, text: str, more: str) -> str:
    # The length is given, so that columns stand whatever the viewer's font is.
    return f'<text x="{x:g}" y="{y}" textLength="{len(text) * _LETTER:g}"{more}>{escape(text)}</text>'


def screens() -> Image.Image:
    """Return the maintenance screen of two displays, naming parts."""
    (english,) = chosen(("en",))
    quiet = signals(english)[Sign.MAINTENANCE].screen
    named = naming(quiet, Sign.MAINTENANCE, ("nfc", "lists", "power"), english)
    shown = [
        framed(draw_screen(quiet, (128, 64))),
        framed(draw_screen(named, (128, 64))),
        framed(draw_screen(named, (240, 240), "RGB"), 1),
    ]
    gap = 16
    height = max(one.height for one in shown)
    sheet = Image.new("RGB", (sum(one.width + gap for one in shown) + gap, height + 2 * gap), "#f7f7f4")
    x = gap
    for one in shown:
        sheet.paste(one, (x, gap + (height - one.height) // 2))
        x += one.width + gap
    return sheet


def main() -> int:
    """Write or check."""
    drawn = table()
    if "--check" in sys.argv:
        return int(not TABLE.exists() or TABLE.read_text() != drawn)
    TABLE.write_text(drawn)
    screens().save(SCREENS, optimize=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
