"""Reader as GATT client over BlueZ: connect, let bluetoothd discover, and move values through its sockets.

bluetoothd exchanges the MTU and discovers by itself as it connects; what it finds it tells as objects. Values travel
through AcquireNotify and AcquireWrite sockets, one packet each (org.bluez.GattCharacteristic1).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from dbus_fast import Variant

from mdoc_reader.drivers import bluez_sockets
from mdoc_reader.drivers.bluez_adapter import Adapter
from mdoc_reader.drivers.bluez_bus import CallFailed
from mdoc_reader.drivers.bluez_channel import connect_channel
from mdoc_reader.drivers.bluez_device import Presence, find, let_go
from mdoc_reader.drivers.bluez_objects import CHARACTERISTIC, DESCRIPTOR, DEVICE, SERVICE, Change
from mdoc_reader.transport.ports import Channel, GattClientEvents, LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

_CONNECT_S = 12.0
"""For the connection and bluetoothd's discovery together; a phone out of reach is given up by `_REACH_S`."""
_REACH_S = 6.0
_GRACE_S = 0.7
_ATTRIBUTES_S = 0.3
_REQUEST_S = 10.0
_FENCE_S = 1.0
_SMALL_VALUE = 20
_DEFAULT_MTU = 23
_CCCD = "00002902-0000-1000-8000-00805f9b34fb"
_MOST_ATTRIBUTES = 2048


@dataclass(slots=True)
class _Characteristic:
    path: str
    flags: frozenset[str]


@dataclass(slots=True)
class _Subscription:
    uuid: UUID
    path: str
    socket: socket.socket


class Attributes:
    """A phone's attributes, as bluetoothd tells of them."""

    def __init__(self, adapter: Adapter, device: str) -> None:
        """Listen from now on."""
        self._under = device + "/"
        self._properties: dict[str, tuple[str, dict[str, object]]] = {}
        self.stop = adapter.objects.listen(self.take)
        """Listen no more."""

    def take(self, change: Change) -> None:
        """Take news of something below the device."""
        below = change.path.startswith(self._under) and len(self._properties) < _MOST_ATTRIBUTES
        if below and change.new and change.properties is not None:
            self._properties[change.path] = (change.interface, dict(change.properties))

    def of(self, service: UUID) -> dict[UUID, _Characteristic]:
        """Return the characteristics of a service; none where it was not found. Of two alike the first counts."""
        wanted = str(service)
        services = [path for path, properties in self._each(SERVICE) if properties.get("UUID") == wanted]
        if not services:
            return {}
        found: dict[UUID, _Characteristic] = {}
        for path, properties in sorted(self._each(CHARACTERISTIC), key=lambda each: each[0]):
            flags = properties.get("Flags")
            if properties.get("Service") == min(services) and isinstance(flags, list):
                uuid = UUID(str(properties.get("UUID")))
                found.setdefault(uuid, _Characteristic(path, frozenset(str(flag) for flag in flags)))
        return found

    def cccd(self, characteristic: str) -> str | None:
        """Return the descriptor that holds whether a characteristic notifies."""
        for path, properties in self._each(DESCRIPTOR):
            if properties.get("Characteristic") == characteristic and properties.get("UUID") == _CCCD:
                return path
        return None

    def _each(self, kind: str) -> list[tuple[str, dict[str, object]]]:
        return [(path, properties) for path, (interface, properties) in self._properties.items() if interface == kind]


async def connect_client(
    adapter: Adapter, service: UUID, events: GattClientEvents, address: bytes | None
) -> BluezGattClient:
    """Find and connect to the phone that advertises `service` or has `address`. Raises LinkError."""
    path = await find(adapter, service, address)
    presence = Presence(adapter, path)
    attributes = Attributes(adapter, path)
    client: BluezGattClient | None = None
    try:
        await reach(adapter, path, presence)
        await discovered(presence, attributes, service)
        client = BluezGattClient(presence, attributes, service, events)
    finally:
        attributes.stop()
        if client is None:
            await to_its_end(abandon(adapter, presence))
    return client


async def reach(adapter: Adapter, path: str, presence: Presence) -> None:
    """Connect, with all that bluetoothd does on a connection. Bounded. Raises LinkError."""
    work = adapter.bus.call(path, DEVICE, "Connect", seconds=_CONNECT_S, failure=LinkCode.CONNECT_FAILED)
    attempt = asyncio.ensure_future(work)
    try:
        either: set[asyncio.Future[object]] = {attempt, presence.connected, presence.gone}  # type: ignore[arg-type]
        await asyncio.wait(either, timeout=_REACH_S, return_when=asyncio.FIRST_COMPLETED)
        if not (attempt.done() or presence.connected.done() or presence.gone.done()):
            raise LinkError(LinkCode.CONNECT_FAILED, "no answer in time")
        waited: set[asyncio.Future[object]] = {attempt, presence.gone}  # type: ignore[arg-type]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if attempt.done():
            await attempt
        if presence.gone.done():
            raise LinkError(LinkCode.CONNECT_FAILED, presence.gone.result())
        adapter.trust()
    except CallFailed as error:
        if error.timed_out:
            adapter.doubt(error)
        raise
    finally:
        if not attempt.done():
            attempt.cancel()
        await asyncio.wait({attempt})
        if not attempt.cancelled():
            attempt.exception()


