"""The lab phone misbehaves exactly as it is told: what crosses the air says so, and the reader's driver lives on."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from bumble.att import ATT_CID, ATT_Error
from bumble.device import Peer

from mdoc_reader.drivers import bumble_radio
from mdoc_reader.drivers.bumble_client import connect_to
from mdoc_reader.drivers.bumble_radio import BumbleRadio
from mdoc_reader.drivers.bumble_wire import bumble_uuid
from mdoc_reader.lab.air import Air
from mdoc_reader.lab.certificates import make_document_signer, make_iaca
from mdoc_reader.lab.ear import Ear, Kind, att_counts
from mdoc_reader.lab.phone_app import Mode, meet, offer
from mdoc_reader.lab.phone_channel import PhoneChannel, PhoneGone, mdoc_uuid
from mdoc_reader.lab.phone_radio import BYTE_A_SECOND, PhoneRadio, PhoneRadioBehaviour, VanishAt, random_uuid
from mdoc_reader.lab.phone_several import MULTIPLE_NOTIFICATION, notified
from mdoc_reader.lab.situations import SITUATIONS
from mdoc_reader.mdoc.engagement import from_qr
from mdoc_reader.model.connection import BleMethod
from mdoc_reader.transport.ble import BleLimits, connect_to_peripheral, serve_for_central
from mdoc_reader.transport.ports import Link, LinkCode, LinkError

IDENT = bytes(range(16))
QUICK = BleLimits(close_grace_s=0.2, start_grace_s=0.5, retry_pause_s=0.05)
ROLES = ["phone is server", "reader is server"]

MTU_REQUEST, MTU_RESPONSE = 0x02, 0x03
WRITE_REQUEST, WRITE_RESPONSE, WRITE_COMMAND = 0x12, 0x13, 0x52
NOTIFICATION = 0x1B


@dataclass
class Bench:
    """A reader's radio, a phone and an ear."""

    air: Air
    radio: BumbleRadio
    phone: PhoneRadio
    ear: Ear

    def said(self, who: str) -> list[int]:
        """The ATT opcodes a controller has sent."""
        return [each.opcode for each in self.ear.heard if each.sender == who and each.cid == 4 and each.opcode]

    @asynccontextmanager
    async def reader(self, role: str, behaviour: PhoneRadioBehaviour) -> AsyncIterator[Coroutine[Any, Any, Any]]:
        """A reader that tries, in the background; gives what the phone has to do."""
        service = random_uuid()
        if role == "phone is server":
            near = asyncio.ensure_future(connect_to_peripheral(self.radio, service, limits=QUICK))
            yield self.phone.serve(service, behaviour=behaviour)
        else:
            server = await serve_for_central(self.radio, service, IDENT, limits=QUICK)
            near = asyncio.ensure_future(server.accepted())
            yield self.phone.join(service, IDENT, behaviour=behaviour)
        near.cancel()
        await asyncio.wait({near})
        if not near.cancelled() and near.exception() is None:
            await near.result().close()
        if role != "phone is server":
            await server.close()

    async def start(self, role: str, behaviour: PhoneRadioBehaviour) -> tuple[Link, PhoneChannel]:
        """Start a session; the reader's and the phone's end of it."""
        service = random_uuid()
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            if role == "phone is server":
                far = group.create_task(self.phone.serve(service, behaviour=behaviour))
                near = group.create_task(connect_to_peripheral(self.radio, service, limits=QUICK))
            else:
                server = await serve_for_central(self.radio, service, IDENT, limits=QUICK)
                far = group.create_task(self.phone.join(service, IDENT, behaviour=behaviour))
                near = group.create_task(server.accepted())
        return near.result(), far.result()


