"""Play the demo and keep what it looks like: docs/demo.svg (the terminal), docs/timeline.png, docs/display.png.

The pictures are of a real run: the cast plays with the grown-up last, and the terminal is kept while the door is open.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console

from mdoc_reader.lab.cast import CAST
from mdoc_reader.lab.demo import CONFIG, keep_pictures, perform
from mdoc_reader.lab.demo_view import DemoView, PhaseSource, table

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


class Photographer(DemoView):
    """Keeps the last picture in which the reader was showing its decision."""

    def __init__(self, titles: list[str], console: Console) -> None:
        """Draw for these titles on a recording console."""
        super().__init__(titles, silent=True, console=console)

    async def draw(self, source: PhaseSource) -> None:
        """Look ten times a second; photograph while a decision is shown, for the last act only."""
        self._source = source
        self.taken = False
        while True:
            await asyncio.sleep(0.1)
            if source.phase == "showing" and len(self._done) == len(self._titles) - 1 and not self.taken:
                await asyncio.sleep(0.2)
                self.console.print(self.render())
                self.taken = True


def main() -> int:
    """Run and write."""
    acts = [*CAST[1:], CAST[0]]
    logging.basicConfig(level=logging.ERROR)
    console = Console(record=True, width=178, force_terminal=True, file=StringIO(), color_system="truecolor")
    view = Photographer([act.title for act in acts], console)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as output:
        results = asyncio.run(perform(acts, CONFIG, Path(folder), Path(output), view))
        keep_pictures(results, Path(folder), DOCS)
    console.print(table(results))
    drawn = console.export_svg(title="./dev demo")
    # Rich names fonts on a server: the reader of a document should not have to ask one.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    (DOCS / "demo.svg").write_text(drawn, encoding="utf-8")
    return 0 if view.taken and all(result.as_expected for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
