"""Contacts on the board over gpiozero's mock pins: told in order, bounded, and fire before everything."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from gpiozero.exc import GPIOZeroError
from gpiozero.pins.mock import MockFactory, MockPin

from mdoc_reader.drivers import simulated_pins
from mdoc_reader.drivers.board import Board
from mdoc_reader.drivers.board_teller import MAX_WAITING, Teller
from mdoc_reader.drivers.board_wiring import Wiring
from mdoc_reader.lab.bench_panel import Bench
from mdoc_reader.outputs.ports import Blink, Contact

RELAY, ALARM, DOOR, EXIT, FIRE, RESET = 23, 24, 5, 6, 13, 12
NAMES = {DOOR: "door", EXIT: "exit", FIRE: "fire", RESET: "fire_reset"}


def eventually(wanted: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait until something is true."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if wanted():
            return True
        time.sleep(0.002)
    return False


class Bad(MockPin):
    """A pin that cannot be read while its factory says so."""

    def _get_state(self) -> bool:
        if self.info.name in self.factory.unreadable:
            raise GPIOZeroError("the line is gone")
        return bool(super()._get_state())


class Bare(MockFactory):
    """gpiozero's own mock pins, without a bench."""

    def __init__(self) -> None:
        super().__init__(revision="a02082", pin_class=Bad)
        self.unreadable: set[str] = set()


class House:
    """A board, its far end and what was told. Loops are whole and buttons up until something is pressed."""

    def __init__(self, **options: object) -> None:
        wired = {"relay": RELAY, "alarm": ALARM, "door": {"pin": DOOR}, "exit": {"pin": EXIT}, "fire": {"pin": FIRE}}
        self.wiring = msgspec.convert(wired | options, Wiring)
        self.factory = Bare()
        self.lines = {one.name: one for one in self.wiring.inputs()}
        self.told: list[tuple[Contact, bool]] = []
        self.threads: set[str] = set()
        for one in self.lines.values():
            pin = self.factory.pin(one.pin)
            pin._set_pull = lambda value, pin=pin, level=not one.active_high: self.pull(pin, value, level)
        self.board = Board(self.factory, self.wiring)
        self.board.on_contact(self.tell)

    @staticmethod
    def pull(pin: MockPin, value: str, level: bool) -> None:
        pin._pull = value
        (pin.drive_high if level else pin.drive_low)()

    def tell(self, contact: Contact, active: bool, at: float) -> None:
        assert at <= time.monotonic()
        self.threads.add(threading.current_thread().name)
        self.told.append((contact, active))

    def move(self, name: str, active: bool) -> None:
        one = self.lines[name]
        pin = self.factory.pin(one.pin)
        (pin.drive_high if active is one.active_high else pin.drive_low)()

    @property
    def relay(self) -> bool:
        return bool(self.factory.pin(RELAY).state)

    def known(self) -> bool:
        return eventually(lambda: len(self.told) >= len([one for one in self.lines.values() if one.contact]))


@pytest.fixture
def houses() -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def make(**options: object) -> House:
        made.append(House(**options))
        return made[-1]

    yield make
    for house in made:
        house.board.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("panel-")]


def test_each_contact_is_told_once_then_at_each_change(houses: Callable[..., House]) -> None:
    house = houses()
    assert house.known()
    assert sorted(house.told) == [(Contact.EXIT, False), (Contact.FIRE, False), (Contact.OPEN, False)]
    house.move("exit", True)
    assert eventually(lambda: house.told[3:] == [(Contact.EXIT, True)])
    house.move("exit", False)
    house.move("door", True)
    assert eventually(lambda: sorted(house.told[4:]) == [(Contact.EXIT, False), (Contact.OPEN, True)])
    late: list[tuple[Contact, bool]] = []
    house.board.on_contact(lambda contact, active, at: late.append((contact, active)))
    assert eventually(lambda: sorted(late) == [(Contact.EXIT, False), (Contact.FIRE, False), (Contact.OPEN, True)])
    assert house.threads == {"panel-contacts"}
    assert house.board.healthy


