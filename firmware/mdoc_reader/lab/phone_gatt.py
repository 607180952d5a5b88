"""The phone's GATT roles: its own service with a reader connected to it, and a session on a reader's service."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

from bumble import att, gatt, hci
from bumble.device import Connection, Device, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.l2cap import LeCreditBasedChannelServer

from mdoc_reader.drivers.bumble_server import install
from mdoc_reader.drivers.bumble_wire import bumble_uuid, command
from mdoc_reader.lab import phone_l2cap
from mdoc_reader.lab.phone_behaviour import PhoneRadioBehaviour, VanishAt
from mdoc_reader.lab.phone_channel import Chunks, PhoneChannel, PhoneGone, WrongIdent, mdoc_uuid
from mdoc_reader.lab.phone_l2cap import Pipe, drained
from mdoc_reader.lab.phone_several import SeveralClient, ask_for_several

_START = b"\x01"
_USER_LEFT = int(hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR)


def random_uuid() -> UUID:
    """Return a fresh service UUID (version 4), as a phone makes one for each engagement."""
    return UUID(bytes=secrets.token_bytes(16), version=4)


def _not_readable(_: Connection) -> bytes:
    # Without this Bumble gives a central that tries no answer at all.
    raise att.ATT_Error(att.ErrorCode.READ_NOT_PERMITTED)


async def leave(device: Device, connection: Connection) -> None:
    """Disconnect if the reader is still there."""
    if connection.handle in device.connections:
        await command(device.disconnect(connection, _USER_LEFT))


class ServedSession:
    """The phone's service (mdoc peripheral server mode) and whoever is connected to it."""

    def __init__(self, device: Device, behaviour: PhoneRadioBehaviour) -> None:
        """Prepare; `install` gives the phone its attributes."""
        self._device = device
        self._behaviour = behaviour
        self._connection: Connection | None = None
        self._channel: PhoneChannel | None = None
        self._stream: PhoneChannel | None = None
        self._aside: set[asyncio.Task[None]] = set()
        self._started = asyncio.Event()
        self._subscribed: set[int] = set()
        self._attributes: dict[int, gatt.Characteristic[Any]] = {}
        self._listening: LeCreditBasedChannelServer | None = None

    def install(self, service_uuid: UUID) -> None:
        """Replace the phone's attribute database by one with this service, and listen for channels."""
        behaviour = self._behaviour
        properties = gatt.Characteristic.Properties
        writeable = properties.WRITE_WITHOUT_RESPONSE
        kinds = {1: properties.NOTIFY | writeable, 2: writeable, 3: properties.NOTIFY}
        for number, kind in kinds.items():
            if number not in behaviour.missing:
                attribute: gatt.Characteristic[Any] = gatt.Characteristic(
                    bumble_uuid(mdoc_uuid(number)),
                    kind,
                    att.Attribute.Permissions.WRITEABLE,
                    gatt.CharacteristicValue(read=_not_readable, write=self._writer(number)),
                )
                attribute.on(attribute.EVENT_SUBSCRIPTION, self._subscriber(number))
                self._attributes[number] = attribute
        served = list(self._attributes.values())
        if behaviour.l2cap and behaviour.psm_characteristic:
            value = phone_l2cap.psm_value(behaviour.psm)
            served.append(
                gatt.Characteristic(
                    bumble_uuid(mdoc_uuid(0xA)), properties.READ, att.Attribute.Permissions.READABLE, value
                )
            )
        found_under = random_uuid() if behaviour.wrong_service else service_uuid
        server = install(self._device, [gatt.Service(bumble_uuid(found_under), served)])
        server.max_mtu = behaviour.mtu
        if behaviour.l2cap and not behaviour.refuse_channel:
            self._listening = phone_l2cap.listen(self._device, behaviour, self._on_pipe)

    def close(self) -> None:
        """Take no more channels."""
        if self._listening is not None:
            self._listening.close()

    def meet(self, connection: Connection) -> None:
        """Take a reader as soon as it has connected; `run` goes on from there."""
        self._connection = connection
        self._started.clear()
        self._subscribed.clear()
        self._stream = None

        async def put(chunk: bytes) -> None:
            await self._device.gatt_server.notify_subscriber(connection, self._attributes[3], chunk)
            await drained(connection)

        async def end() -> None:
            await self._device.gatt_server.notify_subscriber(connection, self._attributes[1], b"\x02")
            await drained(connection)

        self._channel = gatt_channel(self._device, connection, self._behaviour, put, end)
        if self._behaviour.vanish_at is VanishAt.MTU_EXCHANGED:
            connection.on(connection.EVENT_CONNECTION_ATT_MTU_UPDATE, lambda *_: self._cut(connection))

    async def run(self) -> PhoneChannel | None:
        """See one connection to its start; None when the reader left before it."""
        connection, channel = self._connection, self._channel
        if connection is None or channel is None:
            return None
        await self._vanish_now(channel, VanishAt.CONNECTED)
        await self._notify_early(connection)
        wait = asyncio.ensure_future(self._started.wait())
        try:
            either: set[asyncio.Future[Any]] = {wait, channel.gone}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wait.cancel()
        if channel.gone.done() and not self._started.is_set():
            if self._behaviour.vanish_at in _BEFORE_START:
                raise PhoneGone(f"vanished: {self._behaviour.vanish_at}")
            return None
        await self._vanish_now(channel, VanishAt.STARTED)
        return self._stream or channel

    async def _vanish_now(self, channel: PhoneChannel, step: VanishAt) -> None:
        if self._behaviour.vanish_at is step:
            if step is VanishAt.STARTED:
                await asyncio.sleep(self._behaviour.vanish_delay_s)
            await channel.drop()
            raise PhoneGone(f"vanished: {step}")

    async def _notify_early(self, connection: Connection) -> None:
        early = self._behaviour.early_data
        if early is not None and connection.handle in self._device.connections:
            await self._device.gatt_server.notify_subscriber(connection, self._attributes[3], early, force=True)

    def _cut(self, connection: Connection) -> None:
        # Straight to the controller: what the stack would still answer comes after it, and does not leave.
        self._device.host.send_hci_packet(
            hci.HCI_Disconnect_Command(connection_handle=connection.handle, reason=_USER_LEFT)
        )

    def _on_pipe(self, pipe: Pipe) -> None:
        connection = pipe.made.connection
        if connection is not self._connection or self._stream is not None:
            _alongside(self._aside, pipe.close())
            return
        if phone_l2cap.spoils(self._behaviour):
            # The session begins here as far as the phone can tell; its messages will come over GATT.
            _alongside(self._aside, phone_l2cap.spoil(pipe, self._behaviour))
            self._started.set()
            return

        async def disconnect() -> None:
            await leave(self._device, connection)

        self._stream = phone_l2cap.stream(pipe, self._behaviour, disconnect)
        self._started.set()

    def _writer(self, number: int) -> Callable[[Connection, bytes], None]:
        def write(_: Connection, value: bytes) -> None:
            if number == 1 and value == _START:
                self._started.set()
            elif self._channel is not None:
                (self._channel.on_state if number == 1 else self._channel.on_chunk)(bytes(value))

        return write

    def _subscriber(self, number: int) -> Callable[[Connection, bool, bool], None]:
        def subscription(connection: Connection, notify: bool, indicate: bool) -> None:
            del indicate
            if not notify or number in self._subscribed:
                return
            self._subscribed.add(number)
            vanish_at = self._behaviour.vanish_at
            if len(self._subscribed) == 1:
                if vanish_at is VanishAt.BETWEEN_SUBSCRIPTIONS:
                    asyncio.get_running_loop().call_soon(self._cut, connection)
                if number != 3 and self._behaviour.early_data is not None:
                    _alongside(self._aside, self._notify_early(connection))
            elif vanish_at is VanishAt.SUBSCRIBED:
                self._cut(connection)

        return subscription


