"""Displays: the text fits, codes are read, portraits have room, and what goes over the bus shows on the glass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import smbus2
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from luma.core.interface.serial import i2c
from PIL import Image, ImageDraw

from mdoc_reader.drivers import disabled_display, oled_display, simulated_display
from mdoc_reader.drivers.draw import PALETTES, SIZE, draw_screen, lost_words
from mdoc_reader.drivers.draw_code import draw_code
from mdoc_reader.drivers.draw_icons import has_icon
from mdoc_reader.drivers.draw_text import Face, Style, face, fit
from mdoc_reader.lab.oled import Chip, I2cBus, Oled
from mdoc_reader.lab.screens import CODE, every_screen
from mdoc_reader.model.sign import Sign
from mdoc_reader.outputs.languages import PARTS, load
from mdoc_reader.outputs.letters import RANGES
from mdoc_reader.outputs.ports import Mood, Picture, Screen
from mdoc_reader.outputs.signals import naming, signals

TAGS = ("de", "en", "uk")
DISPLAYS = (
    *(((128, 64), "1"), ((128, 32), "1"), ((128, 128), "1")),
    *(((240, 240), "RGB"), ((240, 320), "RGB"), ((320, 240), "RGB"), ((135, 240), "RGB"), ((240, 135), "RGB")),
)


def ink(text: str, at: Face) -> tuple[int, int, int, int]:
    """Return the box that a text's pixels really cover, seen on a canvas with room to spare."""
    picture = Image.new("1" if at.crisp else "L", (2000, 200), 0)
    pen = ImageDraw.Draw(picture)
    pen.fontmode = "1" if at.crisp else "L"
    pen.text((100, 100), text, fill=1 if at.crisp else 255, font=at.font)
    return picture.getbbox() or (0, 0, 0, 0)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize(("size", "mode"), DISPLAYS)
def test_no_word_is_cut_on_any_display(tag: str, size: tuple[int, int], mode: str) -> None:
    language = load()[tag]
    for name, screen in every_screen(language).items():
        assert has_icon(screen.icon)
        cut, left_out = lost_words(screen, size, mode)
        assert not cut, f"{name}: {screen}"
        assert not left_out or "named" in name, f"{name}: {screen}"
    for sign in (Sign.FAULT, Sign.MAINTENANCE):
        for part in PARTS:
            screen = naming(signals(language)[sign].screen, sign, (part,), language)
            assert lost_words(screen, size, mode) == (False, False), f"{part}: {screen}"


@pytest.mark.parametrize("tag", TAGS)
def test_text_keeps_clear_of_the_edges(tag: str) -> None:
    for screen in every_screen(load()[tag]).values():
        if not screen.code:
            picture = draw_screen(screen)
            width, height = SIZE
            assert picture.crop((width - 1, 0, width, height)).getbbox() is None
            assert picture.crop((40, 0, width, 1)).getbbox() is None


STYLE = Style(range(22, 8, -1), 3, bold=True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(max_size=200), max_size=3),
    st.integers(20, 126),
    st.integers(11, 62),
    st.integers(1, 3),
    st.booleans(),
)
def test_any_text_is_made_to_fit(texts: list[str], width: int, height: int, most: int, crisp: bool) -> None:
    text = fit(texts, width, height, replace(STYLE, most=most, crisp=crisp))
    assert len(text.rows) <= most
    for row in text.rows:
        left, _, right, _ = ink(row, text.face)
        assert right - left <= width
    if not text.cut and not text.left_out:
        assert text.face.height(text.rows) <= height or not text.rows
        assert "".join("".join(text.rows).split()) == "".join("".join(clean(each).split()) for each in texts)


def clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:80])


def test_what_does_not_fit_is_left_out_from_the_end() -> None:
    style = Style(range(11, 8, -1), 2)
    assert fit(["Check: Clock", "Back soon"], 126, 26, style).rows == ["Check: Clock", "Back soon"]
    text = fit(["Check: Clock, Lists, Temperature", "Back soon"], 126, 26, style)
    assert (text.rows, text.cut, text.left_out) == (["Check: Clock, Lists,", "Temperature"], False, True)
    text = fit(["Unbelievablylongwordwithoutanyend"], 60, 13, style)
    assert text.cut
    assert text.rows[0].endswith("…")


@settings(max_examples=40, deadline=None)
@given(
    st.text(max_size=60),
    st.text(max_size=200),
    st.lists(st.text(max_size=200), max_size=4),
    st.text(max_size=600),
    st.sampled_from(DISPLAYS),
)
def test_any_screen_can_be_drawn(
    icon: str, headline: str, lines: list[str], code: str, display: tuple[tuple[int, int], str]
) -> None:
    size, mode = display
    picture = draw_screen(Screen(icon, headline, tuple(lines), code=code), size, mode)
    assert (picture.size, picture.mode) == (size, mode)


