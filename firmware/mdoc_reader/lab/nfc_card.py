"""A card or phone of ISO/IEC 14443-4 type A in the field of the emulated chip, with the faults it is told to have."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from mdoc_reader.lab.nfc_air import (
    CARD_DELAY_S,
    FRAME_SIZES,
    Damage,
    Kind,
    RfAnswer,
    RfFrame,
    air_time,
    with_crc,
    without_crc,
)
from mdoc_reader.lab.nfc_apdus import ApduHandler
from mdoc_reader.lab.nfc_blocks import Block, BlockPicc, Wtx, frame_waiting_time
from mdoc_reader.lab.nfc_type_a import TypeA, TypeAState

ECP_IDENTITY = bytes.fromhex("6a0281030000")
"""The polling frame that tells a phone an identity reader is near, without CRC."""
_ECP_HOLDS_S = 5.0
_MOST_KEPT = 20_000


class FaultKind(StrEnum):
    """What happens to a frame."""

    DROP = "drop"
    CORRUPT = "corrupt"
    DUPLICATE = "duplicate"
    """To the card: it hears the frame twice and its first answer is lost. From it: it says it again to the next."""
    DELAY = "delay"


class Way(StrEnum):
    """Which frame of an exchange."""

    TO_CARD = "to card"
    FROM_CARD = "from card"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something goes wrong with one frame.

    Args:
        at: which exchange, counted from the making of the card; 0 is the first request for answer to select.
        kind: what happens.
        way: to which of its two frames.
        delay_s: of DELAY.
        damage: of CORRUPT, as the chip sees it; a card that hears damage stays silent whatever it is.
    """

    at: int
    kind: FaultKind
    way: Way = Way.FROM_CARD
    delay_s: float = 0.0
    damage: Damage = Damage.CRC


@dataclass(frozen=True, slots=True)
class Exchange:
    """One frame the selected card heard and what it said, without CRC. None: heard nothing whole, or said nothing."""

    heard: bytes | None = field(repr=False)
    said: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ats:
    """What an answer to select means (ISO/IEC 14443-4 clause 5.2), with the defaults for what is left out."""

    fsci: int = 2
    ta: int = 0
    fwi: int = 4
    sfgi: int = 0
    cid: bool = True


def read_ats(ats: bytes) -> Ats:
    """Read as much as is there; nothing is an error."""
    if len(ats) < 2:
        return Ats()
    t0, rest = ats[1], list(ats[2:])
    ta = rest.pop(0) if t0 & 0x10 and rest else 0
    tb = rest.pop(0) if t0 & 0x20 and rest else 0x40
    tc = rest.pop(0) if t0 & 0x40 and rest else 0x02
    return Ats(min(t0 & 0x0F, len(FRAME_SIZES) - 1), ta, tb >> 4, tb & 0x0F, bool(tc & 0x02))


def make_ats(
    *, fsci: int = 8, ta: int = 0x80, fwi: int = 8, sfgi: int = 0, cid: bool = False, historical: bytes = b""
) -> bytes:
    """Return an answer to select with all its interface bytes; `ta` 0x33 offers 212 and 424 kbit/s both ways."""
    body = bytes((0x70 | fsci, ta, fwi << 4 | sfgi, 0x02 if cid else 0x00)) + historical
    return bytes((len(body) + 1,)) + body


