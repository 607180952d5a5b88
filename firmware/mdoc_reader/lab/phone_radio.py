"""A phone's Bluetooth on the simulated air: the mdoc's end of both GATT roles, well-behaved or not as told.

It follows ISO 18013-5 11.1.3 from the mdoc's side and shares no code with the reader's side of it, so that a mistake
there does not meet its own mirror image here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from bumble import att, gatt, hci
from bumble.device import Connection, Device, DeviceConfiguration, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.host import Host
from bumble.transport import open_transport
from bumble.transport.common import Transport

from mdoc_reader.drivers.bumble_client import connect_to
from mdoc_reader.drivers.bumble_server import install
from mdoc_reader.drivers.bumble_wire import advertised_uuids, bumble_uuid, command, use_fresh_address
from mdoc_reader.lab.air import Air, AirController
from mdoc_reader.lab.phone_channel import PhoneChannel, PhoneGone, WrongIdent, mdoc_uuid

_START = b"\x01"
_USER_LEFT = int(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)


class VanishAt(StrEnum):
    """When a phone disconnects without a word."""

    CONNECTED = "connected"
    SUBSCRIBED = "subscribed"
    """Notifications are being enabled (as server: those of State alone so far), nothing is started."""
    STARTED = "started"
    MID_RECEIVE = "mid_receive"
    """After the first chunk of the reader's first message."""
    MID_SEND = "mid_send"
    """After half of the chunks of its first message."""
    AFTER_SEND = "after_send"
    """Right after its first whole message."""


@dataclass(frozen=True, slots=True)
class PhoneRadioBehaviour:
    """How a phone behaves on the air. Sizes in bytes, times in seconds."""

    mtu: int = 515
    """The ATT MTU it asks for (as client) or grants (as server); 23 as client asks for none."""
    chunk: int | None = None
    """The size of its chunks with their flag byte; None for the largest that fit."""
    short_chunks: bool = False
    """Every second chunk that is not the last is only half as long as it could be."""
    chunk_delay_s: float = 0.0
    ident_check: bool = True
    """Whether it reads Ident and leaves a reader that shows another."""
    no_state: bool = False
    """It connects, subscribes, and never starts."""
    start_first: bool = False
    """As client: it writes State=01 before it enables notifications."""
    early_data: bytes | None = None
    """As client: a chunk written before State=01, to be ignored."""
    missing: tuple[int, ...] = ()
    """As server: characteristics (1 State, 2 Client2Server, 3 Server2Client) it does not have."""
    vanish_at: VanishAt | None = None