def test_screens_differ() -> None:
    for size, mode in DISPLAYS:
        said = [signal.screen for sign, signal in signals().items() if sign is not Sign.ASLEEP]
        assert len({draw_screen(screen, size, mode).tobytes() for screen in said}) == len(said)
        dark = draw_screen(signals()[Sign.ASLEEP].screen, size, mode)
        assert dark.convert("L").getbbox() is None


def test_a_screen_drawn_on_does_not_change_the_next_one() -> None:
    screen = signals()[Sign.GRANTED].screen
    first = draw_screen(screen)
    before = first.tobytes()
    ImageDraw.Draw(first).rectangle((0, 0, 127, 63), fill=0)
    assert draw_screen(screen).tobytes() == before


def luminance(colour: tuple[int, int, int]) -> float:
    """Return the relative luminance (WCAG 2.2)."""
    levels = [level / 255 for level in colour]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in levels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("mood", list(Mood))
def test_words_stand_out_in_every_mood(mood: Mood) -> None:
    palette = PALETTES[mood]
    ground = luminance(palette.ground)
    for ink_colour, least in ((palette.words, 4.5), (palette.icon, 3.0)):
        low, high = sorted((ground, luminance(ink_colour)))
        assert (high + 0.05) / (low + 0.05) >= least


def test_the_fonts_have_just_the_letters_that_words_may_use() -> None:
    for bold, crisp in ((False, False), (True, True), (False, True)):
        at = face(12, bold=bold, crisp=crisp)
        absent = bytes(at.font.getmask("\U000e0001"))
        shown = {point for point in range(0x20, 0x2200) if bytes(at.font.getmask(chr(point))) != absent}
        assert shown == {point for first, last in RANGES for point in range(first, last + 1)}


@pytest.mark.parametrize(("size", "mode"), [display for display in DISPLAYS if display[0][1] >= 64])
def test_a_phone_can_read_the_code(size: tuple[int, int], mode: str) -> None:
    screen = Screen("no_qr", "Not a mobile ID", ("Use the mobile ID", "on your phone"), code=CODE)
    picture = draw_screen(screen, size, mode).convert("L")
    seen = picture.resize((size[0] * 3, size[1] * 3), Image.Resampling.BILINEAR)
    assert [found.text for found in zxingcpp.read_barcodes(seen)] == [CODE]
    assert lost_words(screen, size, mode) == (False, False)


def test_a_code_that_does_not_fit_leaves_the_icon() -> None:
    screen = Screen("no_qr", "Not a mobile ID")
    for code in ("x" * 300, "x" * 513):
        assert draw_screen(replace(screen, code=code)).tobytes() == draw_screen(screen).tobytes()
    assert draw_code("", 64) is None


FLAT = Picture(30, 40, bytes((250, 10, 90)) * 1200)


@pytest.mark.parametrize("size", [(240, 240), (240, 320), (320, 240), (135, 240), (240, 135)])
def test_a_portrait_takes_the_display_and_keeps_its_shape(size: tuple[int, int]) -> None:
    screen = Screen("faces", "Same person?", ("No portrait is shown.",), picture=FLAT)
    picture = draw_screen(screen, size, "RGB")
    pixels = picture.load()
    assert pixels is not None
    inside = [(x, y) for x in range(size[0]) for y in range(size[1]) if pixels[x, y] == (250, 10, 90)]
    wide = max(x for x, _ in inside) - min(x for x, _ in inside) + 1
    high = max(y for _, y in inside) - min(y for _, y in inside) + 1
    assert abs(high / wide - 4 / 3) < 0.03
    assert len(inside) == wide * high
    assert high > size[1] * 0.7 or wide > size[0] * 0.9
    assert lost_words(screen, size, "RGB") == (False, False)


def test_a_small_one_bit_display_says_a_sentence_instead_of_a_portrait() -> None:
    screen = Screen("faces", "Same person?", ("No portrait is shown.",), picture=FLAT)
    assert draw_screen(screen).tobytes() == draw_screen(replace(screen, picture=None)).tobytes()
    tall = draw_screen(screen, (128, 128))
    assert tall.tobytes() != draw_screen(replace(screen, picture=None), (128, 128)).tobytes()
    assert tall.mode == "1"


def test_the_capture_device_writes_what_was_drawn_and_keeps_fifty(tmp_path: Path) -> None:
    folder = tmp_path / "display"
    options = simulated_display.Options(folder=str(folder))
    display = simulated_display.open_display(options)
    for number in range(simulated_display.KEPT + 5):
        display.show(Screen("tick", f"Number {number}"))
    kept = sorted(folder.glob("screen_*.png"))
    assert len(kept) == simulated_display.KEPT
    assert kept[-1].name == f"screen_{simulated_display.KEPT + 5:06}.png"
    wanted = draw_screen(Screen("tick", f"Number {simulated_display.KEPT + 4}"))
    with Image.open(folder / "latest.png") as latest:
        assert latest.size == SIZE
        assert latest.convert("1", dither=Image.Dither.NONE).tobytes() == wanted.tobytes()
    display.close()
    with Image.open(folder / "latest.png") as latest:
        assert latest.convert("1").getbbox() is None
    again = simulated_display.open_display(options)
    again.show(Screen("cross", "Again"))
    assert (folder / f"screen_{simulated_display.KEPT + 7:06}.png").exists(), "numbering goes on"
    assert {path.suffix for path in folder.iterdir()} == {".png"}
    assert simulated_display.SIMULATED


