"""L2CAP channels of the Bumble driver, over an HCI socket, to a phone on the simulated air; both GATT roles."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from mdoc_reader.drivers import bumble_channel, bumble_radio, disabled_bluetooth
from mdoc_reader.drivers.bumble_channel import BumbleChannel
from mdoc_reader.drivers.bumble_client import BumbleGattClient
from mdoc_reader.drivers.bumble_radio import BumbleRadio
from mdoc_reader.lab.air import Air, AirController, ExtendedAirController
from mdoc_reader.lab.phone_channel import PhoneChannel, PhoneGone, mdoc_uuid
from mdoc_reader.lab.phone_radio import PhoneRadio, PhoneRadioBehaviour, random_uuid
from mdoc_reader.transport.ports import (
    Channel,
    GattCharacteristic,
    GattServer,
    LinkCode,
    LinkError,
    RadioTrouble,
)

Runner = Callable[[Coroutine[Any, Any, Any]], Any]

IDENT = bytes(range(16))
GOOD = PhoneRadioBehaviour(l2cap=True)
SIZES = [1, 3, 247, 2001, 2002, 2003, 70_000, 500_000]
CHARACTERISTICS = (
    GattCharacteristic(mdoc_uuid(5), notify=True, write=True),
    GattCharacteristic(mdoc_uuid(6), write=True),
    GattCharacteristic(mdoc_uuid(7), notify=True),
    GattCharacteristic(mdoc_uuid(8), read=True),
    GattCharacteristic(mdoc_uuid(0xB), read=True),
)


def pattern(size: int, seed: int = 0) -> bytes:
    """A message in which every place differs from its neighbours."""
    return b"".join((seed + index).to_bytes(4, "big") for index in range(-(-size // 4)))[:size]


class ClientEvents:
    """Remembers nothing."""

    def on_notification(self, characteristic: UUID, value: bytes) -> None:
        """Take it."""

    def on_disconnected(self, detail: str) -> None:
        """Take it."""


@dataclass
class ServerEvents:
    """Answers reads, and keeps channels."""

    server: GattServer | None = None
    channels: asyncio.Queue[Channel] = field(default_factory=asyncio.Queue)
    writes: list[bytes] = field(default_factory=list)

    def on_connected(self) -> None:
        """Take it."""

    def on_read(self, characteristic: UUID) -> bytes | None:
        """Ident or the PSM."""
        if characteristic == mdoc_uuid(8):
            return IDENT
        psm = self.server.psm if self.server is not None else None
        return psm.to_bytes(4, "big") if psm is not None else None

    def on_write(self, characteristic: UUID, value: bytes) -> None:
        """Keep it."""
        self.writes.append(value)

    def on_subscribed(self, characteristic: UUID, enabled: bool) -> None:
        """Take it."""

    def on_channel(self, channel: Channel) -> None:
        """Keep it."""
        self.channels.put_nowait(channel)

    def on_disconnected(self, detail: str) -> None:
        """Take it."""


@dataclass
class Bench:
    """A reader's radio and a phone on one air."""

    air: Air
    radio: BumbleRadio
    phone: PhoneRadio

    async def over_gatt(self, behaviour: PhoneRadioBehaviour = GOOD) -> tuple[BumbleGattClient, asyncio.Task[Any]]:
        """The reader connected as GATT client, the phone waiting for a start."""
        service = random_uuid()
        far = asyncio.ensure_future(self.phone.serve(service, behaviour=behaviour))
        async with asyncio.timeout(10):
            return cast("BumbleGattClient", await self.radio.connect(service, ClientEvents())), far

    async def serve(self, channels: bool = True) -> tuple[ServerEvents, GattServer, UUID]:
        """The reader as GATT server."""
        events, service = ServerEvents(), random_uuid()
        events.server = await self.radio.serve(service, CHARACTERISTICS, events, channels=channels)
        return events, events.server, service

    async def check_idle(self) -> None:
        """Insist that nothing is connected or on the air and that the radio is free."""
        await asyncio.sleep(0.02)
        for controller in self.air.link.controllers:
            assert not controller.le_connections
            assert not cast("AirController", controller).advertised_addresses()
            assert not controller.le_scan_enable
            assert controller.pending_le_connection is None
        assert not self.radio._use.locked()
        if self.radio._device is not None:
            manager = self.radio._device.l2cap_channel_manager
            assert not manager.le_coc_servers
            assert not manager.le_coc_requests
            assert not any(manager.channels.values())
            assert not any(manager.le_coc_channels.values())