class Picc:
    """A type A card with the block protocol: what lies behind a phone's contactless interface."""

    def __init__(
        self,
        apdus: ApduHandler,
        *,
        uid: bytes | None = None,
        sak: int = 0x20,
        atqa: bytes | None = None,
        ats: bytes | None = None,
        fsci: int = 8,
        fwi: int = 8,
        sfgi: int = 0,
        ta: int = 0x80,
        historical: bytes = b"",
        turnaround_s: float = 0.0,
        most_inf: int | None = None,
        wtx: Wtx | None = None,
        faults: Sequence[Fault] = (),
        ecp: bytes | None = None,
        wakes_s: float = 0.0,
    ) -> None:
        """Describe the card.

        Args:
            apdus: its applications.
            uid: 4, 7 or 10 bytes; None for a random one at each power-up, as phones have.
            sak: the answer to select of type A.
            atqa: the answer to request as sent; made to fit when None.
            ats: the whole answer to select, of any shape; made of the next four when None.
            fsci: how large a frame the card takes.
            fwi: its frame waiting time.
            sfgi: how long it wants silence after its answer to select.
            ta: its bit rates.
            historical: the historical bytes.
            turnaround_s: what it needs for every frame beyond the shortest delay.
            most_inf: the longest information field it sends; None for all the reader takes.
            wtx: when it asks for time without need.
            faults: what goes wrong on the way.
            ecp: a polling frame without CRC that it must have heard before it answers; None answers everybody.
            wakes_s: how long after the first request it hears it does not answer yet.
        """
        self._apdus = apdus
        self.ats = ats if ats is not None else make_ats(fsci=fsci, ta=ta, fwi=fwi, sfgi=sfgi, historical=historical)
        self._means = read_ats(self.ats)
        self._turnaround_s = turnaround_s
        self._most_inf = most_inf
        self.wtx = wtx if wtx is not None else Wtx()
        self.faults: tuple[Fault, ...] = tuple(faults)
        self._ecp = ecp
        self._ecp_until = 0.0
        self._wakes_s = wakes_s
        self._now = 0.0
        self._first_heard: float | None = None
        self._quiet_until = 0.0
        self._may_until = 0.0
        self._a = TypeA(uid=uid, sak=sak, atqa=atqa, awake=self._awake)
        self._blocks: BlockPicc | None = None
        self._pps_possible = False
        self._rates = (1, 1)
        self._cid = 0
        self._guard_until = 0.0
        self._again: bytes | None = None
        self.complaints: list[str] = []
        """What the reader did against the rules."""
        self.exchanges: deque[Exchange] = deque(maxlen=_MOST_KEPT)
        """Every frame after selection; `exchanges[i]` is the one that `Fault.at` i means while none has fallen out."""
        self.count = 0
        """How many there were."""
        self.activations = 0
        """How often a request for answer to select was answered."""

    @property
    def uid(self) -> bytes:
        """The identifier it has at present."""
        return self._a.uid

    @property
    def active(self) -> bool:
        """Whether the block protocol runs."""
        return self._blocks is not None

    @property
    def rates(self) -> tuple[int, int]:
        """Bit rates to and from the card, as multiples of 106 kbit/s."""
        return self._rates

    def powered(self, *, on: bool) -> None:
        """Begin anew, or end."""
        self._end()
        self._a.powered(on=on)
        self._first_heard = None
        self._quiet_until = self._may_until = self._guard_until = 0.0

    def hear(self, frame: RfFrame) -> RfAnswer | None:
        """Take a frame from the reader."""
        self._now = frame.at
        if self._ecp is not None and without_crc(Kind.A, frame.data) == self._ecp and frame.last_bits == 8:
            self._ecp_until = frame.at + _ECP_HOLDS_S
        if self._a.state in {TypeAState.ACTIVE, TypeAState.PROTOCOL}:
            return self._exchange(frame)
        return self._a.hear(frame)

    def _awake(self) -> bool:
        if self._first_heard is None:
            self._first_heard = self._now
        return self._now >= self._first_heard + self._wakes_s and (self._ecp is None or self._now < self._ecp_until)

    def _end(self) -> None:
        if self._blocks is not None:
            self._blocks = None
            self._apdus.on_deselected()
        self._rates = (1, 1)
        self._again = None

    def _exchange(self, frame: RfFrame) -> RfAnswer | None:
        if frame.kind is not Kind.A:
            return None
        if frame.last_bits != 8 or (self._a.state is TypeAState.ACTIVE and frame.data[:1] != b"\xe0"):
            return self._a.hear(frame)  # a request, or what is for the state machine below
        faults = [one for one in self.faults if one.at == self.count]
        self.count += 1
        body = without_crc(Kind.A, frame.data)
        if frame.rate != self._rates[0]:
            self.complaints.append(f"a frame at {106 * frame.rate} kbit/s where {106 * self._rates[0]} was agreed")
            body = None
        if any(one.way is Way.TO_CARD and one.kind in {FaultKind.DROP, FaultKind.CORRUPT} for one in faults):
            body = None
            if self._a.state is TypeAState.ACTIVE and any(one.kind is FaultKind.CORRUPT for one in faults):
                self._a.rest()
        if frame.at < self._quiet_until:
            if frame.at < self._may_until:
                self.complaints.append("a frame while the card's waiting time still ran")
            body = None  # it is still busy with the last one
        rate = self._rates[1]
        if self._again is not None and body is not None:
            said: Block | None = Block(self._again)
            self._again = None
        else:
            said = self._say(body)
            if any(one.way is Way.TO_CARD and one.kind is FaultKind.DUPLICATE for one in faults):
                known = len(self.complaints)
                said = self._say(body)
                del self.complaints[known:]  # not the reader's doing
        self.exchanges.append(Exchange(body, said.data if said is not None else None))
        late = sum(one.delay_s for one in faults if one.kind is FaultKind.DELAY)
        return self._send(said, rate, late, faults)

    def _send(self, said: Block | None, rate: int, late: float, faults: list[Fault]) -> RfAnswer | None:
        if said is None:
            return None
        after_s = said.after_s + self._turnaround_s + late
        self._quiet_until = self._now + after_s
        self._may_until = self._now + said.within_s
        answer = RfAnswer(with_crc(Kind.A, said.data), rate=rate, after_s=after_s)
        for fault in faults:
            if fault.way is not Way.FROM_CARD:
                continue
            if fault.kind is FaultKind.DROP:
                return None
            if fault.kind is FaultKind.DUPLICATE:
                self._again = said.data
            elif fault.kind is FaultKind.CORRUPT:
                spoilt = answer.data[:-1] + bytes((answer.data[-1] ^ 0x10,))
                answer = replace(answer, data=spoilt, damage=fault.damage)
        return answer

    def _say(self, body: bytes | None) -> Block | None:
        """Answer what was heard, None when that was nothing whole."""
        if body is None:
            return None
        if self._blocks is None:
            return self._on_rats(body)
        if self._now < self._guard_until:
            self.complaints.append("a frame within the start-up frame guard time")
            return None
        if body[0] & 0xF0 == 0xD0:
            return self._on_pps(body)
        self._pps_possible = False
        said = self._blocks.hear(body)
        if self._blocks.deselected:
            self._end()
            self._a.halt()
        return said

    def _on_rats(self, body: bytes) -> Block | None:
        if len(body) != 2 or body[0] != 0xE0:
            self._a.rest()
            return None
        fsdi, cid = body[1] >> 4, body[1] & 0x0F
        if cid == 15:
            self.complaints.append("a reserved CID")
            return None
        self._cid = cid if self._means.cid else 0
        self._blocks = BlockPicc(
            self._apdus,
            self.complaints,
            fsd=FRAME_SIZES[min(fsdi, len(FRAME_SIZES) - 1)],
            fsc=FRAME_SIZES[self._means.fsci],
            fwt_s=frame_waiting_time(self._means.fwi),
            cid=self._cid if self._means.cid else None,
            wtx=self.wtx,
            most_inf=self._most_inf,
        )
        self._a.state = TypeAState.PROTOCOL
        self._pps_possible = True
        self.activations += 1
        if self._means.sfgi and self._means.sfgi < 15:
            said_s = air_time(len(self.ats) + 2, Kind.A, 1)
            self._guard_until = self._now + CARD_DELAY_S + said_s + frame_waiting_time(self._means.sfgi)
        return Block(self.ats)

    def _on_pps(self, body: bytes) -> Block | None:
        if not self._pps_possible:
            self.complaints.append("PPS elsewhere than right after the answer to select")
            return None
        self._pps_possible = False
        if body[0] & 0x0F != self._cid or len(body) < 2:
            return None
        pps1 = body[2] if body[1] & 0x10 and len(body) > 2 else 0
        to_card, from_card = pps1 & 3, pps1 >> 2 & 3
        ta = self._means.ta
        offered = (not to_card or ta >> (to_card - 1) & 1) and (not from_card or ta >> (from_card + 3) & 1)
        if not offered or (ta & 0x80 and to_card != from_card):
            self.complaints.append("PPS for a bit rate the card does not offer")
            return None
        self._rates = (1 << to_card, 1 << from_card)
        return Block(body[:1])


def random_faults(seed: int, exchanges: int, share: float) -> tuple[Fault, ...]:
    """Spoil this share of the exchanges, each by one fault of any kind either way; the same for the same seed."""
    source = random.Random(seed)
    return tuple(
        Fault(
            at,
            source.choice(tuple(FaultKind)),
            source.choice(tuple(Way)),
            delay_s=source.choice((0.001, 0.5)),
            damage=source.choice((Damage.CRC, Damage.PARITY, Damage.FRAMING)),
        )
        for at in range(exchanges)
        if source.random() < share
    )
