"""The Wiegand line with lgpio's place taken by a recorder: what is asked of it, and what is done when it fails.

The library itself runs in the guest, on a kernel's GPIO lines.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from mdoc_reader.drivers import disabled_building, wiegand_building
from mdoc_reader.drivers.wiegand_building import Options, WiegandBuilding, open_building
from mdoc_reader.lab.wiegand_panel import Card, Edge, frames, pulses, read, text
from mdoc_reader.model.badge import Badge
from mdoc_reader.model.check import Health


class Recorder:
    """lgpio's part for two lines of one chip."""

    class error(Exception):  # noqa: N801, N818 -- lgpio's own name
        """lgpio's error."""

    def __init__(self) -> None:
        self.labels = {0: "gpio-noise", 4: "pinctrl-rp1"}
        self.claimed: list[int] = []
        self.level: dict[int, int] = {}
        self.edges: list[Edge] = []
        self.fails: set[str] = set()
        self.stuck = False
        self.gate: threading.Event | None = None
        self.opened = 0

    def _may(self, what: str) -> None:
        if what in self.fails:
            raise self.error(what)

    def gpiochip_open(self, number: int) -> int:
        self._may("gpiochip_open")
        if number not in self.labels:
            raise self.error("can not open gpiochip")
        self.opened += 1
        return 100 + number

    def gpio_get_chip_info(self, handle: int) -> list[Any]:
        return [0, 54, "gpiochip", self.labels[handle - 100]]

    def gpiochip_close(self, handle: int) -> None:
        self.opened -= 1

    def group_claim_output(self, handle: int, pins: list[int], levels: list[int]) -> None:
        self._may("group_claim_output")
        self.claimed = pins
        self.level = dict(zip(pins, levels, strict=True))

    def group_free(self, handle: int, leader: int) -> None:
        self.claimed = []

    def group_write(self, handle: int, leader: int, bits: int, mask: int) -> None:
        self._may("group_write")
        if self.gate is not None:
            self.gate.wait(5)
        for place, pin in enumerate(self.claimed):
            self._set(place, pin, bits >> place & 1)

    def gpio_read(self, handle: int, pin: int) -> int:
        return 1 - self.level[pin] if self.stuck else self.level[pin]

    def _set(self, place: int, pin: int, level: int) -> None:
        if self.level[pin] != level:
            self.level[pin] = level
            self.edges.append(Edge(time.monotonic_ns() / 1000, place, level))


@pytest.fixture
def lgpio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "lgpio", recorder)
    yield recorder
    assert recorder.opened == 0
    assert recorder.claimed == []


def options(**changes: Any) -> Options:
    given = {"d0": 23, "d1": 24, "interval_us": 500, "gap_ms": 60}
    return msgspec.convert({**given, **changes}, Options)


def until(what: Any, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.parametrize("pulse", ["high", "low"])
@pytest.mark.parametrize(
    ("settings", "name", "card"),
    [
        ({"format": 26, "facility": 90}, "H10301", Card(90, 324)),
        ({"format": 34, "facility": 90}, "H10306", Card(90, 324)),
        ({"format": 37}, "H10302", Card(0, 324)),
    ],
)
def test_a_frame(lgpio: Recorder, pulse: str, settings: dict[str, Any], name: str, card: Card) -> None:
    line = open_building(options(**settings, pulse=pulse))
    assert lgpio.claimed == [23, 24]
    rest = int(pulse == "low")
    assert set(lgpio.level.values()) == {rest}
    assert line.healthy
    line.present(Badge(324))
    until(lambda: line.sent == 1)  # type: ignore[attr-defined]
    heard = pulses(lgpio.edges, rest)
    (frame,) = frames(heard)
    assert read(text(frame), name) == card
    assert min(pulse.width_us for pulse in heard) >= 50
    assert min(b.at_us - a.at_us for a, b in pairwise(heard)) >= 500
    line.close()
    line.close()
    assert set(lgpio.level.values()) == {rest}


def test_one_waits_and_what_comes_then_is_dropped(lgpio: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    lgpio.gate = threading.Event()
    line = WiegandBuilding(options(), options().lines())
    began = time.monotonic()
    line.present(Badge(4711))
    until(lambda: line._waiting is None)
    line.present(Badge(4712))
    line.present(Badge(4713))
    assert time.monotonic() - began < 0.5  # nobody waits for the line
    assert line.dropped == 1
    lgpio.gate.set()
    until(lambda: line.sent == 2)
    cards = [read(text(frame), "H10301") for frame in frames(pulses(lgpio.edges, 0))]
    assert [card.number for card in cards] == [4711, 4712]
    assert "471" not in caplog.text
    line.close()


def test_a_begun_frame_is_ended(lgpio: Recorder) -> None:
    lgpio.gate = threading.Event()
    line = WiegandBuilding(options(), options().lines())
    line.present(Badge(4711))
    until(lambda: line._waiting is None)
    closing = threading.Thread(target=line.close)
    closing.start()
    lgpio.gate.set()
    closing.join(5)
    assert not closing.is_alive()
    (frame,) = frames(pulses(lgpio.edges, 0))
    assert len(frame) == 26
    line.present(Badge(1))
    assert line.sent == 1


@pytest.mark.parametrize("fault", ["group_write", "stuck"])
def test_a_fault_shows_and_passes(lgpio: Recorder, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiegand_building, "_RETRY_S", (0.05, 0.1))
    line = WiegandBuilding(options(), options().lines())
    lgpio.fails = {fault, "group_claim_output"}
    lgpio.stuck = fault == "stuck"
    line.present(Badge(4711))
    until(lambda: not line.healthy)
    line.present(Badge(4712))
    assert (line.sent, line.dropped) == (0, 2)
    lgpio.fails, lgpio.stuck = set(), False
    until(lambda: line.healthy)
    line.present(Badge(4713))
    until(lambda: line.sent == 1)
    line.close()


def test_no_library(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    monkeypatch.setitem(sys.modules, "lgpio", None)
    with pytest.raises(OSError, match="lgpio library is not installed"):
        open_building(options())
    (check,) = run(wiegand_building.examine(options()))
    assert check.health is Health.FAULT
    assert check.advice


@pytest.mark.parametrize("what", ["gpiochip_open", "group_claim_output"])
def test_no_pins(lgpio: Recorder, what: str) -> None:
    lgpio.fails = {what}
    with pytest.raises(OSError, match=r"GPIO chip|cannot be used"):
        open_building(options())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"d1": 23}, "share"),
        ({"facility": 256}, "0 to 255"),
        ({"format": 35}, "format"),
        ({"pulse_us": 10}, "pulse_us"),
        ({"interval_us": 100_000}, "interval_us"),
        ({"pulse": "down"}, "pulse"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        options(**changes)


def test_doctor(lgpio: Recorder, run: Any) -> None:
    (check,) = run(wiegand_building.examine(options()))
    assert check.health is Health.OK
    checks = run(wiegand_building.examine(options(d0=2)))
    assert [each.health for each in checks] == [Health.OK, Health.WARNING]
    lgpio.fails = {"group_claim_output"}
    (check,) = run(wiegand_building.examine(options()))
    assert check.health is Health.FAULT


def test_no_building(run: Any) -> None:
    chosen = disabled_building.Options()
    line = disabled_building.open_building(chosen)
    line.present(Badge(1))
    assert line.healthy
    line.close()
    assert run(disabled_building.examine(chosen)) == ()
