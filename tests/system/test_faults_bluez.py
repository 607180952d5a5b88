"""Phones that misbehave in front of a real bluetoothd: each has its word, and the next phone is served at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from guest_door import AT_ONCE, KB, WAYS, GuestDoor, Visit, configuration, daemon
from guest_faults import FAULTS, Fault
from guest_machine import Machine, chosen, record, vm

from mdoc_reader.lab.phone_app import offer, present
from mdoc_reader.lab.phone_behaviour import PhoneRadioBehaviour
from mdoc_reader.lab.phone_channel import PhoneGone
from mdoc_reader.lab.phone_radio import PhoneRadio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

AT_ONCE_S = 5.0
"""How soon the next phone must have its verdict: emulated, and with others on the same two cores."""


@pytest.fixture(scope="module")
def door(machine: Machine) -> Iterator[GuestDoor]:
    """A daemon with little patience."""
    yield from machine.held(
        daemon(machine.guest, machine.air, configuration(connecting=7, receiving=5, message_cap=262_144))
    )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.way}-{fault.name}")
def test_a_fault_has_its_word_and_the_next_phone_is_served_at_once(
    machine: Machine, door: GuestDoor, fault: Fault
) -> None:
    if not chosen(FAULTS.index(fault), machine.dist):
        pytest.skip("tried with the other release; --whole-matrix tries it with both")
    visit = machine.loop.run(_meet(door, fault))
    assert (visit.outcome, *visit.reasons) == fault.says, door.told()
    after = machine.loop.run(door.visit(WAYS[fault.way], 1 * KB))
    assert after.granted, (after, door.told())
    assert after.seconds < AT_ONCE_S, (after, door.told())
    says = " ".join(fault.says)
    record(
        vm.DISTS[machine.dist].bluez, f"{fault.way}: {fault.name}: {says}; the next phone", after.seconds, after.phases
    )


async def _meet(door: GuestDoor, fault: Fault) -> Visit:
    way = WAYS[fault.way]
    if fault.company:
        return await _in_company(door, fault)
    if not fault.wrong_ident:
        return await door.visit(way, fault.size, behaviour=fault.behaviour)
    engagement = offer(door.wallet(fault.size), way.mode)
    assert engagement.ble is not None
    assert engagement.ble.central_uuid is not None
    async with PhoneRadio(door.air) as radio:
        phone = asyncio.create_task(radio.join(engagement.ble.central_uuid, bytes(16), behaviour=fault.behaviour))
        visit = await door.read(engagement)
        with pytest.raises(PhoneGone):
            await phone
    return visit


async def _in_company(door: GuestDoor, fault: Fault) -> Visit:
    wallet = door.wallet(fault.size)
    engagement = offer(wallet, WAYS[fault.way].mode)
    assert engagement.ble is not None
    assert engagement.ble.central_uuid is not None
    async with PhoneRadio(door.air, "idler") as idler, PhoneRadio(door.air) as radio:
        idling = asyncio.create_task(
            idler.join(engagement.ble.central_uuid, None, behaviour=PhoneRadioBehaviour(idle=True))
        )

        async def second() -> int:
            async with asyncio.timeout(10):
                while not idler.connected:  # noqa: ASYNC110 -- it tells nobody else
                    await asyncio.sleep(0.02)
            return await present(radio, wallet, engagement, AT_ONCE, fault.behaviour)

        phone = asyncio.create_task(second())
        try:
            return await door.read(engagement, phone)
        finally:
            for task in (idling, phone):
                task.cancel()
            await asyncio.wait({idling, phone}, timeout=5)


def test_the_guest_is_the_release_it_should_be(machine: Machine) -> None:
    told = machine.loop.run(machine.guest.run(["bluetoothctl", "--version"])).out
    assert told.endswith(vm.DISTS[machine.dist].bluez)
