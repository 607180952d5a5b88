"""What doctor says of pins and displays: the device is asked for, never opened for use, and no line is claimed."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import os
import struct
from pathlib import Path

import msgspec
import pytest

from mdoc_reader.drivers import device_node, gpiozero_examine, gpiozero_pins, lcd_display, oled_display
from mdoc_reader.drivers.gpiozero_examine import Chip, chip_number, chip_of, examined, found
from mdoc_reader.model.check import Check, Health

PINS = {17: "green", 23: "relay"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


def one(checks: tuple[Check, ...]) -> Check:
    (check,) = checks
    return check


def kernel(monkeypatch: pytest.MonkeyPatch, users: dict[int, bytes], lines: int = 54) -> list[int]:
    """A GPIO chip's answers, as the kernel lays them out; returns the requests it was asked."""
    asked: list[int] = []

    def ioctl(descriptor: int, request: int, buffer: bytearray) -> int:
        os.fstat(descriptor)
        asked.append(request)
        assert request >> 30 == 2 + (request & 0xFF == 5), "read, or read and written"
        assert request >> 16 & 0x3FFF == len(buffer)
        if request & 0xFF == 1:
            struct.pack_into("32s32sI", buffer, 0, b"gpiochip0", b"pinctrl-bcm2711", lines)
        else:
            assert request & 0xFF == 5, "nothing but questions"
            (pin,) = struct.unpack_from("I", buffer, 64)
            struct.pack_into("32sIIQ", buffer, 32, users.get(pin, b""), pin, 0, int(pin in users))
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    return asked


@pytest.mark.usefixtures("installed")
def test_pins_that_are_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpiochip0").touch()
    asked = kernel(monkeypatch, {})
    check = one(examined("lgpio", PINS, tmp_path))
    assert check == Check("pins", Health.OK, "2 pins on pinctrl-bcm2711, free to be used")
    assert len(asked) == 3


@pytest.mark.usefixtures("installed")
def test_a_pin_that_belongs_to_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpiochip0").touch()
    kernel(monkeypatch, {23: b"spi0 CS0\0rubbish", 17: b"lg", 99: b"?"})
    check = one(examined("lgpio", {**PINS, 99: "none"}, tmp_path))
    assert check.health is Health.FAULT
    assert check.what == "GPIO 23 (relay) belongs to 'spi0 CS0'"
    kernel(monkeypatch, {23: b""})
    assert "'the kernel'" in one(examined("lgpio", PINS, tmp_path)).what


def test_whose_pins_they_are() -> None:
    assert one(found(Chip("c", {17: "lg", 23: "lg"}), PINS)).health is Health.OK
    some = one(found(Chip("c", {23: "lg"}), PINS))
    assert some.health is Health.WARNING
    assert "GPIO 23 (relay)" in some.what


@pytest.mark.usefixtures("installed")
def test_no_chip_and_none_for_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no" in one(examined("lgpio", PINS, tmp_path)).what
    (tmp_path / "gpiochip0").touch()
    check = one(examined("lgpio", PINS, tmp_path))  # a file, and no chip
    assert check.health is Health.FAULT
    assert "does not answer" in check.what
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    check = one(examined("lgpio", PINS, tmp_path))
    assert "may not open" in check.what


@pytest.mark.usefixtures("installed")
def test_other_libraries(tmp_path: Path) -> None:
    assert one(examined("native", PINS, tmp_path)).health is Health.FAULT
    (tmp_path / "gpiomem").touch()
    assert one(examined("rpigpio", PINS, tmp_path)).what == f"2 pins through {tmp_path}/gpiomem"


def test_a_library_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    check = one(examined("rpigpio", PINS, tmp_path))
    assert (check.health, check.advice) == (Health.FAULT, "apt-get install python3-rpi.gpio")


def test_the_chip_of_a_raspberry_pi_5(tmp_path: Path) -> None:
    revision = tmp_path / "revision"
    assert chip_number(tmp_path, revision) == 0
    revision.write_bytes(bytes.fromhex("00c04170"))
    assert chip_number(tmp_path, revision) == 0, "newer kernels"
    (tmp_path / "gpiochip4").touch()
    assert chip_number(tmp_path, revision) == 4
    revision.write_bytes(bytes.fromhex("00c03114"))
    assert chip_number(tmp_path, revision) == 0, "a Raspberry Pi 4"
    revision.write_bytes(b"\0")
    assert chip_number(tmp_path, revision) == 0


def test_a_chip_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        chip_of(tmp_path / "gpiochip0", PINS)


def test_who_may_open_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "node"
    node.touch()
    node.chmod(0o660)
    assert device_node.trouble("pins", node, "") is None
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(device_node, "_group", lambda _: "gpio")
    check = device_node.trouble("pins", node, "")
    assert check is not None
    assert "'gpio'" in check.advice
    monkeypatch.undo()
    assert device_node._group(tmp_path / "none") == ""
    node.chmod(0o600)
    assert device_node._group(node) == ""
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    check = device_node.trouble("pins", node, "")
    assert check is not None
    assert "udev" in check.advice


def test_pins_say_what_hangs_where(monkeypatch: pytest.MonkeyPatch) -> None:
    options = msgspec.convert({"relay": 23, "confirm": {"pin": 21}}, gpiozero_pins.Options)
    assert gpiozero_pins.header_pins(options) == {23: "relay", 21: "confirm"}
    seen = []

    def look(factory: str, pins: dict[int, str]) -> tuple[Check, ...]:
        seen.append((factory, pins))
        return ()

    monkeypatch.setattr(gpiozero_examine, "examined", look)
    asyncio.run(gpiozero_pins.examine(options))
    assert seen == [("lgpio", {23: "relay", 21: "confirm"})]


def test_displays(tmp_path: Path) -> None:
    async def look(dev: Path) -> tuple[Check, Check]:
        oled, lcd = oled_display.Options(), lcd_display.Options()
        return one(await oled_display.examine(oled, dev)), one(await lcd_display.examine(lcd, dev))

    for check in asyncio.run(look(tmp_path)):
        assert (check.part, check.health) == ("display", Health.FAULT)
        assert "config.txt" in check.advice
    (tmp_path / "i2c-1").touch()
    (tmp_path / "spidev0.0").touch()
    oled, lcd = asyncio.run(look(tmp_path))
    assert "ssd1306 128x64" in oled.what
    assert "ST7789 240x240" in lcd.what
    assert {oled.health, lcd.health} == {Health.OK}


def test_displays_say_what_hangs_where() -> None:
    assert set(oled_display.header_pins(oled_display.Options())) == {2, 3}
    assert oled_display.header_pins(oled_display.Options(port=3)) == {}
    assert set(lcd_display.header_pins(lcd_display.Options(backlight=12))) == {8, 10, 11, 12, 24, 25}
    assert set(lcd_display.header_pins(lcd_display.Options(device=1, reset=None))) == {7, 10, 11, 25}
    assert set(lcd_display.header_pins(lcd_display.Options(port=1))) == {24, 25}
    assert oled_display.one_bit_rows(oled_display.Options(size="128x32")) == 32
