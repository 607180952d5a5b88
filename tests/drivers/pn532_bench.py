"""What the tests of the PN532 driver share: an emulated chip with a field, and a card that answers what it is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mdoc_reader.drivers.pn532_device import Options, Pn532Device, open_nfc
from mdoc_reader.lab.nfc_apdus import ApduAnswer
from mdoc_reader.lab.nfc_chip import Pn532Chip as EmulatedChip
from mdoc_reader.lab.nfc_field import RfField


@dataclass
class Echo:
    """An application that says what it was told, after some time, and counts how often it was deselected."""

    after_s: float = 0.0
    deselected: int = 0
    heard: list[bytes] = field(default_factory=list)

    def on_apdu(self, command: bytes) -> ApduAnswer:
        """Answer with the command itself."""
        self.heard.append(command)
        return ApduAnswer(command + b"\x90\x00", self.after_s)

    def on_deselected(self) -> None:
        """Count."""
        self.deselected += 1


@contextmanager
def emulated(*cards: object, timing: bool = True, **options: object) -> Iterator[tuple[EmulatedChip, Pn532Device]]:
    """A chip with these cards in its field, and the driver that has it open."""
    around = RfField(*cards)  # type: ignore[arg-type]
    with EmulatedChip(around, timing=timing) as chip:
        device = open_nfc(Options(path=chip.port, **options))  # type: ignore[arg-type]
        assert isinstance(device, Pn532Device)
        try:
            yield chip, device
        finally:
            device.close()


def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)
