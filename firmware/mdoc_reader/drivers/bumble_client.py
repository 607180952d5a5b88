"""Reader as client over Bumble: find the phone, connect, then GATT or an L2CAP channel.

As GATT client it exchanges the MTU and discovers the one service.

Core specification 6.0: Vol 3 Part C 9.3 (connection procedures), Part F 3.4.2 (MTU exchange), Part G 4 (GATT).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from bumble import att, gatt, hci
from bumble.device import Connection, ConnectionParametersPreferences, Device
from bumble.gatt_client import CharacteristicProxy

from mdoc_reader.drivers.bumble_channel import BumbleChannel, open_channel
from mdoc_reader.drivers.bumble_wire import COMMAND_S, Wire, advertised_uuids, bumble_uuid, command, use_fresh_address
from mdoc_reader.transport.ports import Channel, GattClient, GattClientEvents, LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

LARGEST_MTU = 517
"""An MTU that lets a 512-byte value through in one Write or Notification, with room for either header."""

_CONNECT_S = 5.0
_SCAN_AGAIN_S = 10.0
_MOST_ADVERTISERS = 512

# The interval Android calls high priority; iOS grants 15 ms. The supervision timeout bounds how long a phone that went
# out of reach keeps the radio, so it is below the time a disconnection may take. Milliseconds.
_PREFERENCES = {
    hci.Phy.LE_1M: ConnectionParametersPreferences(
        connection_interval_min=11.25, connection_interval_max=15.0, max_latency=0, supervision_timeout=2000
    )
}


async def connect_client(
    device: Device, service: UUID, events: GattClientEvents, address: bytes | None, stuck: Callable[[], None]
) -> BumbleGattClient:
    """Find and connect to the phone that advertises `service` or has `address`. Raises LinkError."""
    await use_fresh_address(device)
    peer = await _find(device, service, address)
    return await _discovered(Wire(device, await connect_to(device, peer, stuck), stuck), service, events)


async def _discovered(wire: Wire, service: UUID, events: GattClientEvents) -> BumbleGattClient:
    """Be GATT client over a connection, which does not outlive a failure. Raises LinkError."""
    ready = False
    try:
        client = BumbleGattClient(wire, events)
        await client.discover(service)
        ready = True
    finally:
        if not ready:
            await to_its_end(wire.disconnect())
    return client


async def connect_channel(
    device: Device, psm: int, service: UUID, address: bytes | None, stuck: Callable[[], None]
) -> BumbleLoneChannel:
    """Find the phone as `connect_client` does and open an L2CAP channel at once. Raises LinkError."""
    await use_fresh_address(device)
    peer = await _find(device, service, address)
    wire = Wire(device, await connect_to(device, peer, stuck), stuck)
    channel: BumbleChannel | None = None
    try:
        channel = await open_channel(wire, psm)
    finally:
        if channel is None:
            await to_its_end(wire.disconnect())
    return BumbleLoneChannel(wire, channel)


async def _find(device: Device, service: UUID, address: bytes | None) -> hci.Address:
    """Scan until the phone shows, and stop at once."""
    found: asyncio.Future[hci.Address] = asyncio.get_running_loop().create_future()
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    # Bumble writes an address least significant byte first.
    wanted = None if address is None else address[::-1]

    def on_report(report: hci.HCI_LE_Advertising_Report_Event.Report) -> None:
        if found.done():
            return
        if len(device.advertisement_accumulators) > _MOST_ADVERTISERS:
            device.advertisement_accumulators.clear()
        if bytes(report.address) == wanted or service in advertised_uuids(report.data):
            found.set_result(report.address)

    def on_flush() -> None:
        if not lost.done():
            lost.set_result(None)

    device.host.on("advertising_report", on_report)
    device.on(device.EVENT_FLUSH, on_flush)
    try:
        while not found.done():
            await command(device.start_scanning(scanning_phys=[hci.Phy.LE_1M]))
            either: set[asyncio.Future[Any]] = {found, lost}
            await asyncio.wait(either, timeout=_SCAN_AGAIN_S, return_when=asyncio.FIRST_COMPLETED)
            if lost.done():
                raise LinkError(LinkCode.RADIO_OFF, "adapter lost")
            await command(device.stop_scanning())
        return found.result()
    finally:
        device.host.remove_listener("advertising_report", on_report)
        device.remove_listener(device.EVENT_FLUSH, on_flush)
        device.advertisement_accumulators.clear()
        if device.is_scanning and not lost.done():
            await to_its_end(_stop_scanning(device))


async def _stop_scanning(device: Device) -> None:
    try:
        await command(device.stop_scanning())
    except LinkError as error:
        log.warning("scanning could not be stopped: %s", error.detail)


async def connect_to(device: Device, peer: hci.Address, stuck: Callable[[], None]) -> Connection:
    """Connect to one address, leaving no half-made connection behind. Raises LinkError CONNECT_FAILED."""
    work = device.connect_le(
        peer,
        connection_parameters_preferences=_PREFERENCES,
        own_address_type=hci.OwnAddressType.RANDOM,
        timeout=None,
    )
    attempt = asyncio.ensure_future(work)
    try:
        await asyncio.wait({attempt}, timeout=_CONNECT_S)
    except asyncio.CancelledError:
        await to_its_end(_abandon(device, attempt, stuck))
        raise
    if not attempt.done():
        await to_its_end(_abandon(device, attempt, stuck))
        raise LinkError(LinkCode.CONNECT_FAILED, "no answer in time")
    if attempt.cancelled():
        raise LinkError(LinkCode.RADIO_OFF, "adapter lost")
    error = attempt.exception()
    if error is not None:
        raise LinkError(LinkCode.CONNECT_FAILED, type(error).__name__) from error
    return attempt.result()


async def _abandon(device: Device, attempt: asyncio.Task[Connection], stuck: Callable[[], None]) -> None:
    """Take back a connection request; the connection may have been made while we did."""
    if not attempt.done():
        try:
            await command(device.send_sync_command_raw(hci.HCI_LE_Create_Connection_Cancel_Command()))
        except LinkError as error:
            log.info("a connection request could not be taken back: %s", error.detail)
        await asyncio.wait({attempt}, timeout=COMMAND_S)
    if not attempt.done():
        attempt.cancel()
        await asyncio.wait({attempt}, timeout=1.0)
        stuck()
    elif not attempt.cancelled() and attempt.exception() is None:
        await Wire(device, attempt.result(), stuck).disconnect()


class BumbleGattClient:
    """A connection to a phone that is GATT server; a `transport.ports.GattClient`."""

    def __init__(self, wire: Wire, events: GattClientEvents) -> None:
        """Take over a fresh connection."""
        self._wire = wire
        self._events = events
        self._client = wire.connection.gatt_client
        self._characteristics: dict[UUID, CharacteristicProxy[bytes]] = {}
        self.mtu = wire.mtu
        wire.connection.on(wire.connection.EVENT_CONNECTION_ATT_MTU_UPDATE, self._on_mtu)
        wire.gone.add_done_callback(lambda gone: events.on_disconnected(gone.result()))

    @property
    def gone(self) -> asyncio.Future[str]:
        """Done when the connection is."""
        return self._wire.gone

    def _on_mtu(self, *_: object) -> None:
        self.mtu = self._wire.mtu

    async def discover(self, service: UUID) -> None:
        """Exchange the MTU and discover `service` alone. Raises LinkError."""
        try:
            await self._wire.ask(self._client.request_mtu(LARGEST_MTU))
        except LinkError as error:
            # A server may answer that it knows no MTU exchange: 23 it is then.
            if not isinstance(error.__cause__, att.ATT_Error):
                raise
        self._on_mtu()
        found = await self._wire.ask(self._client.discover_service(bumble_uuid(service)))
        if not found:
            raise LinkError(LinkCode.NO_SERVICE)
        for proxy in await self._wire.ask(self._client.discover_characteristics([], found[0])):
            self._characteristics.setdefault(UUID(bytes=proxy.uuid.to_bytes(force_128=True)[::-1]), proxy)

    def has(self, characteristic: UUID) -> bool:
        """Say whether the discovered service has this characteristic."""
        return characteristic in self._characteristics

    async def subscribe(self, characteristic: UUID) -> None:
        """Enable notifications. Raises LinkError."""
        proxy = self._proxy(characteristic)

        def on_value(value: bytes) -> None:
            self._events.on_notification(characteristic, bytes(value))

        await self._wire.ask(self._client.subscribe(proxy, on_value))
        if proxy.get_descriptor(gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR) is None:
            # Bumble only logs this, and the notifications would never come.
            raise LinkError(LinkCode.PROTOCOL, "a characteristic cannot be subscribed to")

    async def read(self, characteristic: UUID) -> bytes:
        """Read a value. Raises LinkError."""
        return bytes(await self._wire.ask(self._client.read_value(self._proxy(characteristic))))

    async def write(self, characteristic: UUID, value: bytes) -> None:
        """Write without response, or with one where the phone offers nothing else. Raises LinkError."""
        proxy = self._proxy(characteristic)
        await self._wire.room()
        if proxy.properties & gatt.Characteristic.Properties.WRITE_WITHOUT_RESPONSE:
            # Straight through: it only queues, and a task for each chunk would cost more than the chunk.
            await self._client.write_value(proxy, value, with_response=False)
        else:
            await self._wire.ask(self._client.write_value(proxy, value, with_response=True))

    async def drain(self) -> None:
        """Wait until everything written has left for the phone. Raises LinkError."""
        await self._wire.drain()

    async def open_channel(self, psm: int) -> Channel:
        """Open an L2CAP channel over this connection. Raises LinkError: LOST, or CONNECT_FAILED when refused."""
        return await open_channel(self._wire, psm)

    async def disconnect(self) -> None:
        """Disconnect; never raises."""
        await to_its_end(self._wire.disconnect())

    def _proxy(self, characteristic: UUID) -> CharacteristicProxy[bytes]:
        proxy = self._characteristics.get(characteristic)
        if proxy is None:
            raise LinkError(LinkCode.NO_SERVICE, "the service lacks a characteristic")
        return proxy


class BumbleLoneChannel:
    """A channel on a connection of its own; a `transport.ports.LoneChannel`."""

    def __init__(self, wire: Wire, channel: BumbleChannel) -> None:
        """Take over a fresh connection and the channel on it."""
        self._wire = wire
        self._channel = channel
        self._by_gatt = False

    @property
    def gone(self) -> asyncio.Future[str]:
        """Done when the connection is."""
        return self._wire.gone

    async def send(self, data: bytes) -> None:
        """Send bytes; returns when the driver can take more. Raises LinkError LOST."""
        await self._channel.send(data)

    async def receive(self) -> bytes:
        """Return the next bytes, at least one. Raises LinkError LOST once the channel has ended."""
        return await self._channel.receive()

    async def drain(self) -> None:
        """Wait until everything sent has left for the phone. Raises LinkError LOST."""
        await self._channel.drain()

    async def go_on_by_gatt(self, service: UUID, events: GattClientEvents) -> GattClient:
        """Close the channel and discover `service` on the same connection. Raises LinkError, and then all is closed."""
        self._by_gatt = True
        taken = False
        try:
            await self._channel.close()
            taken = True
        finally:
            if not taken:
                await to_its_end(self._wire.disconnect())
        return await _discovered(self._wire, service, events)

    async def close(self) -> None:
        """Close the channel, and the connection unless GATT has it now. Bounded; never raises."""
        await to_its_end(self._close())

    async def _close(self) -> None:
        await self._channel.close()
        if not self._by_gatt:
            await self._wire.disconnect()
