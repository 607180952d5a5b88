"""The door's state machine: each rule by example, and what must hold whatever happens."""

from __future__ import annotations

import math
import runpy
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdoc_reader.app.door_settings import ButtonSettings, DoorSettings
from mdoc_reader.outputs.door import (
    TRANSITIONS,
    Action,
    Alarm,
    AlarmKind,
    Door,
    DoorEvent,
    DoorPhase,
    DoorRules,
    Event,
    ExitPressed,
    Fire,
    Granted,
    Moved,
    PulseRelay,
    Report,
    Tick,
    alarm_of,
    step,
)

RULES = DoorRules(grace_s=2, warn_s=20, held_s=30, exit_pulse_s=3)
ROOT = Path(__file__).resolve().parents[2]


class Scene:
    """A door that is closed and known to be, and everything it did."""

    def __init__(self, rules: DoorRules = RULES, first: bool | None = False) -> None:
        self.rules = rules
        self.door = Door()
        self.actions: list[Action] = []
        if first is not None:
            self(Moved(0, first))

    def __call__(self, event: Event) -> DoorPhase:
        self.door, actions = step(self.door, event, self.rules)
        self.actions += actions
        return self.door.phase

    @property
    def told(self) -> list[DoorEvent]:
        return [action.event for action in self.actions if isinstance(action, Report)]

    @property
    def alarms(self) -> list[AlarmKind | None]:
        return [action.kind for action in self.actions if isinstance(action, Alarm)]

    @property
    def pulses(self) -> list[float]:
        return [action.seconds for action in self.actions if isinstance(action, PulseRelay)]


def test_somebody_granted_passes_and_nothing_is_said_but_that() -> None:
    scene = Scene()
    assert scene(Granted(10, 3)) is DoorPhase.GRANTED
    assert scene(Moved(14.9, True)) is DoorPhase.OPEN
    assert scene(Moved(17, False)) is DoorPhase.CLOSED
    assert scene.told == [DoorEvent.DOOR_OPENED, DoorEvent.DOOR_CLOSED]
    assert (scene.alarms, scene.pulses) == ([], [])


def test_a_grant_that_is_not_used_is_over_after_its_grace() -> None:
    scene = Scene()
    scene(Granted(10, 3))
    assert scene.door.next_deadline() == 15
    assert scene(Tick(14.99)) is DoorPhase.GRANTED
    assert scene(Tick(15)) is DoorPhase.CLOSED
    assert scene(Moved(15.1, True)) is DoorPhase.FORCED


def test_the_time_of_a_grant_is_over_without_a_tick_too() -> None:
    scene = Scene()
    scene(Granted(10, 3))
    assert scene(Moved(15.01, True)) is DoorPhase.FORCED


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -5.0, 1e9])
def test_a_grant_of_a_strange_length_ends(seconds: float) -> None:
    scene = Scene()
    scene(Granted(10, seconds))
    assert scene(Tick(10 + 62.01)) is DoorPhase.CLOSED


def test_a_door_opened_without_leave_is_forced_until_it_closes() -> None:
    scene = Scene()
    assert scene(Moved(5, True)) is DoorPhase.FORCED
    assert scene.told == [DoorEvent.DOOR_FORCED]
    assert scene.alarms == [AlarmKind.FORCED]
    assert scene(Tick(5000)) is DoorPhase.FORCED
    assert scene(Granted(5001, 3)) is DoorPhase.FORCED, "a grant does not excuse it"
    assert scene(Moved(5010, False)) is DoorPhase.CLOSED
    assert scene.alarms == [AlarmKind.FORCED, None]


def test_a_forced_door_is_told_where_it_is_no_alarm() -> None:
    scene = Scene(replace(RULES, forced=False))
    scene(Moved(5, True))
    assert (scene.told, scene.alarms) == ([DoorEvent.DOOR_FORCED], [])


def test_a_door_that_stands_open_warns_then_is_held_until_it_closes() -> None:
    scene = Scene()
    scene(Granted(0, 3))
    scene(Moved(1, True))
    assert scene(Tick(20.9)) is DoorPhase.OPEN
    assert scene(Tick(21)) is DoorPhase.WARNED
    assert scene(Tick(31)) is DoorPhase.HELD
    assert scene.door.next_deadline() is None
    assert scene(Moved(40, False)) is DoorPhase.CLOSED
    assert scene.alarms == [AlarmKind.WARNING, AlarmKind.HELD, None]
    assert scene.told[1:] == [DoorEvent.DOOR_WARNED, DoorEvent.DOOR_HELD, DoorEvent.DOOR_CLOSED]


def test_a_late_tick_tells_both_and_when_they_were() -> None:
    scene = Scene()
    scene(Granted(0, 3))
    scene(Moved(1, True))
    assert scene(Tick(100)) is DoorPhase.HELD
    assert [action.at for action in scene.actions if isinstance(action, Report)][1:] == [21, 31]
    assert scene.alarms == [AlarmKind.HELD]


