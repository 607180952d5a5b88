"""How long counted Bluetooth traffic takes on the air: a small model of one LE connection, without radio or clock.

In goes a `Trace`, what two hosts said to each other in order; out comes when each word arrived. Nothing else in these
benchmarks computes time: the floor (`air_floor`) is a trace as well and goes through the same model.

The packet (Core specification 6.0, Vol 6 Part B 2.1, LE 1M and LE 2M): preamble of 1 or 2 octets, access address 4,
header 2, payload up to the data length, integrity code 4 on an encrypted link (ISO 18013-5 asks for none), check 3; 8
or 4 microseconds an octet. 251 octets unencrypted take 2088 us on 1M, an empty packet 80 us.

The connection event (4.5.1, 4.5.6): one each connection interval. The central speaks first, the other side answers
150 us (T_IFS) later, with an empty packet if it has nothing. They go on by turns while either said that it has more,
as long as the pair still ends T_IFS before the next event and the radio's own limit of pairs is not reached.

The start of the connection (4.5.3): the first event comes 1.25 ms after CONNECT_IND, if the central chooses no larger
offset; on 1M, with 27 octets. What a radio of the given conditions must agree on first is in the model, not in the
trace, because a count above the controller cannot see it: feature exchange (5.1.4), data length update (5.1.9), PHY
update (5.1.10, in force six events later). These run beside the hosts' traffic, one at a time; a controller answers
after `controller_us`. No specification makes a central do them, but every one does; floor and count bear the same.

Who waits for whom. A host answers after `host_us`, so normally one event later. Every word follows those its side
said before it, and further:
- a response waits for the last request of the other side (ATT is sequential, Vol 3 Part F 3.3.2);
- requests, streamed values and credit-based frames wait for the last response, value or frame of the other side;
- a frame waits for its credit (Vol 3 Part A 10.1) where the trace tells credits, a credit for the other side's last
  frame, and nobody for a credit that is not needed; the end of the connection goes after everything.
What people and programs take to think is not in here, and nothing is lost or sent twice.

Before the connection: an advertisement is sent every advertising interval and a random 0 to 10 ms (4.4.2.2), and the
other side always listens. CONNECT_IND answers the last of `sightings`; the first comes after half an interval.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, StrEnum


class Side(StrEnum):
    """Who speaks."""

    READER = "reader"
    PHONE = "phone"

    @property
    def other(self) -> Side:
        """Who listens."""
        return Side.PHONE if self is Side.READER else Side.READER


class Way(StrEnum):
    """How reader and phone are connected. The GATT server is the one that advertises, the other is the central."""

    PHONE_SERVER = "phone-server"
    READER_SERVER = "reader-server"
    PHONE_CHANNEL = "phone-channel"
    READER_CHANNEL = "reader-channel"

    @property
    def central(self) -> Side:
        """Who connects, and speaks first in every event."""
        return Side.READER if self in {Way.PHONE_SERVER, Way.PHONE_CHANNEL} else Side.PHONE


class Phase(StrEnum):
    """What a word is for, in the order of a presentation."""

    FIND = "find"
    SETUP = "setup"
    REQUEST = "request"
    RESPONSE = "response"
    END = "end"


class Kind(StrEnum):
    """How a word waits for others; see the head of this module."""

    REQUEST = "request"
    RESPONSE = "response"
    STREAM = "stream"
    FRAME = "frame"
    CREDIT = "credit"
    TERMINATE = "terminate"
    LINK = "link"
    LINK_LENGTH = "link-length"
    LINK_PHY = "link-phy"


class Phy(Enum):
    """A physical layer: microseconds an octet, octets of preamble."""

    ONE = (8, 1)
    TWO = (4, 2)

    def __str__(self) -> str:
        """Return its name in the specification."""
        return "1M" if self is Phy.ONE else "2M"


_LINK = frozenset({Kind.LINK, Kind.LINK_LENGTH, Kind.LINK_PHY})
_NO_HEADER = _LINK | {Kind.TERMINATE}
_SAID = (Kind.RESPONSE, Kind.STREAM, Kind.FRAME)
_CAUSES: dict[Kind, tuple[Kind, ...]] = {
    Kind.REQUEST: _SAID,
    Kind.STREAM: _SAID,
    Kind.FRAME: _SAID,
    Kind.TERMINATE: _SAID,
    Kind.RESPONSE: (Kind.REQUEST,),
    Kind.CREDIT: (Kind.FRAME,),
    **dict.fromkeys(_LINK, tuple(_LINK)),
}
_L2CAP_HEADER = 4
_TRANSMIT_WINDOW_DELAY_US = 1250
_ADVERTISING_DELAY_US = 5000
_ADV_IND_OCTETS = 6 + 3 + 18  # address, flags, one 128-bit service UUID
_CONNECT_IND_OCTETS = 34


@dataclass(frozen=True, slots=True)
class Pdu:
    """One word on the connection: an ATT PDU, a signalling PDU, a K-frame, or a link layer control PDU.

    `octets` are those inside the L2CAP header (of a link layer PDU, of its payload). `grants` are the credits it gives
    the other side. `by_phone` marks what the phone chose to do. `beside`: nothing else waits for it, nor it for
    anything else, and it is left when the rest is over, as a host's exploring while a channel carries the session.
    """

    phase: Phase
    sender: Side
    kind: Kind
    octets: int
    name: str = ""
    grants: int = 0
    by_phone: bool = False
    beside: bool = False

    def __post_init__(self) -> None:
        """Refuse sizes no such PDU has. Raises ValueError."""
        if not 0 < self.octets <= 0xFFFF or not 0 <= self.grants <= 0xFFFF:
            raise ValueError(f"{self.octets} octets granting {self.grants} credits is no PDU")


@dataclass(frozen=True, slots=True)
class Trace:
    """One presentation: what came before the connection, and every word the hosts said, in order.

    `request_bytes` and `response_bytes` are the whole session messages. `gated` says that the reader's host begins only
    after the controllers' feature exchange, as Linux does. `advertising_us` is the advertiser's interval. `mtu` is the
    ATT MTU agreed, 0 where there was none, and `phone_mtu` the largest the phone takes.
    """

    way: Way
    pdus: tuple[Pdu, ...]
    request_bytes: int
    response_bytes: int
    mtu: int = 0
    sightings: int = 2
    advertising_us: int = 100_000
    gated: bool = False
    phone_mtu: int = 517

    def without_phone(self) -> Trace:
        """Return the same without what the phone chose to do."""
        return replace(self, pdus=tuple(pdu for pdu in self.pdus if not pdu.by_phone))


@dataclass(frozen=True, slots=True)
class Conditions:
    """The radio, in microseconds and octets. `pairs` None: as many packets an event as fit the interval."""

    interval_us: int = 30_000
    phy: Phy = Phy.TWO
    data_length: int = 251
    pairs: int | None = None
    host_us: int = 1000
    controller_us: int = 1000
    instant_events: int = 6
    t_ifs_us: int = 150
    encrypted: bool = False

    def __post_init__(self) -> None:
        """Refuse what the specification does not allow. Raises ValueError."""
        if not 7500 <= self.interval_us <= 4_000_000 or self.interval_us % 1250:
            raise ValueError("a connection interval is 7.5 ms to 4 s in steps of 1.25 ms")
        if not 27 <= self.data_length <= 251:
            raise ValueError("a data length is 27 to 251 octets")
        if self.pairs is not None and self.pairs < 1:
            raise ValueError("an event has at least one pair of packets")
        if min(self.host_us, self.controller_us) < 0 or max(self.host_us, self.controller_us) > 60_000_000:
            raise ValueError("a turnaround takes up to a minute")

    def packet_us(self, octets: int, phy: Phy | None = None) -> int:
        """Return how long a data packet with that many octets of payload is on the air."""
        return _air_us(octets + (4 if self.encrypted and octets else 0), phy or self.phy)


def _air_us(octets: int, phy: Phy) -> int:
    return phy.value[0] * (phy.value[1] + 4 + 2 + octets + 3)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trace takes under given conditions. Microseconds; `packets` are those that carried something."""

    phases: dict[Phase, int]
    arrivals: tuple[int, ...]
    radio_us: int
    packets: int
    events: int

    @property
    def total_us(self) -> int:
        """From the first listening to the end of the last word."""
        return sum(self.phases.values())