class PhoneRadio:
    """One phone. Use it as an async context manager, or call `open` and `close`."""

    def __init__(self, air: Air, name: str = "phone") -> None:
        """Put a phone on the air; `open` switches its Bluetooth on."""
        controller = air.controller(name)
        self._controller: AirController | None = controller
        self._transport: Transport | None = None
        configuration = DeviceConfiguration(name=name, address=hci.Address.generate_static_address())
        self._device = Device(config=configuration, host=Host(controller, controller))

    @classmethod
    async def on_controller(cls, transport: str, name: str = "phone") -> Self:
        """Make a phone on a real controller, by Bumble's transport name. OSError when it cannot be opened."""
        opened = await open_transport(transport)
        phone = cls.__new__(cls)
        phone._controller = None
        phone._transport = opened
        configuration = DeviceConfiguration(name=name, address=hci.Address.generate_static_address())
        phone._device = Device.from_config_with_hci(configuration, opened.source, opened.sink)
        return phone

    async def open(self) -> None:
        """Switch Bluetooth on."""
        await self._device.power_on()

    async def close(self) -> None:
        """Leave the air."""
        if self._controller is not None:
            self._controller.leave()
        if self._transport is not None:
            await self._transport.close()
        self._device.host.emit("flush")
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        """Open."""
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether anything is connected to this phone."""
        return bool(self._device.connections)

    async def serve(
        self, service_uuid: UUID, *, behaviour: PhoneRadioBehaviour = PhoneRadioBehaviour()
    ) -> PhoneChannel:
        """Be GATT server (mdoc peripheral server mode): advertise, and wait until a reader has started.

        A reader that leaves before its start makes room for the next. Raises PhoneGone when told to vanish.
        """
        await use_fresh_address(self._device)
        session = _ServedSession(self._device, behaviour)
        session.install(service_uuid)
        try:
            while True:
                connection = await self._advertised(service_uuid)
                channel = await session.run(connection)
                if channel is not None:
                    return channel
        finally:
            await command(self._device.stop_advertising())

    async def _advertised(self, service_uuid: UUID) -> Connection:
        arrived: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

        def on_connection(connection: Connection) -> None:
            if not arrived.done():
                arrived.set_result(connection)

        self._device.on(self._device.EVENT_CONNECTION, on_connection)
        try:
            await command(
                self._device.start_advertising(
                    advertising_data=bytes((2, 1, 6, 17, 7)) + service_uuid.bytes[::-1],
                    scan_response_data=b"",
                    advertising_interval_min=60.0,
                    advertising_interval_max=60.0,
                )
            )
            return await arrived
        finally:
            self._device.remove_listener(self._device.EVENT_CONNECTION, on_connection)

    async def join(
        self,
        service_uuid: UUID,
        expected_ident: bytes | None,
        *,
        behaviour: PhoneRadioBehaviour = PhoneRadioBehaviour(),
    ) -> PhoneChannel:
        """Be GATT client (mdoc central client mode): find the reader, check its Ident, subscribe, start.

        Raises WrongIdent when the reader shows another Ident, PhoneGone when it went or this phone is told to vanish.
        """
        await use_fresh_address(self._device)
        address = await self._found(service_uuid)
        connection = await connect_to(self._device, address, _nothing)
        joined = False
        try:
            channel = await self._join(connection, service_uuid, expected_ident, behaviour)
            joined = True
        finally:
            if not joined and connection.handle in self._device.connections:
                await command(self._device.disconnect(connection, _USER_LEFT))
        return channel

    async def _found(self, service_uuid: UUID) -> hci.Address:
        found: asyncio.Future[hci.Address] = asyncio.get_running_loop().create_future()

        def on_report(report: hci.HCI_LE_Advertising_Report_Event.Report) -> None:
            if not found.done() and service_uuid in advertised_uuids(report.data):
                found.set_result(report.address)

        self._device.host.on("advertising_report", on_report)
        try:
            await command(self._device.start_scanning())
            return await found
        finally:
            self._device.host.remove_listener("advertising_report", on_report)
            await command(self._device.stop_scanning())

    async def _join(
        self,
        connection: Connection,
        service_uuid: UUID,
        expected_ident: bytes | None,
        behaviour: PhoneRadioBehaviour,
    ) -> PhoneChannel:
        _vanish(behaviour, VanishAt.CONNECTED)
        peer = Peer(connection)
        if behaviour.mtu > att.ATT_DEFAULT_MTU:
            await peer.request_mtu(behaviour.mtu)
        services = await peer.discover_service(bumble_uuid(service_uuid))
        if not services:
            raise PhoneGone("the reader does not have the service")
        proxies = {proxy.uuid: proxy for proxy in await services[0].discover_characteristics()}
        state, to_reader, from_reader, ident = (proxies[bumble_uuid(mdoc_uuid(number))] for number in (5, 6, 7, 8))
        if behaviour.ident_check and bytes(await ident.read_value()) != (expected_ident or b""):
            raise WrongIdent

        async def put(chunk: bytes) -> None:
            await to_reader.write_value(chunk)
            await _drained(connection)

        async def end() -> None:
            await state.write_value(b"\x02")
            await _drained(connection)

        channel = _channel(self._device, connection, behaviour, put, end)
        if behaviour.early_data is not None:
            await put(behaviour.early_data)
        if behaviour.start_first:
            await state.write_value(_START)
            await asyncio.sleep(0.05)
        await _subscribe(state, channel.on_state)
        await _subscribe(from_reader, channel.on_chunk)
        _vanish(behaviour, VanishAt.SUBSCRIBED)
        if behaviour.no_state:
            await channel.gone
            raise PhoneGone("the reader sent this phone away")
        if not behaviour.start_first:
            await state.write_value(_START)
        await _drained(connection)
        _vanish(behaviour, VanishAt.STARTED)
        return channel


class _ServedSession:
    """The phone's GATT service and whoever is connected to it."""

    def __init__(self, device: Device, behaviour: PhoneRadioBehaviour) -> None:
        self._device = device
        self._behaviour = behaviour
        self._channel: PhoneChannel | None = None
        self._started = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._attributes: dict[int, gatt.Characteristic[Any]] = {}

    def install(self, service_uuid: UUID) -> None:
        """Replace the phone's attribute database by one with this service."""
        properties = gatt.Characteristic.Properties
        writeable = properties.WRITE_WITHOUT_RESPONSE
        kinds = {1: properties.NOTIFY | writeable, 2: writeable, 3: properties.NOTIFY}
        for number, kind in kinds.items():
            if number not in self._behaviour.missing:
                attribute: gatt.Characteristic[Any] = gatt.Characteristic(
                    bumble_uuid(mdoc_uuid(number)),
                    kind,
                    att.Attribute.Permissions.WRITEABLE,
                    gatt.CharacteristicValue(write=self._writer(number)),
                )
                attribute.on(attribute.EVENT_SUBSCRIPTION, self._subscriber(number))
                self._attributes[number] = attribute
        server = install(self._device, [gatt.Service(bumble_uuid(service_uuid), list(self._attributes.values()))])
        server.max_mtu = self._behaviour.mtu

    async def run(self, connection: Connection) -> PhoneChannel | None:
        """See one connection to its start; None when the reader left before it."""
        self._started.clear()
        self._subscribed.clear()

        async def put(chunk: bytes) -> None:
            await self._device.gatt_server.notify_subscriber(connection, self._attributes[3], chunk)
            await _drained(connection)

        async def end() -> None:
            await self._device.gatt_server.notify_subscriber(connection, self._attributes[1], b"\x02")
            await _drained(connection)

        channel = _channel(self._device, connection, self._behaviour, put, end)
        self._channel = channel
        await self._vanish_now(channel, VanishAt.CONNECTED)
        event = self._subscribed if self._behaviour.vanish_at is VanishAt.SUBSCRIBED else self._started
        wait = asyncio.ensure_future(event.wait())
        try:
            either: set[asyncio.Future[Any]] = {wait, channel.gone}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wait.cancel()
        if channel.gone.done():
            return None
        await self._vanish_now(channel, VanishAt.SUBSCRIBED)
        await self._vanish_now(channel, VanishAt.STARTED)
        return channel

    async def _vanish_now(self, channel: PhoneChannel, step: VanishAt) -> None:
        if self._behaviour.vanish_at is step:
            await channel.drop()
            raise PhoneGone(f"vanished when {step}")

    def _writer(self, number: int) -> Callable[[Connection, bytes], None]:
        def write(_: Connection, value: bytes) -> None:
            if number == 1 and value == _START:
                self._started.set()
            elif self._channel is not None:
                (self._channel.on_state if number == 1 else self._channel.on_chunk)(bytes(value))

        return write

    def _subscriber(self, number: int) -> Callable[[Connection, bool, bool], None]:
        def subscription(_: Connection, notify: bool, indicate: bool) -> None:
            del indicate
            if notify and number == 1:
                self._subscribed.set()

        return subscription


