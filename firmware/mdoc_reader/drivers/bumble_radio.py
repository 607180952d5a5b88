"""Bluetooth through Bumble, a host stack of our own process, on any controller it can name.

`transport` is Bumble's name of the controller: `usb:0` for the first Bluetooth dongle, `hci-socket:0` for a kernel
adapter taken over whole, `serial:/dev/ttyS0,115200` for a UART, `unix:/path` for an HCI socket. The adapter may come
late and go: the driver opens it in the background, tells when it is available, and opens it again with growing pauses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import msgspec
from bumble import hci
from bumble.device import Device, DeviceConfiguration
from bumble.transport import open_transport
from bumble.transport.common import Transport

from mdoc_reader.drivers.bumble_client import BumbleGattClient, BumbleLoneChannel, connect_channel, connect_client
from mdoc_reader.drivers.bumble_server import BumbleGattServer, serve
from mdoc_reader.drivers.bumble_wire import COMMAND_S, bounded, command, quiet, refuse_pairing
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

_OPEN_S = 10.0
_POWER_ON_S = 10.0
_FIRST_PAUSE_S = 0.5


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The controller and how to treat it. Times in seconds."""

    transport: Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=29)] = "mdoc reader"
    """What phones see as the device's name."""
    longest_pause_s: Annotated[float, msgspec.Meta(ge=0.5, le=600)] = 30.0
    """The longest pause between two attempts to open the adapter."""
    busy_wait_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 5.0
    """How long a new connection waits for the previous one to let go of the radio."""


async def open_bluetooth(options: Options) -> BleRadio:
    """Start opening the controller and return at once; `available` tells when it is there."""
    quiet()
    radio = BumbleRadio(options)
    radio.start()
    return radio