_BEFORE_START = (VanishAt.MTU_EXCHANGED, VanishAt.BETWEEN_SUBSCRIPTIONS, VanishAt.SUBSCRIBED)


def _alongside(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


class JoinedSession:
    """A session on the service of a reader (mdoc central client mode), from the connection to the start."""

    def __init__(self, device: Device, connection: Connection, behaviour: PhoneRadioBehaviour) -> None:
        """Take over a fresh connection."""
        self._device = device
        self._connection = connection
        self._behaviour = behaviour
        self._proxies: dict[UUID, CharacteristicProxy[bytes]] = {}
        self._aside: set[asyncio.Task[None]] = set()

    async def start(self, service_uuid: UUID, expected_ident: bytes | None) -> PhoneChannel:
        """Find the service, check Ident, and start. Raises WrongIdent, or PhoneGone also when the reader went."""
        # A request that is under way when the connection goes would wait for its answer for half a minute.
        gone = asyncio.ensure_future(self._gone())
        work = asyncio.ensure_future(self._start(service_uuid, expected_ident))
        try:
            either: set[asyncio.Future[Any]] = {work, gone}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise PhoneGone("the reader went")
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.wait({work, gone})
        return work.result()

    async def _start(self, service_uuid: UUID, expected_ident: bytes | None) -> PhoneChannel:
        behaviour = self._behaviour
        self._vanish(VanishAt.CONNECTED)
        if behaviour.idle:
            await self._sent_away()
        if behaviour.takes_several:
            self._connection.gatt_client = SeveralClient(self._connection)
        peer = Peer(self._connection)
        if behaviour.mtu > att.ATT_DEFAULT_MTU:
            await peer.request_mtu(behaviour.mtu)
        self._vanish(VanishAt.MTU_EXCHANGED)
        if behaviour.takes_several:
            await ask_for_several(peer)
        wanted = random_uuid() if behaviour.wrong_service else service_uuid
        services = await peer.discover_service(bumble_uuid(wanted))
        if not services:
            raise PhoneGone("the reader does not have the service")
        found = await services[0].discover_characteristics()
        self._proxies = {UUID(bytes=proxy.uuid.to_bytes(force_128=True)[::-1]): proxy for proxy in found}
        if behaviour.ident_check and bytes(await self._proxy(8).read_value()) != (expected_ident or b""):
            raise WrongIdent
        channel = await self._by_l2cap() if behaviour.l2cap else None
        if channel is None:
            channel = self._gatt_channel()
            await self._begin_gatt(channel)
        return channel

    def _proxy(self, number: int) -> CharacteristicProxy[bytes]:
        return self._proxies[mdoc_uuid(number)]

    async def _by_l2cap(self) -> PhoneChannel | None:
        behaviour, connection = self._behaviour, self._connection
        if mdoc_uuid(0xB) not in self._proxies:
            return None
        psm = int.from_bytes(await self._proxy(0xB).read_value(), "big")
        pipe = await phone_l2cap.open_to(connection, psm, behaviour)
        if pipe is not None:
            if not phone_l2cap.spoils(behaviour):
                self._vanish(VanishAt.STARTED)
                return phone_l2cap.stream(pipe, behaviour, self._leave)
            # The session begins here as far as the reader can tell; its messages will come over GATT.
            channel = self._gatt_channel()
            _alongside(self._aside, self._fall_back(pipe, channel))
            return channel
        if not behaviour.falls_back:
            raise PhoneGone("this phone's channel was refused, and it knows no other way")
        return None

    async def _fall_back(self, pipe: Pipe, channel: PhoneChannel) -> None:
        await phone_l2cap.spoil(pipe, self._behaviour)
        if not self._behaviour.falls_back:
            await channel.drop()
            return
        begin = asyncio.ensure_future(self._begin_gatt(channel))
        either: set[asyncio.Future[Any]] = {begin, channel.gone}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not begin.done():
            begin.cancel()
        await asyncio.wait({begin})
        if not begin.cancelled() and begin.exception() is not None:
            await channel.drop()

    def _gatt_channel(self) -> PhoneChannel:
        connection = self._connection
        state, to_reader = self._proxy(5), self._proxy(6)

        async def put(chunk: bytes) -> None:
            await to_reader.write_value(chunk)
            await drained(connection)

        async def end() -> None:
            await state.write_value(b"\x02")
            await drained(connection)

        return gatt_channel(self._device, connection, self._behaviour, put, end)

    async def _begin_gatt(self, channel: PhoneChannel) -> None:
        behaviour = self._behaviour
        state, from_reader = self._proxy(5), self._proxy(7)
        if behaviour.early_data is not None:
            await channel.send_raw_chunk(behaviour.early_data)
        if behaviour.start_first:
            await state.write_value(_START)
            await asyncio.sleep(0.05)
        await _subscribe(state, channel.on_state)
        self._vanish(VanishAt.BETWEEN_SUBSCRIPTIONS)
        await _subscribe(from_reader, channel.on_chunk)
        self._vanish(VanishAt.SUBSCRIBED)
        if behaviour.no_state:
            await self._sent_away()
        if not behaviour.start_first:
            await state.write_value(_START)
        await drained(self._connection)
        if self._behaviour.vanish_at is VanishAt.STARTED:
            await asyncio.sleep(self._behaviour.vanish_delay_s)
        self._vanish(VanishAt.STARTED)

    async def _gone(self) -> None:
        gone = asyncio.Event()
        self._connection.on(self._connection.EVENT_DISCONNECTION, lambda *_: gone.set())
        if self._connection.handle in self._device.connections:
            await gone.wait()

    async def _sent_away(self) -> None:
        await self._gone()
        raise PhoneGone("the reader sent this phone away")

    async def _leave(self) -> None:
        await leave(self._device, self._connection)

    def _vanish(self, step: VanishAt) -> None:
        if self._behaviour.vanish_at is step:
            raise PhoneGone(f"vanished: {step}")


def gatt_channel(
    device: Device,
    connection: Connection,
    behaviour: PhoneRadioBehaviour,
    put: Callable[[bytes], Any],
    end: Callable[[], Any],
) -> PhoneChannel:
    """Join the ways to a reader into a channel of chunks."""

    async def disconnect() -> None:
        await leave(device, connection)

    def size() -> int:
        return behaviour.chunk or min(connection.att_mtu - 3, 512)

    channel = PhoneChannel(put, end, disconnect, Chunks(size, behaviour), behaviour)
    connection.on(connection.EVENT_DISCONNECTION, channel.on_gone)
    if connection.handle not in device.connections:
        channel.on_gone()
    return channel


async def _subscribe(proxy: CharacteristicProxy[bytes], take: Callable[[bytes], None]) -> None:
    await proxy.subscribe(lambda value: take(bytes(value)))
