"""The reader's Bluetooth driver, over an HCI socket, against a phone on the simulated air; both GATT roles."""

from __future__ import annotations

import asyncio
import logging
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from bumble.core import ProtocolError

from mdoc_reader.drivers import bumble_radio
from mdoc_reader.drivers.bumble_radio import BumbleRadio
from mdoc_reader.lab.air import Air, AirController, ExtendedAirController
from mdoc_reader.lab.phone_channel import PhoneChannel, PhoneGone, WrongIdent
from mdoc_reader.lab.phone_radio import PhoneRadio, PhoneRadioBehaviour, VanishAt, random_uuid
from mdoc_reader.transport.ble import BleLimits, BleLink, CentralServer, connect_to_peripheral, serve_for_central
from mdoc_reader.transport.ports import BleRadio, LinkCode, LinkError

Runner = Callable[[Coroutine[Any, Any, Any]], Any]

IDENT = bytes(range(16))
GOOD = PhoneRadioBehaviour()
QUICK = BleLimits(close_grace_s=0.2, start_grace_s=0.5, retry_pause_s=0.05)
ROLES = ["phone is server", "reader is server"]


def pattern(size: int, seed: int = 0) -> bytes:
    """A message in which every place differs from its neighbours."""
    return b"".join((seed + index).to_bytes(4, "big") for index in range(-(-size // 4)))[:size]


def open_files() -> int:
    """How many file descriptors this process holds."""
    return len(list(Path("/proc/self/fd").iterdir()))


@dataclass
class Bench:
    """A reader's radio and a phone on one air."""

    air: Air
    radio: BumbleRadio
    phone: PhoneRadio
    socket: Path

    async def start(
        self, role: str, behaviour: PhoneRadioBehaviour = GOOD, limits: BleLimits = QUICK
    ) -> tuple[BleLink, PhoneChannel]:
        """Start a session; the reader's and the phone's end of it."""
        service = random_uuid()
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            if role == "phone is server":
                far = group.create_task(self.phone.serve(service, behaviour=behaviour))
                near = group.create_task(connect_to_peripheral(self.radio, service, limits=limits))
            else:
                server = await serve_for_central(self.radio, service, IDENT, limits=limits)
                far = group.create_task(self.phone.join(service, IDENT, behaviour=behaviour))
                near = group.create_task(server.accepted())
        return near.result(), far.result()

    async def finish(self, link: BleLink, channel: PhoneChannel) -> None:
        """Close from the reader's side; a phone that is GATT client leaves when told."""

        async def leave() -> None:
            try:
                while True:
                    await channel.receive()
            except PhoneGone:
                await channel.drop()

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(link.close())
            group.create_task(leave())
        await self.check_idle()

    async def check_idle(self) -> None:
        """Insist that nothing is connected or on the air and that the radio is free."""
        await asyncio.sleep(0.02)
        for controller in self.air.link.controllers:
            assert not controller.le_connections
            assert not cast("AirController", controller).advertised_addresses()
            assert not controller.le_scan_enable
            assert controller.pending_le_connection is None
        assert not self.radio._use.locked()
        assert self.radio.available


async def open_radio(socket: Path) -> BumbleRadio:
    radio = cast(
        "BumbleRadio",
        await bumble_radio.open_bluetooth(bumble_radio.Options(transport=f"unix:{socket}", longest_pause_s=0.5)),
    )
    await until_available(radio)
    return radio


async def until_available(radio: BleRadio) -> None:
    changed = asyncio.Event()
    radio.on_availability(lambda _: changed.set())
    async with asyncio.timeout(10):
        while not radio.available:
            changed.clear()
            await changed.wait()


@asynccontextmanager
async def bench(kind: type[AirController] = AirController) -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "hci"
        async with Air() as air, PhoneRadio(air) as phone:
            await air.listen(socket, kind)
            at = Bench(air, await open_radio(socket), phone, socket)
            try:
                yield at
            finally:
                await at.radio.close()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("mtu", [23, 185, 247, 515])
def test_messages_arrive_byte_for_byte_both_ways(run: Runner, role: str, mtu: int) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await at.start(role, PhoneRadioBehaviour(mtu=mtu))
            sizes = [1, 19, 20, mtu - 4, mtu - 3, 511, 512, 513, 5000, *([60_000] if mtu > 23 else [])]
            for seed, size in enumerate(sizes):
                message, chunks = pattern(size, seed), -(-size // (min(mtu - 3, 512) - 1))
                before = channel.chunks_received
                async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                    group.create_task(link.send(message))
                    assert await channel.receive() == message
                assert channel.chunks_received == before + chunks
                progress: list[int] = []
                link.on_progress = progress.append
                async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                    group.create_task(channel.send(message))
                    assert await link.receive() == message
                assert progress == sorted(progress)
                assert progress[-1] == size
                assert len(progress) == chunks
            await at.finish(link, channel)

    run(main())


@pytest.mark.parametrize("role", ROLES)
def test_both_directions_at_once_and_short_chunks(run: Runner, role: str) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await at.start(role, PhoneRadioBehaviour(short_chunks=True, mtu=185))
            ours, theirs = pattern(20_000), pattern(20_000, 7)
            async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                group.create_task(link.send(ours))
                group.create_task(channel.send(theirs))
                got_theirs = group.create_task(link.receive())
                got_ours = group.create_task(channel.receive())
            assert got_theirs.result() == theirs
            assert got_ours.result() == ours
            await at.finish(link, channel)

    run(main())


@pytest.mark.parametrize("role", ROLES)
def test_a_last_message_before_leaving_is_delivered_then_lost(run: Runner, role: str) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await at.start(role, PhoneRadioBehaviour(vanish_at=VanishAt.AFTER_SEND))
            with pytest.raises(PhoneGone):
                await channel.send(pattern(5000))
            assert await link.receive() == pattern(5000)
            await asyncio.sleep(0.1)
            for controller in at.air.link.controllers:  # a session that was lost is not looked for again
                assert not cast("AirController", controller).advertised_addresses()
            for _ in range(2):
                with pytest.raises(LinkError) as caught:
                    await link.receive()
                assert caught.value.code is LinkCode.LOST
            with pytest.raises(LinkError) as caught:
                await link.send(b"more")
            assert caught.value.code is LinkCode.LOST
            await link.close()
            await at.check_idle()

    run(main())


@pytest.mark.parametrize("role", ROLES)
def test_the_phones_end_comes_after_its_messages(run: Runner, role: str) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await at.start(role)
            await channel.send(pattern(600))
            await channel.send_raw_chunk(b"\x01unfinished")
            await channel.end()
            async with asyncio.timeout(5):
                assert await link.receive() == pattern(600)
                with pytest.raises(LinkError) as caught:
                    await link.receive()
                assert caught.value.code is LinkCode.PEER_ENDED
                with pytest.raises(LinkError):
                    await link.send(b"too late")
                await link.close()
                await link.close()
            assert not channel.reader_ended  # who was told does not tell back
            await at.check_idle()

    run(main())


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("step", [VanishAt.STARTED, VanishAt.MID_SEND, VanishAt.MID_RECEIVE])
def test_a_phone_that_vanishes_after_its_start_is_lost(run: Runner, role: str, step: VanishAt) -> None:
    async def main() -> None:
        async with bench() as at:
            behaviour = PhoneRadioBehaviour(vanish_at=step)
            if step is VanishAt.STARTED:
                service = random_uuid()
                if role == "phone is server":
                    phone = asyncio.ensure_future(at.phone.serve(service, behaviour=behaviour))
                    link = await connect_to_peripheral(at.radio, service, limits=QUICK)
                else:
                    server = await serve_for_central(at.radio, service, IDENT, limits=QUICK)
                    phone = asyncio.ensure_future(at.phone.join(service, IDENT, behaviour=behaviour))
                    link = await server.accepted()
                with pytest.raises(PhoneGone):
                    await phone
            else:
                link, channel = await at.start(role, behaviour)
                if step is VanishAt.MID_SEND:
                    with pytest.raises(PhoneGone):
                        await channel.send(pattern(5000))
                else:
                    with pytest.raises(LinkError) as caught:
                        await link.send(pattern(1_000_000))
                    assert caught.value.code is LinkCode.LOST
            async with asyncio.timeout(5):
                with pytest.raises(LinkError) as caught:
                    await link.receive()
            assert caught.value.code is LinkCode.LOST
            await link.close()
            await at.check_idle()

    run(main())


@pytest.mark.parametrize("step", [VanishAt.CONNECTED, VanishAt.SUBSCRIBED])
def test_client_connects_again_when_lost_before_the_start(run: Runner, step: VanishAt) -> None:
    async def main() -> None:
        async with bench() as at:
            service = random_uuid()
            near = asyncio.ensure_future(connect_to_peripheral(at.radio, service, limits=QUICK))
            for _ in range(2):
                with pytest.raises(PhoneGone):
                    await at.phone.serve(service, behaviour=PhoneRadioBehaviour(vanish_at=step))
            async with asyncio.timeout(10):
                channel = await at.phone.serve(service)
                link = await near
            await link.send(b"hello")
            assert await channel.receive() == b"hello"
            await at.finish(link, channel)

    run(main())


@pytest.mark.parametrize("step", [VanishAt.CONNECTED, VanishAt.SUBSCRIBED])
def test_server_waits_for_another_phone_when_one_leaves_before_the_start(run: Runner, step: VanishAt) -> None:
    async def main() -> None:
        async with bench() as at:
            service = random_uuid()
            server = await serve_for_central(at.radio, service, IDENT, limits=QUICK)
            near = asyncio.ensure_future(server.accepted())
            for _ in range(2):
                with pytest.raises(PhoneGone):
                    await at.phone.join(service, IDENT, behaviour=PhoneRadioBehaviour(vanish_at=step))
            async with asyncio.timeout(10):
                channel = await at.phone.join(service, IDENT)
                link = await near
            await channel.send(b"hello")
            assert await link.receive() == b"hello"
            await at.finish(link, channel)

    run(main())


def test_the_wrong_ident_is_refused_by_the_phone_and_the_right_one_follows(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            service = random_uuid()
            server = await serve_for_central(at.radio, service, None, limits=QUICK)
            near = asyncio.ensure_future(server.accepted())
            with pytest.raises(Exception, match=r"UNLIKELY|0x0E|14"):  # not known yet
                await at.phone.join(service, IDENT)
            server.set_ident(bytes(16))
            with pytest.raises(WrongIdent):
                await at.phone.join(service, IDENT)
            server.set_ident(IDENT)
            async with asyncio.timeout(10):
                channel = await at.phone.join(service, IDENT)
                link = await near
            with pytest.raises(ValueError, match="16"):
                server.set_ident(b"short")
            await at.finish(link, channel)

    run(main())


def test_start_may_come_before_the_subscriptions_and_data_before_the_start_is_ignored(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            service = random_uuid()
            server = await serve_for_central(at.radio, service, IDENT, limits=QUICK)
            behaviour = PhoneRadioBehaviour(start_first=True, early_data=b"\x00early")
            phone = asyncio.ensure_future(at.phone.join(service, IDENT, behaviour=behaviour))
            async with asyncio.timeout(10):
                link = await server.accepted()
                await link.send(pattern(3000))  # before any subscription
                channel = await phone
                assert await channel.receive() == pattern(3000)
                await channel.send(b"late")
                assert await link.receive() == b"late"
            await at.finish(link, channel)

    run(main())


def test_a_phone_that_never_starts_makes_room_for_another(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at, PhoneRadio(at.air, "other") as other:
            service = random_uuid()
            server = await serve_for_central(at.radio, service, IDENT, limits=QUICK)
            near = asyncio.ensure_future(server.accepted())
            idler = asyncio.ensure_future(at.phone.join(service, IDENT, behaviour=PhoneRadioBehaviour(no_state=True)))
            await asyncio.sleep(0.3)
            async with asyncio.timeout(10):
                channel = await other.join(service, IDENT)
                link = await near
            with pytest.raises(PhoneGone):
                await idler
            await link.send(b"you")
            assert await channel.receive() == b"you"
            await at.finish(link, channel)

    run(main())


def test_a_second_phone_is_not_let_in(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at, PhoneRadio(at.air, "other") as other:
            service = random_uuid()
            server = await serve_for_central(at.radio, service, IDENT, limits=QUICK)
            first = asyncio.ensure_future(at.phone.join(service, IDENT))
            second = asyncio.ensure_future(other.join(service, IDENT))
            async with asyncio.timeout(10):
                link = await server.accepted()
                done, _ = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0.3)
            assert not (first.done() and second.done())
            channel = done.pop().result()
            await link.send(b"you")
            assert await channel.receive() == b"you"
            late = second if first.done() else first
            late.cancel()
            await asyncio.wait({late})
            await channel.drop()
            await link.close()

    run(main())


@pytest.mark.parametrize("role", ROLES)
def test_a_silent_phone_cancelled_leaves_nothing_and_the_next_one_is_served(run: Runner, role: str) -> None:
    async def main() -> None:
        async with bench() as at:
            tasks = len(asyncio.all_tasks())
            link, channel = await at.start(role)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await link.receive()
            began = time.monotonic()
            await link.close()
            assert time.monotonic() - began < 1.5
            assert channel.reader_ended
            await at.check_idle()
            assert len(asyncio.all_tasks()) == tasks
            link, channel = await at.start(role)
            await at.finish(link, channel)

    run(main())


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.06, 0.09, 0.12, 0.2, 0.4])
def test_cancelling_at_any_moment_of_connecting_leaves_the_radio_free(run: Runner, delay: float) -> None:
    async def main() -> None:
        async with bench() as at:
            tasks = len(asyncio.all_tasks())
            service = random_uuid()
            phone = asyncio.ensure_future(at.phone.serve(service))
            try:
                async with asyncio.timeout(delay):
                    link = await connect_to_peripheral(at.radio, service, limits=QUICK)
                await link.close()
            except TimeoutError:
                pass
            phone.cancel()
            await asyncio.wait({phone})
            for connection in tuple(at.phone._device.connections.values()):
                await connection.disconnect()
            await at.check_idle()
            assert len(asyncio.all_tasks()) == tasks
            link, channel = await at.start("phone is server")
            await at.finish(link, channel)

    run(main())


@pytest.mark.parametrize("role", ROLES)
def test_cancelling_after_any_number_of_turns_leaves_the_radio_free(run: Runner, role: str) -> None:
    async def main() -> None:
        async with bench() as at:
            tasks = len(asyncio.all_tasks())
            for turns in range(60):
                work = asyncio.ensure_future(_begin(at, role))
                for _ in range(turns):
                    await asyncio.sleep(0)
                work.cancel()
                await asyncio.wait({work})
                if not work.cancelled():
                    await work.result().close()
            await at.check_idle()
            assert len(asyncio.all_tasks()) == tasks
            link, channel = await at.start(role)
            await at.finish(link, channel)

    run(main())


async def _begin(at: Bench, role: str) -> BleLink | CentralServer:
    if role == "phone is server":
        return await connect_to_peripheral(at.radio, random_uuid(), limits=QUICK)
    return await serve_for_central(at.radio, random_uuid(), IDENT, limits=QUICK)


@pytest.mark.parametrize("role", ROLES)
def test_a_last_message_and_the_disconnection_in_one_packet_keep_their_order(run: Runner, role: str) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await at.start(role)
            (host,) = at.air.hosts
            held = bytearray()
            deliver = host._transport
            host.on_packet = held.extend  # type: ignore[assignment,method-assign]
            await channel.send(b"the last words")
            await channel.drop()
            await asyncio.sleep(0.05)
            assert deliver is not None
            deliver.write(bytes(held))
            async with asyncio.timeout(5):
                assert await link.receive() == b"the last words"
                with pytest.raises(LinkError) as caught:
                    await link.receive()
            assert caught.value.code is LinkCode.LOST
            del host.on_packet
            await link.close()
            await at.check_idle()

    run(main())


def test_a_served_reader_that_is_cancelled_stops_advertising(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            tasks = len(asyncio.all_tasks())
            server = await serve_for_central(at.radio, random_uuid(), IDENT, limits=QUICK)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await server.accepted()
            await server.close()
            await server.close()
            with pytest.raises(LinkError) as caught:
                await server.accepted()
            assert caught.value.code is LinkCode.CLOSED
            await at.check_idle()
            assert len(asyncio.all_tasks()) == tasks

    run(main())


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("chunk", "code"), [(b"\x07garbage", LinkCode.BAD_CHUNK), (b"", LinkCode.BAD_CHUNK), (b"\x00", LinkCode.BAD_CHUNK)]
)
def test_a_garbage_chunk_ends_the_link(run: Runner, role: str, chunk: bytes, code: LinkCode) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await at.start(role)
            await channel.send_raw_chunk(chunk)
            async with asyncio.timeout(5):
                with pytest.raises(LinkError) as caught:
                    await link.receive()
            assert caught.value.code is code
            await link.send(b"the session's own farewell")
            assert await channel.receive()
            await at.finish(link, channel)
            assert channel.reader_ended

    run(main())


@pytest.mark.parametrize("role", ROLES)
def test_a_flood_is_cut_off_at_the_cap(run: Runner, role: str) -> None:
    async def main() -> None:
        async with bench() as at:
            limits = BleLimits(message_cap=20_000, waiting_messages=3, close_grace_s=0.2)
            link, channel = await at.start(role, limits=limits)
            await channel.send(pattern(20_000))
            assert await link.receive() == pattern(20_000)
            await channel.send(pattern(20_001))
            await channel.send(pattern(60_000))
            with pytest.raises(LinkError) as caught:
                await link.receive()
            assert caught.value.code is LinkCode.TOO_LARGE
            await at.finish(link, channel)

            link, channel = await at.start(role, limits=limits)
            for _ in range(10):
                await channel.send(b"one of too many")
            await asyncio.sleep(0.1)
            for _ in range(3):
                assert await link.receive() == b"one of too many"
            with pytest.raises(LinkError) as caught:
                await link.receive()
            assert caught.value.code is LinkCode.TOO_LARGE
            await at.finish(link, channel)

    run(main())


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_service_that_lacks_a_characteristic_is_refused(run: Runner, missing: int) -> None:
    async def main() -> None:
        async with bench() as at:
            service = random_uuid()
            phone = asyncio.ensure_future(at.phone.serve(service, behaviour=PhoneRadioBehaviour(missing=(missing,))))
            with pytest.raises(LinkError) as caught:
                async with asyncio.timeout(10):
                    await connect_to_peripheral(at.radio, service, limits=QUICK)
            assert caught.value.code is LinkCode.NO_SERVICE
            phone.cancel()
            await asyncio.wait({phone})
            await at.check_idle()

    run(main())


def test_an_address_finds_the_phone_too(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            service = random_uuid()
            phone = asyncio.ensure_future(at.phone.serve(service))
            await asyncio.sleep(0.1)
            address = bytes(at.phone._device.random_address)[::-1]
            async with asyncio.timeout(10):
                gatt_events = _Silent()
                client = await at.radio.connect(service, gatt_events, address)
            await client.disconnect()
            phone.cancel()
            await asyncio.wait({phone})
            assert gatt_events.gone == 1

    run(main())


class _Silent:
    gone = 0

    def on_notification(self, characteristic: object, value: bytes) -> None:
        raise AssertionError("nothing was subscribed")

    def on_disconnected(self, detail: str) -> None:
        self.gone += 1


def test_a_radio_in_use_says_so(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            at.radio._options = bumble_radio.Options(transport="unix:none", busy_wait_s=0.1)
            server = await serve_for_central(at.radio, random_uuid(), IDENT)
            with pytest.raises(LinkError) as caught:
                await serve_for_central(at.radio, random_uuid(), IDENT)
            assert caught.value.code is LinkCode.CONNECT_FAILED
            await server.close()

    run(main())


def test_twenty_presentations_in_a_row_leak_nothing(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            counts: list[tuple[int, int]] = []
            for number in range(20):
                link, channel = await at.start(ROLES[number % 2])
                await link.send(pattern(3000, number))
                assert await channel.receive() == pattern(3000, number)
                await channel.send(pattern(9000, number))
                assert await link.receive() == pattern(9000, number)
                await at.finish(link, channel)
                counts.append((len(asyncio.all_tasks()), open_files()))
            assert len(set(counts)) == 1, counts
            device = at.radio._device
            assert device is not None
            assert not device.connections
            assert all(len(listeners) < 3 for listeners in device._events.values())
            queue = device.host.le_acl_packet_queue
            assert queue is not None
            assert not queue.listeners("flow")

    run(main())


@pytest.mark.parametrize("role", ROLES)
def test_a_pulled_adapter_is_noticed_and_comes_back(run: Runner, role: str) -> None:
    async def main() -> None:
        async with bench() as at:
            seen: list[bool] = []
            at.radio.on_availability(seen.append)
            link, channel = await at.start(role)
            at.air.unplug()
            async with asyncio.timeout(5):
                with pytest.raises(LinkError) as caught:
                    await link.receive()
                assert caught.value.code is LinkCode.LOST
                await link.close()
                await channel.gone
                await until_available(at.radio)
            assert seen == [False, True]
            link, channel = await at.start(role)
            await at.finish(link, channel)

    run(main())


def test_a_pulled_adapter_ends_waiting_too(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            server = await serve_for_central(at.radio, random_uuid(), IDENT, limits=QUICK)
            waiting = asyncio.ensure_future(server.accepted())
            await asyncio.sleep(0.05)
            at.air.unplug()
            async with asyncio.timeout(5):
                with pytest.raises(LinkError) as caught:
                    await waiting
                assert caught.value.code is LinkCode.RADIO_OFF
                await server.close()
                await until_available(at.radio)
            scanning = asyncio.ensure_future(connect_to_peripheral(at.radio, random_uuid(), limits=QUICK))
            await asyncio.sleep(0.05)
            at.air.unplug()
            async with asyncio.timeout(5):
                with pytest.raises(LinkError) as caught:
                    await scanning
                assert caught.value.code is LinkCode.RADIO_OFF

    run(main())


class Ear(logging.Handler):
    """Hears which loggers reach the root."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.name)


def test_a_bluetooth_5_controller_is_driven_by_its_extended_commands(run: Runner) -> None:
    async def main() -> None:
        async with bench(ExtendedAirController) as at:
            for number in range(4):
                link, channel = await at.start(ROLES[number % 2])
                await link.send(pattern(2000))
                assert await channel.receive() == pattern(2000)
                await channel.send(pattern(9000))
                assert await link.receive() == pattern(9000)
                await at.finish(link, channel)
            service = random_uuid()
            server = await serve_for_central(at.radio, service, IDENT, limits=QUICK)
            near = asyncio.ensure_future(server.accepted())
            with pytest.raises(PhoneGone):
                await at.phone.join(service, IDENT, behaviour=PhoneRadioBehaviour(vanish_at=VanishAt.SUBSCRIBED))
            async with asyncio.timeout(10):
                channel = await at.phone.join(service, IDENT)
                await at.finish(await near, channel)

    run(main())


@pytest.mark.parametrize("role", ROLES)
def test_pairing_is_refused_and_the_session_goes_on(run: Runner, role: str) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await at.start(role)
            (connection,) = at.phone._device.connections.values()
            if role == "reader is server":
                with pytest.raises(ProtocolError):
                    await connection.pair()
            else:
                connection.request_pairing()
            await channel.send(b"in the clear, to Bluetooth")
            assert await link.receive() == b"in the clear, to Bluetooth"
            assert not connection.encryption
            await at.finish(link, channel)

    run(main())


@pytest.mark.parametrize("role", ROLES)
def test_random_packets_cost_at_most_the_session_and_stay_out_of_the_log(run: Runner, role: str) -> None:
    # Not caplog: it listens inside loggers that keep to themselves.
    ear = Ear()

    async def main() -> None:
        async with bench() as at:
            tasks = len(asyncio.all_tasks())
            dice = random.Random(18013)
            for _ in range(3):
                link, channel = await at.start(role)
                (connection,) = at.phone._device.connections.values()
                for _ in range(200):
                    channel_id = dice.choice((4, 4, 4, 5, 6))
                    opcode = dice.choice((*range(0x20), 0x52, 0xD2, dice.randrange(256)))
                    connection.send_l2cap_pdu(channel_id, bytes((opcode,)) + dice.randbytes(dice.randrange(40)))
                    await asyncio.sleep(0)
                await asyncio.sleep(0.05)
                async with asyncio.timeout(10):
                    await link.close()
                    await channel.drop()
                await at.check_idle()
            link, channel = await at.start(role)
            await channel.send(pattern(900))
            assert await link.receive() == pattern(900)
            await at.finish(link, channel)
            assert len(asyncio.all_tasks()) <= tasks

    logging.getLogger().addHandler(ear)
    try:
        run(main())
    finally:
        logging.getLogger().removeHandler(ear)
    assert ear.heard
    assert all(name.startswith("mdoc_reader") for name in ear.heard)


def test_a_restarted_reader_finds_the_same_air(run: Runner) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await at.start("reader is server")
            await at.radio.close()  # a reader that stops in the middle of a presentation
            async with asyncio.timeout(5):
                await channel.gone
                with pytest.raises(LinkError):
                    await link.receive()
                await link.close()
            at.radio = await open_radio(at.socket)
            for role in ROLES:
                link, channel = await at.start(role)
                await at.finish(link, channel)

    run(main())


def test_an_adapter_that_is_not_there_blocks_nobody_and_may_come_late(run: Runner, tmp_path: Path) -> None:
    async def main() -> None:
        socket = tmp_path / "hci"
        options = bumble_radio.Options(transport=f"unix:{socket}", longest_pause_s=0.5)
        began = time.monotonic()
        radio = await bumble_radio.open_bluetooth(options)
        assert time.monotonic() - began < 0.1
        assert not radio.available
        with pytest.raises(LinkError) as caught:
            await serve_for_central(radio, random_uuid(), IDENT)
        assert caught.value.code is LinkCode.RADIO_OFF
        async with Air() as air:
            await air.listen(socket)
            await until_available(radio)
            await radio.close()
        with pytest.raises(LinkError):
            await serve_for_central(radio, random_uuid(), IDENT)

    run(main())


def test_the_disabled_driver_refuses(run: Runner) -> None:
    from mdoc_reader.drivers import disabled_bluetooth

    async def main() -> None:
        radio = await disabled_bluetooth.open_bluetooth(disabled_bluetooth.Options())
        assert not radio.available
        for attempt in (connect_to_peripheral(radio, random_uuid()), serve_for_central(radio, random_uuid(), IDENT)):
            with pytest.raises(LinkError) as caught:
                await attempt
            assert caught.value.code is LinkCode.RADIO_OFF
        await radio.close()

    run(main())
