"""What bluetoothd is shown of a service of ours: its objects, their properties, and its advertisement.

BlueZ's D-Bus interfaces org.bluez.GattService1, GattCharacteristic1 and LEAdvertisement1.
"""

from __future__ import annotations

import itertools
import logging
import re
import socket
from dataclasses import dataclass
from uuid import UUID

from dbus_fast import Message, Variant

from mdoc_reader.drivers.bluez_adapter import Adapter
from mdoc_reader.drivers.bluez_objects import CHARACTERISTIC, SERVICE
from mdoc_reader.transport.ports import GattCharacteristic

log = logging.getLogger(__name__)

ADVERTISEMENT = "org.bluez.LEAdvertisement1"

# The fastest advertising interval there is for legacy advertising, in milliseconds: a person is waiting.
_INTERVAL_MS = (20, 30)

# The version of bluetoothd is in the device ID it gives itself; up to 5.66 a write of 511 or 512 bytes is lost there.
_MODALIAS = re.compile(r"usb:v1D6Bp0246d([0-9A-Fa-f]{4})")
_LOSES_LONG_WRITES = 0x0542

_names = itertools.count(1)
_warned = False


@dataclass(eq=False, slots=True)
class Served:
    """One characteristic as it is served."""

    wanted: GattCharacteristic
    path: str
    socket: socket.socket | None = None
    """Where notifications go while the phone is subscribed."""

    def properties(self, service: str) -> dict[str, Variant]:
        flags = []
        if self.wanted.read:
            flags.append("read")
        if self.wanted.write:
            # Plain Write as well: some phones know no other.
            flags += ["write", "write-without-response"]
        if self.wanted.notify:
            flags.append("notify")
        told = {
            "UUID": Variant("s", str(self.wanted.uuid)),
            "Service": Variant("o", service),
            "Flags": Variant("as", flags),
        }
        if self.wanted.notify:
            told["NotifyAcquired"] = Variant("b", False)
        return told


class ServiceObjects:
    """The objects of one service, under paths of their own."""

    def __init__(self, service: UUID, characteristics: tuple[GattCharacteristic, ...]) -> None:
        """Name them."""
        # Never the same path twice: bluetoothd may still hold the last service while it takes this one.
        self.root = f"/mdoc_reader/presentation{next(_names)}"
        self.advertisement = f"{self.root}/advertisement"
        self.served = {
            f"{self.root}/service/c{number}": Served(each, f"{self.root}/service/c{number}")
            for number, each in enumerate(characteristics)
        }
        self._service = service

    def objects(self, path: str) -> dict[str, dict[str, dict[str, Variant]]]:
        """Return what GetManagedObjects answers at a path."""
        if path != self.root:
            return {}
        service = f"{self.root}/service"
        told = {service: {SERVICE: {"UUID": Variant("s", str(self._service)), "Primary": Variant("b", True)}}}
        for each in self.served.values():
            told[each.path] = {CHARACTERISTIC: each.properties(service)}
        return told

    def properties(self, path: str, interface: str) -> dict[str, Variant]:
        """Return what GetAll answers for an interface of an object."""
        if path == self.advertisement and interface == ADVERTISEMENT:
            return {
                "Type": Variant("s", "peripheral"),
                "ServiceUUIDs": Variant("as", [str(self._service)]),
                "Discoverable": Variant("b", True),
                "MinInterval": Variant("u", _INTERVAL_MS[0]),
                "MaxInterval": Variant("u", _INTERVAL_MS[1]),
            }
        return self.objects(self.root).get(path, {}).get(interface, {})


def warn_of_long_writes(adapter: Adapter, mtu: int) -> None:
    """Say once that this bluetoothd loses long writes, where it does."""
    global _warned  # noqa: PLW0603 -- once in a process is enough
    version = _MODALIAS.match(str(adapter.properties.get("Modalias", "")))
    if not _warned and mtu > 513 and version is not None and int(version[1], 16) <= _LOSES_LONG_WRITES:
        _warned = True
        log.warning(
            "this bluetoothd loses writes of more than 510 bytes: set ExchangeMTU = 512 under [GATT] in "
            "/etc/bluetooth/main.conf"
        )


def refusal(call: Message, name: str) -> Message:
    """Return the answer that refuses a call, by the last part of an org.bluez.Error name."""
    return Message.new_error(call, f"org.bluez.Error.{name}", "")