def test_a_cut_wire_is_an_open_door_and_fire(houses: Callable[..., House]) -> None:
    house = houses()
    assert house.known()
    for name in ("door", "fire"):
        assert house.wiring.inputs()[0].pull == "up"
        house.factory.pin(house.lines[name].pin).drive_high()
    assert eventually(lambda: {(Contact.OPEN, True), (Contact.FIRE, True)} <= set(house.told))
    assert house.relay


def test_a_glitch_is_not_told(houses: Callable[..., House]) -> None:
    house = houses()
    assert house.known()
    for _ in range(3):
        house.move("door", True)
        time.sleep(0.01)
        house.move("door", False)
        time.sleep(0.06)
    assert len(house.told) == 3


@pytest.mark.parametrize("rest", ["released", "energised"])
def test_fire_frees_the_door_for_as_long_as_it_lasts(houses: Callable[..., House], rest: str) -> None:
    house = houses(relay_rest=rest, relay_max_s=0.1)
    free = rest == "released"
    assert house.known()
    assert house.relay is not free
    house.move("fire", True)
    assert eventually(lambda: house.relay is free)
    house.board.energise_relay(0.05)
    time.sleep(0.25)
    assert house.relay is free, "neither a pulse's end nor the maximum ends it"
    house.board.rest()
    assert house.relay is free
    house.move("fire", False)
    assert eventually(lambda: house.relay is not free)
    assert eventually(lambda: house.told[3:] == [(Contact.FIRE, True), (Contact.FIRE, False)])


def test_fire_at_the_start_frees_the_door(houses: Callable[..., House]) -> None:
    class Burning(House):
        def pull(self, pin: MockPin, value: str, level: bool) -> None:
            super().pull(pin, value, True if pin.info.name == f"GPIO{FIRE}" else level)

    house = Burning()
    assert eventually(lambda: house.relay)
    house.board.close()


def test_a_latched_fire_waits_for_a_key_that_is_turned(houses: Callable[..., House]) -> None:
    house = houses(fire_latch=True, fire_reset={"pin": RESET})
    assert house.known()
    house.move("fire", True)
    assert eventually(lambda: house.relay)
    house.move("fire_reset", True)
    time.sleep(0.1)
    house.move("fire", False)
    time.sleep(0.1)
    assert house.relay, "a key left in its switch resets nothing"
    house.move("fire_reset", False)
    time.sleep(0.1)
    house.board.rest()
    assert house.relay
    house.move("fire_reset", True)
    assert eventually(lambda: not house.relay)
    assert eventually(lambda: house.told[-1] == (Contact.FIRE, False))


@pytest.mark.parametrize("meaning", ["release", "hold"])
def test_a_fire_contact_that_cannot_be_read_counts_as_configured(houses: Callable[..., House], meaning: str) -> None:
    house = houses(fire_fault=meaning)
    assert house.known()
    house.factory.unreadable.add(f"GPIO{FIRE}")
    assert eventually(lambda: house.board.troubles == {"fire": "unreadable"})
    assert not house.board.healthy
    assert house.relay is (meaning == "release")
    house.factory.unreadable.clear()
    assert eventually(lambda: house.board.healthy)
    assert not house.relay
    house.move("fire", True)
    assert eventually(lambda: house.relay)
    house.factory.unreadable.add(f"GPIO{FIRE}")
    assert eventually(lambda: bool(house.board.troubles))
    assert house.relay, "what burned before goes on burning"


def test_a_chattering_fire_contact_frees_the_door(houses: Callable[..., House]) -> None:
    house = houses()
    assert house.known()
    ends = time.monotonic() + 10
    while time.monotonic() < ends and house.board.troubles != {"fire": "chatters"}:
        house.move("fire", True)
        time.sleep(0.003)
        house.move("fire", False)
        time.sleep(0.003)
    assert house.relay
    assert eventually(lambda: not house.relay and not house.board.troubles)


