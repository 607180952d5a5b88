"""The door's state machine: `step(state, event, rules) -> (state, actions)`, pure, with time as an event.

Theory of operation. A door that is closed may be opened for a while after a grant or the exit button (GRANTED); opened
otherwise it is forced. A door that stands open warns, then is held, until it closes or somebody else is let through.
Fire is above all of that: while it lasts nothing is forced or held. Rules that hold in every state:

- a verdict moves the relay before this machine hears of it, and fire moves it without this machine: only the exit
  button moves it from here, and does so in every state, because nobody is kept inside by a contact that is wrong;
- an alarm belongs to a state and ends with it: there is none to forget;
- a door found open at the start is open, not forced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

LONGEST_S = 60.0
"""No relay is out of its rest for longer, whatever was granted."""


class DoorPhase(StrEnum):
    """How the door stands."""

    CLOSED = "closed"
    GRANTED = "granted"
    OPEN = "open"
    WARNED = "warned"
    HELD = "held"
    FORCED = "forced"
    FIRE = "fire"


class AlarmKind(StrEnum):
    """What an alarm says."""

    WARNING = "warning"  # close the door
    HELD = "held"
    FORCED = "forced"


class DoorEvent(StrEnum):
    """What observers are told. Nothing personal."""

    DOOR_OPENED = "door_opened"
    DOOR_CLOSED = "door_closed"
    DOOR_FORCED = "door_forced"
    DOOR_WARNED = "door_warned"
    DOOR_HELD = "door_held"
    EXIT_REQUESTED = "exit_requested"
    FIRE_ON = "fire_on"
    FIRE_OFF = "fire_off"


@dataclass(frozen=True, slots=True)
class DoorRules:
    """Times in seconds.

    `grace_s`: how long after the lock was freed the door may still be opened. `warn_s` and `held_s`: how long it may
    stand open until it warns, and until it is held; zero for never. `forced`: whether a forced door is an alarm or only
    told. `exit`: whether the exit button frees the lock, only says that the door will be opened from inside (a handle
    does the rest), or is nothing.
    """

    grace_s: float = 2.0
    warn_s: float = 20.0
    held_s: float = 30.0
    forced: bool = True
    exit: Literal["release", "permit", "off"] = "release"
    exit_pulse_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Granted:
    """The lock was freed for `seconds`."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Moved:
    """The door contact says open or closed."""

    at: float
    is_open: bool


@dataclass(frozen=True, slots=True)
class ExitPressed:
    """Somebody inside wants out."""

    at: float


@dataclass(frozen=True, slots=True)
class Fire:
    """The fire release began or ended."""

    at: float
    on: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""

    at: float


Event = Granted | Moved | ExitPressed | Fire | Tick


