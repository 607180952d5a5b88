"""Every screen in every language, pixel for pixel, on a one-bit and on a colour display.

`python tools/golden_screens.py` writes the pictures anew; look at them before keeping them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mdoc_reader.drivers.draw import draw_screen
from mdoc_reader.lab.screens import DISPLAYS, every_screen, place
from mdoc_reader.outputs.languages import load

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("tag", sorted(load()))
@pytest.mark.parametrize("display", DISPLAYS)
def test_each_screen_is_as_it_was_reviewed(display: str, tag: str) -> None:
    size, mode = DISPLAYS[display]
    with Image.open(GOLDEN / f"{display}_{tag}.png") as golden:
        reviewed = golden.convert(mode)
    differ = [
        name
        for number, (name, screen) in enumerate(every_screen(load()[tag]).items())
        if reviewed.crop(place(number, size)).tobytes() != draw_screen(screen, size, mode).tobytes()
    ]
    assert differ == [], "look at them, then run tools/golden_screens.py"


def test_no_golden_picture_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {f"{display}_{tag}" for display in DISPLAYS for tag in load()}
