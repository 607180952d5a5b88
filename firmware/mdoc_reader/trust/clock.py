"""What time it is, and how sure we are: a reader without a battery-backed clock wakes up in the past.

The floor is a moment that is certainly over: when this program was built, and what lists signed by trusted publishers
say of when they were made. Nothing else raises it: time from an unauthenticated network can set the clock and is used,
but a lie about the future must not outlive its correction. A clock below the floor is wrong; one that nobody has set
since the device started is not to be trusted either.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mdoc_reader.model.reasons import ReasonCode

BUILT = datetime(2026, 11, 1, tzinfo=UTC)
"""When this program was made, or a little before."""
_SYNCHRONISED = (Path("/run/systemd/timesync/synchronized"), Path("/run/chrony/synchronised"))
_MAX_FLOOR = 64


class ClockCode(ReasonCode):
    """Why the time is not to be trusted."""

    BEHIND = "clock_behind", "The clock is wrong: it is set to a moment that is certainly over."
    NOT_SET = "clock_not_set", "The clock was not set since this device started."
    FAR_AHEAD = "clock_far_ahead", "The clock is further ahead of the newest signed list than is believable."


@dataclass(frozen=True, slots=True)
class Moment:
    """What time it is. `doubt` is None where the time can be relied on. Never before the floor."""

    at: datetime
    doubt: ClockCode | None = None


class Clock:
    """Tells the time with its doubts.

    Args:
        floor: what was certainly over when this was made, beside `BUILT`.
        now: the system's clock.
        was_set: whether somebody set the system's clock since it started: a battery, a network, a person.
        believable: how far ahead of the floor the clock may be; None for any distance.
    """

    def __init__(
        self,
        floor: datetime | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        was_set: Callable[[], bool] = lambda: True,
        believable: timedelta | None = None,
    ) -> None:
        """Begin at the floor."""
        self._floor = max(BUILT, floor or BUILT)
        self._now = now
        self._was_set = was_set
        self._believable = believable

    @property
    def floor(self) -> datetime:
        """A moment that is certainly over."""
        return self._floor

    def raise_floor(self, signed: Iterable[datetime]) -> bool:
        """Take moments that trusted publishers signed as over; True when the floor rose.

        Only pass what was verified. What lies ahead of a clock that is not in doubt is the mistake of a signer, whose
        word must not outlive its correction either.
        """
        now = self.read()
        over = (moment for moment in signed if now.doubt is not None or moment <= now.at)
        highest = max(over, default=self._floor)
        rose = highest > self._floor
        self._floor = max(self._floor, highest)
        return rose

    def read(self) -> Moment:
        """Return the time, and what is to be held against it."""
        now = self._now()
        if now < self._floor:
            return Moment(self._floor, ClockCode.BEHIND)
        if self._believable is not None and now > self._floor + self._believable:
            return Moment(now, ClockCode.FAR_AHEAD)
        return Moment(now, None if self._was_set() else ClockCode.NOT_SET)


def system_was_set(markers: Iterable[Path] = _SYNCHRONISED, rtc: Path = Path("/sys/class/rtc")) -> bool:
    """Say whether the system's clock has a battery or was set over the network since the start. Cheap."""
    return any(marker.exists() for marker in markers) or (rtc.is_dir() and any(rtc.iterdir()))


def load_floor(path: Path) -> datetime | None:
    """Read a stored floor; None where there is none that can be read. A damaged file costs only certainty."""
    try:
        text = path.read_text(encoding="ascii")[:_MAX_FLOOR]
        stored = datetime.fromisoformat(text.strip())
    except (OSError, ValueError):
        return None
    return stored if stored.tzinfo is not None else None


def store_floor(path: Path, floor: datetime) -> None:
    """Store the floor so that power may fail at any instant; never lowers what is stored. Raises OSError."""
    stored = load_floor(path)
    if stored is not None and stored >= floor:
        return
    new = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with new.open("w", encoding="ascii") as stream:
            stream.write(floor.astimezone(UTC).isoformat(timespec="seconds") + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