async def discovered(presence: Presence, attributes: Attributes, service: UUID) -> None:
    """Wait until bluetoothd has told of the phone's attributes. Raises LinkError; NO_SERVICE when `service` lacks."""
    try:
        async with asyncio.timeout(_REQUEST_S):
            await bluez_sockets.until(presence.resolved, presence.gone)
    except TimeoutError:
        raise LinkError(LinkCode.CONNECT_FAILED, "the phone's services were not discovered in time") from None
    if not attributes.of(service):
        # They are told in no fixed order with the news that they are complete.
        await asyncio.sleep(_ATTRIBUTES_S)
    if not attributes.of(service):
        for change in await presence.adapter.objects.attributes(presence.path):
            attributes.take(change)
    if not attributes.of(service):
        raise LinkError(LinkCode.NO_SERVICE)


async def abandon(adapter: Adapter, presence: Presence) -> None:
    """Take back a connection request; a connection may have been made while we did."""
    # A request that is on the air is answered in a moment. Taking it back just then costs more than the answer: the
    # kernel waits four seconds for one that has come already, and does nothing else meanwhile.
    either: set[asyncio.Future[Any]] = {presence.connected, presence.gone}
    await asyncio.wait(either, timeout=_GRACE_S, return_when=asyncio.FIRST_COMPLETED)
    presence.stop()
    if not presence.connected.done() and not adapter.gone.done() and presence.path in adapter.objects.devices:
        try:
            await adapter.bus.call(presence.path, DEVICE, "Disconnect")
        except LinkError as error:
            log.info("a connection request could not be taken back: %s", error.detail)
    await let_go(adapter, presence.path)


