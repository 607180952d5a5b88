"""The barest BlueZ client and server that move the same bytes as a presentation: what `bluetooth.py` compares us with.

Runs in the guest. No session, no crypto, no checks, no recovery, one thing after another as fast as bluetoothd lets it:
GATT client (AcquireNotify, AcquireWrite), GATT server (NotifyAcquired and WriteValue), and an L2CAP channel either way.
It takes one command a line, {"way", "service", "ident", "psm", "request"}, and answers each with two: once the answer
is whole, and with times and D-Bus calls.
What little the other side needs to go on is there: State=01, the flag before each chunk, the length before a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import socket
import struct
import sys
import time
from collections import Counter
from typing import Any

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

ADAPTER_PATH = "/org/bluez/hci0"
ADAPTER, DEVICE, CHARACTERISTIC = "org.bluez.Adapter1", "org.bluez.Device1", "org.bluez.GattCharacteristic1"
GATT_MANAGER, ADVERTISING = "org.bluez.GattManager1", "org.bluez.LEAdvertisingManager1"
PROPERTIES, OBJECT_MANAGER = "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.ObjectManager"
ROOT = "/bare"
SDU = 16384
LISTEN_PSM = 0x81
_SOL_BLUETOOTH, _BT_SNDMTU, _BT_RCVMTU = 274, 12, 13
_libc = ctypes.CDLL(None, use_errno=True)

Json = dict[str, Any]


def named(number: int) -> str:
    """Return the UUID of an mdoc characteristic."""
    return f"{number:08x}-a123-48ce-896b-4c76973373e6"


def chunks(message: bytes, mtu: int) -> list[bytes]:
    """Cut a message as both sides expect it."""
    size = min(mtu - 3, 512) - 1
    parts = [message[start : start + size] for start in range(0, len(message), size)]
    return [*(b"\x01" + part for part in parts[:-1]), b"\x00" + parts[-1]]


class Bare:
    """One program for all ways, warm from the first command on."""

    def __init__(self, bus: MessageBus, address: str, kind: str) -> None:
        """Take an open connection, and the adapter's address."""
        self.bus = bus
        self.own = (address, kind)
        self.calls: Counter[str] = Counter()
        self.marks: dict[str, float] = {}
        self.counted: dict[str, dict[str, int]] = {}
        self.events: asyncio.Queue[Message] = asyncio.Queue()
        self.serving: Serving | None = None
        """The last service; it answers until the next one."""
        bus.add_message_handler(self.on_message)

    def on_message(self, message: Message) -> Message | bool | None:
        """Keep signals in order; answer bluetoothd."""
        if message.message_type is MessageType.SIGNAL:
            self.events.put_nowait(message)
        elif message.message_type is MessageType.METHOD_CALL and self.serving is not None:
            self.calls[f"<{message.member}"] += 1
            return self.serving.answer(message)
        return None

    async def call(self, path: str, interface: str, member: str, signature: str = "", *body: object) -> Message:
        """Call bluetoothd."""
        self.calls[member] += 1
        message = Message("org.bluez", path, interface, member, signature=signature, body=list(body))
        reply = await self.bus.call(message)
        if reply is None or reply.message_type is MessageType.ERROR:  # type: ignore[redundant-expr]
            raise RuntimeError(f"{member} failed: {reply}")
        return reply

    def mark(self, name: str) -> None:
        """Note when a phase ended, and what was called in it."""
        self.marks[name] = time.monotonic()
        self.counted[name] = dict(self.calls)
        self.calls.clear()
        if name == "response":
            print(json.dumps({"whole": True}), flush=True)

    async def run(self, command: Json) -> Json:
        """Do one command; return milliseconds and D-Bus calls a phase."""
        while not self.events.empty():
            self.events.get_nowait()
        self.calls.clear()
        self.counted.clear()
        began = time.monotonic()
        work = {
            "phone-server": self.client,
            "reader-server": self.server,
            "phone-channel": self.channel_client,
            "reader-channel": self.server,
        }[command["way"]]
        answer = await work(command)
        self.mark("end")
        ms: Json = {}
        for name, at in self.marks.items():
            ms[name], began = round((at - began) * 1000, 3), at
        return {"ms": ms, "calls": self.counted, "response": answer}

    # As client.

    async def find(self, service: str) -> str:
        """Scan until a device shows the service."""
        filters = {"Transport": Variant("s", "le"), "UUIDs": Variant("as", [service])}
        asked = asyncio.gather(
            self.call(ADAPTER_PATH, ADAPTER, "SetDiscoveryFilter", "a{sv}", filters),
            self.call(ADAPTER_PATH, ADAPTER, "StartDiscovery"),
        )
        while True:
            event = await self.events.get()
            if event.member == "InterfacesAdded" and DEVICE in event.body[1]:
                uuids = event.body[1][DEVICE].get("UUIDs")
                if uuids is not None and service in uuids.value:
                    await asked
                    return str(event.body[0])

    async def client(self, command: Json) -> int:
        """Find, connect, subscribe, start, write, read, leave."""
        device = await self.find(command["service"])
        stopping = asyncio.ensure_future(self.call(ADAPTER_PATH, ADAPTER, "StopDiscovery"))
        connecting = asyncio.ensure_future(self.call(device, DEVICE, "Connect"))
        paths: dict[str, str] = {}
        resolved = False
        while not resolved or len(paths) < 3:
            event = await self.events.get()
            if event.member == "InterfacesAdded" and CHARACTERISTIC in event.body[1]:
                paths[event.body[1][CHARACTERISTIC]["UUID"].value] = event.body[0]
                paths = {uuid: path for uuid, path in paths.items() if uuid in {named(1), named(2), named(3)}}
            elif event.member == "PropertiesChanged" and event.path == device:
                resolved = resolved or "ServicesResolved" in event.body[1]
        self.mark("link")
        state = {"type": Variant("s", "command")}
        notify, write, _ = await asyncio.gather(
            self.call(paths[named(3)], CHARACTERISTIC, "AcquireNotify", "a{sv}", {}),
            self.call(paths[named(2)], CHARACTERISTIC, "AcquireWrite", "a{sv}", {}),
            self.call(paths[named(1)], CHARACTERISTIC, "WriteValue", "aya{sv}", b"\x01", state),
        )
        reader, writer = (socket.socket(fileno=each.unix_fds[0]) for each in (notify, write))
        for end in (reader, writer):
            end.setblocking(False)
        self.mark("start")
        loop = asyncio.get_running_loop()
        for chunk in chunks(bytes(command["request"]), write.body[1]):
            await loop.sock_sendall(writer, chunk)
        self.mark("request")
        length = await self.values(reader)
        self.mark("response")
        await asyncio.gather(stopping, connecting)
        await self.leave(device)
        reader.close()
        writer.close()
        return length

    async def values(self, end: socket.socket) -> int:
        """Read chunks to the last one; return the length of the message."""
        length = 0
        while True:
            value = await asyncio.get_running_loop().sock_recv(end, 1024)
            with contextlib.suppress(BlockingIOError):
                while True:
                    length += len(value) - 1
                    if value[0] == 0:
                        return length
                    value = end.recv(1024)

    async def leave(self, device: str) -> None:
        """Disconnect at once: bluetoothd waits two seconds before it does what Disconnect asks."""
        await self.call(device, PROPERTIES, "Set", "ssv", DEVICE, "Blocked", Variant("b", True))
        while True:
            event = await self.events.get()
            if event.member == "PropertiesChanged" and event.path == device:
                connected = event.body[1].get("Connected")
                if connected is not None and not connected.value:
                    return

    async def forget(self, device: str) -> None:
        """Remove the device, when nobody measures any more."""
        await self.call(ADAPTER_PATH, ADAPTER, "RemoveDevice", "o", device)

    # On a channel.

    def channel(self, psm: int = 0) -> socket.socket:
        """Make a socket; that it is a Low Energy one is known once it has an address."""
        end = socket.socket(31, socket.SOCK_SEQPACKET, 0)
        end.setblocking(False)
        self.name("bind", end, psm, *self.own)
        end.setsockopt(_SOL_BLUETOOTH, _BT_RCVMTU, struct.pack("<H", SDU))
        return end

    def name(self, function: str, end: socket.socket, psm: int, address: str, kind: str) -> int:
        octets = bytes.fromhex(address.replace(":", ""))[::-1]
        packed = struct.pack("<HH6sHBx", 31, psm, octets, 0, 2 if kind == "random" else 1)
        return int(getattr(_libc, function)(end.fileno(), packed, len(packed)))

    async def channel_client(self, command: Json) -> int:
        """Find, open the channel, write, read, leave."""
        device = await self.find(command["service"])
        stopping = asyncio.ensure_future(self.call(ADAPTER_PATH, ADAPTER, "StopDiscovery"))
        end = self.channel()
        loop = asyncio.get_running_loop()
        self.name("connect", end, command["psm"], device[-17:].replace("_", ":"), "random")
        ready = asyncio.Event()
        loop.add_writer(end.fileno(), ready.set)
        await ready.wait()
        loop.remove_writer(end.fileno())
        self.mark("link")
        self.mark("start")
        length = await self.stream(end, command["request"])
        self.mark("response")
        await stopping
        end.close()
        await self.leave(device)
        return length

    async def stream(self, end: socket.socket, request: int) -> int:
        """Write and read one message with its length; return the answer's."""
        loop = asyncio.get_running_loop()
        (mtu,) = struct.unpack("<H", end.getsockopt(_SOL_BLUETOOTH, _BT_SNDMTU, 2))
        message = request.to_bytes(4, "big") + bytes(request)
        for start in range(0, len(message), mtu):
            await loop.sock_sendall(end, message[start : start + mtu])
        self.mark("request")
        data = await loop.sock_recv(end, SDU)
        length, came = int.from_bytes(data[:4], "big"), len(data) - 4
        while came < length:
            came += len(await loop.sock_recv(end, SDU))
        return length

    # As server.

    async def server(self, command: Json) -> int:
        """Register, wait for the phone, write, read, take down."""
        listening: socket.socket | None = None
        if command["way"] == "reader-channel":
            listening = self.channel(LISTEN_PSM)
            listening.listen(1)
        serving = self.serving = Serving(command, channels=listening is not None)
        await asyncio.gather(
            self.call(ADAPTER_PATH, GATT_MANAGER, "RegisterApplication", "oa{sv}", serving.root, {}),
            self.call(ADAPTER_PATH, ADVERTISING, "RegisterAdvertisement", "oa{sv}", f"{serving.root}/ad", {}),
        )
        self.mark("link")
        loop = asyncio.get_running_loop()
        if listening is None:
            await serving.started.wait()
            self.mark("start")
            end = serving.notifying
            for chunk in chunks(bytes(command["request"]), serving.mtu):
                await loop.sock_sendall(end, chunk)
            self.mark("request")
            await serving.done.wait()
            length = serving.length
        else:
            end, _ = await loop.sock_accept(listening)
            self.mark("start")
            length = await self.stream(end, command["request"])
        self.mark("response")
        hiding = asyncio.ensure_future(
            self.call(ADAPTER_PATH, ADVERTISING, "UnregisterAdvertisement", "o", f"{serving.root}/ad")
        )
        end.close()
        if listening is not None:
            listening.close()
        await self.leave(serving.device)
        await hiding
        await self.call(ADAPTER_PATH, GATT_MANAGER, "UnregisterApplication", "o", serving.root)
        return length


