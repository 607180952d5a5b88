"""Sessions over L2CAP channels, offered in every way there is, and GATT in their place when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from test_ble_bumble import IDENT, QUICK, Bench, bench, pattern

from mdoc_reader.lab.phone_behaviour import PhoneRadioBehaviour, VanishAt
from mdoc_reader.lab.phone_channel import PhoneChannel, PhoneGone
from mdoc_reader.lab.phone_radio import random_uuid
from mdoc_reader.transport.ble import connect_to_peripheral, serve_for_central
from mdoc_reader.transport.ports import Link, LinkCode, LinkError

Runner = Callable[[Coroutine[Any, Any, Any]], Any]

PSM = 0xC1
LIMITS = replace(QUICK, channel_send_s=1.0)
WAYS = ["engaged", "characteristic", "reader is server"]
CHANNEL = PhoneRadioBehaviour(l2cap=True, psm=PSM)


async def begin(
    at: Bench, way: str, behaviour: PhoneRadioBehaviour = CHANNEL, limits: Any = LIMITS
) -> tuple[Link, PhoneChannel]:
    """Start a session; the reader's and the phone's end of it."""
    service = random_uuid()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        if way == "reader is server":
            server = await serve_for_central(at.radio, service, IDENT, limits=limits)
            far = group.create_task(at.phone.join(service, IDENT, behaviour=behaviour))
            near = group.create_task(server.accepted())
        else:
            behaviour = replace(behaviour, psm_characteristic=way == "characteristic")
            far = group.create_task(at.phone.serve(service, behaviour=behaviour))
            psm = PSM if way == "engaged" else None
            near = group.create_task(connect_to_peripheral(at.radio, service, psm=psm, limits=limits))
    return near.result(), far.result()


async def finish(at: Bench, link: Link, channel: PhoneChannel) -> None:
    async def leave() -> None:
        try:
            while True:
                await channel.receive()
        except PhoneGone:
            await channel.drop()

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        leaving = group.create_task(leave())
        await link.close()
        leaving.cancel() if leaving.done() else None
    await at.check_idle()


async def exchange(link: Link, channel: PhoneChannel, size: int, seed: int = 0) -> None:
    message = pattern(size, seed)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(link.send(message))
        assert await channel.receive() == message
    progress: list[int] = []
    link.on_progress = progress.append
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(channel.send(message))
        assert await link.receive() == message
    assert progress == sorted(progress)
    assert progress[-1] == size


@pytest.mark.parametrize("way", WAYS)
def test_messages_arrive_byte_for_byte_both_ways(run: Runner, way: str) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await begin(at, way)
            assert link.name.startswith("BLE L2CAP")
            for seed, size in enumerate([1, 23, 512, 2048, 60_000]):
                await exchange(link, channel, size, seed)
            await finish(at, link, channel)

    run(main())


@pytest.mark.parametrize("way", WAYS)
def test_the_setting_turns_channels_off(run: Runner, way: str) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await begin(at, way, limits=replace(LIMITS, l2cap=False))
            assert "L2CAP" not in link.name
            await exchange(link, channel, 3000)
            await finish(at, link, channel)

    run(main())


@pytest.mark.parametrize("way", ["engaged", "characteristic"])
def test_a_refused_channel_is_made_good_by_gatt(run: Runner, way: str) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await begin(at, way, replace(CHANNEL, refuse_channel=True))
            assert "L2CAP" not in link.name
            await exchange(link, channel, 3000)
            await finish(at, link, channel)

    run(main())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"drop_channel_after": 0}, id="closed at once"),
        pytest.param({"drop_channel_after": 600}, id="closed in the first message"),
        pytest.param({"starve_channel": True}, id="no credits"),
    ],
)
def test_a_channel_that_fails_with_the_first_message_is_made_good_by_gatt(
    run: Runner, way: str, fault: dict[str, Any]
) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await begin(at, way, replace(CHANNEL, **fault))
            message = pattern(30_000)
            async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                group.create_task(link.send(message))
                waiting = group.create_task(link.receive())
                assert await channel.receive() == message
                await channel.send(pattern(9000, 7))
            assert waiting.result() == pattern(9000, 7)
            assert "L2CAP" not in link.name
            await exchange(link, channel, 3000)
            await finish(at, link, channel)

    run(main())


@pytest.mark.parametrize("way", WAYS)
def test_after_the_answer_has_begun_a_lost_channel_is_the_end(run: Runner, way: str) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await begin(at, way, replace(CHANNEL, vanish_at=VanishAt.MID_SEND))
            async with asyncio.timeout(20):
                await link.send(b"hello")
                assert await channel.receive() == b"hello"
                with pytest.raises(PhoneGone):
                    await channel.send(pattern(20_000))
                with pytest.raises(LinkError) as caught:
                    await link.receive()
                assert caught.value.code is LinkCode.LOST
                await link.close()
                await link.close()
            await at.check_idle()

    run(main())


@pytest.mark.parametrize("way", WAYS)
def test_too_much_is_refused_on_a_channel_too(run: Runner, way: str) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await begin(at, way, limits=replace(LIMITS, message_cap=5000))
            async with asyncio.timeout(20):
                await link.send(b"hello")
                assert await channel.receive() == b"hello"
                await channel.send(pattern(5001))
                with pytest.raises(LinkError) as caught:
                    await link.receive()
            assert caught.value.code is LinkCode.TOO_LARGE
            await link.send(b"the session's own farewell")
            assert await channel.receive()
            await finish(at, link, channel)

    run(main())


@pytest.mark.parametrize("way", WAYS)
def test_a_last_message_before_leaving_is_delivered_then_lost(run: Runner, way: str) -> None:
    async def main() -> None:
        async with bench() as at:
            link, channel = await begin(at, way)
            async with asyncio.timeout(20):
                await link.send(b"hello")
                assert await channel.receive() == b"hello"
                await channel.send(pattern(20_000))
                await channel.drop()
                assert await link.receive() == pattern(20_000)
                with pytest.raises(LinkError) as caught:
                    await link.receive()
                assert caught.value.code is LinkCode.LOST
                await link.close()
            await at.check_idle()

    run(main())


@pytest.mark.parametrize("way", WAYS)
def test_a_pulled_adapter_ends_a_channel(run: Runner, way: str) -> None:
    async def main() -> None:
        async with bench() as at:
            link, _ = await begin(at, way)
            async with asyncio.timeout(20):
                await link.send(b"hello")
                at.air.unplug()
                with pytest.raises(LinkError) as caught:
                    await link.receive()
                assert caught.value.code in {LinkCode.LOST, LinkCode.RADIO_OFF}
                await link.close()

    run(main())


@pytest.mark.parametrize("way", WAYS)
def test_cancelling_while_gatt_takes_over_leaves_the_radio_free(run: Runner, way: str) -> None:
    async def main() -> None:
        async with bench() as at:
            for turns in (0, 5, 20, 60):
                behaviour = replace(CHANNEL, drop_channel_after=100, falls_back=False)
                link, _ = await begin(at, way, behaviour)
                work = asyncio.ensure_future(link.send(pattern(30_000)))
                for _ in range(turns):
                    await asyncio.sleep(0.002)
                work.cancel()
                await asyncio.wait({work})
                async with asyncio.timeout(10):
                    await link.close()
                await at.check_idle()

    run(main())
