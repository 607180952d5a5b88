"""The contactless side of the emulated chip: its CIU registers, its field, and one exchange of frames (UM0701-02)."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from enum import IntEnum

from mdoc_reader.lab.nfc_air import (
    CARD_DELAY_S,
    READER_DELAY_S,
    Damage,
    Kind,
    RfAnswer,
    RfFrame,
    air_time,
    with_crc,
    without_crc,
)
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.nfc_time import Pace

TX_MODE = 0x6302
RX_MODE = 0x6303
TX_CONTROL = 0x6304
FIFO_DATA = 0x6339
BIT_FRAMING = 0x633D
_CIU_VERSION = 0x6327
_CRC_ON = 0x80
_DRIVERS_ON = 0x03

LONGEST_ANSWER = 262
"""Bytes of the largest frame without CRC that fits a response to the host beside its status."""
_GUARD_S = 0.005
"""How long a field is on before cards are asked (ISO/IEC 14443-3 clause 5)."""


class Status(IntEnum):
    """The first byte of a response (UM0701-02 clause 7.1)."""

    FINE = 0x00
    TIMEOUT = 0x01
    CRC = 0x02
    PARITY = 0x03
    FRAMING = 0x05
    COLLISION = 0x06
    BUFFER = 0x07
    PROTOCOL = 0x0B
    PARAMETER = 0x10
    AUTHENTICATION = 0x14
    CHECK_BYTE = 0x23
    CONTEXT = 0x27


class Radio:
    """Registers, field and timers. Belongs to the chip's thread."""

    def __init__(self, around: RfField, pace: Pace, *, fastest: int = 4) -> None:
        """Start as after a reset. `fastest` is the highest bit rate as a multiple of 106 kbit/s."""
        self.field = around
        self.pace = pace
        self._fastest = fastest
        self._registers: dict[int, int] = {}

    def reset(self) -> None:
        """Lose the registers and the field."""
        self._registers.clear()
        self.field.switch(on=False)

    def switch(self, *, on: bool) -> None:
        """Switch the field."""
        self.field.switch(on=on)

    def warm_up(self) -> None:
        """Switch the field on, and let the rest of the guard time pass."""
        self.field.switch(on=True)
        left = self.field.on_since + _GUARD_S - time.monotonic()
        if left > 0:
            self.pace.card(left)
            self.pace.settle()

    def read(self, address: int) -> int:
        """Return a register."""
        value = self._registers.get(address, 0x80 if address in {TX_CONTROL, _CIU_VERSION} else 0)
        if address == TX_CONTROL:
            value = (value & ~_DRIVERS_ON) | (_DRIVERS_ON if self.field.on else 0)
        return value

    def write(self, address: int, value: int) -> None:
        """Set a register."""
        self._registers[address] = value
        if address == TX_CONTROL:
            self.field.switch(on=bool(value & _DRIVERS_ON))

    def set_mode(self, kind: Kind, *, crc: bool, tx_rate: int = 1, rx_rate: int = 1, last_bits: int = 0) -> None:
        """Set framing, checksums, bit rates (multiples of 106 kbit/s) and the bits of a last byte (0 for all)."""
        for address, rate in ((TX_MODE, tx_rate), (RX_MODE, rx_rate)):
            self._registers[address] = (_CRC_ON if crc else 0) | (rate.bit_length() - 1) << 4 | kind
        self._registers[BIT_FRAMING] = last_bits

    def exchange(self, frame: RfFrame, timeout_s: float | None, *, kind: Kind, rate: int) -> RfAnswer | None:
        """Send a frame, and return what is received of this kind at this rate in time; None for nothing.

        `timeout_s` None waits until the host gives up, which comes as an exception.
        """
        pace = self.pace
        pace.air(air_time(len(frame.data), frame.kind, frame.rate, _bits(frame)), count=len(frame.data))
        self._registers[FIFO_DATA] = frame.data[-1] if frame.data else 0
        met = self.field.send(replace(frame, at=pace.now))
        if met is None or met.answer.kind is not kind or met.answer.rate != rate:
            self._in_vain(timeout_s)
            return None
        answer = met.answer
        if timeout_s is not None and CARD_DELAY_S + answer.after_s > timeout_s:
            self._in_vain(timeout_s)
            return None
        pace.air(CARD_DELAY_S)
        if answer.after_s > 0:
            pace.card(answer.after_s)
            pace.settle()
            if met.card is not None and not self.field.holds(met.card):
                self._in_vain(None if timeout_s is None else timeout_s - answer.after_s)
                return None
        pace.air(air_time(len(answer.data), answer.kind, rate, answer.bits), count=len(answer.data))
        pace.air(READER_DELAY_S)
        self._registers[FIFO_DATA] = answer.data[-1] if answer.data else 0
        return answer

    def _in_vain(self, timeout_s: float | None) -> None:
        if timeout_s is None:
            self.pace.for_ever()
        else:
            self.pace.card(timeout_s)

    def through(self, data: bytes, timeout_s: float | None) -> tuple[Status, bytes]:
        """Exchange as the registers say: InCommunicateThru."""
        tx, rx = self.read(TX_MODE), self.read(RX_MODE)
        try:
            tx_kind, rx_kind = Kind(tx & 3), Kind(rx & 3)
        except ValueError:  # active mode: nobody in this field speaks it
            return Status.TIMEOUT, b""
        tx_rate, rx_rate = 1 << (tx >> 4 & 7), 1 << (rx >> 4 & 7)
        if tx & _CRC_ON:
            data = with_crc(tx_kind, data)
        frame = RfFrame(data, tx_kind, tx_rate, self.read(BIT_FRAMING) & 7 or 8)
        answer = self.exchange(frame, timeout_s, kind=rx_kind, rate=rx_rate)
        return self.received(answer, crc=bool(rx & _CRC_ON))

    def received(self, answer: RfAnswer | None, *, crc: bool) -> tuple[Status, bytes]:
        """Check what came; return its bytes without checksum where that is checked."""
        if answer is None:
            return Status.TIMEOUT, b""
        if answer.rate > self._fastest:
            return Status.FRAMING, b""
        if answer.damage in {Damage.PARITY, Damage.FRAMING, Damage.COLLISION}:
            return Status[answer.damage.name], b""
        data = answer.data
        if crc:
            body = without_crc(answer.kind, data) if answer.bits is None else None
            if body is None:
                return Status.CRC, b""
            data = body
        if len(data) > LONGEST_ANSWER:
            return Status.BUFFER, b""
        return Status.FINE, data

    def ask(
        self, data: bytes, timeout_s: float | None, *, kind: Kind = Kind.A, rates: tuple[int, int] = (1, 1)
    ) -> tuple[Status, bytes]:
        """Exchange whole frames with checksums, whatever the registers say."""
        frame = RfFrame(with_crc(kind, data), kind, rates[0])
        return self.received(self.exchange(frame, timeout_s, kind=kind, rate=rates[1]), crc=True)


def timer(code: int) -> float | None:
    """Return the seconds a time-out code of RFConfiguration item 02 means; None for no time-out."""
    return None if code == 0 else 100e-6 * math.ldexp(1, min(code, 16) - 1)


def _bits(frame: RfFrame) -> int | None:
    if frame.kind is not Kind.A or frame.last_bits == 8:
        return None
    return 9 * (len(frame.data) - 1) + frame.last_bits
