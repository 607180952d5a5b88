"""The BlueZ driver on a real message bus of its own, with a small bluetoothd at the far end that can misbehave."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from mdoc_reader.drivers.bluez_bus import Bus, CallFailed
from mdoc_reader.drivers.bluez_radio import BluezRadio, Options
from mdoc_reader.transport.ports import GattCharacteristic, LinkCode, LinkError, RadioTrouble

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="dbus-daemon is not installed")

_ADAPTER = "/org/bluez/hci7"
_SERVICE = UUID("5a1e0c0d-1111-4222-8333-0123456789ab")
_PHONE = f"{_ADAPTER}/dev_C0_00_00_00_00_01"
_CONFIGURATION = """<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
</policy></busconfig>"""


class BusDaemon:
    """A dbus-daemon that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "bus"
        self._configuration = folder / "bus.conf"
        self._configuration.write_text(_CONFIGURATION.format(path=self._path))
        self.address = f"unix:path={self._path}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._path.unlink(missing_ok=True)
        command = ["dbus-daemon", f"--config-file={self._configuration}", "--nofork", "--print-address"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture
def bus_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BusDaemon]:
    daemon = BusDaemon(tmp_path)
    daemon.start()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)
    yield daemon
    daemon.stop()


class FarDaemon:
    """The far end of the bus: bluetoothd's objects, and what it answers; silent or refusing as told."""

    def __init__(self, connection: MessageBus) -> None:
        self._connection = connection
        self.powered = True
        self.present = True
        self.refuse: dict[str, str] = {}
        self.silent: set[str] = set()
        self.calls: list[str] = []
        self.removed: list[str] = []
        self.reader = ""
        self.devices: dict[str, dict[str, Variant]] = {}
        self.ends: list[socket.socket] = []
        self._unanswered: list[Message] = []
        connection.add_message_handler(self._on_message)

    async def appear(self) -> None:
        await self._connection.request_name("org.bluez")

    async def vanish(self) -> None:
        await self._connection.release_name("org.bluez")

    def adapter(self) -> dict[str, Variant]:
        return {
            "Address": Variant("s", "00:AA:01:00:00:09"),
            "AddressType": Variant("s", "public"),
            "Powered": Variant("b", self.powered),
            "Pairable": Variant("b", False),
        }

    def say_powered(self, powered: bool) -> None:
        self.powered = powered
        self.signal(_ADAPTER, "org.bluez.Adapter1", {"Powered": Variant("b", powered)})

    def signal(self, path: str, interface: str, properties: dict[str, Variant]) -> None:
        body = [interface, properties, []]
        name = "org.freedesktop.DBus.Properties"
        self._connection.send(Message.new_signal(path, name, "PropertiesChanged", "sa{sv}as", body))

    def add(self, path: str, interface: str, properties: dict[str, Variant]) -> None:
        name = "org.freedesktop.DBus.ObjectManager"
        body = [path, {interface: properties}]
        self._connection.send(Message.new_signal("/", name, "InterfacesAdded", "oa{sa{sv}}", body))

    def phone(self) -> dict[str, Variant]:
        return {
            "Address": Variant("s", "C0:00:00:00:00:01"),
            "AddressType": Variant("s", "random"),
            "UUIDs": Variant("as", [str(_SERVICE)]),
        }

    def show_attributes(self) -> None:
        self.signal(_PHONE, "org.bluez.Device1", {"Connected": Variant("b", True)})
        service = f"{_PHONE}/service0001"
        self.add(service, "org.bluez.GattService1", {"UUID": Variant("s", str(_SERVICE))})
        for number in (1, 3):
            properties = {
                "UUID": Variant("s", str(UUID(int=number))),
                "Service": Variant("o", service),
                "Flags": Variant("as", ["notify", "write-without-response"]),
            }
            self.add(f"{service}/char{number:04x}", "org.bluez.GattCharacteristic1", properties)
        self.signal(_PHONE, "org.bluez.Device1", {"ServicesResolved": Variant("b", True)})

    async def answer_late(self, descriptor: int) -> None:
        reply = Message.new_method_return(self._unanswered.pop(), "hq", [0, 23], [descriptor])
        await self._connection.send(reply)

    async def ask_reader(self, path: str, member: str, signature: str, *body: object) -> Message:
        interface = "org.bluez.GattCharacteristic1"
        reply = await self._connection.call(
            Message(self.reader, path, interface, member, signature=signature, body=list(body))
        )
        assert reply is not None
        return reply

    def _on_message(self, call: Message) -> Message | bool | None:
        if call.message_type is not MessageType.METHOD_CALL or not (call.path or "").startswith(("/org/bluez", "/")):
            return None
        if call.destination != "org.bluez":
            return None
        member = str(call.member)
        self.calls.append(member)
        if member in self.silent:
            self._unanswered.append(call)
            return True
        if member in self.refuse:
            return Message.new_error(call, self.refuse[member], "busy")
        if member == "GetManagedObjects":
            objects: dict[str, dict[str, dict[str, Variant]]] = {
                path: {"org.bluez.Device1": device} for path, device in self.devices.items()
            }
            if self.present:
                objects[_ADAPTER] = {"org.bluez.Adapter1": self.adapter(), "org.bluez.LEAdvertisingManager1": {}}
            return Message.new_method_return(call, "a{oa{sa{sv}}}", [objects])
        if member == "Set" and call.body[1] == "Powered":
            self.say_powered(call.body[2].value)
        if member == "Set" and call.body[1] == "Blocked":
            self.signal(str(call.path), "org.bluez.Device1", {"Connected": Variant("b", False)})
        if member == "StartDiscovery":
            self.add(_PHONE, "org.bluez.Device1", self.phone())
        if member == "Connect":
            self.show_attributes()
        if member == "AcquireNotify":
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.ends.append(ours)
            reply = Message.new_method_return(call, "hq", [0, 185], [theirs.fileno()])
            self._connection.send(reply).add_done_callback(lambda _: theirs.close())
            return True
        if member == "RegisterApplication":
            self.reader = str(call.sender)
        if member == "RemoveDevice":
            self.removed.append(call.body[0])
            self.devices.pop(call.body[0], None)
        return Message.new_method_return(call)


