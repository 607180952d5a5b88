"""Bluetooth through BlueZ, the system's own stack: bluetoothd over D-Bus, L2CAP channels on kernel sockets.

The adapter may be missing, blocked, off or stuck, and bluetoothd or the bus may die and come back: the driver waits for
them in the background, says why it is not available, and recovers alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import msgspec

from mdoc_reader.drivers.bluez_adapter import Adapter, Keeper
from mdoc_reader.drivers.bluez_client import connect_client
from mdoc_reader.drivers.bluez_lone import open_alone
from mdoc_reader.drivers.bluez_server import serve
from mdoc_reader.model.check import Check
from mdoc_reader.transport.ports import (
    BleRadio,
    GattCharacteristic,
    GattClient,
    GattClientEvents,
    GattServer,
    GattServerEvents,
    LinkCode,
    LinkError,
    LoneChannel,
    RadioTrouble,
)
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

SIMULATED = False


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which adapter, and how to treat it. Times in seconds."""

    adapter: Annotated[str, msgspec.Meta(pattern="^hci[0-9]{1,3}$")] | None = None
    """The adapter's name, as `hci0`; without it the first that can advertise."""
    longest_pause_s: Annotated[float, msgspec.Meta(ge=0.5, le=600)] = 30.0
    """The longest pause between two attempts to mend the adapter."""
    busy_wait_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 5.0
    """How long a new connection waits for the previous one to let go of the radio."""


async def open_bluetooth(options: Options) -> BleRadio:
    """Start looking for the adapter and return at once; `available` tells when it can be used."""
    radio = BluezRadio(options)
    radio.start()
    return radio


async def examine(options: Options) -> tuple[Check, ...]:
    """Say how Bluetooth is and what to do, for people."""
    from mdoc_reader.drivers import bluez_examine  # noqa: PLC0415 -- the daemon never needs it

    return await bluez_examine.examine(options.adapter)


class BluezRadio:
    """One adapter of BlueZ; a `transport.ports.BleRadio`. One connection or service at a time."""

    def __init__(self, options: Options) -> None:
        """Prepare; `start` looks for the adapter."""
        self._options = options
        self._adapter: Adapter | None = None
        self._trouble: RadioTrouble | None = RadioTrouble.NO_BUS
        self._callbacks: list[Callable[[bool], None]] = []
        self._keeper: asyncio.Task[None] | None = None
        self._use = asyncio.Lock()
        self._none: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to look for the adapter, in the background."""
        if self._keeper is None:
            keeper = Keeper(self._options.adapter, self._options.longest_pause_s, self._on_change)
            self._keeper = asyncio.ensure_future(keeper.run())

    @property
    def available(self) -> bool:
        """Whether the adapter can be used now."""
        return self._adapter is not None

    @property
    def trouble(self) -> RadioTrouble | None:
        """Why it is not available; None when it is."""
        return self._trouble

    @property
    def calls(self) -> Counter[str]:
        """The D-Bus calls made by this bus connection, by member; those made to us as `<Member`."""
        return self._none if self._adapter is None else self._adapter.bus.calls

    def on_availability(self, callback: Callable[[bool], None]) -> None:
        """Call back on the event loop whenever `available` or `trouble` changes."""
        self._callbacks.append(callback)

    async def connect(self, service: UUID, events: GattClientEvents, address: bytes | None = None) -> GattClient:
        """Find and connect to a phone. Raises LinkError; CONNECT_FAILED when the radio is still in use."""
        async with self._lease() as lease:
            client = await connect_client(lease.adapter, service, events, address)
            lease.keep_until(client.released)
        return client

    async def open_channel(self, psm: int, service: UUID, address: bytes | None = None) -> LoneChannel:
        """Find a phone and open a channel to it, without GATT. Raises LinkError as `connect`."""
        async with self._lease() as lease:
            channel = await open_alone(lease.adapter, psm, service, address)
            lease.keep_until(channel.released)
        return channel

    async def serve(
        self,
        service: UUID,
        characteristics: tuple[GattCharacteristic, ...],
        events: GattServerEvents,
        *,
        channels: bool = False,
    ) -> GattServer:
        """Register and advertise a service. Raises LinkError; CONNECT_FAILED when the radio is still in use."""
        async with self._lease() as lease:
            server = await serve(lease.adapter, service, characteristics, events, channels=channels)
            lease.keep_until(server.released)
        return server

    async def close(self) -> None:
        """Release the adapter; never raises."""
        if self._keeper is not None:
            self._keeper.cancel()
            await to_its_end(_ended(self._keeper))

    @asynccontextmanager
    async def _lease(self) -> AsyncIterator[_Lease]:
        """Hold the radio for one presentation. Raises LinkError."""
        if self._adapter is None:
            raise LinkError(LinkCode.RADIO_OFF)
        try:
            async with asyncio.timeout(self._options.busy_wait_s):
                await self._use.acquire()
        except TimeoutError:
            raise LinkError(LinkCode.CONNECT_FAILED, "the radio is in use") from None
        lease: _Lease | None = None
        try:
            if self._adapter is None:
                raise LinkError(LinkCode.RADIO_OFF)
            lease = _Lease(self._adapter)
            yield lease
        finally:
            if lease is None or lease.until is None:
                self._use.release()
            else:
                lease.until.add_done_callback(lambda _: self._use.release())

    def _on_change(self, adapter: Adapter | None, trouble: RadioTrouble | None) -> None:
        self._adapter = adapter
        self._trouble = trouble
        for callback in self._callbacks:
            callback(adapter is not None)


class _Lease:
    """The right to use the adapter."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.until: asyncio.Future[None] | None = None

    def keep_until(self, released: asyncio.Future[None]) -> None:
        """Hold the radio until this is done."""
        self.until = released


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})
