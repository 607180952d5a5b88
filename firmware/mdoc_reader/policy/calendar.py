"""Opening hours: a short typed form for settings, and whether it is open at a moment.

A calendar is a few entries: `mo-fr 07:00-18:30`, `sa,su 10:00-12:00,14:00-16:00`, `sa 22:00-02:00` (until the morning
after), `daily 06:00-24:00`, and for single days, which replace what the week says, `2026-12-24 08:00-12:00` and
`2026-12-25 closed`. Times are of the wall clock in the site's time zone: an hour that autumn repeats counts twice.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from typing import Self

from mdoc_reader.policy.days import local, strict_date
from mdoc_reader.policy.truth import Truth
from mdoc_reader.trust.clock import Moment

MAX_ENTRIES = 64
MAX_ENTRY = 200
_DAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY_MINUTES = 24 * 60
_ONE_DAY = timedelta(days=1)

Span = tuple[int, int]
"""From and until, in minutes since that day's midnight; until is beyond 1440 where it ends the day after."""


class CalendarError(ValueError):
    """An entry that cannot be read. The text names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Opening hours.

    Attributes:
        entries: as they were written.
        week: the spans of each weekday, Monday first.
        dates: the spans of single days, instead of their weekday's.
        zone: the site's.
    """

    entries: tuple[str, ...]
    week: tuple[tuple[Span, ...], ...]
    dates: Mapping[date, tuple[Span, ...]]
    zone: tzinfo

    @classmethod
    def parse(cls, entries: Sequence[str], zone: tzinfo) -> Self:
        """Read opening hours. Raises CalendarError."""
        if not entries:
            raise CalendarError("opening hours need one entry at least, such as 'mo-fr 07:00-18:30'")
        if len(entries) > MAX_ENTRIES:
            raise CalendarError(f"{len(entries)} entries of opening hours; at most {MAX_ENTRIES}")
        week: list[list[Span]] = [[] for _ in _DAYS]
        dates: dict[date, tuple[Span, ...]] = {}
        for number, entry in enumerate(entries, 1):
            where = f"entry {number} of the opening hours, {entry[:40]!r}"
            days, _, times = " ".join(entry[:MAX_ENTRY].lower().split()).partition(" ")
            if len(entry) > MAX_ENTRY or not times:
                raise CalendarError(f"{where}: it takes days and times, such as 'mo-fr 07:00-18:30'")
            if days[0].isdigit():
                day = _date(days, where)
                if day in dates:
                    raise CalendarError(f"{where}: the date is there already; several times go with commas")
                dates[day] = () if times == "closed" else _spans(times, where)
            elif times == "closed":
                raise CalendarError(f"{where}: only a date can be closed; a weekday that no entry names is")
            else:
                spans = _spans(times, where)
                for weekday in _weekdays(days, where):
                    week[weekday].extend(spans)
        return cls(tuple(entries), tuple(tuple(sorted(spans)) for spans in week), dates, zone)

    def is_open(self, moment: Moment) -> Truth:
        """Say whether it is open: UNKNOWN where the time cannot be relied on."""
        if moment.doubt is not None:
            return Truth.UNKNOWN
        now = local(moment.at, self.zone)
        if now is None:
            return Truth.UNKNOWN
        today, minute = now.date(), now.hour * 60 + now.minute
        if any(start <= minute < end for start, end in self._spans(today)):
            return Truth.TRUE
        minute += _DAY_MINUTES  # as yesterday's spans count, those that go on after midnight
        if today > date.min and any(minute < end for _, end in self._spans(today - _ONE_DAY)):
            return Truth.TRUE
        return Truth.FALSE

    def words(self) -> str:
        """Say the hours in plain English, on one line."""
        said = [
            f"{name} {', '.join(map(_clock, spans))}" for name, spans in zip(_NAMES, self.week, strict=True) if spans
        ]
        said += [f"{day} {', '.join(map(_clock, spans)) or 'closed'}" for day, spans in sorted(self.dates.items())]
        return "; ".join(said)

    def _spans(self, day: date) -> tuple[Span, ...]:
        spans = self.dates.get(day)
        return self.week[day.weekday()] if spans is None else spans


def _clock(span: Span) -> str:
    start, end = span
    after = " the day after" if end > _DAY_MINUTES else ""
    shown = end - _DAY_MINUTES if after else end
    return f"{start // 60:02d}:{start % 60:02d} to {shown // 60:02d}:{shown % 60:02d}{after}"


def _date(text: str, where: str) -> date:
    day = strict_date(text)
    if day is None:
        raise CalendarError(f"{where}: {text[:20]!r} is no date; a date is written 2026-12-25")
    return day


def _weekdays(text: str, where: str) -> list[int]:
    if text == "daily":
        return list(range(7))
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start = _weekday(first, where)
        end = _weekday(last, where) if dash else start
        found += [(start + step) % 7 for step in range((end - start) % 7 + 1)]
    if len(set(found)) != len(found):
        raise CalendarError(f"{where}: it names a day twice")
    return found


def _weekday(text: str, where: str) -> int:
    if text in _DAYS:
        return _DAYS.index(text)
    close = difflib.get_close_matches(text[:20], [*_DAYS, "daily"], 1, 0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"days are {', '.join(_DAYS)} and daily"
    raise CalendarError(f"{where}: {text[:20]!r} is no day; {hint}")


def _spans(text: str, where: str) -> tuple[Span, ...]:
    spans = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not dash:
            raise CalendarError(f"{where}: {part[:20]!r} is no span of time; one is written 07:00-18:30")
        start, end = _minute(first.strip(), where), _minute(last.strip(), where)
        if start in {_DAY_MINUTES, end}:
            raise CalendarError(f"{where}: {part[:20]!r} has no length; a whole day is written 00:00-24:00")
        spans.append((start, end if end > start else end + _DAY_MINUTES))
    return tuple(sorted(spans))


def _minute(text: str, where: str) -> int:
    hour, colon, minute = text.partition(":")
    if colon and len(hour) == len(minute) == 2 and text.isascii() and hour.isdigit() and minute.isdigit():
        minutes = int(hour) * 60 + int(minute)
        if int(minute) < 60 and minutes <= _DAY_MINUTES:
            return minutes
    raise CalendarError(f"{where}: {text[:20]!r} is no time; times are written 00:00 to 24:00")