@dataclass(frozen=True, slots=True)
class PulseRelay:
    """Free the lock for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """Have the alarm say this, or nothing."""

    kind: AlarmKind | None


@dataclass(frozen=True, slots=True)
class Report:
    """Tell observers."""

    event: DoorEvent
    at: float


Action = PulseRelay | Alarm | Report


@dataclass(frozen=True, slots=True)
class Door:
    """Everything the machine knows. `is_open` is None until the contact was heard; without one it stays so."""

    phase: DoorPhase = DoorPhase.CLOSED
    is_open: bool | None = None
    permit_until: float = -math.inf
    deadline: float | None = None

    def next_deadline(self) -> float | None:
        """Return when the machine wants a Tick, or None."""
        return self.deadline


Step = tuple[Door, tuple[Action, ...]]

_STANDING = frozenset({DoorPhase.OPEN, DoorPhase.WARNED, DoorPhase.HELD})

# Every way there is from one phase to another. The drawing in docs/door.md is made from this; tests hold step to it.
TRANSITIONS: dict[DoorPhase, dict[DoorPhase, str]] = {
    DoorPhase.CLOSED: {
        DoorPhase.GRANTED: "granted, or exit",
        DoorPhase.OPEN: "found open at the start",
        DoorPhase.FORCED: "opened",
        DoorPhase.FIRE: "fire",
    },
    DoorPhase.GRANTED: {
        DoorPhase.CLOSED: "not opened in time",
        DoorPhase.OPEN: "opened",
        DoorPhase.FIRE: "fire",
    },
    DoorPhase.OPEN: {
        DoorPhase.CLOSED: "closed",
        DoorPhase.GRANTED: "closed while still granted",
        DoorPhase.WARNED: "open for long",
        DoorPhase.HELD: "open for too long, no warning set",
        DoorPhase.FIRE: "fire",
    },
    DoorPhase.WARNED: {
        DoorPhase.CLOSED: "closed",
        DoorPhase.GRANTED: "closed while still granted",
        DoorPhase.OPEN: "granted, or exit",
        DoorPhase.HELD: "open for too long",
        DoorPhase.FIRE: "fire",
    },
    DoorPhase.HELD: {
        DoorPhase.CLOSED: "closed",
        DoorPhase.GRANTED: "closed while still granted",
        DoorPhase.OPEN: "granted, or exit",
        DoorPhase.FIRE: "fire",
    },
    DoorPhase.FORCED: {
        DoorPhase.CLOSED: "closed",
        DoorPhase.GRANTED: "closed while granted meanwhile",
        DoorPhase.FIRE: "fire",
    },
    DoorPhase.FIRE: {DoorPhase.CLOSED: "fire over, closed", DoorPhase.OPEN: "fire over, open"},
}


def alarm_of(phase: DoorPhase, rules: DoorRules) -> AlarmKind | None:
    """Return the alarm that belongs to a phase."""
    if phase is DoorPhase.FORCED:
        return AlarmKind.FORCED if rules.forced else None
    return {DoorPhase.WARNED: AlarmKind.WARNING, DoorPhase.HELD: AlarmKind.HELD}.get(phase)


def step(door: Door, event: Event, rules: DoorRules) -> Step:
    """Return the next state and what is to be done now, in order."""
    passed, actions = _time(door, event.at, rules)
    after, more = _happened(passed, event, rules)
    alarm: tuple[Action, ...] = ()
    if alarm_of(after.phase, rules) is not alarm_of(door.phase, rules):
        alarm = (Alarm(alarm_of(after.phase, rules)),)
    return after, (*actions, *more, *alarm)


def _happened(door: Door, event: Event, rules: DoorRules) -> Step:
    match event:
        case Tick():
            return door, ()
        case Granted(at, seconds):
            return _permit(door, at, seconds, rules), ()
        case ExitPressed(at):
            return _exit(door, at, rules)
        case Moved(at, is_open):
            return _moved(door, at, rules, is_open=is_open)
        case Fire(at, on):
            return _fire(door, at, rules, on=on)


def _time(door: Door, at: float, rules: DoorRules) -> Step:
    """Do what is overdue. One event may be late enough for both the warning and the alarm."""
    actions: tuple[Action, ...] = ()
    while door.deadline is not None and at >= door.deadline:
        due = door.deadline
        if door.phase is DoorPhase.GRANTED:
            door = replace(door, phase=DoorPhase.CLOSED, deadline=None)
        elif door.phase is DoorPhase.OPEN and rules.warn_s > 0 and not 0 < rules.held_s <= rules.warn_s:
            held = due - rules.warn_s + rules.held_s if rules.held_s > 0 else None
            door = replace(door, phase=DoorPhase.WARNED, deadline=held)
            actions += (Report(DoorEvent.DOOR_WARNED, due),)
        else:
            door = replace(door, phase=DoorPhase.HELD, deadline=None)
            actions += (Report(DoorEvent.DOOR_HELD, due),)
    return door, actions


def _permit(door: Door, at: float, seconds: float, rules: DoorRules) -> Door:
    """Let somebody through: a closed door may be opened, one that stands open may do so anew."""
    freed = min(seconds, LONGEST_S) if seconds > 0 else 0.0
    door = replace(door, permit_until=max(door.permit_until, at + freed + rules.grace_s))
    if door.phase in {DoorPhase.CLOSED, DoorPhase.GRANTED}:
        return replace(door, phase=DoorPhase.GRANTED, deadline=door.permit_until)
    return _stand(door, at, rules) if door.phase in _STANDING else door


def _stand(door: Door, at: float, rules: DoorRules) -> Door:
    limits = [seconds for seconds in (rules.warn_s, rules.held_s) if seconds > 0]
    return replace(door, phase=DoorPhase.OPEN, deadline=at + min(limits) if limits else None)


def _exit(door: Door, at: float, rules: DoorRules) -> Step:
    if rules.exit == "off":
        return door, ()
    pulse: tuple[Action, ...] = (PulseRelay(rules.exit_pulse_s),) if rules.exit == "release" else ()
    return _permit(door, at, rules.exit_pulse_s, rules), (*pulse, Report(DoorEvent.EXIT_REQUESTED, at))


def _moved(door: Door, at: float, rules: DoorRules, *, is_open: bool) -> Step:
    first, same = door.is_open is None, door.is_open is is_open
    door = replace(door, is_open=is_open)
    if same or (first and not is_open):
        return door, ()
    report = Report(DoorEvent.DOOR_OPENED if is_open else DoorEvent.DOOR_CLOSED, at)
    if door.phase is DoorPhase.FIRE:
        return door, (report,)
    if not is_open:
        return _shut(door, at), (report,)
    if first or door.phase is DoorPhase.GRANTED:
        return _stand(door, at, rules), (report,)
    return replace(door, phase=DoorPhase.FORCED, deadline=None), (Report(DoorEvent.DOOR_FORCED, at),)


def _shut(door: Door, at: float) -> Door:
    if at < door.permit_until:
        return replace(door, phase=DoorPhase.GRANTED, deadline=door.permit_until)
    return replace(door, phase=DoorPhase.CLOSED, deadline=None)


def _fire(door: Door, at: float, rules: DoorRules, *, on: bool) -> Step:
    if on is (door.phase is DoorPhase.FIRE):
        return door, ()
    if on:
        return replace(door, phase=DoorPhase.FIRE, deadline=None), (Report(DoorEvent.FIRE_ON, at),)
    # What was granted before the fire is forgotten.
    door = replace(door, permit_until=-math.inf, deadline=None)
    after = _stand(door, at, rules) if door.is_open else replace(door, phase=DoorPhase.CLOSED)
    return after, (Report(DoorEvent.FIRE_OFF, at),)