@asynccontextmanager
async def bench(kind: type[AirController] = AirController) -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "hci"
        async with Air() as air, PhoneRadio(air) as phone:
            await air.listen(socket, kind)
            options = bumble_radio.Options(transport=f"unix:{socket}", longest_pause_s=0.5)
            radio = cast("BumbleRadio", await bumble_radio.open_bluetooth(options))
            await until(radio, None)
            try:
                yield Bench(air, radio, phone)
            finally:
                await radio.close()


async def until(radio: BumbleRadio, trouble: RadioTrouble | None) -> None:
    changed = asyncio.Event()
    radio.on_availability(lambda _: changed.set())
    async with asyncio.timeout(10):
        while radio.trouble is not trouble:
            changed.clear()
            await changed.wait()


async def read_message(channel: Channel) -> bytes:
    """One framed message, and nothing after it."""
    stream = bytearray()
    while len(stream) < 4 or len(stream) < 4 + int.from_bytes(stream[:4], "big"):
        piece = await channel.receive()
        assert piece
        stream += piece
    assert len(stream) == 4 + int.from_bytes(stream[:4], "big")
    return bytes(stream[4:])


async def exchange(channel: Channel, far: PhoneChannel, sizes: list[int]) -> None:
    """Both directions, each size, and then both at once."""
    assert far.over == "L2CAP"
    for seed, size in enumerate(sizes):
        message = pattern(size, seed)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(channel.send(size.to_bytes(4, "big") + message))
            assert await far.receive() == message
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(far.send(message))
            assert await read_message(channel) == message
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(channel.send((60_000).to_bytes(4, "big") + pattern(60_000, 5)))
        group.create_task(far.send(pattern(80_000, 7)))
        ours, theirs = group.create_task(far.receive()), group.create_task(read_message(channel))
    assert ours.result() == pattern(60_000, 5)
    assert theirs.result() == pattern(80_000, 7)
    await channel.drain()


async def lost(work: Coroutine[Any, Any, Any]) -> None:
    """Insist that the channel says it is lost."""
    with pytest.raises(LinkError) as caught:
        async with asyncio.timeout(5):
            await work
    assert caught.value.code is LinkCode.LOST


@pytest.mark.parametrize("kind", [AirController, ExtendedAirController])
def test_client_opens_a_channel_over_its_gatt_connection(run: Runner, kind: type[AirController]) -> None:
    async def main() -> None:
        async with bench(kind) as at:
            client, phone = await at.over_gatt()
            psm = int.from_bytes(await client.read(mdoc_uuid(0xA)), "big")
            assert psm == GOOD.psm
            channel = await client.open_channel(psm)
            far = await phone
            await exchange(channel, far, SIZES if kind is AirController else [1, 5000])
            await channel.close()
            await channel.close()
            with pytest.raises(PhoneGone):
                await far.receive()
            assert at.phone.connected  # the connection is the client's to end
            await lost(channel.receive())
            await lost(channel.send(b"more"))
            await lost(channel.drain())
            await client.disconnect()
            await at.check_idle()

    run(main())


@pytest.mark.parametrize("fault", [{"drop_channel_after": 10}, {"starve_channel": True}])
def test_a_lone_channel_that_fails_goes_on_by_gatt(run: Runner, fault: dict[str, Any]) -> None:
    async def main() -> None:
        async with bench() as at:
            service = random_uuid()
            behaviour = PhoneRadioBehaviour(l2cap=True, **fault)
            phone = asyncio.ensure_future(at.phone.serve(service, behaviour=behaviour))
            async with asyncio.timeout(10):
                channel = await at.radio.open_channel(behaviour.psm, service)
                far = await phone
            with pytest.raises((LinkError, TimeoutError)):
                async with asyncio.timeout(0.5):
                    await channel.send(pattern(20_000))
            client = await channel.go_on_by_gatt(service, ClientEvents())
            await channel.close()
            assert at.phone.connected
            await client.write(mdoc_uuid(1), b"\x01")
            await client.write(mdoc_uuid(2), b"\x00hello")
            assert await far.receive() == b"hello"
            await client.disconnect()
            await at.check_idle()
            phone = asyncio.ensure_future(at.phone.serve(service, behaviour=behaviour))
            channel = await at.radio.open_channel(behaviour.psm, service)
            with pytest.raises(LinkError) as caught:
                await channel.go_on_by_gatt(random_uuid(), ClientEvents())
            assert caught.value.code is LinkCode.NO_SERVICE
            await phone
            await at.check_idle()

    run(main())


