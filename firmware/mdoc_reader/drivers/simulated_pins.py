"""A panel without hardware: gpiozero's mock pins at the end of the wire, everything above them as on a Pi.

Each change of a pin is one line of JSON on a Unix stream socket, for a bench that draws the panel:
`{"t": monotonic seconds, "pin": 18, "name": "buzzer", "value": 1, "level": 1, "hertz": 880}`. `value` is the part's
state with its polarity, `level` the pin's; `hertz` belongs to a sounding buzzer. A bench that is absent, slow or gone
costs nothing: lines are dropped, and a bench that comes back is first told every pin's state.

The bench presses contacts the same way: `{"contact": "exit", "active": true}` moves the level of that contact's pin, by
the name it has in the wiring. It is heard when the board reads its contacts, and echoed as a change of the pin. What is
no such line is dropped and counted, and a bench that goes leaves the contacts as they are.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from gpiozero.pins.mock import MockFactory, MockPin, MockPWMPin

from mdoc_reader.drivers.board import Board
from mdoc_reader.drivers.board_wiring import BcmPin, ContactWiring, Input, Wiring
from mdoc_reader.outputs.ports import Pins

SIMULATED = True

RECONNECT_S = 0.5
MAX_BACKLOG = 65_536
MAX_HISTORY = 1_000
MAX_LINE = 256
MAX_HEARD = 4_096
HEAR_S = 0.002


class Options(Wiring, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The wiring of a full panel, every pin low at rest, and the socket of a bench that watches and presses it."""

    green: BcmPin | None = 17
    amber: BcmPin | None = 27
    red: BcmPin | None = 22
    buzzer: BcmPin | None = 18
    relay: BcmPin | None = 23
    alarm: BcmPin | None = 24
    door: ContactWiring | None = ContactWiring(pin=5)
    exit: ContactWiring | None = ContactWiring(pin=6, pull="down")
    fire: ContactWiring | None = ContactWiring(pin=13)
    wake: ContactWiring | None = ContactWiring(pin=16, pull="down")
    cancel: ContactWiring | None = ContactWiring(pin=19, pull="down")
    language: ContactWiring | None = ContactWiring(pin=20, pull="down")
    confirm: ContactWiring | None = ContactWiring(pin=21, pull="down")
    reject: ContactWiring | None = ContactWiring(pin=26, pull="down")
    wire: str | None = None


class Press(msgspec.Struct, frozen=True):
    """A contact pressed or let go by the bench."""

    contact: str
    active: bool


