"""When the relay's coil is out of its rest: pulses with a longest time and a pause, and fire above everything. Pure."""

from __future__ import annotations

import math


class RelayRules:
    """What the coil has to do. Times in seconds of one clock, given with each call.

    Args:
        rest: the coil's level between grants, True for energised.
        max_s: how long it may be out of its rest at a stretch.
        pause_s: how long it rests after that, above zero.
        until_open: whether a pulse ends when the door opens.
    """

    def __init__(self, *, rest: bool, max_s: float, pause_s: float, until_open: bool = False) -> None:
        """At rest."""
        self.fire = False
        self._rest = rest
        self._max_s = max_s
        self._pause_s = pause_s
        self._until_open = until_open
        self._until = -math.inf
        self._since: float | None = None
        self._not_before = -math.inf

    def grant(self, seconds: float, now: float) -> None:
        """Open for `seconds`, at most `max_s`, after the pause if there is one now. Nothing for no time at all."""
        if not seconds > 0:
            return
        begin = now if self._since is not None else max(now, self._not_before)
        self._until = max(self._until, begin + min(seconds, self._max_s))

    def opened(self, now: float) -> None:
        """The door opened."""
        if self._until_open and self._since is not None:
            self._until = min(self._until, now)

    def rest(self, now: float) -> None:
        """End what was granted."""
        self._until = min(self._until, now)

    def level(self, now: float) -> bool:
        """Return what the coil has to be from now on: True for energised."""
        if self._since is not None and now >= self._end(self._since):
            if now < self._until:
                self._until += self._pause_s  # somebody was granted late in a long pulse: the rest of it comes after
            self._since = None
            self._not_before = now + self._pause_s
        if self._since is None and self._not_before <= now < self._until:
            self._since = now
        elif self._since is None and self._until <= now:
            self._until = -math.inf
        return (self.fire or self._since is not None) is not self._rest

    def due(self) -> float:
        """Return when `level` has to be asked again; infinity for never. True right after it was asked."""
        if self._since is not None:
            return self._end(self._since)
        return self._not_before if self._until > self._not_before else math.inf

    def _end(self, since: float) -> float:
        return min(self._until, since + self._max_s)


class FireRules:
    """Whether fire frees the door.

    Args:
        latch: whether it does so until a reset, not only while the contact says so.
        release_on_fault: whether a contact that cannot be relied on counts as fire; it keeps its state otherwise.
    """

    def __init__(self, *, latch: bool, release_on_fault: bool) -> None:
        """No fire."""
        self.active = False
        self._latch = latch
        self._release_on_fault = release_on_fault

    def watch(self, *, contact: bool, unreliable: bool, reset: bool) -> bool:
        """Take in the contact's settled state, and whether a reset was pressed just now. Returns `active`."""
        if contact or (unreliable and self._release_on_fault):
            self.active = True
        elif reset or not self._latch:
            self.active = False
        return self.active