class Serving:
    """The service of one run, as bluetoothd sees it."""

    runs = 0

    def __init__(self, command: Json, *, channels: bool) -> None:
        """Prepare it."""
        Serving.runs += 1
        self.root = f"{ROOT}/run{Serving.runs}"
        self.service = command["service"]
        self.ident = bytes.fromhex(command["ident"])
        self.started, self.done = asyncio.Event(), asyncio.Event()
        self.length = 0
        self.mtu = 23
        self.device = ""
        self.notifying: socket.socket = socket.socket()
        self.kept: list[socket.socket] = []
        """Sockets to close when nobody measures any more."""
        flags = {5: ["write-without-response", "notify"], 6: ["write-without-response"], 7: ["notify"], 8: ["read"]}
        self.flags = {**flags, 0xB: ["read"]} if channels else flags

    def answer(self, call: Message) -> Message:
        """Answer bluetoothd."""
        path = call.path or ""
        number = int(path.rpartition("/c")[2], 16) if "/c" in path else 0
        match call.member:
            case "GetManagedObjects":
                return Message.new_method_return(call, "a{oa{sa{sv}}}", [self.objects()])
            case "GetAll":
                told = {"Type": Variant("s", "peripheral"), "ServiceUUIDs": Variant("as", [self.service])}
                told |= {"Discoverable": Variant("b", True)}
                return Message.new_method_return(call, "a{sv}", [told])
            case "ReadValue":
                self.device = call.body[0]["device"].value
                value = LISTEN_PSM.to_bytes(4, "big") if number == 0xB else self.ident
                return Message.new_method_return(call, "ay", [value])
            case "AcquireNotify":
                options = call.body[0]
                self.device, self.mtu = options["device"].value, options["mtu"].value
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                ours.setblocking(False)
                theirs.setblocking(False)
                self.kept += [ours, theirs]
                if number == 7:
                    self.notifying = ours
                return Message.new_method_return(call, "hq", [0, self.mtu], [theirs.fileno()])
            case "WriteValue":
                value = bytes(call.body[0])
                if number == 5:
                    self.started.set()
                else:
                    self.length += len(value) - 1
                    if value[0] == 0:
                        self.done.set()
                return Message.new_method_return(call)
            case _:
                return Message.new_method_return(call)

    def objects(self) -> dict[str, dict[str, dict[str, Variant]]]:
        """Return the service and its characteristics."""
        service = f"{self.root}/service"
        uuid = Variant("s", self.service)
        told = {service: {"org.bluez.GattService1": {"UUID": uuid, "Primary": Variant("b", True)}}}
        for number, flags in self.flags.items():
            properties = {
                "UUID": Variant("s", named(number)),
                "Service": Variant("o", service),
                "Flags": Variant("as", flags),
            }
            if "notify" in flags:
                properties["NotifyAcquired"] = Variant("b", False)
            told[f"{service}/c{number:x}"] = {CHARACTERISTIC: properties}
        return told


async def main() -> None:
    """Take commands until there are no more."""
    bus = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
    for rule in (
        f"type='signal',sender='org.bluez',interface='{OBJECT_MANAGER}'",
        f"type='signal',sender='org.bluez',interface='{PROPERTIES}',member='PropertiesChanged',arg0='{DEVICE}'",
    ):
        match = Message("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch")
        match.signature, match.body = "s", [rule]
        await bus.call(match)
    told = await bus.call(Message("org.bluez", ADAPTER_PATH, PROPERTIES, "GetAll", signature="s", body=[ADAPTER]))
    assert told is not None
    bare = Bare(bus, told.body[0]["Address"].value, told.body[0]["AddressType"].value)
    print(json.dumps({"ready": True}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        bare.marks.clear()
        done = await bare.run(json.loads(line))
        print(json.dumps(done), flush=True)
        everything = await bare.call("/", OBJECT_MANAGER, "GetManagedObjects")
        for path, interfaces in everything.body[0].items():
            if DEVICE in interfaces:
                with contextlib.suppress(RuntimeError):
                    await bare.forget(path)
        if bare.serving is not None:
            for end in bare.serving.kept:
                end.close()
            bare.serving.kept.clear()


if __name__ == "__main__":
    asyncio.run(main())