class BumbleRadio:
    """One controller with Bumble as its host; a `transport.ports.BleRadio`. One connection or service at a time."""

    def __init__(self, options: Options) -> None:
        """Prepare; `start` opens the controller."""
        self._options = options
        self._device: Device | None = None
        self._trouble: RadioTrouble | None = RadioTrouble.NO_ADAPTER
        self._callbacks: list[Callable[[bool], None]] = []
        self._supervisor: asyncio.Task[None] | None = None
        self._reset = asyncio.Event()
        self._use = asyncio.Lock()

    def start(self) -> None:
        """Begin to open the controller in the background."""
        if self._supervisor is None:
            self._supervisor = asyncio.ensure_future(self._supervise())

    @property
    def available(self) -> bool:
        """Whether the adapter can be used now."""
        return self._device is not None

    @property
    def trouble(self) -> RadioTrouble | None:
        """Why it is not available: NO_ADAPTER while it cannot be opened, STUCK while it is being reset."""
        return self._trouble

    def on_availability(self, callback: Callable[[bool], None]) -> None:
        """Call back on the event loop whenever `available` or `trouble` changes."""
        self._callbacks.append(callback)

    async def connect(self, service: UUID, events: GattClientEvents, address: bytes | None = None) -> GattClient:
        """Find and connect to a phone. Raises LinkError; CONNECT_FAILED when the radio is still in use."""
        device = await self._lease()
        client: BumbleGattClient | None = None
        try:
            client = await connect_client(device, service, events, address, self._reset.set)
        except LinkError as error:
            self._doubt(device, error)
            raise
        finally:
            if client is None:
                self._use.release()
        client.gone.add_done_callback(lambda _: self._use.release())
        return client

    async def open_channel(self, psm: int, service: UUID, address: bytes | None = None) -> LoneChannel:
        """Find a phone and open an L2CAP channel. Raises LinkError; CONNECT_FAILED when the radio is still in use."""
        device = await self._lease()
        channel: BumbleLoneChannel | None = None
        try:
            channel = await connect_channel(device, psm, service, address, self._reset.set)
        except LinkError as error:
            self._doubt(device, error)
            raise
        finally:
            if channel is None:
                self._use.release()
        channel.gone.add_done_callback(lambda _: self._use.release())
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
        device = await self._lease()
        server: BumbleGattServer | None = None
        try:
            server = await serve(device, service, characteristics, events, self._reset.set, channels=channels)
        except LinkError as error:
            self._doubt(device, error)
            raise
        finally:
            if server is None:
                self._use.release()
        server.closed.add_done_callback(lambda _: self._use.release())
        return server

    async def close(self) -> None:
        """Release the adapter; never raises."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await to_its_end(_ended(self._supervisor))

    async def _lease(self) -> Device:
        if not self.available:
            raise LinkError(LinkCode.RADIO_OFF)
        try:
            async with asyncio.timeout(self._options.busy_wait_s):
                await self._use.acquire()
        except TimeoutError:
            raise LinkError(LinkCode.CONNECT_FAILED, "the radio is in use") from None
        if self._device is None:
            self._use.release()
            raise LinkError(LinkCode.RADIO_OFF)
        return self._device

    def _doubt(self, device: Device, error: LinkError) -> None:
        # An adapter that no longer takes commands is opened anew.
        if error.code is LinkCode.RADIO_OFF and self._device is device:
            self._reset.set()

    async def _supervise(self) -> None:
        pause = _FIRST_PAUSE_S
        complaint = ""
        while True:
            try:
                await self._run_once()
                pause = _FIRST_PAUSE_S
                complaint = ""
            except LinkError as error:
                self._change(None, RadioTrouble.NO_ADAPTER)
                if error.detail != complaint:
                    log.warning("the Bluetooth adapter cannot be opened, trying again: %s", error.detail)
                    complaint = error.detail
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._options.longest_pause_s)

    async def _run_once(self) -> None:
        """Open the controller, serve until it goes, release it. Raises LinkError when it cannot be opened."""
        transport = await bounded(open_transport(self._options.transport), _OPEN_S, LinkCode.RADIO_OFF)
        try:
            device = self._make_device(transport)
            await bounded(device.power_on(), _POWER_ON_S, LinkCode.RADIO_OFF)
            refuse_pairing(device)
            self._reset.clear()
            self._change(device, None)
            log.info("the Bluetooth adapter is available")
            reset = asyncio.ensure_future(_is_set(self._reset))
            try:
                either: set[asyncio.Future[Any]] = {reset, transport.source.terminated}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                log.warning("the Bluetooth adapter is gone" if not reset.done() else "resetting the Bluetooth adapter")
            finally:
                there = not transport.source.terminated.done()
                self._change(None, RadioTrouble.STUCK if reset.done() and there else RadioTrouble.NO_ADAPTER)
                reset.cancel()
                await to_its_end(_ended(reset))
                await to_its_end(_rest(device, still_there=there))
        finally:
            await to_its_end(_release(transport))

    def _make_device(self, transport: Transport) -> Device:
        configuration = DeviceConfiguration(
            name=self._options.name, address=hci.Address.generate_static_address(), classic_enabled=False
        )
        return Device.from_config_with_hci(configuration, transport.source, transport.sink)

    def _change(self, device: Device | None, trouble: RadioTrouble | None) -> None:
        changed = (device is None) != (self._device is None) or trouble is not self._trouble
        self._device = device
        self._trouble = trouble
        if changed:
            for callback in self._callbacks:
                callback(device is not None)


async def _is_set(event: asyncio.Event) -> None:
    await event.wait()


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})


async def _rest(device: Device, *, still_there: bool) -> None:
    """Tell whoever uses the device that it is going, and leave the controller idle."""
    device.host.emit("flush")
    if still_there:
        try:
            await command(device.host.send_sync_command_raw(hci.HCI_Reset_Command()))
        except LinkError as error:
            log.info("the adapter could not be reset: %s", error.detail)


async def _release(transport: Transport) -> None:
    try:
        await bounded(transport.close(), COMMAND_S, LinkCode.RADIO_OFF)
    except LinkError as error:
        log.info("the adapter could not be closed: %s", error.detail)
    await asyncio.sleep(0)  # lets a socket's transport see its own end
