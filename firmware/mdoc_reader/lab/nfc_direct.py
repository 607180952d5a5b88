"""A reader without a chip: frames straight into the field, on a clock of its own that nobody waits for.

For tests that need every position of every fault: thousands of exchanges a second, with the same cards, the same
faults and the same verdicts about time as behind the emulated chip.
"""

from __future__ import annotations

from mdoc_reader.lab.nfc_air import CARD_DELAY_S, READER_DELAY_S, Kind, RfFrame, air_time, with_crc, without_crc
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.nfc_type_a import REQA, WUPA
from mdoc_reader.nfc.ports import FrameBroken, FrameLost

_SELECT_LEVELS = (0x93, 0x95, 0x97)
_NOT_COMPLETE = 0x04


class DirectFrames:
    """The `Frames` of the only type A card in a field. Selects it when made; raises FrameLost when there is none."""

    def __init__(self, field: RfField, *, longest: int = 262) -> None:
        """Switch the field on and select. `longest` is how many bytes without CRC an answer may have."""
        self.longest = longest
        self.clock = 0.0
        """Seconds that have passed: on the air, in the card, in time-outs."""
        self._field = field
        self._rate = 1
        field.switch(on=True)
        self.select()

    def select(self, *, wake: bool = False) -> bytes:
        """Select the card and return its identifier. With `wake` one that was deselected, too."""
        self._rate = 1
        self._air(bytes((WUPA if wake else REQA,)), 7)
        uid = b""
        for code in _SELECT_LEVELS:
            part = self._air(bytes((code, 0x20)), 8)
            sak = self._air(with_crc(Kind.A, bytes((code, 0x70)) + part), 8)
            if not sak[0] & _NOT_COMPLETE:
                return uid + part[:4]
            uid += part[1:4]
        raise FrameBroken

    def set_rate(self, kbit: int) -> None:
        """Change the bit rate both ways: 106, 212, 424 or 848."""
        self._rate = kbit // 106

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock += seconds

    def exchange(self, frame: bytes, timeout_s: float) -> bytes:
        """Exchange frames without CRC. Raises FrameLost and FrameBroken."""
        body = without_crc(Kind.A, self._air(with_crc(Kind.A, frame), 8, timeout_s))
        if body is None or len(body) > self.longest:
            raise FrameBroken
        return body

    def _air(self, data: bytes, last_bits: int, timeout_s: float = 0.001) -> bytes:
        self.clock += air_time(len(data), Kind.A, self._rate)
        met = self._field.send(RfFrame(data, rate=self._rate, last_bits=last_bits, at=self.clock))
        if met is None or met.answer.rate != self._rate or CARD_DELAY_S + met.answer.after_s > timeout_s:
            self.clock += timeout_s
            raise FrameLost
        answer = met.answer
        self.clock += CARD_DELAY_S + answer.after_s + air_time(len(answer.data), Kind.A, self._rate) + READER_DELAY_S
        if answer.damage is not None:
            raise FrameBroken
        return answer.data