class BluezGattClient:
    """A connection to a phone that is GATT server; a `transport.ports.GattClient`."""

    def __init__(
        self,
        presence: Presence,
        attributes: Attributes,
        service: UUID,
        events: GattClientEvents,
    ) -> None:
        """Take over a fresh connection."""
        self.mtu = _DEFAULT_MTU
        self.released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once nothing of the connection is left."""
        self._adapter = presence.adapter
        self._path = presence.path
        self._presence = presence
        self._attributes = attributes
        self._gone = presence.gone
        self._characteristics = attributes.of(service)
        self._events = events
        self._subscriptions: list[_Subscription] = []
        self._writers: dict[UUID, socket.socket] = {}
        self._last_writer: UUID | None = None
        self._ending: asyncio.Task[None] | None = None
        self._gone.add_done_callback(self._on_gone)

    def has(self, characteristic: UUID) -> bool:
        """Say whether the discovered service has this characteristic."""
        return characteristic in self._characteristics

    async def subscribe(self, characteristic: UUID) -> None:
        """Enable notifications: bluetoothd answers once the phone has. Raises LinkError."""
        where = self._where(characteristic)
        descriptor, mtu = await self._ask(where.path, "AcquireNotify", "a{sv}", {})
        end = bluez_sockets.take(descriptor)
        if self._gone.done():
            end.close()
            raise LinkError(LinkCode.LOST, self._gone.result())
        self._learn_mtu(mtu)
        subscription = _Subscription(characteristic, where.path, end)
        self._subscriptions.append(subscription)
        asyncio.get_running_loop().add_reader(end.fileno(), self._on_readable, subscription)

    async def read(self, characteristic: UUID) -> bytes:
        """Read a value. Raises LinkError."""
        return bytes((await self._ask(self._where(characteristic).path, "ReadValue", "a{sv}", {}))[0])

    async def write(self, characteristic: UUID, value: bytes) -> None:
        """Write without response, or with one where the phone offers nothing else. Raises LinkError."""
        if self._gone.done():
            raise LinkError(LinkCode.LOST, self._gone.result())
        where = self._where(characteristic)
        if self._last_writer not in {None, characteristic}:
            # Two sockets have no order between them: what went into the other one first must have been taken.
            await self._taken()
        writer = self._writers.get(characteristic)
        if "write-without-response" not in where.flags:
            await self._ask(where.path, "WriteValue", "aya{sv}", value, {"type": Variant("s", "request")})
        elif writer is None and len(value) <= _SMALL_VALUE:
            # One State value: a message is as dear as acquiring a socket for it.
            await self._ask(where.path, "WriteValue", "aya{sv}", value, {"type": Variant("s", "command")})
        else:
            if writer is None:
                descriptor, mtu = await self._ask(where.path, "AcquireWrite", "a{sv}", {})
                writer = bluez_sockets.take(descriptor)
                if self._gone.done():
                    writer.close()
                    raise LinkError(LinkCode.LOST, self._gone.result())
                self._writers[characteristic] = writer
                self._learn_mtu(mtu)
            self._last_writer = characteristic
            await bluez_sockets.send(writer, value, self._gone)

    async def drain(self) -> None:
        """Wait until everything written has arrived: bluetoothd has it, and the phone answered a request after it."""
        await self._taken()
        fence = next((cccd for each in self._subscriptions if (cccd := self._attributes.cccd(each.path))), None)
        if fence is None:
            return
        try:
            await self._adapter.bus.call(fence, DESCRIPTOR, "ReadValue", "a{sv}", ({},), seconds=_FENCE_S)
        except CallFailed as error:
            # A phone that refuses has answered; one that is silent has had its time.
            log.debug("the last request was not answered: %s", error.detail)
        if self._gone.done():
            raise LinkError(LinkCode.LOST, self._gone.result())

    async def open_channel(self, psm: int) -> Channel:
        """Open an L2CAP channel over this connection. Raises LinkError."""
        return await connect_channel(self._adapter, self._path, psm, self._gone)

    async def disconnect(self) -> None:
        """Disconnect; never raises."""
        await to_its_end(self._finished())

    async def _finished(self) -> None:
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end())
        await asyncio.wait({self._ending})

    async def _end(self) -> None:
        try:
            await let_go(self._adapter, self._path)
        finally:
            self._presence.lose("disconnected")
            self._presence.stop()
            self._close_sockets()
            if not self.released.done():
                self.released.set_result(None)

    def _close_sockets(self) -> None:
        for each in self._subscriptions:
            bluez_sockets.close(each.socket)
        self._subscriptions.clear()
        for writer in self._writers.values():
            bluez_sockets.close(writer)
        self._writers.clear()

    def _on_gone(self, gone: asyncio.Future[str]) -> None:
        self._deliver(0, [])
        self._events.on_disconnected(gone.result())
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end())

    def _on_readable(self, subscription: _Subscription) -> None:
        values, ended = bluez_sockets.values(subscription.socket)
        self._deliver(self._subscriptions.index(subscription) + 1, [(subscription.uuid, value) for value in values])
        if ended and not self._gone.done():
            asyncio.get_running_loop().remove_reader(subscription.socket.fileno())
            self._presence.lose("the notifications ended")

    def _deliver(self, later: int, held: list[tuple[UUID, bytes]]) -> None:
        """Deliver `held` after everything that waits in the sockets from number `later` on.

        The sockets have no order between them. Whatever was notified before a value of one characteristic is in the
        other sockets by the time that value is read, so reading a characteristic subscribed earlier first, and
        delivering those subscribed later first, keeps an earlier one (State) from overtaking a later one (the data).
        """
        waiting = [
            [(each.uuid, value) for value in bluez_sockets.values(each.socket)[0]]
            for each in self._subscriptions[later:]
        ]
        for values in (*reversed(waiting), held):
            for uuid, value in values:
                self._events.on_notification(uuid, value)

    async def _taken(self) -> None:
        if self._last_writer is not None:
            await bluez_sockets.drained(self._writers[self._last_writer], self._gone)
            self._last_writer = None

    async def _ask(self, path: str, member: str, signature: str, *body: object) -> list[Any]:
        """Have bluetoothd exchange something with the phone. Raises LinkError."""
        if self._gone.done():
            raise LinkError(LinkCode.LOST, self._gone.result())
        try:
            return await self._adapter.bus.call(
                path, CHARACTERISTIC, member, signature, body, seconds=_REQUEST_S, failure=LinkCode.PROTOCOL
            )
        except LinkError as error:
            if self._gone.done() or (isinstance(error, CallFailed) and error.name.endswith("NotConnected")):
                raise LinkError(LinkCode.LOST, error.detail) from error
            raise

    def _where(self, characteristic: UUID) -> _Characteristic:
        where = self._characteristics.get(characteristic)
        if where is None:
            raise LinkError(LinkCode.NO_SERVICE, "the service lacks a characteristic")
        return where

    def _learn_mtu(self, mtu: object) -> None:
        if isinstance(mtu, int):
            self.mtu = max(self.mtu, mtu)
