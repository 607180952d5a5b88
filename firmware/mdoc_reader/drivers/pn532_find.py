"""Finding the chip: the ports it may be at, the speeds a program before this one may have left it at."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from pathlib import Path

from mdoc_reader.drivers.pn532_chip import BAUD_CODES, Pn532Chip
from mdoc_reader.drivers.pn532_line import FIRST_BAUD, SerialLine
from mdoc_reader.nfc.ports import NfcDeviceError, NfcTrouble

AUTO = "auto"
AUTO_S = 6.0
"""The most a search of all ports takes, in seconds."""

# The UART on the header first: `serial0` is where a Pi has it, whichever of its two UARTs that is.
_PATTERNS = ("serial0", "ttyAMA*", "ttyS*", "ttyUSB*", "ttyACM*")
_MOST_PORTS = 16
_USB_ACK_S = 1.5

# What tells most, where several ports were tried: the first of these is what is said.
_TELLING = (
    NfcTrouble.UNSUITABLE,
    NfcTrouble.BUSY,
    NfcTrouble.NOT_ALLOWED,
    NfcTrouble.LOST,
    NfcTrouble.NO_ANSWER,
    NfcTrouble.NO_DEVICE,
)


def ports(folder: Path = Path("/dev")) -> list[str]:
    """Return the serial ports there are, each once, the likeliest first."""
    found: dict[Path, str] = {}
    for pattern in _PATTERNS:
        for path in sorted(folder.glob(pattern), key=lambda path: (len(path.name), path.name)):
            found.setdefault(path.resolve(), str(path))
    return list(found.values())[:_MOST_PORTS]


def open_chip(path: str, baud: int, *, tries: int = 1, folder: Path = Path("/dev")) -> Pn532Chip:
    """Open the chip at a port, or the first found with `auto`, and let it talk at `baud`.

    Bounded: 2.5 s for a port, 4 s for a USB adapter, AUTO_S and 2 s for all of them together. Raises NfcDeviceError,
    with the most telling reason.
    """
    found = _open_at(path, baud, tries, every_speed=True) if path != AUTO else _search(baud, tries, folder)
    try:
        found.change_baud(baud)
    except NfcDeviceError:
        found.close()
        raise
    return found


def _search(baud: int, tries: int, folder: Path) -> Pn532Chip:
    until = time.monotonic() + AUTO_S
    troubles: list[NfcDeviceError] = []
    candidates = ports(folder)
    for every_speed in (False, True):  # a chip at another speed is rare, and noise at a wrong one is no kindness
        for port in tuple(candidates):
            if time.monotonic() > until:
                break
            try:
                return _open_at(port, baud, tries, every_speed=every_speed, until=until)
            except NfcDeviceError as error:
                troubles.append(error)
                if error.code is not NfcTrouble.NO_ANSWER:
                    candidates.remove(port)
    if not troubles:
        raise NfcDeviceError(NfcTrouble.NO_DEVICE, "this machine has no serial port")
    raise min(troubles, key=lambda error: _TELLING.index(error.code))


def _open_at(path: str, baud: int, tries: int, *, every_speed: bool, until: float | None = None) -> Pn532Chip:
    trouble: NfcDeviceError | None = None
    for speed in _speeds(baud, every_speed=every_speed):
        if trouble is not None and until is not None and time.monotonic() > until:
            break
        line = open_line(path, speed)
        if trouble is None and path.startswith("/dev/ttyUSB"):
            line.ack_s = _USB_ACK_S  # adapters may keep the first bytes for so long on some boards
        try:
            chip = Pn532Chip(line, tries=tries)
        except NfcDeviceError as error:
            if error.code is not NfcTrouble.NO_ANSWER:
                raise
            trouble = NfcDeviceError(error.code, f"{path}: {error.detail}")
        else:
            line.ack_s = SerialLine.ACK_S
            return chip
    raise trouble or NfcDeviceError(NfcTrouble.NO_ANSWER, path)


def _speeds(baud: int, *, every_speed: bool) -> Iterator[int]:
    """The speed after power-up, the one this program may have died with, and all the others."""
    likely = [FIRST_BAUD] if baud == FIRST_BAUD else [FIRST_BAUD, baud]
    yield from likely
    if every_speed:
        yield from (speed for speed in sorted(BAUD_CODES, reverse=True) if speed not in likely)


def open_line(path: str, baud: int) -> SerialLine:
    """Open a port. Raises NfcDeviceError with the reason in words."""
    try:
        return SerialLine(path, baud)
    except OSError as error:
        match error.errno:
            case errno.ENOENT:
                raise NfcDeviceError(NfcTrouble.NO_DEVICE, f"there is no {path}") from None
            case errno.EACCES | errno.EPERM:
                raise NfcDeviceError(NfcTrouble.NOT_ALLOWED, f"{path} may not be opened") from None
            case errno.EBUSY:
                raise NfcDeviceError(NfcTrouble.BUSY, f"{path} is in use by another program") from None
            case _:
                raise NfcDeviceError(NfcTrouble.NO_DEVICE, f"{path} is no serial port that works") from None