def test_fire_needs_neither_the_event_loop_nor_those_who_are_told(houses: Callable[..., House]) -> None:
    house = houses()
    assert house.known()
    gate = threading.Event()
    house.board.on_contact(lambda contact, active, at: gate.wait(20) and None)
    house.move("exit", True)
    time.sleep(0.1)
    house.move("fire", True)
    try:
        assert eventually(lambda: house.relay, 1.0)
        assert (Contact.FIRE, True) not in house.told
    finally:
        gate.set()
    assert eventually(lambda: (Contact.FIRE, True) in house.told)


def test_from_fire_to_relay(houses: Callable[..., House], record_property: Callable[[str, object], None]) -> None:
    house = houses()
    assert house.known()
    took: list[float] = []
    relay = house.factory.pin(RELAY)
    for _ in range(12):
        begin = time.monotonic()
        house.move("fire", True)
        assert eventually(lambda: bool(relay.state), 2)
        took.append(time.monotonic() - begin)
        house.move("fire", False)
        assert eventually(lambda: not relay.state, 2)
    record_property("fire_to_relay_ms", [round(one * 1000, 1) for one in took])
    assert min(took) >= 0.02, "a glitch frees nothing"
    assert statistics.median(took) < 0.1


def test_those_who_are_told_may_use_the_board(houses: Callable[..., House]) -> None:
    house = houses()
    assert house.known()
    house.board.on_contact(lambda contact, active, at: house.board.alarm(Blink() if active else None))
    house.move("exit", True)
    assert eventually(lambda: bool(house.factory.pin(ALARM).state))
    house.board.on_contact(lambda contact, active, at: house.board.close())
    assert eventually(lambda: house.board._closing)


