"""The far end of the NFC benchmark, in a process of its own: an emulated PN532 that keeps real time, and its field.

It has its own interpreter, so that chip and reader run beside each other as they do on a device. The clock that both
processes read is the machine's.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from mdoc_reader.lab.nfc_apdus import ApduHandler
from mdoc_reader.lab.nfc_behaviour import NfcOffer, TapBehaviour
from mdoc_reader.lab.nfc_card import Picc
from mdoc_reader.lab.nfc_chip import Pn532Chip
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.nfc_time import Spent
from mdoc_reader.lab.nfc_transfer import TRANSFER_APPLICATION, DataTransfer, Said
from mdoc_reader.lab.phone_nfc import TapPhone
from mdoc_reader.lab.phone_nfc_apdu import Selector
from mdoc_reader.lab.wallet import Wallet

_FASTER = 0x33  # 212 and 424 kbit/s both ways
_ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Answers:
    """A phone with data transfer alone: each message is answered with so many bytes, at once."""

    size: int
    max_command: int
    max_response: int


@dataclass(frozen=True, slots=True)
class Taps:
    """A phone that engages."""

    behaviour: TapBehaviour


Lying = Answers | Taps


def answer_of(size: int) -> bytes:
    """Return what `Answers` of this size says: no byte is like the next."""
    return random.Random(size).randbytes(size)


@dataclass
class _Talk:
    """Says the same to every message."""

    spec: Answers
    said: bytes = field(default=b"", repr=False)

    def offer(self) -> NfcOffer:
        return NfcOffer(self.spec.max_command, self.spec.max_response)

    def answer(self, message: bytes) -> Said:
        del message
        return Said(self.said)


def _applications(lying: Lying) -> ApduHandler:
    if isinstance(lying, Taps):
        return TapPhone(Wallet([]), lying.behaviour)
    return Selector({TRANSFER_APPLICATION: DataTransfer(_Talk(lying, answer_of(lying.size)))})


def _serve(wire: Connection) -> None:
    """Run the chip, and do what the other process asks until it hangs up."""
    around = RfField()
    held: list[Picc] = []
    with Pn532Chip(around) as chip:
        wire.send(chip.port)
        while True:
            try:
                asked = wire.recv()
            except EOFError:
                return
            if asked == "spent":
                wire.send(replace(chip.spent))
                continue
            for card in held:
                around.take(card)
            held.clear()
            if asked is not None:
                held.append(Picc(_applications(asked), ta=_FASTER))
                around.put(held[0])
            wire.send(time.monotonic())


class Far:
    """The other process. Use it as a context manager; `port` is the path of the chip's line."""

    def __init__(self) -> None:
        """Start it."""
        context = multiprocessing.get_context("spawn")
        self._wire, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="far", daemon=True)
        self._process.start()
        theirs.close()
        self.port = str(self._hear())

    def __enter__(self) -> Self:
        """Go on."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._wire.close()
        self._process.join(_ANSWER_S)

    def _hear(self) -> object:
        if not self._wire.poll(_ANSWER_S):
            raise TimeoutError("the far end does not answer")
        return self._wire.recv()

    def put(self, lying: Lying | None) -> float:
        """Put this into the field, alone; None empties it. Return the moment, by the monotonic clock."""
        self._wire.send(lying)
        at = self._hear()
        assert isinstance(at, float)
        return at

    def spent(self) -> Spent:
        """Return what the chip has spent so far."""
        self._wire.send("spent")
        spent = self._hear()
        assert isinstance(spent, Spent)
        return spent
