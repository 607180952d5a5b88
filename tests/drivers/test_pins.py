"""The board on gpiozero's mock pins, and the wire that tells a bench about them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from gpiozero.exc import GPIOZeroError
from gpiozero.pins.mock import MockFactory

from mdoc_reader.drivers import disabled_pins, gpiozero_pins, simulated_pins
from mdoc_reader.drivers.board import Board
from mdoc_reader.drivers.board_wiring import Wiring
from mdoc_reader.lab.bench_panel import Bench
from mdoc_reader.outputs.ports import Blink, Colour, Note

NAMES = ("door", "exit", "fire", "wake", "cancel", "language", "confirm", "reject")


def eventually(wanted: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait until something is true."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if wanted():
            return True
        time.sleep(0.005)
    return False


def board(**options: object) -> Board:
    """Open simulated pins with options as a configuration gives them."""
    pins = simulated_pins.open_pins(msgspec.convert(options, simulated_pins.Options))
    assert isinstance(pins, Board)
    return pins


def mock(pins: Board, number: int) -> object:
    """Return the mock pin."""
    return next(pin for info, pin in pins._factory.pins.items() if info.name == f"GPIO{number}")


def test_a_rhythm_goes_on_by_itself_and_ends() -> None:
    pins = board()
    green = mock(pins, 17)
    pins.light(Colour.GREEN, Blink(0.05, 0.03))
    assert green.state == 1
    assert eventually(lambda: len(green.states) >= 6)
    pins.light(Colour.GREEN, None)
    assert green.state == 0
    seen = len(green.states)
    time.sleep(0.15)
    assert len(green.states) == seen
    pins.light(Colour.GREEN, Blink())
    time.sleep(0.1)
    assert (green.state, len(green.states)) == (1, seen + 1)
    pins.close()
    pins.close()
    assert green.state == 0
    assert [thread.name for thread in threading.enumerate() if thread.name == "panel-pins"] == []


def test_notes_are_played_in_order_and_replaced() -> None:
    pins = board()
    buzzer = mock(pins, 18)
    pins.tone([Note(1000, 0.03), Note(0, 0.03), Note(500, 0.03)])
    assert (buzzer.state, buzzer.frequency) == (0.5, 1000)
    assert eventually(lambda: [state.state for state in buzzer.states][-4:] == [0.5, 0.0, 0.5, 0.0])
    assert buzzer.frequency == 500
    pins.tone([Note(700, 5.0)])
    pins.tone([])
    assert buzzer.state == 0
    pins.tone([Note(1, 1e9), Note(440, 1.0)])
    assert buzzer.frequency == 20
    pins.close()


def test_a_buzzer_with_one_tone_of_its_own_keeps_the_rhythm() -> None:
    pins = board(buzzer_tonal=False)
    buzzer = mock(pins, 18)
    pins.tone([Note(1000, 0.02), Note(0, 0.02), Note(500, 0.02)])
    assert eventually(lambda: [bool(state.state) for state in buzzer.states] == [False, True, False, True, False])
    pins.close()


def test_the_pulse_is_bounded_by_the_driver() -> None:
    pins = board(relay_max_s=0.1)
    relay = mock(pins, 23)
    before = time.monotonic()
    pins.energise_relay(3600)
    assert relay.state == 1
    assert eventually(lambda: relay.state == 0)
    assert 0.09 <= time.monotonic() - before < 2
    for seconds in (0, -1, float("nan")):
        pins.energise_relay(seconds)
        assert relay.state == 0
    pins.close()
    pins.energise_relay(1)


def test_an_active_low_relay_rests_high() -> None:
    pins = board(relay_active_high=False)
    relay = mock(pins, 23)
    assert relay.state == 1
    pins.energise_relay(5)
    assert relay.state == 0
    pins.rest()
    assert relay.state == 1
    pins.energise_relay(5)
    pins.close()
    assert relay.state == 1


def test_a_fail_safe_lock_is_held_and_let_go() -> None:
    pins = board(relay_rest="energised")
    relay = mock(pins, 23)
    assert relay.state == 1
    pins.energise_relay(0.05)
    assert relay.state == 0
    assert eventually(lambda: relay.state == 1)
    pins.close()


def test_the_relay_does_not_move_without_the_thread_that_ends_its_pulse() -> None:
    pins = board()
    relay = mock(pins, 23)
    pins.energise_relay(5)
    with pins._wake:
        pins._closing = True
        pins._wake.notify()
    pins._thread.join(5)
    assert relay.state == 0, "the thread rests the relay on its way out"
    pins._closing = False
    assert not pins.healthy
    pins.energise_relay(5)
    assert relay.state == 0
    pins.close()


class FailingDevice:
    """A relay whose line fails for a while."""

    def __init__(self, inner: object) -> None:
        self.inner = inner
        self.failing = True

    @property
    def value(self) -> float:
        return float(self.inner.value)

    @value.setter
    def value(self, value: float) -> None:
        if self.failing:
            raise GPIOZeroError("the line is gone")
        self.inner.value = value

    def close(self) -> None:
        self.inner.close()


def test_a_relay_that_does_not_obey_is_told_and_tried_again() -> None:
    pins = board()
    relay = mock(pins, 23)
    pins.energise_relay(0.05)
    device = FailingDevice(pins._relay)
    pins._relay = device
    assert eventually(lambda: not pins.healthy)
    assert relay.state == 1
    device.failing = False
    assert eventually(lambda: relay.state == 0)
    assert pins.healthy
    pins.close()


def test_parts_without_a_pin_are_left_out() -> None:
    pins = board(**dict.fromkeys((*Wiring().parts(), *NAMES)))
    pins.light(Colour.GREEN, Blink())
    pins.tone([Note(440, 1)])
    pins.energise_relay(1)
    pins.rest()
    assert pins._factory.pins == {}
    assert pins.healthy
    pins.close()


def test_pins_that_cannot_be_had_are_an_os_error() -> None:
    class NoPins(MockFactory):
        def pin(self, name: int, **kwargs: object) -> object:
            if name == 17:
                raise GPIOZeroError("taken")
            return super().pin(name, **kwargs)

    threads = threading.active_count()
    with pytest.raises(OSError, match="taken"):
        Board(NoPins(), Wiring(green=17, relay=23))
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    "wrong",
    [
        {"green": 17, "red": 17},
        {"green": 40},
        {"relay_max_s": 0},
        {"relay_max_s": 61.0},
        {"relay_rest": "open"},
        {"colour": 1},
    ],
)
@pytest.mark.parametrize("module", [gpiozero_pins, simulated_pins])
def test_wrong_options_are_refused(module: object, wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, module.Options)


def test_real_pins_refuse_a_factory_that_moves_nothing() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"factory": "mock"}, gpiozero_pins.Options)
    with pytest.raises(msgspec.ValidationError, match="moves a relay"):
        msgspec.convert({"factory": "native", "relay": 23}, gpiozero_pins.Options)
    assert (gpiozero_pins.SIMULATED, simulated_pins.SIMULATED, disabled_pins.SIMULATED) == (False, True, False)


@pytest.mark.skipif(Path("/dev/gpiochip0").exists(), reason="a machine with GPIO pins opens them")
@pytest.mark.parametrize("factory", ["lgpio", "rpigpio", "native"])
def test_a_machine_without_pins_is_an_os_error(factory: str) -> None:
    options = msgspec.convert({"factory": factory, "green": 23}, gpiozero_pins.Options)
    with pytest.raises(OSError, match=r"installed|opened|used"):
        gpiozero_pins.open_pins(options)


def test_disabled_pins_do_nothing() -> None:
    pins = disabled_pins.open_pins(disabled_pins.Options())
    pins.light(Colour.RED, Blink())
    pins.tone([Note(440, 1)])
    pins.energise_relay(1)
    pins.on_contact(lambda contact, active, at: None)
    pins.rest()
    pins.close()
    assert pins.healthy


def test_the_bench_hears_each_change(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Bench(tmp_path / "panel.sock") as bench:
            pins = board(wire=str(bench.path), relay_active_high=False)
            await bench.wait_for(lambda state: "relay" in state.parts)
            assert not bench.state.relay
            before = time.monotonic()
            pins.light(Colour.AMBER, Blink())
            pins.tone([Note(880, 0.05), Note(440, 0.05)])
            pins.energise_relay(0.1)
            await bench.wait_for(lambda state: state.relay and state.lit("amber"))
            await bench.wait_for(lambda state: not state.relay and not state.parts["buzzer"])
            assert [event.hertz for event in bench.state.events("buzzer", before)] == [880, 440, 0]
            opened, closed = bench.state.events("relay", before)
            assert (opened.value, opened.level, closed.value, closed.level) == (1, 0, 0, 1)
            assert 0.09 < closed.t - opened.t < 2
            await asyncio.to_thread(pins.close)
            await bench.wait_for(lambda state: not state.lit("amber"))
            assert bench.refused == 0

    asyncio.run(scene())


def test_a_bench_that_comes_late_is_told_the_state(tmp_path: Path) -> None:
    async def scene() -> None:
        pins = board(wire=str(tmp_path / "panel.sock"))
        pins.light(Colour.GREEN, Blink())
        async with Bench(tmp_path / "panel.sock") as bench:
            await asyncio.sleep(simulated_pins.RECONNECT_S)
            pins.light(Colour.RED, Blink())
            await bench.wait_for(lambda state: state.lit("green") and state.lit("red"))
        pins.light(Colour.RED, None)
        pins.light(Colour.RED, Blink())
        assert pins.healthy, "a bench that left costs nothing"
        pins.close()

    asyncio.run(scene())


def test_a_bench_that_does_not_listen_holds_nothing_up(tmp_path: Path) -> None:
    path = str(tmp_path / "deaf.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
        deaf.bind(path)
        deaf.listen()
        pins = board(wire=path)
        slowest = 0.0
        for number in range(5_000):
            before = time.perf_counter()
            pins.light(Colour.GREEN, Blink() if number % 2 else None)
            slowest = max(slowest, time.perf_counter() - before)
        assert slowest < 0.25
        assert len(pins._factory._wire._backlog) <= simulated_pins.MAX_BACKLOG
        assert len(mock(pins, 17).states) <= simulated_pins.MAX_HISTORY + 1
        pins.close()


def test_the_bench_survives_nonsense(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Bench(tmp_path / "panel.sock") as bench:
            _, writer = await asyncio.open_unix_connection(bench.path)
            writer.write(b'not json\n{"t":1}\n{"t":1.0,"pin":17,"name":"green","value":1}\n')
            await writer.drain()
            await bench.wait_for(lambda state: state.lit("green"))
            assert bench.refused == 2
            writer.write(b"x" * 20_000)
            await asyncio.sleep(0.05)
            writer.close()

    asyncio.run(scene())