def link_layer(conditions: Conditions, central: Side, *, gated: bool) -> tuple[Pdu, ...]:
    """Return what the controllers say first to reach these conditions (Vol 6 Part B 2.4.2 for the sizes)."""
    longer, faster = conditions.data_length > 27, conditions.phy is Phy.TWO

    def word(sender: Side, octets: int, name: str, kind: Kind = Kind.LINK) -> Pdu:
        return Pdu(Phase.SETUP, sender, kind, octets, name)

    words: list[Pdu] = []
    if longer or faster or gated:
        words += [word(central, 9, "LL_FEATURE_REQ"), word(central.other, 9, "LL_FEATURE_RSP")]
    if longer:
        words += [word(central, 9, "LL_LENGTH_REQ"), word(central.other, 9, "LL_LENGTH_RSP", Kind.LINK_LENGTH)]
    if faster:
        words += [word(central, 3, "LL_PHY_REQ"), word(central.other, 3, "LL_PHY_RSP")]
        words += [word(central, 5, "LL_PHY_UPDATE_IND", Kind.LINK_PHY)]
    return tuple(words)


def simulate(trace: Trace, conditions: Conditions) -> Outcome:
    """Send a trace through a radio. Raises ValueError where a word waits for something that never comes."""
    return _Connection(trace, conditions).run()


