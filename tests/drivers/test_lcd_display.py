"""The ST7789 driver: our code and luma's against a simulated controller, pixel for pixel, and faults of its wiring."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from gpiozero.pins.mock import MockFactory
from PIL import Image

from mdoc_reader.drivers import lcd_display, lcd_lines, spi_wire
from mdoc_reader.drivers.draw import draw_screen
from mdoc_reader.lab.screens import made_up_holder
from mdoc_reader.lab.st7789 import SpiBus, St7789
from mdoc_reader.model.sign import Sign
from mdoc_reader.outputs.ports import Picture, Screen
from mdoc_reader.outputs.signals import BLANK, signals

DC, RESET, BACKLIGHT = 25, 24, 13


class Bench:
    """A display on a bench: the chip, its bus, and the pins beside it."""

    def __init__(self, chip: St7789, **options: object) -> None:
        self.chip = chip
        self.factory = MockFactory()
        self.bus = SpiBus(chip, lambda: self.level(DC))
        self.options = msgspec.convert(options, lcd_display.Options)

    def level(self, number: int) -> bool:
        return bool(self.factory.pin(number).state)

    def open(self) -> lcd_display.LcdDisplay:
        return lcd_display.LcdDisplay(self.bus, lcd_lines.Lines(self.factory), self.options)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated chip needs no time to wake."""
    monkeypatch.setattr(lcd_display, "_RESET_S", 0.0)
    monkeypatch.setattr(lcd_display, "_WAKING_S", 0.0)


def colours(chip: St7789) -> set[object]:
    """Return all colours in a chip's memory."""
    return {colour for _, colour in chip.memory().getcolors(240 * 320) or []}


def six_bits(picture: Image.Image) -> bytes:
    """Return a picture as 18 bits a pixel carry it."""
    return picture.point(lambda level: level & 0xFC).tobytes()


@pytest.mark.parametrize("rotate", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("glass", "size", "offset"),
    [("240x240", (240, 240), (0, 0)), ("240x320", (240, 320), (0, 0)), ("135x240", (135, 240), (52, 40))],
)
def test_the_glass_shows_the_screen(glass: str, size: tuple[int, int], offset: tuple[int, int], rotate: int) -> None:
    bench = Bench(St7789(size, offset), glass=glass, rotate=rotate)
    display = bench.open()
    assert bench.chip.picture().getbbox() is None, "starts dark, whatever the memory held"
    seen = size if rotate % 2 == 0 else (size[1], size[0])
    for sign in (Sign.READY, Sign.GRANTED, Sign.UNDETERMINED):
        screen = signals()[sign].screen
        display.show(screen)
        # Turned once clockwise, the picture's top is at the glass's right.
        wanted = draw_screen(screen, seen, "RGB").rotate(-90 * rotate, expand=True)
        assert six_bits(bench.chip.picture()) == six_bits(wanted)
    assert bench.chip.complaints == []
    display.close()
    assert bench.chip.picture().getbbox() is None
    assert bench.bus.opened is None


def test_another_offset_moves_the_window() -> None:
    bench = Bench(St7789((240, 240), (0, 80)), offset=(0, 80))
    screen = signals()[Sign.READY].screen
    bench.open().show(screen)
    assert six_bits(bench.chip.picture()) == six_bits(draw_screen(screen, (240, 240), "RGB"))
    assert bench.chip.complaints == []


def test_red_and_blue_and_negatives_are_put_right() -> None:
    screen = signals()[Sign.REFUSED].screen
    wanted = draw_screen(screen, (240, 240), "RGB")
    swapped = Bench(St7789(), bgr=True)
    swapped.open().show(screen)
    red, green, blue = wanted.split()
    assert six_bits(swapped.chip.picture()) == six_bits(Image.merge("RGB", (blue, green, red)))
    plain = Bench(St7789(negative=False), invert=False)
    plain.open().show(screen)
    assert six_bits(plain.chip.picture()) == six_bits(wanted)


def test_the_chip_is_reset_then_woken_and_the_bus_runs_as_told() -> None:
    bench = Bench(St7789(), port=1, device=2, mhz=40)
    bench.open()
    assert [state.state for state in bench.factory.pin(RESET).states][-2:] == [False, True]
    assert (bench.bus.opened, bench.bus.max_speed_hz) == ((1, 2), 40_000_000)
    assert not bench.chip.asleep


