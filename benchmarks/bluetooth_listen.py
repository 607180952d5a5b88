"""What one presentation said on the air: by phase for the tables of `bluetooth.py`, as a trace for the air model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self, cast
from uuid import UUID

from bumble import ll
from bumble.controller import Controller

from air_model import Kind as Word
from air_model import Pdu, Phase, Side, Trace, Way
from air_trace import ATT, Recorded, from_recorded
from mdoc_reader.lab.air import Air
from mdoc_reader.lab.ear import Heard, Kind

PHONE_ADVERTISING_US = 100_000
READER = "reader"


@dataclass(frozen=True, slots=True)
class Listened:
    """One presentation: its trace, and the LL control packets of each side by name."""

    trace: Trace
    control: Counter[str]


class Lookout:
    """Notes what the reader's controller was doing at each advertisement of a phone, and how often it advertises.

    A scan, a passive scan that waits for the phone, and a request for a connection need an advertisement each; how many
    more pass depends on how fast guest and host are, which says nothing about a radio.
    """

    def __init__(self, air: Air) -> None:
        """Attach."""
        self.states: list[str] = []
        self.interval: tuple[float, float] = (0.0, 0.0)
        self._air = air
        air.link.listeners.append(self)

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Detach."""
        self._air.link.listeners.remove(self)

    @property
    def sightings(self) -> int:
        """How many advertisements a reader without delay needs until its CONNECT_IND."""
        needed = [state for number, state in enumerate(self.states) if state and state not in self.states[:number]]
        return len(needed)

    def on_advertising(self, sender: Controller, packet: ll.AdvertisingPdu) -> None:
        """Take an advertisement."""
        if sender.name == READER:
            if not isinstance(packet, ll.ConnectInd):
                own = sender.le_legacy_advertiser
                self.interval = (own.advertising_interval_min * 0.625, own.advertising_interval_max * 0.625)
            return
        reader = next((each for each in self._air.link.controllers if each.name == READER), None)
        if reader is None or isinstance(packet, ll.ConnectInd):
            return
        if reader.pending_le_connection is not None:
            self.states.append("connecting")
        elif reader.le_scan_enable:
            self.states.append("scanning" if reader.le_scan_type else "waiting")
        else:
            self.states.append("")

    def on_data(self, sender: Controller, receiver: Controller, data: bytes) -> None:
        """Take nothing."""

    def on_control(self, sender: Controller, receiver: Controller, packet: ll.ControlPdu) -> None:
        """Take nothing."""


def _side(name: str) -> Side:
    return Side.READER if name == READER else Side.PHONE


def listened(way: Way, heard: Sequence[Heard], request: int, response: int, lookout: Lookout | None = None) -> Listened:
    """Return what an ear heard of one presentation, payloads kept. Raises ValueError where it heard no connection."""
    connects = [number for number, each in enumerate(heard) if each.kind is Kind.CONNECT]
    if not connects:
        raise ValueError("nobody connected")
    last = heard[connects[-1] :]
    packets = [
        Recorded(_side(each.sender), cast("int", each.cid), each.payload)
        for each in last
        if each.kind is Kind.DATA and each.payload
    ]
    sightings, advertising = 2, 20_000
    if way.central is Side.READER:
        sightings, advertising = (lookout.sightings if lookout else 3), PHONE_ADVERTISING_US
    elif lookout is not None:
        advertising = round(sum(lookout.interval) / 2 * 1000)
    trace = from_recorded(
        way,
        packets,
        request,
        response,
        sightings=sightings,
        advertising_us=advertising,
        gated=True,
        att_beside=way is Way.PHONE_CHANNEL,
    )
    trace = _named(trace, packets)
    control = Counter(f"{_side(each.sender)} {each.control}" for each in last if each.kind is Kind.CONTROL)
    return Listened(trace, control)


@dataclass(frozen=True, slots=True)
class Said:
    """How often one side said something in a phase."""

    phase: str
    sender: Side
    name: str
    times: int
    octets: int
    by_phone: bool


_MDOC = UUID("00000000-a123-48ce-896b-4c76973373e6")
_NAMES = {1: "State", 2: "Client2Server", 3: "Server2Client", 5: "State", 6: "Client2Server", 7: "Server2Client"}
_NAMES |= {8: "Ident", 0xA: "PSM", 0xB: "PSM"}


