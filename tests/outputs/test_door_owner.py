"""The door's owner between simulated pins and the event loop: contacts in, relay, alarm and events out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from mdoc_reader.drivers import disabled_pins, simulated_pins
from mdoc_reader.lab.bench_panel import Bench
from mdoc_reader.outputs.door import AlarmKind, DoorEvent, DoorPhase, DoorRules
from mdoc_reader.outputs.door_owner import ALARMS, DoorOwner
from mdoc_reader.outputs.ports import Contact, Pins

RULES = DoorRules(grace_s=0.5, warn_s=0.3, held_s=0.6, exit_pulse_s=0.2)


async def soon(wanted: Callable[[], bool]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(10):
        while not wanted():  # noqa: ASYNC110  # what is watched is nobody's event
            await asyncio.sleep(0.005)


class House:
    """A bench, the pins and the owner of a door, and what it told."""

    def __init__(self, bench: Bench, pins: Pins, owner: DoorOwner) -> None:
        self.bench, self.pins, self.owner = bench, pins, owner
        self.events: list[DoorEvent] = []
        owner.on_event(lambda event, at: self.events.append(event))

    async def until(self, event: DoorEvent) -> None:
        await soon(lambda: event in self.events)


@asynccontextmanager
async def house(folder: Path, rules: DoorRules = RULES, **options: object) -> AsyncIterator[House]:
    async with Bench(folder / "panel.sock") as bench:
        wired = msgspec.convert({"wire": str(bench.path), **options}, simulated_pins.Options)
        pins = simulated_pins.open_pins(wired)
        owner = DoorOwner(pins, rules)
        whole = House(bench, pins, owner)
        owner.start()
        await soon(lambda: owner.door.is_open is not None)
        try:
            yield whole
        finally:
            owner.close()
            await asyncio.to_thread(pins.close)


def test_exit_opens_and_the_door_warns_is_held_and_closes(tmp_path: Path) -> None:
    async def scene() -> None:
        async with house(tmp_path) as here:
            await here.bench.contact("exit")
            await here.until(DoorEvent.EXIT_REQUESTED)
            await here.bench.wait_for(lambda state: state.relay)
            await here.bench.contact("door")
            await here.until(DoorEvent.DOOR_OPENED)
            await here.until(DoorEvent.DOOR_HELD)
            await here.bench.wait_for(lambda state: state.active("alarm"))
            await here.bench.contact("door", active=False)
            await here.until(DoorEvent.DOOR_CLOSED)
            await here.bench.wait_for(lambda state: not state.active("alarm"))
            assert here.events == [
                DoorEvent.EXIT_REQUESTED,
                DoorEvent.DOOR_OPENED,
                DoorEvent.DOOR_WARNED,
                DoorEvent.DOOR_HELD,
                DoorEvent.DOOR_CLOSED,
            ]
            pulse = [event for event in here.bench.state.events("relay") if event.value or event.t]
            assert 0.15 < pulse[-1].t - pulse[-2].t < 2

    asyncio.run(scene())


def test_a_grant_lets_the_door_be_opened_and_moves_nothing_itself(tmp_path: Path) -> None:
    async def scene() -> None:
        async with house(tmp_path) as here:
            here.owner.granted(5)
            await asyncio.sleep(0.05)
            assert not here.bench.state.relay
            await here.bench.contact("door")
            await here.until(DoorEvent.DOOR_OPENED)
            assert here.owner.door.phase is DoorPhase.OPEN
            assert DoorEvent.DOOR_FORCED not in here.events

    asyncio.run(scene())


def test_a_forced_door_sounds_until_it_closes(tmp_path: Path) -> None:
    async def scene() -> None:
        async with house(tmp_path) as here:
            await here.bench.contact("door")
            await here.until(DoorEvent.DOOR_FORCED)
            await here.bench.wait_for(lambda state: state.active("alarm"))
            assert here.owner.alarm is AlarmKind.FORCED
            await here.bench.contact("door", active=False)
            await here.bench.wait_for(lambda state: not state.active("alarm"))
            assert here.owner.alarm is None

    asyncio.run(scene())


def test_an_unused_grant_ends_by_itself(tmp_path: Path) -> None:
    async def scene() -> None:
        async with house(tmp_path) as here:
            here.owner.granted(0.1)
            assert here.owner.door.phase is DoorPhase.GRANTED
            await soon(lambda: here.owner.door.phase is DoorPhase.CLOSED)
            assert here.owner.door.deadline is None

    asyncio.run(scene())


def test_fire_frees_the_door_while_the_event_loop_is_held_up(tmp_path: Path) -> None:
    async def scene() -> None:
        async with house(tmp_path) as here:
            await here.bench.contact("fire")
            time.sleep(0.3)  # noqa: ASYNC251  # this is the point
            relay = next(pin for info, pin in here.pins._factory.pins.items() if info.name == "GPIO23")
            assert relay.state, "free, and nobody on the loop knew"
            assert here.events == []
            await here.until(DoorEvent.FIRE_ON)
            await here.bench.contact("door")
            await here.bench.contact("fire", active=False)
            await here.until(DoorEvent.FIRE_OFF)
            assert DoorEvent.DOOR_FORCED not in here.events

    asyncio.run(scene())


def test_a_closed_owner_hears_nothing_and_leaves_no_alarm(tmp_path: Path) -> None:
    async def scene() -> None:
        async with house(tmp_path) as here:
            await here.bench.contact("door")
            await here.until(DoorEvent.DOOR_FORCED)
            here.owner.close()
            here.owner.close()
            here.owner.granted(3)
            await here.bench.wait_for(lambda state: not state.active("alarm"))
            before = list(here.events)
            await here.bench.contact("door", active=False)
            await asyncio.sleep(0.15)
            assert here.events == before

    asyncio.run(scene())


def test_contacts_after_the_loop_is_gone_disturb_nobody() -> None:
    class Told:
        """Pins that keep the callback."""

        def on_contact(self, callback: object) -> None:
            self.callback = callback

        def energise_relay(self, seconds: float) -> None:
            """Nothing moves."""

        def alarm(self, rhythm: object) -> None:
            """Nothing sounds."""

    pins = Told()

    async def scene() -> None:
        DoorOwner(pins, RULES).start()

    asyncio.run(scene())
    for contact in Contact:
        pins.callback(contact, True, 1.0)


def test_a_door_without_contacts_is_never_forced_or_held() -> None:
    async def scene() -> None:
        owner = DoorOwner(disabled_pins.open_pins(disabled_pins.Options()), RULES)
        owner.start()
        owner.granted(0.05)
        await asyncio.sleep(0.8)
        assert (owner.door.phase, owner.door.is_open, owner.alarm) == (DoorPhase.CLOSED, None, None)
        owner.close()

    asyncio.run(scene())


def test_alarms_are_told_apart_by_rhythm_and_flash_slowly() -> None:
    assert set(ALARMS) == set(AlarmKind)
    assert len(set(ALARMS.values())) == len(AlarmKind)
    for blink in ALARMS.values():
        assert blink.off_s == 0 or blink.on_s + blink.off_s > 1 / 3


@pytest.mark.parametrize("phase", [DoorPhase.HELD, DoorPhase.FORCED])
def test_who_is_told_may_ask_what_is_so(tmp_path: Path, phase: DoorPhase) -> None:
    async def scene() -> None:
        async with house(tmp_path) as here:
            seen: list[DoorPhase] = []
            here.owner.on_event(lambda event, at: seen.append(here.owner.door.phase))
            if phase is DoorPhase.HELD:
                here.owner.granted(1)
            await here.bench.contact("door")
            await here.until(DoorEvent.DOOR_HELD if phase is DoorPhase.HELD else DoorEvent.DOOR_FORCED)
            assert seen[-1] is phase

    asyncio.run(scene())
