"""The front end's owner thread: who is told of what, how often, and what becomes of a card that is held.

The front end here is on a plan: its field holds what the test says. The real chip has its tests beside its driver.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from mdoc_reader.engagement.tap import TapCode, TapEnded
from mdoc_reader.engagement.tapper import Tap, Tapper, TapperLimits
from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.nfc.ports import Card, CardError, Field, FieldCode, FieldKind, NfcDevice, NfcDeviceError, NfcTrouble
from mdoc_reader.nfc.procedure import Command, Pause, Procedure

QUICK = TapperLimits(
    retry_s=0.02,
    retry_max_s=0.1,
    overrun_s=0.5,
    close_s=0.6,
    period_s=0.02,
    watch_period_s=0.02,
    stumble_pause_s=0.01,
    stumble_s=0.6,
    locked_retry_s=0.03,
    tap_s=0.5,
    held_idle_s=0.5,
)
HELLO, SLOW, ENDLESS = b"\x00hello", b"\x00slow", b"\x00endless"


class BenchCard:
    """Answers with what it was asked, plus 9000."""

    longest_command, longest_response, words, random_uid = 261, 258, "bench", True

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.longest_silence_s = bench.silence_s
        self.on_frame: Callable[[], None] | None = None
        self.given_up = threading.Event()
        self.left = False

    def transmit(self, command: bytes) -> bytes:
        bench = self._bench
        if bench.locked:
            return b"\x6a\x82"
        if bench.stumbles or not bench.there:
            bench.stumbles = max(0, bench.stumbles - 1)
            raise CardError(FieldCode.LOST)
        if command == SLOW:
            for _ in range(40):  # waiting-time extensions while somebody reads the question
                if self.given_up.wait(0.05):
                    raise CardError(FieldCode.ABORTED)
                if self.on_frame is not None and bench.beats:
                    self.on_frame()
        if command == ENDLESS:
            bench.hung.set()
            bench.let_go.wait(30)
        if self.given_up.is_set():
            raise CardError(FieldCode.ABORTED)
        return command + b"\x90\x00"

    def give_up(self) -> None:
        self.given_up.set()

    def leave(self) -> None:
        self.left = True


class BenchDevice:
    """A front end whose field holds what its bench says."""

    words = "bench"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.aborted = False

    def _turn(self) -> None:
        if self._bench.unplugged or self.aborted:
            raise NfcDeviceError(NfcTrouble.LOST)

    def look(self) -> Field:
        self._turn()
        bench = self._bench
        bench.looks += 1
        bench.field_on = True
        if not bench.there:
            return Field(FieldKind.EMPTY)
        if bench.kind is not FieldKind.CARD:
            return Field(bench.kind, None, "bench")
        bench.card = BenchCard(bench)
        return Field(FieldKind.CARD, bench.card, "bench")

    def occupied(self) -> bool:
        self._turn()
        self._bench.watched += 1
        self._bench.field_on = True
        return self._bench.there

    def rest(self) -> None:
        self._turn()
        self._bench.field_on = False

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self._bench.closed += 1


class Bench:
    """What is in the field and how it fails, and what a tapper made of it."""

    def __init__(self, limits: TapperLimits = QUICK) -> None:
        self.there = self.locked = self.unplugged = self.field_on = False
        self.beats = True
        self.silence_s = 0.2
        self.kind = FieldKind.CARD
        self.stumbles = self.looks = self.watched = self.opened = self.closed = self.refused_to_open = 0
        self.hung, self.let_go = threading.Event(), threading.Event()
        self.card: BenchCard | None = None
        self.taps: list[Tap[bytes]] = []
        self.refusals: list[ReasonCode] = []
        self.available: list[tuple[bool, NfcTrouble | None]] = []
        self.procedure: Callable[[], Procedure[bytes]] = lambda: say(HELLO)
        self.tapper = Tapper(
            self.open,
            self.engage,
            self.taps.append,
            lambda code, _: self.refusals.append(code),
            on_available=lambda works, why: self.available.append((works, why)),
            limits=limits,
        )

    def open(self) -> NfcDevice:
        if self.unplugged:
            self.refused_to_open += 1
            raise NfcDeviceError(NfcTrouble.NO_DEVICE)
        self.opened += 1
        return BenchDevice(self)

    def engage(self, card: Card) -> Procedure[bytes]:
        assert card.words == "bench"
        return self.procedure()


def say(*commands: bytes) -> Procedure[bytes]:
    """Say these, and return the last answer."""
    data = b""
    for command in commands:
        answer = yield Command(command)
        assert answer is not None
        if answer.sw == 0x6A82:
            raise TapEnded(TapCode.LOCKED)
        data = answer.data
    return data


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is a fact, not an event
            await asyncio.sleep(0.005)


def run(bench: Bench, script: Callable[[Bench], Awaitable[None]]) -> None:
    """Run a script with the bench's tapper; nothing of it may be left over."""

    async def main() -> None:
        bench.tapper.start()
        try:
            await script(bench)
        finally:
            await bench.tapper.close()

    try:
        asyncio.run(main())
    finally:
        bench.let_go.set()
    ends = time.monotonic() + 5
    while any(thread.name.startswith("nfc") for thread in threading.enumerate()):
        assert time.monotonic() < ends, "a thread is left over"
        time.sleep(0.01)


