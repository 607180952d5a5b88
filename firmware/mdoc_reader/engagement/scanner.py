"""The camera's owner thread: pictures in, texts of QR codes out on the event loop.

A blocking device cannot be cancelled, so it belongs to one thread, and the loop only ever watches that thread. One
that has not shown a heartbeat for `overrun_s` is abandoned where it hangs: what it may still say is ignored, its
camera is closed under it, and a new thread opens the device anew. A device that is lost is opened again and again
with growing pauses until it is back. Whatever a camera shows, the loop hears a bounded number of bounded texts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import TypeVarTuple

from mdoc_reader.engagement.ports import Camera, Decoder

log = logging.getLogger(__name__)

Said = TypeVarTuple("Said")


@dataclass(frozen=True, slots=True)
class Sighting:
    """A QR code was seen: its text, when (monotonic seconds, of the picture), and how long decoding took."""

    text: str
    seen_at: float
    decode_ms: float


@dataclass(frozen=True, slots=True)
class ScannerLimits:
    """The bounds of a scanner; seconds unless the name says otherwise."""

    read_timeout_s: float = 0.5
    repeat_s: float = 0.5  # the same text is delivered at most once in this time
    max_text: int = 4296  # characters: the most alphanumeric ones a QR code holds
    max_codes: int = 8  # of one picture
    max_undelivered: int = 16  # texts handed over that the loop has not come round to yet
    max_fps: float = 30.0
    silence_s: float = 5.0  # an open camera without one picture in this time counts as lost
    retry_s: float = 0.25  # first pause before a lost camera is opened again; doubled up to retry_max_s
    retry_max_s: float = 5.0
    overrun_s: float = 10.0  # no heartbeat for so long: the thread is abandoned
    close_s: float = 2.0
    max_quarantined: int = 4  # abandoned threads still hanging; with so many no further one is started


class Scanner:
    """Owns a camera and a decoder. All methods and callbacks belong to the event loop's thread."""

    def __init__(
        self,
        open_camera: Callable[[], Camera],
        decoder: Decoder,
        on_sighting: Callable[[Sighting], None],
        on_available: Callable[[bool], None] = lambda _: None,
        limits: ScannerLimits | None = None,
    ) -> None:
        """Be ready to start. `open_camera` is called on the owner thread and raises OSError without a device."""
        self._open_camera = open_camera
        self._decoder = decoder
        self._on_sighting = on_sighting
        self._on_available = on_available
        self._limits = limits or ScannerLimits()
        self._scanning = Event()
        self._scanning.set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner: _Owner | None = None
        self._hanging: list[_Owner] = []
        self._watch: asyncio.TimerHandle | None = None
        self._available = False
        self.quarantined = 0
        """How many owner threads were abandoned, or died, since the start."""

    @property
    def available(self) -> bool:
        """Whether the camera delivers pictures."""
        return self._available

    @property
    def heartbeat(self) -> float:
        """Monotonic time of the owner thread's last turn; 0.0 before the first start."""
        return self._owner.heartbeat if self._owner else 0.0

    @property
    def decode_ms(self) -> float:
        """How long decoding the last picture took."""
        return self._owner.decode_ms if self._owner else 0.0

    @property
    def frames(self) -> int:
        """Pictures that the present owner thread has read."""
        return self._owner.frames if self._owner else 0

    @property
    def dropped(self) -> int:
        """Texts that the present owner thread has dropped: too long, or more than the loop could take."""
        return self._owner.dropped if self._owner else 0

    def start(self) -> None:
        """Start the owner thread and watch it. Call once, with the loop running."""
        self._loop = asyncio.get_running_loop()
        self._replace()

    def pause(self) -> None:
        """Stop decoding. Pictures are read and thrown away, so that none of them is decoded after `resume`."""
        self._scanning.clear()

    def resume(self) -> None:
        """Decode again."""
        self._scanning.set()

    async def close(self) -> None:
        """Stop the thread and release the camera, within `close_s`; a thread that does not stop is abandoned."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        owner, self._owner = self._owner, None
        if owner is None:
            return
        owner.abort()
        try:
            async with asyncio.timeout(self._limits.close_s):
                await owner.ended.wait()
        except TimeoutError:
            self._quarantine(owner)
        self._set_available(False)

    def _replace(self) -> None:
        loop = self._loop
        if loop is None:
            return
        self._hanging = [owner for owner in self._hanging if owner.hanging]
        if len(self._hanging) < self._limits.max_quarantined:
            self._owner = _Owner(
                self,
                loop,
                open_camera=self._open_camera,
                decoder=self._decoder,
                limits=self._limits,
                scanning=self._scanning,
            )
            self._owner.start()
        self._watch_later(loop)

    def _watch_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watch = loop.call_later(self._limits.overrun_s / 4, self._look_after)

    def _look_after(self) -> None:
        owner, loop = self._owner, self._loop
        if loop is None:
            return
        if owner is not None and owner.hanging and time.monotonic() - owner.heartbeat < self._limits.overrun_s:
            self._watch_later(loop)
            return
        if owner is not None:
            self._owner = None
            owner.abort()
            self._quarantine(owner)
            self._set_available(False)
        self._replace()

    def _quarantine(self, owner: _Owner) -> None:
        self.quarantined += 1
        self._hanging.append(owner)
        log.warning("camera thread abandoned, %d so far", self.quarantined)

    def _set_available(self, available: bool) -> None:
        if available != self._available:
            self._available = available
            self._on_available(available)

    # What an owner thread says, on the loop. One that was replaced is not listened to.

    def hear_available(self, owner: _Owner, available: bool) -> None:
        """Take an owner thread's word on its camera."""
        if owner is self._owner:
            self._set_available(available)

    def hear_sighting(self, owner: _Owner, sighting: Sighting) -> None:
        """Pass on what an owner thread saw."""
        owner.delivered()
        if owner is self._owner and self._scanning.is_set():
            self._on_sighting(sighting)


