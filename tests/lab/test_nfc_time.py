"""Time in the emulated chip: counted exactly, waited for on average, and taken back when it was given up."""

from __future__ import annotations

import time

import pytest

from mdoc_reader.lab.nfc_time import Pace


def sleep_until(until: float) -> None:
    time.sleep(max(0.0, until - time.monotonic()))


def sleep_too_long(until: float) -> None:
    sleep_until(until + 0.002)


def test_everything_is_counted_where_it_belongs() -> None:
    pace = Pace(sleep_until, real=False)
    pace.line(100, 115200)
    pace.air(0.25, count=30)
    pace.air(0.25)
    pace.card(2.0)
    pace.chip(0.5)
    spent = pace.spent
    assert spent.uart_s == pytest.approx(1000 / 115200)
    assert (spent.rf_s, spent.card_s, spent.chip_s) == (0.5, 2.0, 0.5)
    assert (spent.rf_frames, spent.rf_bytes, spent.uart_bytes) == (1, 30, 100)
    assert spent.floor_s == spent.rf_s + spent.uart_s
    spent.clear()
    assert spent.floor_s == spent.card_s + spent.chip_s == spent.rf_bytes == 0


def test_oversleeping_is_made_up_for() -> None:
    pace = Pace(sleep_too_long, real=True)
    began = time.monotonic()
    for _ in range(50):
        pace.begin()
        pace.air(0.01)
        pace.settle()
    assert 0.5 <= time.monotonic() - began < 0.56


def test_time_given_up_is_taken_back() -> None:
    pace = Pace(lambda _: None, real=True)
    pace.card(100.0)
    pace.settle()
    pace.rewind()
    assert pace.now - time.monotonic() < 1
    assert pace.spent.card_s < 1


def test_without_real_time_the_line_runs_ahead_and_goes_on_with_the_clock() -> None:
    pace = Pace(sleep_until, real=False)
    began = time.monotonic()
    pace.card(100.0)
    pace.settle()
    assert time.monotonic() - began < 1
    ahead = pace.now
    time.sleep(0.05)
    pace.begin()
    assert 0.05 <= pace.now - ahead < 5
