"""Buttons: from contacts to presses that mean something. `press(state, event, rules) -> (state, presses)`, pure.

A press is the moment a button goes down, once, however long it stays there. Rules:

- a button that is down when it is first heard of, or went down again at once, says nothing;
- CONFIRM counts only while a portrait is shown, pressed after a person could have looked at it; it is told a moment
  later, because CONFIRM and REJECT together are REJECT; while REJECT is down, even jammed, there is no CONFIRM;
- a locked reader that sleeps hears WAKE alone, pressed while it sleeps and held.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from mdoc_reader.outputs.ports import Contact, ContactCallback

BUTTONS = frozenset({Contact.WAKE, Contact.CANCEL, Contact.LANGUAGE, Contact.CONFIRM, Contact.REJECT})


@dataclass(frozen=True, slots=True)
class Press:
    """A button was pressed, and when (monotonic seconds): the moment it counts, not the moment it went down."""

    button: Contact
    at: float


@dataclass(frozen=True, slots=True)
class ButtonRules:
    """Times in seconds.

    `lock`: whether a reader that sleeps is woken only by WAKE held for `unlock_hold_s`. `blind_s`: how long a portrait
    is shown before CONFIRM counts. `together_s`: how long CONFIRM waits for a REJECT; more than a contact's debouncing.
    `repeat_s`: how soon after it was pressed a button is not pressed again. `stuck_s`: how long one may be down before
    it is jammed.
    """

    lock: bool = False
    unlock_hold_s: float = 1.0
    blind_s: float = 0.7
    together_s: float = 0.2
    repeat_s: float = 0.3
    stuck_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Switched:
    """A button is down now, or up."""

    at: float
    button: Contact
    down: bool


@dataclass(frozen=True, slots=True)
class Slept:
    """The reader fell asleep, or woke."""

    at: float
    asleep: bool


@dataclass(frozen=True, slots=True)
class Pictured:
    """A portrait is on the display from now on, or is gone."""

    at: float
    shown: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""

    at: float


Event = Switched | Slept | Pictured | Tick


@dataclass(frozen=True, slots=True)
class Buttons:
    """Everything the rules know. Times are infinite for never.

    `down`: since when each button is down; minus infinity where nobody saw it go down. `known`: which were heard of.
    """

    asleep: bool = False
    shown_at: float = math.inf
    down: dict[Contact, float] = field(default_factory=dict)
    known: frozenset[Contact] = frozenset()
    pressed: dict[Contact, float] = field(default_factory=dict)
    confirm_at: float = math.inf
    wake_at: float = math.inf

    def next_deadline(self) -> float | None:
        """Return when a Tick is wanted, or None."""
        due = min(self.confirm_at, self.wake_at)
        return None if due == math.inf else due


Step = tuple[Buttons, tuple[Press, ...]]


def press(state: Buttons, event: Event, rules: ButtonRules) -> Step:
    """Return the next state, and what was pressed."""
    state, presses = _time(state, event.at)
    match event:
        case Tick():
            return state, presses
        case Slept(_, asleep):
            return replace(state, asleep=asleep, confirm_at=math.inf, wake_at=math.inf), presses
        case Pictured(at, shown):
            return replace(state, shown_at=at if shown else math.inf, confirm_at=math.inf), presses
        case Switched(at, button, down):
            if button not in BUTTONS:
                return state, presses
            state, more = _down(state, button, at, rules) if down else (_up(state, button), ())
            return state, presses + more


def _time(state: Buttons, at: float) -> Step:
    presses: tuple[Press, ...] = ()
    if at >= state.wake_at:
        presses += (Press(Contact.WAKE, state.wake_at),)
        state = replace(state, wake_at=math.inf)
    if at >= state.confirm_at:
        presses += (Press(Contact.CONFIRM, state.confirm_at),)
        state = replace(state, confirm_at=math.inf)
    return state, presses


def _up(state: Buttons, button: Contact) -> Buttons:
    down = {other: since for other, since in state.down.items() if other is not button}
    state = replace(state, down=down, known=state.known | {button})
    return replace(state, wake_at=math.inf) if button is Contact.WAKE else state


def _down(state: Buttons, button: Contact, at: float, rules: ButtonRules) -> Step:
    if button in state.down:
        return state, ()
    if button not in state.known:  # down since before we were here: jammed until it comes up
        return replace(state, known=state.known | {button}, down={**state.down, button: -math.inf}), ()
    again = at - state.pressed.get(button, -math.inf) < rules.repeat_s
    state = replace(state, down={**state.down, button: at}, pressed={**state.pressed, button: at})
    if button is Contact.REJECT:
        # Whatever else it is, it takes back a CONFIRM that has not been told.
        state = replace(state, confirm_at=math.inf)
    if again:
        return state, ()
    if rules.lock and state.asleep:
        return (replace(state, wake_at=at + rules.unlock_hold_s), ()) if button is Contact.WAKE else (state, ())
    if button is Contact.CONFIRM:
        return _confirm(state, at, rules)
    return state, (Press(button, at),)


def _confirm(state: Buttons, at: float, rules: ButtonRules) -> Step:
    rejecting = state.down.get(Contact.REJECT)
    if rejecting is not None:
        # Together is REJECT: told now if it was not when it went down a moment ago, and not for a jammed button.
        told = at - rejecting <= rules.together_s
        jammed = at - rejecting > rules.stuck_s
        return state, () if told or jammed else (Press(Contact.REJECT, at),)
    if not at >= state.shown_at + rules.blind_s:
        return state, ()
    return replace(state, confirm_at=at + rules.together_s), ()


PressCallback = Callable[[Press], None]


class ContactSource(Protocol):
    """What buttons need of the pins."""

    def on_contact(self, callback: ContactCallback) -> None:
        """Tell of contacts, from any thread."""


class ButtonOwner:
    """The buttons of one reader, on one event loop.

    Args:
        pins: where they hang.
        callback: told of each press on the event loop; returns at once, never raises.
        rules: what counts.
        monotonic: the clock that contacts are told by.
    """

    def __init__(
        self,
        pins: ContactSource,
        callback: PressCallback,
        rules: ButtonRules,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is heard until `start`."""
        self._pins = pins
        self._callback = callback
        self._rules = rules
        self._monotonic = monotonic
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.state = Buttons()

    def start(self) -> None:
        """Begin to listen. Called once, on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._pins.on_contact(self._contact)

    def asleep(self, asleep: bool) -> None:
        """Know that the reader fell asleep or woke. Called on the event loop."""
        self._feed(Slept(self._monotonic(), asleep))

    def portrait(self, shown: bool) -> None:
        """Know that a portrait is on the display, another one than before, or gone. Called on the event loop."""
        self._feed(Pictured(self._monotonic(), shown))

    def close(self) -> None:
        """Hear nothing any more. May be repeated."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _contact(self, contact: Contact, active: bool, at: float) -> None:
        if contact in BUTTONS and self._loop is not None and not self._closed:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the reader is on its way out
                self._loop.call_soon_threadsafe(self._feed, Switched(at, contact, active))

    def _tick(self) -> None:
        self._feed(Tick(self._monotonic()))

    def _feed(self, event: Event) -> None:
        if self._closed:
            return
        self.state, presses = press(self.state, event, self._rules)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.state.next_deadline()
        if due is not None and self._loop is not None:
            self._timer = self._loop.call_later(max(0.0, due - self._monotonic()), self._tick)
        for one in presses:
            self._callback(one)
