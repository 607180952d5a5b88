"""Buttons: what counts as a press, by example and by property, and the adapter on simulated pins."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdoc_reader.drivers import simulated_pins
from mdoc_reader.lab.bench_panel import Bench
from mdoc_reader.outputs.buttons import (
    BUTTONS,
    ButtonOwner,
    ButtonRules,
    Buttons,
    Event,
    Pictured,
    Press,
    Slept,
    Switched,
    Tick,
    press,
)
from mdoc_reader.outputs.ports import Contact

RULES = ButtonRules(lock=True, unlock_hold_s=1.0, blind_s=0.7, together_s=0.2, repeat_s=0.3, stuck_s=10)
WAKE, CANCEL, CONFIRM, REJECT = Contact.WAKE, Contact.CANCEL, Contact.CONFIRM, Contact.REJECT


class Hand:
    """A hand on buttons that are known to be up."""

    def __init__(self, rules: ButtonRules = RULES) -> None:
        self.rules = rules
        self.state = Buttons(known=BUTTONS)
        self.presses: list[Press] = []

    def __call__(self, event: Event) -> list[Press]:
        self.state, presses = press(self.state, event, self.rules)
        self.presses += presses
        return list(presses)

    def down(self, at: float, button: Contact) -> list[Press]:
        return self(Switched(at, button, True))

    def up(self, at: float, button: Contact) -> list[Press]:
        return self(Switched(at, button, False))


def test_a_press_is_told_once_however_long() -> None:
    hand = Hand()
    assert hand.down(1, CANCEL) == [Press(CANCEL, 1)]
    assert hand.down(1.5, CANCEL) == []
    assert hand(Tick(100)) == []
    assert hand.up(101, CANCEL) == []
    assert hand.down(102, CANCEL) == [Press(CANCEL, 102)]


def test_pressed_again_at_once_is_the_same_press() -> None:
    hand = Hand()
    hand.down(1, CANCEL)
    hand.up(1.1, CANCEL)
    assert hand.down(1.2, CANCEL) == []
    hand.up(1.3, CANCEL)
    assert hand.down(1.51, CANCEL) == [Press(CANCEL, 1.51)]


def test_a_button_that_was_down_before_us_says_nothing_until_it_was_up() -> None:
    hand = Hand()
    hand.state = Buttons()
    assert hand.down(0, CANCEL) == []
    hand.up(5, CANCEL)
    assert hand.down(6, CANCEL) == [Press(CANCEL, 6)]


def test_a_contact_of_the_door_is_no_button() -> None:
    hand = Hand()
    assert hand.down(1, Contact.EXIT) == []
    assert hand.down(1, Contact.FIRE) == []
    assert hand.state == Buttons(known=BUTTONS)


def test_confirm_counts_when_the_portrait_was_seen() -> None:
    hand = Hand()
    assert hand.down(1, CONFIRM) == []
    assert hand(Tick(5)) == [], "no portrait at all"
    hand.up(5, CONFIRM)
    hand(Pictured(10, True))
    hand.down(10.69, CONFIRM)
    assert hand(Tick(11.6)) == [], "nobody could have looked"
    hand.up(11.6, CONFIRM)
    hand.down(12, CONFIRM)
    assert hand.state.next_deadline() == 12.2
    assert hand(Tick(12.1)) == []
    assert hand(Tick(12.2)) == [Press(CONFIRM, 12.2)]
    assert hand(Tick(20)) == []


def test_confirm_held_since_before_the_portrait_does_not_count() -> None:
    hand = Hand()
    hand.down(1, CONFIRM)
    hand(Pictured(2, True))
    assert hand(Tick(10)) == []
    assert hand.down(10, CONFIRM) == []
    assert hand(Tick(11)) == []


def test_a_portrait_that_goes_or_changes_takes_back_a_confirm() -> None:
    for shown in (False, True):
        hand = Hand()
        hand(Pictured(1, True))
        hand.down(2, CONFIRM)
        hand(Pictured(2.1, shown))
        assert hand(Tick(3)) == []


def test_together_is_reject_in_either_order() -> None:
    first = Hand()
    first(Pictured(1, True))
    first.down(5, CONFIRM)
    assert first.down(5.15, REJECT) == [Press(REJECT, 5.15)]
    assert first(Tick(9)) == []
    second = Hand()
    second(Pictured(1, True))
    assert second.down(5, REJECT) == [Press(REJECT, 5)]
    assert second.down(5.1, CONFIRM) == []
    assert second(Tick(9)) == []
    assert [one.button for one in second.presses] == [REJECT]


def test_confirm_while_reject_is_held_is_reject_again() -> None:
    hand = Hand()
    hand.down(1, REJECT)
    hand(Pictured(2, True))
    assert hand.down(4, CONFIRM) == [Press(REJECT, 4)]


def test_a_jammed_reject_rejects_nobody_and_lets_nobody_be_confirmed() -> None:
    hand = Hand()
    hand.down(1, REJECT)
    hand(Pictured(20, True))
    assert hand.down(25, CONFIRM) == []
    assert hand(Tick(30)) == []


def test_reject_takes_back_confirm_even_when_it_is_a_repeat() -> None:
    hand = Hand()
    hand(Pictured(1, True))
    hand.down(4.9, REJECT)
    hand.up(4.95, REJECT)
    hand.down(5, CONFIRM)
    hand.down(5.1, REJECT)
    assert hand(Tick(9)) == []


def test_a_locked_reader_that_sleeps_hears_wake_alone_and_held() -> None:
    hand = Hand()
    hand(Pictured(0, True))
    hand(Slept(1, True))
    for button in BUTTONS - {WAKE}:
        hand.down(2, button)
        hand.up(3, button)
    assert hand.presses == []
    hand.down(4, WAKE)
    hand.up(4.9, WAKE)
    assert hand(Tick(6)) == []
    hand.down(7, WAKE)
    assert hand.state.next_deadline() == 8
    assert hand(Tick(8)) == [Press(WAKE, 8)]
    assert hand(Tick(20)) == []
    hand(Slept(20, False))
    hand.up(20, WAKE)
    assert hand.down(21, CANCEL) == [Press(CANCEL, 21)]


def test_wake_held_since_before_the_sleep_does_not_wake() -> None:
    hand = Hand()
    hand.down(1, WAKE)
    hand(Slept(2, True))
    assert hand(Tick(10)) == []


def test_what_was_begun_before_a_sleep_or_a_waking_is_over_with_it() -> None:
    waking = Hand()
    waking(Slept(1, True))
    waking.down(2, WAKE)
    waking(Slept(2.5, False))
    assert waking(Tick(9)) == [], "it woke by itself: nobody needs to be told again"
    sleeping = Hand()
    sleeping(Pictured(1, True))
    sleeping.down(5, CONFIRM)
    sleeping(Slept(5.1, True))
    assert sleeping(Tick(9)) == []


def test_without_a_lock_and_awake_wake_is_a_button_like_others() -> None:
    hand = Hand()
    assert hand.down(1, WAKE) == [Press(WAKE, 1)]
    unlocked = Hand(ButtonRules(lock=False))
    unlocked(Slept(0, True))
    assert unlocked.down(1, WAKE) == [Press(WAKE, 1)]
    assert unlocked.down(2, CANCEL) == [Press(CANCEL, 2)]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 15.0]),
        st.one_of(
            st.builds(
                lambda button, down: lambda at: Switched(at, button, down),
                st.sampled_from([WAKE, CANCEL, CONFIRM, REJECT]),
                st.booleans(),
            ),
            st.builds(lambda on: lambda at: Slept(at, on), st.booleans()),
            st.builds(lambda on: lambda at: Pictured(at, on), st.booleans()),
            st.just(Tick),
        ),
    ),
    max_size=40,
)


@settings(max_examples=400, deadline=None)
@given(st.booleans(), EVENTS)
def test_whatever_is_pressed(lock: bool, happenings: list[tuple[float, type[Event]]]) -> None:
    rules = ButtonRules(lock=lock)
    state, now = Buttons(known=BUTTONS), 0.0
    shown, asleep = math.inf, False
    edges: dict[Contact, int] = dict.fromkeys(BUTTONS, 0)
    down: set[Contact] = set()
    rejected_at = -math.inf
    counted: dict[Contact, int] = dict.fromkeys(BUTTONS, 0)
    for pause, make in happenings:
        now += pause
        event = make(now)
        state, presses = press(state, event, rules)
        for one in presses:
            counted[one.button] += 1
            if one.button is CONFIRM:
                assert one.at - rules.together_s >= shown + rules.blind_s
                assert not (lock and asleep)
                assert REJECT not in down
                assert one.at - rejected_at > 0
            if lock and asleep:
                assert one.button is WAKE
        match event:
            case Slept(_, on):
                asleep = on
            case Pictured(at, on):
                shown = at if on else math.inf
            case Switched(_, button, is_down):
                edges[button] += is_down and button not in down
                down = down | {button} if is_down else down - {button}
                rejected_at = now if button is REJECT and is_down else rejected_at
        assert len(state.down) <= len(BUTTONS)
        assert state.next_deadline() is None or state.next_deadline() <= now + 1.0
    for button in BUTTONS - {REJECT}:
        assert counted[button] <= edges[button], "more presses than the button went down"
    assert counted[REJECT] <= edges[REJECT] + edges[CONFIRM]


@pytest.mark.timeout(30)
def test_the_adapter_on_pins(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Bench(tmp_path / "panel.sock") as bench:
            pins = simulated_pins.open_pins(msgspec.convert({"wire": str(bench.path)}, simulated_pins.Options))
            heard: asyncio.Queue[Press] = asyncio.Queue()
            rules = ButtonRules(lock=True, unlock_hold_s=0.15, blind_s=0.05, together_s=0.1, repeat_s=0.01)
            owner = ButtonOwner(pins, heard.put_nowait, rules)
            owner.start()
            await asyncio.sleep(0.1)
            owner.asleep(True)
            await bench.press("cancel")
            await bench.press("wake", 0.4)
            assert (await heard.get()).button is WAKE
            owner.asleep(False)
            owner.portrait(True)
            await asyncio.sleep(0.1)
            await bench.press("confirm", 0.2)
            assert (await heard.get()).button is CONFIRM
            await bench.press("language")
            assert (await heard.get()).button is Contact.LANGUAGE
            owner.close()
            await bench.press("cancel")
            await asyncio.sleep(0.1)
            assert heard.empty()
            await asyncio.to_thread(pins.close)

    asyncio.run(scene())
