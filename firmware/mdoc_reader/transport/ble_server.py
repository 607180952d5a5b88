"""Reader is GATT server: advertise, show Ident, wait for the phone's start (mdoc central client mode, 18013-5 11.1.3).

Beside the four characteristics the service may show a PSM: a phone may open an L2CAP channel there instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from uuid import UUID

from mdoc_reader.transport import ble_link
from mdoc_reader.transport.ble_channel import ChannelCarrier, ChannelLink, psm_value
from mdoc_reader.transport.ble_link import STATE_END, STATE_START, BleLimits, BleLink, Inbox
from mdoc_reader.transport.chunks import chunk_within, split
from mdoc_reader.transport.ports import BleRadio, Channel, GattCharacteristic, GattServer, Link, LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

_DEFAULT = BleLimits()
_IDENT_BYTES = 16


async def serve_for_central(
    radio: BleRadio,
    service_uuid: UUID,
    ident: bytes | None,
    *,
    expected: bool = True,
    limits: BleLimits = _DEFAULT,
) -> CentralServer:
    """Serve and advertise the reader's service (mdoc central client mode); returns once phones can see it.

    `ident` is the 16-byte Ident value the phone checks us by, or None until `set_ident`. Not `expected`, a phone that
    begins is sent away unless `expect` is called soon: a service shown ahead of a tap waits for nobody yet. Raises
    LinkError.
    """
    events = _ServerEvents(limits)
    events.expected = expected
    server = CentralServer(radio, events, limits)
    if ident is not None:
        server.set_ident(ident)
    characteristics: tuple[GattCharacteristic, ...] = (
        GattCharacteristic(ble_link.READER_STATE, notify=True, write=True),
        GattCharacteristic(ble_link.READER_CLIENT_TO_SERVER, write=True),
        GattCharacteristic(ble_link.READER_SERVER_TO_CLIENT, notify=True),
        GattCharacteristic(ble_link.READER_IDENT, read=True),
    )
    if limits.l2cap:
        characteristics += (GattCharacteristic(ble_link.READER_PSM, read=True),)
    server.attach(await radio.serve(service_uuid, characteristics, events, channels=limits.l2cap))
    return server


class _ServerEvents:
    """What the phone has done to our service. One phone at a time, and after the start only that one."""

    def __init__(self, limits: BleLimits) -> None:
        self.inbox = Inbox(limits)
        self.ident: bytes | None = None
        self.psm: bytes | None = None
        self.channel: Channel | None = None
        self.expected = True
        self.turn_away: Callable[[], None] | None = None
        self.connected = False
        self.acted = False
        """Whether the phone has done more than connect."""
        self.started = False
        self.early = False
        """Whether the phone began before anybody expected it."""
        self.subscribed: set[UUID] = set()
        self.changed = asyncio.Event()
        self.known = asyncio.Event()
        """Set once there is an Ident."""
        self._grace_s = limits.early_grace_s
        self._patience: asyncio.TimerHandle | None = None
        self._unwanted: set[asyncio.Task[None]] = set()

    @property
    def begun(self) -> bool:
        """Whether a phone has begun a session, by State=01 or by a channel."""
        return self.started or self.channel is not None

    def on_connected(self) -> None:
        if not self.started:
            self.connected = True
            self.acted = self.early = False
            self.subscribed.clear()
            self.changed.set()

    def on_read(self, characteristic: UUID) -> bytes | Awaitable[bytes | None] | None:
        self._act()
        if characteristic == ble_link.READER_IDENT and self.ident is None:
            return self._ident_soon()
        return {ble_link.READER_IDENT: self.ident, ble_link.READER_PSM: self.psm}.get(characteristic)

    def on_write(self, characteristic: UUID, value: bytes) -> None:
        if characteristic == ble_link.READER_STATE:
            if value == STATE_START and not self.expected:
                self.early = True
                self._turn_away_later()
            elif value == STATE_START:
                self.started = True
            elif value == STATE_END and self.started:
                self.inbox.end(LinkError(LinkCode.PEER_ENDED))
            self.changed.set()
        elif characteristic == ble_link.READER_CLIENT_TO_SERVER and self.started:
            self.inbox.take(value)

    def on_subscribed(self, characteristic: UUID, enabled: bool) -> None:
        self._act()
        if enabled:
            self.subscribed.add(characteristic)
        else:
            self.subscribed.discard(characteristic)
        self.changed.set()

    def on_channel(self, channel: Channel) -> None:
        if self.begun:
            self._let_go(channel)
            return
        if not self.expected:
            self._turn_away_later()
        self.channel = channel
        self.changed.set()

    def expect(self) -> None:
        self.expected = True
        self.started = self.started or self.early
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self.changed.set()

    def forget(self) -> None:
        """Nobody will be expected any more."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self.known.set()

    async def _ident_soon(self) -> bytes | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._grace_s):
                await self.known.wait()
        return self.ident

    def _turn_away_later(self) -> None:
        if self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(self._grace_s, self._turn_away)

    def _act(self) -> None:
        if not self.acted:
            self.acted = True
            self.changed.set()

    def _turn_away(self) -> None:
        self._patience = None
        log.info("a phone began a session nobody had engaged; sending it away")
        self._drop_channel()
        if self.turn_away is not None:
            self.turn_away()

    def on_disconnected(self, detail: str) -> None:
        self.connected = self.early = False
        self.subscribed.clear()
        if self.started:
            self.inbox.end(LinkError(LinkCode.LOST, detail))
        if not self.expected:
            self._drop_channel()
        self.changed.set()

    def _drop_channel(self) -> None:
        channel, self.channel = self.channel, None
        if channel is not None:
            self._let_go(channel)

    def _let_go(self, channel: Channel) -> None:
        closing = asyncio.ensure_future(channel.close())
        self._unwanted.add(closing)
        closing.add_done_callback(self._unwanted.discard)


