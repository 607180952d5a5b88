"""A session over an L2CAP channel, and GATT in its place when the channel fails (ISO 18013-5, second edition, 11.1.3).

On a channel there is no State and no Ident: the session begins with its first message, and status 20 is its only end.
Channels fail in the field where GATT works, so GATT takes over as long as nothing of the first answer has come: the
same first message, the same bytes, is sent again there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator

from mdoc_reader.transport.ble_link import BleLimits, BleLink, Inbox
from mdoc_reader.transport.frames import Deframer, frame
from mdoc_reader.transport.ports import Channel, Link, LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

_PIECE = 16 * 1024
"""How much is handed to the driver at once, in bytes: enough to keep the air busy, little enough to notice an end."""
_LE_PSM = range(0x0001, 0x0100)


def psm_of(value: bytes) -> int | None:
    """Return the PSM in a characteristic's value (4 bytes, big-endian); None where it is no LE PSM."""
    psm = int.from_bytes(value, "big") if len(value) <= 4 else 0
    return psm if psm in _LE_PSM else None


def psm_value(psm: int) -> bytes:
    """Return the value of the PSM characteristic: 4 bytes, big-endian."""
    return psm.to_bytes(4, "big")


class ChannelCarrier:
    """Carries framed messages over a channel; a `ble_link.Carrier`."""

    def __init__(
        self, channel: Channel, limits: BleLimits, release: Callable[[], Awaitable[None]], name: str = "BLE, L2CAP"
    ) -> None:
        """Begin to read. `release` lets go of what is beneath the channel; it must be bounded and never raise."""
        self.name = name
        self.inbox = Inbox(limits, Deframer(limits.message_cap))
        self._channel = channel
        self._limits = limits
        self._release = release
        self._reading = asyncio.ensure_future(self._read())

    def cut(self, message: bytes) -> Iterator[bytes]:
        """Yield a framed message."""
        return frame(message, _PIECE)

    async def ready(self) -> None:
        """Be ready at once: an open channel takes messages."""

    async def put(self, piece: bytes) -> None:
        """Send one piece. Raises LinkError."""
        await self._channel.send(piece)

    async def finish(self, *, say_end: bool) -> None:
        """Let the last message out, give the phone a moment to close, then close and release."""
        if say_end:
            try:
                async with asyncio.timeout(self._limits.close_drain_s):
                    await self._channel.drain()
            except (LinkError, TimeoutError) as error:
                log.info("the last message may not have left: %s", type(error).__name__)
            else:
                await asyncio.wait({self._reading}, timeout=self._limits.close_grace_s)
        await self.stop()
        await self._channel.close()
        await self._release()

    async def stop(self) -> None:
        """Stop to read, and no more: who waits for a message hears of it. Never raises."""
        self.inbox.end(LinkError(LinkCode.LOST, "the channel is given up"))
        self._reading.cancel()
        await asyncio.wait({self._reading})

    async def _read(self) -> None:
        try:
            while True:
                self.inbox.take(await self._channel.receive())
                if self.inbox.ended is not None:
                    # Nothing more is accepted, and the phone need not be listened to. Its end is still waited for.
                    self.inbox.drop()
        except LinkError as error:
            self.inbox.end(error)


class ChannelLink:
    """A link that begins on a channel and moves to GATT if the channel fails early; a `transport.ports.Link`."""

    def __init__(self, carrier: ChannelCarrier, limits: BleLimits, by_gatt: Callable[[], Awaitable[Link]]) -> None:
        """Take an open channel. `by_gatt` closes it and starts the same session over GATT."""
        self._carrier: ChannelCarrier | None = carrier
        self._limits = limits
        self._by_gatt: Callable[[], Awaitable[Link]] | None = by_gatt
        self._link: Link = BleLink(carrier, carrier.inbox, limits)
        self._first: bytes | None = None
        self._callback: Callable[[int], None] | None = None
        self._moving = asyncio.Lock()
        self._closed = False
        self._link.on_progress = self._progress

    @property
    def name(self) -> str:
        """What carries it now."""
        return self._link.name

    @property
    def on_progress(self) -> Callable[[int], None] | None:
        """Called with the bytes of the arriving message so far, at its first piece and each that follows."""
        return self._callback

    @on_progress.setter
    def on_progress(self, callback: Callable[[int], None] | None) -> None:
        self._callback = callback

    def _progress(self, size: int) -> None:
        self._stay()
        if self._callback is not None:
            self._callback(size)

    def _stay(self) -> None:
        """The way in use works: there is no going back."""
        self._by_gatt = None
        self._first = None

    async def send(self, message: bytes) -> None:
        """Send one whole message. Raises LinkError."""
        link = self._link
        if self._by_gatt is None:
            await link.send(message)
            return
        self._first = message
        try:
            async with asyncio.timeout(self._limits.channel_send_s):
                await link.send(message)
        except TimeoutError:
            await self._move(link, LinkError(LinkCode.LOST, "the channel took no message"))
        except LinkError as error:
            await self._move(link, error)

    async def receive(self) -> bytes:
        """Return the next whole message. Raises LinkError when none can come any more."""
        while True:
            link = self._link
            try:
                message = await link.receive()
            except LinkError as error:
                if link is self._link:
                    await self._move(link, error)
            else:
                self._stay()
                return message

    async def close(self) -> None:
        """End the session towards the phone and disconnect. Bounded; never raises."""
        self._closed = True
        self._stay()
        await self._link.close()

    async def _move(self, failed: Link, error: LinkError) -> None:
        """Go on over GATT, or raise `error` where that is not possible any more."""
        async with self._moving:
            if self._link is not failed:
                return
            start, first, carrier = self._by_gatt, self._first, self._carrier
            if start is None or first is None or carrier is None or error.code is not LinkCode.LOST or self._closed:
                raise error
            log.info("the L2CAP channel failed, going on over GATT: %s", error)
            self._stay()
            self._carrier = None
            await to_its_end(carrier.stop())
            try:
                async with asyncio.timeout(self._limits.channel_fallback_s):
                    link = await start()
            except TimeoutError:
                raise error from None
            link.on_progress = self._progress
            self._link = link
            await link.send(first)