def find_us(trace: Trace, conditions: Conditions) -> int:
    """Return the time to the end of CONNECT_IND, with the scanner's first listening at a random moment."""
    step = trace.advertising_us + _ADVERTISING_DELAY_US
    connect = _air_us(_ADV_IND_OCTETS, Phy.ONE) + conditions.t_ifs_us + _air_us(_CONNECT_IND_OCTETS, Phy.ONE)
    return step // 2 + (trace.sightings - 1) * step + connect


class _Lane:
    """What one side still has to send, in order: of its controller, of its host, or of its host beside that."""

    def __init__(self, indices: Iterable[int]) -> None:
        self.waiting = list(reversed(list(indices)))
        self.left = 0  # octets of the first that are still to be sent; 0 where it was not begun


def _lane(pdu: Pdu) -> int:
    """Return what goes first: the controller, then what is small and beside."""
    if pdu.kind in _LINK:
        return 0
    return 1 if pdu.beside else 2


class _Connection:
    """One run of `simulate`."""

    def __init__(self, trace: Trace, conditions: Conditions) -> None:
        self._conditions = conditions
        self._central = trace.way.central
        link = link_layer(conditions, self._central, gated=trace.gated)
        self._pdus = link + trace.pdus
        self._skip = len(link)
        self._needs = _needs(self._pdus, Side.READER if trace.gated else None)
        self._arrived: list[int | None] = [None] * len(self._pdus)
        self._host_words_left = sum(not pdu.beside for pdu in trace.pdus)
        self._lanes = {
            side: [
                _Lane(i for i, pdu in enumerate(self._pdus) if pdu.sender is side and _lane(pdu) == lane)
                for lane in range(3)
            ]
            for side in Side
        }
        self._phy, self._data_length = Phy.ONE, 27
        self._phy_at: int | None = None
        self._event = 0
        self._radio_us = self._packets = 0
        self._connected = find_us(trace, conditions)

    def run(self) -> Outcome:
        conditions = self._conditions
        patience = 10 + max(conditions.host_us, conditions.controller_us) // conditions.interval_us
        idle = 0
        while self._host_words_left and idle <= patience:
            before = self._packets
            if self._phy_at == self._event:
                self._phy = conditions.phy
            first = self._connected + _TRANSMIT_WINDOW_DELAY_US
            self._connection_event(first + self._event * conditions.interval_us)
            self._event += 1
            idle = 0 if self._packets > before else idle + 1
        if self._host_words_left:
            raise ValueError("the trace waits for something that never comes")
        return self._outcome()

    def _connection_event(self, anchor: int) -> None:
        conditions, central = self._conditions, self._central
        latest = anchor + conditions.interval_us - conditions.t_ifs_us
        most = conditions.pairs or conditions.interval_us
        now, pairs, more = anchor, 0, True
        while more and pairs < most and self._fits(now, latest, first=pairs == 0):
            now, central_has_more = self._packet(central, now)
            now, peripheral_has_more = self._packet(central.other, now + conditions.t_ifs_us)
            now += conditions.t_ifs_us
            pairs += 1
            more = (central_has_more or peripheral_has_more) and self._host_words_left > 0

    def _fits(self, now: int, latest: int, *, first: bool) -> bool:
        """Say whether the next pair ends in time. The first pair of an event always may go."""
        there = self._conditions.packet_us(self._next_octets(self._central, now), self._phy)
        then = now + there + self._conditions.t_ifs_us
        return (
            first
            or then + self._conditions.packet_us(self._next_octets(self._central.other, then), self._phy) <= latest
        )

    def _ready(self, lane: _Lane, now: int) -> bool:
        if not lane.waiting:
            return False
        index = lane.waiting[-1]
        pause = self._conditions.controller_us if self._pdus[index].kind in _LINK else self._conditions.host_us
        arrivals = [self._connected, *(self._arrived[need] for need in self._needs[index])]
        return all(at is not None and at + pause <= now for at in arrivals)

    def _octets_left(self, lane: _Lane) -> int:
        pdu = self._pdus[lane.waiting[-1]]
        return lane.left or pdu.octets + (0 if pdu.kind in _NO_HEADER else _L2CAP_HEADER)

    def _next_lane(self, side: Side, now: int) -> _Lane | None:
        return next((lane for lane in self._lanes[side] if self._ready(lane, now)), None)

    def _next_octets(self, side: Side, now: int) -> int:
        lane = self._next_lane(side, now)
        return 0 if lane is None else min(self._octets_left(lane), self._data_length)

    def _packet(self, side: Side, now: int) -> tuple[int, bool]:
        """Send one packet; return when it ends and whether the side had more when it began to send."""
        lane, octets = self._next_lane(side, now), self._next_octets(side, now)
        end = now + self._conditions.packet_us(octets, self._phy)
        self._radio_us += end - now
        if lane is None:
            return end, False
        self._packets += 1
        lane.left = self._octets_left(lane) - octets
        done = None if lane.left else lane.waiting.pop()
        has_more = self._next_lane(side, now) is not None
        if done is not None:
            self._arrive(done, end)
        return end, has_more

    def _arrive(self, index: int, at: int) -> None:
        self._arrived[index] = at
        kind = self._pdus[index].kind
        self._host_words_left -= kind not in _LINK and not self._pdus[index].beside
        if kind is Kind.LINK_LENGTH:
            self._data_length = self._conditions.data_length
        elif kind is Kind.LINK_PHY:
            self._phy_at = self._event + self._conditions.instant_events

    def _outcome(self) -> Outcome:
        ended = self._connected
        phases = {Phase.FIND: ended}
        arrived = [
            (at, pdu)
            for at, pdu in zip(self._arrived[self._skip :], self._pdus[self._skip :], strict=True)
            if at is not None and not pdu.beside
        ]
        arrivals = tuple(at for at, _ in arrived)
        for phase in list(Phase)[1:]:
            of_phase = [at for at, pdu in arrived if pdu.phase is phase]
            last = max([ended, *of_phase])
            phases[phase], ended = last - ended, last
        return Outcome(phases, arrivals, self._radio_us, self._packets, self._event)


