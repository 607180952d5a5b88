"""What bluetoothd tells of its objects: adapters, devices, and the attributes of a phone that is GATT server.

One look at everything for each life of bluetoothd, then only what changes (org.freedesktop.DBus.ObjectManager). Kept is
little: the adapters, and of each device what finding and letting go of a phone needs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dbus_fast import Message, Variant

from mdoc_reader.drivers.bluez_bus import BLUEZ, OBJECT_MANAGER, PROPERTIES, Bus, CallFailed

log = logging.getLogger(__name__)

ADAPTER = "org.bluez.Adapter1"
ADVERTISING = "org.bluez.LEAdvertisingManager1"
DEVICE = "org.bluez.Device1"
SERVICE = "org.bluez.GattService1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
DESCRIPTOR = "org.bluez.GattDescriptor1"

_KNOWN = frozenset({ADAPTER, ADVERTISING, DEVICE, SERVICE, CHARACTERISTIC, DESCRIPTOR})
_MOST_DEVICES = 1024
_MOST_UUIDS = 64

# Nothing else of bluetoothd's is delivered: no values, no signal strength of headsets' batteries.
_RULES = (
    f"type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{BLUEZ}'",
    f"type='signal',sender='{BLUEZ}',interface='{OBJECT_MANAGER}',path='/'",
    f"type='signal',sender='{BLUEZ}',interface='{PROPERTIES}',member='PropertiesChanged',arg0='{ADAPTER}'",
    f"type='signal',sender='{BLUEZ}',interface='{PROPERTIES}',member='PropertiesChanged',arg0='{DEVICE}'",
)


@dataclass(frozen=True, slots=True)
class Change:
    """One interface of one object: new with its properties, changed in some of them, or gone (None)."""

    path: str
    interface: str
    properties: Mapping[str, object] | None
    new: bool = False


@dataclass(slots=True)
class Device:
    """A device bluetoothd knows."""

    path: str
    address: bytes = bytes(6)
    """Most significant byte first."""
    random: bool = False
    uuids: frozenset[str] = frozenset()
    """Lower case."""
    connected: bool = False
    paired: bool = False
    blocked: bool = False

    def take(self, properties: Mapping[str, object]) -> None:
        """Take properties that were told."""
        address = properties.get("Address")
        if isinstance(address, str):
            self.address = address_bytes(address)
        if "AddressType" in properties:
            self.random = properties["AddressType"] == "random"
        uuids = properties.get("UUIDs")
        if isinstance(uuids, list):
            self.uuids = frozenset(str(each).lower() for each in uuids[:_MOST_UUIDS])
        if "Connected" in properties:
            self.connected = properties["Connected"] is True
        if "Paired" in properties:
            self.paired = properties["Paired"] is True
        if "Blocked" in properties:
            self.blocked = properties["Blocked"] is True


@dataclass(slots=True)
class _Adapter:
    interfaces: set[str] = field(default_factory=set)
    properties: dict[str, object] = field(default_factory=dict)


def address_bytes(text: str) -> bytes:
    """Read an address as bluetoothd writes it, most significant byte first; zeros where it is none."""
    try:
        address = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        return bytes(6)
    return address if len(address) == 6 else bytes(6)


def device_path(adapter: str, address: bytes) -> str:
    """Return where bluetoothd keeps the device with this address."""
    return f"{adapter}/dev_{address.hex('_').upper()}"


def plain(properties: object) -> dict[str, object]:
    """Take the values of an `a{sv}` out of their variants."""
    if not isinstance(properties, dict):
        return {}
    return {str(name): value.value if isinstance(value, Variant) else value for name, value in properties.items()}


class Objects:
    """bluetoothd's objects as it tells of them."""

    def __init__(self, bus: Bus) -> None:
        """Know nothing yet; `start` and `load` ask."""
        self.devices: dict[str, Device] = {}
        self.on_owner: Callable[[], None] | None = None
        """Called when bluetoothd came or went."""
        self._bus = bus
        self._adapters: dict[str, _Adapter] = {}
        self._listeners: set[Callable[[Change], None]] = set()
        self._stop = bus.listen(self._on_signal)

    async def start(self) -> None:
        """Listen, and learn whether bluetoothd runs. Raises LinkError."""
        for rule in _RULES:
            await self._bus.watch(rule)
        try:
            self._bus.owner = str((await self._bus.call_bus("GetNameOwner", "s", BLUEZ))[0])
        except CallFailed as error:
            if not error.name.endswith(".NameHasNoOwner"):
                raise

    async def load(self) -> None:
        """Ask for everything there is, once in a life of bluetoothd. Raises LinkError."""
        body = await self._bus.call("/", OBJECT_MANAGER, "GetManagedObjects")
        self.forget()
        for path, interfaces in body[0].items():
            self._on_added(path, interfaces)

    def forget(self) -> None:
        """Forget everything."""
        self.devices.clear()
        self._adapters.clear()

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Hear of every change; returns what ends it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def adapters(self) -> list[str]:
        """Return the adapters that can advertise, the first one first."""
        return sorted(
            (path for path, adapter in self._adapters.items() if {ADAPTER, ADVERTISING} <= adapter.interfaces),
            key=lambda path: (len(path), path),
        )

    def adapter(self, path: str) -> Mapping[str, object]:
        """Return the properties of an adapter; none where it is not there."""
        adapter = self._adapters.get(path)
        return {} if adapter is None else adapter.properties

    async def attributes(self, device: str) -> list[Change]:
        """Ask for a phone's attributes, where they were not told of. Raises LinkError."""
        body = await self._bus.call("/", OBJECT_MANAGER, "GetManagedObjects")
        return [
            Change(path, interface, plain(properties), new=True)
            for path, interfaces in body[0].items()
            if path.startswith(device + "/")
            for interface, properties in interfaces.items()
            if interface in _KNOWN
        ]

    def _on_signal(self, message: Message) -> None:
        body = message.body
        if message.member == "PropertiesChanged" and message.signature == "sa{sv}as":
            if body[0] in _KNOWN:
                self._apply(Change(str(message.path), body[0], plain(body[1])))
        elif message.member == "InterfacesAdded" and message.signature == "oa{sa{sv}}":
            self._on_added(body[0], body[1])
        elif message.member == "InterfacesRemoved" and message.signature == "oas":
            for interface in body[1]:
                if interface in _KNOWN:
                    self._apply(Change(body[0], interface, None))
        elif message.member == "NameOwnerChanged" and message.signature == "sss" and body[0] == BLUEZ:
            self._bus.owner = body[2]
            self.forget()
            if self.on_owner is not None:
                self.on_owner()

    def _on_added(self, path: str, interfaces: Mapping[str, Any]) -> None:
        for interface, properties in interfaces.items():
            if interface in _KNOWN:
                self._apply(Change(path, interface, plain(properties), new=True))

    def _apply(self, change: Change) -> None:
        if change.interface in {ADAPTER, ADVERTISING}:
            self._apply_adapter(change)
        elif change.interface == DEVICE:
            self._apply_device(change)
        for listener in tuple(self._listeners):
            listener(change)

    def _apply_adapter(self, change: Change) -> None:
        adapter = self._adapters.setdefault(change.path, _Adapter())
        if change.properties is None:
            adapter.interfaces.discard(change.interface)
            if not adapter.interfaces:
                del self._adapters[change.path]
            return
        if change.new:
            adapter.interfaces.add(change.interface)
        if change.interface == ADAPTER:
            adapter.properties.update(change.properties)

    def _apply_device(self, change: Change) -> None:
        if change.properties is None:
            self.devices.pop(change.path, None)
            return
        device = self.devices.get(change.path)
        if device is None:
            if len(self.devices) >= _MOST_DEVICES:
                # Whoever is connected is not the one to forget.
                self.devices.pop(next((path for path, each in self.devices.items() if not each.connected), ""), None)
            device = self.devices[change.path] = Device(change.path)
        device.take(change.properties)
