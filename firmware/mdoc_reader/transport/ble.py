"""The mdoc GATT profile in both roles, over any Bluetooth driver (ISO 18013-5 11.1.3).

`connect_to_peripheral`: the phone is GATT server (mdoc peripheral server mode); we find it, subscribe and start.
`serve_for_central`: the phone is GATT client (mdoc central client mode); we advertise, show Ident and wait for its
start. Either gives a `BleLink`. A connection lost before its start is made again; one lost after it is never resumed.
"""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

from mdoc_reader.transport import ble_link
from mdoc_reader.transport.ble_link import STATE_END, STATE_START, BleLimits, BleLink, Inbox
from mdoc_reader.transport.chunks import DEFAULT_ATT_MTU
from mdoc_reader.transport.ports import BleRadio, GattCharacteristic, GattClient, GattServer, LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end

__all__ = ["BleLimits", "BleLink", "CentralServer", "connect_to_peripheral", "serve_for_central"]

log = logging.getLogger(__name__)

_DEFAULT = BleLimits()
_IDENT_BYTES = 16
_RETRIED = frozenset({LinkCode.LOST, LinkCode.CONNECT_FAILED})


async def connect_to_peripheral(
    radio: BleRadio, service_uuid: UUID, *, address: bytes | None = None, limits: BleLimits = _DEFAULT
) -> BleLink:
    """Connect to a phone that is GATT server and start the session there (mdoc peripheral server mode).

    `address` is 6 bytes, most significant first, where the engagement named one. Tries until the caller cancels; raises
    LinkError for what trying again cannot mend (RADIO_OFF, NO_SERVICE, PEER_ENDED, PROTOCOL).
    """
    while True:
        try:
            return await _connect_once(radio, service_uuid, address, limits)
        except LinkError as error:
            if error.code not in _RETRIED:
                raise
            log.info("connecting again: %s", error)
        await asyncio.sleep(limits.retry_pause_s)


async def _connect_once(radio: BleRadio, service_uuid: UUID, address: bytes | None, limits: BleLimits) -> BleLink:
    inbox = Inbox(limits)
    gatt = await radio.connect(service_uuid, _ClientEvents(inbox), address)
    started = False
    try:
        wanted = (ble_link.PHONE_STATE, ble_link.PHONE_CLIENT_TO_SERVER, ble_link.PHONE_SERVER_TO_CLIENT)
        if not all(gatt.has(characteristic) for characteristic in wanted):
            raise LinkError(LinkCode.NO_SERVICE, "the service lacks a characteristic")
        await gatt.subscribe(ble_link.PHONE_STATE)
        await gatt.subscribe(ble_link.PHONE_SERVER_TO_CLIENT)
        if inbox.ended is not None:
            raise LinkError(inbox.ended.code, inbox.ended.detail)
        await gatt.write(ble_link.PHONE_STATE, STATE_START)
        started = True
    finally:
        if not started:
            await to_its_end(gatt.disconnect())
    return BleLink(_ClientCarrier(gatt, limits), inbox, limits)


class _ClientEvents:
    """Fills the inbox from notifications."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def on_notification(self, characteristic: UUID, value: bytes) -> None:
        if characteristic == ble_link.PHONE_SERVER_TO_CLIENT:
            self._inbox.take(value)
        elif characteristic == ble_link.PHONE_STATE and value == STATE_END:
            self._inbox.end(LinkError(LinkCode.PEER_ENDED))

    def on_disconnected(self, detail: str) -> None:
        self._inbox.end(LinkError(LinkCode.LOST, detail))


class _ClientCarrier:
    """Reader is GATT client: writes without response, and it is ours to disconnect."""

    name = "BLE, phone is server"

    def __init__(self, gatt: GattClient, limits: BleLimits) -> None:
        self._gatt = gatt
        self._limits = limits

    @property
    def mtu(self) -> int:
        return self._gatt.mtu

    async def ready(self) -> None:
        """Be ready at once: the phone's service takes writes from the start on."""

    async def put(self, chunk: bytes) -> None:
        await self._gatt.write(ble_link.PHONE_CLIENT_TO_SERVER, chunk)

    async def finish(self, *, say_end: bool) -> None:
        if say_end:
            try:
                async with asyncio.timeout(self._limits.close_drain_s):
                    await self._gatt.write(ble_link.PHONE_STATE, STATE_END)
                    await self._gatt.drain()
            except (LinkError, TimeoutError) as error:
                log.info("the end could not be told: %s", type(error).__name__)
        await self._gatt.disconnect()


async def serve_for_central(
    radio: BleRadio, service_uuid: UUID, ident: bytes | None, *, limits: BleLimits = _DEFAULT
) -> CentralServer:
    """Serve and advertise the reader's service (mdoc central client mode); returns once phones can see it.

    `ident` is the 16-byte Ident value the phone checks us by, or None until `set_ident`. Raises LinkError.
    """
    events = _ServerEvents(limits)
    server = CentralServer(radio, events, limits)
    if ident is not None:
        server.set_ident(ident)
    characteristics = (
        GattCharacteristic(ble_link.READER_STATE, notify=True, write=True),
        GattCharacteristic(ble_link.READER_CLIENT_TO_SERVER, write=True),
        GattCharacteristic(ble_link.READER_SERVER_TO_CLIENT, notify=True),
        GattCharacteristic(ble_link.READER_IDENT, read=True),
    )
    server.attach(await radio.serve(service_uuid, characteristics, events))
    return server


