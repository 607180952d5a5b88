"""Write docs/panel.md and docs/panel_screens.png from the table of signals. `--check` only says whether they fit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mdoc_reader.drivers.draw import draw_screen
from mdoc_reader.lab.pictures import framed
from mdoc_reader.model.sign import Sign
from mdoc_reader.outputs.ports import Blink, Note
from mdoc_reader.outputs.signals import Signal, signals

ROOT = Path(__file__).resolve().parent.parent
MARKDOWN = ROOT / "docs" / "panel.md"
PICTURE = ROOT / "docs" / "panel_screens.png"

MEANING = {
    Sign.READY: "Waiting for a phone.",
    Sign.CONNECTING: "A code was read or a phone tapped; the phone is being reached.",
    Sign.APPROVE: "The request is on the phone; the person decides.",
    Sign.APPROVE_HERE: "The same, over NFC: the phone must stay on the reader.",
    Sign.HOLD_STILL: "The answer is on its way.",
    Sign.CHECKING: "The answer is being verified.",
    Sign.GRANTED: "Verified, and the rule says yes; the relay moves.",
    Sign.REFUSED: "The evidence does not hold, or the rule says no.",
    Sign.UNDETERMINED: "It could not be settled here and now.",
    Sign.DECLINED: "The person shared nothing, or too little.",
    Sign.NOT_READABLE: "Something was shown or tapped that is no mobile document.",
    Sign.UNLOCK: "A phone was tapped that is locked.",
    Sign.ONE_ONLY: "More than one card or phone is on the reader.",
    Sign.TAP_AGAIN: "The phone left while its owner was asked; the next tap goes on.",
    Sign.TRY_AGAIN: "The conversation broke or took too long.",
    Sign.FAULT: "The reader does not work.",
    Sign.MAINTENANCE: "The reader is being looked after.",
}
HEAD = """# The panel

What the reader shows and plays for each sign. Made by `tools/panel_docs.py` from
`firmware/mdoc_reader/outputs/signals.py`; change that, not this page.

Nothing depends on telling colours apart or on hearing pitch: each sign has a rhythm of light and a rhythm of sound of
its own. No lamp flashes more than three times a second. The bars under each screen show four seconds of light and,
below it, the sound.

![Every sign's screen, lamps and sound](panel_screens.png)

| Sign | Meaning | Lamps | Sound | Display |
|---|---|---|---|---|
"""
_SECONDS = 4.0
_PAPER, _INK, _FAINT, _TRACK = "#f7f7f4", "#22262b", "#6b7076", "#e4e4de"
_LAMP = {"green": "#1f9d55", "amber": "#e69f00", "red": "#d23b2f"}
_SOUND = "#5b4fc7"


def rhythm(blink: Blink) -> str:
    """Return a rhythm in words."""
    return "steady" if blink.off_s == 0 else f"{blink.on_s:g} s on, {blink.off_s:g} s off"


def lamps(signal: Signal) -> str:
    """Return the lamps that are lit, grouped by their rhythm."""
    by_rhythm: dict[str, list[str]] = {}
    for colour, blink in signal.lamps:
        by_rhythm.setdefault(rhythm(blink), []).append(str(colour))
    return "; ".join(f"{' and '.join(colours)} {words}" for words, colours in by_rhythm.items())


def sound(notes: Sequence[Note]) -> str:
    """Return notes in words."""
    if not notes:
        return "silence"
    return ", ".join(
        f"{note.hertz} Hz {note.seconds * 1000:.0f} ms" if note.hertz else f"pause {note.seconds * 1000:.0f} ms"
        for note in notes
    )


def markdown() -> str:
    """Return the page."""
    rows = []
    for sign, signal in signals().items():
        words = " / ".join((f"**{signal.screen.headline}**", *signal.screen.lines))
        rows.append(f"| `{sign}` | {MEANING[sign]} | {lamps(signal)} | {sound(signal.notes)} | {words} |\n")
    return HEAD + "".join(rows)


def _strips(pen: ImageDraw.ImageDraw, box: tuple[int, int, int], signal: Signal) -> int:
    """Draw lamp rhythms and sound as bars over four seconds; return the bottom."""
    left, top, width = box
    scale = width / _SECONDS
    for colour, blink in signal.lamps:
        pen.rounded_rectangle((left, top, left + width, top + 9), 3, fill=_TRACK)
        at = 0.0
        while at < _SECONDS:
            end = min(_SECONDS, at + blink.on_s)
            pen.rectangle((left + at * scale, top, left + end * scale, top + 9), fill=_LAMP[colour])
            at += blink.on_s + blink.off_s
        top += 14
    pen.rounded_rectangle((left, top, left + width, top + 21), 3, fill=_TRACK)
    at = 0.0
    for note in signal.notes:
        if note.hertz:
            height = 4 + min(17.0, note.hertz / 100)
            end = min(_SECONDS, at + note.seconds)
            pen.rectangle((left + at * scale, top + 21 - height, left + end * scale, top + 21), fill=_SOUND)
        at += note.seconds
    return top + 22


def picture() -> Image.Image:
    """Return one card for each sign: screen, lamps, sound."""
    cards = [(sign, signal, framed(draw_screen(signal.screen), 2)) for sign, signal in signals().items()]
    face, small = ImageFont.load_default(17), ImageFont.load_default(13)
    columns, gap = 4, 30
    wide, high = cards[0][2].width, cards[0][2].height + 94
    rows = -(-len(cards) // columns)
    sheet = Image.new("RGB", (columns * (wide + gap) + gap, rows * (high + gap) + gap), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, (sign, signal, screen) in enumerate(cards):
        x = gap + number % columns * (wide + gap)
        y = gap + number // columns * (high + gap)
        pen.text((x, y + 16), str(sign), fill=_INK, font=face, anchor="ls")
        sheet.paste(screen, (x, y + 24))
        bottom = _strips(pen, (x, y + 24 + screen.height + 8, wide - 1), signal)
        if number == 0:
            pen.text((x, bottom + 3), "4 s of light; sound below", fill=_FAINT, font=small, anchor="lt")
    return sheet


def main() -> None:
    """Write both files, or compare the page with `--check`."""
    text = markdown()
    if sys.argv[1:] == ["--check"]:
        if not PICTURE.exists() or not MARKDOWN.exists() or MARKDOWN.read_text(encoding="utf-8") != text:
            sys.exit("docs/panel.md is out of date: run tools/panel_docs.py")
        return
    MARKDOWN.write_text(text, encoding="utf-8")
    picture().save(PICTURE, optimize=True)
    print(f"wrote {MARKDOWN.relative_to(ROOT)} and {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
