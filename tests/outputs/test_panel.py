"""The panel over the real board on gpiozero's mock pins: signs, the relay's rules, a display that breaks or blocks."""

from __future__ import annotations

import runpy
import threading
import time
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest

from mdoc_reader.drivers import simulated_pins
from mdoc_reader.drivers.board import Board
from mdoc_reader.model.decision import Decision, Outcome
from mdoc_reader.model.sign import Sign
from mdoc_reader.outputs.display_owner import MAX_QUARANTINED
from mdoc_reader.outputs.languages import english
from mdoc_reader.outputs.panel import Panel
from mdoc_reader.outputs.ports import Blink, Mood, Note, Screen
from mdoc_reader.outputs.signals import BLANK, Signal, naming, signals

GRANTED = Decision(Outcome.GRANTED)
ROOT = Path(__file__).resolve().parents[2]


def eventually(wanted: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait until something is true."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if wanted():
            return True
        time.sleep(0.005)
    return False


class RecordingDisplay:
    """A display of the bench: remembers screens, fails or blocks as told."""

    def __init__(self) -> None:
        self.shown: list[Screen] = []
        self.opened = 0
        self.closed = 0
        self.missing = False
        self.broken = False
        self.gate = threading.Event()
        self.gate.set()

    def open(self) -> RecordingDisplay:
        self.opened += 1
        if self.missing:
            raise OSError("no display")
        return self

    def show(self, screen: Screen) -> None:
        self.gate.wait(20)
        if self.broken:
            raise OSError("gone")
        self.shown.append(screen)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def board() -> Iterator[Board]:
    pins = simulated_pins.open_pins(simulated_pins.Options())
    assert isinstance(pins, Board)
    yield pins
    pins.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name == "panel-pins"]


def level(board: Board, number: int) -> float:
    """Read a mock pin."""
    return float(next(pin.state for info, pin in board._factory.pins.items() if info.name == f"GPIO{number}"))


RELAY, GREEN, RED = 23, 17, 22


def test_each_sign_has_its_own_light_sound_and_screen() -> None:
    table = dict(signals())
    assert set(table) == set(Sign)
    assert table.pop(Sign.ASLEEP) == Signal((), (), BLANK), "asleep is the one sign without light, sound and words"
    assert all(signal.lamps for signal in table.values())
    assert all(signal.notes for sign, signal in table.items() if sign is not Sign.READY)
    assert len({signal.screen for signal in table.values()}) == len(table)
    assert len({signal.screen.icon for signal in table.values()}) == len(table)
    for (one, a), (other, b) in combinations(table.items(), 2):
        assert distinct_light(a.lamps[0][1], b.lamps[0][1]), f"{one} and {other} blink alike"
        assert beat(a.notes) != beat(b.notes), f"{one} and {other} sound alike to who does not hear pitch"
    for signal in table.values():
        assert len({blink for _, blink in signal.lamps}) == 1


def distinct_light(a: Blink, b: Blink) -> bool:
    """Whether two rhythms differ whatever the colour: in steadiness, period or share of light."""
    if (a.off_s == 0) != (b.off_s == 0):
        return True
    if a.off_s == 0:
        return False
    periods = sorted((a.on_s + a.off_s, b.on_s + b.off_s))
    share = abs(a.on_s / (a.on_s + a.off_s) - b.on_s / (b.on_s + b.off_s))
    return periods[1] / periods[0] >= 1.16 or share >= 0.3


def beat(notes: tuple[Note, ...]) -> list[tuple[bool, float]]:
    """Return sound and silence with their lengths, pitch left out."""
    merged: list[tuple[bool, float]] = []
    for note in notes:
        sounding = note.hertz > 0
        if merged and merged[-1][0] == sounding:
            merged[-1] = (sounding, round(merged[-1][1] + note.seconds, 3))
        else:
            merged.append((sounding, note.seconds))
    return merged


def test_no_lamp_flashes_more_than_three_times_a_second() -> None:
    for signal in signals().values():
        for _, blink in signal.lamps:
            assert blink.off_s == 0 or blink.on_s + blink.off_s > 1 / 3


def test_moods_never_stand_alone_and_good_is_for_a_grant_only() -> None:
    table = signals()
    assert {sign for sign, signal in table.items() if signal.screen.mood is Mood.GOOD} == {Sign.GRANTED}
    assert {signal.screen.mood for signal in table.values()} == set(Mood)


def test_the_page_of_the_panel_is_up_to_date() -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "panel_docs.py"))
    assert (ROOT / "docs" / "panel.md").read_text(encoding="utf-8") == tool["markdown"]()
    assert (ROOT / "docs" / "panel_screens.png").exists()


