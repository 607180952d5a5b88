"""A one-bit OLED on I2C with an SSD1306 or SH1106 controller, through luma.oled.

Never tried on hardware by this project's tests: they run this and luma against a controller that is simulated from its
data sheet at the far end of the bus.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import luma.core.error
import msgspec
from luma.core.interface.serial import i2c
from luma.oled.device import sh1106, ssd1306

from mdoc_reader.drivers import device_node
from mdoc_reader.drivers.draw import draw_screen
from mdoc_reader.model.check import Check, Health
from mdoc_reader.outputs.ports import Display, Screen

SIMULATED = False

_NOP = 0xE3  # SSD1306 data sheet, section 10.1.19: does nothing, so it asks whether anybody is there
_FAULTS = (OSError, luma.core.error.Error)


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Bus, address, glass and mounting; `rotate` counts quarter turns and keeps the long side level (0 or 2)."""

    port: Annotated[int, msgspec.Meta(ge=0, le=63)] = 1
    address: Annotated[int, msgspec.Meta(ge=0x08, le=0x77)] = 0x3C
    driver: Literal["ssd1306", "sh1106"] = "ssd1306"
    size: Literal["128x64", "128x32", "128x128"] = "128x64"
    rotate: Literal[0, 2] = 0
    contrast: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0xCF

    def __post_init__(self) -> None:
        """Refuse a size that the controller cannot drive."""
        if self.driver == "ssd1306" and self.size == "128x128":
            raise ValueError("an ssd1306 drives 128x64 or 128x32; 128x128 needs an sh1106")


class OledDisplay:
    """A display by luma. Used by one thread.

    Args:
        serial: luma's serial interface, released with the display.
        options: which controller, and how it is mounted.
    """

    def __init__(self, serial: Any, options: Options) -> None:
        """Start the display, blank. OSError when it does not answer."""
        self._serial = serial
        kind = {"ssd1306": ssd1306, "sh1106": sh1106}[options.driver]
        try:
            # luma keeps every device it ever made until the process ends, so make none while nobody answers.
            serial.command(_NOP)
            width, height = (int(side) for side in options.size.split("x"))
            self._device = kind(serial, width=width, height=height, rotate=options.rotate)
            self._device.contrast(options.contrast)
        except _FAULTS as error:
            with suppress(*_FAULTS):
                serial.cleanup()
            raise OSError(f"the display does not answer: {error}") from error

    def show(self, screen: Screen) -> None:
        """Draw a screen. OSError when the device is gone."""
        try:
            self._device.display(draw_screen(screen, self._device.size))
        except _FAULTS as error:
            raise OSError(f"the display is gone: {error}") from error

    def close(self) -> None:
        """Blank and release the display."""
        try:
            with suppress(*_FAULTS):
                self._device.hide()
                self._device.clear()
        finally:
            with suppress(*_FAULTS):
                self._serial.cleanup()


def open_display(options: Options) -> Display:
    """Open the display. OSError when the bus or the display is not there."""
    try:
        serial = i2c(port=options.port, address=options.address)
    except _FAULTS as error:
        raise OSError(f"the I2C bus {options.port} cannot be opened: {error}") from error
    return OledDisplay(serial, options)


def header_pins(options: Options) -> Mapping[int, str]:
    """Return what hangs on which GPIO: a Pi's first bus is always on the same two."""
    return {2: "I2C data", 3: "I2C clock"} if options.port == 1 else {}


def one_bit_rows(options: Options) -> int:
    """Return how many rows of black and white there are."""
    return int(options.size.split("x")[1])


async def examine(options: Options, dev: Path = Path("/dev")) -> tuple[Check, ...]:
    """Look at the bus. The display is not asked: a word between a running reader's words could spoil its picture."""
    node = dev / f"i2c-{options.port}"
    wrong = device_node.trouble(
        "display", node, "on a Pi: dtparam=i2c_arm=on in config.txt, and load the module i2c-dev"
    )
    if wrong is not None:
        return (wrong,)
    what = f"{options.driver} {options.size} on {node}, address 0x{options.address:02x}"
    return (Check("display", Health.OK, f"{what}; the log says when it does not answer"),)
