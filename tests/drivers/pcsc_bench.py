"""What the tests of the PC/SC driver share: the real smart card service with virtual readers, and waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from mdoc_reader.drivers.pcsc_device import Options, PcscCard, PcscDevice, open_nfc
from mdoc_reader.lab.nfc_apdus import ApduAnswer
from mdoc_reader.lab.pcsc_card import VirtualCard
from mdoc_reader.lab.pcsc_daemon import PcscDaemon, claim
from mdoc_reader.nfc.ports import FieldKind

claim()
MISSING = PcscDaemon.missing()
needs_pcscd = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@dataclass
class Echo:
    """An application that says the first bytes of what it was told, and counts how often it was deselected."""

    after_s: float = 0.0
    deselected: int = 0
    heard: list[bytes] = field(default_factory=list)

    def on_apdu(self, command: bytes) -> ApduAnswer:
        """Answer with the command itself, as far as a short response goes."""
        self.heard.append(command)
        return ApduAnswer(command[:256] + b"\x90\x00", self.after_s)

    def on_deselected(self) -> None:
        """Count."""
        self.deselected += 1


@contextmanager
def opened(options: Options | None = None) -> Iterator[PcscDevice]:
    """The driver on the reader it chooses."""
    device = open_nfc(options or Options())
    assert isinstance(device, PcscDevice)
    try:
        yield device
    finally:
        device.close()


def card_on(daemon: PcscDaemon, apdus: object, **how: object) -> VirtualCard:
    """A card beside the slot that the driver chooses by itself."""
    return VirtualCard(apdus, port=daemon.ports[0] + 1, **how)  # type: ignore[arg-type]


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def found(device: PcscDevice) -> PcscCard:
    """Look until the service has seen the card."""
    until(device.occupied)
    seen = device.look()
    assert seen.kind is FieldKind.CARD, seen
    assert isinstance(seen.card, PcscCard)
    return seen.card


class InThread:
    """Something done by another thread, and what came of it."""

    def __init__(self, work: Callable[[], object]) -> None:
        """Begin."""
        self.outcome: object = None
        self.took_s = 0.0
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        began = time.monotonic()
        try:
            self.outcome = self._work()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test wants to see it
            self.outcome = error
        self.took_s = time.monotonic() - began

    @property
    def running(self) -> bool:
        """Whether it still goes on."""
        return self._thread.is_alive()

    def ended(self, seconds: float = 10.0) -> object:
        """Wait for the end and return what came of it."""
        self._thread.join(seconds)
        assert not self.running
        return self.outcome