class _ServerEvents:
    """What the phone has done to our service. One phone at a time, and after the start only that one."""

    def __init__(self, limits: BleLimits) -> None:
        self.inbox = Inbox(limits)
        self.ident: bytes | None = None
        self.connected = False
        self.started = False
        self.subscribed: set[UUID] = set()
        self.changed = asyncio.Event()

    def on_connected(self) -> None:
        if not self.started:
            self.connected = True
            self.subscribed.clear()
            self.changed.set()

    def on_read(self, characteristic: UUID) -> bytes | None:
        return self.ident if characteristic == ble_link.READER_IDENT else None

    def on_write(self, characteristic: UUID, value: bytes) -> None:
        if characteristic == ble_link.READER_STATE:
            if value == STATE_START:
                self.started = True
            elif value == STATE_END and self.started:
                self.inbox.end(LinkError(LinkCode.PEER_ENDED))
            self.changed.set()
        elif characteristic == ble_link.READER_CLIENT_TO_SERVER and self.started:
            self.inbox.take(value)

    def on_subscribed(self, characteristic: UUID, enabled: bool) -> None:
        if enabled:
            self.subscribed.add(characteristic)
        else:
            self.subscribed.discard(characteristic)
        self.changed.set()

    def on_disconnected(self, detail: str) -> None:
        self.connected = False
        self.subscribed.clear()
        if self.started:
            self.inbox.end(LinkError(LinkCode.LOST, detail))
        self.changed.set()


class CentralServer:
    """A reader's service on the air, waiting for a phone to start a session."""

    def __init__(self, radio: BleRadio, events: _ServerEvents, limits: BleLimits) -> None:
        """Prepare; `attach` gives it the driver's side."""
        self._radio = radio
        self._events = events
        self._limits = limits
        self._gatt: GattServer | None = None
        self._link: BleLink | None = None
        self._closed = False

    def attach(self, gatt: GattServer) -> None:
        """Take the driver's side of the service."""
        self._gatt = gatt

    def set_ident(self, ident: bytes) -> None:
        """Answer reads of Ident with these 16 bytes from now on."""
        if len(ident) != _IDENT_BYTES:
            raise ValueError("Ident is 16 bytes")
        self._events.ident = ident
        self._events.changed.set()

    async def accepted(self) -> BleLink:
        """Wait for a phone to write State=01, stop advertising, and return the link to it.

        A phone that disconnects before its start, or never starts, makes room for another. Raises LinkError:
        RADIO_OFF when the adapter goes away, CLOSED after `close`.
        """
        events = self._events
        gatt = self._gatt
        if gatt is None or self._closed:
            raise LinkError(LinkCode.CLOSED)
        while not events.started:
            if self._closed:
                raise LinkError(LinkCode.CLOSED)
            if not self._radio.available:
                raise LinkError(LinkCode.RADIO_OFF)
            events.changed.clear()
            # A phone that waits for an Ident we do not know yet is not to blame.
            grace = self._limits.start_grace_s if events.connected and events.ident is not None else None
            try:
                async with asyncio.timeout(grace):
                    await events.changed.wait()
            except TimeoutError:
                log.info("a phone connected and never started; making room")
                await gatt.disconnect()
        await gatt.stop_advertising()
        if self._link is None:
            self._link = BleLink(_ServerCarrier(gatt, events, self._limits), events.inbox, self._limits)
        return self._link

    async def close(self) -> None:
        """Take the service off the air, ending a session that was accepted. Bounded; never raises; idempotent."""
        self._closed = True
        self._events.changed.set()
        if self._link is not None:
            await self._link.close()
        elif self._gatt is not None:
            await to_its_end(self._gatt.close())


class _ServerCarrier:
    """Reader is GATT server: notifications, and the phone should be the one to disconnect."""

    name = "BLE, reader is server"

    def __init__(self, gatt: GattServer, events: _ServerEvents, limits: BleLimits) -> None:
        self._gatt = gatt
        self._events = events
        self._limits = limits

    @property
    def mtu(self) -> int:
        return max(self._gatt.mtu, DEFAULT_ATT_MTU)

    async def ready(self) -> None:
        # The start may come before the phone has enabled notifications: hold ours until it has.
        events = self._events
        while ble_link.READER_SERVER_TO_CLIENT not in events.subscribed:
            if events.inbox.ended is not None:
                raise LinkError(events.inbox.ended.code, events.inbox.ended.detail)
            events.changed.clear()
            await events.changed.wait()

    async def put(self, chunk: bytes) -> None:
        await self._gatt.notify(ble_link.READER_SERVER_TO_CLIENT, chunk)

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
