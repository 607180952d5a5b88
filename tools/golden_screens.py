"""Write the golden pictures of every screen and language into tests/outputs/golden. Look at them, then keep them."""

from __future__ import annotations

from pathlib import Path

from mdoc_reader.lab.screens import DISPLAYS, sheet
from mdoc_reader.outputs.languages import load

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "outputs" / "golden"


def main() -> None:
    """Write one sheet for each display and language."""
    GOLDEN.mkdir(exist_ok=True)
    for language in load().values():
        for display in DISPLAYS:
            path = GOLDEN / f"{display}_{language.tag}.png"
            sheet(language, display).save(path, optimize=True)
            print(f"wrote {path.relative_to(ROOT)}, {path.stat().st_size} octets")


if __name__ == "__main__":
    main()
