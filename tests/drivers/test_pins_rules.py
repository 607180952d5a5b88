"""The pure rules below the pins: what lasts on a contact, when the relay moves, what fire does, the wiring."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdoc_reader.drivers import gpiozero_pins
from mdoc_reader.drivers.board_contacts import CHATTER_S, MAX_CHANGES, QUIET_S, WINDOW_S, Settler, Trouble
from mdoc_reader.drivers.board_relay import FireRules, RelayRules
from mdoc_reader.drivers.board_wiring import Wiring
from mdoc_reader.outputs.ports import Contact


def feed(settler: Settler, raw: bool | None, begin: float, seconds: float, every: float = 0.01) -> list[float]:
    """Sample a level for so long; return when `settled` changed."""
    times = [begin + every * number for number in range(max(1, round(seconds / every)))]
    return [now for now in times if settler.sample(raw, now)]


def test_a_level_counts_once_it_lasted_and_is_told_with_its_beginning() -> None:
    contact = Settler(0.05)
    assert contact.settled is None
    assert feed(contact, False, 0, 0.2) == [pytest.approx(0.05, abs=0.011)]
    assert feed(contact, True, 1, 0.04) == []
    assert contact.restless
    assert feed(contact, False, 1.04, 0.2) == []
    assert not contact.restless
    assert feed(contact, True, 2, 0.2) == [pytest.approx(2.05, abs=0.011)]
    assert (contact.settled, contact.at) == (True, 2)


def test_a_loose_wire_tells_no_more_than_its_share_and_is_seen() -> None:
    contact = Settler(0.02)
    changes, now = 0, 0.0
    while now < 30:
        changes += len(feed(contact, True, now, 0.04)) + len(feed(contact, False, now + 0.04, 0.04))
        now += 0.08
    assert changes <= MAX_CHANGES * 30 / WINDOW_S
    assert contact.trouble(now) is Trouble.CHATTERS
    assert contact.unreliable
    quiet = feed(contact, True, now, QUIET_S + 0.1)
    assert (contact.settled, len(quiet)) == (True, 1), "what it rests at counts in the end"
    assert contact.trouble(now + 2) is None


def test_what_a_loose_wire_rests_at_counts_after_a_second_however_much_it_told() -> None:
    contact, now = Settler(0.005), 0.0
    for number in range(MAX_CHANGES + 2):
        feed(contact, number % 2 == 0, now, 0.02)
        now += 0.02
    assert contact.settled is False
    contact.sample(True, now)
    assert feed(contact, True, now, QUIET_S + 0.1) == [pytest.approx(now + QUIET_S, abs=0.011)]


def test_a_level_that_never_lasts_is_chatter_too() -> None:
    contact = Settler(0.05)
    feed(contact, False, 0, 1)
    now = 1.0
    while now < 1 + CHATTER_S:
        assert not feed(contact, True, now, 0.02)
        assert not feed(contact, False, now + 0.02, 0.02)
        now += 0.04
    assert contact.trouble(now) is Trouble.CHATTERS
    feed(contact, False, now, QUIET_S + 0.1)
    assert contact.trouble(now) is None


def test_a_process_that_was_held_up_does_not_take_that_for_chatter() -> None:
    contact = Settler(0.05)
    feed(contact, False, 0, 1)
    feed(contact, True, 5, 0.02)
    feed(contact, False, 9, 0.02)
    assert contact.trouble(9.1) is None
    assert feed(contact, True, 12, 0.1) == [pytest.approx(12.05, abs=0.011)]


def test_what_cannot_be_read_keeps_its_state_or_is_not_active() -> None:
    held, dropped = Settler(0.02), Settler(0.02, holds=False)
    for contact in (held, dropped):
        feed(contact, True, 0, 0.1)
        feed(contact, None, 1, 0.01)
        assert contact.trouble(1.01) is None, "one reading that failed is none"
        feed(contact, True, 1.01, 0.1)
    feed(held, None, 2, 0.1)
    assert (held.settled, held.trouble(2.1)) == (True, Trouble.UNREADABLE)
    assert feed(dropped, None, 2, 0.1) == [pytest.approx(2.02, abs=0.011)]
    assert (dropped.settled, dropped.trouble(2.1)) == (False, Trouble.UNREADABLE)
    assert feed(dropped, True, 3, 0.1) == [pytest.approx(3.02, abs=0.011)]
    assert dropped.trouble(3.1) is None


def test_a_stuck_contact_is_seen_until_it_lets_go() -> None:
    contact = Settler(0.02, stuck_s=60)
    feed(contact, True, 0, 0.1)
    assert contact.trouble(59.9) is None
    assert contact.trouble(60) is Trouble.STUCK
    feed(contact, False, 70, 0.1)
    assert contact.trouble(200) is None


LEVELS = st.lists(st.tuples(st.sampled_from([True, False, None]), st.integers(1, 30)), max_size=60)


@settings(max_examples=200, deadline=None)
@given(LEVELS, st.booleans())
def test_only_what_lasted_is_ever_told(levels: list[tuple[bool | None, int]], holds: bool) -> None:
    contact, now, before = Settler(0.05, holds=holds), 0.0, None
    told: list[float] = []
    for raw, samples in levels:
        began = now
        for _ in range(samples):
            if contact.sample(raw, now):
                told.append(now)
                assert contact.settled is not before
                assert contact.settled is (raw is True)
                assert contact.at <= began or raw is not None
                assert now - contact.at >= 0.05
                before = contact.settled
            now += 0.01
    for at in told:
        assert sum(at - WINDOW_S < other <= at for other in told) <= MAX_CHANGES + WINDOW_S / QUIET_S


def relay(*, rest: bool = False, max_s: float = 10, pause_s: float = 0.5, until_open: bool = False) -> RelayRules:
    return RelayRules(rest=rest, max_s=max_s, pause_s=pause_s, until_open=until_open)


def moved(coil: RelayRules, begin: float, end: float, every: float = 0.1) -> list[float]:
    """Return the times, in tenths of a second, at which the coil was out of a released rest."""
    steps = round((end - begin) / every)
    return [round(begin + every * number, 1) for number in range(steps) if coil.level(begin + every * number)]


def test_a_pulse_has_its_length() -> None:
    coil = relay()
    coil.grant(0.5, 1.0)
    assert coil.level(1.0)
    assert coil.due() == 1.5
    assert moved(coil, 1, 3) == [1.0, 1.1, 1.2, 1.3, 1.4]
    assert coil.due() == math.inf


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_no_time_is_no_pulse(seconds: float) -> None:
    coil = relay()
    coil.grant(seconds, 1)
    assert not coil.level(1)
    assert coil.due() == math.inf


def test_grants_that_follow_each_other_never_hold_the_coil_for_longer_than_its_maximum() -> None:
    coil = relay(max_s=2, pause_s=0.5)
    out: list[float] = []
    for tenth in range(100):
        now = tenth / 10
        coil.grant(1.5, now)
        if coil.level(now):
            out.append(now)
    longest = run = 0
    for tenth in range(100):
        run = run + 1 if tenth / 10 in out else 0
        longest = max(longest, run)
    assert longest <= 20
    assert len(out) >= 75, "and it rests no longer than the pause"


def test_who_is_let_in_during_the_pause_waits_for_its_end_and_loses_nothing() -> None:
    coil = relay(pause_s=0.5)
    coil.grant(1, 0)
    coil.level(0)
    assert not coil.level(1.0)
    coil.grant(0.3, 1.1)
    assert not coil.level(1.1)
    assert coil.due() == 1.5
    assert moved(coil, 1.1, 3) == [1.5, 1.6, 1.7]


def test_what_a_long_pulse_left_of_a_late_grant_comes_after_the_pause() -> None:
    coil = relay(max_s=2, pause_s=0.5)
    coil.grant(2, 0)
    coil.level(0)
    coil.grant(1, 1.5)
    assert coil.level(1.95)
    assert not coil.level(2.0)
    assert not coil.level(2.45)
    assert coil.level(2.5)
    assert not coil.level(3.0)


def test_a_pulse_ends_when_the_door_opens_where_that_is_set() -> None:
    for until_open in (False, True):
        coil = relay(until_open=until_open)
        coil.grant(5, 0)
        coil.level(0)
        coil.opened(1)
        assert coil.level(1) is not until_open


def test_a_door_that_opens_by_itself_ends_nothing_that_is_to_come() -> None:
    coil = relay(until_open=True, pause_s=0.5)
    coil.grant(1, 0)
    coil.level(0)
    coil.level(1)
    coil.grant(1, 1.2)
    coil.opened(1.3)
    assert coil.level(1.5)


def test_rest_ends_what_runs_and_what_waits() -> None:
    coil = relay()
    coil.grant(5, 0)
    coil.level(0)
    coil.rest(1)
    assert not coil.level(1)
    coil.grant(5, 1.1)
    coil.rest(1.2)
    assert moved(coil, 1.2, 9) == []


def test_what_is_over_before_it_began_keeps_no_clock_busy() -> None:
    coil = relay()
    coil.grant(5, 1)
    coil.rest(1)
    assert not coil.level(1)
    assert coil.due() == math.inf


@pytest.mark.parametrize("rest", [False, True])
def test_fire_is_above_everything_in_either_rest(rest: bool) -> None:
    coil = relay(rest=rest, max_s=1)
    free = not rest
    coil.fire = True
    assert coil.level(0) is free
    coil.rest(1)
    assert coil.level(1) is free
    coil.grant(1, 2)
    assert coil.level(2) is free
    assert coil.level(1000) is free
    coil.fire = False
    assert coil.level(1001) is rest


@settings(max_examples=200, deadline=None)
@given(
    st.booleans(),
    st.lists(
        st.tuples(
            st.sampled_from(["grant", "opened", "rest", "fire", "over", "wait"]), st.integers(0, 40), st.integers(0, 30)
        ),
        max_size=40,
    ),
)
def test_the_coil_moves_only_for_a_grant_or_fire(rest: bool, steps: list[tuple[str, int, int]]) -> None:
    coil = relay(rest=rest, max_s=2, pause_s=0.3, until_open=True)
    now, allowed, out = 0, 0.0, 0
    for what, tenths, pulse in steps:
        match what:
            case "grant":
                coil.grant(pulse / 10, now / 10)
                allowed = max(allowed, now / 10) + (min(pulse / 10, 2) + 0.3) * (pulse > 0)
            case "opened":
                coil.opened(now / 10)
            case "rest":
                coil.rest(now / 10)
                assert coil.fire or coil.level(now / 10) is rest
            case "fire" | "over":
                coil.fire = what == "fire"
        for _ in range(tenths):
            free = coil.level(now / 10) is not rest
            assert free or not coil.fire
            assert not free or coil.fire or now / 10 < allowed + 0.35
            out = out + 1 if free and not coil.fire else 0
            assert out <= 21
            assert coil.due() > now / 10
            now += 1


@pytest.mark.parametrize("latch", [False, True])
def test_fire_lasts_as_long_as_its_contact_or_until_a_reset(latch: bool) -> None:
    fire = FireRules(latch=latch, release_on_fault=True)
    assert not fire.watch(contact=False, unreliable=False, reset=False)
    assert fire.watch(contact=True, unreliable=False, reset=False)
    assert fire.watch(contact=True, unreliable=False, reset=True), "no reset while it burns"
    assert fire.watch(contact=False, unreliable=False, reset=False) is latch
    assert not fire.watch(contact=False, unreliable=False, reset=True)


def test_a_fire_contact_that_cannot_be_relied_on_counts_as_configured() -> None:
    release = FireRules(latch=False, release_on_fault=True)
    assert release.watch(contact=False, unreliable=True, reset=False)
    hold = FireRules(latch=False, release_on_fault=False)
    assert not hold.watch(contact=False, unreliable=True, reset=False)
    assert hold.watch(contact=True, unreliable=True, reset=False)


@pytest.mark.parametrize(
    ("name", "options", "active_high", "debounce_s", "stuck_s"),
    [
        ("door", {}, True, 0.05, math.inf),
        ("fire", {}, True, 0.02, math.inf),
        ("fire", {"pull": "down"}, False, 0.02, math.inf),
        ("exit", {}, False, 0.03, 60),
        ("wake", {"pull": "down"}, True, 0.03, 60),
        ("door", {"active_high": False}, False, 0.05, math.inf),
        ("confirm", {"pull": "none", "active_high": True, "debounce_s": 0.1, "stuck_s": 5}, True, 0.1, 5),
    ],
)
def test_a_contact_is_wired_as_suits_it(
    name: str, options: dict[str, object], active_high: bool, debounce_s: float, stuck_s: float
) -> None:
    (one,) = msgspec.convert({name: {"pin": 5, **options}}, Wiring).inputs()
    assert (one.name, one.pin) == (name, 5)
    assert (one.active_high, one.debounce_s, one.stuck_s) == (active_high, debounce_s, stuck_s)


def test_every_contact_there_is_can_be_wired() -> None:
    names = {"door", *(contact.value for contact in Contact)} - {"open"}
    wiring = msgspec.convert({name: {"pin": number} for number, name in enumerate(sorted(names))}, Wiring)
    assert {one.contact for one in wiring.inputs()} == set(Contact)


@pytest.mark.parametrize(
    "wrong",
    [
        {"door": {"pin": 5}, "exit": {"pin": 5}},
        {"door": {"pin": 17}, "green": 17},
        {"door": {}},
        {"door": {"pin": 5, "pull": "none"}},
        {"door": {"pin": 5, "debounce_s": 0}},
        {"door": {"pin": 5, "normally": "closed"}},
        {"relay_until_open": True},
        {"relay_pause_s": 0},
        {"fire_fault": "ignore"},
        {"fire": {"pin": 5}, "fire_reset": {"pin": 6}},
        {"fire_latch": True, "fire_reset": {"pin": 6}},
    ],
)
def test_wrong_wiring_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, gpiozero_pins.Options)
