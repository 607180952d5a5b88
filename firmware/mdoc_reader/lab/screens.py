"""Every screen a panel can show, with made-up content where it has some: for golden pictures and the docs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace

from PIL import Image

from mdoc_reader.drivers.draw import draw_screen
from mdoc_reader.lab.people import Look, portrait
from mdoc_reader.model.sign import By, Sign
from mdoc_reader.outputs.languages import ALARMS, DARK, Language
from mdoc_reader.outputs.ports import Picture, Screen
from mdoc_reader.outputs.signals import inviting, naming, signals

CODE = "https://example.org/mobile-id"
COLUMNS = 6
DISPLAYS: Mapping[str, tuple[tuple[int, int], str]] = {
    "oled_128x64": ((128, 64), "1"),
    "lcd_240x240": ((240, 240), "RGB"),
}
"""The displays whose pictures are kept: size and mode by name."""


def made_up_holder() -> Picture:
    """Return the portrait of nobody."""
    with Image.open(io.BytesIO(portrait(Look(long_hair=True), width=150, quality=95))) as face:
        return Picture(face.width, face.height, face.convert("RGB").tobytes())


def every_screen(language: Language) -> dict[str, Screen]:
    """Return all screens of a language by a name for each."""
    table = {sign: signal.screen for sign, signal in signals(language).items()}
    screens = {str(sign): screen for sign, screen in table.items() if sign not in DARK}
    ready, fault, alarm = table[Sign.READY], table[Sign.FAULT], table[Sign.ALARM]
    screens["ready, by tap"] = inviting(ready, (By.TAP,), language)
    screens["ready, by tap or code"] = inviting(ready, (By.TAP, By.CODE), language)
    for about in ALARMS:
        screens[f"alarm, {about}"] = naming(alarm, Sign.ALARM, (about,), language)
    screens["fault, named"] = naming(fault, Sign.FAULT, ("bluetooth", "camera"), language)
    under = table[Sign.MAINTENANCE]
    screens["maintenance, named"] = naming(under, Sign.MAINTENANCE, ("clock", "lists"), language)
    screens["with a code"] = replace(table[Sign.NOT_READABLE], code=CODE)
    screens["with a portrait"] = replace(table[Sign.COMPARE], picture=made_up_holder())
    return screens


def place(number: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return where the picture of this number is on its sheet."""
    left, top = number % COLUMNS * size[0], number // COLUMNS * size[1]
    return left, top, left + size[0], top + size[1]


def sheet(language: Language, display: str) -> Image.Image:
    """Return every screen of a language on one of `DISPLAYS`, pixel for pixel, six in a row."""
    size, mode = DISPLAYS[display]
    screens = every_screen(language)
    rows = -(-len(screens) // COLUMNS)
    whole = Image.new(mode, (COLUMNS * size[0], rows * size[1]))
    for number, screen in enumerate(screens.values()):
        whole.paste(draw_screen(screen, size, mode), place(number, size))
    return whole
