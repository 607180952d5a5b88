"""An SSD1306 or SH1106 display controller with its glass, at the far end of an I2C bus.

After Solomon Systech's SSD1306 data sheet, revision 1.1, and Sino Wealth's SH1106 data sheet, version 2.3: what decides
about pixels is done as they say, and everything else is taken and forgotten.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol

from PIL import Image

Chip = Literal["ssd1306", "sh1106"]
_COLUMNS = {"ssd1306": 128, "sh1106": 132}
_PAGES = 16
# Octets that follow a command; all others stand alone.
_PARAMETERS = {0x81: 1, 0xA8: 1, 0xD3: 1, 0xD5: 1, 0xD9: 1, 0xDA: 1, 0xDB: 1}
_MORE = {"ssd1306": {0x20: 1, 0x21: 2, 0x22: 2, 0x8D: 1}, "sh1106": {0xAD: 1}}


class Message(Protocol):
    """One transfer, as smbus2 makes them."""

    addr: int

    def __iter__(self) -> Iterator[int]:
        """Return its octets."""


class Oled:
    """Controller and glass."""

    def __init__(self, chip: Chip = "ssd1306", rows: int = 64) -> None:
        """Wake from a reset, with noise in the memory."""
        self._chip = chip
        self._width = _COLUMNS[chip]
        self._rows = rows
        self._memory = [bytearray(b"\xa5" * self._width) for _ in range(_PAGES)]
        self._columns, self._pages = [0, self._width - 1], [0, 7]
        self._column, self._page = 0, 0
        self._mode = 2  # by pages, after a reset
        self._remapped = self._from_below = self._negative = False
        self.on = False
        self.contrast = 0x7F
        self._waiting: list[int] = []

    def command(self, octets: Sequence[int]) -> None:
        """Take commands with their parameters."""
        for octet in octets:
            self._waiting.append(octet)
            first = self._waiting[0]
            if len(self._waiting) > _MORE[self._chip].get(first, _PARAMETERS.get(first, 0)):
                told, self._waiting = self._waiting, []
                self._do(told[0], told[1:])

    def data(self, octets: Iterable[int]) -> None:
        """Take columns of eight pixels, the lowest bit on top."""
        for octet in octets:
            if self._column < self._width and self._page < _PAGES:
                self._memory[self._page][self._column] = octet
            self._advance()

    def picture(self) -> Image.Image:
        """Return what the glass shows as mode "1"; black while it is off."""
        picture = Image.new("1", (128, self._rows), 0)
        if not self.on:
            return picture
        spare = (self._width - 128) // 2
        for y in range(self._rows):
            for x in range(128):
                column = x + spare
                row = y if self._from_below else self._rows - 1 - y
                octet = self._memory[row // 8][column if self._remapped else self._width - 1 - column]
                picture.putpixel((x, y), (octet >> row % 8 & 1) ^ self._negative)
        return picture

    def _advance(self) -> None:
        self._column += 1
        if self._mode == 0 and self._column > self._columns[1]:
            self._column = self._columns[0]
            self._page = self._page + 1 if self._page < self._pages[1] else self._pages[0]

    def _do(self, code: int, parameters: list[int]) -> None:
        if code <= 0x0F:
            self._column = self._column & 0xF0 | code
        elif code <= 0x1F:
            self._column = self._column & 0x0F | (code & 0x0F) << 4
        elif 0xB0 <= code <= 0xBF:
            self._page = code & 0x0F
        elif code in (0xA0, 0xA1):
            self._remapped = code == 0xA1
        elif code in (0xA6, 0xA7):
            self._negative = code == 0xA7
        elif code in (0xAE, 0xAF):
            self.on = code == 0xAF
        elif code in (0xC0, 0xC8):
            self._from_below = code == 0xC8
        elif code == 0x81:
            self.contrast = parameters[0]
        elif self._chip == "ssd1306":
            self._do_addressing(code, parameters)

    def _do_addressing(self, code: int, parameters: list[int]) -> None:
        if code == 0x20:
            self._mode = parameters[0] & 3
        elif code == 0x21:
            self._columns = parameters
            self._column = parameters[0]
        elif code == 0x22:
            self._pages = parameters
            self._page = parameters[0]


class I2cBus:
    """A bus with one display on it, with the names of smbus2 that luma uses."""

    def __init__(self, chip: Oled, address: int = 0x3C) -> None:
        """Connect the display."""
        self._chip, self._address = chip, address
        self.gone = False
        self.closed = False

    def write_i2c_block_data(self, address: int, register: int, data: Sequence[int]) -> None:
        """Carry up to 32 octets behind a control octet."""
        self._carry(address, [register, *data])

    def i2c_rdwr(self, *messages: Message) -> None:
        """Carry whole messages."""
        for message in messages:
            self._carry(message.addr, list(message))

    def close(self) -> None:
        """Release the bus."""
        self.closed = True

    def _carry(self, address: int, octets: Sequence[int]) -> None:
        if self.gone or self.closed or address != self._address:
            raise OSError(errno.EREMOTEIO, "nobody answers")
        if octets[0] & 0x40:
            self._chip.data(octets[1:])
        else:
            self._chip.command(octets[1:])
