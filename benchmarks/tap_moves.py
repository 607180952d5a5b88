"""Moving a request and an answer over NFC: our driver and block protocol, and nfcpy's own, on the same emulated chip.

Both carry the very same APDUs, those of our data transfer: what is compared is what lies below. nfcpy's chip driver
opens the chip as it does, at the speed it is given; its block protocol has no other bit rate than 106 kbit/s.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import nfc.clf
import nfc.clf.pn532
import nfc.clf.transport
import nfc.tag

from mdoc_reader.drivers.pn532_device import Options, open_nfc
from mdoc_reader.nfc import transfer
from mdoc_reader.nfc.apdu import Way
from mdoc_reader.nfc.ports import Card
from mdoc_reader.nfc.procedure import perform
from tap_far import Answers, Far, answer_of
from tap_figures import BAUDS, LONG, NFCPY, OURS, RATES, REQUEST, SIZES, Move

_MOST = 1 << 20


class NfcpyCard:
    """nfcpy's tag as a `ports.Card`."""

    longest_command, longest_response, random_uid, longest_silence_s = 65544, 65538, True, 6.0
    words = "nfcpy's tag"

    def __init__(self, tag: object) -> None:
        """Take an activated Type 4 tag."""
        self.on_frame: Callable[[], None] | None = None
        self._tag = tag

    def transmit(self, command: bytes) -> bytes:
        """Carry an APDU through nfcpy's block protocol."""
        return bytes(self._tag.transceive(command))  # type: ignore[attr-defined]

    def give_up(self) -> None:
        """Do nothing."""

    def leave(self) -> None:
        """Do nothing: nfcpy takes the field away."""


@contextlib.contextmanager
def our_card(port: str, rate: int, baud: int) -> Iterator[Card]:
    """Open the chip with our driver and give the card in its field."""
    device = open_nfc(Options(path=port, baud=baud, max_rate=rate))  # type: ignore[arg-type]
    try:
        card = device.look().card
        assert card is not None
        assert f"{rate} kbit/s" in card.words
        yield card
        card.leave()
        device.rest()
    finally:
        device.close()


@contextlib.contextmanager
def nfcpy_card(port: str, baud: int) -> Iterator[Card]:
    """Open the chip with all of nfcpy and give the card in its field."""
    logging.getLogger("nfc").setLevel(logging.ERROR)
    line = nfc.clf.transport.TTY(port)
    line.open(port, 115200)
    chipset = nfc.clf.pn532.Chipset(line, logger=logging.getLogger("nfc.clf.pn532"))
    line.write(bytearray.fromhex("5555000000000000"))
    time.sleep(0.005)
    chipset.sam_configuration("normal")
    if baud != 115200:
        # As nfcpy's own opening does, which always takes the highest speed the port says it can do.
        chipset.set_serial_baudrate(baud)
        line.write(chipset.ACK)
        line.open(port, baud)
        time.sleep(0.002)
    device = nfc.clf.pn532.Device(chipset, logger=logging.getLogger("nfc.clf.pn532"))
    device._path, device._vendor_name, device._device_name = port, "", ""
    front = nfc.clf.ContactlessFrontend()
    front.device = device
    try:
        target = front.sense(nfc.clf.RemoteTarget("106A"))
        tag = nfc.tag.activate(front, target)
        assert tag is not None
        yield NfcpyCard(tag)
    finally:
        front.close()


def _no_pause(seconds: float) -> None:
    del seconds
    raise AssertionError("a transfer has no pauses")


@dataclass(frozen=True)
class Case:
    """What is measured together: the chip is opened once for it."""

    who: str
    rate: int
    baud: int

    def opened(self, port: str) -> contextlib.AbstractContextManager[Card]:
        """Open the chip."""
        return our_card(port, self.rate, self.baud) if self.who == OURS else nfcpy_card(port, self.baud)


CASES = (
    *(Case(OURS, rate, baud) for baud in BAUDS for rate in RATES),
    *(Case(NFCPY, 106, baud) for baud in BAUDS),
)


def move(far: Far, case: Case, apdus: str, size: int) -> Move:
    """Do one transfer and return what it took."""
    most_command, most_response = LONG[apdus]
    far.put(Answers(size, most_command, most_response))
    with case.opened(far.port) as card:
        way = Way.to(card)
        limits = transfer.Limits(way.data(most_command), way.answer(most_response))
        perform(transfer.select(), card, _no_pause)
        before = far.spent()
        cpu, began = time.thread_time(), time.perf_counter()
        answer = perform(transfer.deliver(answer_of(REQUEST), limits, cap=_MOST), card, _no_pause)
        took, cpu = time.perf_counter() - began, time.thread_time() - cpu
        after = far.spent()
    if answer != answer_of(size):
        raise SystemExit(f"{case}: the answer came out wrong")
    return Move(
        who=case.who,
        rate=case.rate,
        baud=case.baud,
        apdus=apdus,
        size=size,
        took_ms=took * 1000,
        cpu_ms=cpu * 1000,
        rf_ms=(after.rf_s - before.rf_s) * 1000,
        uart_ms=(after.uart_s - before.uart_s) * 1000,
        chip_ms=(after.chip_s - before.chip_s) * 1000,
        card_ms=(after.card_s - before.card_s) * 1000,
        frames=after.rf_frames - before.rf_frames,
        commands=after.commands - before.commands,
    )


def measure(far: Far, rounds: int, say: Callable[[str], None], *, quick: bool = False) -> list[Move]:
    """Take turns within every round."""
    found: list[Move] = []
    for number in range(rounds):
        for case in CASES:
            for apdus in LONG:
                found += [move(far, case, apdus, size) for size in (SIZES[:1] if quick else SIZES)]
            say(f"transfer, round {number + 1} of {rounds}: {case.who} {case.rate} at {case.baud}")
    far.put(None)
    return found
