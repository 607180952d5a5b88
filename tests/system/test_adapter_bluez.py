"""What may happen to the adapter, bluetoothd and the bus: the reader says what is away, and recovers alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from guest_door import WAYS, GuestDoor, configuration, daemon
from guest_machine import MAIN_CONF, Machine

from mdoc_reader.lab.phone_app import Manner

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Deed = Callable[[Machine], Awaitable[None]]

SLOW_PERSON = Manner(consent_s=3.0)
_SET = "org.freedesktop.DBus.Properties.Set"
CRASHED = {"link_lost", "link_radio_off"}


@pytest.fixture(scope="module")
def door(machine: Machine) -> Iterator[GuestDoor]:
    """A daemon with ordinary patience."""
    yield from machine.held(daemon(machine.guest, machine.air, configuration()))


async def crash_bluetoothd(machine: Machine) -> None:
    await machine.guest.crash_bluetoothd()


async def stop_bluetoothd(machine: Machine) -> None:
    await machine.guest.kill_bluetoothd()


async def start_bluetoothd(machine: Machine) -> None:
    await machine.guest.start_bluetoothd(MAIN_CONF, arguments=["--noplugin=*"], again_s=0.5)


async def unplug(machine: Machine) -> None:
    await machine.guest.detach_hci()


async def plug(machine: Machine) -> None:
    await machine.guest.attach_hci()


async def block(machine: Machine) -> None:
    await machine.guest.run(["rfkill", "block", "bluetooth"])


async def unblock(machine: Machine) -> None:
    await machine.guest.run(["rfkill", "unblock", "bluetooth"])


async def kill_bus(machine: Machine) -> None:
    await machine.guest.run(["busybox", "killall", "-9", "dbus-daemon"])


async def start_bus(machine: Machine) -> None:
    await machine.guest.run(["busybox", "rm", "-f", "/run/dbus/system_bus_socket", "/run/dbus/pid"])
    await machine.guest.run(["dbus-daemon", "--system", "--fork", "--nopidfile"])
    await machine.guest.crash_bluetoothd()  # as a service manager restarts what has lost its bus


async def switch_off(machine: Machine) -> None:
    adapter = next(path for path in await machine.guest.objects() if path.startswith("/org/bluez/hci"))
    setting = ("string:org.bluez.Adapter1", "string:Powered", "variant:boolean:false")
    call = ("dbus-send", "--system", "--print-reply", "--dest=org.bluez", adapter, _SET, *setting)
    await machine.guest.run(call)


LASTING = {
    "bluetoothd stopped": (stop_bluetoothd, start_bluetoothd, "radio_no_daemon"),
    "adapter unplugged": (unplug, plug, "radio_no_adapter"),
    "adapter blocked": (block, unblock, "radio_blocked"),
    "no bus": (kill_bus, start_bus, "radio_no_bus"),
}


@pytest.mark.parametrize("name", LASTING)
def test_what_is_away_is_named_and_missed_by_nobody_once_it_is_back(
    machine: Machine, door: GuestDoor, name: str
) -> None:
    away, back, code = LASTING[name]

    async def play() -> None:
        await away(machine)
        try:
            await door.until_fault(code)
            assert door.phase == "fault", "nobody is invited to what cannot work"
        finally:
            await back(machine)
        await door.until_fault(None)
        visit = await door.visit(WAYS["reader is server"])
        assert visit.granted, (visit, door.told())
        visit = await door.visit(WAYS["phone is server"])
        assert visit.granted, (visit, door.told())

    machine.loop.run(play())


@pytest.mark.parametrize("deed", [crash_bluetoothd, switch_off], ids=lambda deed: deed.__name__)
def test_what_comes_back_alone_costs_moments(machine: Machine, door: GuestDoor, deed: Deed) -> None:
    async def play() -> None:
        seen = len(door.faults)
        await deed(machine)
        async with asyncio.timeout(20):
            while len(door.faults) == seen:  # noqa: ASYNC110 -- the list grows when the daemon says so
                await asyncio.sleep(0.02)
        await door.until_fault(None)
        visit = await door.visit(WAYS["phone is server"])
        assert visit.granted, (visit, door.told())

    machine.loop.run(play())


@pytest.mark.parametrize("way", ["phone is server", "reader is server"])
@pytest.mark.parametrize("deed", [crash_bluetoothd, unplug], ids=lambda deed: deed.__name__)
def test_in_the_middle_of_a_presentation(machine: Machine, door: GuestDoor, way: str, deed: Deed) -> None:
    async def play() -> None:
        visiting = asyncio.create_task(door.visit(WAYS[way], manner=SLOW_PERSON))
        async with asyncio.timeout(30):
            while door.phase != "consent":  # noqa: ASYNC110 -- the daemon tells it as it comes
                await asyncio.sleep(0.02)
        await deed(machine)
        if deed is unplug:
            await door.until_fault("radio_no_adapter")
            await plug(machine)
        visit = await visiting
        assert visit.outcome == "failed", (visit, door.told())
        assert set(visit.reasons) <= CRASHED
        await door.until_fault(None)
        visit = await door.visit(WAYS[way])
        assert visit.granted, (visit, door.told())

    machine.loop.run(play())


def test_start_up_waits_for_no_bluetooth(machine: Machine) -> None:
    async def play() -> None:
        await machine.guest.kill_bluetoothd()
        await machine.guest.detach_hci()
        try:
            began = time.monotonic()
            async with daemon(machine.guest, machine.air, configuration(), wait_idle=False) as door:
                await door.until_fault("radio_no_daemon", 60)
                assert time.monotonic() - began < 45, "emulated: most of it is the start of Python"
                await machine.guest.start_bluetoothd(MAIN_CONF, arguments=["--noplugin=*"], again_s=0.5)
                await door.until_fault("radio_no_adapter")
                await machine.guest.attach_hci()
                await door.until_fault(None)
                visit = await door.visit(WAYS["phone is server"])
                assert visit.granted, (visit, door.told())
        finally:
            await machine.guest.hci_up()

    machine.loop.run(play())
