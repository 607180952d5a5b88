"""The front of the reader: the panel as the engine knows it, with the door, the buttons and the hours around it.

The engine says and grants; here the door hears of a grant right after the relay has moved, buttons hear of a portrait
and of sleep, presses become events of the machine, and an alarm of the door is shown until something else is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mdoc_reader.model.decision import Decision
from mdoc_reader.model.sign import By, Sign
from mdoc_reader.outputs.buttons import ButtonOwner, ButtonRules, Press
from mdoc_reader.outputs.door import AlarmKind, DoorEvent, DoorRules
from mdoc_reader.outputs.door_owner import DoorOwner
from mdoc_reader.outputs.panel import Panel
from mdoc_reader.outputs.ports import Contact, Picture, Pins
from mdoc_reader.policy.calendar import Calendar
from mdoc_reader.policy.truth import Truth
from mdoc_reader.reader import events as ev
from mdoc_reader.trust.clock import Moment

HOURS_LOOK_S = 15.0
_ALARMS = {AlarmKind.FORCED: "forced", AlarmKind.HELD: "held"}


class Machine(Protocol):
    """Who presses are told to."""

    def post(self, event: ev.Event) -> None:
        """Queue an event."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is an alarm of the door, and what is a press of a button."""

    door: DoorRules
    buttons: ButtonRules


class Front:
    """Panel, door and buttons of one reader, on one event loop. A `PanelPort` of the engine.

    Args:
        panel: lamps, sound, display, relay.
        pins: where the contacts hang.
        pulse_s: how long a grant moves the relay.
        rules: of the door and of the buttons.
        monotonic: the machine's clock.
        code: shown as a QR code while the reader invites people; empty for none.
    """

    def __init__(
        self,
        panel: Panel,
        pins: Pins,
        pulse_s: float,
        rules: Rules,
        monotonic: Callable[[], float],
        *,
        code: str = "",
    ) -> None:
        """Prepare; nothing is heard until `start`."""
        self._panel = panel
        self._pulse_s = pulse_s
        self._monotonic = monotonic
        self._code = code
        self._machine: Machine | None = None
        self._asleep = self._portrait = False
        self._said: tuple[Sign, tuple[str, ...], tuple[By, ...]] | None = None
        self.door = DoorOwner(pins, rules.door, monotonic=monotonic)
        self.door.on_event(self._at_the_door)
        self.buttons = ButtonOwner(pins, self._pressed, rules.buttons, monotonic=monotonic)

    def start(self, machine: Machine) -> None:
        """Begin to listen to contacts. On the event loop."""
        self._machine = machine
        self.door.start()
        self.buttons.start()

    def close(self) -> None:
        """Hear nothing any more. May be repeated."""
        self.buttons.close()
        self.door.close()

    @property
    def last_light(self) -> float | None:
        """When the lamps last changed, on the monotonic clock."""
        return self._panel.last_light

    def signal(self, sign: Sign, parts: tuple[str, ...] = (), by: tuple[By, ...] = ()) -> None:
        """Say it. At rest the next person is spoken to in the first language again."""
        self._said = (sign, parts, by)
        if sign is Sign.READY:
            self._panel.default_language()
        self._panel.signal(sign, parts, by, self._code if sign is Sign.READY else "")
        self._tell_buttons(sign, portrait=False)
        if sign is Sign.READY:
            self._show_alarm()

    def grant(self, decision: Decision) -> None:
        """Open; the door expects to be opened from now on."""
        self._panel.grant(decision, self._pulse_s)
        self._tell_buttons(Sign.GRANTED, portrait=False)
        self.door.granted(self._pulse_s)

    def show_holder(self, picture: Picture) -> None:
        """Show the portrait, and have the buttons know."""
        self._panel.show_holder(picture)
        self._tell_buttons(Sign.COMPARE, portrait=True)

    def _tell_buttons(self, sign: Sign, *, portrait: bool) -> None:
        asleep = sign is Sign.ASLEEP
        if asleep is not self._asleep:
            self._asleep = asleep
            self.buttons.asleep(asleep)
        if portrait or self._portrait:
            self._portrait = portrait
            self.buttons.portrait(portrait)

    def _pressed(self, press: Press) -> None:
        at, machine = self._monotonic(), self._machine
        if machine is None:
            return
        match press.button:
            case Contact.CANCEL:
                machine.post(ev.Cancelled(at))
            case Contact.CONFIRM:
                machine.post(ev.Confirmed(at))
            case Contact.REJECT:
                machine.post(ev.Rejected(at))
            case Contact.LANGUAGE if not self._asleep:
                self._panel.next_language()
        machine.post(ev.Woken(at))  # whatever was pressed, somebody is there

    def _at_the_door(self, what: DoorEvent, at: float) -> None:
        del what, at
        if self._said is not None and self._said[0] is Sign.READY:
            self._show_alarm()
            if self.door.alarm not in _ALARMS and self._panel.sign is Sign.ALARM:
                self.signal(*self._said)

    def _show_alarm(self) -> None:
        kind = self.door.alarm
        if kind in _ALARMS:
            self._panel.signal(Sign.ALARM, (_ALARMS[kind],))


async def keep_hours(
    hours: Calendar, clock: Callable[[], Moment], machine: Machine, monotonic: Callable[[], float]
) -> None:
    """Tell the machine when people are served. Where the time is in doubt the rule decides, and nobody is sent away."""
    was_open = True
    while True:
        is_open = hours.is_open(clock()) is not Truth.FALSE
        if is_open is not was_open:
            was_open = is_open
            machine.post(ev.HoursChanged(monotonic(), is_open))
        await asyncio.sleep(HOURS_LOOK_S)
