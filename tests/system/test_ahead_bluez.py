"""A service shown ahead of a tap, through a real bluetoothd: fresh for each presentation, deaf until somebody taps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import UUID

import pytest
from guest_door import WAYS, GuestDoor, configuration, daemon
from guest_machine import Machine

from mdoc_reader.drivers.bumble_wire import advertised_uuids, command
from mdoc_reader.lab.air import Air
from mdoc_reader.lab.phone_behaviour import PhoneRadioBehaviour
from mdoc_reader.lab.phone_channel import PhoneGone
from mdoc_reader.lab.phone_radio import PhoneRadio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

UNCHECKED = PhoneRadioBehaviour(ident_check=False)


@pytest.fixture(scope="module")
def door(machine: Machine) -> Iterator[GuestDoor]:
    """A daemon that expects taps."""
    yield from machine.held(daemon(machine.guest, machine.air, configuration(ahead=True)))


async def on_the_air(air: Air, but: frozenset[UUID]) -> UUID:
    """Wait for an advertised UUID that was not seen before."""
    found: asyncio.Future[UUID] = asyncio.get_running_loop().create_future()

    def on_report(report: object) -> None:
        for uuid in advertised_uuids(report.data):  # type: ignore[attr-defined]
            if uuid not in but and not found.done():
                found.set_result(uuid)

    async with PhoneRadio(air, "looker") as looker:
        looker._device.host.on("advertising_report", on_report)
        await command(looker._device.start_scanning())
        async with asyncio.timeout(20):
            return await found


def test_each_presentation_leaves_a_fresh_service_and_strangers_are_sent_away(
    machine: Machine, door: GuestDoor
) -> None:
    async def play() -> None:
        seen: set[UUID] = set()
        for way in ("phone is server", "reader is server"):
            uuid = await on_the_air(machine.air, frozenset(seen))
            seen.add(uuid)
            async with PhoneRadio(machine.air, "stranger") as stranger, asyncio.timeout(30):
                channel = await stranger.join(uuid, None, behaviour=UNCHECKED)
                with pytest.raises(PhoneGone):
                    await channel.receive()
            visit = await door.visit(WAYS[way])
            assert visit.granted, (visit, door.told())
        await on_the_air(machine.air, frozenset(seen))

    machine.loop.run(play())
