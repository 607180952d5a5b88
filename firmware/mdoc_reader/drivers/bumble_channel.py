"""L2CAP credit-based channels over Bumble, opened by us or by the phone (Core specification 6.0, Vol 3 Part A 10.1).

Bumble gives a peer new credits whether anybody reads or not, knows no pause, keeps a closed channel's number in use,
and loses what arrives before its caller has seen the channel open. `_Flow` is Bumble's channel without these.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Self

from bumble.device import Device
from bumble.l2cap import (
    ChannelManager,
    L2CAP_Disconnection_Request,
    L2CAP_LE_Flow_Control_Credit,
    LeCreditBasedChannel,
    LeCreditBasedChannelServer,
    LeCreditBasedChannelSpec,
)

from mdoc_reader.drivers.bumble_wire import Wire, bounded
from mdoc_reader.transport.ports import LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

_OPEN_S = 5.0
_CLOSE_S = 1.0

# Eight of the longest packets on the air carry one frame of this size with its header: 8 * 251 - 4.
_MPS = 2004
# An SDU with its own header is one such frame.
_MTU = _MPS - 2
_CREDITS = 32
_HELD_CAP = _CREDITS * _MPS
_LEAST_PEER_SIZE = 23
_LARGEST_SDU = 16 * 1024


class _Flow(LeCreditBasedChannel):
    """The channel as Bumble's manager sees it: credits only while what came is read, and an end at any breach."""

    def prepare(self, on_end: Callable[[], None]) -> None:
        """Begin to hold what arrives."""
        self.held = bytearray()
        self.arrived = asyncio.Event()
        self.peer_credits_threshold = -1
        self._sdu = bytearray()
        self._on_end = on_end
        self.on(self.EVENT_OPEN, self._register)
        self.on(self.EVENT_CLOSE, self._ended)

    @classmethod
    def made_from(cls, made: LeCreditBasedChannel, on_end: Callable[[], None]) -> Self:
        """Take the place of a channel that Bumble accepted."""
        flow = cls(
            made.manager,
            made.connection,
            made.psm,
            made.source_cid,
            made.destination_cid,
            made.mtu,
            made.mps,
            made.credits,
            made.peer_mtu,
            made.peer_mps,
            made.peer_credits,
            True,
        )
        flow.prepare(on_end)
        flow.manager.channels.setdefault(flow.connection.handle, {})[flow.source_cid] = flow
        flow._register()
        return flow

    @property
    def is_open(self) -> bool:
        """Whether both ends are open."""
        return self.state is self.State.CONNECTED

    @property
    def fits(self) -> bool:
        """Whether the phone's sizes are those the specification allows."""
        return self.peer_mtu >= _LEAST_PEER_SIZE and self.peer_mps >= _LEAST_PEER_SIZE

    def on_pdu(self, pdu: bytes) -> None:
        """Take one frame; a phone without credits, or with a wrong length, ends the channel (Part A 3.4.3, 10.1)."""
        if not self.is_open:
            return
        self._sdu += pdu
        length = int.from_bytes(self._sdu[:2], "little")
        wrong = len(self._sdu) < 2 or length > self.mtu or len(self._sdu) > 2 + length
        if wrong or self.peer_credits == 0 or len(pdu) > self.mps:
            log.info("a phone broke the rules of an L2CAP channel")
            self.abandon()
            return
        self.peer_credits -= 1
        if len(self._sdu) == 2 + length:
            self.held += memoryview(self._sdu)[2:]
            self._sdu = bytearray()
            self.arrived.set()
        self.give_credits()

    def process_output(self) -> None:
        """Send what the phone's credits allow; Bumble forgets to say so when the last frame takes the last credit."""
        super().process_output()
        if self.out_sdu is None and not self.out_queue:
            self.drained.set()

    def give_credits(self) -> None:
        """Let the phone send more if what it sent has been read."""
        missing = self.peer_max_credits - self.peer_credits
        if self.is_open and missing > self.peer_max_credits // 2 and len(self.held) < _HELD_CAP:
            identifier = self.manager.next_identifier(self.connection)
            self.send_control_frame(
                L2CAP_LE_Flow_Control_Credit(identifier=identifier, cid=self.source_cid, credits=missing)
            )
            self.peer_credits += missing

    def abandon(self) -> None:
        """Tell the phone that the channel is closed, and wait for nothing."""
        if self.is_open:
            send_goodbye(self)
            self.forget()

    def forget(self) -> None:
        """Be closed, whatever the phone thinks."""
        if self.state is not self.State.DISCONNECTED:
            self.flush_output()
            self._change_state(self.State.DISCONNECTED)
        self.disconnection_result = None
        self.connection_result = None

    def _register(self) -> None:
        # From here on the phone's credits find their channel.
        self.manager.le_coc_channels.setdefault(self.connection.handle, {})[self.destination_cid] = self

    def _ended(self) -> None:
        _unregister(self)
        self.drained.set()
        self.arrived.set()
        self._on_end()


def send_goodbye(channel: LeCreditBasedChannel) -> None:
    """Ask the phone to close its end."""
    channel.send_control_frame(
        L2CAP_Disconnection_Request(
            identifier=channel.manager.next_identifier(channel.connection),
            destination_cid=channel.destination_cid,
            source_cid=channel.source_cid,
        )
    )


