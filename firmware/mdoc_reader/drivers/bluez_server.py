"""Reader as GATT server over BlueZ: one service registered and advertised, for one phone at a time.

bluetoothd reads the service once (GetManagedObjects), then calls: ReadValue and WriteValue for each value, and
AcquireNotify for a socket that carries all notifications of a characteristic. There is no socket for writes on purpose:
bluetoothd 5.66 and 5.82 deliver writes that come before that socket is handed over with the content of the latest one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Mapping
from uuid import UUID

from dbus_fast import Message

from mdoc_reader.drivers import bluez_sockets
from mdoc_reader.drivers.bluez_adapter import Adapter
from mdoc_reader.drivers.bluez_bus import OBJECT_MANAGER, PROPERTIES, CallFailed
from mdoc_reader.drivers.bluez_channel import BluezChannel, Listener
from mdoc_reader.drivers.bluez_device import let_go
from mdoc_reader.drivers.bluez_objects import (
    ADVERTISING,
    CHARACTERISTIC,
    DEVICE,
    Change,
    device_path,
    plain,
)
from mdoc_reader.drivers.bluez_service import ADVERTISEMENT, Served, ServiceObjects, refusal, warn_of_long_writes
from mdoc_reader.transport.ports import GattCharacteristic, GattServerEvents, LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

GATT_MANAGER = "org.bluez.GattManager1"

_DEFAULT_MTU = 23
# To a phone that wrote bit 0x04 of Client Supported Features (2B29), as bluetoothd does where it is client, bluetoothd
# 5.66 and 5.82 send every notification as a Multiple Handle Value Notification (Core specification, Vol 3 Part F
# 3.4.7.4), one that is alone too. Opcode, handle and a length come before the value there; the ordinary PDU has no
# length. What does not fit any more is cut off without a word: at an MTU of 512 a value of 509 octets arrived with 507.
# Nothing that bluetoothd tells us says which PDU it will choose, so the room for the length is left for every phone.
_NOTIFICATION_HEADER = 5
_LARGEST_VALUE = 512
_MOST_IDLE = 3
_REGISTER_S = 8.0


async def serve(
    adapter: Adapter,
    service: UUID,
    characteristics: tuple[GattCharacteristic, ...],
    events: GattServerEvents,
    *,
    channels: bool,
) -> BluezGattServer:
    """Register and advertise a service. Raises LinkError."""
    server = BluezGattServer(adapter, service, characteristics, events)
    shown = False
    try:
        await server.start(channels=channels)
        shown = True
    finally:
        if not shown:
            await to_its_end(server.close())
    return server


class BluezGattServer:
    """A service on the air; a `transport.ports.GattServer`."""

    def __init__(
        self,
        adapter: Adapter,
        service: UUID,
        characteristics: tuple[GattCharacteristic, ...],
        events: GattServerEvents,
    ) -> None:
        """Prepare the objects; `start` shows them."""
        self.released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once nothing of the service is left."""
        self._mtu = _DEFAULT_MTU
        self._adapter = adapter
        self._events = events
        self._tree = ServiceObjects(service, characteristics)
        self._root, self._advertisement = self._tree.root, self._tree.advertisement
        self._served = self._tree.served
        self._last_notified: Served | None = None
        self._phone: str | None = None
        self._acted = False
        """Whether the phone has done more than connect."""
        self._idle: set[str] = set()
        """Others that are connected and have done nothing either."""
        self._gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._listener: Listener | None = None
        self._visible = False
        self._registered = False
        self._closing: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._stop_listening = adapter.objects.listen(self._on_change)
        adapter.gone.add_done_callback(self._on_adapter_gone)

    @property
    def notification_room(self) -> int:
        """How many octets a notified value may have and still arrive whole, whichever PDU bluetoothd chooses."""
        return self._mtu - _NOTIFICATION_HEADER

    @property
    def psm(self) -> int | None:
        """The PSM at which the phone may open a channel, if any."""
        return None if self._listener is None else self._listener.psm

    async def start(self, *, channels: bool) -> None:
        """Register and advertise. Raises LinkError."""
        adapter = self._adapter
        if channels:
            try:
                self._listener = Listener(adapter, self._on_channel)
            except OSError as error:
                log.warning("no L2CAP channels: %s", error.strerror)
        adapter.bus.export(self._root, self._on_call)
        self._registered = True
        self._visible = True
        try:
            await asyncio.gather(
                adapter.bus.call(
                    adapter.path, GATT_MANAGER, "RegisterApplication", "oa{sv}", (self._root, {}), seconds=_REGISTER_S
                ),
                adapter.bus.call(
                    adapter.path,
                    ADVERTISING,
                    "RegisterAdvertisement",
                    "oa{sv}",
                    (self._advertisement, {}),
                    seconds=_REGISTER_S,
                ),
            )
        except LinkError as error:
            adapter.doubt(error)
            raise
        adapter.trust()

    async def stop_advertising(self) -> None:
        """Stop being visible; the connection stays. Never raises."""
        await to_its_end(self._hide())

    async def notify(self, characteristic: UUID, value: bytes) -> None:
        """Notify the phone; returns when bluetoothd can take the next one. Raises LinkError."""
        if self._phone is None:
            raise LinkError(LinkCode.LOST)
        served = next((each for each in self._served.values() if each.wanted.uuid == characteristic), None)
        if served is None or served.socket is None:
            raise LinkError(LinkCode.PROTOCOL, "the phone is not subscribed")
        last = self._last_notified
        if last is not None and last is not served and last.socket is not None:
            # Two sockets have no order between them: bluetoothd 5.82 sent State=02 before the last message in 3 of 20
            # presentations.
            await bluez_sockets.drained(last.socket, self._gone)
        self._last_notified = served
        if served.socket is None:
            raise LinkError(LinkCode.PROTOCOL, "the phone is not subscribed any more")
        await bluez_sockets.send(served.socket, value, self._gone)

    async def drain(self) -> None:
        """Wait until bluetoothd has taken everything notified. Raises LinkError."""
        for served in self._served.values():
            if served.socket is not None:
                await bluez_sockets.drained(served.socket, self._gone)

    async def disconnect(self) -> None:
        """Disconnect the phone if it is still there; never raises."""
        if self._phone is not None:
            await to_its_end(let_go(self._adapter, self._phone))

    async def close(self) -> None:
        """Stop advertising, disconnect, take the service down; never raises."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await to_its_end(_ended({self._closing}))

    async def _close(self) -> None:
        await self._hide()
        self._adapter.gone.remove_done_callback(self._on_adapter_gone)
        if self._listener is not None:
            self._listener.close()
        for idle in self._idle:
            self._send_away(idle)
        if self._phone is not None:
            await let_go(self._adapter, self._phone)
        if self._phone is not None:
            self._on_gone("closed")
        if self._registered:
            self._registered = False
            await self._unregister(GATT_MANAGER, "UnregisterApplication", self._root)
        self._stop_listening()
        if self._leaving:
            await _ended(self._leaving)
        self._adapter.bus.unexport(self._root)
        for served in self._served.values():
            self._close_socket(served)
        self.released.set_result(None)

    async def _hide(self) -> None:
        if self._visible:
            self._visible = False
            await self._unregister(ADVERTISING, "UnregisterAdvertisement", self._advertisement)

    async def _unregister(self, interface: str, member: str, path: str) -> None:
        if self._adapter.bus.gone.done() or not self._adapter.bus.owner:
            return
        try:
            await self._adapter.bus.call(self._adapter.path, interface, member, "o", (path,))
        except CallFailed as error:
            if not error.name.endswith("DoesNotExist"):
                log.info("%s", error.detail)
        except LinkError as error:
            log.info("%s", error.detail)

    # What bluetoothd calls. Handled to its end before the next message is looked at, so that writes keep their order.

    def _on_call(self, call: Message) -> Message | None:
        path, member = call.path or "", call.member
        if call.interface == OBJECT_MANAGER and member == "GetManagedObjects":
            return Message.new_method_return(call, "a{oa{sa{sv}}}", [self._tree.objects(path)])
        if call.interface == PROPERTIES and member == "GetAll":
            return Message.new_method_return(call, "a{sv}", [self._tree.properties(path, call.body[0])])
        served = self._served.get(path)
        if call.interface == CHARACTERISTIC and served is not None and call.body:
            options = plain(call.body[-1])
            if member == "WriteValue" and call.signature == "aya{sv}":
                return self._on_write(call, served, bytes(call.body[0]), options)
            if member == "ReadValue" and call.signature == "a{sv}":
                return self._on_read(call, served, options)
            if member == "AcquireNotify" and call.signature == "a{sv}":
                return self._on_acquire(call, served, options)
        if call.interface == ADVERTISEMENT and member == "Release":
            self._visible = False
            return Message.new_method_return(call)
        return refusal(call, "NotSupported")

    def _on_write(self, call: Message, served: Served, value: bytes, options: Mapping[str, object]) -> Message | None:
        if not served.wanted.write:
            return refusal(call, "NotPermitted")
        if options.get("offset"):
            return refusal(call, "InvalidOffset")
        if len(value) > _LARGEST_VALUE:
            return refusal(call, "InvalidValueLength")
        if not self._is_ours(options):
            return refusal(call, "NotPermitted")
        if not options.get("prepare-authorize"):
            self._events.on_write(served.wanted.uuid, value)
        return Message.new_method_return(call)

    def _on_read(self, call: Message, served: Served, options: Mapping[str, object]) -> Message | None:
        if not served.wanted.read:
            return refusal(call, "NotPermitted")
        value = self._events.on_read(served.wanted.uuid) if self._is_ours(options) else None
        offset = options.get("offset")
        start = offset if isinstance(offset, int) else 0
        if value is None or isinstance(value, bytes):
            return _read(call, value, start)
        answering = asyncio.ensure_future(self._read_later(call, value, start))
        self._leaving.add(answering)
        answering.add_done_callback(self._leaving.discard)
        return None

    async def _read_later(self, call: Message, value: Awaitable[bytes | None], start: int) -> None:
        self._adapter.bus.reply(_read(call, await value, start))

    def _on_acquire(self, call: Message, served: Served, options: Mapping[str, object]) -> Message | None:
        if not served.wanted.notify or not self._is_ours(options):
            return refusal(call, "NotPermitted")
        self._close_socket(served)
        ours, theirs = bluez_sockets.pair()
        served.socket = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._on_unsubscribed, served)
        self._adapter.bus.reply_with_descriptor(call, "hq", [0, self._mtu], theirs)
        self._events.on_subscribed(served.wanted.uuid, True)
        return None

    def _on_unsubscribed(self, served: Served) -> None:
        """Take the end of a notification socket; nothing else ever comes out of it."""
        end = served.socket
        if end is not None and bluez_sockets.values(end)[1]:
            self._close_socket(served)
            if self._phone is not None:
                self._events.on_subscribed(served.wanted.uuid, False)

    def _close_socket(self, served: Served) -> None:
        if served.socket is not None:
            bluez_sockets.close(served.socket)
            served.socket = None

    def _is_ours(self, options: Mapping[str, object]) -> bool:
        """Whether it is the phone that acts; the first device that does is."""
        device = options.get("device")
        if not isinstance(device, str) or self._closing is not None:
            return False
        if not self._take(device):
            return False
        mtu = options.get("mtu")
        if isinstance(mtu, int) and _DEFAULT_MTU <= mtu != self._mtu:
            self._mtu = mtu
            warn_of_long_writes(self._adapter, mtu)
        return True

    # Who is there.

    def _take(self, device: str) -> bool:
        """Let a device that acts be the phone of this service, or send it away. False when it is not."""
        if device in self._adapter.leaving:
            return False
        if self._phone != device and self._phone is not None and not self._acted:
            # Somebody else connected first and has done nothing yet.
            idle = self._phone
            self._on_gone("made room")
            self._send_away(idle)
        if self._phone is None:
            self._on_connected(device)
        if self._phone != device:
            self._send_away(device)
            return False
        if not self._acted:
            self._acted = True
            for other in self._idle - {device}:
                self._send_away(other)
            self._idle.clear()
        return True

    def _on_change(self, change: Change) -> None:
        if change.interface != DEVICE or not change.path.startswith(self._adapter.path + "/"):
            return
        connected = None if change.properties is None else change.properties.get("Connected")
        if change.path == self._phone:
            if change.properties is None or connected is False:
                self._on_gone("disconnected")
                if change.properties is not None:
                    self._send_away(change.path)
        elif connected is True and change.path not in self._adapter.leaving:
            if self._phone is None and self._closing is None:
                self._on_connected(change.path)
            elif self._acted or self._closing is not None or len(self._idle) >= _MOST_IDLE:
                self._send_away(change.path)
            else:
                # Nobody has done anything yet: the first who does is the phone.
                self._idle.add(change.path)
        elif connected is False:
            self._idle.discard(change.path)
            self._send_away(change.path)

    def _on_connected(self, device: str) -> None:
        self._phone = device
        self._acted = False
        self._gone = asyncio.get_running_loop().create_future()
        self._events.on_connected()

    def _on_gone(self, detail: str) -> None:
        self._phone = None
        self._mtu = _DEFAULT_MTU
        for served in self._served.values():
            self._close_socket(served)
        if not self._gone.done():
            self._gone.set_result(detail)
        self._events.on_disconnected(detail)

    def _send_away(self, device: str) -> None:
        task = asyncio.ensure_future(let_go(self._adapter, device))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _on_adapter_gone(self, gone: asyncio.Future[str]) -> None:
        self._visible = False
        self._on_gone(gone.result())

    def _on_channel(self, address: bytes, end: socket.socket) -> None:
        device = device_path(self._adapter.path, address)
        if self._closing is not None or not self._take(device):
            end.close()
            return
        try:
            channel = BluezChannel(end, self._gone)
        except OSError:  # closed again already
            end.close()
            return
        self._events.on_channel(channel)


async def _ended(tasks: set[asyncio.Task[None]]) -> None:
    await asyncio.wait(set(tasks))


def _read(call: Message, value: bytes | None, start: int) -> Message:
    if value is None:
        return refusal(call, "Failed")
    if start > len(value):
        return refusal(call, "InvalidOffset")
    return Message.new_method_return(call, "ay", [value[start:]])