class _Owner(Thread):
    """One life of the owner thread. Daemonic: a device that hangs must not keep the process from ending."""

    def __init__(
        self,
        scanner: Scanner,
        loop: asyncio.AbstractEventLoop,
        *,
        open_camera: Callable[[], Camera],
        decoder: Decoder,
        limits: ScannerLimits,
        scanning: Event,
    ) -> None:
        super().__init__(name="camera", daemon=True)
        self._scanner = scanner
        self._open_camera = open_camera
        self._decoder = decoder
        self._limits = limits
        self._scanning = scanning
        self._loop = loop
        self._stopping = Event()
        self._lock = Lock()  # guards the three below
        self._camera: Camera | None = None
        self._undelivered = 0
        self._threads = 1
        self._recent: dict[str, float] = {}
        self.ended = asyncio.Event()
        self.heartbeat = time.monotonic()
        self.decode_ms = 0.0
        self.frames = 0
        self.dropped = 0

    @property
    def hanging(self) -> bool:
        """Whether this thread, or the one that closes the camera under it, still runs."""
        return self._threads > 0

    def abort(self) -> None:
        """Stop, closing the camera under the thread, which may be blocked in it. Closing may block just as well."""
        self._stopping.set()
        with self._lock:
            self._threads += 1
        Thread(target=self._abort, name="camera-abort", daemon=True).start()

    def delivered(self) -> None:
        """Take note, on the loop, that one text has arrived there."""
        with self._lock:
            self._undelivered -= 1

    def run(self) -> None:
        """Open, read until the device is lost, pause, and again."""
        try:
            pause = self._limits.retry_s
            while not self._stopping.is_set():
                self.heartbeat = time.monotonic()
                if self._open_and_use():
                    pause = self._limits.retry_s
                self._say(self._scanner.hear_available, self, False)
                self._wait(pause)
                pause = min(pause * 2, self._limits.retry_max_s)
        finally:
            self._thread_ends()

    def _abort(self) -> None:
        try:
            self._close()
        finally:
            self._thread_ends()

    def _thread_ends(self) -> None:
        with self._lock:
            self._threads -= 1
            last = self._threads == 0
        if last:
            self._say(self.ended.set)

    def _wait(self, seconds: float) -> None:
        """Wait with the heart beating, unless stopping."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.heartbeat = time.monotonic()
            if self._stopping.wait(min(left, self._limits.overrun_s / 4)):
                return

    def _open_and_use(self) -> bool:
        """Read one camera until it is lost or closed; True when it delivered at least one picture."""
        frames = self.frames
        try:
            camera = self._open_camera()
            with self._lock:
                self._camera = camera
            self._use(camera)
        except OSError as error:
            if not self._stopping.is_set():
                log.info("no camera: %s", error.strerror or error)
        finally:
            self._close()
        return self.frames > frames

    def _close(self) -> None:
        with self._lock:
            camera, self._camera = self._camera, None  # whoever takes it closes it, once
        if camera is not None:
            with suppress(OSError):
                camera.close()

    def _use(self, camera: Camera) -> None:
        latest = time.monotonic()
        announced = False
        stale = False  # the next picture may have been taken during a pause
        while not self._stopping.is_set():
            self.heartbeat = turn = time.monotonic()
            frame = camera.read(self._limits.read_timeout_s)
            now = time.monotonic()
            if frame is None:
                if now - latest > self._limits.silence_s:
                    log.info("the camera is open and delivers no pictures")
                    return
                continue
            latest = now
            self.frames += 1
            if not announced:
                announced = True
                self._say(self._scanner.hear_available, self, True)
            if not self._scanning.is_set():
                stale = True
            elif stale:
                stale = False
            else:
                texts = self._decoder.decode(frame)
                self.decode_ms = (time.monotonic() - now) * 1000
                self._deliver(texts, now)
            del frame  # some cameras cannot reuse a buffer while a view of it lives
            self._stopping.wait(max(0.0, 1 / self._limits.max_fps - (time.monotonic() - turn)))

    def _deliver(self, texts: list[str], seen_at: float) -> None:
        limits = self._limits
        self._recent = {text: at for text, at in self._recent.items() if seen_at - at < limits.repeat_s}
        for text in texts[: limits.max_codes]:
            if text in self._recent:
                continue
            with self._lock:
                taken = len(text) <= limits.max_text and self._undelivered < limits.max_undelivered
                self._undelivered += taken
            if not taken:
                self.dropped += 1
                continue
            self._recent[text] = seen_at
            self._say(self._scanner.hear_sighting, self, Sighting(text, seen_at, self.decode_ms))

    def _say(self, call: Callable[[*Said], object], *args: *Said) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._stopping.set()