def test_a_sign_reaches_lamps_at_once_and_the_display_after(board: Board) -> None:
    display = RecordingDisplay()
    with Panel(board, display.open) as panel:
        before = time.monotonic()
        panel.signal(Sign.GRANTED)
        assert panel.last_light is not None
        assert before <= panel.last_light <= time.monotonic()
        assert level(board, GREEN) == 1
        assert level(board, RELAY) == 0, "a sign alone opens nothing"
        assert eventually(lambda: display.shown[-1:] == [signals()[Sign.GRANTED].screen])
        panel.signal(Sign.REFUSED)
        assert (level(board, GREEN), level(board, RED)) == (0, 1)
        assert panel.healthy
        assert panel.sign is Sign.REFUSED


def test_a_fault_names_its_parts_on_the_display_and_lights_once(board: Board) -> None:
    display = RecordingDisplay()
    with Panel(board, display.open) as panel:
        panel.signal(Sign.FAULT, ("bluetooth",))
        lit = panel.last_light
        assert eventually(
            lambda: display.shown[-1:] == [naming(signals()[Sign.FAULT].screen, Sign.FAULT, ("bluetooth",), english())]
        )
        assert display.shown[-1].lines == ("No Bluetooth", "Please ask the staff")
        panel.signal(Sign.FAULT, ("bluetooth", "camera"))
        assert eventually(lambda: display.shown[-1].lines[0] == "No Bluetooth, Camera")
        assert panel.last_light == lit
        panel.signal(Sign.READY)
        assert eventually(lambda: display.shown[-1] == signals()[Sign.READY].screen)


def test_signal_is_quick_for_its_caller(board: Board) -> None:
    display = RecordingDisplay()
    with Panel(board, display.open) as panel:
        times = []
        for sign in [*Sign] * 10:
            before = time.perf_counter()
            panel.signal(sign)
            times.append(time.perf_counter() - before)
        assert sorted(times)[len(times) // 2] < 0.001


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.GRANTED])
def test_the_relay_refuses_any_other_decision(board: Board, outcome: Outcome) -> None:
    with Panel(board, RecordingDisplay().open) as panel:
        with pytest.raises(ValueError, match="granted"):
            panel.grant(Decision(outcome))
        assert level(board, RELAY) == 0
        assert panel.sign is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_pulse_must_be_above_zero(board: Board, seconds: float) -> None:
    with Panel(board, RecordingDisplay().open) as panel, pytest.raises(ValueError, match="zero"):
        panel.grant(GRANTED, seconds)
    with pytest.raises(ValueError, match="zero"):
        Panel(board, RecordingDisplay().open, relay_pulse_s=seconds)


def test_a_grant_lights_first_and_its_pulse_ends_by_itself() -> None:
    pins = OrderedPins()
    display = RecordingDisplay()
    with Panel(pins, display.open) as panel:
        pins.calls.clear()
        panel.grant(GRANTED, 0.5)
        assert [name for name, _ in pins.calls] == ["light", "light", "light", "energise_relay", "tone"]
        pins.calls.clear()
        panel.signal(Sign.GRANTED)
        pins.calls.clear()
        panel.grant(GRANTED)
        assert pins.calls == [("energise_relay", 3.0)], "what is said already is not said again"