class _Handles:
    """Which characteristic a handle belongs to, learnt from the declarations that go by."""

    def __init__(self) -> None:
        self._values: dict[int, str] = {}

    def named(self, payload: bytes, name: str) -> str:
        """Return what a PDU is, with the attribute it is about."""
        opcode = payload[0]
        if opcode == 0x09:
            self._learn(payload)
        elif opcode in {0x06, 0x08, 0x10} and len(payload) >= 7:
            return f"{name} {int.from_bytes(payload[5:7], 'little'):04X}"
        elif opcode in {0x0A, 0x12, 0x1B, 0x52}:
            return f"{name}, {self._of(int.from_bytes(payload[1:3], 'little'))}"
        return name

    def _learn(self, payload: bytes) -> None:
        size = payload[1]
        for start in range(2, len(payload) - size + 1, max(size, 1)):
            entry = payload[start : start + size]
            if size in {7, 21}:  # a declaration with a UUID of 2 or of 16 octets
                self._values[int.from_bytes(entry[3:5], "little")] = _short(entry[5:])

    def _of(self, handle: int) -> str:
        if handle in self._values:
            return self._values[handle]
        below = [value for value in self._values if value < handle]
        return f"CCCD of {self._values[max(below)]}" if below else "unknown"


def _short(uuid: bytes) -> str:
    if len(uuid) == 2:
        return f"{int.from_bytes(uuid, 'little'):04X}"
    whole = UUID(bytes=uuid[::-1])
    number = whole.time_low
    return _NAMES.get(number, "other") if whole.fields[1:] == _MDOC.fields[1:] else "other"


def _named(trace: Trace, packets: Sequence[Recorded]) -> Trace:
    """Return a trace that tells what each ATT PDU is about."""
    handles = _Handles()
    pdus = [
        replace(pdu, name=handles.named(packet.payload, pdu.name)) if packet.cid == ATT else pdu
        for pdu, packet in zip(trace.pdus, packets, strict=False)
    ]
    return replace(trace, pdus=(*pdus, *trace.pdus[len(packets) :]))


BEFORE, START, EXCHANGE, BESIDE, END = "before the link", "start", "exchange", "beside the channel", "end"
_STARTS = (
    "Write Request, CCCD of State",
    "Write Request, CCCD of Server2Client",
    "Write Command",
    "Read Request",
    "LE Credit Based Connection Request",
)


def said(trace: Trace) -> list[Said]:
    """Count a trace's words by phase, in the order of their first use.

    The set-up is told apart: `before the link` is what finds the service, `start` what begins the session on it.
    """
    told: dict[tuple[str, Side, str, bool], list[int]] = {}
    started = False
    for pdu in trace.pdus:
        started = started or pdu.phase is not Phase.SETUP or pdu.name.startswith(_STARTS)
        phase = {Phase.SETUP: START if started else BEFORE, Phase.END: END}.get(pdu.phase, EXCHANGE)
        if pdu.beside:
            phase = BESIDE
        told.setdefault((phase, pdu.sender, pdu.name, pdu.by_phone), []).append(pdu.octets)
    return [
        Said(phase, sender, name, len(octets), sum(octets), by_phone)
        for (phase, sender, name, by_phone), octets in told.items()
    ]


_OF_BLUETOOTHD = (
    "Read By Type Request 2B3A",
    "Read By Group Type Request 2801",
    "Read By Type Request 2802",
    "Read By Type Request 2B2A",
    "Write Request, 2B29",
    "Write Request, CCCD of 2A05",
)
"""What bluetoothd asks every phone for its own sake; nothing of a session needs it."""
_ONCE = ("Read By Group Type Request 2800", "Read By Type Request 2803")
"""What one of would do, as it asks for one service."""


def without_bluetoothd(trace: Trace) -> Trace:
    """Return a trace without what bluetoothd adds by itself where we are client.

    Left of its discovery are the MTU, one request for the service and one for its characteristics; left out is also
    what it says beside a channel, and the advertisement that its kernel waits for before it asks for a connection.
    """
    kept: list[Pdu] = []
    seen: set[str] = set()
    dropping = False
    for pdu in trace.pdus:
        if pdu.phase is Phase.SETUP and pdu.kind is Word.REQUEST and pdu.sender is Side.READER:
            dropping = pdu.name in _OF_BLUETOOTHD or (pdu.name in _ONCE and pdu.name in seen)
            seen.add(pdu.name)
        elif pdu.kind is not Word.RESPONSE:
            dropping = False
        if not dropping and not pdu.beside:
            kept.append(pdu)
    sightings = min(trace.sightings, 2) if trace.way.central is Side.READER else trace.sightings
    return replace(trace, pdus=tuple(kept), sightings=sightings)
