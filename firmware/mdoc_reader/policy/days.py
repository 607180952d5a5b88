"""Days: dates as documents and operators write them, what day it is at a site, and how old somebody is on a day."""

from __future__ import annotations

from datetime import date, datetime, tzinfo


def strict_date(text: str) -> date | None:
    """Read a full-date, `YYYY-MM-DD` and nothing else (RFC 3339); None where it is none."""
    if len(text) != 10 or not text.isascii() or text[4] != "-" or text[7] != "-":
        return None
    year, month, day = text[:4], text[5:7], text[8:]
    if not (year.isdigit() and month.isdigit() and day.isdigit()):
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def local(at: datetime, zone: tzinfo) -> datetime | None:
    """Return the wall clock at a site; None at the ends of time."""
    try:
        return at.astimezone(zone)
    except OverflowError:
        return None


def age_on(birth: date, day: date, *, early: bool) -> int:
    """Return the full years on `day`; negative before birth.

    Args:
        birth: the date of birth.
        day: the day in question.
        early: whether those born on 29 February are a year older on the 28th of a common year, not on 1 March.
    """
    month, number = birth.month, birth.day
    if month == 2 and number == 29 and early and not _leap(day.year):
        number = 28
    return day.year - birth.year - ((day.month, day.day) < (month, number))


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
