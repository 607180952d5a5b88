"""One device on a Linux SPI bus, written to through /dev/spidev (the kernel's Documentation/spi/spidev.rst).

It has the few names that luma's SPI interface asks of its bus, so that no further library is needed for it.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Sequence

_WR_MODE = 0x40016B01
_WR_BITS_PER_WORD = 0x40016B03
_WR_MAX_SPEED_HZ = 0x40046B04


class SpiWire:
    """Half a bus: octets out. Used by one thread."""

    def __init__(self) -> None:
        """Nothing is open yet."""
        self._descriptor: int | None = None

    def open(self, port: int, device: int) -> None:
        """Open the device, in mode 0 with octets as words. OSError when it is not there or not ours."""
        self._descriptor = os.open(f"/dev/spidev{port}.{device}", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(self._descriptor, _WR_MODE, b"\0")
            fcntl.ioctl(self._descriptor, _WR_BITS_PER_WORD, b"\x08")
        except OSError:
            self.close()
            raise

    @property
    def max_speed_hz(self) -> int:
        """The clock, for writing alone."""
        raise AttributeError("the clock is set, never read")

    @max_speed_hz.setter
    def max_speed_hz(self, hertz: int) -> None:
        fcntl.ioctl(self._opened(), _WR_MAX_SPEED_HZ, struct.pack("=I", hertz))

    def writebytes(self, octets: Sequence[int]) -> None:
        """Send octets, no more than the kernel's buffer holds (4096 unless set otherwise). OSError when that fails."""
        sent = os.write(self._opened(), bytes(octets))
        if sent != len(octets):
            raise OSError(f"the SPI bus took {sent} of {len(octets)} octets")

    def close(self) -> None:
        """Release the device. May be repeated."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _opened(self) -> int:
        if self._descriptor is None:
            raise OSError("the SPI bus is closed")
        return self._descriptor
