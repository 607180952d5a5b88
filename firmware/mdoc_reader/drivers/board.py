"""Lamps, buzzer and relay on gpiozero output devices, whatever pin factory is below them.

A pin is written on the caller's thread, which takes microseconds, so that a verdict is seen at once; what happens later
(rhythms, the next note, the end of a relay pulse) is done by one thread that owns the clock. When that thread ends, for
any reason, the relay is at rest.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from gpiozero.exc import GPIOZeroError
from gpiozero.output_devices import OutputDevice, PWMOutputDevice

from mdoc_reader.outputs.ports import Blink, Colour, Note

BcmPin = Annotated[int, msgspec.Meta(ge=0, le=27)]
"""A GPIO number of the 40-pin header, as Broadcom counts."""

MAX_NOTES = 32
MAX_NOTE_S = 5.0
HERTZ = (20, 10_000)
RETRY_S = 0.05
FAULTS: tuple[type[Exception], ...] = (GPIOZeroError, OSError)


class Wiring(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which part hangs on which pin, and how. A part without a pin is left out.

    `relay_rest` is the coil's state between grants. `released` keeps a door shut when power fails (fail-secure);
    `energised` holds a lock that frees the door without power (fail-safe, where fire rules want it): a grant, a fault
    and the end of the process then all release the coil.
    """

    green: BcmPin | None = None
    amber: BcmPin | None = None
    red: BcmPin | None = None
    buzzer: BcmPin | None = None
    relay: BcmPin | None = None
    lamps_active_high: bool = True
    buzzer_tonal: bool = True
    relay_active_high: bool = True
    relay_rest: Literal["released", "energised"] = "released"
    relay_max_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0

    def __post_init__(self) -> None:
        """Refuse two parts on one pin."""
        used = [pin for pin in self.parts().values() if pin is not None]
        if len(used) != len(set(used)):
            raise ValueError("two parts share one pin")

    def parts(self) -> dict[str, int | None]:
        """Return each part's pin by the part's name."""
        return {
            "green": self.green,
            "amber": self.amber,
            "red": self.red,
            "buzzer": self.buzzer,
            "relay": self.relay,
        }


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
        self._relay_max_s = wiring.relay_max_s
        self._rest_level = wiring.relay_rest == "energised"
        self._wake = threading.Condition()
        self._broken: set[str] = set()
        self._lamps: dict[Colour, _Lamp] = {}
        self._buzzer: Any = None
        self._tonal = wiring.buzzer_tonal
        self._relay: Any = None
        self._relay_until = math.inf
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
        """Whether the last write to every part reached it, and the clock's thread lives."""
        return not self._broken and (self._thread.is_alive() or self._closing)

    def light(self, colour: Colour, blink: Blink | None) -> None:
        """Set one lamp's rhythm; its first flash begins before this returns."""
        with self._wake:
            lamp = self._lamps.get(colour)
            if lamp is None or self._closing:
                return
            lamp.blink = blink
            lamp.lit = blink is not None
            lamp.due = time.monotonic() + blink.on_s if blink is not None and blink.off_s > 0 else math.inf
            self._set(colour, lamp.device, lamp.lit)
            self._wake.notify()

    def tone(self, notes: Sequence[Note]) -> None:
        """Play notes once; at most 32, each of at most five seconds."""
        with self._wake:
            if self._buzzer is None or self._closing:
                return
            self._notes = deque(notes[:MAX_NOTES])
            self._next_note(time.monotonic())
            self._wake.notify()

    def energise_relay(self, seconds: float) -> None:
        """Move the relay out of its rest for `seconds`, at most `relay_max_s`; nothing for a time not above zero."""
        with self._wake:
            # Without the thread that ends the pulse there is no pulse.
            if self._relay is None or self._closing or not seconds > 0 or not self._thread.is_alive():
                return
            self._relay_until = time.monotonic() + min(seconds, self._relay_max_s)
            self._set("relay", self._relay, not self._rest_level)
            self._wake.notify()

    def rest(self) -> None:
        """Relay to its rest, lamps off, silence."""
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
        self._release()

    def _claim(self, wiring: Wiring) -> None:
        factory = self._factory
        if wiring.relay is not None:
            self._relay = OutputDevice(
                wiring.relay,
                active_high=wiring.relay_active_high,
                initial_value=self._rest_level,
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

    def _release(self) -> None:
        for device in (self._relay, self._buzzer, *(lamp.device for lamp in self._lamps.values()), self._factory):
            if device is not None:
                with suppress(*self._faults):
                    device.close()

    def _to_rest(self) -> None:
        self._relay_until = math.inf
        if self._relay is not None and not self._set("relay", self._relay, self._rest_level):
            self._relay_until = time.monotonic() + RETRY_S
        for colour, lamp in self._lamps.items():
            lamp.blink, lamp.lit, lamp.due = None, False, math.inf
            self._set(colour, lamp.device, False)
        self._notes.clear()
        if self._buzzer is not None:
            self._next_note(time.monotonic())

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

    def _advance(self, now: float) -> float:
        """Do what is due; return when something is due next."""
        if self._relay_until <= now:
            done = self._set("relay", self._relay, self._rest_level)
            self._relay_until = math.inf if done else now + RETRY_S
        if self._note_until <= now:
            self._next_note(now)
        for colour, lamp in self._lamps.items():
            if lamp.due <= now and lamp.blink is not None:
                lamp.lit = not lamp.lit
                lamp.due = max(lamp.due + (lamp.blink.on_s if lamp.lit else lamp.blink.off_s), now)
                self._set(colour, lamp.device, lamp.lit)
        return min([self._relay_until, self._note_until, *(lamp.due for lamp in self._lamps.values())])


def open_factory(make: Callable[[], Any], faults: tuple[type[Exception], ...] = ()) -> Any:
    """Return the pin factory that `make` makes. OSError when it cannot be made."""
    try:
        return make()
    except (*FAULTS, *faults) as error:
        raise OSError(f"the GPIO pins cannot be opened: {error}") from error