class Wire:
    """Tells a bench about pins and hears what it presses, without ever waiting for it. Used under the board's lock."""

    def __init__(self, path: str | None, names: Mapping[int, str], inverted: frozenset[str]) -> None:
        """Connect if somebody listens at `path`."""
        self._path = path
        self._names = names
        self._inverted = inverted
        self._socket: socket.socket | None = None
        self._backlog = bytearray()
        self._state: dict[int, dict[str, object]] = {}
        self._not_before = 0.0
        self._hear_at = 0.0
        self._heard = bytearray()
        self._closed = False
        self.refused = 0
        self._connect()

    def tell(self, pin: int, level: float, hertz: float | None) -> None:
        """Report one pin: its level (0..1, a duty cycle for tones) and frequency."""
        name = self._names.get(pin, f"gpio{pin}")
        high = level > 0
        line: dict[str, object] = {
            "t": time.monotonic(),
            "pin": pin,
            "name": name,
            "value": int(high != (name in self._inverted)),
            "level": int(high),
        }
        if hertz and high:
            line["hertz"] = round(hertz)
        self._state[pin] = line
        if self._socket is None:
            self._connect()  # tells the whole state, this line included
        else:
            self._send(line)

    def hear(self) -> list[Press]:
        """Return what the bench pressed since, in order."""
        now = time.monotonic()
        if now < self._hear_at:
            return []
        self._hear_at = now + HEAR_S
        if self._socket is None:
            self._connect()
        if self._socket is None:
            return []
        try:
            data = self._socket.recv(MAX_HEARD)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return []
        *lines, rest = (bytes(self._heard) + data).split(b"\n")
        if len(rest) > MAX_LINE:
            self.refused += 1
            rest = b""
        self._heard[:] = rest
        return [press for line in lines if (press := self._understand(line)) is not None]

    def _understand(self, line: bytes) -> Press | None:
        try:
            return msgspec.json.decode(line, type=Press)
        except msgspec.DecodeError:
            self.refused += 1
            return None

    def close(self) -> None:
        """Hang up."""
        self._closed = True
        self._hang_up()

    def _connect(self) -> None:
        now = time.monotonic()
        if self._path is None or self._closed or now < self._not_before:
            return
        self._not_before = now + RECONNECT_S
        wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        wire.setblocking(False)
        try:
            wire.connect(self._path)
        except OSError:
            wire.close()
            return
        self._socket = wire
        for line in self._state.values():
            self._send(line)

    def _send(self, line: Mapping[str, object]) -> None:
        if self._socket is None:
            return
        self._backlog += msgspec.json.encode(line) + b"\n"
        try:
            del self._backlog[: self._socket.send(self._backlog)]
        except BlockingIOError:
            if len(self._backlog) > MAX_BACKLOG:
                self._hang_up()
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        self._backlog.clear()
        self._heard.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _trim(states: list[Any]) -> None:
    # gpiozero's mock pins remember every change for ever, and a reader runs for months.
    if len(states) > MAX_HISTORY:
        del states[: MAX_HISTORY // 2]


class WiredPin(MockPin):  # type: ignore[misc]  # gpiozero carries no types
    """A mock pin that reports its level, and takes it from the bench where a contact hangs on it."""

    def _get_state(self) -> bool:
        if self._function == "input":
            self.factory.hear()
        return bool(self._state)

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        self.factory.settle(self)

    def move(self, high: bool) -> None:
        """Have the far end of a contact's wire take this level."""
        if self._function == "input":
            (self.drive_high if high else self.drive_low)()

    def _change_state(self, value: bool) -> bool:
        changed = bool(super()._change_state(value))
        if changed:
            _trim(self.states)
            self.factory.report(self.info.name, self._state)
        return changed


class WiredTonePin(MockPWMPin):  # type: ignore[misc]  # gpiozero carries no types
    """A mock pin with pulse-width modulation that reports its duty cycle and frequency."""

    def _change_state(self, value: float) -> bool:
        changed = bool(super()._change_state(value))
        if changed:
            _trim(self.states)
            self.factory.report(self.info.name, self._state, self._frequency)
        return changed

    def _set_frequency(self, value: float | None) -> None:
        changed = value is not None and value != self._frequency and self._state > 0
        super()._set_frequency(value)
        if changed:
            self.factory.report(self.info.name, self._state, self._frequency)


class WiredFactory(MockFactory):  # type: ignore[misc]  # gpiozero carries no types
    """gpiozero's mock factory with a wire to a bench. Closing it hangs up."""

    def __init__(self, wire: Wire, buzzer: int | None, contacts: Sequence[Input] = ()) -> None:
        """Make a factory for a Raspberry Pi 3 B's header; every contact is at rest until the bench presses it."""
        super().__init__(revision="a02082", pin_class=WiredPin)
        self._wire = wire
        self._buzzer = buzzer
        self._contacts = {one.name: one for one in contacts}
        self._at_rest = {f"GPIO{one.pin}": not one.active_high for one in contacts}

    def pin(self, name: Any, pin_class: Any = None, **kwargs: Any) -> Any:
        """Return a pin; the buzzer's can make tones."""
        kind = WiredTonePin if name == self._buzzer else WiredPin
        return super().pin(name, pin_class=pin_class or kind, **kwargs)

    def report(self, name: str, level: float, hertz: float | None = None) -> None:
        """Tell the bench about the pin that gpiozero calls `GPIO17`."""
        self._wire.tell(int(name.removeprefix("GPIO")), float(level), hertz)

    def settle(self, pin: WiredPin) -> None:
        """Bring a contact's pin, whose pull was just set, to what the far end of its wire says while nobody presses."""
        high = self._at_rest.get(pin.info.name)
        if high is not None:
            pin.move(high)

    def hear(self) -> None:
        """Move the pins that the bench pressed."""
        for press in self._wire.hear():
            self.press(press.contact, active=press.active)

    def press(self, contact: str, *, active: bool = True) -> None:
        """Press a contact, by its name in the wiring, or let it go. A contact that is not wired is nothing."""
        one = self._contacts.get(contact)
        if one is not None:
            self.pin(one.pin).move(active is one.active_high)

    def close(self) -> None:
        """Release all pins, then hang up."""
        super().close()
        self._wire.close()


def open_pins(options: Options) -> Pins:
    """Open mock pins, and the wire to the bench if one listens."""
    contacts = options.inputs()
    names = {pin: name for name, pin in options.parts().items() if pin is not None}
    names |= {one.pin: one.name for one in contacts}
    factory = WiredFactory(Wire(options.wire, names, options.inverted()), options.buzzer, contacts)
    return Board(factory, options)
