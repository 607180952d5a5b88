"""An ST7789 display controller with its glass, at the far end of an SPI bus (Sitronix ST7789V data sheet, version 1.6).

It takes commands and pixels apart as the controller does and keeps what the glass would show. What the data sheet does
not allow is remembered as a complaint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image

COLUMNS, ROWS = 240, 320
"""The controller's memory; a glass may show a part of it."""
MAX_COMPLAINTS = 100

_SWRESET, _SLPIN, _SLPOUT, _INVOFF, _INVON, _DISPOFF, _DISPON = 0x01, 0x10, 0x11, 0x20, 0x21, 0x28, 0x29
_CASET, _RASET, _RAMWR, _MADCTL, _COLMOD = 0x2A, 0x2B, 0x2C, 0x36, 0x3A
_MIRROR_ROWS, _MIRROR_COLUMNS, _EXCHANGE, _BGR = 0x80, 0x40, 0x20, 0x08
_PIXEL_OCTETS = {0x05: 2, 0x06: 3}
_SIX_BITS = bytes(level & 0xFC for level in range(256))


class St7789:
    """Controller and glass.

    Args:
        glass: columns and rows that are visible.
        offset: the first visible column and row of the memory.
        negative: whether the glass itself inverts, as those with IPS do; the driver has to ask for inversion then.
    """

    def __init__(
        self, glass: tuple[int, int] = (240, 240), offset: tuple[int, int] = (0, 0), *, negative: bool = True
    ) -> None:
        """Wake from a reset, with noise in the memory."""
        self._glass, self._offset, self._negative = glass, offset, negative
        self.complaints: list[str] = []
        self.frames = 0
        self._memory = Image.new("RGB", (COLUMNS, ROWS), (0x58, 0xA4, 0x3C))
        self.reset()

    def reset(self) -> None:
        """Take a pulse on the reset line. The memory keeps its content."""
        self.asleep, self.on, self.inverted = True, False, False
        self._madctl, self._colmod = 0x00, 0x06
        self._window = [0, COLUMNS - 1, 0, ROWS - 1]
        self._command: int | None = None
        self._parameters = bytearray()
        self._pixels = bytearray()

    def command(self, octet: int) -> None:
        """Take one octet sent with the D/C line low."""
        self._store()
        self._parameters.clear()
        self._command = octet
        match octet:
            case 0x01:  # SWRESET
                self.reset()
            case 0x10 | 0x11:
                self.asleep = octet == _SLPIN
            case 0x20 | 0x21:
                self.inverted = octet == _INVON
            case 0x28 | 0x29:
                self.on = octet == _DISPON

    def data(self, octets: bytes) -> None:
        """Take octets sent with the D/C line high."""
        match self._command:
            case None:
                self._complain("data before any command")
            case 0x2C:
                self._pixels += octets
                self._store_whole()
            case 0x2A | 0x2B:
                self._parameters += octets
                if len(self._parameters) == 4:
                    self._set_window(self._command)
            case 0x36:
                self._madctl = octets[0]
            case 0x3A:
                if octets[0] & 0x07 not in _PIXEL_OCTETS:
                    self._complain(f"pixel format {octets[0]:#x}")
                else:
                    self._colmod = octets[0] & 0x07
            case _:  # voltages, gamma curves and the like change no pixel here
                pass

    def picture(self) -> Image.Image:
        """Return what the glass shows, standing as the controller's memory does; black while off or asleep."""
        if self.asleep or not self.on:
            return Image.new("RGB", self._glass)
        left, top = self._offset
        shown = self.memory().crop((left, top, left + self._glass[0], top + self._glass[1]))
        return shown if self.inverted is self._negative else shown.point(lambda level: 252 - level)

    def memory(self) -> Image.Image:
        """Return the whole memory as red, green and blue, six bits each in the upper bits of an octet."""
        self._store()
        return self._memory

    def _complain(self, what: str) -> None:
        if len(self.complaints) < MAX_COMPLAINTS:
            self.complaints.append(what)

    def _limits(self) -> tuple[int, int]:
        return (ROWS, COLUMNS) if self._madctl & _EXCHANGE else (COLUMNS, ROWS)

    def _set_window(self, command: int) -> None:
        first, last = int.from_bytes(self._parameters[:2]), int.from_bytes(self._parameters[2:])
        axis = 0 if command == _CASET else 1
        if not first <= last < self._limits()[axis]:
            self._complain(f"window {first} to {last} on axis {axis}")
            return
        self._window[axis * 2 : axis * 2 + 2] = [first, last]

    def _store_whole(self) -> None:
        """Store pixels each time they fill the window, where writing then begins anew."""
        left, right, top, bottom = self._window
        octets = (right - left + 1) * (bottom - top + 1) * _PIXEL_OCTETS[self._colmod]
        while len(self._pixels) >= octets:
            rest = self._pixels[octets:]
            del self._pixels[octets:]
            self._store()
            self._pixels = rest
            self.frames += 1

    def _store(self) -> None:
        """Store what was sent into the window, row by row; what is left of a pixel is lost, as in the controller."""
        size = _PIXEL_OCTETS[self._colmod]
        colours = self._colours(bytes(self._pixels[: len(self._pixels) // size * size]))
        self._pixels.clear()
        left, right, top, _ = self._window
        width = right - left + 1
        rows, more = divmod(len(colours) // 3, width)
        if rows:
            self._place(Image.frombytes("RGB", (width, rows), colours[: rows * width * 3]), left, top)
        if more:
            self._place(Image.frombytes("RGB", (more, 1), colours[rows * width * 3 :]), left, top + rows)

    def _colours(self, octets: bytes) -> bytes:
        """Return red, green and blue, six bits each in the upper bits of an octet."""
        if self._colmod == 0x05:
            words = [int.from_bytes(octets[start : start + 2]) for start in range(0, len(octets), 2)]
            octets = b"".join(bytes((word >> 11 << 3, word >> 5 << 2 & 0xFC, word << 3 & 0xF8)) for word in words)
        colours = bytearray(octets.translate(_SIX_BITS))
        if self._madctl & _BGR:
            colours[0::3], colours[2::3] = colours[2::3], colours[0::3]
        return bytes(colours)

    def _place(self, part: Image.Image, column: int, row: int) -> None:
        if self._madctl & _EXCHANGE:
            part, column, row = part.transpose(Image.Transpose.TRANSPOSE), row, column
        if self._madctl & _MIRROR_COLUMNS:
            part, column = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT), COLUMNS - column - part.width
        if self._madctl & _MIRROR_ROWS:
            part, row = part.transpose(Image.Transpose.FLIP_TOP_BOTTOM), ROWS - row - part.height
        if column < 0 or row < 0 or column + part.width > COLUMNS or row + part.height > ROWS:
            self._complain(f"pixels outside the memory, from {column}, {row}")
        self._memory.paste(part, (column, row))


class SpiBus:
    """The bus of one ST7789, with the names luma asks for.

    Args:
        chip: what is connected.
        is_data: the level of the D/C line now.
    """

    def __init__(self, chip: St7789, is_data: Callable[[], bool]) -> None:
        """Not open yet."""
        self._chip, self._is_data = chip, is_data
        self.opened: tuple[int, int] | None = None
        self.max_speed_hz = 0
        self.mode = 0
        self.broken = False
        self.octets = 0

    def open(self, port: int, device: int) -> None:
        """Open the bus. OSError when it is broken."""
        if self.broken:
            raise FileNotFoundError(2, "no such bus")
        self.opened = (port, device)

    def writebytes(self, octets: Sequence[int]) -> None:
        """Carry octets to the chip, at most 4096 at once as the kernel does."""
        if self.broken or self.opened is None:
            raise OSError(5, "the bus is gone")
        if len(octets) > 4096:
            raise OSError(90, "more than the bus takes at once")
        self.octets += len(octets)
        if self._is_data():
            self._chip.data(bytes(octets))
        else:
            for octet in octets:
                self._chip.command(octet)

    def close(self) -> None:
        """Close the bus."""
        self.opened = None