class OrderedPins:
    """Pins that remember the order of calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.healthy = True

    def light(self, colour: object, blink: object) -> None:
        self.calls.append(("light", (colour, blink)))

    def tone(self, notes: object) -> None:
        self.calls.append(("tone", notes))

    def energise_relay(self, seconds: float) -> None:
        self.calls.append(("energise_relay", seconds))

    def rest(self) -> None:
        self.calls.append(("rest", None))

    def close(self) -> None:
        self.calls.append(("close", None))


def test_the_pulse_returns_on_the_board(board: Board) -> None:
    with Panel(board, RecordingDisplay().open) as panel:
        panel.grant(GRANTED, 0.1)
        assert level(board, RELAY) == 1
        assert eventually(lambda: level(board, RELAY) == 0)


def test_rest_ends_a_pulse_and_darkens(board: Board) -> None:
    display = RecordingDisplay()
    with Panel(board, display.open) as panel:
        panel.grant(GRANTED)
        panel.rest()
        assert (level(board, RELAY), level(board, GREEN)) == (0, 0)
        assert panel.sign is None
        assert eventually(lambda: display.shown[-1:] == [BLANK])


def test_an_exception_leaves_everything_at_rest(board: Board) -> None:
    display = RecordingDisplay()
    pins = {info.name: pin for info, pin in board._factory.pins.items()}
    panel = Panel(board, display.open)

    def presentation() -> None:
        with panel:
            panel.grant(GRANTED)
            assert pins["GPIO23"].state == 1
            raise RuntimeError("a presentation broke")

    with pytest.raises(RuntimeError):
        presentation()
    assert {name: float(pin.state) for name, pin in pins.items()} == dict.fromkeys(pins, 0.0)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("panel-")]
    panel.close()
    panel.signal(Sign.GRANTED)
    panel.grant(GRANTED)
    panel.rest()
    assert pins["GPIO23"].state == 0


def test_the_latest_screen_wins(board: Board) -> None:
    display = RecordingDisplay()
    with Panel(board, display.open) as panel:
        panel.signal(Sign.READY)
        assert eventually(lambda: len(display.shown) == 1)
        display.gate.clear()
        panel.signal(Sign.CONNECTING)
        time.sleep(0.05)
        for sign in (Sign.APPROVE, Sign.HOLD_STILL, Sign.CHECKING, Sign.REFUSED):
            panel.signal(sign)
        display.gate.set()
        last = signals()[Sign.REFUSED].screen
        assert eventually(lambda: display.shown[-1] == last)
        assert len(display.shown) <= 3


def test_a_missing_display_is_told_and_found_again(board: Board) -> None:
    display = RecordingDisplay()
    display.missing = True
    told: list[tuple[str, bool]] = []
    with Panel(board, display.open, back_off_s=(0.02, 0.05)) as panel:
        panel.on_health(lambda part, works: told.append((part, works)))
        panel.signal(Sign.READY)
        assert eventually(lambda: not panel.healthy)
        assert level(board, GREEN) == 1
        assert eventually(lambda: display.opened >= 3)
        display.missing = False
        assert eventually(lambda: display.shown == [signals()[Sign.READY].screen])
        assert eventually(lambda: told == [("display", False), ("display", True)])
        display.broken = True
        panel.signal(Sign.FAULT)
        assert eventually(lambda: display.closed >= 1)
        display.broken = False
        assert eventually(lambda: display.shown[-1] == signals()[Sign.FAULT].screen)


def test_retries_slow_down() -> None:
    display = RecordingDisplay()
    display.missing = True
    with Panel(OrderedPins(), display.open, back_off_s=(0.1, 10.0)) as panel:
        panel.signal(Sign.READY)
        time.sleep(0.5)
        panel.signal(Sign.FAULT)
        assert display.opened <= 4


def test_a_blocked_display_is_replaced_while_lamps_and_relay_go_on(board: Board) -> None:
    stuck, good = RecordingDisplay(), RecordingDisplay()
    stuck.gate.clear()
    displays = iter([stuck])
    panel = Panel(board, lambda: next(displays, good).open(), overrun_s=0.1)
    with panel:
        panel.signal(Sign.CONNECTING)
        time.sleep(0.15)
        before = time.perf_counter()
        panel.grant(GRANTED, 0.2)
        assert time.perf_counter() - before < 0.05
        assert (level(board, GREEN), level(board, RELAY)) == (1, 1)
        assert panel._display.quarantined == 1
        assert eventually(lambda: good.shown == [signals()[Sign.GRANTED].screen])
        assert eventually(lambda: panel.healthy)
        stuck.gate.set()
        assert eventually(lambda: panel._display.quarantined == 0)
        assert stuck.closed == 1
        assert eventually(lambda: len(good.shown) == 2), "the returned thread may have blanked the device: drawn again"
    assert not [thread.name for thread in threading.enumerate() if thread.name == "panel-display"]


def test_stuck_threads_are_bounded() -> None:
    display = RecordingDisplay()
    display.gate.clear()
    panel = Panel(OrderedPins(), display.open, overrun_s=0.02)
    for _ in range(20):
        panel.signal(Sign.READY)
        time.sleep(0.03)
        assert not (panel.healthy and panel._display.quarantined)
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("panel-display") == MAX_QUARANTINED
    display.gate.set()
    assert eventually(lambda: panel.healthy), "asking for health brings the display back once threads return"
    panel.close()
    assert eventually(lambda: "panel-display" not in [thread.name for thread in threading.enumerate()])


def test_closing_does_not_wait_for_a_blocked_display(board: Board) -> None:
    display = RecordingDisplay()
    display.gate.clear()
    panel = Panel(board, display.open)
    panel.grant(GRANTED)
    time.sleep(0.05)
    before = time.monotonic()
    panel.close()
    assert time.monotonic() - before < 1.5
    display.gate.set()
    assert eventually(lambda: "panel-display" not in [thread.name for thread in threading.enumerate()])


def test_pins_that_fail_are_told() -> None:
    pins = OrderedPins()
    told: list[tuple[str, bool]] = []
    with Panel(pins, RecordingDisplay().open) as panel:
        panel.on_health(lambda part, works: told.append((part, works)))
        panel.signal(Sign.READY)
        pins.healthy = False
        panel.signal(Sign.CONNECTING)
        assert not panel.healthy
        pins.healthy = True
        panel.rest()
        assert panel.healthy
    assert told == [("pins", False), ("pins", True)]
