"""The camera's owner thread: pictures in, texts of QR codes out on the event loop.

Whatever a camera shows, the loop hears a bounded number of bounded texts; how the thread lives is in `owner`.

When nothing has moved for a while, pictures are taken and looked at less often. They are looked at all the same, so
that movement decides on the pace alone and never on whether a code is read. The camera itself keeps its own pace: the
picture after the one that shows movement is as near as ever.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Lock

from mdoc_reader.engagement.owner import Life, Owner, OwnerLimits, Work
from mdoc_reader.engagement.ports import Camera, Decoder, Frame
from mdoc_reader.engagement.stillness import Stillness

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A QR code was seen: its text, when (monotonic seconds, of the picture), and how long decoding took."""

    text: str
    seen_at: float
    decode_ms: float


@dataclass(frozen=True, slots=True)
class ScannerLimits(OwnerLimits):
    """The bounds of a scanner; seconds unless the name says otherwise."""

    read_timeout_s: float = 0.5
    repeat_s: float = 0.5  # the same text is delivered at most once in this time
    max_text: int = 4296  # characters: the most alphanumeric ones a QR code holds
    max_codes: int = 8  # of one picture
    max_undelivered: int = 16  # texts handed over that the loop has not come round to yet
    max_fps: float = 30.0
    idle_fps: float = 5.0  # while nothing moves
    idle_after_s: float = 10.0  # without movement, or a code
    silence_s: float = 5.0  # an open camera without one picture in this time counts as lost


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
        self._decoder = decoder
        self._on_sighting = on_sighting
        self._limits = limits or ScannerLimits()
        self._scanning = Event()
        self._scanning.set()
        self._eye: _Eye | None = None
        self._on_available = on_available
        self._told: bool | None = None
        work = Work("camera", open_camera, self._use, _release, (OSError,), self._tell)
        self._owner = Owner(work, self._limits)

    @property
    def available(self) -> bool:
        """Whether the camera delivers pictures."""
        return self._owner.available

    @property
    def heartbeat(self) -> float:
        """Monotonic time of the owner thread's last turn; 0.0 before the first start."""
        return self._owner.heartbeat

    @property
    def quarantined(self) -> int:
        """How many owner threads were abandoned, or died, since the start."""
        return self._owner.quarantined

    @property
    def decode_ms(self) -> float:
        """How long decoding the last picture took."""
        return self._eye.decode_ms if self._eye else 0.0

    @property
    def frames(self) -> int:
        """Pictures read from the camera since it was opened last."""
        return self._eye.frames if self._eye else 0

    @property
    def idle(self) -> bool:
        """Whether nothing has moved for so long that pictures are taken less often."""
        return self._eye.idle if self._eye else False

    @property
    def dropped(self) -> int:
        """Texts dropped since the camera was opened last: too long, or more than the loop could take."""
        return self._eye.dropped if self._eye else 0

    def start(self) -> None:
        """Start the owner thread and watch it. Call once, with the loop running."""
        self._owner.start()

    def pause(self) -> None:
        """Stop decoding. Pictures are read and thrown away, so that none of them is decoded after `resume`."""
        self._scanning.clear()

    def resume(self) -> None:
        """Decode again, at the full pace."""
        self.wake()
        self._scanning.set()

    def wake(self) -> None:
        """Take pictures at the full pace again, from the next one on: somebody is there."""
        if self._eye is not None:
            self._eye.wake()

    async def close(self) -> None:
        """Stop the thread and release the camera, within `close_s`; a thread that does not stop is abandoned."""
        await self._owner.close()

    def _use(self, camera: Camera, life: Life[Camera]) -> None:
        """Read one camera until it is lost or closed, on the owner thread."""
        eye = _Eye(life, self._decoder, self._limits, self._hear)
        self._eye = eye
        eye.look(camera, self._scanning)

    def _tell(self, works: bool, _: Exception | None) -> None:
        if works is not self._told:
            self._told = works
            self._on_available(works)

    def _hear(self, life: Life[Camera], sighting: Sighting) -> None:
        """Pass on, on the loop, what an owner thread saw. One that was replaced is not listened to."""
        if life.current and self._scanning.is_set():
            self._on_sighting(sighting)


def _release(camera: Camera, under: bool) -> None:
    with suppress(OSError):
        camera.close()


class _Eye:
    """One open camera, on its owner thread."""

    def __init__(
        self,
        life: Life[Camera],
        decoder: Decoder,
        limits: ScannerLimits,
        hear: Callable[[Life[Camera], Sighting], None],
    ) -> None:
        self._life = life
        self._decoder = decoder
        self._limits = limits
        self._hear = hear
        self._lock = Lock()  # guards the count below
        self._undelivered = 0
        self._recent: dict[str, float] = {}
        self._stillness = Stillness(limits.idle_after_s)
        self._judged = 0.0
        self.idle = False
        self.decode_ms = 0.0
        self.frames = 0
        self.dropped = 0

    def look(self, camera: Camera, scanning: Event) -> None:
        """Read pictures until the camera is lost, silent or closed."""
        life, limits = self._life, self._limits
        latest = time.monotonic()
        stale = False  # the next picture may have been taken during a pause
        while not life.stopping.is_set():
            life.beat()
            turn = time.monotonic()
            frame = camera.read(limits.read_timeout_s)
            now = time.monotonic()
            if frame is None:
                if now - latest > limits.silence_s:
                    log.info("the camera is open and delivers no pictures")
                    return
                continue
            latest = now
            self.frames += 1
            if self.frames == 1:
                life.works()
            if not scanning.is_set():
                stale = True
            elif stale:
                stale = False
            else:
                texts = self._decoder.decode(frame)
                self.decode_ms = (time.monotonic() - now) * 1000
                self._deliver(texts, now)
                self._judge(frame, now, found=bool(texts))
            del frame  # some cameras cannot reuse a buffer while a view of it lives
            fps = min(limits.idle_fps, limits.max_fps) if self.idle else limits.max_fps
            life.stopping.wait(max(0.0, 1 / fps - (time.monotonic() - turn)))

    def wake(self) -> None:
        """Go back to the full pace. Called on the loop."""
        self._stillness.wake()

    def _judge(self, frame: Frame, now: float, *, found: bool) -> None:
        """Settle the pace: by movement, looked for as often as pictures are taken while there is none, or a code."""
        if found:
            self._stillness.wake()
        elif now - self._judged >= 0.9 / self._limits.idle_fps:
            self._judged = now
            self._stillness.look(frame, now)
        self.idle = self._stillness.still(now)

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
            self._life.say(self._arrive, Sighting(text, seen_at, self.decode_ms))

    def _arrive(self, sighting: Sighting) -> None:
        """Take note, on the loop, that one text has arrived there, and pass it on."""
        with self._lock:
            self._undelivered -= 1
        self._hear(self._life, sighting)
