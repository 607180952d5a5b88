"""Reader as GATT server over Bumble: one service, advertised, for one phone at a time.

Core specification 6.0: Vol 3 Part C 9.3.4 (undirected connectable mode), Part F 3.4 (ATT), Part G 4.10 (notifications).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from bumble import att, gatt, gatt_server, hci
from bumble.device import Connection, Device
from bumble.l2cap import LeCreditBasedChannel

from mdoc_reader.drivers.bumble_channel import BumbleChannel, listen, turn_away
from mdoc_reader.drivers.bumble_wire import Wire, bumble_uuid, command, use_fresh_address
from mdoc_reader.transport.ports import GattCharacteristic, GattServerEvents, LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

# The fast advertising interval of Vol 3 Part C appendix A, in milliseconds: a person is waiting.
_INTERVAL_MS = (30.0, 60.0)
_ADVERTISE_AGAIN_S = 0.5
# Before the value of a Handle Value Notification: opcode and handle (Vol 3 Part F 3.4.7.1).
_NOTIFICATION_HEADER = 3
_FLAGS = bytes((2, 0x01, 0x06))  # general discoverable, no BR/EDR


async def serve(
    device: Device,
    service: UUID,
    characteristics: tuple[GattCharacteristic, ...],
    events: GattServerEvents,
    stuck: Callable[[], None],
    *,
    channels: bool,
) -> BumbleGattServer:
    """Register and advertise a service, with L2CAP channels beside it if asked for. Raises LinkError."""
    await use_fresh_address(device)
    server = BumbleGattServer(device, service, characteristics, events, stuck, channels=channels)
    shown = False
    try:
        await server.start()
        shown = True
    finally:
        if not shown:
            await to_its_end(server.close())
    return server


def install(device: Device, services: list[gatt.Service]) -> gatt_server.Server:
    """Give the device a new attribute database: the two services every device has, and these."""
    server = gatt_server.Server(device)
    device.gatt_server = server
    device.add_default_services()
    server.add_services(services)
    return server


class BumbleGattServer:
    """A service on the air; a `transport.ports.GattServer`."""

    def __init__(
        self,
        device: Device,
        service: UUID,
        characteristics: tuple[GattCharacteristic, ...],
        events: GattServerEvents,
        stuck: Callable[[], None],
        *,
        channels: bool,
    ) -> None:
        """Prepare the attributes; `start` shows them."""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._device = device
        self._events = events
        self._stuck = stuck
        self._wire: Wire | None = None
        self._subscribed: set[UUID] = set()
        self._visible = True
        self._again = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._strays: set[asyncio.Task[None]] = set()
        self._lost = False
        self._attributes = {each.uuid: self._attribute(each) for each in characteristics}
        self._server = install(device, [gatt.Service(bumble_uuid(service), list(self._attributes.values()))])
        self._data = _FLAGS + bytes((17, 0x07)) + service.bytes[::-1]
        self._channel: BumbleChannel | None = None
        self._listening = listen(device, self._on_channel) if channels else None
        self._listeners: tuple[tuple[str, Callable[..., None]], ...] = (
            (Device.EVENT_CONNECTION, self._on_connection),
            (Device.EVENT_FLUSH, self._on_flush),
        )

    async def start(self) -> None:
        """Advertise, and again after each phone that left, until told to stop. Raises LinkError."""
        for event, listener in self._listeners:
            self._device.on(event, listener)
        await self._advertise()
        self._keeper = asyncio.ensure_future(self._keep_advertising())

    @property
    def notification_room(self) -> int:
        """How many octets a notified value may have: Bumble sends each in a PDU of its own."""
        mtu = self._wire.mtu if self._wire is not None else att.ATT_DEFAULT_MTU
        return mtu - _NOTIFICATION_HEADER

    @property
    def psm(self) -> int | None:
        """The L2CAP PSM at which the phone may open a channel; None where none is offered."""
        return self._listening.psm if self._listening is not None else None

    async def stop_advertising(self) -> None:
        """Stop being visible; the connection stays. Never raises."""
        self._visible = False
        await to_its_end(self._hide())

    async def notify(self, characteristic: UUID, value: bytes) -> None:
        """Notify the phone; returns when the driver can take the next one. Raises LinkError."""
        wire = self._wire
        if wire is None:
            raise LinkError(LinkCode.LOST)
        if characteristic not in self._subscribed:
            raise LinkError(LinkCode.PROTOCOL, "the phone is not subscribed")
        await wire.room()
        # It only queues: nothing to bound.
        await self._server.notify_subscriber(wire.connection, self._attributes[characteristic], value)

    async def drain(self) -> None:
        """Wait until everything notified has left for the phone. Raises LinkError."""
        if self._wire is not None:
            await self._wire.drain()

    async def disconnect(self) -> None:
        """Disconnect the phone if it is still there; never raises."""
        if self._wire is not None:
            await to_its_end(self._wire.disconnect())

    async def close(self) -> None:
        """Stop advertising, disconnect, take the service down; never raises."""
        await to_its_end(self._close())

    async def _close(self) -> None:
        if self.closed.done():
            return
        self._visible = False
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
            self._keeper = None
        await self._hide()
        if self._wire is not None:
            await self._wire.disconnect()
        if self._strays:
            await asyncio.wait(self._strays)
        for event, listener in self._listeners:
            if listener in self._device.listeners(event):
                self._device.remove_listener(event, listener)
        if self._listening is not None:
            self._listening.close()
        if self._device.gatt_server is self._server:
            install(self._device, [])
        if not self.closed.done():
            self.closed.set_result(None)

    async def _advertise(self) -> None:
        work = self._device.start_advertising(
            own_address_type=hci.OwnAddressType.RANDOM,
            advertising_data=self._data,
            scan_response_data=b"",
            advertising_interval_min=_INTERVAL_MS[0],
            advertising_interval_max=_INTERVAL_MS[1],
        )
        await command(work)

    async def _keep_advertising(self) -> None:
        while True:
            await self._again.wait()
            self._again.clear()
            if not self._visible or self._wire is not None:
                continue
            try:
                await self._advertise()
            except LinkError as error:
                log.warning("advertising again failed: %s", error.detail)
                await asyncio.sleep(_ADVERTISE_AGAIN_S)
                self._again.set()

    async def _hide(self) -> None:
        if self._lost:
            return
        try:
            await command(self._device.stop_advertising())
        except LinkError as error:
            log.info("advertising could not be stopped: %s", error.detail)

    def _attribute(self, wanted: GattCharacteristic) -> gatt.Characteristic[Any]:
        properties = gatt.Characteristic.Properties(0)
        permissions = att.Attribute.Permissions(0)
        if wanted.notify:
            properties |= gatt.Characteristic.Properties.NOTIFY
        if wanted.write:
            # Plain Write as well: some phones know no other.
            properties |= gatt.Characteristic.Properties.WRITE | gatt.Characteristic.Properties.WRITE_WITHOUT_RESPONSE
            permissions |= att.Attribute.Permissions.WRITEABLE
        if wanted.read:
            properties |= gatt.Characteristic.Properties.READ
            permissions |= att.Attribute.Permissions.READABLE
        value = gatt.CharacteristicValue(read=partial(self._on_read, wanted), write=partial(self._on_write, wanted))
        attribute: gatt.Characteristic[Any] = gatt.Characteristic(
            bumble_uuid(wanted.uuid), properties, permissions, value
        )
        attribute.on(attribute.EVENT_SUBSCRIPTION, partial(self._on_subscription, wanted.uuid))
        return attribute

    def _is_ours(self, connection: Connection) -> bool:
        return self._wire is not None and self._wire.connection is connection

    async def _on_read(self, wanted: GattCharacteristic, connection: Connection) -> bytes:
        # Bumble does not check the permissions of an attribute itself.
        if not wanted.read:
            raise att.ATT_Error(att.ErrorCode.READ_NOT_PERMITTED)
        value = self._events.on_read(wanted.uuid) if self._is_ours(connection) else None
        if value is not None and not isinstance(value, bytes):
            value = await value
        if value is None:
            raise att.ATT_Error(att.ErrorCode.UNLIKELY_ERROR)
        return value

    def _on_write(self, wanted: GattCharacteristic, connection: Connection, value: bytes) -> None:
        if not wanted.write:
            raise att.ATT_Error(att.ErrorCode.WRITE_NOT_PERMITTED)
        if self._is_ours(connection):
            self._events.on_write(wanted.uuid, bytes(value))

    def _on_subscription(self, uuid: UUID, connection: Connection, notify: bool, indicate: bool) -> None:
        del indicate
        if not self._is_ours(connection):
            return
        if notify:
            self._subscribed.add(uuid)
        else:
            self._subscribed.discard(uuid)
        self._events.on_subscribed(uuid, notify)

    def _on_connection(self, connection: Connection) -> None:
        if connection.role != hci.Role.PERIPHERAL:
            return
        if self._wire is not None or self.closed.done():
            # Somebody who connected before the advertisement was off.
            stray = asyncio.ensure_future(Wire(self._device, connection, self._stuck).disconnect())
            self._strays.add(stray)
            stray.add_done_callback(self._strays.discard)
            return
        wire = Wire(self._device, connection, self._stuck)
        self._wire = wire
        self._subscribed.clear()
        self._events.on_connected()
        wire.gone.add_done_callback(partial(self._on_gone, wire))

    def _on_channel(self, made: LeCreditBasedChannel) -> None:
        wire = self._wire
        busy = self._channel is not None and not self._channel.ended.done()
        if wire is None or busy or not self._is_ours(made.connection):
            turn_away(made)
            return
        channel = BumbleChannel(wire)
        if channel.accept(made):
            self._channel = channel
            self._events.on_channel(channel)

    def _on_gone(self, wire: Wire, gone: asyncio.Future[str]) -> None:
        # Bumble hands each write to a task of its own, and they may not have run when the disconnection is seen. This
        # callback is scheduled after them, so a last message written just before leaving is not lost.
        if self._wire is not wire:
            return
        self._wire = None
        self._subscribed.clear()
        self._events.on_disconnected(gone.result())
        if self._visible:
            self._again.set()

    def _on_flush(self) -> None:
        self._lost = True
        self._visible = False
        if self._wire is None:
            self._events.on_disconnected("adapter lost")
