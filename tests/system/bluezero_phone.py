"""A phone's Bluetooth made of bluezero, run in a guest: GATT server of one session, messages as lines on its pipes.

Its chunking follows ISO 18013-5 11.1.3 and shares no code with the reader or the lab's phone. Standard output carries
JSON lines of what happens, standard input base64 lines of what to send. Arguments: the service's UUID.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

from bluezero import adapter, peripheral
from gi.repository import GLib

BASE = "-a123-48ce-896b-4c76973373e6"
STATE, TO_PHONE, TO_READER = 1, 2, 3
# bluetoothd as server sends several notifications in one packet to a client that takes them, as another bluetoothd
# does, and cuts what does not leave room for the two bytes more that this needs.
HEADER = 5
APART_MS = 5


def tell(event: str, **fields: object) -> None:
    """Tell the host."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


class Phone:
    """One session's service."""

    def __init__(self, service: str) -> None:
        address = next(iter(adapter.Adapter.available())).address
        self.mtu = 23
        self.parts = b""
        self.waiting: list[bytes] = []
        self.peripheral = peripheral.Peripheral(address)
        self.peripheral.add_service(1, service, True)
        write, notify = "write-without-response", "notify"
        self.add(STATE, [notify, write], self.on_state)
        self.add(TO_PHONE, [write], self.on_chunk)
        self.add(TO_READER, [notify], None)
        self.peripheral.on_connect = lambda *_: tell("connected")
        self.peripheral.on_disconnect = lambda *_: tell("disconnected")

    def add(self, number: int, flags: list[str], on_write: Any) -> None:
        """Add a characteristic."""
        self.peripheral.add_characteristic(
            1,
            number,
            f"{number:08x}{BASE}",
            [],
            False,
            flags,
            write_callback=on_write,
            notify_callback=lambda on, _: tell("notify", number=number, on=bool(on)),
        )

    def on_state(self, value: Any, options: Any) -> None:
        """Take a State value."""
        self.learn(options)
        tell("state", value=bytes(value).hex())

    def on_chunk(self, value: Any, options: Any) -> None:
        """Take a chunk."""
        self.learn(options)
        chunk = bytes(value)
        self.parts += chunk[1:]
        if chunk[0] == 0:
            tell("message", data=base64.b64encode(self.parts).decode(), mtu=self.mtu)
            self.parts = b""

    def learn(self, options: Any) -> None:
        """Learn the MTU of the connection."""
        self.mtu = int(options.get("mtu", self.mtu))

    def on_line(self, stream: Any, _: Any) -> bool:
        """Take a message to send."""
        line = stream.readline()
        if not line:
            return False
        message = base64.b64decode(line)
        room = min(self.mtu - HEADER, 512) - 1
        cuts = range(0, len(message), room)
        self.waiting += [
            (b"\x00" if start + room >= len(message) else b"\x01") + message[start : start + room] for start in cuts
        ]
        GLib.timeout_add(APART_MS, self.send_next)
        return True

    def send_next(self) -> bool:
        """Notify one chunk; bluezero tells bluetoothd by a property that changes."""
        if self.waiting:
            self.peripheral.characteristics[TO_READER - 1].set_value(list(self.waiting.pop(0)))
        if not self.waiting:
            tell("sent")
        return bool(self.waiting)

    def run(self) -> None:
        """Publish and serve until ended."""
        GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, self.on_line)
        GLib.timeout_add(200, lambda: tell("published"))
        self.peripheral.publish()


if __name__ == "__main__":
    Phone(sys.argv[1]).run()
