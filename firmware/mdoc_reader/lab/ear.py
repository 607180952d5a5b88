"""An ear on the air: what every packet between controllers was, for counting requests and for models of air time.

It decodes just enough (Core specification 6.0, Vol 3 Part A 3 and Part F 3.3): L2CAP frames by channel, ATT by opcode,
LE signalling by code, credit-based channels by bytes of SDUs. Content is kept only when asked for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self, cast

from bumble import ll
from bumble.controller import Controller

from mdoc_reader.lab.air import Air, AirController

ATT = 0x0004
SIGNALLING = 0x0005
_CREDIT_BASED = range(0x0040, 0x0080)
_OPENINGS = frozenset((0x14, 0x15, 0x17, 0x18))


class Kind(StrEnum):
    """What crossed the air."""

    ADVERTISEMENT = "advertisement"
    CONNECT = "connect"
    DATA = "data"
    """One L2CAP frame, however many packets of the link layer carry it."""
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet.

    Args:
        at: seconds since the ear was attached.
        sender: the name of the controller.
        receiver: likewise; None for everybody.
        kind: what it was.
        length: bytes: of advertising data; of the whole L2CAP frame with its 4-byte header; 0 for the rest, which
            Bumble's link does not encode.
        cid: the L2CAP channel of data.
        opcode: of ATT on channel 4, the code of LE signalling on channel 5.
        sdu: how many bytes of an SDU the frame carries on a credit-based channel, without the SDU's own length.
        control: the name of a control packet.
        payload: advertising data, or what the L2CAP frame carries; None unless the ear keeps it.
    """

    at: float
    sender: str
    receiver: str | None
    kind: Kind
    length: int = 0
    cid: int | None = None
    opcode: int | None = None
    sdu: int | None = None
    control: str | None = None
    payload: bytes | None = None


class Ear:
    """Hears everything on an air from now on. Use it as a context manager, or call `close`."""

    def __init__(self, air: Air, *, keep_payload: bool = False, most: int = 1_000_000) -> None:
        """Attach; after `most` packets the rest is only counted, in `missed`. Needs a running event loop."""
        self.heard: list[Heard] = []
        self.missed = 0
        self._air = air
        self._keep_payload = keep_payload
        self._most = most
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        # How many bytes of an SDU are still to come, by direction and channel.
        self._unfinished: dict[tuple[Controller, Controller, int], int] = {}
        air.link.listeners.append(self)

    def close(self) -> None:
        """Hear no more; what was heard stays."""
        if self in self._air.link.listeners:
            self._air.link.listeners.remove(self)

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def on_advertising(self, sender: Controller, packet: ll.AdvertisingPdu) -> None:
        """Take an advertisement or a request for a connection."""
        if isinstance(packet, ll.ConnectInd):
            receiver = next((one for one in self._others(sender) if _advertises(one, packet)), None)
            self._forget(sender, receiver)
            self._note(Heard(self._now(), sender.name, receiver.name if receiver else None, Kind.CONNECT))
            return
        data = bytes(packet.data) if isinstance(packet, ll.AdvInd | ll.AdvExtInd | ll.AdvNonConnInd) else b""
        kept = data if self._keep_payload else None
        self._note(Heard(self._now(), sender.name, None, Kind.ADVERTISEMENT, len(data), payload=kept))

    def on_data(self, sender: Controller, receiver: Controller, data: bytes) -> None:
        """Take an L2CAP frame."""
        cid = int.from_bytes(data[2:4], "little")
        payload = data[4:]
        opcode = payload[0] if cid in (ATT, SIGNALLING) and payload else None
        if cid == SIGNALLING and opcode in _OPENINGS:
            self._forget(sender, receiver)
        sdu = self._sdu(sender, receiver, cid, payload) if cid in _CREDIT_BASED else None
        kept = payload if self._keep_payload else None
        self._note(Heard(self._now(), sender.name, receiver.name, Kind.DATA, len(data), cid, opcode, sdu, payload=kept))

    def on_control(self, sender: Controller, receiver: Controller, packet: ll.ControlPdu) -> None:
        """Take a control packet."""
        self._note(
            Heard(
                self._now(), sender.name, receiver.name, Kind.CONTROL, control=ll.ControlPdu.Opcode(packet.opcode).name
            )
        )

    def _sdu(self, sender: Controller, receiver: Controller, cid: int, payload: bytes) -> int:
        key = (sender, receiver, cid)
        left = self._unfinished.get(key, 0)
        carried = len(payload)
        if left == 0:
            left = int.from_bytes(payload[:2], "little")
            carried = max(carried - 2, 0)
        self._unfinished[key] = max(left - carried, 0)
        return carried

    def _forget(self, one: Controller, other: Controller | None) -> None:
        """Begin anew: a channel that closed half-way leaves its number to another."""
        for key in [key for key in self._unfinished if {one, other} == {key[0], key[1]}]:
            del self._unfinished[key]

    def _others(self, sender: Controller) -> Iterable[Controller]:
        return (one for one in self._air.link.controllers if one is not sender)

    def _now(self) -> float:
        return self._clock() - self._began

    def _note(self, heard: Heard) -> None:
        if len(self.heard) < self._most:
            self.heard.append(heard)
        else:
            self.missed += 1


def _advertises(controller: Controller, packet: ll.ConnectInd) -> bool:
    return packet.advertiser_address in cast("AirController", controller).advertised_addresses()


def att_counts(heard: Iterable[Heard]) -> Counter[tuple[str, int]]:
    """Count ATT packets by sender and opcode."""
    return Counter((each.sender, each.opcode) for each in heard if each.cid == ATT and each.opcode is not None)


def data_bytes(heard: Iterable[Heard]) -> Counter[str]:
    """Sum the bytes of L2CAP frames, headers included, by sender."""
    total: Counter[str] = Counter()
    for each in heard:
        if each.kind is Kind.DATA:
            total[each.sender] += each.length
    return total