def test_the_capture_device_has_sizes_and_colours(tmp_path: Path) -> None:
    options = simulated_display.Options(folder=str(tmp_path), size="240x320", colour=True)
    screen = signals()[Sign.GRANTED].screen
    simulated_display.open_display(options).show(screen)
    with Image.open(tmp_path / "latest.png") as latest:
        assert latest.convert("RGB").tobytes() == draw_screen(screen, (240, 320), "RGB").tobytes()


def test_a_folder_that_is_gone_is_an_os_error(tmp_path: Path) -> None:
    folder = tmp_path / "display"
    display = simulated_display.open_display(simulated_display.Options(folder=str(folder)))
    folder.rmdir()
    with pytest.raises(OSError, match=r"screen|picture|No such file"):
        display.show(Screen("tick", "Gone"))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        simulated_display.open_display(simulated_display.Options(folder=str(tmp_path / "file")))


def oled(chip: Chip, rows: int, **options: object) -> tuple[oled_display.OledDisplay, Oled, I2cBus]:
    """Return the driver and luma over a simulated controller."""
    glass = Oled(chip, rows)
    bus = I2cBus(glass)
    serial = i2c(bus=bus, address=0x3C)
    settled = msgspec.convert({"driver": chip, "size": f"128x{rows}", **options}, oled_display.Options)
    return oled_display.OledDisplay(serial, settled), glass, bus


# luma.oled 3.16 still asks Pillow for what Pillow 14 will no longer have.
@pytest.mark.filterwarnings("ignore:Image.Image.getdata is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("chip", "rows"), [("ssd1306", 64), ("ssd1306", 32), ("sh1106", 64), ("sh1106", 128)])
@pytest.mark.parametrize("rotate", [0, 2])
def test_the_glass_of_an_oled_shows_the_screen(chip: Chip, rows: int, rotate: int) -> None:
    display, glass, bus = oled(chip, rows, rotate=rotate, contrast=0x42)
    assert glass.contrast == 0x42
    assert glass.picture().getbbox() is None, "starts dark"
    for sign in (Sign.GRANTED, Sign.READY):
        screen = signals()[sign].screen
        display.show(screen)
        wanted = draw_screen(screen, (128, rows)).rotate(90 * rotate)
        assert glass.picture().tobytes() == wanted.tobytes()
    bus.gone = True
    with pytest.raises(OSError, match="gone"):
        display.show(Screen("cross", "No entry"))
    bus.gone = False
    display.close()
    assert glass.picture().getbbox() is None


def test_an_oled_that_does_not_answer_is_an_os_error() -> None:
    bus = I2cBus(Oled())
    bus.gone = True
    with pytest.raises(OSError, match="answer"):
        oled_display.OledDisplay(i2c(bus=bus), oled_display.Options())


@pytest.mark.filterwarnings("ignore:Image.Image.getdata is deprecated:DeprecationWarning")
def test_the_bus_is_opened_by_its_number_and_released(monkeypatch: pytest.MonkeyPatch) -> None:
    glass = Oled()
    bus = I2cBus(glass, 0x3D)
    numbers: list[int] = []
    monkeypatch.setattr(smbus2, "SMBus", lambda number: numbers.append(number) or bus)
    display = oled_display.open_display(oled_display.Options(port=3, address=0x3D))
    screen = signals()[Sign.REFUSED].screen
    display.show(screen)
    assert glass.picture().tobytes() == draw_screen(screen).tobytes()
    display.close()
    assert numbers == [3]
    assert bus.closed


@pytest.mark.skipif(Path("/dev/i2c-63").exists(), reason="a machine with that bus opens it")
def test_a_bus_that_is_not_there_is_an_os_error() -> None:
    with pytest.raises(OSError, match="I2C bus 63"):
        oled_display.open_display(oled_display.Options(port=63))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"address": 0}, {"driver": "ssd1331"}, {"rotate": 1}, {"port": -1}, {"speed": 1}),
        *({"size": "96x16"}, {"driver": "ssd1306", "size": "128x128"}),
    ],
)
def test_wrong_oled_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, oled_display.Options)


def test_a_disabled_display_shows_nothing() -> None:
    display = disabled_display.open_display(disabled_display.Options())
    display.show(Screen("tick", "Welcome"))
    display.close()
    assert not disabled_display.SIMULATED