@asynccontextmanager
async def _far_daemon() -> AsyncIterator[FarDaemon]:
    connection = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
    try:
        yield FarDaemon(connection)
    finally:
        connection.disconnect()
        await asyncio.sleep(0.05)


@asynccontextmanager
async def _radio() -> AsyncIterator[BluezRadio]:
    radio = BluezRadio(Options(longest_pause_s=0.5, busy_wait_s=0.2))
    radio.start()
    try:
        yield radio
    finally:
        await radio.close()


async def _until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- what is waited for tells nobody
            await asyncio.sleep(0.01)


class _Events:
    def __init__(self) -> None:
        self.told: list[object] = []

    def on_connected(self) -> None:
        self.told.append("connected")

    def on_read(self, characteristic: UUID) -> bytes | None:
        return b"ident" if characteristic == UUID(int=1) else None

    def on_write(self, characteristic: UUID, value: bytes) -> None:
        self.told.append(value)

    def on_subscribed(self, characteristic: UUID, enabled: bool) -> None:
        self.told.append(enabled)

    def on_channel(self, channel: object) -> None:
        raise AssertionError(channel)

    def on_disconnected(self, detail: str) -> None:
        self.told.append("disconnected")


def _run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_each_trouble_is_named_and_none_is_final(bus_daemon: BusDaemon) -> None:
    async def work() -> None:
        async with _radio() as radio:
            seen: list[RadioTrouble | None] = []
            radio.on_availability(lambda _: seen.append(radio.trouble))
            await _until(lambda: radio.trouble is RadioTrouble.NO_DAEMON)
            async with _far_daemon() as far:
                far.present = False
                await far.appear()
                await _until(lambda: radio.trouble is RadioTrouble.NO_ADAPTER)
                await far.vanish()
                await _until(lambda: radio.trouble is RadioTrouble.NO_DAEMON)
                far.present = True
                far.powered = False
                far.refuse["Set"] = "org.bluez.Error.Blocked"
                await far.appear()
                await _until(lambda: radio.trouble is RadioTrouble.BLOCKED)
                assert not radio.available
                far.refuse.clear()
                await _until(lambda: radio.available)
                assert radio.trouble is None
                far.say_powered(False)
                await _until(lambda: radio.trouble is RadioTrouble.POWERED_OFF)
                await _until(lambda: radio.available)
                bus_daemon.stop()
                await _until(lambda: radio.trouble is RadioTrouble.NO_BUS)
            bus_daemon.start()
            async with _far_daemon() as far:
                await far.appear()
                await _until(lambda: radio.available)
            assert None in seen

    _run(work)


