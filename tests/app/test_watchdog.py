"""The watchdog: what earns a feeding, what does not, and what is said about it."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdoc_reader.app.watchdog import HEALS, Heart, Late, Watchdog, Watched, interval, late
from mdoc_reader.engagement.owner import Life, Owner, OwnerLimits, Work


@dataclass
class Part:
    """A part whose heart is moved by hand."""

    heartbeat: float = 0.0


@dataclass
class Engine:
    """Answers, or not."""

    answers: bool = True
    probes: int = 0

    async def probe(self) -> None:
        """Come back, if this one does."""
        self.probes += 1
        if not self.answers:
            await asyncio.get_running_loop().create_future()


@dataclass
class Told:
    """The service manager's ear."""

    messages: list[str] = field(default_factory=list)

    def __call__(self, message: str) -> None:
        """Hear."""
        self.messages.append(message)

    @property
    def fed(self) -> int:
        """How often."""
        return self.messages.count("WATCHDOG=1")


class TestLate:
    """The core: heartbeats and the time in, what is late out."""

    def test_who_beats_in_time_is_not_late(self) -> None:
        assert late([Watched("camera", Part(90.0), 10.0), Watched("nfc", Part(100.0), 0.5)], 100.0) == ()

    def test_who_is_silent_for_longer_than_is_borne_is_late(self) -> None:
        parts = [Watched("camera", Part(89.9), 10.0), Watched("nfc", Part(99.0), 0.5), Watched("pins", Part(99), 2)]
        found = late(parts, 100.0)
        assert [one.name for one in found] == ["camera", "nfc"]
        assert str(found[0]) == "camera silent for 10 s"

    def test_a_part_of_which_nothing_lives_is_late_at_once(self) -> None:
        assert late([Watched("camera", Part(0.0), 3600.0)], 1.0) == (Late("camera", math.inf),)
        assert str(Late("camera", math.inf)) == "camera gone"

    @given(
        st.lists(st.tuples(st.floats(0, 1e9), st.floats(0.001, 1e6)), max_size=5), st.floats(0, 1e9), st.floats(0, 9)
    )
    def test_time_alone_never_makes_a_silent_part_well(
        self, parts: list[tuple[float, float]], now: float, later: float
    ) -> None:
        watched = [Watched(str(number), Part(beat), bears) for number, (beat, bears) in enumerate(parts)]
        before = {one.name for one in late(watched, now)}
        assert before <= {one.name for one in late(watched, now + later)}


class TestInterval:
    """How often, from what the service manager says."""

    @pytest.mark.parametrize(
        ("environment", "seconds"),
        [
            ({}, None),
            ({"WATCHDOG_USEC": "9000000"}, 3.0),
            ({"WATCHDOG_USEC": "9000000", "WATCHDOG_PID": "7"}, 3.0),
            ({"WATCHDOG_USEC": "9000000", "WATCHDOG_PID": "8"}, None),
            ({"WATCHDOG_USEC": "soon"}, None),
            ({"WATCHDOG_USEC": "0"}, None),
            ({"WATCHDOG_USEC": "-3"}, None),
        ],
    )
    def test_a_third_of_what_it_waits(self, environment: dict[str, str], seconds: float | None) -> None:
        assert interval(environment, 7) == seconds


def watchdog(engine: Engine, watched: list[Watched], told: Told, status: str = "") -> Watchdog:
    return Watchdog(engine, watched, told, time.monotonic, lambda: status)