async def looks_more(bench: Bench, number: int = 4) -> None:
    seen = bench.looks
    await until(lambda: bench.looks >= seen + number)


async def watches_more(bench: Bench, number: int = 4) -> None:
    seen = bench.watched
    await until(lambda: bench.watched >= seen + number)


def test_a_tap_is_told_with_its_time_and_its_cost() -> None:
    async def script(bench: Bench) -> None:
        bench.procedure = lambda: say(HELLO, HELLO, b"\x00last")
        await looks_more(bench)
        put = time.monotonic()
        bench.there = True
        await until(lambda: bool(bench.taps))
        (tap,) = bench.taps
        assert tap.said == b"\x00last"
        assert put <= tap.at <= put + 0.15, "noticed within 150 ms"
        assert tap.commands == 3
        assert 0 <= tap.took_ms < 1000
        await tap.channel.close()

    run(Bench(), script)


def test_the_field_is_off_between_looks_and_while_nobody_is_invited() -> None:
    async def script(bench: Bench) -> None:
        await looks_more(bench)
        on = 0
        for _ in range(50):
            on += bench.field_on
            await asyncio.sleep(0.003)
        assert on < 25
        bench.tapper.pause()
        await asyncio.sleep(0.1)
        seen = bench.looks
        await asyncio.sleep(0.2)
        assert bench.looks == seen
        assert not bench.field_on
        bench.tapper.resume()
        await looks_more(bench)

    run(Bench(), script)


def test_a_phone_left_on_the_reader_starts_nothing_until_it_was_away() -> None:
    async def script(bench: Bench) -> None:
        bench.there = True
        await until(lambda: bool(bench.taps))
        bench.tapper.pause()
        await bench.taps[0].channel.close()
        assert bench.card is not None
        assert bench.card.left
        await watches_more(bench)
        bench.tapper.resume()
        await watches_more(bench)
        assert len(bench.taps) == 1
        bench.there = False
        await looks_more(bench)
        bench.there = True
        await until(lambda: len(bench.taps) == 2)
        await bench.taps[1].channel.close()

    run(Bench(), script)


def test_that_it_went_away_is_noticed_while_nobody_is_invited() -> None:
    async def script(bench: Bench) -> None:
        bench.there = True
        await until(lambda: bool(bench.taps))
        bench.tapper.pause()
        await bench.taps[0].channel.close()
        await watches_more(bench)
        bench.there = False
        await watches_more(bench, 2)
        await asyncio.sleep(0.05)
        watched = bench.watched
        await asyncio.sleep(0.1)
        assert bench.watched == watched, "it has gone: no more is sent into the field"
        bench.there = True  # another phone
        bench.tapper.resume()
        await until(lambda: len(bench.taps) == 2)

    run(Bench(), script)


