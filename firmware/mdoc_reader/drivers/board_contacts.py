"""Contacts read from gpiozero input devices: what lasts counts, what chatters is bounded, what fails is named.

Pins are sampled on the board's own clock, not by edges. Edges come from a thread of the pin library, as many as a loose
wire makes, and one that is lost is lost for good; a sample costs microseconds, cannot storm, and sees at once that a
pin cannot be read.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any

from gpiozero.input_devices import InputDevice

from mdoc_reader.drivers.board_wiring import Input
from mdoc_reader.outputs.ports import Contact

SAMPLE_S = 0.01
RESTLESS_SAMPLE_S = 0.002
QUIET_S = 1.0
CHATTER_S = 4.0
MAX_FLIPS = 60
WINDOW_S = 10.0
MAX_CHANGES = 40
_PULLS = {"up": True, "down": False, "none": None}
_HELD = frozenset({Contact.OPEN, Contact.FIRE})


class Trouble(StrEnum):
    """What is wrong with a contact."""

    UNREADABLE = "unreadable"
    CHATTERS = "chatters"
    STUCK = "stuck"


class Settler:
    """One contact's debouncing: pure, with time as an argument.

    A level counts once it lasted `debounce_s`. At most 40 changes in ten seconds are told; after that, or when the
    level flips 60 times in four seconds, the contact chatters, until it was quiet for a second. A contact that cannot
    be read keeps its state (`holds`) or counts as not active.

    `settled` is None until a level lasted for the first time, `at` is when the settled level began, and `restless` says
    that the present one has not lasted long enough yet.
    """

    def __init__(self, debounce_s: float, stuck_s: float = math.inf, *, holds: bool = True) -> None:
        """Nothing is known yet."""
        self.settled: bool | None = None
        self.at = 0.0
        self.restless = True
        self._debounce_s = debounce_s
        self._stuck_s = stuck_s
        self._holds = holds
        self._raw: bool | None = None
        self._raw_since = math.nan
        self._flips: deque[float] = deque(maxlen=MAX_FLIPS)
        self._unreadable = False
        self._chatters = False
        self._changes: deque[float] = deque(maxlen=MAX_CHANGES)

    @property
    def unreliable(self) -> bool:
        """Whether the settled state may not be what the wire says."""
        return self._unreadable or self._chatters

    def trouble(self, now: float) -> Trouble | None:
        """Return what is wrong."""
        if self._unreadable:
            return Trouble.UNREADABLE
        if self._chatters:
            return Trouble.CHATTERS
        return Trouble.STUCK if self.settled and now - self.at >= self._stuck_s else None

    def sample(self, raw: bool | None, now: float) -> bool:
        """Take in a reading, None for one that failed. Returns whether `settled` changed."""
        if math.isnan(self._raw_since) or raw is not self._raw:
            self._raw, self._raw_since = raw, now
            self._flips.append(now)
            if len(self._flips) == MAX_FLIPS and now - self._flips[0] < CHATTER_S:
                self._chatters = True
        steady = now - self._raw_since
        self.restless = steady < self._debounce_s
        if self.restless:
            return False
        self._unreadable = raw is None
        if steady >= QUIET_S:
            self._chatters = False
        if raw is None:
            return self.settled is True and not self._holds and self._change(False, now)
        return raw is not self.settled and self._change(raw, now)

    def _change(self, active: bool, now: float) -> bool:
        crowded = len(self._changes) == MAX_CHANGES and now - self._changes[0] < WINDOW_S
        if crowded and now - self._raw_since < QUIET_S:
            self._chatters = True
            return False
        self._changes.append(now)
        self.settled = active
        self.at = self._raw_since
        return True


class _Line:
    """A contact and its pin."""

    def __init__(self, wired: Input, factory: Any) -> None:
        pull = _PULLS[wired.pull]
        self.wired = wired
        self.device: Any = InputDevice(
            wired.pin, pull_up=pull, active_state=True if pull is None else None, pin_factory=factory
        )
        self.settler = Settler(wired.debounce_s, wired.stuck_s, holds=wired.contact in _HELD)

    def read(self, faults: tuple[type[Exception], ...]) -> bool | None:
        """Return whether the contact is active by its level now; None when it cannot be read."""
        try:
            return bool(self.device.pin.state) is self.wired.active_high
        except faults:
            return None


class Contacts:
    """All contacts of a board. Used under the board's lock.

    Args:
        wired: the contacts.
        factory: a gpiozero pin factory.
        faults: what its library raises when hardware fails; raised here when a pin cannot be had.
    """

    def __init__(self, wired: Sequence[Input], factory: Any, faults: tuple[type[Exception], ...]) -> None:
        """Claim the pins."""
        self._faults = faults
        self._lines: dict[str, _Line] = {}
        try:
            for one in wired:
                self._lines[one.name] = _Line(one, factory)
        except faults:
            self.close()
            raise

    def __contains__(self, name: str) -> bool:
        """Return whether a contact is wired."""
        return name in self._lines

    def sample(self, now: float) -> list[Input]:
        """Read every contact; return those whose settled state changed."""
        return [line.wired for line in self._lines.values() if line.settler.sample(line.read(self._faults), now)]

    def pause(self) -> float:
        """Return how many seconds may pass until the next sample."""
        if not self._lines:
            return math.inf
        restless = any(line.settler.restless for line in self._lines.values())
        return RESTLESS_SAMPLE_S if restless else SAMPLE_S

    def state(self, name: str) -> Settler:
        """Return what is known of a contact that is wired."""
        return self._lines[name].settler

    def known(self) -> Iterator[tuple[Input, Settler]]:
        """Yield the contacts that have settled."""
        for line in self._lines.values():
            if line.settler.settled is not None:
                yield line.wired, line.settler

    def troubles(self, now: float) -> dict[str, Trouble]:
        """Return what is wrong, by name."""
        found = {name: line.settler.trouble(now) for name, line in self._lines.items()}
        return {name: trouble for name, trouble in found.items() if trouble is not None}

    def close(self) -> None:
        """Release the pins."""
        for line in self._lines.values():
            with suppress(*self._faults):
                line.device.close()