class TestFeeding:
    """The thin shell around it."""

    def test_a_round_trip_and_living_parts_earn_it(self) -> None:
        told, engine = Told(), Engine()
        heart = Heart(time.monotonic)
        assert asyncio.run(watchdog(engine, [Watched("panel", heart, 1.0)], told).look(0.5)) == ()
        assert (told.fed, engine.probes) == (1, 1)

    def test_an_engine_that_does_not_answer_earns_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        told, engine = Told(), Engine(answers=False)

        async def look_twice() -> tuple[Late, ...]:
            dog = watchdog(engine, [], told)
            await dog.look(0.02)
            return await dog.look(0.02)

        assert [one.name for one in asyncio.run(look_twice())] == ["engine"]
        assert told.messages == ["STATUS=not well: engine"]
        assert len(caplog.records) == 1

    def test_a_late_part_earns_nothing_and_is_told_of_once_each_way(self, caplog: pytest.LogCaptureFixture) -> None:
        told, camera = Told(), Part(0.0)

        async def looks() -> None:
            dog = watchdog(Engine(), [Watched("camera", camera, 1.0)], told, "idle")
            for _ in range(3):
                await dog.look(0.5)
            assert told.fed == 0
            camera.heartbeat = time.monotonic()
            for _ in range(2):
                await dog.look(0.5)

        with caplog.at_level(logging.WARNING):
            asyncio.run(looks())
        assert told.messages == ["STATUS=not well: camera", "WATCHDOG=1", "STATUS=idle", "WATCHDOG=1"]
        assert [record.getMessage() for record in caplog.records] == [
            "the watchdog is not fed: camera gone",
            "the watchdog is fed again",
        ]

    def test_a_second_part_that_is_late_is_told_of_as_well(self, caplog: pytest.LogCaptureFixture) -> None:
        told, camera, nfc = Told(), Part(0.0), Part(1e12)

        async def looks() -> None:
            dog = watchdog(Engine(), [Watched("camera", camera, 1.0), Watched("nfc", nfc, 1.0)], told)
            await dog.look(0.5)
            nfc.heartbeat = 0.0
            await dog.look(0.5)
            nfc.heartbeat = 1e12
            await dog.look(0.5)

        asyncio.run(looks())
        assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
            "camera gone",
            "camera gone, nfc gone",
        ]
        assert told.messages[-1] == "STATUS=not well: camera"

    def test_it_is_fed_at_its_pace_and_not_while_the_loop_is_blocked(self) -> None:
        told = Told()

        async def live() -> tuple[int, int]:
            running = asyncio.create_task(watchdog(Engine(), [], told).run(0.02))
            await asyncio.sleep(0.2)
            before = told.fed
            time.sleep(0.3)  # noqa: ASYNC251 -- this is the point
            after = told.fed
            running.cancel()
            await asyncio.wait({running})
            return before, after

        before, after = asyncio.run(live())
        assert 5 <= before <= 11
        assert after == before


class Stuck:
    """A device that hangs for as long as it is told to."""

    def __init__(self) -> None:
        """Hang from the start."""
        self.go = threading.Event()
        self.opened = 0

    def use(self, device: object, life: Life[object]) -> None:
        """Hang, then live."""
        self.opened += 1
        if self.go.wait(20.0):
            life.wait(20.0)


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    """A device whose threads end with the test."""
    device = Stuck()
    yield device
    device.go.set()


LIMITS = OwnerLimits(retry_s=0.01, overrun_s=0.1, close_s=0.5, max_quarantined=2)


def owner_of(device: Stuck) -> Owner[object]:
    return Owner(Work("camera", object, device.use, lambda *_: None, (OSError,), lambda *_: None), LIMITS)


class TestOwnedDevices:
    """The real owner of blocking devices beside the real watchdog."""

    def test_one_that_is_replaced_in_time_costs_no_feeding(self, stuck: Stuck) -> None:
        told = Told()

        async def live() -> int:
            owner = owner_of(stuck)
            owner.start()
            dog = watchdog(Engine(), [Watched("camera", owner, HEALS * LIMITS.overrun_s)], told)
            running = asyncio.create_task(dog.run(0.02))
            while owner.quarantined < 1:  # noqa: ASYNC110 -- a thread's doing
                await asyncio.sleep(0.005)
            stuck.go.set()
            await asyncio.sleep(0.3)
            running.cancel()
            await owner.close()
            return owner.quarantined

        assert asyncio.run(live()) >= 1
        assert told.fed > 5
        assert not [message for message in told.messages if "not well" in message]

    def test_one_whose_threads_all_hang_earns_nothing_more(self, stuck: Stuck) -> None:
        told = Told()

        async def live() -> tuple[int, int]:
            owner = owner_of(stuck)
            owner.start()
            dog = watchdog(Engine(), [Watched("camera", owner, HEALS * LIMITS.overrun_s)], told)
            running = asyncio.create_task(dog.run(0.02))
            async with asyncio.timeout(10):
                while "STATUS=not well: camera" not in told.messages:  # noqa: ASYNC110 -- a thread's doing
                    await asyncio.sleep(0.01)
            fed = told.fed
            await asyncio.sleep(0.2)
            running.cancel()
            await owner.close()
            return fed, told.fed

        before, after = asyncio.run(live())
        assert stuck.opened == LIMITS.max_quarantined
        assert before == after