def _needs(pdus: tuple[Pdu, ...], gated: Side | None) -> list[tuple[int, ...]]:
    """Return for each word the indices of those that must have arrived, always earlier ones. Raises ValueError."""
    last: dict[tuple[bool, Side, Kind], int] = {}
    gate: int | None = None
    needs: list[tuple[int, ...]] = []
    for index, pdu in enumerate(pdus):
        other = pdu.sender.other
        keys = [(pdu.beside, other, kind) for kind in _CAUSES[pdu.kind]]
        causes = [last[key] for key in keys if key in last]
        if pdu.kind is Kind.RESPONSE and not causes:
            raise ValueError("a response without a request")
        need = {max(causes)} if causes else set()
        if gate is not None and pdu.sender is gated and pdu.kind not in _LINK:
            need.add(gate)
        needs.append(tuple(need))
        last[pdu.beside, pdu.sender, pdu.kind] = index
        if pdu.name == "LL_FEATURE_RSP":
            gate = index
    for side in Side:
        _need_credits(pdus, side, needs)
    return needs


def _need_credits(pdus: tuple[Pdu, ...], side: Side, needs: list[tuple[int, ...]]) -> None:
    """Let each frame of a side wait for the word that gave it its credit, where the trace tells credits at all."""
    granted = [index for index, pdu in enumerate(pdus) if pdu.sender is side.other for _ in range(pdu.grants)]
    frames = [index for index, pdu in enumerate(pdus) if pdu.sender is side and pdu.kind is Kind.FRAME]
    if not granted:
        return
    if len(granted) < len(frames) or any(credit > frame for credit, frame in zip(granted, frames, strict=False)):
        raise ValueError("a frame without a credit")
    for credit, frame in zip(granted, frames, strict=False):
        needs[frame] = (*needs[frame], credit)
