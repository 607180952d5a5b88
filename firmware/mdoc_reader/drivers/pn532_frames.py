"""Frames to and from a card that a PN532 has selected: checksums, waiting times and bit rates, by InCommunicateThru.

The chip's own timer ends at 3.28 s and a card may ask for 4.95 s (ISO/IEC 14443-4 clause 7.2). Beyond, the chip is told
to wait for ever, and the host ends the command.
"""

from __future__ import annotations

from mdoc_reader.drivers.pn532_chip import (
    BIT_FRAMING,
    CRC_ON,
    MIF_NFC,
    MOD_WIDTH,
    RX_MODE,
    RX_THRESHOLD,
    STATUS_FINE,
    STATUS_TIMEOUT,
    TX_MODE,
    Pn532Chip,
)
from mdoc_reader.nfc.ports import FrameBroken, FrameLost, NfcDeviceError, NfcTrouble

LONGEST_FRAME = 262
"""Bytes of the largest frame the chip takes and gives, without CRC: a host frame holds no more."""

_LONGEST_TIMER = 16
_SLACK_S = 0.1
_FIRST_RATE = 106
_ETU_S = 128 / 13.56e6

# What the chip itself says when a frame came damaged: checksum, parity, bit count, framing, collision, too long for its
# buffers, protocol.
_BROKEN = frozenset({0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x09, 0x0B})
_TROUBLES = {0x0D: "overheated", 0x2D: "too much current at the antenna"}

# Receiver threshold, width of the pauses and receiver timing by bit rate: the values the firmware uses for ISO/IEC
# 14443-4 itself (RFConfiguration items 0A and 0D). With the pauses of 106 kbit/s nothing could be heard at 424.
_ANALOG = {106: (0x85, 0x26, 0x62), 212: (0x85, 0x15, 0x8A), 424: (0x85, 0x08, 0xB2)}
_SPEED = {106: 0x00, 212: 0x10, 424: 0x20}


def timer_code(seconds: float) -> int:
    """Return the code of the chip's shortest timer that waits so long: 100 µs · 2^(code-1); 0, for ever, beyond it."""
    for code in range(1, _LONGEST_TIMER + 1):
        if seconds <= 100e-6 * 2 ** (code - 1):
            return code
    return 0


class Pn532Frames:
    """The card that was selected last; a `nfc.ports.Frames`. It is over with the next look into the field."""

    longest = LONGEST_FRAME

    def __init__(self, chip: Pn532Chip) -> None:
        """Take over a chip that has just selected a card at 106 kbit/s."""
        self._chip = chip
        self.kbits = _FIRST_RATE

    def exchange(self, frame: bytes, timeout_s: float) -> bytes:
        """Send a frame and return the one that answers, both without CRC. See `nfc.ports.Frames`."""
        if not 0 < len(frame) <= LONGEST_FRAME:
            raise ValueError(f"a frame of {len(frame)} bytes, at most {LONGEST_FRAME}")
        code = timer_code(timeout_s)
        # To set the timer takes as long as a short exchange: one that is a little longer than needed will do.
        set_s = self._chip.timer_s
        if code == 0 or set_s is None or not timeout_s <= set_s <= 4 * timeout_s:
            self._chip.set_timer(code)
        waits_s = self._chip.timer_s
        if waits_s is None:
            waits_s = timeout_s
        status, answer = self._chip.through(frame, waits_s + self._on_the_way_s(len(frame)))
        if status == STATUS_FINE and answer:
            return answer
        if status == STATUS_TIMEOUT:
            # Rare enough to look whether it was the card that fell silent, and not a chip that was reset.
            self._chip.check_field()
            raise FrameLost
        if status in _BROKEN or status == STATUS_FINE:
            raise FrameBroken
        raise NfcDeviceError(NfcTrouble.LOST, _TROUBLES.get(status, f"the chip says {status:02x}"))

    def _on_the_way_s(self, length: int) -> float:
        """Return how long the two frames may take on the air and on the line, the answer being as long as any."""
        count = length + LONGEST_FRAME
        return _SLACK_S + (count + 30) * 10 / self._chip.baud + count * 9 * _ETU_S

    def set_rate(self, kbits: int) -> None:
        """Talk at another bit rate from the next frame on, both ways: 106, 212 or 424. Raises NfcDeviceError."""
        self.kbits = kbits
        threshold, width, timing = _ANALOG[kbits]
        analog = ((RX_THRESHOLD, threshold), (MOD_WIDTH, width), (MIF_NFC, timing))
        self._chip.write_registers(*self._mode(), *analog)

    def restore(self) -> None:
        """Set the chip's registers for this card again, after it was made to look for others. Raises NfcDeviceError."""
        if self.kbits == _FIRST_RATE:
            self._chip.write_registers(*self._mode())
        else:
            self.set_rate(self.kbits)

    def _mode(self) -> tuple[tuple[int, int], ...]:
        mode = CRC_ON | _SPEED[self.kbits]
        return (TX_MODE, mode), (RX_MODE, mode), (BIT_FRAMING, 0x00)