def at_the_bench(play: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    """Run a play, insisting that no task is left."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            socket = Path(folder) / "hci"
            async with Air() as air, PhoneRadio(air) as phone:
                await air.listen(socket)
                options = bumble_radio.Options(transport=f"unix:{socket}", longest_pause_s=0.5)
                radio = cast("BumbleRadio", await bumble_radio.open_bluetooth(options))
                there = asyncio.Event()
                radio.on_availability(lambda _: there.set())
                async with asyncio.timeout(10):
                    await there.wait()
                with Ear(air) as ear:
                    async with asyncio.timeout(60):
                        await play(Bench(air, radio, phone, ear))
                await radio.close()
        for _ in range(5):
            await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left

    asyncio.run(main())


async def vanishes(at: Bench, role: str, step: VanishAt) -> None:
    async with at.reader(role, PhoneRadioBehaviour(vanish_at=step)) as far:
        with pytest.raises(PhoneGone, match="vanished"):
            async with asyncio.timeout(10):
                await far
        assert not at.phone.connected
        connects = [each for each in at.ear.heard if each.kind is Kind.CONNECT]
        assert len(connects) == (0 if step is VanishAt.BEFORE_CONNECTION else 1)


def test_server_vanishes_at_each_step() -> None:
    async def play(at: Bench) -> None:
        for step in (VanishAt.BEFORE_CONNECTION, VanishAt.CONNECTED):
            await vanishes(at, ROLES[0], step)
            assert at.said("phone") == []
            at.ear.heard.clear()
        await vanishes(at, ROLES[0], VanishAt.MTU_EXCHANGED)
        assert at.said("phone") == [MTU_RESPONSE]
        at.ear.heard.clear()
        for step, asked in ((VanishAt.BETWEEN_SUBSCRIPTIONS, (1, 2)), (VanishAt.SUBSCRIBED, (2,))):
            await vanishes(at, ROLES[0], step)
            assert at.said("phone").count(WRITE_RESPONSE) == 1
            assert at.said("reader").count(WRITE_REQUEST) in asked
            assert WRITE_COMMAND not in at.said("reader")
            at.ear.heard.clear()
        await vanishes(at, ROLES[0], VanishAt.STARTED)
        assert at.said("phone").count(WRITE_RESPONSE) == 2
        assert WRITE_COMMAND in at.said("reader")

    at_the_bench(play)


def test_client_vanishes_at_each_step() -> None:
    async def play(at: Bench) -> None:
        for step in (VanishAt.BEFORE_CONNECTION, VanishAt.CONNECTED):
            await vanishes(at, ROLES[1], step)
            assert at.said("phone") == []
            at.ear.heard.clear()
        await vanishes(at, ROLES[1], VanishAt.MTU_EXCHANGED)
        assert at.said("phone") == [MTU_REQUEST]
        at.ear.heard.clear()
        for step, subscriptions, starts in (
            (VanishAt.BETWEEN_SUBSCRIPTIONS, 1, 0),
            (VanishAt.SUBSCRIBED, 2, 0),
            (VanishAt.STARTED, 2, 1),
        ):
            await vanishes(at, ROLES[1], step)
            assert at.said("phone").count(WRITE_REQUEST) == subscriptions
            assert at.said("phone").count(WRITE_COMMAND) == starts
            at.ear.heard.clear()

    at_the_bench(play)


@pytest.mark.parametrize("l2cap", [False, True])
@pytest.mark.parametrize("role", ROLES)
def test_it_vanishes_in_the_middle_of_a_message_and_after_it(role: str, l2cap: bool) -> None:
    message = bytes(range(256)) * 8

    async def play(at: Bench) -> None:
        for step in (VanishAt.MID_SEND, VanishAt.AFTER_SEND, VanishAt.MID_RECEIVE):
            link, channel = await at.start(role, PhoneRadioBehaviour(vanish_at=step, l2cap=l2cap))
            assert channel.over == ("L2CAP" if l2cap else "GATT")
            if step is VanishAt.MID_RECEIVE:
                # A reader may look for the phone again: nothing was answered yet.
                with pytest.raises((LinkError, TimeoutError)):
                    async with asyncio.timeout(2):
                        await link.send(bytes(200_000))
                assert not at.phone.connected
                assert 1 <= channel.chunks_received < 50
            else:
                got: list[int] = []
                link.on_progress = got.append
                await link.send(b"hello")
                assert await channel.receive() == b"hello"
                with pytest.raises(PhoneGone):
                    await channel.send(message)
                if step is VanishAt.AFTER_SEND:
                    assert await link.receive() == message
                with pytest.raises(LinkError) as caught:
                    await link.receive()
                assert caught.value.code is LinkCode.LOST
                assert got
                assert (got[-1] < len(message)) == (step is VanishAt.MID_SEND)
            await link.close()

    at_the_bench(play)


def test_the_wrong_service_is_found_by_neither() -> None:
    async def play(at: Bench) -> None:
        behaviour = PhoneRadioBehaviour(wrong_service=True)
        service = random_uuid()
        phone = asyncio.ensure_future(at.phone.serve(service, behaviour=behaviour))
        with pytest.raises(LinkError) as caught:
            await connect_to_peripheral(at.radio, service, limits=QUICK)
        assert caught.value.code is LinkCode.NO_SERVICE
        phone.cancel()
        await asyncio.wait({phone})
        async with at.reader(ROLES[1], behaviour) as far:
            with pytest.raises(PhoneGone, match="does not have the service"):
                await far

    at_the_bench(play)


def test_server_notifies_before_anybody_subscribed_and_the_reader_does_not_mind() -> None:
    async def play(at: Bench) -> None:
        link, channel = await at.start(ROLES[0], PhoneRadioBehaviour(early_data=b"\x00early"))
        spoken = [(each.sender, each.opcode) for each in at.ear.heard if each.opcode in (WRITE_REQUEST, NOTIFICATION)]
        first = spoken.index(("reader", WRITE_REQUEST))
        assert ("phone", NOTIFICATION) in spoken[:first]
        assert spoken.count(("phone", NOTIFICATION)) == 2
        await channel.send(b"in time")
        assert (await link.receive())[-7:] in (b"in time", b"y")  # a chunk between the subscriptions may count
        await link.close()

    at_the_bench(play)


def test_a_phone_that_only_connects_is_sent_away() -> None:
    async def play(at: Bench) -> None:
        async with at.reader(ROLES[1], PhoneRadioBehaviour(idle=True)) as far:
            with pytest.raises(PhoneGone, match="sent this phone away"):
                await far
            assert at.said("phone") == []

    at_the_bench(play)


@pytest.mark.parametrize("role", ROLES)
def test_chunks_change_places_or_come_twice(role: str) -> None:
    message = b"".join(bytes((number,)) * 99 for number in range(5))

    async def play(at: Bench) -> None:
        for behaviour, wanted in (
            (PhoneRadioBehaviour(chunk=100, swap_chunk=1), (0, 2, 1, 3, 4)),
            (PhoneRadioBehaviour(chunk=100, duplicate_chunk=3), (0, 1, 2, 3, 3, 4)),
        ):
            link, channel = await at.start(role, behaviour)
            await channel.send(message)
            assert await link.receive() == b"".join(bytes((number,)) * 99 for number in wanted)
            with pytest.raises(ValueError, match="chunk"):
                await channel.send(b"short")
            async with asyncio.TaskGroup() as group:
                group.create_task(link.close())
                group.create_task(channel.drop())

    at_the_bench(play)


@pytest.mark.parametrize("l2cap", [False, True])
@pytest.mark.parametrize("role", ROLES)
def test_an_endless_message_ends_where_it_was_told_and_never_completes(role: str, l2cap: bool) -> None:
    async def play(at: Bench) -> None:
        link, channel = await at.start(role, PhoneRadioBehaviour(endless=20_000, l2cap=l2cap))
        got: list[int] = []
        link.on_progress = got.append
        async with asyncio.timeout(10):
            await channel.send(b"anything")
        waiting = asyncio.ensure_future(link.receive())
        await asyncio.sleep(0.2)
        assert not waiting.done()
        assert got[-1] == 20_000
        await link.close()
        await asyncio.wait({waiting})
        assert isinstance(waiting.exception(), LinkError)

    at_the_bench(play)


def test_one_byte_a_second() -> None:
    async def play(at: Bench) -> None:
        link, channel = await at.start(ROLES[0], BYTE_A_SECOND)
        at.ear.heard.clear()
        sending = asyncio.ensure_future(channel.send(b"ab" + bytes(100)))
        got: list[int] = []
        link.on_progress = got.append
        await asyncio.sleep(1.3)
        assert got == [1, 2]
        heard = [each for each in at.ear.heard if each.opcode == NOTIFICATION]
        assert [each.length for each in heard] == [4 + 3 + 2] * 2
        assert 0.9 < heard[1].at - heard[0].at < 1.3
        sending.cancel()
        await asyncio.wait({sending})
        await link.close()

    at_the_bench(play)


@pytest.mark.parametrize("role", ROLES)
def test_half_a_message_on_a_channel_is_half_a_message(role: str) -> None:
    async def play(at: Bench) -> None:
        link, channel = await at.start(role, PhoneRadioBehaviour(l2cap=True))
        got: list[int] = []
        link.on_progress = got.append
        await channel.send_part(bytes(1000), 300)
        await asyncio.sleep(0.1)
        assert got == [300]
        await channel.end()  # there is no State on a channel
        await asyncio.sleep(0.05)
        assert at.phone.connected
        assert att_counts(at.ear.heard)["reader", WRITE_COMMAND] == 0
        async with asyncio.TaskGroup() as group:
            group.create_task(link.close())
            group.create_task(channel.drop())

    at_the_bench(play)


def test_the_engagement_tells_the_psm_and_the_phone_listens_there() -> None:
    async def play(at: Bench) -> None:
        iaca = make_iaca()
        wallet = SITUATIONS["adult"].wallet(iaca, make_document_signer(iaca))
        engagement = offer(wallet, Mode.PERIPHERAL, psm=0x00D5)
        method = from_qr(engagement.qr_text).methods[0]
        assert isinstance(method, BleMethod)
        assert method.psm == 0x00D5
        assert method.peripheral_uuid is not None
        phone = asyncio.ensure_future(meet(at.phone, engagement))
        channel = await at.radio.open_channel(method.psm, method.peripheral_uuid)
        far = await phone
        await channel.send((5).to_bytes(4, "big") + b"hello")
        assert await far.receive() == b"hello"
        await channel.close()

    at_the_bench(play)


def test_several_notifications_in_one_packet_are_told_of_and_taken() -> None:
    async def play(at: Bench) -> None:
        link, far = await at.start(ROLES[1], PhoneRadioBehaviour(mtu=185, takes_several=True))
        device = at.radio._device
        assert device is not None
        said = device.gatt_service.client_supported_features_characteristic
        assert said is not None
        assert said.value == b"\x04"
        (connection,) = device.connections.values()
        state, to_phone = (
            next(each.handle for each in device.gatt_server.attributes if each.type == bumble_uuid(mdoc_uuid(number)))
            for number in (5, 7)
        )
        tuples = ((to_phone, b"\x01hel"), (to_phone, b"\x00lo"), (state, b"\x02"))
        pdu = bytes((MULTIPLE_NOTIFICATION,)) + b"".join(
            handle.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value for handle, value in tuples
        )
        device.send_l2cap_pdu(connection.handle, ATT_CID, pdu)
        assert await far.receive() == b"hello"
        assert far.chunks_received == 2
        await link.send(b"as ever")  # Bumble has only the ordinary PDU
        with pytest.raises(PhoneGone, match="ended the session"):
            await far.receive()
        await far.drop()
        await link.close()

    at_the_bench(play)


def test_what_ends_too_early_among_several_is_dropped() -> None:
    whole = bytes.fromhex("0100 0200 aabb 0200 0000 0300 0100 cc")
    assert list(notified(whole)) == [(1, b"\xaa\xbb"), (2, b""), (3, b"\xcc")]
    for end, count in ((len(whole) - 1, 2), (12, 2), (10, 2), (7, 1), (6, 1), (1, 0), (0, 0)):
        assert len(list(notified(whole[:end]))) == count


def test_a_stranger_may_look_at_everything_the_phone_serves() -> None:
    async def play(at: Bench) -> None:
        service = random_uuid()
        phone = asyncio.ensure_future(at.phone.serve(service, behaviour=PhoneRadioBehaviour(mtu=517, l2cap=True)))
        async with PhoneRadio(at.air, "stranger") as stranger:
            address = await stranger._found(service)
            connection = await connect_to(stranger._device, address, lambda: None)
            peer = Peer(connection)
            assert await peer.request_mtu(517) == 517
            await peer.discover_all()
            names = peer.get_characteristics_by_uuid(bumble_uuid(mdoc_uuid(1)))
            cccd = names[0].descriptors[0]
            assert bytes(await cccd.read_value()) == b"\x00\x00"
            await names[0].subscribe(lambda _: None)
            assert bytes(await cccd.read_value()) == b"\x01\x00"
            with pytest.raises(ATT_Error, match="READ_NOT_PERMITTED"):
                await names[0].read_value()
            psm = peer.get_characteristics_by_uuid(bumble_uuid(mdoc_uuid(0xA)))[0]
            assert bytes(await psm.read_value()) == b"\x00\x00\x00\xc1"
            for each in (each for served in peer.services for each in served.characteristics):
                if str(each.uuid).startswith("UUID-16:2A00"):
                    assert bytes(await each.read_value()) == b"phone"
                    break
            else:
                pytest.fail("no Device Name")
            await connection.disconnect()
        phone.cancel()
        await asyncio.wait({phone})

    at_the_bench(play)
