"""Write docs/panel.md and its pictures from signals and words. `--check` only says whether the page fits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mdoc_reader.drivers.draw import draw_screen
from mdoc_reader.lab.pictures import framed
from mdoc_reader.lab.screens import every_screen
from mdoc_reader.model.sign import Sign
from mdoc_reader.outputs.languages import MAX_LINES, MAX_TEXT, Language, load
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
    Sign.COMPARE: "On a handheld: the attendant compares the portrait with the person.",
    Sign.CLOSED: "Outside opening hours.",
    Sign.ALARM: "The door was forced, or stands open for too long.",
    Sign.FAULT: "The reader does not work.",
    Sign.MAINTENANCE: "The reader is being looked after.",
    Sign.ASLEEP: "Nothing is said until somebody wakes the reader.",
}
HEAD = """# The panel

What the reader shows and plays for each sign. Made by `tools/panel_docs.py` from
`firmware/mdoc_reader/outputs/signals.py` and `outputs/words/`; change those, not this page.

Nothing depends on telling colours apart or on hearing pitch: each sign has a rhythm of light and a rhythm of sound of
its own; `ready` has light alone and `asleep` has neither. No lamp flashes more than three times a second. The bars
under each screen show four seconds of light and, below it, the sound.

![Every sign's screen, lamps and sound](panel_screens.png)

| Sign | Meaning | Lamps | Sound | Display |
|---|---|---|---|---|
"""
TAIL = f"""
## Displays

- `oled`: SSD1306 (128x64, 128x32) and SH1106 (128x64, 128x32, 128x128) on I2C, one bit a pixel. Options: `port`,
  `address`, `driver`, `size`, `rotate`, `contrast`.
- `lcd`: ST7789 (240x240, 240x320, 135x240) on SPI, in colours. Options: `port`, `device`, `mhz`, `dc`, `reset`,
  `backlight`, `backlight_active_low`, `glass`, `rotate`, `offset`, `invert`, `bgr`, `factory`.
- `simulated`: a folder of PNGs, in any of these sizes. Options: `folder`, `size`, `colour`.
- `disabled`: none; lamps and sound say it all.

None of them was tried on hardware. Tests run the drivers and luma against controllers that are simulated from their
data sheets at the far end of the bus, and compare what the glass would show. An ST7789 sends nothing back: a display
that is not there cannot be told from one that is. Keep lamps and buttons off the pins that an `lcd` uses: GPIO 8 to 11
are its bus, and `dc` is 25 and `reset` 24 unless set otherwise. A 320x240 display is `glass = "240x320"` with
`rotate = 1`.

Where colours are shown they follow the mood of a sign (calm, busy, good, bad, doubt), and words keep a contrast of 4.5
to 1 and more. A QR code is drawn as large as whole pixels allow, with its light rim of four modules (two at least); a
code whose modules would be smaller than two pixels is left out, and the icon stands there instead.

## Portraits

A portrait takes the display with the headline of its sign and is gone with `hide`, the next sign, rest or sleep. It is
handed to the display's thread and dropped as soon as it is drawn: neither the panel nor that thread can draw it again.
On one-bit displays with fewer than 96 rows faces cannot be told apart; there the sign's words stand in its place, and
they say that no portrait is shown. Use a colour display where somebody compares faces. The `simulated` display writes
portraits into its folder like any screen, and is for made-up people.

## Words

Each language is one TOML file named by its tag, such as `en.toml`; copy
[English](../firmware/mdoc_reader/outputs/words/en.toml). A folder of your own adds languages or replaces one whole. A
file is complete or refused at the start, with the file and the key: every sign, every part, at most {MAX_LINES} lines,
at most {MAX_TEXT} letters in each. The fonts (DejaVu Sans, subsets made by `tools/fonts.py`) have Latin with
Vietnamese, Greek and Cyrillic; other letters are refused as well, since nobody could read what is not drawn. A line too
long for a display is made smaller, then wrapped, then cut: look at the result. The reader speaks the first language of
its list and goes back to it after each person.
"""
_SECONDS = 4.0
_PAPER, _INK, _FAINT, _TRACK = "#f7f7f4", "#22262b", "#6b7076", "#e4e4de"
_LAMP = {"green": "#1f9d55", "amber": "#e69f00", "red": "#d23b2f"}
_SOUND = "#5b4fc7"


def _languages() -> list[Language]:
    """Return all languages that come with the reader, English first."""
    return sorted(load().values(), key=lambda language: (language.tag != "en", language.tag))


def _picture_of(language: Language) -> str:
    return f"panel_screens_{language.tag}.png"


def rhythm(blink: Blink) -> str:
    """Return a rhythm in words."""
    return "steady" if blink.off_s == 0 else f"{blink.on_s:g} s on, {blink.off_s:g} s off"


def lamps(signal: Signal) -> str:
    """Return the lamps that are lit, grouped by their rhythm."""
    by_rhythm: dict[str, list[str]] = {}
    for colour, blink in signal.lamps:
        by_rhythm.setdefault(rhythm(blink), []).append(str(colour))
    return "; ".join(f"{' and '.join(colours)} {words}" for words, colours in by_rhythm.items()) or "dark"


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
        words = (
            " / ".join((f"**{signal.screen.headline}**", *signal.screen.lines)) if signal.screen.headline else "dark"
        )
        rows.append(f"| `{sign}` | {MEANING[sign]} | {lamps(signal)} | {sound(signal.notes)} | {words} |\n")
    shown = "".join(
        f"\n### {each.name} (`{each.tag}`)\n\n![Every screen]({_picture_of(each)})\n" for each in _languages()
    )
    return HEAD + "".join(rows) + TAIL + shown


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


def language_picture(language: Language) -> Image.Image:
    """Return every screen of a language: in colours, and beneath it on one bit a pixel."""
    columns, gap, side, foot = 6, 20, 180, 24
    small_size = (side, side // 2)
    screens = every_screen(language)
    rows = -(-len(screens) // columns)
    high = side + 6 + small_size[1] + foot
    whole = Image.new("RGB", (columns * (side + gap) + gap, rows * (high + gap) + gap), _PAPER)
    pen = ImageDraw.Draw(whole)
    face = ImageFont.load_default(13)
    for number, (name, screen) in enumerate(screens.items()):
        x = gap + number % columns * (side + gap)
        y = gap + number // columns * (high + gap)
        colour = draw_screen(screen, (240, 240), "RGB").resize((side, side), Image.Resampling.LANCZOS)
        whole.paste(colour, (x, y))
        grey = draw_screen(screen).convert("L").resize((256, 128), Image.Resampling.NEAREST)
        whole.paste(grey.resize(small_size, Image.Resampling.LANCZOS), (x, y + side + 6))
        pen.text((x, y + high - foot + 6), name, fill=_FAINT, font=face, anchor="lt")
    return whole.quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def main() -> None:
    """Write the page and its pictures, or compare the page with `--check`."""
    text = markdown()
    if sys.argv[1:] == ["--check"]:
        pictures = [PICTURE, *(PICTURE.parent / _picture_of(language) for language in _languages())]
        if (
            not all(path.exists() for path in pictures)
            or not MARKDOWN.exists()
            or MARKDOWN.read_text(encoding="utf-8") != text
        ):
            sys.exit("docs/panel.md is out of date: run tools/panel_docs.py")
        return
    MARKDOWN.write_text(text, encoding="utf-8")
    picture().save(PICTURE, optimize=True)
    for language in _languages():
        language_picture(language).save(PICTURE.parent / _picture_of(language), optimize=True)
    print(f"wrote {MARKDOWN.relative_to(ROOT)} and its pictures")


if __name__ == "__main__":
    main()
