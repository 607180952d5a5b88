"""The block protocol of contactless cards from the card's side (ISO/IEC 14443-4 clause 7), strictly by its rules.

What the reader does against the rules is written down in `complaints` and met with silence, as a card would.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from mdoc_reader.lab.nfc_air import CARRIER_HZ
from mdoc_reader.lab.nfc_apdus import ApduHandler

FWT_UNIT_S = 256 * 16 / CARRIER_HZ
LONGEST_FWT_S = FWT_UNIT_S * 2**14
_MOST_COMMAND = 70_000
_ASKS_AT = 0.75
"""At which part of its waiting time a card that still thinks asks for more."""
_RISKS = 0.9
"""Up to which part of it a card answers without having asked."""

_CHAINED = 0x10
_WITH_CID = 0x08
_WITH_NAD = 0x04


def frame_waiting_time(fwi: int) -> float:
    """Return the seconds of FWT for an FWI; 15 is reserved and means 4, as a reader must take it."""
    return FWT_UNIT_S * (1 << (fwi if fwi < 15 else 4))


@dataclass(frozen=True, slots=True)
class Wtx:
    """When the card asks for more time although it needs none.

    Args:
        at: indices of the I-blocks and acknowledgements the card owes, counted from its activation.
        times: how many requests in a row.
        multiplier: WTXM of every request, 1 to 59; also of those the card needs because it thinks.
    """

    at: Container[int] = ()
    times: int = 1
    multiplier: int = 1


@dataclass(frozen=True, slots=True)
class Block:
    """A block the card sends, without CRC; how long it takes to begin, and how long it may take."""

    data: bytes = field(repr=False)
    after_s: float = 0.0
    within_s: float = 0.0


class _Breach(Exception):  # noqa: N818 -- of the rules, by the reader
    """What the reader did."""


@dataclass(slots=True)
class _Owed:
    """What the card will send once it has the time it asks for."""

    data: bytes
    think_s: float
    extra: int
    """How many more requests come first that are not needed."""


class BlockPicc:
    """One activation of the block protocol; made anew by each answer to select."""

    def __init__(
        self,
        apdus: ApduHandler,
        complaints: list[str],
        *,
        fsd: int,
        fsc: int,
        fwt_s: float,
        cid: int | None,
        wtx: Wtx,
        most_inf: int | None = None,
    ) -> None:
        """Start after activation.

        Args:
            apdus: who answers.
            complaints: where breaches of the rules by the reader are noted.
            fsd: bytes of the largest frame the reader takes, with CRC.
            fsc: the same for the card.
            fwt_s: the frame waiting time the card has announced.
            cid: the number the reader gave the card; None when the card has no use for one.
            wtx: when to ask for time.
            most_inf: the longest information field the card cares to send; None for what the reader takes.
        """
        self._apdus = apdus
        self._complaints = complaints
        self._fsd = fsd
        self._fsc = fsc
        self._fwt_s = fwt_s
        self._cid = cid
        self._wtx = wtx
        self._most_inf = most_inf
        self._number = 1  # rule C
        self._last: Block | None = None
        self._owed: _Owed | None = None
        self._inbox = bytearray()
        self._outbox = b""
        self._sending = False
        self._due = 0
        self.deselected = False

    def hear(self, block: bytes) -> Block | None:
        """Take a block that came without transmission error; return the card's, or None when it stays silent."""
        try:
            return self._hear(block) if block else None
        except _Breach as breach:
            self._complaints.append(str(breach))
            return None

    def _hear(self, block: bytes) -> Block | None:
        pcb = block[0]
        if len(block) + 2 > self._fsc:
            raise _Breach(f"a frame of {len(block) + 2} bytes where the card takes {self._fsc}")
        header = 1
        prefix = b""
        if pcb & _WITH_CID:
            if self._cid is None or len(block) < 2 or block[1] & 0x0F != self._cid:
                return None  # for another card
            prefix, header = block[1:2], 2
        elif self._cid:
            return None
        if pcb & 0xC2 == 0x02 and not pcb & 0x20:
            if pcb & _WITH_NAD:
                raise _Breach("a node address, which the card never offered")
            return self._on_information(pcb, prefix, block[header:])
        if pcb & 0xE6 == 0xA2:
            if len(block) > header:
                raise _Breach("a long R-block")
            return self._on_acknowledgement(pcb, prefix)
        if pcb & 0xF7 == 0xC2:
            return self._on_deselect(block)
        if pcb & 0xF7 == 0xF2:
            return self._on_more_time(block[header:], prefix)
        raise _Breach(f"a block that begins with {pcb:02x}")

    def _on_information(self, pcb: int, prefix: bytes, inf: bytes) -> Block | None:
        if pcb & 1 == self._number:
            raise _Breach("an I-block with the number of the one before")
        if self._owed is not None:
            raise _Breach("an I-block where S(WTX) was to be answered")
        if self._sending:
            self._complaints.append("an I-block into a chain of the card's")
            self._sending, self._outbox = False, b""
        self._number ^= 1  # rule D
        self._inbox += inf
        if len(self._inbox) > _MOST_COMMAND:
            self._inbox.clear()
            raise _Breach("a command without end")
        if pcb & _CHAINED:
            return self._owe(self._header(0xA2, prefix), 0.0, prefix)  # rule 2
        command = bytes(self._inbox)
        self._inbox.clear()
        think_s = 0.0
        self._outbox = b""
        if command:
            answer = self._apdus.on_apdu(command)
            self._outbox, think_s = answer.data, answer.after_s
        return self._next_part(prefix, think_s)

    def _on_acknowledgement(self, pcb: int, prefix: bytes) -> Block | None:
        if pcb & 1 == self._number:
            return self._last  # rule 11
        if pcb & _CHAINED:
            return Block(self._header(0xA2, prefix))  # rule 12: a negative acknowledgement of what never came
        if not self._sending or self._owed is not None:
            raise _Breach("an acknowledgement of nothing")
        self._number ^= 1  # rules 13 and E
        return self._next_part(prefix, 0.0)

    def _on_deselect(self, block: bytes) -> Block:
        self.deselected = True
        self._last = Block(block)
        return self._last

    def _on_more_time(self, inf: bytes, prefix: bytes) -> Block | None:
        if self._owed is None:
            raise _Breach("an S(WTX) response to nothing")
        if len(inf) != 1 or inf[0] & 0x3F != self._wtx.multiplier:
            raise _Breach("an S(WTX) response with another multiplier")
        waiting_s = min(self._fwt_s * self._wtx.multiplier, LONGEST_FWT_S)
        owed, self._owed = self._owed, None
        return self._pay(owed, waiting_s, prefix)

    def _next_part(self, prefix: bytes, think_s: float) -> Block | None:
        room = self._fsd - 3 - len(prefix)
        if self._most_inf is not None:
            room = max(1, min(room, self._most_inf))
        part, self._outbox = self._outbox[:room], self._outbox[room:]
        self._sending = bool(self._outbox)
        return self._owe(self._header(0x12 if self._sending else 0x02, prefix) + part, think_s, prefix)

    def _header(self, pcb: int, prefix: bytes) -> bytes:
        return bytes((pcb | self._number | (_WITH_CID if prefix else 0),)) + prefix

    def _owe(self, data: bytes, think_s: float, prefix: bytes) -> Block:
        extra = self._wtx.times if self._due in self._wtx.at else 0
        self._due += 1
        return self._pay(_Owed(data, think_s, extra), self._fwt_s, prefix)

    def _pay(self, owed: _Owed, waiting_s: float, prefix: bytes) -> Block:
        """Send what is owed within `waiting_s`, or ask for more time (rule 9)."""
        if owed.extra > 0:
            owed.extra -= 1
            after_s = 0.0
        elif owed.think_s > waiting_s * _RISKS:
            after_s = waiting_s * _ASKS_AT
            owed.think_s -= after_s
        else:
            # Said once more, it needs no thinking.
            self._last = Block(owed.data)
            return Block(owed.data, owed.think_s, waiting_s)
        self._owed = owed
        request = bytes((0xF2 | (_WITH_CID if prefix else 0),)) + prefix + bytes((self._wtx.multiplier,))
        self._last = Block(request)
        return Block(request, after_s, waiting_s)
