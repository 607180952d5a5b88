"""Joins the door's state machine to the pins and the event loop: contacts in, the exit pulse and the alarm out.

It is told of a grant and moves nothing for it: the panel has moved the relay by then, on the shortest way there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Protocol

from mdoc_reader.outputs.door import (
    Alarm,
    AlarmKind,
    Door,
    DoorEvent,
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
from mdoc_reader.outputs.ports import Blink, Contact, ContactCallback

log = logging.getLogger(__name__)

DoorCallback = Callable[[DoorEvent, float], None]
"""Told what happened at the door, and when (monotonic). On the event loop; returns at once, never raises."""

ALARMS = {
    AlarmKind.WARNING: Blink(0.1, 0.9),
    AlarmKind.HELD: Blink(0.5, 0.5),
    AlarmKind.FORCED: Blink(),
}
_LOUD = frozenset({DoorEvent.DOOR_FORCED, DoorEvent.DOOR_HELD, DoorEvent.FIRE_ON, DoorEvent.FIRE_OFF})


class DoorPins(Protocol):
    """What the door needs of the pins. Calls return at once and never raise."""

    def energise_relay(self, seconds: float) -> None:
        """Free the lock for so long."""

    def on_contact(self, callback: ContactCallback) -> None:
        """Tell of contacts, from any thread."""

    def alarm(self, rhythm: Blink | None) -> None:
        """Set the alarm output's rhythm, or switch it off with None."""


class DoorOwner:
    """One door. Used on one event loop; contacts may come from any thread.

    Args:
        pins: where its contacts, its lock and its alarm hang.
        rules: what is an alarm, and when.
        monotonic: the clock that contacts are told by.
    """

    def __init__(self, pins: DoorPins, rules: DoorRules, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Prepare; nothing is heard until `start`."""
        self._pins = pins
        self._rules = rules
        self._monotonic = monotonic
        self._callbacks: list[DoorCallback] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.door = Door()

    @property
    def alarm(self) -> AlarmKind | None:
        """What the alarm says now."""
        return alarm_of(self.door.phase, self._rules)

    def on_event(self, callback: DoorCallback) -> None:
        """Have `callback` told what happens at the door."""
        self._callbacks.append(callback)

    def start(self) -> None:
        """Begin to listen. Called once, on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._pins.alarm(None)
        self._pins.on_contact(self._contact)

    def granted(self, seconds: float) -> None:
        """Know that the relay was moved for `seconds`. Called on the event loop, right after it was."""
        self._feed(Granted(self._monotonic(), seconds))

    def close(self) -> None:
        """Hear nothing any more, and end an alarm. May be repeated."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._pins.alarm(None)

    def _contact(self, contact: Contact, active: bool, at: float) -> None:
        """Take a contact's state on whatever thread tells it."""
        event: Event
        match contact:
            case Contact.OPEN:
                event = Moved(at, active)
            case Contact.FIRE:
                event = Fire(at, active)
            case Contact.EXIT if active:
                event = ExitPressed(at)
            case _:
                return
        if self._loop is not None and not self._closed:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the reader is on its way out
                self._loop.call_soon_threadsafe(self._feed, event)

    def _tick(self) -> None:
        self._feed(Tick(self._monotonic()))

    def _feed(self, event: Event) -> None:
        if self._closed:
            return
        before = self.door.deadline
        self.door, actions = step(self.door, event, self._rules)
        for action in actions:
            match action:
                case PulseRelay(seconds):
                    self._pins.energise_relay(seconds)
                case Alarm(kind):
                    self._pins.alarm(None if kind is None else ALARMS[kind])
                case Report(what, at):
                    self._report(what, at)
        if self.door.deadline != before or isinstance(event, Tick):
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.door.next_deadline()
        if due is not None and self._loop is not None:
            self._timer = self._loop.call_later(max(0.0, due - self._monotonic()), self._tick)

    def _report(self, what: DoorEvent, at: float) -> None:
        if what in _LOUD:
            log.warning("the door: %s", what.value)
        for callback in tuple(self._callbacks):
            callback(what, at)