class CentralServer:
    """A reader's service on the air, waiting for a phone to start a session."""

    def __init__(self, radio: BleRadio, events: _ServerEvents, limits: BleLimits) -> None:
        """Prepare; `attach` gives it the driver's side."""
        self._radio = radio
        self._events = events
        self._limits = limits
        self._gatt: GattServer | None = None
        self._link: Link | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        events.turn_away = self._turn_away
        self._closed = False

    def attach(self, gatt: GattServer) -> None:
        """Take the driver's side of the service."""
        self._gatt = gatt
        self._events.psm = None if gatt.psm is None else psm_value(gatt.psm)

    def set_ident(self, ident: bytes) -> None:
        """Answer reads of Ident with these 16 bytes from now on."""
        if len(ident) != _IDENT_BYTES:
            raise ValueError("Ident is 16 bytes")
        self._events.ident = ident
        self._events.known.set()
        self._events.changed.set()

    def expect(self) -> None:
        """Let a phone begin from now on, and take one that has begun a moment ago."""
        self._events.expect()

    def _turn_away(self) -> None:
        if self._gatt is not None:
            leaving = asyncio.ensure_future(self._gatt.disconnect())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    async def accepted(self) -> Link:
        """Wait for a phone to begin, stop advertising, and return the link to it.

        It begins by writing State=01, or by opening a channel to the PSM. A phone that disconnects before that, or
        never begins, makes room for another. Raises LinkError: RADIO_OFF when the adapter goes away, CLOSED after
        `close`.
        """
        events = self._events
        gatt = self._gatt
        if gatt is None or self._closed:
            raise LinkError(LinkCode.CLOSED)
        while not events.begun:
            if self._closed:
                raise LinkError(LinkCode.CLOSED)
            if not self._radio.available:
                raise LinkError(LinkCode.RADIO_OFF)
            events.changed.clear()
            # A phone that waits for an Ident we do not know yet is not to blame.
            grace = None
            if events.connected and events.ident is not None:
                grace = self._limits.start_grace_s if events.acted else self._limits.idle_grace_s
            try:
                async with asyncio.timeout(grace):
                    await events.changed.wait()
            except TimeoutError:
                log.info("a phone connected and never started; making room")
                await gatt.disconnect()
        await gatt.stop_advertising()
        if self._link is None:
            self._link = self._begin(gatt)
        return self._link

    def _begin(self, gatt: GattServer) -> Link:
        events, limits = self._events, self._limits
        over_gatt = BleLink(_ServerCarrier(gatt, events, limits), events.inbox, limits)
        channel = events.channel
        if channel is None:
            return over_gatt

        async def instead() -> Link:
            await channel.close()
            while not events.started:
                if not events.connected:
                    raise LinkError(LinkCode.LOST, "the phone left with its channel")
                events.changed.clear()
                await events.changed.wait()
            return over_gatt

        carrier = ChannelCarrier(channel, limits, gatt.close, "BLE L2CAP, reader is server")
        return ChannelLink(carrier, limits, instead)

    async def close(self) -> None:
        """Take the service off the air, ending a session that was accepted. Bounded; never raises; idempotent."""
        self._closed = True
        self._events.forget()
        self._events.changed.set()
        if self._link is not None:
            await self._link.close()
        elif self._gatt is not None:
            await to_its_end(self._take_down(self._gatt))

    async def _take_down(self, gatt: GattServer) -> None:
        if self._events.channel is not None:
            await self._events.channel.close()
        await gatt.close()


class _ServerCarrier:
    """Reader is GATT server: notifications, and the phone should be the one to disconnect."""

    name = "BLE, reader is server"

    def __init__(self, gatt: GattServer, events: _ServerEvents, limits: BleLimits) -> None:
        self._gatt = gatt
        self._events = events
        self._limits = limits

    def cut(self, message: bytes) -> Iterator[bytes]:
        return split(message, chunk_within(self._gatt.notification_room))

    async def ready(self) -> None:
        # The start may come before the phone has enabled notifications: hold ours until it has.
        events = self._events
        while ble_link.READER_SERVER_TO_CLIENT not in events.subscribed:
            if events.inbox.ended is not None:
                raise LinkError(events.inbox.ended.code, events.inbox.ended.detail)
            events.changed.clear()
            await events.changed.wait()

    async def put(self, piece: bytes) -> None:
        await self._gatt.notify(ble_link.READER_SERVER_TO_CLIENT, piece)

    async def finish(self, *, say_end: bool) -> None:
        events = self._events
        events.changed.set()  # a send that waits for a subscription stops waiting
        if say_end and events.connected and ble_link.READER_STATE in events.subscribed:
            try:
                async with asyncio.timeout(self._limits.close_drain_s):
                    await self._gatt.notify(ble_link.READER_STATE, STATE_END)
                    await self._gatt.drain()
            except (LinkError, TimeoutError) as error:
                log.info("the end could not be told: %s", type(error).__name__)
        try:
            async with asyncio.timeout(self._limits.close_grace_s):
                while events.connected:
                    events.changed.clear()
                    await events.changed.wait()
        except TimeoutError:
            log.info("the phone did not disconnect by itself")
        await self._gatt.close()