def _unregister(channel: LeCreditBasedChannel) -> None:
    handle = channel.connection.handle
    for table, cid in (
        (channel.manager.channels.get(handle), channel.source_cid),
        (channel.manager.le_coc_channels.get(handle), channel.destination_cid),
    ):
        if table is not None and table.get(cid) is channel:
            del table[cid]


class BumbleChannel:
    """An open channel; a `transport.ports.Channel`."""

    def __init__(self, wire: Wire) -> None:
        """Prepare; `open` or `accept` makes it a channel."""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wire = wire
        self._flow: _Flow | None = None
        wire.gone.add_done_callback(lambda _: self._on_gone())

    async def open(self, psm: int) -> None:
        """Open the channel at `psm`. Raises LinkError: LOST, or CONNECT_FAILED when it is refused."""
        connection = self._wire.connection
        manager = connection.device.l2cap_channel_manager
        channels = manager.channels.setdefault(connection.handle, {})
        cid = manager.find_free_le_cid(channels)
        if cid is None:
            raise LinkError(LinkCode.CONNECT_FAILED, "no channel number is free")
        flow = _Flow(manager, connection, psm, cid, 0, _MTU, _MPS, 0, 0, 0, _CREDITS, False)
        flow.prepare(self._on_end)
        channels[cid] = flow
        self._flow = flow
        opened = False
        try:
            await bounded(flow.connect(), _OPEN_S, LinkCode.CONNECT_FAILED, gone=self._wire.gone)
            if not flow.fits:
                flow.abandon()
                raise LinkError(LinkCode.CONNECT_FAILED, "the phone's sizes are too small")
            opened = True
        finally:
            # An answer that comes too late finds nobody.
            _drop_requests(manager, cid)
            if not opened:
                flow.abandon()
                flow.forget()

    def accept(self, made: LeCreditBasedChannel) -> bool:
        """Take over a channel the phone opened; False when its sizes are not allowed."""
        flow = _Flow.made_from(made, self._on_end)
        self._flow = flow
        if not flow.fits:
            flow.abandon()
        return flow.is_open

    async def send(self, data: bytes) -> None:
        """Send bytes; returns when the driver can take more. Raises LinkError LOST."""
        flow = self._open_flow()
        step = min(flow.peer_mtu, _LARGEST_SDU)
        for start in range(0, len(data), step):
            await self._wire.room()
            self._open_flow().write(data[start : start + step])
            await flow.drained.wait()
        self._open_flow()

    async def receive(self) -> bytes:
        """Return what has come, at least one byte. Raises LinkError LOST once the channel has ended."""
        flow = self._flow
        while flow is not None:
            if flow.held:
                data = bytes(flow.held)
                flow.held.clear()
                flow.give_credits()
                return data
            if not flow.is_open:
                break
            flow.arrived.clear()
            await flow.arrived.wait()
        raise self._lost()

    async def drain(self) -> None:
        """Wait until everything sent has left for the phone. Raises LinkError LOST."""
        await self._open_flow().drained.wait()
        self._open_flow()
        await self._wire.drain()

    async def close(self) -> None:
        """Close the channel; the connection stays. Bounded; never raises."""
        await to_its_end(self._close())

    async def _close(self) -> None:
        flow = self._flow
        if flow is not None and flow.is_open:
            try:
                await bounded(flow.disconnect(), _CLOSE_S, LinkCode.LOST, gone=self._wire.gone)
            except LinkError as error:
                log.info("a phone did not close its end of a channel: %s", error.detail)
            flow.forget()

    def _open_flow(self) -> _Flow:
        if self._flow is None or not self._flow.is_open:
            raise self._lost()
        return self._flow

    def _lost(self) -> LinkError:
        gone = self._wire.gone
        return LinkError(LinkCode.LOST, gone.result() if gone.done() else "the channel is closed")

    def _on_end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _on_gone(self) -> None:
        # A controller that was unplugged tells the channels nothing.
        if self._flow is not None:
            self._flow.forget()


def _drop_requests(manager: ChannelManager, cid: int) -> None:
    """Forget an opening that is over: Bumble never reuses the number of a request that nobody answered."""
    for identifier, request in tuple(manager.le_coc_requests.items()):
        if request.source_cid == cid:
            del manager.le_coc_requests[identifier]


async def open_channel(wire: Wire, psm: int) -> BumbleChannel:
    """Open a channel over a connection. Raises LinkError."""
    channel = BumbleChannel(wire)
    await channel.open(psm)
    return channel


def listen(device: Device, take: Callable[[LeCreditBasedChannel], None]) -> LeCreditBasedChannelServer:
    """Accept channels at a PSM of its own until the server is closed."""
    spec = LeCreditBasedChannelSpec(mtu=_MTU, mps=_MPS, max_credits=_CREDITS)
    return device.create_l2cap_server(spec, take)


def turn_away(made: LeCreditBasedChannel) -> None:
    """Close a channel that nobody wants."""
    send_goodbye(made)
    _unregister(made)
