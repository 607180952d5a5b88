"""Displays: the text fits, the capture device's folder stays bounded, the OLED driver speaks and fails as it should."""

from __future__ import annotations

from pathlib import Path

import luma.core.error
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from mdoc_reader.drivers import disabled_display, oled_display, simulated_display
from mdoc_reader.drivers.draw import HEADLINE_SIZES, ICONS, LINE_SIZES, SIZE, draw_screen, fit
from mdoc_reader.model.sign import Sign
from mdoc_reader.outputs.ports import Screen
from mdoc_reader.outputs.signals import signals


def ink(text: str, face: object) -> tuple[int, int, int, int]:
    """Return the box that a text's pixels really cover, seen on a canvas with room to spare."""
    picture = Image.new("1", (2000, 200), 0)
    pen = ImageDraw.Draw(picture)
    pen.fontmode = "1"
    pen.text((100, 100), text, fill=1, font=face)
    return picture.getbbox() or (0, 0, 0, 0)


@pytest.mark.parametrize("sign", list(Sign))
def test_each_sign_has_its_whole_text_on_the_screen(sign: Sign) -> None:
    screen = signals()[sign].screen
    assert screen.icon in ICONS
    for text, width, height, sizes, most in (
        (screen.headline, 90, 35 if len(screen.lines) == 2 else 48, HEADLINE_SIZES, 3),
        *((line, 126, 13, LINE_SIZES, 1) for line in screen.lines),
    ):
        face, lines = fit(text, width, height, sizes, most)
        assert " ".join(lines) == text, "nothing was cut"
        boxes = [ink(line, face) for line in lines]
        assert all(right - left <= width for left, _, right, _ in boxes)
        assert sum(bottom - top for _, top, _, bottom in boxes) <= height
    assert draw_screen(screen).size == SIZE


@pytest.mark.parametrize("sign", list(Sign))
def test_text_keeps_clear_of_the_edges(sign: Sign) -> None:
    picture = draw_screen(signals()[sign].screen)
    width, height = SIZE
    assert picture.crop((width - 1, 0, width, height)).getbbox() is None
    assert picture.crop((40, 0, width, 1)).getbbox() is None


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.integers(20, 126), st.integers(11, 62), st.integers(1, 3))
def test_any_text_is_made_to_fit(text: str, width: int, height: int, most: int) -> None:
    face, lines = fit(text, width, height, HEADLINE_SIZES, most)
    assert len(lines) <= most
    for line in lines:
        left, _, right, _ = ink(line, face)
        assert right - left <= width


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60), st.text(max_size=200), st.lists(st.text(max_size=200), max_size=4))
def test_any_screen_can_be_drawn(icon: str, headline: str, lines: list[str]) -> None:
    assert draw_screen(Screen(icon, headline, tuple(lines))).size == SIZE


def test_screens_differ() -> None:
    pictures = {draw_screen(signal.screen).tobytes() for signal in signals().values()}
    assert len(pictures) == len(Sign)
    assert draw_screen(Screen("", "")).getbbox() is None


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


def test_a_folder_that_is_gone_is_an_os_error(tmp_path: Path) -> None:
    folder = tmp_path / "display"
    display = simulated_display.open_display(simulated_display.Options(folder=str(folder)))
    folder.rmdir()
    with pytest.raises(OSError, match=r"screen|picture|No such file"):
        display.show(Screen("tick", "Gone"))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        simulated_display.open_display(simulated_display.Options(folder=str(tmp_path / "file")))


class Bus:
    """What a bus interface of luma has, with a record and a fault."""

    def __init__(self) -> None:
        self.commands: list[int] = []
        self.data_bytes = 0
        self.gone = False
        self.released = 0

    def command(self, *commands: int) -> None:
        if self.gone:
            raise luma.core.error.DeviceNotFoundError("no answer")
        self.commands += commands

    def data(self, data: list[int]) -> None:
        if self.gone:
            raise OSError("no answer")
        self.data_bytes += len(data)

    def cleanup(self) -> None:
        self.released += 1


# luma.oled 3.16 still asks Pillow for what Pillow 14 will no longer have.
@pytest.mark.filterwarnings("ignore:Image.Image.getdata is deprecated:DeprecationWarning")
@pytest.mark.parametrize("driver", ["ssd1306", "sh1106"])
@pytest.mark.parametrize("rotate", [0, 2])
def test_the_oled_gets_a_whole_frame(driver: str, rotate: int) -> None:
    bus = Bus()
    options = msgspec.convert({"driver": driver, "rotate": rotate, "contrast": 0x42}, oled_display.Options)
    display = oled_display.OledDisplay(bus, options)
    assert bus.commands[0] == 0xE3
    assert 0x42 in bus.commands
    before = bus.data_bytes
    display.show(Screen("tick", "Welcome"))
    assert bus.data_bytes - before == 128 * 64 // 8
    bus.gone = True
    with pytest.raises(OSError, match="gone"):
        display.show(Screen("cross", "No entry"))
    display.close()
    assert bus.released == 1


def test_an_oled_that_does_not_answer_is_an_os_error() -> None:
    bus = Bus()
    bus.gone = True
    with pytest.raises(OSError, match="answer"):
        oled_display.OledDisplay(bus, oled_display.Options())
    assert bus.released == 1


@pytest.mark.skipif(Path("/dev/i2c-63").exists(), reason="a machine with that bus opens it")
def test_a_bus_that_is_not_there_is_an_os_error() -> None:
    with pytest.raises(OSError, match="I2C bus 63"):
        oled_display.open_display(oled_display.Options(port=63))


@pytest.mark.parametrize("wrong", [{"address": 0}, {"driver": "ssd1331"}, {"rotate": 1}, {"port": -1}, {"speed": 1}])
def test_wrong_oled_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, oled_display.Options)


def test_a_disabled_display_shows_nothing() -> None:
    display = disabled_display.open_display(disabled_display.Options())
    display.show(Screen("tick", "Welcome"))
    display.close()
    assert not disabled_display.SIMULATED
