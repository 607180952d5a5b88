"""Opening hours: written, refused, and asked at every kind of moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdoc_reader.policy.calendar import Calendar, CalendarError
from mdoc_reader.policy.truth import Truth
from mdoc_reader.trust.clock import ClockCode, Moment

BERLIN = ZoneInfo("Europe/Berlin")
OPEN, CLOSED = Truth.TRUE, Truth.FALSE
USUAL = ["mo-fr 07:00-18:30", "sa 22:00-02:00", "2026-12-24 08:00-12:00", "2026-12-25 closed", "2026-12-26 20:00-03:00"]


def at(text: str, fold: int = 0) -> Moment:
    return Moment(datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-11-23T06:59:59", CLOSED),  # a Monday
        ("2026-11-23T07:00", OPEN),
        ("2026-11-23T18:29:59", OPEN),
        ("2026-11-23T18:30", CLOSED),
        ("2026-11-21T21:59", CLOSED),  # a Saturday
        ("2026-11-21T22:00", OPEN),
        ("2026-11-22T01:59", OPEN),
        ("2026-11-22T02:00", CLOSED),
        ("2026-11-22T22:30", CLOSED),
        ("2026-12-24T07:30", CLOSED),  # Thursday, other hours
        ("2026-12-24T11:59", OPEN),
        ("2026-12-25T10:00", CLOSED),  # Friday
        ("2026-12-26T23:00", OPEN),  # Saturday, longer
        ("2026-12-27T02:59", OPEN),
        ("2026-12-27T03:00", CLOSED),
        ("2026-03-29T01:30", OPEN),  # the night without an hour between two and three, the morning after a Saturday
        ("2026-03-29T03:00", CLOSED),
    ],
)
def test_hours(when: str, expected: Truth) -> None:
    assert Calendar.parse(USUAL, BERLIN).is_open(at(when)) is expected


def test_the_hour_that_autumn_repeats_counts_twice() -> None:
    hours = Calendar.parse(["su 02:00-02:30"], BERLIN)
    assert [hours.is_open(at("2026-10-25T02:15", fold)) for fold in (0, 1)] == [OPEN, OPEN]
    assert [hours.is_open(at("2026-10-25T02:45", fold)) for fold in (0, 1)] == [CLOSED, CLOSED]


@pytest.mark.parametrize("doubt", list(ClockCode))
def test_nobody_knows_with_a_clock_in_doubt(doubt: ClockCode) -> None:
    always = Calendar.parse(["daily 00:00-24:00"], BERLIN)
    assert always.is_open(at("2026-11-23T10:00")) is OPEN
    assert always.is_open(Moment(at("2026-11-23T10:00").at, doubt)) is Truth.UNKNOWN


@pytest.mark.parametrize("end", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)])
def test_the_ends_of_time(end: datetime) -> None:
    for zone in (UTC, BERLIN, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("America/Lima")):
        answer = Calendar.parse(["daily 00:00-24:00"], zone).is_open(Moment(end))
        assert answer in {OPEN, Truth.UNKNOWN}


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([], "one entry at least"),
        (["mo-fr 07:00-18:00"] * 65, "at most 64"),
        (["mo-fr"], "entry 1 of the opening hours, 'mo-fr'"),
        (["x" * 300], "it takes days and times"),
        (
            ["mo 07:00-18:00", "my 07:00-18:00"],
            "entry 2 of the opening hours, 'my 07:00-18:00': 'my' is no day; did you",
        ),
        (["montag 07:00-18:00"], "is no day"),
        (["mo,mo-tu 07:00-18:00"], "names a day twice"),
        (["mo 7:00-18:00"], "'7:00' is no time; times are written 00:00 to 24:00"),
        (["mo 07:00-24:01"], "'24:01' is no time"),
        (["mo 07:60-08:00"], "'07:60' is no time"),
        (["mo 0７:00-08:00"], "is no time"),
        (["mo 07:00"], "is no span of time; one is written 07:00-18:30"),
        (["mo 07:00-07:00"], "has no length; a whole day is written 00:00-24:00"),
        (["mo 24:00-02:00"], "has no length"),
        (["mo closed"], "only a date can be closed"),
        (["2026-02-30 closed"], "'2026-02-30' is no date; a date is written 2026-12-25"),
        (["2026-12-25 closed", "2026-12-25 08:00-09:00"], "the date is there already"),
    ],
)
def test_what_is_wrong_and_what_would_be_right(entries: list[str], says: str) -> None:
    with pytest.raises(CalendarError) as caught:
        Calendar.parse(entries, BERLIN)
    assert says in str(caught.value)


def test_in_words() -> None:
    assert Calendar.parse(["SA-SU  10:00-12:00, 14:00-02:00", "2026-12-25 closed"], BERLIN).words() == (
        "Saturday 10:00 to 12:00, 14:00 to 02:00 the day after; "
        "Sunday 10:00 to 12:00, 14:00 to 02:00 the day after; 2026-12-25 closed"
    )


_MINUTES = st.integers(0, 1439)
_NAMES = ("mo", "tu", "we", "th", "fr", "sa", "su")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), _MINUTES, _MINUTES), min_size=1, max_size=4), st.integers(0, 20 * 1440))
def test_as_counted_out_on_a_line_of_minutes(spans: list[tuple[int, int, int]], minute: int) -> None:
    spans = [span for span in spans if span[1] != span[2]] or [(0, 0, 1)]
    clock = "{:02d}:{:02d}".format
    entries = [f"{_NAMES[day]} {clock(*divmod(a, 60))}-{clock(*divmod(b, 60))}" for day, a, b in spans]
    monday = datetime(2026, 11, 2, tzinfo=UTC)
    told = Calendar.parse(entries, UTC).is_open(Moment(monday + timedelta(minutes=minute)))
    line = [
        (week * 10080 + day * 1440 + a, week * 10080 + day * 1440 + (b if b > a else b + 1440))
        for week in range(-1, 4)
        for day, a, b in spans
    ]
    assert told is (OPEN if any(start <= minute < end for start, end in line) else CLOSED)
