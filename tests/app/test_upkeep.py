"""The reader's care for itself: maintenance, looks at the device that hold nobody up, and what is told once."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from device_stage import device

from mdoc_reader.app import cli, device_checks, doctor, running, upkeep, wiring
from mdoc_reader.app.event_stream import EventStream
from mdoc_reader.app.maintenance_command import switch
from mdoc_reader.app.settings import Settings, load
from mdoc_reader.app.upkeep import LOOK_EVERY_S, LOOK_NOW_S, TOO_LONG_S, Upkeep, device_look
from mdoc_reader.lab import certificates
from mdoc_reader.model.check import Check, Health
from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.model.sign import Sign
from mdoc_reader.reader import events as ev
from mdoc_reader.reader.machine import State, step
from mdoc_reader.reader.phases import Deadlines, Phase
from mdoc_reader.transport.ports import LinkCode
from mdoc_reader.trust.clock import Clock

WARM = Check("temperature", Health.WARNING, "76 degrees", "give it air")
DISK = Check("disk", Health.OK, "5000 MiB free")


@dataclass
class Machine:
    """The state machine, and what it would say."""

    state: State = field(default_factory=State)
    troubles: dict[str, ReasonCode | None] = field(default_factory=dict)
    said: list[ev.Show] = field(default_factory=list)

    def post(self, event: ev.Event) -> None:
        self.state, actions = step(self.state, event, Deadlines())
        self.said += [action for action in actions if isinstance(action, ev.Show)]


@dataclass
class Stage:
    """Upkeep with a clock and a device of our own."""

    folder: Path
    checks: Sequence[Check] = ()
    looks: int = 0
    now: float = 0.0
    machine: Machine = field(default_factory=Machine)
    written: io.StringIO = field(default_factory=io.StringIO)
    answers: threading.Event = field(default_factory=threading.Event)
    fails: bool = False

    def __post_init__(self) -> None:
        self.answers.set()
        events = EventStream(self.written)
        self.upkeep = Upkeep(self.look, self.folder, self.machine, events, lambda: self.now)  # type: ignore[arg-type]

    def look(self) -> Sequence[Check]:
        self.looks += 1
        assert self.answers.wait(10)
        if self.fails:
            raise RuntimeError("a defect")
        return self.checks

    async def turn(self, seconds: float = 2.0, **broken: str) -> None:
        self.now += seconds
        self.upkeep.turn(broken)
        await asyncio.sleep(0.05)  # what began is done at the next turn
        self.upkeep.turn(broken)

    def told(self) -> list[tuple[str, str]]:
        rows = [json.loads(line) for line in self.written.getvalue().splitlines()]
        assert all(row.keys() == {"event", "part", "health"} and row["event"] == "health" for row in rows)
        return [(row["part"], row["health"]) for row in rows]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_changes_are_told_once(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        with caplog.at_level(logging.INFO, "mdoc_reader.app.upkeep"):
            stage.checks = (DISK, WARM)
            await stage.turn()
            assert caplog.messages == ["temperature: warning: 76 degrees -> give it air"]
            stage.checks = (Check("disk", Health.OK, "4000 MiB"), Check(WARM.part, WARM.health, "77 degrees", "air"))
            await stage.turn(LOOK_EVERY_S)
            assert len(caplog.messages) == 1, "a degree more is no news"
            full = Check("disk", Health.FAULT, "5 MiB free", "remove something")
            stage.checks = (full, Check("key certificate", Health.WARNING, "ends soon"))
            await stage.turn(LOOK_EVERY_S)
            assert caplog.messages[1:] == [
                "disk: fault: 5 MiB free -> remove something",
                "key certificate: warning: ends soon",
                "temperature is well again",
            ]
            stage.checks = ()
            await stage.turn(LOOK_EVERY_S)

    asyncio.run(play())
    assert stage.looks == 4
    assert stage.told() == [
        *(("temperature", "warning"), ("disk", "fault"), ("key", "warning"), ("temperature", "ok")),
        *(("disk", "ok"), ("key", "ok")),
    ]


def test_looks_come_now_and_then_and_never_while_somebody_is_served(stage: Stage) -> None:
    async def play() -> None:
        await stage.turn()
        await stage.turn(LOOK_EVERY_S - 10)
        assert stage.looks == 1
        stage.machine.state = State(phase=Phase.CONSENT)
        await stage.turn(LOOK_EVERY_S)
        assert stage.looks == 1
        stage.machine.state = State(phase=Phase.ASLEEP)
        await stage.turn()
        assert stage.looks == 2
        switch(stage.folder, on=True)
        await stage.turn(LOOK_NOW_S)
        assert stage.looks == 3

    asyncio.run(play())


def test_maintenance_names_what_to_look_at(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        stage.checks = (DISK, WARM)
        await stage.turn()
        assert stage.machine.said == []
        switch(stage.folder, on=True)
        stage.machine.post(ev.FaultRaised(1.0, "nfc"))
        stage.machine.troubles["nfc"] = LinkCode.LOST
        stage.machine.said.clear()
        await stage.turn(display="it does not answer", nfc="gone")
        assert stage.machine.said == [ev.Show(Sign.MAINTENANCE, ("nfc", "display", "temperature"))]
        assert running.look(stage.folder).faults == {"nfc": LinkCode.LOST.log, "display": "it does not answer"}
        await stage.turn()
        assert stage.machine.said[1:] == [ev.Show(Sign.MAINTENANCE, ("nfc", "temperature"))]
        stage.checks = (DISK,)
        stage.machine.post(ev.FaultCleared(1.0, "nfc"))
        await stage.turn(LOOK_NOW_S)
        assert stage.machine.said[-1] == ev.Show(Sign.MAINTENANCE)
        said = len(stage.machine.said)
        await stage.turn()
        assert len(stage.machine.said) == said
        switch(stage.folder, on=False)
        await stage.turn()
        assert stage.machine.said[-1].sign is Sign.READY
        stage.upkeep.close()

    asyncio.run(play())
    assert [line for line in caplog.messages if line.startswith("maintenance")] == [
        "maintenance is on: nobody is served",
        "maintenance is off",
    ]
    assert not running.look(stage.folder).runs


def test_a_device_that_does_not_answer_is_told_of_and_asked_once(stage: Stage) -> None:
    async def play() -> None:
        stage.answers.clear()
        await stage.turn()
        await stage.turn(TOO_LONG_S)
        await stage.turn(LOOK_EVERY_S)
        await stage.turn(LOOK_EVERY_S)
        assert stage.looks == 1
        assert stage.told() == [("disk", "fault")]
        stage.answers.set()
        stage.checks = (DISK,)
        await stage.turn()
        await stage.turn()

    asyncio.run(play())
    assert stage.told() == [("disk", "fault"), ("disk", "ok")]


def test_a_defect_in_a_look_closes_no_door(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        stage.fails = True
        await stage.turn()
        assert "could not be looked at" in caplog.text
        stage.fails = False
        stage.checks = (WARM,)
        await stage.turn(LOOK_EVERY_S)
        assert stage.upkeep.checks == (WARM,)

    asyncio.run(play())


def test_closing_leaves_a_look_to_its_end(stage: Stage) -> None:
    async def play() -> None:
        stage.answers.clear()
        await stage.turn()
        stage.upkeep.close()
        await asyncio.sleep(0)
        stage.answers.set()

    asyncio.run(play())


def test_what_is_believed_is_not_gone_through_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    (tmp_path / "iaca.pem").write_bytes(certificates.make_iaca().pem)
    text = {"trust_anchors": ["{state}/iaca.pem"]}
    asked = [{"doctype": "d", "elements": {"n": {"e": False}}}]
    settings = msgspec.convert({"reader": text, "profile": {"name": "p", "request": asked}}, Settings)
    beliefs, clock, _ = wiring.load_beliefs(settings, "f.toml")
    gone_through = []
    really = device_checks.belief_checks

    def counted(*given: object) -> tuple[Check, ...]:
        gone_through.append(given)
        return really(settings, beliefs, Clock())

    monkeypatch.setattr(device_checks, "belief_checks", counted)
    look = device_look(settings, beliefs, clock)
    assert {check.part for check in (*look(), *look())} >= {"lists", "clock", "disk"}
    assert len(gone_through) == 1
    beliefs.generation += 1
    look()
    monkeypatch.setattr(upkeep, "_TRUST_EVERY_S", -1.0)
    look()
    assert len(gone_through) == 3


ASKS = """
[profile]
name = "over 18"
age_over = 18
[[profile.request]]
doctype = "org.iso.18013.5.1.mDL"
[profile.request.elements."org.iso.18013.5.1"]
age_over_18 = false
"""


def test_a_reader_under_maintenance(tmp_path: Path) -> None:
    """As a process: seen by the doctor, switched by the command, and it ends under maintenance as well as ever."""

    async def until(wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not wanted():  # noqa: ASYNC110 -- a file tells nobody
                await asyncio.sleep(0.05)

    async def play() -> None:
        async with device(tmp_path, ASKS) as reader:
            await reader.until("phase", phase="idle")
            await until(reader.screen.exists)
            ready = reader.screen.read_bytes()
            await until(lambda: running.look(tmp_path) == running.Seen(runs=True, faults={}))
            seen = running.look(tmp_path)
            assert cli.main(["maintenance", "on", "--runtime", str(tmp_path)]) == 0
            await reader.until("phase", phase="maintenance")
            await until(lambda: reader.screen.read_bytes() != ready)
            checks = await doctor.look(load(tmp_path / "reader.toml"), str(tmp_path / "reader.toml"), seen)
            assert {check.part for check in checks} >= {"pins", "display", "bluetooth", "lists"}
            assert cli.main(["maintenance", "off", "--runtime", str(tmp_path)]) == 0
            await reader.until("phase", phase="idle")
            await until(lambda: reader.screen.read_bytes() == ready)
            shutil.rmtree(tmp_path / "display")
            (tmp_path / "display").touch()
            cli.main(["maintenance", "on", "--runtime", str(tmp_path)])
            await reader.until("phase", phase="maintenance")
            gone = {"display": "it does not answer"}
            await until(lambda: running.look(tmp_path) == running.Seen(runs=True, faults=gone))

    asyncio.run(play())
    assert not running.look(tmp_path).runs
