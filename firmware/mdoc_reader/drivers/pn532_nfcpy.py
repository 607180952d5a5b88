"""The one place that imports nfcpy: its serial transport and its PN532 chipset, which frame the chip's commands.

Nothing above that is used, and none of it is copied: nfcpy is under the EUPL 1.1, an unmodified dependency. Its own way
to open a chip runs `stty` and leaves the line at the highest speed the port takes; `pn532_chip` opens it instead.
"""

from __future__ import annotations

import ctypes.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


@contextmanager
def _no_library_search() -> Iterator[None]:
    """Keep nfcpy from searching a library it needs for encrypted peer-to-peer links alone.

    The search runs `ldconfig`, and a compiler where there is one, at import. A service may not start programs.
    """
    search = ctypes.util.find_library

    def nothing(name: str) -> str | None:
        del name
        return None

    ctypes.util.find_library = nothing
    try:
        yield
    finally:
        ctypes.util.find_library = search


with _no_library_search():
    from nfc.clf import pn532, transport

ACK = bytes.fromhex("0000ff00ff00")
"""The frame that acknowledges a command; from the host it ends the command that runs."""

# nfcpy writes every frame to its log at a level below DEBUG, and those hold personal data.
_silent = logging.getLogger(f"{__name__}.frames")
_silent.setLevel(logging.CRITICAL)
_silent.propagate = False

ChipSaysNo: type[Exception] = pn532.Chipset.Error
"""What the chipset raises for the chip's error frame: a command it does not take."""


class Transport(Protocol):
    """What the chipset needs of a line to the chip."""

    TYPE: str

    def write(self, frame: bytes) -> None:
        """Send a frame. Raises OSError."""

    def read(self, timeout: int) -> bytearray:
        """Return the next frame; `timeout` in milliseconds. Raises OSError, ETIMEDOUT when none comes."""


class Port(Protocol):
    """nfcpy's serial port: speed, writing and closing; `tty` is pyserial's port."""

    tty: object
    baudrate: int

    def write(self, frame: bytes) -> None:
        """Drop what came in, and write. Raises OSError."""

    def close(self) -> None:
        """Drop what was not sent yet, and close."""


class Commands(Protocol):
    """nfcpy's chipset: commands in frames, acknowledged and answered, with every checksum looked at."""

    def command(self, cmd_code: int, cmd_data: bytes, timeout: float) -> bytearray:
        """Run a command and return its response without code. Raises OSError and `ChipSaysNo`."""


def chipset(line: Transport) -> Commands:
    """Return nfcpy's chipset on a line."""
    made: Commands = pn532.Chipset(line, logger=_silent)
    return made


def port() -> Port:
    """Return nfcpy's serial port, not open yet."""
    made: Port = transport.TTY()
    return made