def test_a_locked_phone_is_told_of_once_and_taken_as_soon_as_it_is_unlocked() -> None:
    async def script(bench: Bench) -> None:
        bench.locked = bench.there = True
        await until(lambda: bool(bench.refusals))
        await looks_more(bench)
        assert bench.refusals == [TapCode.LOCKED]
        bench.locked = False
        await until(lambda: bool(bench.taps))
        await bench.taps[0].channel.close()
        bench.there = False
        await looks_more(bench)
        bench.locked = bench.there = True
        await until(lambda: len(bench.refusals) == 2)

    run(Bench(), script)


def test_a_phone_at_the_edge_of_the_field_is_tried_again_before_anybody_is_told() -> None:
    async def script(bench: Bench) -> None:
        bench.stumbles, bench.there = 2, True
        await until(lambda: bool(bench.taps))
        assert bench.refusals == []
        await bench.taps[0].channel.close()
        bench.there = False
        await looks_more(bench)
        bench.stumbles, bench.there = 1000, True
        await until(lambda: bool(bench.refusals))
        await watches_more(bench)
        assert bench.refusals == [TapCode.MOVED]
        assert len(bench.taps) == 1

    run(Bench(), script)


@pytest.mark.parametrize(
    ("kind", "code"), [(FieldKind.SEVERAL, TapCode.SEVERAL), (FieldKind.FOREIGN, TapCode.NOT_A_PHONE)]
)
def test_what_is_no_phone_is_told_of_once_and_does_not_stall_the_next(kind: FieldKind, code: TapCode) -> None:
    async def script(bench: Bench) -> None:
        bench.kind, bench.there = kind, True
        await until(lambda: bool(bench.refusals))
        await watches_more(bench)
        assert bench.refusals == [code]
        bench.there = False
        await looks_more(bench)
        bench.kind, bench.there = FieldKind.CARD, True
        await until(lambda: bool(bench.taps))

    run(Bench(), script)


def test_a_conversation_without_end_is_ended() -> None:
    def pauses() -> Procedure[bytes]:
        while True:
            yield Pause(0.01)

    def questions() -> Procedure[bytes]:
        while True:
            yield Command(HELLO)

    async def script(bench: Bench) -> None:
        for number, procedure in enumerate((pauses, questions), 1):
            bench.procedure = procedure
            bench.there = True
            await until(lambda number=number: len(bench.refusals) == number)  # type: ignore[misc]
            assert bench.refusals[-1] is FieldCode.ABORTED
            bench.there = False
            await looks_more(bench)

    run(Bench(), script)


def test_a_held_card_does_what_it_is_asked_in_order() -> None:
    async def script(bench: Bench) -> None:
        bench.there = True
        await until(lambda: bool(bench.taps))
        channel = bench.taps[0].channel
        answers = await asyncio.gather(*(channel.run(say(bytes((0, number)))) for number in range(20)))
        assert answers == [bytes((0, number)) for number in range(20)]
        assert bench.field_on
        await channel.close()
        await channel.close()
        with pytest.raises(CardError, match=FieldCode.LOST):
            await channel.run(say(HELLO))
        await until(lambda: not bench.field_on)

    run(Bench(), script)


def test_a_held_card_that_leaves_is_lost_and_may_come_back_at_once() -> None:
    async def script(bench: Bench) -> None:
        bench.there = True
        await until(lambda: bool(bench.taps))
        channel = bench.taps[0].channel
        bench.there = False
        waiting = [asyncio.create_task(channel.run(say(HELLO))) for _ in range(3)]
        for one in waiting:
            with pytest.raises(CardError) as lost:
                await one
            assert lost.value.code is FieldCode.LOST
        await channel.close()
        await asyncio.sleep(0.1)
        bench.there = True
        await until(lambda: len(bench.taps) == 2)

    run(Bench(), script)


