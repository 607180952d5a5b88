"""The running reader's care for itself: maintenance on and off, looks at the device, and being seen from outside.

Looks at the device take files and time, so they go on in a thread, one at a time, and only begin while nobody is being
served. Nothing here is a reason for the watchdog: a card that answers slowly must not take the door with it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mdoc_reader.app import device_checks, maintenance_command
from mdoc_reader.app.event_stream import EventStream
from mdoc_reader.app.running import Presence
from mdoc_reader.app.settings import Settings
from mdoc_reader.model.check import Check, Health
from mdoc_reader.reader import events as ev
from mdoc_reader.reader.beliefs import Beliefs
from mdoc_reader.reader.engine import Engine
from mdoc_reader.reader.phases import RESTING_SIGNS
from mdoc_reader.trust.clock import Clock

log = logging.getLogger(__name__)

LOOK_EVERY_S = 600.0
LOOK_NOW_S = 15.0
"""How often while somebody works on the reader and wants to see whether it helped."""
TOO_LONG_S = 60.0
_TRUST_EVERY_S = 6 * 3600.0
_WEIGHT = {Health.OK: 0, Health.WARNING: 1, Health.FAULT: 2}
_NUMBERS = re.compile(r"\d+")

Look = Callable[[], Sequence[Check]]


def device_look(settings: Settings, beliefs: Beliefs, clock: Clock) -> Look:
    """Return what looks at the device. What is believed is gone through when it changed, and a few times a day."""
    known: tuple[int, float, Sequence[Check]] | None = None

    def look() -> Sequence[Check]:
        nonlocal known
        now = time.monotonic()
        if known is None or known[0] != beliefs.generation or now - known[1] > _TRUST_EVERY_S:
            known = (beliefs.generation, now, device_checks.belief_checks(settings, beliefs, clock))
        return (*device_checks.device_checks(settings, clock), *known[2])

    return look


class Upkeep:
    """Looked at every other second by the daemon, on the event loop; never blocks it.

    Args:
        look: what looks at the device, on a thread.
        folder: the runtime folder.
        engine: what is told of maintenance, and asked for faults.
        events: where changes are written; None for nowhere.
        monotonic: the machine's clock.
    """

    def __init__(
        self,
        look: Look,
        folder: Path,
        engine: Engine,
        events: EventStream | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at nothing yet."""
        self._look = look
        self._folder = folder
        self._engine = engine
        self._events = events
        self._monotonic = monotonic
        self._presence = Presence(folder)
        self._looking: asyncio.Task[Sequence[Check]] | None = None
        self._began = float("-inf")
        self._late = False
        self._on = False
        self.checks: Sequence[Check] = ()
        """What the last look at the device found."""

    def turn(self, broken: Mapping[str, str]) -> None:
        """Do what is due. `broken`: parts that do not work and no route is by, and why."""
        on = maintenance_command.is_on(self._folder)
        if on is not self._on:
            self._on = on
            log.warning("maintenance is %s", "on: nobody is served" if on else "off")
        self._device(every=LOOK_NOW_S if on else LOOK_EVERY_S)
        faults = {part: "" if code is None else code.log for part, code in self._engine.troubles.items()}
        self._presence.tell({**broken, **faults})
        state = self._engine.state
        failed = (part for part in sorted(broken) if part not in faults)
        parts = tuple(dict.fromkeys((*failed, *device_checks.not_well(self.checks)))) if on else ()
        if state.maintenance is not on or state.look_at != parts:
            self._engine.post(ev.MaintenanceChanged(self._monotonic(), on, parts))

    def close(self) -> None:
        """Be seen no more; a look that goes on is left to its end."""
        if self._looking is not None:
            self._looking.cancel()
        self._presence.close()

    def _device(self, every: float) -> None:
        now = self._monotonic()
        if self._looking is None:
            if now - self._began >= every and self._engine.state.phase in RESTING_SIGNS:
                self._began, self._late = now, False
                self._looking = asyncio.create_task(asyncio.to_thread(self._look), name="look")
        elif self._looking.done():
            self._ended(self._looking)
            self._looking = None
        elif not self._late and now - self._began > TOO_LONG_S:
            self._late = True
            what = f"no answer about the device within {TOO_LONG_S:.0f} s"
            self._take((*self.checks, Check("disk", Health.FAULT, what, "look at the card or disk, and restart")))

    def _ended(self, looking: asyncio.Task[Sequence[Check]]) -> None:
        problem = looking.exception()
        if problem is None:
            self._take(looking.result())
        else:  # a defect of ours, and no reason to close the door
            log.error("the device could not be looked at", exc_info=problem)

    def _take(self, checks: Sequence[Check]) -> None:
        """Keep what was found, and say what changed: each finding once, each part's health once."""
        known = {_gist(check) for check in self.checks}
        for check in checks:
            if check.health is not Health.OK and _gist(check) not in known:
                advice = f" -> {check.advice}" if check.advice else ""
                log.warning("%s: %s: %s%s", check.part, check.health.value, check.what, advice)
        before, after = _by_part(self.checks), _by_part(checks)
        for part in sorted(before | after):
            health = after.get(part, Health.OK)
            if health is not before.get(part, Health.OK):
                if health is Health.OK:
                    log.info("%s is well again", part)
                if self._events is not None:
                    self._events.on_health(part, health)
        self.checks = tuple(checks)


def _gist(check: Check) -> tuple[str, Health, str]:
    """Return what makes a finding this one: megabytes and degrees come and go."""
    return check.part, check.health, _NUMBERS.sub("0", check.what)


def _by_part(checks: Sequence[Check]) -> dict[str, Health]:
    """Return each part's worst health."""
    worst: dict[str, Health] = {}
    for check in checks:
        part = check.part.split()[0]
        worst[part] = max(check.health, worst.get(part, Health.OK), key=_WEIGHT.__getitem__)
    return worst
