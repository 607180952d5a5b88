"""An L2CAP channel straight to a phone: the kernel makes the connection for it, and nothing of GATT happens on it.

Where the channel fails, GATT may take over. bluetoothd discovers nothing on a connection it has not made (it should
not, see `ReverseServiceDiscovery` in its main.conf), so that takes a new connection; where it has discovered the phone
all the same, this one goes on.
"""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

from mdoc_reader.drivers.bluez_adapter import Adapter
from mdoc_reader.drivers.bluez_channel import BluezChannel, connect_channel
from mdoc_reader.drivers.bluez_client import Attributes, BluezGattClient, connect_client, discovered
from mdoc_reader.drivers.bluez_device import Presence, find, let_go
from mdoc_reader.transport.ports import GattClient, GattClientEvents, LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

_AGAIN_S = 10.0
"""How long a phone may take to show itself again after its channel failed."""


async def open_alone(adapter: Adapter, psm: int, service: UUID, address: bytes | None) -> BluezLoneChannel:
    """Find a phone and open a channel at once, without GATT; closing it ends the connection. Raises LinkError."""
    path = await find(adapter, service, address)
    presence = Presence(adapter, path)
    attributes = Attributes(adapter, path)
    channel: BluezChannel | None = None
    try:
        channel = await connect_channel(adapter, path, psm, presence.gone)
    finally:
        if channel is None:
            attributes.stop()
            presence.stop()
            await to_its_end(let_go(adapter, path))
    return BluezLoneChannel(channel, presence, attributes)


class BluezLoneChannel:
    """A channel on a connection of its own; a `transport.ports.LoneChannel`."""

    def __init__(self, channel: BluezChannel, presence: Presence, attributes: Attributes) -> None:
        """Take over an open channel and what watches its connection."""
        self.released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once nothing is left of the connection, or of the one that GATT went on with."""
        self.send = channel.send
        self.receive = channel.receive
        self.drain = channel.drain
        self._channel = channel
        self._presence = presence
        self._attributes = attributes
        self._handed_on = False
        self._ending: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the channel and its connection. Bounded; never raises."""
        await self._channel.close()
        if not self._handed_on:
            await to_its_end(self._ended())

    async def go_on_by_gatt(self, service: UUID, events: GattClientEvents) -> GattClient:
        """Close the channel and go on by GATT. Raises LinkError, and then all is closed."""
        await self._channel.close()
        if self._handed_on or self._ending is not None:
            raise LinkError(LinkCode.LOST, "the channel is closed")
        client: BluezGattClient | None = None
        try:
            if self._presence.resolved.done() and not self._presence.gone.done():
                await discovered(self._presence, self._attributes, service)
                self._attributes.stop()
                client = BluezGattClient(self._presence, self._attributes, service, events)
            else:
                await let_go(self._presence.adapter, self._presence.path)
                client = await self._connect_again(service, events)
                self._forget()
        finally:
            if client is None:
                await to_its_end(self._ended())
        self._handed_on = True
        client.released.add_done_callback(lambda _: self.released.set_result(None))
        return client

    async def _connect_again(self, service: UUID, events: GattClientEvents) -> BluezGattClient:
        try:
            async with asyncio.timeout(_AGAIN_S):
                return await connect_client(self._presence.adapter, service, events, None)
        except TimeoutError:
            raise LinkError(LinkCode.LOST, "the phone did not show itself again") from None

    async def _ended(self) -> None:
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end())
        await asyncio.wait({self._ending})

    async def _end(self) -> None:
        await let_go(self._presence.adapter, self._presence.path)
        self._forget()
        self.released.set_result(None)

    def _forget(self) -> None:
        self._attributes.stop()
        self._presence.stop()
