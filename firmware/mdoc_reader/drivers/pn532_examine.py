"""What `mdoc-reader doctor` says of a PN532: its port, who may open it, whether it answers, and its firmware.

Opens the port only where nobody else has it, and leaves the chip as it was found.
"""

from __future__ import annotations

import asyncio
import grp
from pathlib import Path

from mdoc_reader.drivers.pn532_chip import Pn532Chip
from mdoc_reader.drivers.pn532_find import AUTO, open_chip, ports
from mdoc_reader.model.check import Check, Health
from mdoc_reader.nfc.ports import NfcDeviceError, NfcTrouble

CONSOLES = Path("/sys/class/tty/console/active")

_PART = "nfc"
_OLDEST = (1, 6)
_SWITCHES = (
    "see that the board is set to UART (I0 and I1 both low: L L), that RX and TX are joined to the header, "
    "and that it has power"
)
_ENABLE = "on a Pi: enable_uart=1 in config.txt, and no console on the serial port (`raspi-config`, Interface, Serial)"
_CONSOLE = (
    "take `console=serial0,115200` out of cmdline.txt, run `systemctl disable --now serial-getty@{name}` and restart"
)


async def examine(path: str, baud: int) -> tuple[Check, ...]:
    """Look at the chip's port and at the chip. Bounded in time; never raises NfcDeviceError."""
    checks = list(consoles([path] if path != AUTO else ports()))
    try:
        chip = await asyncio.to_thread(open_chip, path, baud)
    except NfcDeviceError as error:
        return (*checks, not_open(error, path))
    try:
        checks += await asyncio.to_thread(_chip_checks, chip)
    finally:
        await asyncio.to_thread(chip.close)
    return tuple(checks)


def consoles(paths: list[str], active: Path = CONSOLES) -> tuple[Check, ...]:
    """Say which of these ports the kernel writes its messages to."""
    try:
        names = active.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return ()
    found = []
    for path in paths:
        name = Path(path).resolve().name
        if name in names:
            what = f"{path} is the system's console: its messages disturb whatever else is on that line"
            found.append(Check(_PART, Health.WARNING, what, _CONSOLE.format(name=name)))
    return tuple(found)


def not_open(error: NfcDeviceError, path: str) -> Check:
    """Say why the chip cannot be used and what to do."""
    match error.code:
        case NfcTrouble.BUSY:
            advice = "where that is the running reader, all is well: stop it to look closer"
            return Check(_PART, Health.WARNING, error.detail, advice)
        case NfcTrouble.NOT_ALLOWED:
            advice = f"add the reader's user to the group {_group(path)!r}"
        case NfcTrouble.NO_DEVICE:
            advice = _ENABLE
        case NfcTrouble.UNSUITABLE:
            advice = "this driver is for the PN532; other readers are served through PC/SC (driver `pcsc`)"
        case _:
            advice = _SWITCHES
    return Check(_PART, Health.FAULT, f"{error.code.log} ({error.detail})", advice)


def _group(path: str) -> str:
    try:
        return grp.getgrgid(Path(path).stat().st_gid).gr_name if path != AUTO else "dialout"
    except (OSError, KeyError):
        return "dialout"


def _chip_checks(chip: Pn532Chip) -> list[Check]:
    said = f"{chip.firmware.words} at {chip.path}, {chip.baud} baud"
    checks = [Check(_PART, Health.OK, said)]
    if (chip.firmware.version, chip.firmware.revision) < _OLDEST:
        what = f"firmware {chip.firmware.version}.{chip.firmware.revision} is older than any this driver was made for"
        checks.append(Check(_PART, Health.WARNING, what, "boards sold since 2008 have 1.6"))
    try:
        whole = chip.line_works()
    except NfcDeviceError as error:
        return [*checks, Check(_PART, Health.FAULT, str(error), _SWITCHES)]
    if not whole:
        what = f"long messages come back damaged at {chip.baud} baud"
        checks.append(Check(_PART, Health.FAULT, what, "set a lower `baud`, or use shorter wires"))
    return checks
