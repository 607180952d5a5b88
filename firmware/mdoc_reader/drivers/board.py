"""Lamps, buzzer, relay and contacts on gpiozero devices, whatever pin factory is below them.

A pin is written on the caller's thread, which takes microseconds, so that a verdict is seen at once; what happens later
(rhythms, the next note, the end of a relay pulse) is done by one thread that owns the clock. The same thread reads the
contacts and moves the relay for fire by itself, and calls nobody: who wants to know of contacts is told on a thread
beside it. When the clock's thread ends, for any reason, the relay is at rest, or free while there is fire.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from gpiozero.exc import GPIOZeroError
from gpiozero.output_devices import OutputDevice, PWMOutputDevice

from mdoc_reader.drivers.board_contacts import Contacts
from mdoc_reader.drivers.board_relay import FireRules, RelayRules
from mdoc_reader.drivers.board_teller import State, Teller
from mdoc_reader.drivers.board_wiring import Input, Wiring
from mdoc_reader.outputs.ports import Blink, Colour, Contact, ContactCallback, Note

MAX_NOTES = 32
MAX_NOTE_S = 5.0
HERTZ = (20, 10_000)
RETRY_S = 0.05
FAULTS: tuple[type[Exception], ...] = (GPIOZeroError, OSError)


@dataclass(slots=True)
class _Lamp:
    device: Any  # gpiozero carries no types
    blink: Blink | None = None
    lit: bool = False
    due: float = math.inf


class Board:
    """Pins by gpiozero. See `outputs.ports.Pins`; calls may come from any thread.

    Args:
        factory: a gpiozero pin factory, closed with the board.
        wiring: what hangs where.
        faults: what else the factory's library raises when hardware fails.

    Raises OSError when a pin cannot be had; nothing stays open then.
    """

    def __init__(self, factory: Any, wiring: Wiring, faults: tuple[type[Exception], ...] = ()) -> None:
        """Claim the pins, everything at rest."""
        self._factory = factory
        self._faults = (*FAULTS, *faults)
        self._wake = threading.Condition()
        self._broken: set[str] = set()
        self._lamps: dict[Colour, _Lamp] = {}
        self._alarm: _Lamp | None = None
        self._buzzer: Any = None
        self._tonal = wiring.buzzer_tonal
        self._relay: Any = None
        self._coil = RelayRules(
            rest=wiring.relay_rest == "energised",
            max_s=wiring.relay_max_s,
            pause_s=wiring.relay_pause_s,
            until_open=wiring.relay_until_open,
        )
        self._coil_level = wiring.relay_rest == "energised"
        self._coil_retry = math.inf
        self._fire = FireRules(latch=wiring.fire_latch, release_on_fault=wiring.fire_fault == "release")
        self._fire_known = False
        self._fire_at = 0.0
        self._contacts: Contacts | None = None
        self._sample_at = 0.0
        self._teller = Teller()
        self._notes: deque[Note] = deque()
        self._note_until = math.inf
        self._closing = False
        try:
            self._claim(wiring)
        except self._faults as error:
            self._release()
            raise OSError(f"the panel's pins cannot be used: {error}") from error
        self._thread = threading.Thread(target=self._keep_time, name="panel-pins", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether the last write to every part reached it, every contact can be relied on, and the threads live."""
        alive = (self._thread.is_alive() and self._teller.healthy) or self._closing
        return alive and not self._broken and not self.troubles

    @property
    def heartbeat(self) -> float:
        """Now, while the board's threads live; a thread that hangs in a pin keeps its caller waiting, which shows."""
        alive = self._thread.is_alive() and self._teller.healthy
        return time.monotonic() if alive or self._closing else 0.0

    @property
    def troubles(self) -> dict[str, str]:
        """What is wrong with contacts, by their name in the wiring: `unreadable`, `chatters` or `stuck`."""
        with self._wake:
            found = {} if self._contacts is None else self._contacts.troubles(time.monotonic())
        return {name: trouble.value for name, trouble in found.items()}

    def on_contact(self, callback: ContactCallback) -> None:
        """Tell `callback` of each contact once it is known, and of every change that lasts, on one thread of our own.

        Fire is told for as long as it frees the door, which may be longer than its contact says so.
        """
        with self._wake:
            if not self._closing:
                self._teller.add(callback, self._known())

    def alarm(self, rhythm: Blink | None) -> None:
        """Set the alarm output's rhythm, or switch it off with None. `rest` leaves it as it is."""
        with self._wake:
            if self._alarm is not None and not self._closing:
                self._start(self._alarm, "alarm", rhythm)

    def light(self, colour: Colour, blink: Blink | None) -> None:
        """Set one lamp's rhythm; its first flash begins before this returns."""
        with self._wake:
            lamp = self._lamps.get(colour)
            if lamp is not None and not self._closing:
                self._start(lamp, colour, blink)

    def tone(self, notes: Sequence[Note]) -> None:
        """Play notes once; at most 32, each of at most five seconds."""
        with self._wake:
            if self._buzzer is None or self._closing:
                return
            self._notes = deque(notes[:MAX_NOTES])
            self._next_note(time.monotonic())
            self._wake.notify()

    def energise_relay(self, seconds: float) -> None:
        """Move the relay out of its rest for `seconds`, at most `relay_max_s`; nothing for a time not above zero.

        Called while it is out, it goes on, and never for longer than `relay_max_s` at a stretch; called in the pause
        after that, it waits for the end of the pause.
        """
        with self._wake:
            # Without the thread that ends the pulse there is no pulse.
            if self._relay is None or self._closing or not self._thread.is_alive():
                return
            now = time.monotonic()
            self._coil.grant(seconds, now)
            self._move_coil(now)
            self._wake.notify()

    def rest(self) -> None:
        """Relay to its rest unless there is fire, lamps off, silence."""
        with self._wake:
            if not self._closing:
                self._to_rest()
                self._wake.notify()

    def close(self) -> None:
        """Rest, end the thread, release the pins. May be repeated."""
        with self._wake:
            if self._closing:
                return
            self._to_rest()
            self._closing = True
            self._wake.notify()
        self._thread.join(2.0)
        self._teller.close()
        self._release()

    def _claim(self, wiring: Wiring) -> None:
        factory = self._factory
        if wiring.relay is not None:
            self._relay = OutputDevice(
                wiring.relay,
                active_high=wiring.relay_active_high,
                initial_value=self._coil_level,
                pin_factory=factory,
            )
        for colour in Colour:
            pin = wiring.parts()[colour]
            if pin is not None:
                self._lamps[colour] = _Lamp(
                    OutputDevice(pin, active_high=wiring.lamps_active_high, pin_factory=factory)
                )
        if wiring.buzzer is not None:
            kind = PWMOutputDevice if wiring.buzzer_tonal else OutputDevice
            self._buzzer = kind(wiring.buzzer, pin_factory=factory)
        if wiring.alarm is not None:
            self._alarm = _Lamp(OutputDevice(wiring.alarm, active_high=wiring.alarm_active_high, pin_factory=factory))
        self._contacts = Contacts(wiring.inputs(), factory, self._faults)

    def _release(self) -> None:
        if self._contacts is not None:
            self._contacts.close()
        lamps = [lamp.device for lamp in (*self._lamps.values(), self._alarm) if lamp is not None]
        for device in (self._relay, self._buzzer, *lamps, self._factory):
            if device is not None:
                with suppress(*self._faults):
                    device.close()

    def _to_rest(self) -> None:
        now = time.monotonic()
        self._coil.rest(now)
        self._move_coil(now, again=True)
        for colour, lamp in self._lamps.items():
            lamp.blink, lamp.lit, lamp.due = None, False, math.inf
            self._set(colour, lamp.device, False)
        self._notes.clear()
        if self._buzzer is not None:
            self._next_note(now)

    def _move_coil(self, now: float, *, again: bool = False) -> None:
        level = self._coil.level(now)
        if self._relay is None or not (again or level is not self._coil_level or self._coil_retry <= now):
            return
        self._coil_level = level
        done = self._set("relay", self._relay, level)
        self._coil_retry = math.inf if done else now + RETRY_S

    def _start(self, lamp: _Lamp, part: str, blink: Blink | None) -> None:
        lamp.blink = blink
        lamp.lit = blink is not None
        lamp.due = time.monotonic() + blink.on_s if blink is not None and blink.off_s > 0 else math.inf
        self._set(part, lamp.device, lamp.lit)
        self._wake.notify()

    @contextmanager
    def _writing(self, part: str) -> Iterator[None]:
        try:
            yield
            self._broken.discard(part)
        except self._faults:
            self._broken.add(part)

    def _set(self, part: str, device: Any, on: bool) -> bool:
        with self._writing(part):
            device.value = on
        return part not in self._broken

    def _next_note(self, now: float) -> None:
        note = self._notes.popleft() if self._notes else None
        self._note_until = math.inf if note is None else now + min(max(note.seconds, 0.0), MAX_NOTE_S)
        sounding = note is not None and note.hertz > 0
        with self._writing("buzzer"):
            if note is not None and sounding and self._tonal:
                self._buzzer.frequency = min(max(note.hertz, HERTZ[0]), HERTZ[1])
            self._buzzer.value = 0.5 if sounding and self._tonal else sounding

    def _keep_time(self) -> None:
        try:
            with self._wake:
                while not self._closing:
                    now = time.monotonic()
                    due = self._advance(now)
                    self._wake.wait(None if due == math.inf else max(0.0, due - now))
        finally:
            with self._wake:
                self._to_rest()
                if self._alarm is not None:
                    self._start(self._alarm, "alarm", None)

    def _advance(self, now: float) -> float:
        """Do what is due; return when something is due next."""
        if self._contacts is not None and self._sample_at <= now:
            self._look(self._contacts, now)
            self._sample_at = now + self._contacts.pause()
        self._move_coil(now)
        if self._note_until <= now:
            self._next_note(now)
        lamps: list[tuple[str, _Lamp]] = [*self._lamps.items()]
        if self._alarm is not None:
            lamps.append(("alarm", self._alarm))
        for part, lamp in lamps:
            if lamp.due <= now and lamp.blink is not None:
                lamp.lit = not lamp.lit
                lamp.due = max(lamp.due + (lamp.blink.on_s if lamp.lit else lamp.blink.off_s), now)
                self._set(part, lamp.device, lamp.lit)
        coil = (self._coil.due(), self._coil_retry)
        return min([self._sample_at, *coil, self._note_until, *(lamp.due for _, lamp in lamps)])

    def _look(self, contacts: Contacts, now: float) -> None:
        """Read the contacts: fire moves the relay here and now, and only then is anybody told."""
        changed = contacts.sample(now)
        if "fire" in contacts:
            self._watch_fire(contacts, changed, now)
        for one in changed:
            state = contacts.state(one.name)
            if one.contact is Contact.OPEN and state.settled:
                self._coil.opened(now)
            if one.contact is not None and one.contact is not Contact.FIRE:
                self._teller.tell((one.contact, state.settled is True, state.at), self._known())

    def _watch_fire(self, contacts: Contacts, changed: list[Input], now: float) -> None:
        fire = contacts.state("fire")
        reset = any(one.name == "fire_reset" and contacts.state(one.name).settled for one in changed)
        before, known = self._fire.active, self._fire_known
        active = self._fire.watch(contact=fire.settled is True, unreliable=fire.unreliable, reset=reset)
        self._fire_known = known or active or fire.settled is not None
        if active is before and known is self._fire_known:
            return
        self._fire_at = now
        self._coil.fire = active
        self._move_coil(now)
        self._teller.tell((Contact.FIRE, active, now), self._known())

    def _known(self) -> list[State]:
        known: list[State] = [(Contact.FIRE, self._fire.active, self._fire_at)] if self._fire_known else []
        if self._contacts is not None:
            known += [
                (one.contact, state.settled is True, state.at)
                for one, state in self._contacts.known()
                if one.contact is not None and one.contact is not Contact.FIRE
            ]
        return known


def open_factory(make: Callable[[], Any], faults: tuple[type[Exception], ...] = ()) -> Any:
    """Return the pin factory that `make` makes. OSError when it cannot be made."""
    try:
        return make()
    except (*FAULTS, *faults) as error:
        raise OSError(f"the GPIO pins cannot be opened: {error}") from error
