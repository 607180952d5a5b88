"""A panel without hardware: gpiozero's mock pins at the end of the wire, everything above them as on a Pi.

Each change of a pin is one line of JSON on a Unix stream socket, for a bench that draws the panel:
`{"t": monotonic seconds, "pin": 18, "name": "buzzer", "value": 1, "level": 1, "hertz": 880}`. `value` is the part's
state with its polarity, `level` the pin's; `hertz` belongs to a sounding buzzer. A bench that is absent, slow or gone
costs nothing: lines are dropped, and a bench that comes back is first told every pin's state.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from gpiozero.pins.mock import MockFactory, MockPin, MockPWMPin

from mdoc_reader.drivers.board import BcmPin, Board, Wiring
from mdoc_reader.outputs.ports import Pins

SIMULATED = True

RECONNECT_S = 0.5
MAX_BACKLOG = 65_536
MAX_HISTORY = 1_000


class Options(Wiring, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The wiring of a full panel, and the socket of a bench that watches it."""

    green: BcmPin | None = 17
    amber: BcmPin | None = 27
    red: BcmPin | None = 22
    buzzer: BcmPin | None = 18
    relay: BcmPin | None = 23
    wire: str | None = None


class Wire:
    """Tells a bench about pins, without ever waiting for it. Used under the board's lock."""

    def __init__(self, path: str | None, names: Mapping[int, str], inverted: frozenset[str]) -> None:
        """Connect if somebody listens at `path`."""
        self._path = path
        self._names = names
        self._inverted = inverted
        self._socket: socket.socket | None = None
        self._backlog = bytearray()
        self._state: dict[int, dict[str, object]] = {}
        self._not_before = 0.0
        self._closed = False
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
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _trim(states: list[Any]) -> None:
    # gpiozero's mock pins remember every change for ever, and a reader runs for months.
    if len(states) > MAX_HISTORY:
        del states[: MAX_HISTORY // 2]


class WiredPin(MockPin):  # type: ignore[misc]  # gpiozero carries no types
    """A mock pin that reports its level."""

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

    def __init__(self, wire: Wire, buzzer: int | None) -> None:
        """Make a factory for a Raspberry Pi 3 B's header."""
        super().__init__(revision="a02082", pin_class=WiredPin)
        self._wire = wire
        self._buzzer = buzzer

    def pin(self, name: Any, pin_class: Any = None, **kwargs: Any) -> Any:
        """Return a pin; the buzzer's can make tones."""
        kind = WiredTonePin if name == self._buzzer else WiredPin
        return super().pin(name, pin_class=pin_class or kind, **kwargs)

    def report(self, name: str, level: float, hertz: float | None = None) -> None:
        """Tell the bench about the pin that gpiozero calls `GPIO17`."""
        self._wire.tell(int(name.removeprefix("GPIO")), float(level), hertz)

    def close(self) -> None:
        """Release all pins, then hang up."""
        super().close()
        self._wire.close()


def open_pins(options: Options) -> Pins:
    """Open mock pins, and the wire to the bench if one listens."""
    inverted = set() if options.lamps_active_high else {"green", "amber", "red"}
    if not options.relay_active_high:
        inverted.add("relay")
    names = {pin: name for name, pin in options.parts().items() if pin is not None}
    factory = WiredFactory(Wire(options.wire, names, frozenset(inverted)), options.buzzer)
    return Board(factory, options)