def test_devices_of_earlier_are_forgotten_at_the_start(bus_daemon: BusDaemon) -> None:
    async def work() -> None:
        async with _far_daemon() as far:
            far.devices[_PHONE] = {"Connected": Variant("b", False)}
            far.devices[_PHONE[:-1] + "2"] = {"Connected": Variant("b", False), "Paired": Variant("b", True)}
            await far.appear()
            async with _radio() as radio:
                await _until(lambda: radio.available)
                assert far.removed == [_PHONE]
                assert "StartDiscovery" not in far.calls

    _run(work)


def test_an_adapter_that_keeps_failing_is_switched_off_and_on(bus_daemon: BusDaemon) -> None:
    async def work() -> None:
        async with _far_daemon() as far:
            await far.appear()
            async with _radio() as radio:
                await _until(lambda: radio.available)
                seen: list[RadioTrouble | None] = []
                radio.on_availability(lambda _: seen.append(radio.trouble))
                far.refuse["RegisterAdvertisement"] = "org.bluez.Error.Failed"
                for _ in range(3):
                    with pytest.raises(LinkError) as caught:
                        await radio.serve(_SERVICE, (), _Events())
                    assert caught.value.code is LinkCode.RADIO_OFF
                await _until(lambda: RadioTrouble.STUCK in seen)
                far.refuse.clear()
                await _until(lambda: radio.available)
                server = await radio.serve(_SERVICE, (), _Events())
                await server.close()

    _run(work)


def test_what_a_phone_does_to_a_service_comes_in_order_and_from_one_phone(bus_daemon: BusDaemon) -> None:
    async def work() -> None:
        async with _far_daemon() as far:
            await far.appear()
            async with _radio() as radio:
                await _until(lambda: radio.available)
                events = _Events()
                wanted = (
                    GattCharacteristic(UUID(int=1), read=True),
                    GattCharacteristic(UUID(int=2), write=True, notify=True),
                )
                server = await radio.serve(_SERVICE, wanted, events)
                tree = await far.ask_reader("/", "Nothing", "")
                assert tree.message_type is MessageType.ERROR
                root = f"/mdoc_reader/presentation{_last_number(server)}"
                assert server.notification_room == 18
                options = {"device": Variant("o", _PHONE), "mtu": Variant("q", 185)}
                other = {"device": Variant("o", _PHONE[:-1] + "9"), "mtu": Variant("q", 517)}
                read = await far.ask_reader(f"{root}/service/c0", "ReadValue", "a{sv}", options)
                assert bytes(read.body[0]) == b"ident"
                assert server.notification_room == 180
                for value in (b"a", b"b", b"c"):
                    await far.ask_reader(f"{root}/service/c1", "WriteValue", "aya{sv}", value, options)
                stray = await far.ask_reader(f"{root}/service/c1", "WriteValue", "aya{sv}", b"stray", other)
                assert stray.message_type is MessageType.ERROR
                denied = await far.ask_reader(f"{root}/service/c0", "WriteValue", "aya{sv}", b"x", options)
                assert denied.message_type is MessageType.ERROR
                assert events.told == ["connected", b"a", b"b", b"c"]
                acquired = await far.ask_reader(f"{root}/service/c1", "AcquireNotify", "a{sv}", options)
                assert acquired.body == [0, 185]
                end = socket.socket(fileno=acquired.unix_fds[0])
                end.setblocking(False)
                await server.notify(UUID(int=2), b"hello")
                assert end.recv(100) == b"hello"
                await server.drain()
                end.close()
                await _until(lambda: events.told[-1] is False)
                await server.close()
                assert "UnregisterApplication" in far.calls
                assert "UnregisterAdvertisement" in far.calls

    _run(work)


