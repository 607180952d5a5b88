"""Time in the emulated chip: what each thing takes is counted, and waited out where the chip keeps real time.

The counts are exact and do not depend on the machine. The waits follow them closely on average: what the machine
oversleeps or computes is taken off the next wait, so that a busy test machine is not mistaken for a slow chip.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_MOST_CREDIT_S = 0.005


@dataclass(slots=True)
class Spent:
    """What the chip has done since it was made, or since `clear`. Seconds are those of the model.

    `rf_s` is bits on the air and the shortest frame delay times; `uart_s` bits on the line, both ways. Together they
    are the floor. `card_s` is what cards took beyond the shortest delay, and time-outs; `chip_s` the firmware's work.
    """

    rf_s: float = 0.0
    uart_s: float = 0.0
    card_s: float = 0.0
    chip_s: float = 0.0
    rf_frames: int = 0
    rf_bytes: int = 0
    uart_bytes: int = 0
    commands: int = 0

    @property
    def floor_s(self) -> float:
        """Pure time on the air and on the line."""
        return self.rf_s + self.uart_s

    def clear(self) -> None:
        """Begin again at nothing."""
        self.rf_s = self.uart_s = self.card_s = self.chip_s = 0.0
        self.rf_frames = self.rf_bytes = self.uart_bytes = self.commands = 0


class Pace:
    """The chip's own time line. `wait(deadline)` sleeps until that value of the monotonic clock; it may raise."""

    def __init__(self, wait: Callable[[float], None], *, real: bool) -> None:
        """Start now. With `real` False nothing is waited for and everything is still counted."""
        self.spent = Spent()
        self.real = real
        self._wait = wait
        self._due = time.monotonic()
        self._credit = 0.0
        self._ahead = 0.0

    @property
    def now(self) -> float:
        """Where the time line is: seconds by the monotonic clock, with everything that was not waited for added."""
        return self._due

    def begin(self) -> None:
        """Something came from outside just now: what follows is counted from here."""
        self._due = max(self._due, time.monotonic() + self._ahead - self._credit)
        self._credit = 0.0

    def rewind(self) -> None:
        """What was being waited for was given up: it did not take the time that was counted for it."""
        over = self._due - time.monotonic()
        if self.real and over > 0:
            self._due -= over
            self.spent.card_s = max(0.0, self.spent.card_s - over)

    def line(self, count: int, baud: int) -> None:
        """Bytes on the line: ten bits each."""
        seconds = count * 10 / baud
        self.spent.uart_s += seconds
        self.spent.uart_bytes += count
        self._pass(seconds)

    def air(self, seconds: float, *, count: int = 0) -> None:
        """A frame on the air, or a frame delay time."""
        self.spent.rf_s += seconds
        self.spent.rf_frames += 1 if count else 0
        self.spent.rf_bytes += count
        self._pass(seconds)

    def card(self, seconds: float) -> None:
        """A card thinks, or the chip waits in vain."""
        self.spent.card_s += seconds
        self._pass(seconds)

    def chip(self, seconds: float) -> None:
        """The firmware works."""
        self.spent.chip_s += seconds
        self._pass(seconds)

    def _pass(self, seconds: float) -> None:
        self._due += seconds
        if not self.real:
            self._ahead += seconds

    def nap(self, seconds: float) -> None:
        """Leave the machine alone for a moment, whether or not time is kept."""
        self._wait(time.monotonic() + seconds)

    def for_ever(self) -> None:
        """Wait, also where nothing else is waited for, until `wait` raises."""
        while True:
            self._wait(time.monotonic() + 1.0)

    def settle(self) -> None:
        """Wait until the clock has come as far as what was counted. Raises what `wait` raises."""
        if not self.real:
            return
        now = time.monotonic()
        if now < self._due:
            self._wait(self._due)
            now = time.monotonic()
        self._due = max(self._due, now - _MOST_CREDIT_S)
        self._credit = now - self._due
