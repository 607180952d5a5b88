"""Pins on a real kernel's GPIO: what the relay does from its start to its end, whatever the end is.

Three relays, each with a service of its own: one that is energised by a high level, one by a low level, and one that is
energised at rest. The chip is simulated, the kernel's GPIO, lgpio, gpiozero, the driver and systemd are not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest_chip import Chip, Edge
from guest_machine import Device

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HIGH, LOW, ENERGISED = 23, 24, 25
RELAYS = (HIGH, LOW, ENERGISED)
PULLS = {HIGH: 0, LOW: 1, ENERGISED: 0}
"""What the wiring holds a line at that nobody drives: the coil without current."""
AT_REST = (0, 1, 1)
GRANTED = (1, 0, 0)
WITHOUT_CURRENT = tuple(PULLS.values())

GREEN, AMBER, RED, BUZZER, FIRE, EXIT, RELAY = 17, 27, 22, 18, 5, 6, 16

WIRINGS = {
    "high": f"options.relay = {HIGH}\n",
    "low": f"options.relay = {LOW}\noptions.relay_active_high = false\n",
    "energised": f'options.relay = {ENERGISED}\noptions.relay_rest = "energised"\n',
    "panel": f"""\
options.green = {GREEN}
options.amber = {AMBER}
options.red = {RED}
options.buzzer = {BUZZER}
options.relay = {RELAY}
options.fire = {{ pin = {FIRE}, pull = "none", active_high = true }}
options.exit = {{ pin = {EXIT} }}
""",
}
CONFIG = '[pins]\ndriver = "gpiozero"\n{}options.relay_max_s = 60\n'

UNIT = """\
[Service]
Type=notify
ExecStart=/opt/mdoc-reader/bin/python /run/door/guest_board.py %i {scene}
WatchdogSec=3s
LimitCORE=0
"""
REST = "/opt/mdoc-reader/bin/mdoc-reader rest"
RESTED = "ExecStopPost={rest} --config /run/door/%i.toml\n"


class Relays:
    """The three services on one chip."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.chip = Chip(device.guest, {**PULLS, FIRE: 0, EXIT: 1, RELAY: 0, BUZZER: 0})

    async def make(self) -> None:
        guest = self._device.guest
        await self.chip.make()
        await guest.write_file("/run/door/guest_board.py", Path(__file__).with_name("guest_board.py").read_bytes())
        for name, options in WIRINGS.items():
            await guest.write_file(f"/run/door/{name}.toml", CONFIG.format(options).encode())
        for scene in ("stand", "grant", "hang"):
            text = UNIT.format(scene=scene) + (RESTED.format(rest=REST) if scene == "hang" else "")
            await guest.write_file(f"/run/systemd/system/{scene}@.service", text.encode())
        await self.chip.shell("systemctl daemon-reload")

    async def start(self, scene: str) -> None:
        """Start the three; returns when the scene is set."""
        await self.chip.shell(f"systemctl start {self._units(scene)}")

    async def grant(self) -> None:
        """Let somebody in where nobody was."""
        await self.chip.shell(f"systemctl kill --signal=USR1 {self._units('stand')}")
        async with asyncio.timeout(30):
            while await self.chip.levels(*RELAYS) != GRANTED:  # noqa: ASYNC110 -- nothing tells of it
                await asyncio.sleep(0.2)

    async def stop(self, scene: str) -> None:
        await self.chip.shell(f"systemctl stop {self._units(scene)}")

    async def kill(self, scene: str) -> None:
        """Kill the three and wait until systemd has seen to it."""
        await self.chip.shell(f"systemctl kill --signal=KILL {self._units(scene)}")
        assert await self.ended(scene) == {"signal"}

    async def ended(self, scene: str) -> set[str]:
        """Wait for the end of the three; return how they ended."""
        units = self._units(scene)
        waiting = "while systemctl is-active {0} | grep -qv failed; do sleep 0.2; done; systemctl show -P Result {0}"
        told = await self.chip.shell(waiting.format(units))
        await self.chip.shell(f"systemctl reset-failed {units}")
        return set(told.split())

    @staticmethod
    def _units(scene: str) -> str:
        return " ".join(f"{scene}@{name}.service" for name in ("high", "low", "energised"))


@pytest.fixture(scope="module")
def relays(device_guest: Device) -> Iterator[Relays]:
    made = Relays(device_guest)
    device_guest.loop.run(made.make())
    try:
        yield made
    finally:
        device_guest.loop.run(made.chip.close())


def levels(edges: list[Edge]) -> list[int]:
    return [edge.level for edge in edges]


