"""What the tests of the emulated chip share: applications to put behind a card, and hosts to put before the chip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import nfc.clf
import nfc.clf.pn532
import nfc.clf.transport
import serial

from mdoc_reader.lab.nfc_air import Kind, RfFrame, with_crc, without_crc
from mdoc_reader.lab.nfc_apdus import ApduAnswer
from mdoc_reader.lab.nfc_chip import Pn532Chip
from mdoc_reader.lab.nfc_field import RfField

WAKE = bytes.fromhex("5555000000000000")
GET_FIRMWARE = bytes.fromhex("0000ff02fed4022a00")
FIRMWARE_SAID = bytes.fromhex("0000ff06fad50332010607e800")


class Echo:
    """Applications that answer every command with itself and 9000, and count what ended."""

    def __init__(self, *, after_s: float = 0.0, answer: Callable[[bytes], bytes] | None = None) -> None:
        self.after_s = after_s
        self.answer = answer if answer is not None else bytes
        self.commands: list[bytes] = []
        self.ended = 0

    def on_apdu(self, command: bytes) -> ApduAnswer:
        self.commands.append(command)
        return ApduAnswer(self.answer(command) + b"\x90\x00", self.after_s)

    def on_deselected(self) -> None:
        self.ended += 1


def say(field: RfField, data: bytes, *, rate: int = 1, at: float = 0.0) -> bytes | None:
    """Send a whole type A frame with its CRC; return what comes back without, None for silence."""
    met = field.send(RfFrame(with_crc(Kind.A, data), rate=rate, at=at))
    if met is None:
        return None
    return without_crc(Kind.A, met.answer.data)


def select(field: RfField) -> None:
    """Request and select the only type A card there."""
    assert field.send(RfFrame(b"\x26", last_bits=7)) is not None
    for code in (0x93, 0x95, 0x97):
        part = field.send(RfFrame(bytes((code, 0x20))))
        assert part is not None
        sak = say(field, bytes((code, 0x70)) + part.answer.data)
        assert sak is not None
        if not sak[0] & 0x04:
            return


@contextmanager
def nfcpy_device(chip: Pn532Chip) -> Iterator[Any]:
    """Open the chip with nfcpy's driver, as it is."""
    device = nfc.clf.pn532.init(nfc.clf.transport.TTY(chip.port))
    try:
        yield device
    finally:
        device.close()


@contextmanager
def nfcpy_frontend(chip: Pn532Chip) -> Iterator[Any]:
    """Open the chip with all of nfcpy."""
    device = nfc.clf.pn532.init(nfc.clf.transport.TTY(chip.port))
    device._path = chip.port
    frontend = nfc.clf.ContactlessFrontend()
    frontend.device = device
    try:
        yield frontend
    finally:
        frontend.close()


@contextmanager
def raw_host(chip: Pn532Chip, baud: int = 115200) -> Iterator[serial.Serial]:
    """Open the port and nothing else."""
    with serial.Serial(chip.port, baud, timeout=0.3) as line:
        yield line
