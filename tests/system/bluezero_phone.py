"""A phone's Bluetooth made of bluezero, run in a guest: one session in either role, messages as lines on its pipes.

Its chunking follows ISO 18013-5 11.1.3 and shares no code with the reader or the lab's phone. Standard output carries
JSON lines of what happens, standard input base64 lines of what to send. Arguments: `server` or `client`, and the
service's UUID.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from bluezero import adapter, central, constants, peripheral
from gi.repository import GLib

BASE = "-a123-48ce-896b-4c76973373e6"
LONGEST = 512


def tell(event: str, **fields: object) -> None:
    """Tell the host."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def cut(message: bytes, size: int) -> Iterator[bytes]:
    """Cut a message into chunks of at most this size, each behind a byte that says whether more follow."""
    room = size - 1
    for start in range(0, len(message), room):
        yield bytes([start + room < len(message)]) + message[start : start + room]


class Assembly:
    """Chunks into messages, each told with the chunks it came in."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def take(self, value: Any) -> None:
        """Take a chunk."""
        more, part = bytes(value)[0], bytes(value)[1:]
        self.parts.append(part)
        if not more:
            sizes = [len(each) + 1 for each in self.parts]
            tell("message", data=base64.b64encode(b"".join(self.parts)).decode(), chunks=sizes)
            self.parts.clear()


class Server:
    """The phone is GATT server."""

    STATE, TO_PHONE, TO_READER = 1, 2, 3
    # bluetoothd as server puts several notifications in one packet for a client that takes them, as another bluetoothd
    # does, and cuts what does not leave room for the two bytes more that this needs.
    HEADER = 5
    APART_MS = 5

    def __init__(self, service: str, dongle: adapter.Adapter) -> None:
        self.mtu = 23
        self.assembly = Assembly()
        self.waiting: list[bytes] = []
        self.peripheral = peripheral.Peripheral(dongle.address)
        self.peripheral.add_service(1, service, True)
        write, notify = "write-without-response", "notify"
        self.add(self.STATE, [notify, write], lambda value: tell("state", value=bytes(value).hex()))
        self.add(self.TO_PHONE, [write], self.assembly.take)
        self.add(self.TO_READER, [notify], None)
        self.peripheral.on_connect = lambda *_: tell("connected")
        self.peripheral.on_disconnect = lambda *_: tell("disconnected")

    def add(self, number: int, flags: list[str], take: Callable[[Any], None] | None) -> None:
        """Add a characteristic."""

        def written(value: Any, options: Any) -> None:
            self.mtu = int(options.get("mtu", self.mtu))
            if take is not None:
                take(value)

        self.peripheral.add_characteristic(
            1,
            number,
            f"{number:08x}{BASE}",
            [],
            False,
            flags,
            write_callback=written,
            notify_callback=lambda on, _: tell("notify", number=number, on=bool(on)),
        )

    def send(self, message: bytes) -> None:
        """Send a message."""
        self.waiting += cut(message, min(self.mtu - self.HEADER, LONGEST))
        GLib.timeout_add(self.APART_MS, self.send_next)

    def send_next(self) -> bool:
        """Notify one chunk; bluezero tells bluetoothd by a property that changes."""
        self.peripheral.characteristics[self.TO_READER - 1].set_value(list(self.waiting.pop(0)))
        return bool(self.waiting)

    def run(self) -> None:
        """Publish and serve until ended."""
        GLib.timeout_add(200, lambda: tell("ready"))
        self.peripheral.publish()


class Client:
    """The phone is GATT client. It starts once bluetoothd says that both values notify, and never earlier."""

    STATE, TO_READER, TO_PHONE, IDENT = 5, 6, 7, 8
    HEADER = 3

    def __init__(self, service: str, dongle: adapter.Adapter) -> None:
        self.service = service
        self.dongle = dongle
        self.assembly = Assembly()
        self.notifying: set[int] = set()
        self.values: dict[int, Any] = {}
        self.size = 0
        self.reader: central.Central | None = None

    def found(self, device: Any) -> None:
        """Take a device that was heard; bluezero's own discovery would block for all of its time."""
        if self.reader is None and self.service in (device.uuids or []):
            self.dongle.stop_discovery()
            self.join(device.address)

    def join(self, address: str) -> None:
        """Connect and subscribe."""
        self.reader = central.Central(address, self.dongle.address)
        for number in (self.STATE, self.TO_READER, self.TO_PHONE, self.IDENT):
            self.values[number] = self.reader.add_characteristic(self.service, f"{number:08x}{BASE}")
        self.reader.connect()
        tell("connected")
        told_mtu = self.values[self.TO_READER].characteristic_props.Get(constants.GATT_CHRC_IFACE, "MTU")
        self.size = min(int(told_mtu) - self.HEADER, LONGEST)
        tell("ident", value=bytes(self.values[self.IDENT].value).hex())
        for number in (self.STATE, self.TO_PHONE):
            self.values[number].add_characteristic_cb(self.changed(number))
            self.values[number].start_notify()

    def changed(self, number: int) -> Callable[..., None]:
        """Return what takes the changes of a value."""

        def take(_: str, properties: Any, __: Any) -> None:
            if properties.get("Notifying"):
                self.notifying.add(number)
                tell("notify", number=number, on=True)
                if len(self.notifying) == 2:
                    self.values[self.STATE].write_value([1])
                    tell("started")
            if "Value" in properties and number == self.TO_PHONE:
                self.assembly.take(properties["Value"])
            if "Value" in properties and number == self.STATE:
                tell("state", value=bytes(properties["Value"]).hex())
                self.leave()

        return take

    def leave(self) -> None:
        """Disconnect, as the client does, and forget the reader."""
        assert self.reader is not None
        self.reader.disconnect()
        tell("disconnected")
        self.dongle.remove_device(self.reader.rmt_device.remote_device_path)

    def send(self, message: bytes) -> None:
        """Send a message. bluezero has no other write than one with an answer, where the value offers that."""
        for chunk in cut(message, self.size):
            self.values[self.TO_READER].write_value(list(chunk))

    def run(self) -> None:
        """Look for the reader, join it, and go on until ended."""
        for known in list(central.Central.available(self.dongle.address)):
            self.dongle.remove_device(known.remote_device_path)  # only what is new is told as found
        self.dongle.on_device_found = self.found
        self.dongle.start_discovery()
        GLib.timeout_add(100, lambda: tell("ready"))
        self.dongle.run()


def main(role: str, service: str) -> None:
    """Be the phone."""
    dongle = next(iter(adapter.Adapter.available()))
    phone = {"server": Server, "client": Client}[role](service, dongle)

    def on_line(stream: Any, _: Any) -> bool:
        line = stream.readline()
        if line:
            phone.send(base64.b64decode(line))
        return bool(line)

    GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, on_line)
    phone.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
