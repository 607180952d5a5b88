"""The clock: what is certainly over, what is in doubt, and that no lie about the time outlives its correction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mdoc_reader.trust.clock import BUILT, Clock, ClockCode, load_floor, store_floor

DAY = timedelta(days=1)
LATER = BUILT + 100 * DAY


def test_a_clock_that_woke_up_in_the_past_is_taken_to_the_floor() -> None:
    woken = Clock(now=lambda: datetime(1970, 1, 1, tzinfo=UTC))
    assert (woken.read().at, woken.read().doubt) == (BUILT, ClockCode.BEHIND)
    assert woken.raise_floor([LATER, BUILT])
    assert woken.read().at == LATER


def test_a_clock_ahead_is_used_and_leaves_nothing_behind() -> None:
    time = [LATER]
    clock = Clock(now=lambda: time[0])
    assert clock.read().doubt is None
    time[0] = LATER + 10_000 * DAY  # what somebody on the network says
    assert clock.read().at == time[0]
    time[0] = LATER
    assert (clock.read().at, clock.read().doubt) == (LATER, None)
    assert clock.floor == BUILT


def test_the_floor_never_falls() -> None:
    clock = Clock(LATER, now=lambda: LATER + DAY)
    assert not clock.raise_floor([BUILT])
    assert not clock.raise_floor([])
    assert clock.floor == LATER
    assert Clock(datetime(2000, 1, 1, tzinfo=UTC)).floor == BUILT


def test_a_signer_ahead_of_a_clock_that_is_right_moves_nothing() -> None:
    clock = Clock(now=lambda: LATER)
    assert not clock.raise_floor([LATER + 3650 * DAY])
    assert clock.floor == BUILT
    assert clock.raise_floor([LATER + 3650 * DAY, LATER - DAY])
    assert clock.floor == LATER - DAY
    doubtful = Clock(now=lambda: LATER, was_set=lambda: False)
    assert doubtful.raise_floor([LATER + DAY])


def test_doubts() -> None:
    assert Clock(now=lambda: LATER, was_set=lambda: False).read().doubt is ClockCode.NOT_SET
    near = Clock(now=lambda: LATER, believable=10 * DAY)
    assert near.read().doubt is ClockCode.FAR_AHEAD
    near.raise_floor([LATER - DAY])
    assert near.read().doubt is None


def test_a_stored_floor_only_rises(tmp_path: Path) -> None:
    path = tmp_path / "floor"
    assert load_floor(path) is None
    store_floor(path, LATER)
    assert load_floor(path) == LATER
    store_floor(path, BUILT)
    assert load_floor(path) == LATER
    assert [entry.name for entry in tmp_path.iterdir()] == ["floor"]


@pytest.mark.parametrize("written", [b"", b"\xff", b"2026", b"2026-11-21T00:00:00", b"9" * 100_000])
def test_a_damaged_floor_costs_only_certainty(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "floor"
    path.write_bytes(written)
    assert load_floor(path) is None
    store_floor(path, LATER)
    assert load_floor(path) == LATER
