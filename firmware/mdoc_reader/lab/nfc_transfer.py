"""The phone's end of data transfer over NFC: ENVELOPE chains in, answers out (ISO 18013-5 clause 8.3.3.1.2).

A message travels in a data object of tag 53. What is said in it is for whoever makes this application (`Talk`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mdoc_reader.lab.nfc_behaviour import NfcOffer, Step, TransferBehaviour
from mdoc_reader.lab.phone_nfc_apdu import (
    CONDITIONS,
    ENVELOPE,
    NO_MEMORY,
    NOT_FOUND,
    OK,
    WRONG_DATA,
    WRONG_INS,
    WRONG_LENGTH,
    WRONG_P1P2,
    Apdu,
    Refused,
    Reply,
    Steps,
)

TRANSFER_APPLICATION = bytes.fromhex("A0000002480400")
_MOST = 1 << 20


@dataclass(frozen=True, slots=True)
class Said:
    """The phone's next message, and how long it takes; None for no data object at all, then with status word `sw`."""

    message: bytes | None = field(repr=False)
    after_s: float = 0.0
    sw: int = OK


class Talk(Protocol):
    """Who answers session messages."""

    def offer(self) -> NfcOffer | None:
        """Return the limits that were told to the reader; None when this way was not offered or chosen."""

    def answer(self, message: bytes) -> Said:
        """Answer a session message of the reader."""


class DataTransfer:
    """The application."""

    def __init__(self, talk: Talk, behaviour: TransferBehaviour | None = None, steps: Steps | None = None) -> None:
        """Carry messages to `talk`."""
        self._talk = talk
        self._behaviour = behaviour or TransferBehaviour()
        self._steps = steps or Steps()
        self._received = bytearray()
        self.envelopes = 0

    def select(self, apdu: Apdu) -> Reply:
        """Begin anew; a message half received is forgotten."""
        self._steps.enter(Step.SELECT_TRANSFER)
        if apdu.p2 not in self._behaviour.select_p2:
            raise Refused(WRONG_P1P2)
        if self._talk.offer() is None:
            raise Refused(NOT_FOUND)
        self._received.clear()
        return Reply(b"" if apdu.p2 == 0x0C else self._behaviour.select_data)

    def answer(self, apdu: Apdu) -> Reply:
        """Take a command of a chain, and answer the last of it."""
        if apdu.ins != ENVELOPE:
            self._received.clear()
            raise Refused(WRONG_INS)
        limits = self._talk.offer()
        if limits is None:
            raise Refused(CONDITIONS)
        last = apdu.cla == 0x00
        try:
            self._steps.enter(Step.ENVELOPE_LAST if last else Step.ENVELOPE_PART)
            self._check(apdu, limits, last)
        except Refused:
            self._received.clear()
            raise
        self._received += apdu.data
        self.envelopes += 1
        if not last:
            return Reply()
        message = unwrap(bytes(self._received))
        self._received.clear()
        said = self._talk.answer(message)
        if said.message is None:
            return Reply(sw=said.sw, after_s=said.after_s)
        raw = self._behaviour.raw_answer
        return Reply(
            wrap(said.message, self._behaviour.length_octets) if raw is None else raw,
            said.sw,
            said.after_s,
            min(limits.max_response, self._behaviour.part or limits.max_response),
            self._behaviour.first_empty,
            self._behaviour.six_c,
        )

    def _check(self, apdu: Apdu, limits: NfcOffer, last: bool) -> None:
        if apdu.offset:
            raise Refused(WRONG_P1P2)
        if apdu.extended and not self._behaviour.extended:
            raise Refused(WRONG_LENGTH)
        if len(self._received) + len(apdu.data) > _MOST:
            raise Refused(NO_MEMORY)
        if not self._behaviour.strict:
            return
        too_long = len(apdu.data) > limits.max_command or (apdu.le or 0) > limits.max_response
        # 255 and 256 mean that the phone takes short lengths only.
        needless = apdu.extended and limits.max_command <= 255 and limits.max_response <= 256
        if too_long or needless or not apdu.data or (apdu.le is not None and not last):
            raise Refused(WRONG_LENGTH)


def wrap(message: bytes, length_octets: int | None = None) -> bytes:
    """Return the data object; `length_octets` behind 8x, 0 for the one-octet form, None for the shortest form."""
    size = len(message)
    if length_octets is None:
        length_octets = 0 if size < 128 else 1 if size < 256 else 2 if size < 65536 else 3
    if length_octets == 0:
        return bytes((0x53, size)) + message
    return bytes((0x53, 0x80 | length_octets)) + size.to_bytes(length_octets, "big") + message


def unwrap(data: bytes) -> bytes:
    """Return what the data object holds; it must be whole, alone and in the shortest form. Raises Refused(6A80)."""
    octets = data[1] & 0x7F if len(data) > 1 and data[1] & 0x80 else 0
    message = data[2 + octets :]
    if octets > 3 or data != wrap(message):
        raise Refused(WRONG_DATA)
    return message
