"""The phone's L2CAP credit-based channels, both ways round (ISO 18013-5 second edition 11.1.3; Core Vol 3 Part A 10.1).

It moves bytes with Bumble's own channel class, which the reader's driver does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bumble.core import ProtocolError
from bumble.device import Connection, Device
from bumble.l2cap import LeCreditBasedChannel, LeCreditBasedChannelServer, LeCreditBasedChannelSpec

from mdoc_reader.drivers.bumble_wire import bounded
from mdoc_reader.lab.phone_behaviour import PhoneRadioBehaviour
from mdoc_reader.lab.phone_channel import Frames, PhoneChannel, PhoneGone
from mdoc_reader.transport.ports import LinkCode, LinkError

_MTU = 4096
_MPS = 1004
_CREDITS = 16
_AT_ONCE = 8192
_OPEN_S = 5.0
_CLOSE_S = 2.0


def psm_value(psm: int) -> bytes:
    """Return the value of a PSM characteristic."""
    return psm.to_bytes(4, "big")


class Pipe:
    """An open channel, and what came before somebody reads it."""

    def __init__(self, made: LeCreditBasedChannel) -> None:
        """Begin to hold."""
        self.made = made
        self.closed = asyncio.Event()
        self._take: Callable[[bytes], None] | None = None
        self._held: list[bytes] = []
        made.sink = self._on_data
        made.on(made.EVENT_CLOSE, self._on_close)

    def _on_data(self, data: bytes) -> None:
        if self._take is None:
            self._held.append(data)
        else:
            self._take(data)

    def _on_close(self) -> None:
        self.closed.set()
        self.made.drained.set()
        # Bumble keeps the number of a closed channel in use.
        numbers = self.made.manager.le_coc_channels.get(self.made.connection.handle, {})
        if numbers.get(self.made.destination_cid) is self.made:
            del numbers[self.made.destination_cid]

    def read(self, take: Callable[[bytes], None]) -> None:
        """Hand over what comes, and what came."""
        self._take = take
        for data in self._held:
            take(data)
        self._held.clear()

    def starve(self) -> None:
        """Give the reader no more credits."""
        self.made.peer_credits_threshold = -1

    async def put(self, data: bytes) -> None:
        """Send bytes; returns when they have left. Raises PhoneGone."""
        if self.closed.is_set():
            raise PhoneGone("the reader closed the channel")
        self.made.write(data)
        await self.made.drained.wait()
        if self.closed.is_set():
            raise PhoneGone("the reader closed the channel")
        await drained(self.made.connection)

    async def close(self) -> None:
        """Close the channel; the connection stays."""
        if not self.closed.is_set():
            try:
                await bounded(self.made.disconnect(), _CLOSE_S, LinkCode.LOST)
            except LinkError:
                self.made.disconnection_result = None
            self._on_close()


def listen(device: Device, behaviour: PhoneRadioBehaviour, take: Callable[[Pipe], None]) -> LeCreditBasedChannelServer:
    """Accept channels at the phone's PSM until the server is closed."""
    spec = LeCreditBasedChannelSpec(psm=behaviour.psm, mtu=_MTU, mps=_MPS, max_credits=_credits(behaviour))
    return device.create_l2cap_server(spec, lambda made: take(Pipe(made)))


async def open_to(connection: Connection, psm: int, behaviour: PhoneRadioBehaviour) -> Pipe | None:
    """Open a channel to the reader; None when it is refused. Raises PhoneGone when nothing answers."""
    manager = connection.device.l2cap_channel_manager
    channels = manager.channels.setdefault(connection.handle, {})
    cid = manager.find_free_le_cid(channels)
    if cid is None:
        return None
    made = LeCreditBasedChannel(manager, connection, psm, cid, 0, _MTU, _MPS, 0, 0, 0, _credits(behaviour), False)
    pipe = Pipe(made)
    # Bumble's own opening registers the channel later than a quick reader's first frames arrive.
    channels[cid] = made
    numbers = manager.le_coc_channels.setdefault(connection.handle, {})
    made.on(made.EVENT_OPEN, lambda: numbers.update({made.destination_cid: made}))
    try:
        await bounded(made.connect(), _OPEN_S, LinkCode.CONNECT_FAILED)
    except LinkError as error:
        channels.pop(cid, None)
        manager.le_coc_requests.clear()
        if isinstance(error.__cause__, ProtocolError):
            return None
        raise PhoneGone("the reader did not answer the opening of a channel") from error
    return pipe


def stream(pipe: Pipe, behaviour: PhoneRadioBehaviour, disconnect: Callable[[], Awaitable[None]]) -> PhoneChannel:
    """Speak messages over a channel. Its close is the end of the session."""

    async def end() -> None:
        """Say nothing: there is no State here."""

    def size() -> int:
        return behaviour.chunk or _AT_ONCE

    channel = PhoneChannel(pipe.put, end, disconnect, Frames(size), behaviour)
    pipe.made.on(pipe.made.EVENT_CLOSE, channel.on_gone)
    if pipe.closed.is_set():
        channel.on_gone()
    pipe.read(channel.on_chunk)
    return channel


async def spoil(pipe: Pipe, behaviour: PhoneRadioBehaviour) -> None:
    """Let a channel fail as this phone does: close it half-way, or starve it until the reader closes it."""
    if behaviour.starve_channel:
        pipe.starve()
    if behaviour.drop_channel_after is None:
        pipe.read(lambda _: None)
        await pipe.closed.wait()
        return
    enough = asyncio.Event()
    form, came = Frames(lambda: _AT_ONCE), 0
    most = behaviour.drop_channel_after

    def count(data: bytes) -> None:
        nonlocal came
        came += len(data)
        if form.feed(data) or came >= most:
            enough.set()

    if most <= 0:
        enough.set()
    pipe.made.on(pipe.made.EVENT_CLOSE, enough.set)
    pipe.read(count)
    await enough.wait()
    await pipe.close()


def spoils(behaviour: PhoneRadioBehaviour) -> bool:
    """Say whether this phone's channels are made to fail."""
    return behaviour.starve_channel or behaviour.drop_channel_after is not None


def _credits(behaviour: PhoneRadioBehaviour) -> int:
    return 1 if behaviour.starve_channel else _CREDITS


async def drained(connection: Connection) -> None:
    """Wait until everything written has left for the reader."""
    queue = connection.device.host.le_acl_packet_queue
    if queue is not None and queue.pending:
        await queue.drain(connection.handle)