def test_one_who_breaks_is_seen_and_the_relay_is_safe(
    houses: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    house = houses()
    assert house.known()
    assert time.monotonic() - house.board.heartbeat < 1

    def breaks(contact: Contact, active: bool, at: float) -> None:
        raise ValueError("a defect")

    house.board.on_contact(breaks)
    assert eventually(lambda: not house.board.healthy)
    assert house.board.heartbeat == 0, "the watchdog is to know"
    house.board.energise_relay(0.05)
    assert house.relay
    assert eventually(lambda: not house.relay)
    house.move("fire", True)
    assert eventually(lambda: house.relay)


def test_a_stuck_button_is_seen(houses: Callable[..., House]) -> None:
    house = houses(exit={"pin": EXIT, "stuck_s": 1})
    assert house.known()
    house.move("exit", True)
    time.sleep(0.2)
    assert house.board.healthy
    assert eventually(lambda: house.board.troubles == {"exit": "stuck"})
    assert not house.board.healthy
    house.move("exit", False)
    assert eventually(lambda: house.board.healthy)


def test_who_lags_is_told_what_is_so_and_no_more_is_kept() -> None:
    teller = Teller()
    gate = threading.Event()
    heard: list[tuple[Contact, bool]] = []

    def slow(contact: Contact, active: bool, at: float) -> None:
        gate.wait(20)
        heard.append((contact, active))

    teller.add(slow, [])
    for number in range(3 * MAX_WAITING):
        teller.tell((Contact.EXIT, number % 2 == 0, 0.0), [(Contact.EXIT, False, 0.0), (Contact.OPEN, True, 0.0)])
        assert len(teller._waiting) <= MAX_WAITING
    teller.tell((Contact.EXIT, True, 1.0), [(Contact.EXIT, True, 1.0)])
    gate.set()
    assert eventually(lambda: not teller._waiting)
    assert eventually(lambda: heard[-1] == (Contact.EXIT, True))
    assert (Contact.OPEN, True) in heard
    teller.close()
    teller.add(slow, [])
    teller.tell((Contact.EXIT, True, 1.0), [])
    assert not teller._waiting


def test_the_pulse_ends_when_the_door_opens(houses: Callable[..., House]) -> None:
    house = houses(relay_until_open=True)
    assert house.known()
    house.board.energise_relay(9)
    house.move("door", True)
    assert eventually(lambda: not house.relay)


def test_the_relay_rests_between_pulses(houses: Callable[..., House]) -> None:
    house = houses(relay_pause_s=0.3)
    house.board.energise_relay(0.05)
    assert eventually(lambda: not house.relay)
    ended = time.monotonic()
    house.board.energise_relay(0.05)
    assert not house.relay
    assert eventually(lambda: house.relay)
    assert time.monotonic() - ended > 0.25
    assert eventually(lambda: not house.relay)


def test_the_alarm_has_a_rhythm_that_a_rest_leaves_alone(houses: Callable[..., House]) -> None:
    house = houses()
    alarm = house.factory.pin(ALARM)
    house.board.alarm(Blink(0.03, 0.03))
    assert eventually(lambda: len(alarm.states) >= 5)
    house.board.alarm(Blink())
    house.board.rest()
    assert alarm.state
    house.board.close()
    assert not alarm.state


def test_a_contact_that_cannot_be_had_is_an_os_error() -> None:
    before = threading.active_count()
    with pytest.raises(OSError, match="pull"):
        Board(Bare(), msgspec.convert({"relay": RELAY, "exit": {"pin": 2, "pull": "down"}}, Wiring))
    assert threading.active_count() == before


def test_a_sample_of_every_contact_costs_little() -> None:
    names = ("door", "exit", "fire", "wake", "cancel", "language", "confirm", "reject")
    house = House(**{name: {"pin": number + 4} for number, name in enumerate(names)})
    contacts = house.board._contacts
    assert contacts is not None
    before = time.thread_time()
    with house.board._wake:
        for number in range(200):
            contacts.sample(time.monotonic() + number)
    spent = (time.thread_time() - before) / 200
    house.board.close()
    assert spent < 0.002, f"{spent * 1e6:.0f} microseconds, a hundred times a second"


def test_the_bench_presses_contacts(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Bench(tmp_path / "panel.sock") as bench:
            pins = simulated_pins.open_pins(msgspec.convert({"wire": str(bench.path)}, simulated_pins.Options))
            told: list[tuple[Contact, bool]] = []
            pins.on_contact(lambda contact, active, at: told.append((contact, active)))
            await bench.wait_for(lambda state: "door" in state.parts)
            assert not bench.state.active("fire")
            await bench.press("exit", 0.1)
            await bench.contact("door")
            await asyncio.sleep(0.2)
            assert {(Contact.EXIT, True), (Contact.OPEN, True)} <= set(told)
            await bench.contact("fire")
            await bench.wait_for(lambda state: state.relay)
            await bench.contact("fire", active=False)
            await bench.wait_for(lambda state: not state.relay)
            with pytest.raises(TimeoutError):
                await bench.contact("window", timeout_s=0.1)
            await asyncio.to_thread(pins.close)

    asyncio.run(scene())


def test_nonsense_from_a_bench_is_dropped(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Bench(tmp_path / "panel.sock") as bench:
            pins = simulated_pins.open_pins(msgspec.convert({"wire": str(bench.path)}, simulated_pins.Options))
            assert isinstance(pins, Board)
            wire = pins._factory._wire
            await bench.wait_for(lambda state: "door" in state.parts)
            (writer,) = bench._writers
            writer.write(b'{"contact":"exit"}\n{"contact":"relay","active":true}\n[]\n' + b"x" * 10_000)
            assert await asyncio.to_thread(eventually, lambda: wire.refused >= 3)
            assert len(wire._heard) <= simulated_pins.MAX_HEARD
            writer.write(b"\n")
            await bench.contact("exit")
            assert not bench.state.relay
            await asyncio.to_thread(pins.close)

    asyncio.run(scene())
