"""Documents of every size over every MTU, and many in a row, against a real bluetoothd."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from guest_door import ASKED, KB, WAYS, GuestDoor, configuration, daemon
from guest_machine import Machine, chosen, record, vm

from mdoc_reader.lab.ear import ATT, Ear
from mdoc_reader.lab.phone_several import MULTIPLE_NOTIFICATION, notified

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MTUS = (23, 185, 247, 515, 517)
SIZES = (1 * KB, 30 * KB, 500 * KB)
GATT = ("phone is server", "reader is server")
MATRIX = (
    *((way, mtu, size) for way in GATT for mtu in MTUS for size in SIZES),
    *((way, 515, size) for way in WAYS if way not in GATT for size in SIZES),
)
# Every way, MTU and size, each pair of them at least once between the two releases; 500 KB with both in each role.
BOTH = {("phone is server", 515, 500 * KB), ("reader is server", 517, 500 * KB)}
CHOICE = (
    ("phone is server", 23, 1 * KB),
    ("reader is server", 23, 30 * KB),
    ("phone is server", 185, 30 * KB),
    ("reader is server", 185, 1 * KB),
    ("reader is server", 247, 30 * KB),
    ("phone is server", 247, 1 * KB),
    ("phone is server", 517, 30 * KB),
    ("reader is server", 515, 1 * KB),
    ("L2CAP, PSM engaged", 515, 500 * KB),
    ("L2CAP, PSM read", 515, 30 * KB),
    ("L2CAP, reader is server", 515, 1 * KB),
    ("L2CAP, reader is server", 515, 500 * KB),
)
SHIPPED_MTU = 512
"""The ExchangeMTU of our main.conf: more is not granted."""


@pytest.fixture(scope="module")
def door(machine: Machine) -> Iterator[GuestDoor]:
    """A daemon that waits for slow phones, and whose request takes several chunks at every MTU."""
    config = configuration(receiving=600, total=700, asked=ASKED)
    yield from machine.held(daemon(machine.guest, machine.air, config))


def is_chosen(case: tuple[str, int, int], dist: str) -> bool:
    """Whether the test command tries this case with this release."""
    if case in BOTH:
        return True
    return chosen(CHOICE.index(case) if case in CHOICE else -1, dist)


@pytest.mark.parametrize(("way", "mtu", "size"), MATRIX)
def test_every_byte_arrives(machine: Machine, door: GuestDoor, way: str, mtu: int, size: int) -> None:
    # Granted means that what arrived had every digest and signature right, byte for byte.
    if not is_chosen((way, mtu, size), machine.dist):
        pytest.skip("a choice of sizes is tried; --whole-matrix tries all")
    how = WAYS[way]
    behaviour = replace(how.behaviour, mtu=mtu)
    if (mtu == 23 and size > 1 * KB) or (mtu < 500 and size > 100 * KB):
        # Many small pieces at no distance from each other, faster than any radio, fill the emulated kernel's buffers.
        behaviour = replace(behaviour, chunk_delay_s=0.004)
    visit = machine.loop.run(door.visit(how, size, behaviour=behaviour, seconds=800))
    assert visit.granted, (visit, door.told())
    assert visit.transport == how.link
    record(vm.DISTS[machine.dist].bluez, f"{way}, MTU {mtu}, {size // KB} KB", visit.seconds, visit.phases)


@pytest.mark.parametrize("mtu", [23, 185, 512, 517])
def test_a_request_arrives_whole_where_several_notifications_may_come_at_once(
    machine: Machine, door: GuestDoor, mtu: int
) -> None:
    # bluetoothd puts even one notification into the longer PDU then, and cuts what does not fit.
    way = WAYS["reader is server"]

    async def play() -> None:
        with Ear(machine.air, keep_payload=True) as ear:
            visit = await door.visit(way, behaviour=replace(way.behaviour, mtu=mtu, takes_several=True))
        assert visit.granted, (visit, door.told())
        assert visit.transport == way.link
        assert not visit.phone
        sent = [each.payload for each in ear.heard if each.cid == ATT and each.opcode == MULTIPLE_NOTIFICATION]
        assert max(len(pdu or b"") for pdu in sent) == min(mtu, SHIPPED_MTU), "the room is used"
        chunks = [value for pdu in sent for _, value in notified((pdu or b"")[1:])]
        assert len(chunks) > 2, "the request takes several, the end of the session comes last"
        assert b"\x02" not in chunks[:-1], "nothing comes after State=02"

    machine.loop.run(play())


def test_many_in_a_row_leave_nothing_behind(machine: Machine, door: GuestDoor, in_a_row: int) -> None:
    ways = list(WAYS.values())

    async def play() -> None:
        guest = machine.guest
        for way in ways * 2:  # what is only made once is made
            assert (await door.visit(way)).granted, door.told()
        await settled()
        before, objects = await door.process.facts(), await guest.objects()
        took = []
        for number in range(in_a_row):
            visit = await door.visit(ways[number % len(ways)])
            assert visit.granted, (number, visit, door.told())
            took.append(visit.seconds)
        await settled()
        after = await door.process.facts()
        assert after["fds"] == before["fds"]
        assert after["threads"] == before["threads"]
        assert after["rss_kib"] - before["rss_kib"] < 40 * in_a_row + 1500, (before, after)
        assert await guest.objects() == objects
        third = max(len(took) // 3, 1)
        assert sum(sorted(took[-third:])[: third // 2 + 1]) < 3 * sum(sorted(took[:third])[: third // 2 + 1])
        growth = after["rss_kib"] - before["rss_kib"]
        record(
            vm.DISTS[machine.dist].bluez,
            f"{in_a_row} in a row: fds {after['fds']}, memory {growth:+} KiB, objects {len(objects)}",
            sum(took) / len(took),
            [],
        )

    async def settled() -> None:
        await asyncio.sleep(1.5)  # bluetoothd forgets a phone a moment after it has gone

    machine.loop.run(play())