def test_client_opens_a_channel_without_gatt_and_closing_it_ends_the_connection(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            for _ in range(2):
                service = random_uuid()
                phone = asyncio.ensure_future(at.phone.serve(service, behaviour=GOOD))
                async with asyncio.timeout(10):
                    channel = await at.radio.open_channel(GOOD.psm, service)
                far = await phone
                await exchange(channel, far, [1, 30_000])
                await far.send(b"last words")
                await channel.close()
                await at.check_idle()

    run(main())


def test_phone_opens_a_channel_to_the_reader_as_server(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            events, server, service = await at.serve()
            assert server.psm is not None
            async with asyncio.timeout(10):
                far = await at.phone.join(service, IDENT, behaviour=GOOD)
                channel = await events.channels.get()
            await exchange(channel, far, SIZES)
            await channel.close()
            assert at.phone.connected
            await server.close()
            await at.check_idle()

    run(main())


def test_server_without_channels_has_no_psm_and_refuses(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            events, server, service = await at.serve(channels=False)
            assert server.psm is None
            with pytest.raises(Exception, match=r"UNLIKELY|0x0E|14"):  # the PSM is read, and there is none
                await at.phone.join(service, IDENT, behaviour=GOOD)
            assert events.channels.empty()
            await server.close()
            await at.check_idle()

    run(main())


def test_what_the_phone_sends_before_it_closes_is_delivered_then_lost(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            client, phone = await at.over_gatt()
            channel = await client.open_channel(GOOD.psm)
            far = await phone
            await far.send(pattern(5000))
            await far.drop()
            assert await read_message(channel) == pattern(5000)
            await lost(channel.receive())
            await lost(channel.receive())
            await channel.close()
            await client.disconnect()
            await at.check_idle()

    run(main())


def test_a_refused_channel_leaves_the_connection_for_gatt(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            behaviour = PhoneRadioBehaviour(l2cap=True, refuse_channel=True)
            client, phone = await at.over_gatt(behaviour)
            for _ in range(3):
                with pytest.raises(LinkError) as caught:
                    await client.open_channel(behaviour.psm)
                assert caught.value.code is LinkCode.CONNECT_FAILED
            await client.subscribe(mdoc_uuid(1))
            await client.subscribe(mdoc_uuid(3))
            await client.write(mdoc_uuid(1), b"\x01")
            far = await phone
            assert far.over == "GATT"
            await client.write(mdoc_uuid(2), b"\x00hello")
            assert await far.receive() == b"hello"
            await client.disconnect()
            await at.check_idle()
            service = random_uuid()
            phone = asyncio.ensure_future(at.phone.serve(service, behaviour=behaviour))
            with pytest.raises(LinkError) as caught:
                await at.radio.open_channel(behaviour.psm, service)
            assert caught.value.code is LinkCode.CONNECT_FAILED
            assert not at.phone.connected
            phone.cancel()
            await asyncio.wait({phone})
            await at.check_idle()

    run(main())


@pytest.mark.parametrize("after", [0, 100, 5000])
def test_a_channel_the_phone_drops_is_lost_and_gatt_goes_on(run: Runner, after: int) -> None:
    async def main() -> None:
        async with bench() as at:
            behaviour = PhoneRadioBehaviour(l2cap=True, drop_channel_after=after)
            client, phone = await at.over_gatt(behaviour)
            for _ in range(3):  # closed channels leave their numbers free
                channel = await client.open_channel(behaviour.psm)
                with pytest.raises(LinkError) as caught:
                    async with asyncio.timeout(5):
                        await channel.send((500_000).to_bytes(4, "big") + pattern(500_000))
                assert caught.value.code is LinkCode.LOST
                await lost(channel.receive())
                await channel.close()
            assert at.phone.connected
            await client.write(mdoc_uuid(1), b"\x01")
            far = await phone
            await client.write(mdoc_uuid(2), b"\x00hello")
            assert await far.receive() == b"hello"
            await client.disconnect()
            await at.check_idle()

    run(main())


def test_without_credits_sending_waits_and_closing_does_not(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            behaviour = PhoneRadioBehaviour(l2cap=True, starve_channel=True)
            client, phone = await at.over_gatt(behaviour)
            channel = cast("BumbleChannel", await client.open_channel(behaviour.psm))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await channel.send(pattern(20_000))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await channel.drain()
            async with asyncio.timeout(2):
                await channel.close()
            phone.cancel()
            await asyncio.wait({phone})
            await client.disconnect()
            await at.check_idle()

    run(main())


def test_one_credit_is_enough_for_one_frame(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            behaviour = PhoneRadioBehaviour(l2cap=True, starve_channel=True)
            client, phone = await at.over_gatt(behaviour)
            channel = await client.open_channel(behaviour.psm)
            async with asyncio.timeout(5):
                await channel.send(pattern(1002))  # with its own length as long as the phone's longest frame
                await channel.drain()
            phone.cancel()
            await asyncio.wait({phone})
            await channel.close()
            await client.disconnect()
            await at.check_idle()

    run(main())


def test_a_reader_that_does_not_read_holds_the_phone_back(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            client, phone = await at.over_gatt()
            channel = cast("BumbleChannel", await client.open_channel(GOOD.psm))
            far = await phone
            sending = asyncio.ensure_future(far.send(pattern(500_000)))
            await asyncio.sleep(0.5)
            assert not sending.done()
            flow = channel._flow
            assert flow is not None
            assert bumble_channel._HELD_CAP <= len(flow.held) <= 2 * bumble_channel._HELD_CAP
            async with asyncio.timeout(20):
                assert await read_message(channel) == pattern(500_000)
                await sending
            await client.disconnect()
            await at.check_idle()

    run(main())


@pytest.mark.parametrize("how", ["phone disconnects", "adapter unplugged", "reader disconnects"])
def test_losing_the_connection_ends_whoever_waits(run: Runner, how: str) -> None:
    async def main() -> None:
        async with bench() as at:
            events, server, service = await at.serve()
            behaviour = PhoneRadioBehaviour(l2cap=True, starve_channel=True)
            async with asyncio.timeout(10):
                far = await at.phone.join(service, IDENT, behaviour=behaviour)
                channel = await events.channels.get()
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                group.create_task(lost(channel.send(pattern(50_000))))
                group.create_task(lost(channel.receive()))
                await asyncio.sleep(0.1)
                if how == "phone disconnects":
                    await far.drop()
                elif how == "adapter unplugged":
                    at.air.unplug()
                else:
                    await server.disconnect()
            await channel.close()
            await server.close()
            await until(at.radio, None)
            await at.check_idle()

    run(main())


def test_a_second_channel_is_turned_away_and_the_next_one_is_not(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            client_events, server, service = await at.serve()
            async with asyncio.timeout(10):
                far = await at.phone.join(service, IDENT, behaviour=GOOD)
                channel = await client_events.channels.get()
            assert server.psm is not None
            connection = next(iter(at.phone._device.connections.values()))
            from mdoc_reader.lab import phone_l2cap

            for _ in range(3):
                second = await phone_l2cap.open_to(connection, server.psm, GOOD)
                if second is not None:
                    async with asyncio.timeout(5):
                        await second.closed.wait()
            assert client_events.channels.empty()
            await exchange(channel, far, [2000])
            await channel.close()
            third = await phone_l2cap.open_to(connection, server.psm, GOOD)
            assert third is not None
            async with asyncio.timeout(5):
                following = await client_events.channels.get()
                await third.put(b"hello")
                assert await following.receive() == b"hello"
            await server.close()
            await at.check_idle()

    run(main())


@pytest.mark.parametrize(
    "frame",
    [b"", b"\x01", b"\x02\x00abc", b"\xff\xffabc", b"\xd2\x07" + bytes(2004)],
    ids=["empty", "half a length", "longer than said", "too long an SDU", "too long a frame"],
)
def test_a_phone_that_breaks_the_rules_loses_the_channel(run: Runner, frame: bytes) -> None:
    async def main() -> None:
        async with bench() as at:
            client, phone = await at.over_gatt()
            channel = await client.open_channel(GOOD.psm)
            far = await phone
            connection = next(iter(at.phone._device.connections.values()))
            made = next(iter(at.phone._device.l2cap_channel_manager.channels[connection.handle].values()))
            made.send_pdu(frame)
            await lost(channel.receive())
            with pytest.raises(PhoneGone):
                await far.receive()
            assert at.phone.connected
            await client.disconnect()
            await at.check_idle()

    run(main())


def test_a_phone_that_sends_without_credits_loses_the_channel(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            client, phone = await at.over_gatt()
            channel = await client.open_channel(GOOD.psm)
            await phone
            connection = next(iter(at.phone._device.connections.values()))
            made = next(iter(at.phone._device.l2cap_channel_manager.channels[connection.handle].values()))
            for _ in range(200):
                made.send_pdu((2000).to_bytes(2, "little") + bytes(2000))
            await asyncio.sleep(0.2)
            assert len(await channel.receive()) < 200 * 2000
            await lost(channel.receive())
            await client.disconnect()
            await at.check_idle()

    run(main())


@pytest.mark.parametrize("sizes", [(22, 100), (100, 22), (0, 0)])
def test_sizes_the_specification_forbids_are_refused(
    run: Runner, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int]
) -> None:
    async def main() -> None:
        from mdoc_reader.lab import phone_l2cap

        async with bench() as at:
            client, phone = await at.over_gatt()
            manager = at.phone._device.l2cap_channel_manager
            listening = manager.le_coc_servers[GOOD.psm]
            listening.mtu, listening.mps = sizes
            with pytest.raises(LinkError) as caught:
                await client.open_channel(GOOD.psm)
            assert caught.value.code is LinkCode.CONNECT_FAILED
            phone.cancel()
            await asyncio.wait({phone})
            await client.disconnect()
            await at.check_idle()
            monkeypatch.setattr(phone_l2cap, "_MTU", sizes[0])
            monkeypatch.setattr(phone_l2cap, "_MPS", sizes[1])
            events, server, service = await at.serve()
            far = await at.phone.join(service, IDENT, behaviour=GOOD)
            with pytest.raises(PhoneGone):
                await far.receive()
            assert events.channels.empty()
            await far.drop()
            await server.close()
            await at.check_idle()

    run(main())


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.003, 0.01, 0.03, 0.06, 0.12])
def test_cancelling_at_any_moment_of_opening_leaves_the_radio_free(run: Runner, delay: float) -> None:
    async def main() -> None:
        async with bench() as at:
            service = random_uuid()
            phone = asyncio.ensure_future(at.phone.serve(service, behaviour=GOOD))
            opening = asyncio.ensure_future(at.radio.open_channel(GOOD.psm, service))
            await asyncio.sleep(delay)
            opening.cancel()
            await asyncio.wait({opening})
            if not opening.cancelled():
                await opening.result().close()
            phone.cancel()
            await asyncio.wait({phone})
            await at.check_idle()

    run(main())


def test_an_answer_that_never_comes_is_waited_for_so_long_and_no_longer(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        monkeypatch.setattr(bumble_channel, "_OPEN_S", 0.2)
        async with bench() as at:
            client, phone = await at.over_gatt()
            manager = at.phone._device.l2cap_channel_manager
            answers = manager.on_l2cap_le_credit_based_connection_request
            monkeypatch.setattr(manager, "on_l2cap_le_credit_based_connection_request", lambda *_: None)
            for _ in range(2):
                with pytest.raises(LinkError) as caught:
                    await client.open_channel(GOOD.psm)
                assert caught.value.code is LinkCode.CONNECT_FAILED
            opening = asyncio.ensure_future(client.open_channel(GOOD.psm))
            await asyncio.sleep(0.05)
            opening.cancel()
            await asyncio.wait({opening})
            monkeypatch.setattr(manager, "on_l2cap_le_credit_based_connection_request", answers)
            channel = await client.open_channel(GOOD.psm)
            far = await phone
            await exchange(channel, far, [5])
            await client.disconnect()
            await at.check_idle()

    run(main())


def test_the_trouble_is_named_and_told(run: Runner) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            socket = Path(folder) / "hci"
            options = bumble_radio.Options(transport=f"unix:{socket}", longest_pause_s=0.5)
            radio = cast("BumbleRadio", await bumble_radio.open_bluetooth(options))
            told: list[tuple[bool, RadioTrouble | None]] = []
            radio.on_availability(lambda available: told.append((available, radio.trouble)))
            assert radio.trouble is RadioTrouble.NO_ADAPTER
            async with Air() as air:
                await asyncio.sleep(0.1)
                await air.listen(socket)
                await until(radio, None)
                radio._reset.set()
                await until(radio, RadioTrouble.STUCK)
                await until(radio, None)
                air.unplug()
                await until(radio, RadioTrouble.NO_ADAPTER)
                await until(radio, None)
                radio._reset.set()
                await until(radio, RadioTrouble.STUCK)
                socket.unlink()
                await until(radio, RadioTrouble.NO_ADAPTER)
                await radio.close()
            assert told == [
                (True, None),
                (False, RadioTrouble.STUCK),
                (True, None),
                (False, RadioTrouble.NO_ADAPTER),
                (True, None),
                (False, RadioTrouble.STUCK),
                (False, RadioTrouble.NO_ADAPTER),
            ]

    run(main())


def test_the_disabled_radio_says_so(run: Runner) -> None:
    async def main() -> None:
        radio = await disabled_bluetooth.open_bluetooth(disabled_bluetooth.Options())
        assert radio.trouble is RadioTrouble.DISABLED
        for work in (
            radio.open_channel(0x80, random_uuid()),
            radio.serve(random_uuid(), CHARACTERISTICS, ServerEvents(), channels=True),
        ):
            with pytest.raises(LinkError) as caught:
                await work
            assert caught.value.code is LinkCode.RADIO_OFF

    run(main())