def _channel(
    device: Device,
    connection: Connection,
    behaviour: PhoneRadioBehaviour,
    put: Callable[[bytes], Any],
    end: Callable[[], Any],
) -> PhoneChannel:
    async def disconnect() -> None:
        if connection.handle in device.connections:
            await command(device.disconnect(connection, _USER_LEFT))

    def size() -> int:
        return behaviour.chunk or min(connection.att_mtu - 3, 512)

    channel = PhoneChannel(
        put,
        end,
        disconnect,
        size,
        chunk_delay_s=behaviour.chunk_delay_s,
        short_chunks=behaviour.short_chunks,
        vanish_mid_send=behaviour.vanish_at is VanishAt.MID_SEND,
        vanish_after_send=behaviour.vanish_at is VanishAt.AFTER_SEND,
        vanish_mid_receive=behaviour.vanish_at is VanishAt.MID_RECEIVE,
    )
    connection.on(connection.EVENT_DISCONNECTION, channel.on_gone)
    if connection.handle not in device.connections:
        channel.on_gone()
    return channel


def _nothing() -> None:
    """Stand for an adapter reset, which a simulated one never needs."""


def _vanish(behaviour: PhoneRadioBehaviour, step: VanishAt) -> None:
    if behaviour.vanish_at is step:
        raise PhoneGone(f"vanished when {step}")


async def _subscribe(proxy: CharacteristicProxy[bytes], take: Callable[[bytes], None]) -> None:
    await proxy.subscribe(lambda value: take(bytes(value)))


async def _drained(connection: Connection) -> None:
    queue = connection.device.host.le_acl_packet_queue
    if queue is not None and queue.pending:
        await queue.drain(connection.handle)


def random_uuid() -> UUID:
    """Return a fresh service UUID (version 4), as a phone makes one for each engagement."""
    return UUID(bytes=secrets.token_bytes(16), version=4)