@pytest.mark.parametrize("active_low", [False, True])
def test_the_backlight_follows_what_is_shown(active_low: bool) -> None:
    bench = Bench(St7789(), backlight=BACKLIGHT, backlight_active_low=active_low)
    display = bench.open()
    assert bench.level(BACKLIGHT) is active_low, "no light before there is something to see"
    display.show(signals()[Sign.READY].screen)
    assert bench.level(BACKLIGHT) is not active_low
    assert bench.chip.on
    display.show(BLANK)
    assert bench.level(BACKLIGHT) is active_low
    assert not bench.chip.on
    display.show(signals()[Sign.READY].screen)
    assert bench.level(BACKLIGHT) is not active_low
    display.close()


def test_a_portrait_is_gone_from_the_chip_with_the_next_screen() -> None:
    bench = Bench(St7789())
    display = bench.open()
    screen = signals()[Sign.COMPARE].screen
    rose = Picture(3, 4, bytes((248, 8, 88)) * 12)
    display.show(Screen("faces", "Same person?", picture=rose))
    assert (248, 8, 88) in colours(bench.chip)
    display.show(screen)
    assert (248, 8, 88) not in colours(bench.chip)
    display.show(Screen("faces", "Same person?", picture=made_up_holder()))
    display.close()
    assert bench.chip.memory().crop((0, 0, 240, 240)).getbbox() is None, "closing clears what was drawn"


def test_a_bus_that_is_not_there_or_goes_away_is_an_os_error() -> None:
    bench = Bench(St7789())
    bench.bus.broken = True
    with pytest.raises(OSError, match="started"):
        bench.open()
    bench.bus.broken = False
    bench = Bench(St7789())
    display = bench.open()
    bench.bus.broken = True
    with pytest.raises(OSError, match="gone"):
        display.show(signals()[Sign.READY].screen)
    display.close()


def test_pins_that_fail_are_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(St7789())
    taken = lcd_lines.Lines(bench.factory)
    taken.setup(DC, lcd_lines.Lines.OUT)
    with pytest.raises(OSError, match="GPIO 25"):
        bench.open()
    monkeypatch.setitem(lcd_lines._FACTORIES, "lgpio", ("gpiozero.pins.nothing", "Factory"))
    with pytest.raises(OSError, match="the lgpio library is not installed"):
        lcd_lines.open_lines("lgpio")


@pytest.mark.skipif(Path("/dev/spidev6.2").exists(), reason="a machine with that bus opens it")
def test_a_missing_bus_device_is_an_os_error() -> None:
    wire = spi_wire.SpiWire()
    with pytest.raises(FileNotFoundError):
        wire.open(6, 2)
    with pytest.raises(OSError, match="closed"):
        wire.writebytes([1])
    wire.close()


def test_the_wire_sets_the_bus_up_and_carries_octets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device, asked = tmp_path / "spidev", []
    device.touch()
    real = os.open
    monkeypatch.setattr(spi_wire.os, "open", lambda path, flags: asked.append(path) or real(device, flags))
    monkeypatch.setattr(spi_wire.fcntl, "ioctl", lambda _, code, value: asked.append((code, value)))
    wire = spi_wire.SpiWire()
    wire.open(0, 1)
    wire.max_speed_hz = 32_000_000
    wire.writebytes([1, 2, 255])
    wire.close()
    wire.close()
    assert device.read_bytes() == b"\x01\x02\xff"
    assert asked == [
        "/dev/spidev0.1",
        (0x40016B01, b"\0"),
        (0x40016B03, b"\x08"),
        (0x40046B04, (32_000_000).to_bytes(4, "little")),
    ]


def test_a_file_that_is_no_bus_is_an_os_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = tmp_path / "file"
    device.touch()
    real = os.open
    monkeypatch.setattr(spi_wire.os, "open", lambda _, flags: real(device, flags))
    with pytest.raises(OSError, match="ioctl"):
        spi_wire.SpiWire().open(0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"glass": "320x240"}, {"rotate": 4}, {"mhz": 33}, {"dc": 28}, {"port": -1}, {"offset": (0, 240)}),
        *({"dc": 24}, {"backlight": 25}, {"colour": True}),
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, lcd_display.Options)


def test_the_simulated_chip_complains_about_what_the_data_sheet_forbids() -> None:
    chip = St7789()
    chip.data(b"\0")
    chip.command(0x2A)
    chip.data(bytes((0, 9, 0, 8)))
    chip.command(0x2B)
    chip.data(bytes((0, 0, 1, 64)))
    chip.command(0x3A)
    chip.data(b"\x07")
    assert len(chip.complaints) == 4
    chip.command(0x3A)
    chip.data(b"\x55")
    chip.command(0x2C)
    chip.data((0xF81F).to_bytes(2))
    assert chip.memory().getpixel((0, 0)) == (248, 0, 248)
