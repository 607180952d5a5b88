"""A phone's Bluetooth on the simulated air: the mdoc's end of both GATT roles, well-behaved or not as told.

It follows ISO 18013-5 11.1.3 from the mdoc's side and shares no code with the reader's side of it, so that a mistake
there does not meet its own mirror image here.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self
from uuid import UUID

from bumble import hci
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.host import Host
from bumble.transport import open_transport
from bumble.transport.common import Transport

from mdoc_reader.drivers.bumble_client import connect_to
from mdoc_reader.drivers.bumble_wire import advertised_uuids, command, use_fresh_address
from mdoc_reader.lab.air import Air, AirController
from mdoc_reader.lab.phone_behaviour import BYTE_A_SECOND, ORDINARY, PhoneRadioBehaviour, VanishAt
from mdoc_reader.lab.phone_channel import PhoneChannel, PhoneGone
from mdoc_reader.lab.phone_gatt import JoinedSession, ServedSession, leave, random_uuid

__all__ = ["BYTE_A_SECOND", "ORDINARY", "PhoneRadio", "PhoneRadioBehaviour", "VanishAt", "random_uuid"]


class PhoneRadio:
    """One phone. Use it as an async context manager, or call `open` and `close`."""

    def __init__(self, air: Air, name: str = "phone") -> None:
        """Put a phone on the air; `open` switches its Bluetooth on."""
        controller = air.controller(name)
        self._controller: AirController | None = controller
        self._transport: Transport | None = None
        self._session: ServedSession | None = None
        configuration = DeviceConfiguration(name=name, address=hci.Address.generate_static_address())
        self._device = Device(config=configuration, host=Host(controller, controller))

    @classmethod
    async def on_controller(cls, transport: str, name: str = "phone") -> Self:
        """Make a phone on a real controller, by Bumble's transport name. OSError when it cannot be opened."""
        opened = await open_transport(transport)
        phone = cls.__new__(cls)
        phone._controller = None
        phone._session = None
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

    async def serve(self, service_uuid: UUID, *, behaviour: PhoneRadioBehaviour = ORDINARY) -> PhoneChannel:
        """Be GATT server (mdoc peripheral server mode): advertise, and wait until a reader has started.

        A reader that leaves before its start makes room for the next. Raises PhoneGone when told to vanish.
        """
        await use_fresh_address(self._device)
        if self._session is not None:
            self._session.close()
        session = ServedSession(self._device, behaviour)
        self._session = session
        session.install(service_uuid)
        try:
            while True:
                await self._advertised(service_uuid, session, behaviour)
                channel = await session.run()
                if channel is not None:
                    return channel
        finally:
            await command(self._device.stop_advertising())

    async def _advertised(self, service_uuid: UUID, session: ServedSession, behaviour: PhoneRadioBehaviour) -> None:
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_connection(connection: Connection) -> None:
            if not arrived.done():
                session.meet(connection)
                arrived.set_result(None)

        def on_ignored() -> None:
            if not arrived.done():
                arrived.set_exception(PhoneGone(f"vanished: {VanishAt.BEFORE_CONNECTION}"))

        if behaviour.vanish_at is VanishAt.BEFORE_CONNECTION:
            if self._controller is None:
                raise ValueError("a real controller answers by itself")
            self._controller.ignores_connections = on_ignored
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
            await arrived
        finally:
            if self._controller is not None:
                self._controller.ignores_connections = None
            self._device.remove_listener(self._device.EVENT_CONNECTION, on_connection)

    async def join(
        self,
        service_uuid: UUID,
        expected_ident: bytes | None,
        *,
        behaviour: PhoneRadioBehaviour = ORDINARY,
    ) -> PhoneChannel:
        """Be GATT client (mdoc central client mode): find the reader, check its Ident, subscribe, start.

        Raises WrongIdent when the reader shows another Ident, PhoneGone when it went or this phone is told to vanish.
        """
        await use_fresh_address(self._device)
        address = await self._found(service_uuid)
        if behaviour.vanish_at is VanishAt.BEFORE_CONNECTION:
            raise PhoneGone(f"vanished: {behaviour.vanish_at}")
        connection = await connect_to(self._device, address, _nothing)
        joined = False
        try:
            channel = await JoinedSession(self._device, connection, behaviour).start(service_uuid, expected_ident)
            joined = True
        finally:
            if not joined:
                await leave(self._device, connection)
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


def _nothing() -> None:
    """Stand for an adapter reset, which a simulated one never needs."""
