"""A blocking device and the thread that owns it: opened, used, lost, opened again, abandoned where it hangs.

A blocking device cannot be cancelled, so it belongs to one thread, and the loop only ever watches that thread. One
that has not shown a heartbeat for `overrun_s` is abandoned where it hangs: what it may still say is ignored, its
device is released under it, and a new thread opens the device anew. A device that is lost is opened again and again
with growing pauses until it is back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import Generic, TypeVar, TypeVarTuple

log = logging.getLogger(__name__)

D = TypeVar("D")
Said = TypeVarTuple("Said")


@dataclass(frozen=True, slots=True)
class OwnerLimits:
    """The bounds of an owned device, in seconds unless the name says otherwise."""

    retry_s: float = 0.25  # first pause before a lost device is opened again; doubled up to retry_max_s
    retry_max_s: float = 5.0
    overrun_s: float = 10.0  # no heartbeat for so long: the thread is abandoned
    close_s: float = 2.0
    max_quarantined: int = 4  # abandoned threads still hanging; with so many no further one is started


@dataclass(frozen=True, slots=True)
class Work(Generic[D]):
    """What a kind of device needs of its owner. All but `on_available` is called on the owner thread.

    Args:
        name: of the device, for people and for the thread.
        open: opens the device; raises one of `losses` without it.
        use: uses it until it is lost (one of `losses`), no longer good (returns) or `Life.stopping` is set.
        release: releases it; the flag says that this is done from another thread, under a `use` that may be blocked
            in it. Never raises.
        losses: what a device that is not there raises.
        on_available: told on the loop when the device begins to work, and when it ceased to, with what it raised.
    """

    name: str
    open: Callable[[], D]
    use: Callable[[D, Life[D]], None]
    release: Callable[[D, bool], None]
    losses: tuple[type[Exception], ...]
    on_available: Callable[[bool, Exception | None], None]


class Owner(Generic[D]):
    """Owns a device by a thread. All methods belong to the event loop's thread."""

    def __init__(self, work: Work[D], limits: OwnerLimits) -> None:
        """Be ready to start."""
        self.work = work
        self.limits = limits
        self.life: Life[D] | None = None
        """The present owner thread, if any."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hanging: list[Life[D]] = []
        self._watch: asyncio.TimerHandle | None = None
        self._available = False
        self._why: Exception | None = None
        self.quarantined = 0
        """How many owner threads were abandoned, or died, since the start."""

    @property
    def available(self) -> bool:
        """Whether the device works."""
        return self._available

    @property
    def heartbeat(self) -> float:
        """Monotonic time of the owner thread's last turn; 0.0 before the first start."""
        return self.life.heartbeat if self.life else 0.0

    def start(self) -> None:
        """Start the owner thread and watch it. Call once, with the loop running."""
        self._loop = asyncio.get_running_loop()
        self._replace()

    async def close(self) -> None:
        """Stop the thread and release the device, within `close_s`; a thread that does not stop is abandoned."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        life, self.life = self.life, None
        if life is None:
            return
        life.abort()
        try:
            async with asyncio.timeout(self.limits.close_s):
                await life.ended.wait()
        except TimeoutError:
            self._quarantine(life)
        self._set_available(False, None)

    def _replace(self) -> None:
        loop = self._loop
        if loop is None:
            return
        self._hanging = [life for life in self._hanging if life.hanging]
        if len(self._hanging) < self.limits.max_quarantined:
            self.life = Life(self, loop)
            self.life.start()
        self._watch_later(loop)

    def _watch_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watch = loop.call_later(self.limits.overrun_s / 4, self._look_after)

    def _look_after(self) -> None:
        life, loop = self.life, self._loop
        if loop is None:
            return
        if life is not None and life.hanging and time.monotonic() - life.heartbeat < self.limits.overrun_s:
            self._watch_later(loop)
            return
        if life is not None:
            self.life = None
            life.abort()
            self._quarantine(life)
            self._set_available(False, None)
        self._replace()

    def _quarantine(self, life: Life[D]) -> None:
        self.quarantined += 1
        self._hanging.append(life)
        log.warning("%s thread abandoned, %d so far", self.work.name, self.quarantined)

    def hear_available(self, life: Life[D], available: bool, why: Exception | None) -> None:
        """Take an owner thread's word on its device; one that was replaced is not listened to."""
        if life is self.life:
            self._set_available(available, why)

    def _set_available(self, available: bool, why: Exception | None) -> None:
        # A device that stays away for another reason now is news as well.
        if available != self._available or (not available and str(why) != str(self._why)):
            self._available, self._why = available, why
            self.work.on_available(available, why)