@pytest.mark.parametrize(
    ("warn_s", "held_s", "phases"),
    [
        (0, 30, [DoorPhase.OPEN, DoorPhase.OPEN, DoorPhase.HELD]),
        (20, 0, [DoorPhase.OPEN, DoorPhase.WARNED, DoorPhase.WARNED]),
        (0, 0, [DoorPhase.OPEN, DoorPhase.OPEN, DoorPhase.OPEN]),
        (40, 30, [DoorPhase.OPEN, DoorPhase.OPEN, DoorPhase.HELD]),
    ],
)
def test_warning_and_alarm_are_each_left_out_at_will(warn_s: float, held_s: float, phases: list[DoorPhase]) -> None:
    scene = Scene(replace(RULES, warn_s=warn_s, held_s=held_s))
    scene(Granted(0, 3))
    scene(Moved(1, True))
    assert [scene(Tick(at)) for at in (15, 25, 35)] == phases


def test_who_passes_an_open_door_starts_its_time_anew() -> None:
    scene = Scene()
    scene(Granted(0, 3))
    scene(Moved(1, True))
    assert scene(Tick(40)) is DoorPhase.HELD
    assert scene(Granted(45, 3)) is DoorPhase.OPEN
    assert scene.alarms == [AlarmKind.HELD, None]
    assert scene(Tick(64)) is DoorPhase.OPEN
    assert scene(Tick(65)) is DoorPhase.WARNED
    assert scene(ExitPressed(66)) is DoorPhase.OPEN


def test_a_door_closed_within_a_grant_may_be_opened_again() -> None:
    scene = Scene()
    scene(Granted(0, 3))
    scene(Moved(1, True))
    assert scene(Moved(2, False)) is DoorPhase.GRANTED
    assert scene(Moved(3, True)) is DoorPhase.OPEN
    assert scene(Moved(6, False)) is DoorPhase.CLOSED


def test_exit_frees_the_lock_and_lets_the_door_be_opened() -> None:
    scene = Scene()
    assert scene(ExitPressed(10)) is DoorPhase.GRANTED
    assert scene.pulses == [3]
    assert scene(Moved(12, True)) is DoorPhase.OPEN
    assert scene.told == [DoorEvent.EXIT_REQUESTED, DoorEvent.DOOR_OPENED]


@pytest.mark.parametrize("phase", list(DoorPhase))
def test_exit_frees_the_lock_whatever_the_contact_says(phase: DoorPhase) -> None:
    _, actions = step(Door(phase, is_open=True), ExitPressed(10), RULES)
    assert PulseRelay(3) in actions


def test_exit_by_a_handle_moves_nothing_and_exit_that_is_off_says_nothing() -> None:
    permit = Scene(replace(RULES, exit="permit"))
    permit(ExitPressed(1))
    assert (permit(Moved(2, True)), permit.pulses) == (DoorPhase.OPEN, [])
    off = Scene(replace(RULES, exit="off"))
    off(ExitPressed(1))
    assert (off(Moved(2, True)), off.actions[:1]) == (DoorPhase.FORCED, [Report(DoorEvent.DOOR_FORCED, 2)])


def test_a_door_found_open_is_not_forced() -> None:
    scene = Scene(first=True)
    assert scene.door.phase is DoorPhase.OPEN
    assert scene(Tick(30)) is DoorPhase.HELD


def test_fire_ends_alarms_and_nothing_is_forced_while_it_lasts() -> None:
    scene = Scene()
    scene(Moved(1, True))
    assert scene(Fire(2, True)) is DoorPhase.FIRE
    assert scene.alarms == [AlarmKind.FORCED, None]
    scene(Fire(2.5, True))
    scene(Moved(3, False))
    scene(Moved(4, True))
    assert scene(Tick(5000)) is DoorPhase.FIRE
    assert scene(Fire(5001, False)) is DoorPhase.OPEN
    assert scene(Tick(5021)) is DoorPhase.WARNED
    assert scene.told.count(DoorEvent.FIRE_ON) == scene.told.count(DoorEvent.FIRE_OFF) == 1


def test_what_was_granted_before_a_fire_is_forgotten_after_it() -> None:
    scene = Scene()
    scene(Granted(1, 60))
    scene(Fire(2, True))
    scene(Granted(3, 60))
    assert scene(Fire(4, False)) is DoorPhase.CLOSED
    assert scene(Moved(5, True)) is DoorPhase.FORCED
    assert scene(Moved(6, False)) is DoorPhase.CLOSED


def test_the_same_news_twice_is_no_news() -> None:
    scene = Scene()
    scene(Moved(1, False))
    scene(Fire(1, False))
    scene(Moved(2, True))
    scene(Moved(3, True))
    assert scene.told == [DoorEvent.DOOR_FORCED]


