"""The guest itself: what it claims to be, and that its adapter and its bluetoothd can go and come back."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest
from guest_machine import MAIN_CONF, Machine, vm

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ADAPTER = "/org/bluez/hci0"
_POWERED = [
    *("dbus-send", "--system", "--print-reply", "--reply-timeout=5000", "--dest=org.bluez", ADAPTER),
    *("org.freedesktop.DBus.Properties.Get", "string:org.bluez.Adapter1", "string:Powered"),
]


_SWITCH_ON = [
    *("dbus-send", "--system", "--print-reply", "--reply-timeout=5000", "--dest=org.bluez", ADAPTER),
    *("org.freedesktop.DBus.Properties.Set", "string:org.bluez.Adapter1", "string:Powered", "variant:boolean:true"),
]


async def until_powered(guest: vm.Guest, seconds: float = 60.0) -> None:
    """Switch the adapter on, as the reader does: without its plugins bluetoothd leaves it as it is."""
    await guest.hci_up(seconds)
    end = time.monotonic() + seconds
    while "boolean true" not in (done := await guest.run(_POWERED)).out:
        assert time.monotonic() < end, (done, guest.bluetoothd_log[-20:])
        await guest.run(_SWITCH_ON)
        await asyncio.sleep(0.2)


async def until_gone(guest: vm.Guest, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while ADAPTER in (paths := await guest.objects()):
        assert time.monotonic() < end, (paths, guest.bluetoothd_log[-20:])
        await asyncio.sleep(0.2)


def test_the_release_is_what_its_name_says(machine: Machine) -> None:
    guest, dist = machine.guest, vm.DISTS[machine.dist]
    bluez = machine.loop.run(guest.run(["/usr/libexec/bluetooth/bluetoothd", "--version"]))
    python = machine.loop.run(guest.run(["python3", "--version"]))
    assert (bluez.rc, bluez.out) == (0, dist.bluez)
    assert python.out.startswith(f"Python {dist.python}.")


def test_the_reader_and_its_drivers_are_installed(machine: Machine) -> None:
    script = (
        "from importlib.metadata import entry_points\n"
        "print(sorted(e.name for e in entry_points(group='mdoc_reader.bluetooth')))\n"
        "import mdoc_reader.app.cli; print(mdoc_reader.app.cli.__file__)\n"
    )
    done = machine.loop.run(machine.guest.run(["python3", "-c", script], seconds=120))
    assert done.rc == 0, done
    drivers, file = done.out.splitlines()
    assert drivers == "['bluez', 'bumble', 'disabled']"
    assert file.startswith("/opt/project/")


def test_an_adapter_unplugged_and_plugged_in_again_is_powered(machine: Machine) -> None:
    async def scene() -> None:
        guest = machine.guest
        await until_powered(guest)
        await guest.detach_hci()
        try:
            await until_gone(guest)
        finally:
            await guest.attach_hci()
        await until_powered(guest)

    machine.loop.run(scene())


def test_a_controller_that_left_comes_back_with_its_adapter(machine: Machine) -> None:
    async def scene() -> None:
        guest, air = machine.guest, machine.air
        await until_powered(guest)
        hosts = set(air.hosts)
        air.unplug()
        await guest.detach_hci()
        try:
            async with asyncio.timeout(30):
                while not air.hosts - hosts:  # noqa: ASYNC110 -- QEMU comes back when it does
                    await asyncio.sleep(0.1)
            await until_gone(guest)
        finally:
            await guest.attach_hci()
        await until_powered(guest)

    machine.loop.run(scene())


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM])
def test_bluetoothd_ends_and_comes_back(machine: Machine, way: signal.Signals) -> None:
    async def scene() -> None:
        guest = machine.guest
        await until_powered(guest)
        before = guest.bluetoothd
        await guest.kill_bluetoothd(way)
        try:
            assert await guest.objects() == []
        finally:
            await guest.start_bluetoothd(MAIN_CONF, arguments=["--noplugin=*"], again_s=0.5)
        await until_powered(guest)
        assert guest.bluetoothd is not None
        assert guest.bluetoothd is not before
        facts = await guest.bluetoothd.facts()  # of the shell that starts it again, which stands for it here
        assert 0 < facts["fds"] < 100
        assert 0 < facts["rss_kib"] < 100_000

    machine.loop.run(scene())


def test_a_command_that_hangs_is_ended_and_the_guest_lives_on(machine: Machine) -> None:
    with pytest.raises(vm.GuestError, match="longer than"):
        machine.loop.run(machine.guest.run(["sleep", "600"], seconds=1))
    assert machine.loop.run(machine.guest.run(["echo", "here"])).out == "here"


def test_what_cannot_be_started_says_so(machine: Machine) -> None:
    with pytest.raises(vm.GuestError, match="FileNotFoundError"):
        machine.loop.run(machine.guest.run(["/no/such/program"]))


def test_a_process_is_spoken_to_while_it_runs(machine: Machine) -> None:
    async def scene() -> None:
        process = await machine.guest.start(["cat"])
        lines = process.lines
        for text in ("one", "zwölf"):
            await process.write(text + "\n")
            async with asyncio.timeout(20):
                assert await anext(lines) == ("out", text)
        await process.signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == -signal.SIGTERM

    machine.loop.run(scene())


def test_files_travel_both_ways(machine: Machine) -> None:
    async def scene() -> None:
        content = bytes(range(256)) * 4096
        await machine.guest.write_file("/run/there/and/back", content)
        assert await machine.guest.read_file("/run/there/and/back") == content

    machine.loop.run(scene())
