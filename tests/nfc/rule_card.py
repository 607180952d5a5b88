"""The card's half of ISO/IEC 14443-4 clause 7.5, written from its rules alone, and an air that misbehaves on request.

The card is as trusting as the rules allow: it takes every I-block for a new one (rule D). A reader that
repeats an I-block the card has had makes it hear wrong data, and that is what the tests look for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mdoc_reader.nfc.ports import FrameBroken, FrameLost


@dataclass
class RuleCard:
    """A card that was just activated.

    Args:
        answers: from a command to its response.
        fsc: bytes of the largest frame it takes, with CRC.
        part: bytes of data in each of its I-blocks.
        wtx: indices of the I-blocks and acknowledgements owed before which it asks for time.
        times, factor: how often in a row it asks, and for how much.
        wary: whether it ignores an I-block with the number of the one before, as the rules permit.
    """

    answers: Callable[[bytes], bytes]
    fsc: int = 16
    part: int = 13
    wtx: Container[int] = ()
    times: int = 1
    factor: int = 1
    wary: bool = False
    heard: list[bytes] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    number: int = 1
    gone: bool = False
    _in: bytes = b""
    _out: list[bytes] = field(default_factory=list)
    _last: bytes | None = None
    _owed: bytes | None = None
    _asks: int = 0
    _due: int = 0

    def hear(self, frame: bytes) -> bytes | None:
        """Take a frame without its CRC; return the one that answers, or None."""
        if self.gone:
            return None
        if not 1 <= len(frame) <= self.fsc - 2:
            self.breaches.append(f"{len(frame)} octets")
            return None
        head, rest = frame[0], frame[1:]
        if head == 0xC2 and not rest:
            self.gone = True
            return b"\xc2"
        if head == 0xF2:
            return self._granted(rest)
        if head in {0xA2, 0xA3, 0xB2, 0xB3} and not rest:
            return self._acknowledged(head)
        if head in {0x02, 0x03, 0x12, 0x13}:
            return self._informed(head, rest)
        self.breaches.append(f"block {head:02x}")
        return None

    def _informed(self, head: int, rest: bytes) -> bytes | None:
        if head & 1 == self.number:
            self.breaches.append("an I-block twice")
            if self.wary:
                return None
        self.number ^= 1  # D
        self._owed, self._out = None, []
        self._in += rest
        if head & 0x10:
            return self._say(bytes((0xA2 | self.number,)))  # 2
        command, self._in = self._in, b""
        self.heard.append(command)
        answer = self.answers(command)
        self._out = [answer[at : at + self.part] for at in range(0, len(answer), self.part)] or [b""]
        return self._next()

    def _next(self) -> bytes:
        part = self._out.pop(0)
        return self._say(bytes(((0x12 if self._out else 0x02) | self.number,)) + part)

    def _acknowledged(self, head: int) -> bytes | None:
        if head & 1 == self.number:
            return self._last  # 11
        if head & 0x10:
            return bytes((0xA2 | self.number,))  # 12; it is not the last block in the sense of 11
        if not self._out or self._owed is not None:
            self.breaches.append("R(ACK) to nothing")
            return None
        self.number ^= 1  # E
        return self._next()  # 13

    def _say(self, block: bytes) -> bytes:
        asks = self._due in self.wtx
        self._due += 1
        self._last = block
        if asks:
            self._owed, self._asks = block, self.times
            self._last = bytes((0xF2, self.factor))
        return self._last

    def _granted(self, rest: bytes) -> bytes | None:
        if self._owed is None or rest != bytes((self.factor,)):
            # An air that says things twice makes even a right reader say this: the card stays silent.
            return None
        self._asks -= 1
        if self._asks > 0:
            return self._last
        self._last, self._owed = self._owed, None
        return self._last


class Bad(StrEnum):
    """What happens to the frames of one exchange."""

    UNHEARD = "the card hears nothing"
    LOST = "the answer is lost"
    BROKEN = "the answer is damaged"
    TWICE = "the next exchange gets this answer again, and its own is lost"
    TWICE_QUEUED = "the next exchange gets this answer again, and every later one the answer before"
    LATE = "the answer comes too late: the next exchange gets it, and its own is lost"
    LATE_QUEUED = "the answer comes too late: the next exchange gets it, and every later one the answer before"
    FOREIGN = "something comes that is whole, and no block"


RADIO = (Bad.UNHEARD, Bad.LOST, Bad.BROKEN, Bad.TWICE, Bad.LATE, Bad.FOREIGN)
"""What half-duplex radio can do; a queue takes a clumsy front end as well."""


class Air:
    """`ports.Frames` to a RuleCard, with one fault or none for each exchange, counted from 0."""

    longest = 254

    def __init__(self, card: RuleCard, faults: Mapping[int, Bad] | None = None, *, most: int = 5000) -> None:
        self.card = card
        self.faults = faults or {}
        self.sent: list[bytes] = []
        self.waits: list[float] = []
        self.rate = 106
        self._most = most
        self._stale: deque[bytes] = deque()
        self._instead: bytes | None = None

    def exchange(self, frame: bytes, timeout_s: float) -> bytes:
        assert len(self.sent) < self._most, "it never ends"
        bad = self.faults.get(len(self.sent))
        self.sent.append(frame)
        self.waits.append(timeout_s)
        instead, self._instead = self._instead, None
        said = None if bad is Bad.UNHEARD else self.card.hear(frame)
        if self._stale and said is not None:
            self._stale.append(said)
            said = self._stale.popleft()
        elif self._stale:
            said = self._stale.popleft()
        elif instead is not None:
            said = instead
        if said is None or bad is Bad.LOST:
            raise FrameLost
        if bad is Bad.BROKEN:
            raise FrameBroken
        if bad is Bad.FOREIGN:
            return b"\x5a\xa5"
        if bad is Bad.TWICE:
            self._instead = said
        elif bad is Bad.TWICE_QUEUED:
            self._stale.appendleft(said)
        elif bad is Bad.LATE:
            self._instead = said
            raise FrameLost
        elif bad is Bad.LATE_QUEUED:
            self._stale.appendleft(said)
            raise FrameLost
        return said

    def set_rate(self, kbits: int, /) -> None:
        self.rate = kbits
