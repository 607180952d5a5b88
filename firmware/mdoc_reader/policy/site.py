"""A site: what a rule may lean on beside the document: time zone, opening hours, lists, and the law on leap days."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo, available_timezones

from mdoc_reader.policy.allow_list import AllowList
from mdoc_reader.policy.calendar import Calendar

_MAX_NAME = 64


class LeapDay(StrEnum):
    """On which day of a common year somebody born on 29 February is a year older."""

    MARCH_1 = "03-01"
    FEBRUARY_28 = "02-28"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a rule is judged.

    Attributes:
        zone: what day it is here; ages and dates go by it.
        leap_day: when those born on 29 February are a year older.
        hours: opening hours, for `open_now`; None where there are none.
        lists: by the name that `listed("NAME")` gives.
    """

    zone: tzinfo = UTC
    leap_day: LeapDay = LeapDay.MARCH_1
    hours: Calendar | None = None
    lists: Mapping[str, AllowList] = field(default_factory=dict)


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name in the IANA database. Raises ValueError that says what would be right."""
    if name == "UTC":  # needs no database
        return UTC
    if 0 < len(name) <= _MAX_NAME and name.isascii() and name.isprintable():
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # not there, no such name, or a folder of the database
            pass
    known = sorted(available_timezones())
    if not known:
        raise ValueError(f"time zone {name[:_MAX_NAME]!r}: this system has no time zones; install the package tzdata")
    close = difflib.get_close_matches(name[:_MAX_NAME], known, 1)
    hint = f"did you mean {close[0]!r}?" if close else "it takes a name such as 'Europe/Berlin'"
    raise ValueError(f"unknown time zone {name[:_MAX_NAME]!r}; {hint}")
