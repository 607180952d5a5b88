"""A small colour LCD with an ST7789 controller on SPI, through luma.lcd.

Never tried on hardware by this project's tests: they run this and luma against a controller that is simulated from its
data sheet (Sitronix ST7789V, version 1.6) at the far end of the bus. An ST7789 sends nothing back, so that one which is
not there cannot be told from one that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import luma.core.error
import msgspec
from luma.core.interface.serial import spi
from luma.lcd.device import st7789

from mdoc_reader.drivers import device_node
from mdoc_reader.drivers.draw import draw_screen, is_dark
from mdoc_reader.drivers.lcd_lines import Lines, open_lines
from mdoc_reader.drivers.spi_wire import SpiWire
from mdoc_reader.model.check import Check, Health
from mdoc_reader.outputs.ports import Display, Screen

SIMULATED = False

_FAULTS = (OSError, luma.core.error.Error)
_MADCTL = 0x36
_MADCTL_LUMA = 0x70  # what luma sets: columns mirrored, rows and columns exchanged
_BGR = 0x08
_INVOFF = 0x20
_RAM_COLUMNS = 240
_UPRIGHT = 3  # luma's quarter turns at which the picture stands as the glass does
_RESET_S, _WAKING_S = 0.01, 0.15  # data sheet, 7.4.5: 10 us low, then 120 ms before the controller wakes

Pin = Annotated[int, msgspec.Meta(ge=2, le=27)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=239)]

_GLASSES = {
    "240x240": ((240, 240), (0, 0)),
    "240x320": ((240, 320), (0, 0)),
    "135x240": ((135, 240), (52, 40)),
}


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Bus, lines and glass.

    `glass` is columns x rows as the controller sees them, and `rotate` counts quarter turns clockwise from there: a
    320 x 240 display is the glass 240x320 turned once. `offset` is the glass's first column and row in the controller's
    memory, where it is not the usual one. `invert` is off for the rare glass that shows negatives, `bgr` on for one
    that takes red for blue. Without a `backlight` pin the light is always on.
    """

    port: Annotated[int, msgspec.Meta(ge=0, le=6)] = 0
    device: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0
    mhz: Literal[1, 2, 4, 8, 16, 20, 24, 28, 32, 36, 40, 44, 48, 50, 52] = 32
    dc: Pin = 25
    reset: Pin | None = 24
    backlight: Pin | None = None
    backlight_active_low: bool = False
    glass: Literal["240x240", "240x320", "135x240"] = "240x240"
    rotate: Literal[0, 1, 2, 3] = 0
    offset: tuple[Offset, Offset] | None = None
    invert: bool = True
    bgr: bool = False
    factory: Literal["lgpio", "rpigpio", "native"] = "lgpio"

    def __post_init__(self) -> None:
        """Refuse one pin for two things."""
        pins = [pin for pin in (self.dc, self.reset, self.backlight) if pin is not None]
        if len(set(pins)) < len(pins):
            raise ValueError("dc, reset and backlight need a pin each")


class _Glass(st7789):  # type: ignore[misc]
    """luma's device with the part of the memory that the glass shows."""

    def __init__(self, serial: Any, options: Options, lines: Lines) -> None:
        (columns, rows), usual = _GLASSES[options.glass]
        column, row = options.offset or usual
        # With rows and columns exchanged and columns mirrored, x runs along the rows and y back along the columns.
        self._first = (row, _RAM_COLUMNS - columns - column)
        light = (
            {"backlight": lambda _: None}
            if options.backlight is None
            else {"gpio": lines, "gpio_LIGHT": options.backlight, "active_low": options.backlight_active_low}
        )
        super().__init__(serial, width=rows, height=columns, rotate=(_UPRIGHT + options.rotate) % 4, **light)

    def set_window(self, x1: int, y1: int, x2: int, y2: int) -> None:
        x, y = self._first
        super().set_window(x1 + x, y1 + y, x2 + x, y2 + y)


class LcdDisplay:
    """A display by luma. Used by one thread.

    Args:
        wire: the bus, as luma wants one; opened here and released with the display.
        lines: the pins beside the bus, released with the display.
        options: which glass, and how it is wired and mounted.
    """

    def __init__(self, wire: Any, lines: Lines, options: Options) -> None:
        """Start the display, dark. OSError when bus or pins do not work."""
        self._lines = lines
        self._wire = wire
        try:
            serial = spi(
                spi=wire,
                gpio=lines,
                port=options.port,
                device=options.device,
                bus_speed_hz=options.mhz * 1_000_000,
                gpio_DC=options.dc,
                gpio_RST=options.reset,
                reset_hold_time=_RESET_S,
                reset_release_time=_WAKING_S,
            )
            self._device = _Glass(serial, options, lines)
            if options.bgr:
                self._device.command(_MADCTL, _MADCTL_LUMA | _BGR)
            if not options.invert:
                self._device.command(_INVOFF)
            self._lit = True
            self._light(on=False)
        except _FAULTS as error:
            self._release()
            raise OSError(f"the display cannot be started: {error}") from error

    def show(self, screen: Screen) -> None:
        """Draw a screen; a dark one puts the light out as well. OSError when the bus is gone."""
        try:
            dark = is_dark(screen)
            if dark:
                self._light(on=False)
            self._device.display(draw_screen(screen, self._device.size, "RGB"))
            if not dark:
                self._light(on=True)
        except _FAULTS as error:
            raise OSError(f"the display is gone: {error}") from error

    def close(self) -> None:
        """Darken and release the display."""
        try:
            with suppress(*_FAULTS):
                self._light(on=False)
                self._device.clear()
        finally:
            self._release()

    def _light(self, *, on: bool) -> None:
        if on is self._lit:
            return
        self._lit = on
        if on:
            self._device.show()
        self._device.backlight(on)
        if not on:
            self._device.hide()

    def _release(self) -> None:
        with suppress(*_FAULTS):
            self._wire.close()
        self._lines.close()


def open_display(options: Options) -> Display:
    """Open the display. OSError when the bus or the pins are not there."""
    return LcdDisplay(SpiWire(), open_lines(options.factory), options)


_BUS = {10: "SPI data", 11: "SPI clock"}  # of a Pi's first bus, which sends nothing back on GPIO 9
_SELECTS = {0: 8, 1: 7}


def header_pins(options: Options) -> Mapping[int, str]:
    """Return what hangs on which GPIO."""
    lines = {options.dc: "dc", options.reset: "reset", options.backlight: "backlight"}
    bus = _BUS | {_SELECTS[options.device]: "SPI select"} if options.port == 0 and options.device in _SELECTS else {}
    return bus | {pin: name for pin, name in lines.items() if pin is not None}


async def examine(options: Options, dev: Path = Path("/dev")) -> tuple[Check, ...]:
    """Look at the bus. Whether a display hangs on it nobody can see: it sends nothing back."""
    node = dev / f"spidev{options.port}.{options.device}"
    wrong = device_node.trouble("display", node, "on a Pi: dtparam=spi=on in config.txt")
    what = f"ST7789 {options.glass} on {node}, {options.mhz} MHz; whether it is there cannot be seen"
    return (Check("display", Health.OK, what) if wrong is None else wrong,)