class Life(Thread, Generic[D]):
    """One life of the owner thread. Daemonic: a device that hangs must not keep the process from ending."""

    def __init__(self, owner: Owner[D], loop: asyncio.AbstractEventLoop) -> None:
        """Be ready to start."""
        super().__init__(name=owner.work.name, daemon=True)
        self._owner = owner
        self._work = owner.work
        self._limits = owner.limits
        self._loop = loop
        self._lock = Lock()  # guards the two below
        self._device: D | None = None
        self._threads = 1
        self._worked = False
        self._complained = ""  # once for each reason, however often it is tried again
        self.stopping = Event()
        """Set when the work has to end."""
        self.ended = asyncio.Event()
        self.heartbeat = time.monotonic()

    # For the work, on the owner thread.

    def beat(self) -> None:
        """Show that the thread is alive."""
        self.heartbeat = time.monotonic()

    def works(self) -> None:
        """Tell that the device works. Once for each opening is enough."""
        self._worked = True
        self._complained = ""
        self.say(self._owner.hear_available, self, True, None)

    def say(self, call: Callable[[*Said], object], *args: *Said) -> None:
        """Have something called on the loop."""
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self.stopping.set()

    def wait(self, seconds: float) -> bool:
        """Wait with the heart beating; True when the work has to end."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.beat()
            if self.stopping.wait(min(left, self._limits.overrun_s / 4)):
                return True
        return self.stopping.is_set()

    # For the owner, on the loop.

    @property
    def overrun_s(self) -> float:
        """How long the heart may stand still."""
        return self._limits.overrun_s

    @property
    def current(self) -> bool:
        """Whether this thread was not replaced."""
        return self._owner.life is self

    @property
    def hanging(self) -> bool:
        """Whether this thread, or the one that releases the device under it, still runs."""
        return self._threads > 0

    def abort(self) -> None:
        """Stop, releasing the device under the thread, which may be blocked in it. Releasing may block just as well."""
        self.stopping.set()
        with self._lock:
            self._threads += 1
        Thread(target=self._abort, name=f"{self.name}-abort", daemon=True).start()

    def run(self) -> None:
        """Open, use until the device is lost, pause, and again."""
        try:
            pause = self._limits.retry_s
            while not self.stopping.is_set():
                self.beat()
                why = self._open_and_use()
                if self._worked:
                    pause = self._limits.retry_s
                    self._worked = False
                self.say(self._owner.hear_available, self, False, why)
                self.wait(pause)
                pause = min(pause * 2, self._limits.retry_max_s)
        finally:
            self._thread_ends()

    def _abort(self) -> None:
        try:
            self._release(True)
        finally:
            self._thread_ends()

    def _thread_ends(self) -> None:
        with self._lock:
            self._threads -= 1
            last = self._threads == 0
        if last:
            self.say(self.ended.set)

    def _open_and_use(self) -> Exception | None:
        try:
            device = self._work.open()
            with self._lock:
                self._device = device
            self._work.use(device, self)
        except self._work.losses as error:
            if not self.stopping.is_set() and str(error) != self._complained:
                self._complained = str(error)
                log.info("no %s: %s", self._work.name, error)
            return error
        finally:
            self._release(False)
        return None

    def _release(self, under: bool) -> None:
        with self._lock:
            device, self._device = self._device, None  # whoever takes it releases it, once
        if device is not None:
            self._work.release(device, under)
