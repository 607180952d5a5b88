"""An L2CAP channel to a phone as soon as it is connected, while bluetoothd discovers the phone's services beside it.

The session does not wait for that discovery; should the channel fail, GATT goes on over the same connection, where a
phone that has stopped advertising can still be reached.
"""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from mdoc_reader.drivers.bluez_adapter import Adapter
from mdoc_reader.drivers.bluez_channel import BluezChannel, connect_channel
from mdoc_reader.drivers.bluez_client import Attributes, BluezGattClient, abandon, discovered, reach
from mdoc_reader.drivers.bluez_device import Presence, find
from mdoc_reader.transport.ports import GattClient, GattClientEvents, LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end


async def open_alone(adapter: Adapter, psm: int, service: UUID, address: bytes | None) -> BluezLoneChannel:
    """Find a phone, connect and open a channel at once; closing it ends the connection. Raises LinkError."""
    path = await find(adapter, service, address)
    connection = _Connection(adapter, path)
    channel: BluezChannel | None = None
    try:
        await connection.made()
        channel = await connect_channel(adapter, path, psm, connection.presence.gone)
    finally:
        if channel is None:
            await to_its_end(connection.end())
    return BluezLoneChannel(channel, connection)


class _Connection:
    """A connection that bluetoothd makes and explores in the background."""

    def __init__(self, adapter: Adapter, path: str) -> None:
        """Begin to connect."""
        self.presence = Presence(adapter, path)
        self.attributes = Attributes(adapter, path)
        self.reaching = asyncio.ensure_future(reach(adapter, path, self.presence))

    async def made(self) -> None:
        """Wait until it is there. Raises LinkError."""
        presence = self.presence
        either: set[asyncio.Future[Any]] = {self.reaching, presence.connected, presence.gone}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self.reaching.done():
            await self.reaching
        elif presence.gone.done():
            raise LinkError(LinkCode.CONNECT_FAILED, presence.gone.result())

    async def end(self) -> None:
        """End it and forget the phone. Bounded; never raises."""
        await self._stop_reaching()
        self.attributes.stop()
        await abandon(self.presence.adapter, self.presence)
        self.presence.stop()

    async def _stop_reaching(self) -> None:
        if not self.reaching.done():
            self.reaching.cancel()
        await asyncio.wait({self.reaching})
        if not self.reaching.cancelled():
            self.reaching.exception()


class BluezLoneChannel:
    """A channel on a connection of its own; a `transport.ports.LoneChannel`."""

    def __init__(self, channel: BluezChannel, connection: _Connection) -> None:
        """Take over an open channel and its connection."""
        self.released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once nothing is left of the connection."""
        self.send = channel.send
        self.receive = channel.receive
        self.drain = channel.drain
        self._channel = channel
        self._connection = connection
        self._handed_on = False
        self._ending: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the channel and its connection. Bounded; never raises."""
        await self._channel.close()
        if not self._handed_on:
            await to_its_end(self._ended())

    async def go_on_by_gatt(self, service: UUID, events: GattClientEvents) -> GattClient:
        """Close the channel and go on by GATT over the same connection. Raises LinkError, and then all is closed."""
        await self._channel.close()
        if self._handed_on or self._ending is not None:
            raise LinkError(LinkCode.LOST, "the channel is closed")
        connection = self._connection
        client: BluezGattClient | None = None
        try:
            await connection.reaching
            await discovered(connection.presence, connection.attributes, service)
            connection.attributes.stop()
            client = BluezGattClient(connection.presence, connection.attributes, service, events)
        finally:
            if client is None:
                await to_its_end(self._ended())
        self._handed_on = True
        client.released.add_done_callback(lambda _: self.released.set_result(None))
        return client

    async def _ended(self) -> None:
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end())
        await asyncio.wait({self._ending})

    async def _end(self) -> None:
        await self._connection.end()
        self.released.set_result(None)