async def again(chip: Chip, persists: bool) -> None:
    """Begin with lines nobody has driven, as after power came on."""
    await chip.persist(persists)
    await chip.let_go(*RELAYS)
    assert await chip.levels(*RELAYS) == WITHOUT_CURRENT
    await chip.record(*RELAYS)


@pytest.mark.parametrize("persists", [False, True], ids=["kernel-releases", "kernel-persists"])
def test_nothing_moves_a_relay_from_its_rest_before_during_and_after_a_grant(
    device_guest: Device, relays: Relays, persists: bool
) -> None:
    async def scene() -> None:
        chip = relays.chip
        await again(chip, persists)
        await relays.start("stand")
        assert await chip.levels(*RELAYS) == AT_REST
        await relays.grant()
        await relays.stop("stand")
        seen = await chip.recorded()
        assert levels(seen[HIGH]) == [0, 1, 0]
        assert levels(seen[LOW]) == [1, 0, 1]
        # A coil that is energised at rest is so while a process holds its line, or a kernel that persists.
        assert levels(seen[ENERGISED]) == ([0, 1, 0, 1] if persists else [0, 1, 0, 1, 0])

    device_guest.loop.run(scene())


def test_killed_in_a_grant_the_kernel_takes_the_current_away(device_guest: Device, relays: Relays) -> None:
    async def scene() -> None:
        chip = relays.chip
        await again(chip, False)
        await relays.start("grant")
        assert await chip.levels(*RELAYS) == GRANTED
        await relays.kill("grant")
        seen = await chip.recorded()
        assert await chip.levels(*RELAYS) == WITHOUT_CURRENT
        assert levels(seen[HIGH]) == [0, 1, 0]
        assert levels(seen[LOW]) == [1, 0, 1]

    device_guest.loop.run(scene())


def test_killed_in_a_grant_a_kernel_that_persists_leaves_the_door_open_until_rest(
    device_guest: Device, relays: Relays
) -> None:
    async def scene() -> None:
        chip = relays.chip
        await again(chip, True)
        await relays.start("grant")
        await relays.kill("grant")
        assert await chip.levels(*RELAYS) == GRANTED
        await chip.shell(
            f"for one in high low energised; do {REST} --config /run/door/$one.toml & all=$all\\ $!; done\n"
            "for one in $all; do wait $one || exit 1; done"
        )
        assert await chip.levels(*RELAYS) == AT_REST
        seen = await chip.recorded()
        assert levels(seen[HIGH]) == [0, 1, 0]
        assert levels(seen[LOW]) == [1, 0, 1]
        assert levels(seen[ENERGISED]) == [0, 1, 0, 1]

    device_guest.loop.run(scene())


def test_bitten_by_the_watchdog_in_a_grant_the_service_manager_brings_rest(
    device_guest: Device, relays: Relays
) -> None:
    async def scene() -> None:
        chip = relays.chip
        await again(chip, True)
        await relays.start("hang")
        assert await relays.ended("hang") == {"watchdog"}
        assert await chip.levels(*RELAYS) == AT_REST
        seen = await chip.recorded()
        assert levels(seen[HIGH]) == [0, 1, 0]
        assert levels(seen[LOW]) == [1, 0, 1]
        assert levels(seen[ENERGISED]) == [0, 1, 0, 1]

    device_guest.loop.run(scene())


def test_lamps_a_buzzer_a_button_and_fire(device_guest: Device, relays: Relays) -> None:
    async def scene() -> None:
        chip = relays.chip
        await chip.persist(False)
        await chip.record(RELAY, BUZZER)
        seen = json.loads(
            (await chip.shell("/opt/mdoc-reader/bin/python /run/door/guest_board.py panel inside")).splitlines()[-1]
        )
        lines = await chip.recorded()
        assert (seen["known"], seen["pressed"], seen["freed"], seen["over"]) == (True,) * 4
        assert (seen["green"], seen["amber"], seen["red"]) == ([1, 0, 0], [0, 1, 0], [0, 0, 1])
        assert seen["told"][-3:] == [["exit", True], ["fire", True], ["fire", False]]
        assert seen["healthy"]
        assert len(lines[BUZZER]) > 20, "a tone of 500 Hz for 0.2 s"
        # `rest` does not shut a door that fire has freed; the end of fire does.
        assert levels(lines[RELAY]) == [0, 1, 0]
        freed = lines[RELAY][1].at - seen["fire_at"]
        assert 0.0 < freed < 0.5, freed
        assert lines[RELAY][2].at > seen["over_at"]

    device_guest.loop.run(scene())