def test_nobody_waits_for_a_card_that_was_let_go() -> None:
    async def script(bench: Bench) -> None:
        bench.there = True
        await until(lambda: bool(bench.taps))
        channel = bench.taps[0].channel
        slow = asyncio.create_task(channel.run(say(SLOW)))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await channel.close()
        with pytest.raises(CardError):
            await slow
        assert time.monotonic() - began < 0.3
        await watches_more(bench)

    run(Bench(), script)


def test_who_stops_waiting_gives_the_card_up() -> None:
    async def script(bench: Bench) -> None:
        bench.there = True
        await until(lambda: bool(bench.taps))
        slow = asyncio.create_task(bench.taps[0].channel.run(say(SLOW)))
        await asyncio.sleep(0.1)
        slow.cancel()
        await asyncio.wait({slow})
        await watches_more(bench)

    run(Bench(), script)


def test_a_card_that_nobody_wants_anything_of_is_let_go() -> None:
    async def script(bench: Bench) -> None:
        bench.there = True
        await until(lambda: bool(bench.taps))
        await watches_more(bench)
        with pytest.raises(CardError):
            await bench.taps[0].channel.run(say(HELLO))

    run(Bench(), script)


@pytest.mark.parametrize("beats", [True, False])
def test_consent_may_take_long_while_the_card_shows_life_or_says_it_cannot(*, beats: bool) -> None:
    async def script(bench: Bench) -> None:
        bench.beats = beats
        bench.silence_s = 0.2 if beats else 3.0
        bench.there = True
        await until(lambda: bool(bench.taps))
        assert await bench.taps[0].channel.run(say(SLOW)) == SLOW  # two seconds, four times the overrun
        assert bench.tapper.quarantined == 0

    run(Bench(), script)


def test_a_front_end_is_reported_lost_and_used_again_when_it_is_back() -> None:
    async def script(bench: Bench) -> None:
        await looks_more(bench)
        bench.unplugged = True
        await until(lambda: (False, NfcTrouble.NO_DEVICE) in bench.available)
        bench.unplugged = False
        await until(lambda: bench.tapper.available)
        assert bench.available == [
            (True, None),
            (False, NfcTrouble.LOST),
            (False, NfcTrouble.NO_DEVICE),
            (True, None),
        ]
        bench.there = True
        await until(lambda: bool(bench.taps))

    run(Bench(), script)


def test_a_front_end_lost_under_a_held_card_ends_the_exchange() -> None:
    async def script(bench: Bench) -> None:
        bench.there = True
        await until(lambda: bool(bench.taps))
        bench.unplugged = True
        await bench.taps[0].channel.close()
        await until(lambda: not bench.tapper.available)
        with pytest.raises(CardError):
            await bench.taps[0].channel.run(say(HELLO))

    run(Bench(), script)


def test_a_thread_that_hangs_is_abandoned_and_what_it_says_later_is_not_heard() -> None:
    async def script(bench: Bench) -> None:
        bench.procedure = lambda: say(ENDLESS)
        bench.there = True
        await until(bench.hung.is_set)
        bench.procedure = lambda: say(HELLO)
        await until(lambda: bench.tapper.quarantined == 1)
        await until(lambda: bool(bench.taps))
        bench.let_go.set()
        await asyncio.sleep(0.1)
        assert [tap.said for tap in bench.taps] == [HELLO]

    run(Bench(), script)


def test_close_is_bounded_while_the_front_end_hangs() -> None:
    async def script(bench: Bench) -> None:
        bench.there = True
        await until(lambda: bool(bench.taps))
        hanging = asyncio.create_task(bench.taps[0].channel.run(say(ENDLESS)))
        await until(bench.hung.is_set)
        began = time.monotonic()
        await bench.tapper.close()
        assert time.monotonic() - began < QUICK.close_s + 0.4
        hanging.cancel()

    run(Bench(), script)


def test_closed_before_it_was_started() -> None:
    async def main() -> None:
        await Bench().tapper.close()

    asyncio.run(main())