RULE_SETS = st.builds(
    DoorRules,
    grace_s=st.sampled_from([0.5, 2.0]),
    warn_s=st.sampled_from([0.0, 3.0, 8.0]),
    held_s=st.sampled_from([0.0, 5.0, 30.0]),
    forced=st.booleans(),
    exit=st.sampled_from(["release", "permit", "off"]),
    exit_pulse_s=st.sampled_from([1.0, 3.0]),
)
HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.6, 2.0, 4.0, 40.0]),
        st.one_of(
            st.builds(lambda seconds: lambda at: Granted(at, seconds), st.sampled_from([0.0, 1.0, 5.0, math.nan])),
            st.builds(lambda is_open: lambda at: Moved(at, is_open), st.booleans()),
            st.just(ExitPressed),
            st.builds(lambda on: lambda at: Fire(at, on), st.booleans()),
            st.just(Tick),
        ),
    ),
    max_size=30,
)


def by_moments(door: Door, event: Event, rules: DoorRules) -> list[tuple[Event, Door, Door, tuple[Action, ...]]]:
    """Take an event after a tick at each deadline before it: every single move there was."""
    moves = []
    while (due := door.next_deadline()) is not None and due <= event.at:
        after, actions = step(door, Tick(due), rules)
        assert after != door, "a deadline that does nothing would be asked for again at once"
        moves.append((Tick(due), door, after, actions))
        door = after
    after, actions = step(door, event, rules)
    return [*moves, (event, door, after, actions)]


@settings(max_examples=400, deadline=None)
@given(RULE_SETS, HAPPENINGS)
def test_whatever_happens(rules: DoorRules, happenings: list[tuple[float, type[Event]]]) -> None:
    door, whole, now, alarm, freed = Door(), Door(), 0.0, None, -math.inf
    for pause, make in happenings:
        now += pause
        event = make(now)
        whole, at_once = step(whole, event, rules)
        told: list[Action] = []
        for cause, before, after, actions in by_moments(door, event, rules):
            assert after.phase is before.phase or after.phase in TRANSITIONS[before.phase]
            pulses = [action for action in actions if isinstance(action, PulseRelay)]
            assert not pulses or (isinstance(cause, ExitPressed) and rules.exit == "release")
            if isinstance(cause, Granted):
                freed = max(freed, now + rules.grace_s + (cause.seconds if cause.seconds > 0 else 0))
            if isinstance(cause, ExitPressed) and rules.exit != "off":
                freed = max(freed, now + rules.grace_s + rules.exit_pulse_s)
            if isinstance(cause, Moved) and cause.is_open and after.phase is DoorPhase.OPEN and before.is_open is False:
                assert now <= freed, "opened, not forced, and nobody had leave"
            for action in actions:
                if isinstance(action, Alarm):
                    assert action.kind is not alarm
                    alarm = action.kind
            assert alarm is alarm_of(after.phase, rules)
            assert alarm is None or after.is_open, "an alarm of a door that is closed"
            told += [action for action in actions if isinstance(action, Report)]
            door = after
        assert (whole, told) == (door, [action for action in at_once if isinstance(action, Report)])
    # Whatever state this is: fire over, the door closed and time passed bring every door to rest.
    for event in (Fire(now, False), Moved(now, False), Tick(now + 1000)):
        door, _ = step(door, event, rules)
    assert door.phase is DoorPhase.CLOSED
    assert alarm_of(door.phase, rules) is None
    assert door.next_deadline() is None


def test_every_way_that_is_drawn_is_there_and_no_other() -> None:
    found: set[tuple[DoorPhase, DoorPhase]] = set()
    for rules in (replace(RULES, warn_s=8, held_s=12), replace(RULES, warn_s=0, held_s=12)):
        doors = {Door()}
        for at in range(0, 30, 5):
            news = (Granted(at, 4), Granted(at, 30), Moved(at, True), Moved(at, False), Fire(at, True), Fire(at, False))
            reached = set()
            for door in doors:
                for event in (Tick(at), *news):
                    moves = by_moments(door, event, rules)
                    found |= {(before.phase, after.phase) for _, before, after, _ in moves}
                    reached.add(moves[-1][2])
            doors = reached
    found -= {(phase, phase) for phase in DoorPhase}
    assert found == {(phase, target) for phase, targets in TRANSITIONS.items() for target in targets}


def test_the_page_of_the_door_is_up_to_date() -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "door_docs.py"))
    text = (ROOT / "docs" / "door.md").read_text(encoding="utf-8")
    assert tool["page"](text) == text
    for word in (*DoorEvent, *DoorPhase):
        assert word.value in text


def test_settings_are_the_rules() -> None:
    assert DoorSettings().rules() == DoorRules()
    assert ButtonSettings().rules().blind_s == 0.7
    door = msgspec.convert({"held": 60.0, "warn": 0, "exit": "permit", "forced": False}, DoorSettings).rules()
    assert (door.held_s, door.warn_s, door.exit, door.forced) == (60, 0, "permit", False)
    for wrong in ({"held": 10}, {"held": -1}, {"exit": "maybe"}, {"grace": 0}, {"hold": 1}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, DoorSettings)
