"""Make the display's fonts: subsets of DejaVu Sans with the letters of `outputs/letters.py`.

    uv run --no-project --with fonttools python tools/fonts.py [FOLDER]

FOLDER holds `DejaVuSans.ttf`, `DejaVuSansCondensed.ttf` and `DejaVuSansCondensed-Bold.ttf`, release 2.37 (Debian:
fonts-dejavu-core and fonts-dejavu-extra). Hinting stays: on a one-bit display it is what makes small letters readable.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FONTS = ROOT / "firmware" / "mdoc_reader" / "drivers" / "fonts"
LETTERS = ROOT / "firmware" / "mdoc_reader" / "outputs" / "letters.py"
SYSTEM = Path("/usr/share/fonts/truetype/dejavu")
NAMES = {
    "DejaVuSansCondensed.ttf": "regular.ttf",
    "DejaVuSansCondensed-Bold.ttf": "bold.ttf",
    "DejaVuSans.ttf": "crisp.ttf",  # for one-bit displays: its hinting keeps letters of nine pixels apart
}
_KEPT_NAMES = [0, 1, 2, 3, 4, 5, 6, 13, 14]  # copyright, family, style, version, licence


def subset(source: Path, target: Path, points: list[int]) -> None:
    """Write the subset. Says which letters the font does not have, and stops."""
    from fontTools import subset as tool  # type: ignore[import-not-found, unused-ignore]

    options: Any = tool.Options()
    options.layout_features = []
    options.drop_tables += ["GPOS", "GSUB", "GDEF", "kern", "FFTM", "MATH"]
    options.name_IDs = _KEPT_NAMES
    options.notdef_outline = True
    options.hinting = True
    # Nothing of the day it was made may be in it: the same input gives the same file.
    font = tool.load_font(str(source), options)
    font.recalcTimestamp = False
    has = font.getBestCmap()
    absent = [f"U+{point:04X}" for point in points if point not in has]
    if absent:
        sys.exit(f"{source.name} has no {', '.join(absent)}: take them out of {LETTERS.name}")
    work: Any = tool.Subsetter(options)
    work.populate(unicodes=points)
    work.subset(font)
    tool.save_font(font, str(target), options)


def main() -> None:
    """Make the fonts."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SYSTEM
    ranges: tuple[tuple[int, int], ...] = runpy.run_path(str(LETTERS))["RANGES"]
    points = [point for first, last in ranges for point in range(first, last + 1)]
    FONTS.mkdir(exist_ok=True)
    for source, target in NAMES.items():
        subset(folder / source, FONTS / target, points)
        print(f"{target}: {len(points)} letters, {(FONTS / target).stat().st_size} octets")


if __name__ == "__main__":
    main()
