"""The service manager's watchdog (systemd.service(5), WatchdogSec=): fed only on proof that the reader works.

A timer that feeds by itself proves that a timer runs. Here every feeding is earned anew: an event has gone through the
engine's queue and its step and come back, and every part that lives beside the loop has shown life not too long ago. A
blocked loop earns nothing, a step that stands still earns nothing, and a camera whose threads all hang earns nothing.

A part that heals itself is given the time for it: its patience is longer than what its owner takes to replace it. Only
when that has failed is the whole process started anew.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

log = logging.getLogger(__name__)

HEALS = 3.0
"""Patience with a part that its owner replaces when it overruns, in overruns: found late by a quarter, opened anew."""

_FEEDINGS = 3  # in the time the service manager waits, so that a single late one costs nothing


class Beat(Protocol):
    """A part with a life of its own: a thread, or a task."""

    @property
    def heartbeat(self) -> float:
        """Monotonic time at which it was last seen alive; 0.0 where nothing of it lives."""


class Probed(Protocol):
    """The engine, as the watchdog knows it."""

    async def probe(self) -> None:
        """Send an event through the queue and the step; return when it has come back. May be cancelled."""


class Heart:
    """The beat of a task that has no other."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Be alive now."""
        self._monotonic = monotonic
        self.heartbeat = monotonic()

    def beat(self) -> None:
        """Show life."""
        self.heartbeat = self._monotonic()


@dataclass(frozen=True, slots=True)
class Watched:
    """A part, and how many seconds of silence are borne."""

    name: str
    part: Beat
    patience_s: float


@dataclass(frozen=True, slots=True)
class Late:
    """What is in the way of a feeding: a part by name, and for how many seconds nothing was heard of it."""

    name: str
    silent_s: float

    def __str__(self) -> str:
        """Say it, for the log."""
        return f"{self.name} silent for {self.silent_s:.0f} s" if math.isfinite(self.silent_s) else f"{self.name} gone"


def late(watched: Iterable[Watched], now: float) -> tuple[Late, ...]:
    """Return the parts that were silent for longer than is borne, in order. `now`: on the same monotonic clock."""
    found = []
    for one in watched:
        beat = one.part.heartbeat
        silent = now - beat if beat > 0 else math.inf
        if silent > one.patience_s:
            found.append(Late(one.name, silent))
    return tuple(found)


def interval(environment: Mapping[str, str], pid: int) -> float | None:
    """Return how often to feed, in seconds; None where the service manager does not watch this process."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    try:
        microseconds = int(environment.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return microseconds / 1e6 / _FEEDINGS if microseconds > 0 else None


class Watchdog:
    """Feeds, or says once why not.

    Args:
        engine: what has to answer.
        watched: what has to show life.
        notify: tells the service manager.
        monotonic: the clock of the heartbeats.
        status: one line on how the reader is, for `systemctl status`; nothing personal.
    """

    def __init__(
        self,
        engine: Probed,
        watched: Sequence[Watched],
        notify: Callable[[str], None],
        monotonic: Callable[[], float],
        status: Callable[[], str] = lambda: "",
    ) -> None:
        """Be ready to run."""
        self._engine = engine
        self._watched = tuple(watched)
        self._notify = notify
        self._monotonic = monotonic
        self._status = status
        self._answered = monotonic()
        self._said = ""
        self._complained: frozenset[str] = frozenset()

    async def run(self, every_s: float) -> None:
        """Feed every so many seconds, for as long as that is earned. Never ends by itself."""
        while True:
            began = self._monotonic()
            await self.look(every_s)
            await asyncio.sleep(max(0.0, began + every_s - self._monotonic()))

    async def look(self, patience_s: float) -> tuple[Late, ...]:
        """Look once, waiting at most so long for the engine; feed, or return what is in the way."""
        try:
            async with asyncio.timeout(patience_s):
                await self._engine.probe()
            self._answered = self._monotonic()
            missing: tuple[Late, ...] = ()
        except TimeoutError:
            missing = (Late("engine", self._monotonic() - self._answered),)
        missing += late(self._watched, self._monotonic())
        if not missing:
            self._notify("WATCHDOG=1")
        self._tell(missing)
        return missing

    def _tell(self, missing: tuple[Late, ...]) -> None:
        names = frozenset(one.name for one in missing)
        words = ", ".join(str(one) for one in missing)
        if names - self._complained:
            log.error("the watchdog is not fed: %s", words)
        elif self._complained and not names:
            log.warning("the watchdog is fed again")
        if names != self._complained:
            self._complained = names
        said = f"not well: {', '.join(sorted(names))}" if names else self._status()
        if said != self._said:
            self._said = said
            self._notify(f"STATUS={said}")


def asked_for() -> float | None:
    """Return how often the service manager of this process wants to be told; None where it does not."""
    return interval(os.environ, os.getpid())
