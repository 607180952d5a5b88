"""Finding a phone among bluetoothd's devices, and letting go of one so that nothing of it stays behind."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

from dbus_fast import Variant

from mdoc_reader.drivers.bluez_adapter import Adapter
from mdoc_reader.drivers.bluez_bus import PROPERTIES, CallFailed
from mdoc_reader.drivers.bluez_objects import ADAPTER, DEVICE, Change
from mdoc_reader.transport.ports import LinkCode, LinkError

log = logging.getLogger(__name__)

# bluetoothd pauses for seconds between rounds of scanning of 10 s: a round is begun anew before that.
_SCAN_AGAIN_S = 9.5
_START_S = 8.0
_BUSY_PAUSE_S = 0.1
_BUSY_TRIES = 80
_GONE_S = 4.0
_TIDY_S = 0.3
_REMOVE_S = 5.0


class Presence:
    """Whether one device is connected: `connected` is done when it is, `gone` when it is no more, or the adapter."""

    def __init__(self, adapter: Adapter, path: str) -> None:
        """Watch from now on."""
        loop = asyncio.get_running_loop()
        self.connected: asyncio.Future[None] = loop.create_future()
        self.resolved: asyncio.Future[None] = loop.create_future()
        """Done when bluetoothd has discovered its services."""
        self.gone: asyncio.Future[str] = loop.create_future()
        self.adapter = adapter
        self.path = path
        self._stop = adapter.objects.listen(self._on_change)
        adapter.gone.add_done_callback(self._on_adapter_gone)

    def stop(self) -> None:
        """Watch no more."""
        self._stop()
        self.adapter.gone.remove_done_callback(self._on_adapter_gone)

    def lose(self, detail: str) -> None:
        """Take the connection for gone."""
        if not self.gone.done():
            self.gone.set_result(detail)

    def _on_change(self, change: Change) -> None:
        if change.path != self.path or change.interface != DEVICE:
            return
        if change.properties is None:
            self.lose("the phone was forgotten")
            return
        connected = change.properties.get("Connected")
        if connected is True and not self.connected.done():
            self.connected.set_result(None)
        elif connected is False:
            self.lose("disconnected")
        if change.properties.get("ServicesResolved") is True and not self.resolved.done():
            self.resolved.set_result(None)

    def _on_adapter_gone(self, gone: asyncio.Future[str]) -> None:
        self.lose(gone.result())


async def find(adapter: Adapter, service: UUID, address: bytes | None) -> str:
    """Scan until a phone shows that advertises `service` or has `address`, and stop. Raises LinkError."""
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    wanted = str(service)

    def on_change(change: Change) -> None:
        if change.interface != DEVICE or change.properties is None or found.done():
            return
        # Properties of a device that is not on the air now change too; its signal strength does not.
        if not (change.new or "RSSI" in change.properties or "UUIDs" in change.properties):
            return
        device = adapter.objects.devices.get(change.path)
        if device is None or not change.path.startswith(adapter.path + "/") or change.path in adapter.leaving:
            return
        if wanted in device.uuids or device.address == address:
            found.set_result(change.path)

    filters = {"Transport": Variant("s", "le"), "DuplicateData": Variant("b", False)}
    if address is None:
        filters["UUIDs"] = Variant("as", [wanted])
    stop_listening = adapter.objects.listen(on_change)
    try:
        while not found.done():
            await _start(adapter, filters)
            either: set[asyncio.Future[str]] = {found, adapter.gone}
            await asyncio.wait(either, timeout=_SCAN_AGAIN_S, return_when=asyncio.FIRST_COMPLETED)
            if adapter.gone.done():
                raise LinkError(LinkCode.RADIO_OFF, adapter.gone.result())
            await _hushed(adapter)
        return found.result()
    finally:
        stop_listening()
        _hush(adapter)


def _hush(adapter: Adapter) -> None:
    """Begin to stop scanning; nobody has to wait for it but the next one who scans."""
    if adapter.scanning and not adapter.gone.done():
        adapter.scanning = False
        adapter.hushing = asyncio.ensure_future(_stop(adapter))


async def _hushed(adapter: Adapter) -> None:
    _hush(adapter)
    if adapter.hushing is not None:
        await asyncio.wait({adapter.hushing})


async def _start(adapter: Adapter, filters: dict[str, Variant]) -> None:
    await _hushed(adapter)
    adapter.scanning = True
    try:
        # The bus keeps the order: the second call need not wait for the first one's answer.
        await asyncio.gather(
            adapter.bus.call(adapter.path, ADAPTER, "SetDiscoveryFilter", "a{sv}", (filters,)),
            adapter.bus.call(adapter.path, ADAPTER, "StartDiscovery", seconds=_START_S),
        )
    except LinkError as error:
        adapter.doubt(error)
        raise
    adapter.trust()


async def _stop(adapter: Adapter) -> None:
    for attempt in range(_BUSY_TRIES):
        try:
            await adapter.bus.call(adapter.path, ADAPTER, "StopDiscovery")
            return
        except CallFailed as error:
            # A kernel that is still busy with a connection given up has not begun to scan yet, and cannot stop either.
            if error.name != "org.bluez.Error.InProgress" or attempt == _BUSY_TRIES - 1:
                log.info("scanning could not be stopped: %s", error.detail)
                adapter.doubt(error)
                return
        except LinkError as error:
            log.info("scanning could not be stopped: %s", error.detail)
            return
        await asyncio.sleep(_BUSY_PAUSE_S)


async def let_go(adapter: Adapter, path: str) -> None:
    """Disconnect a device if it is connected, and have bluetoothd forget it soon. Bounded; never raises.

    Phones change address, so nothing that is remembered of one helps, and what is remembered wrongly hinders.
    """
    if path in adapter.leaving or adapter.gone.done():
        return
    adapter.leaving.add(path)
    try:
        await _disconnect(adapter, path)
    except LinkError as error:
        log.info("a phone could not be disconnected: %s", error.detail)
        adapter.doubt(error)
    finally:
        task = asyncio.ensure_future(_forget(adapter, path))
        adapter.forgetting.add(task)
        task.add_done_callback(adapter.forgetting.discard)


async def _forget(adapter: Adapter, path: str) -> None:
    try:
        # Nobody waits for this, and bluetoothd has put the connection's own affairs in order by then.
        await asyncio.sleep(_TIDY_S)
        if path in adapter.objects.devices and not adapter.gone.done():
            await adapter.bus.call(adapter.path, ADAPTER, "RemoveDevice", "o", (path,), seconds=_REMOVE_S)
    except CallFailed as error:
        if not error.name.endswith(("DoesNotExist", "UnknownObject", "UnknownMethod")):
            log.warning("a phone could not be forgotten: %s", error.detail)
            adapter.doubt(error)
    except LinkError as error:
        log.info("a phone could not be forgotten: %s", error.detail)
    finally:
        adapter.leaving.discard(path)


async def _disconnect(adapter: Adapter, path: str) -> None:
    device = adapter.objects.devices.get(path)
    if device is None or not device.connected:
        return
    gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_change(change: Change) -> None:
        ours = change.path == path and change.interface == DEVICE
        if ours and (change.properties is None or change.properties.get("Connected") is False) and not gone.done():
            gone.set_result("")

    stop_listening = adapter.objects.listen(on_change)
    try:
        # Disconnect ends whatever bluetoothd is about with the device, then waits two seconds before it disconnects;
        # a device that is blocked goes at once. Blocking alone, in the middle of its discovery, brings 5.66 down.
        asked = asyncio.ensure_future(adapter.bus.call(path, DEVICE, "Disconnect"))
        value = Variant("b", True)
        try:
            await adapter.bus.call(path, PROPERTIES, "Set", "ssv", (DEVICE, "Blocked", value))
        finally:
            await asyncio.wait({asked})
            asked.exception()
        either: set[asyncio.Future[str]] = {gone, adapter.gone}
        await asyncio.wait(either, timeout=_GONE_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop_listening()