def test_notifications_of_two_characteristics_keep_their_order(bus_daemon: BusDaemon) -> None:
    async def work() -> None:
        async with _far_daemon() as far:
            await far.appear()
            async with _radio() as radio:
                await _until(lambda: radio.available)
                first, second = UUID(int=1), UUID(int=2)
                wanted = (GattCharacteristic(first, notify=True), GattCharacteristic(second, notify=True))
                server = await radio.serve(_SERVICE, wanted, _Events())
                options = {"device": Variant("o", _PHONE), "mtu": Variant("q", 185)}
                ends = []
                for number in (0, 1):
                    path = f"/mdoc_reader/presentation{_last_number(server)}/service/c{number}"
                    acquired = await far.ask_reader(path, "AcquireNotify", "a{sv}", options)
                    ends.append(socket.socket(fileno=acquired.unix_fds[0]))
                    ends[-1].setblocking(False)
                await server.notify(first, b"the last message")
                await server.notify(first, b"and its end")
                later = asyncio.ensure_future(server.notify(second, b"goodbye"))
                await asyncio.sleep(0.1)
                assert ends[0].recv(100) == b"the last message"
                await asyncio.sleep(0.1)
                with pytest.raises(BlockingIOError):
                    ends[1].recv(100)
                assert ends[0].recv(100) == b"and its end"
                await later
                assert ends[1].recv(100) == b"goodbye"
                # Who is not heard any more is not waited for.
                await server.notify(first, b"unread")
                later = asyncio.ensure_future(server.notify(second, b"never"))
                await asyncio.sleep(0.1)
                for end in ends:
                    end.close()
                with pytest.raises(LinkError):
                    await later
                await server.close()

    _run(work)


def _last_number(server: object) -> str:
    return str(getattr(server, "_root")).rpartition("presentation")[2]  # noqa: B009 -- the path bluetoothd is given


def test_nobody_but_bluetoothd_is_answered(bus_daemon: BusDaemon) -> None:
    async def work() -> None:
        async with _far_daemon() as far, _radio() as radio:
            await far.appear()
            await _until(lambda: radio.available)
            events = _Events()
            server = await radio.serve(_SERVICE, (GattCharacteristic(UUID(int=2), write=True),), events)
            async with _far_daemon() as stranger:
                stranger.reader = far.reader
                options = {"device": Variant("o", _PHONE)}
                path = f"/mdoc_reader/presentation{_last_number(server)}/service/c0"
                answer = await stranger.ask_reader(path, "WriteValue", "aya{sv}", b"forged", options)
            assert answer.message_type is MessageType.ERROR
            assert events.told == []
            await server.close()

    _run(work)


def test_a_call_that_is_not_answered_fails_in_time_and_a_late_descriptor_is_closed(bus_daemon: BusDaemon) -> None:
    async def work() -> None:
        async with _far_daemon() as far:
            await far.appear()
            bus = await Bus.open()
            far.silent.add("AcquireNotify")
            with pytest.raises(CallFailed) as caught:
                await bus.call("/org/bluez", "org.bluez.GattCharacteristic1", "AcquireNotify", seconds=0.1)
            assert caught.value.timed_out
            ours, theirs = socket.socketpair()
            await far.answer_late(theirs.fileno())
            theirs.close()
            ours.settimeout(5)
            assert await asyncio.to_thread(ours.recv, 1) == b""
            ours.close()
            await bus.close()

    _run(work)


def test_the_end_never_overtakes_the_data(bus_daemon: BusDaemon) -> None:
    async def work() -> None:
        async with _far_daemon() as far:
            await far.appear()
            async with _radio() as radio:
                await _until(lambda: radio.available)
                events = _ClientEvents()
                client = await radio.connect(_SERVICE, events)
                assert client.has(UUID(int=1))
                await client.subscribe(UUID(int=1))
                await client.subscribe(UUID(int=3))
                assert client.mtu == 185
                state, data = far.ends
                # The loop looks first at what was ready first; the end is read with it, before any data.
                state.send(b"\x00")
                for number in range(50):
                    data.send(bytes([1, number]))
                data.send(b"")
                state.send(b"\x02")
                await _until(lambda: (UUID(int=1), b"\x02") in events.told)
                assert events.told[:50] == [(UUID(int=3), bytes([1, number])) for number in range(50)]
                assert events.told[50:] == [(UUID(int=3), b""), (UUID(int=1), b"\x00"), (UUID(int=1), b"\x02")]
                data.send(b"last")
                state.close()
                await _until(lambda: events.gone)
                assert events.told[-1] == (UUID(int=3), b"last")
                await client.disconnect()
                data.close()
                await _until(lambda: _PHONE in far.removed)

    _run(work)


class _ClientEvents:
    def __init__(self) -> None:
        self.told: list[tuple[UUID, bytes]] = []
        self.gone = False

    def on_notification(self, characteristic: UUID, value: bytes) -> None:
        assert not self.gone
        self.told.append((characteristic, value))

    def on_disconnected(self, detail: str) -> None:
        self.gone = True
