"""The camera's owner thread with devices that deliver, vanish, come back, say nothing and hang.

The devices here are the far end: a camera on a plan, and a decoder that reads the texts out of the picture's bytes.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from mdoc_reader.engagement.ports import Camera, Frame
from mdoc_reader.engagement.scanner import Scanner, ScannerLimits, Sighting

QUICK = ScannerLimits(
    read_timeout_s=0.05,
    repeat_s=0.3,
    max_fps=1000,
    silence_s=0.3,
    retry_s=0.02,
    retry_max_s=0.1,
    overrun_s=0.4,
    close_s=0.5,
)


class PlainDecoder:
    """Reads the texts that a bench camera wrote into its picture, separated by line feeds."""

    def decode(self, frame: Frame) -> list[str]:
        return bytes(frame.pixels).decode().split("\n") if frame.width else []


class BenchCamera:
    """A camera that shows what its bench says, at 100 pictures a second."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.closed = threading.Event()

    def read(self, timeout_s: float) -> Frame | None:
        bench = self._bench
        if bench.hanging.is_set():
            bench.hung.set()
            (bench.let_go if bench.deaf else self.closed).wait(30)
            raise OSError("let go")
        if bench.unplugged or self.closed.is_set():
            raise OSError("unplugged")
        if bench.silent:
            time.sleep(timeout_s)
            return None
        pixels = memoryview("\n".join(bench.texts).encode())  # taken at once, delivered a little later
        time.sleep(0.01)
        return Frame(len(pixels), 1, len(pixels), pixels)

    def close(self) -> None:
        if self._bench.deaf:
            self._bench.let_go.wait(30)
        self._bench.closed += 1
        self.closed.set()


class Bench:
    """What the cameras show and how they fail, and what a scanner made of it."""

    def __init__(self, limits: ScannerLimits = QUICK) -> None:
        self.texts: list[str] = []
        self.unplugged = self.silent = self.deaf = False
        self.hanging, self.hung, self.let_go = threading.Event(), threading.Event(), threading.Event()
        self.opened = self.closed = self.refused = 0
        self.sightings: list[Sighting] = []
        self.available: list[bool] = []
        self.scanner = Scanner(self.open, PlainDecoder(), self.sightings.append, self.available.append, limits)

    def open(self) -> Camera:
        if self.unplugged:
            self.refused += 1
            raise OSError("not there")
        self.opened += 1
        return BenchCamera(self)

    @property
    def seen(self) -> list[str]:
        return [sighting.text for sighting in self.sightings]


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is a fact, not an event
            await asyncio.sleep(0.01)


def run(bench: Bench, script: Callable[[Bench], Awaitable[None]]) -> None:
    """Run a script with the bench's scanner; nothing of it may be left over."""

    async def main() -> None:
        bench.scanner.start()
        try:
            await script(bench)
        finally:
            await bench.scanner.close()

    try:
        asyncio.run(main())
    finally:
        bench.let_go.set()
    ends = time.monotonic() + 5
    while any(thread.name.startswith("camera") for thread in threading.enumerate()):
        assert time.monotonic() < ends, "a camera thread is left over"
        time.sleep(0.01)


def test_delivers_what_it_sees_with_the_time_of_the_picture() -> None:
    async def script(bench: Bench) -> None:
        began = time.monotonic()
        bench.texts = ["mdoc:one"]
        await until(lambda: bool(bench.sightings))
        assert bench.sightings[0].text == "mdoc:one"
        assert began <= bench.sightings[0].seen_at <= time.monotonic()
        assert 0 <= bench.scanner.decode_ms < 1000
        assert bench.scanner.available
        assert 0 <= time.monotonic() - bench.scanner.heartbeat < 1

    bench = Bench()
    run(bench, script)
    assert bench.available == [True, False]
    assert bench.opened == bench.closed == 1


def test_a_code_left_in_view_is_told_at_a_bounded_rate() -> None:
    async def script(bench: Bench) -> None:
        bench.texts = ["mdoc:one"]
        await until(lambda: bool(bench.sightings))
        await until(lambda: len(bench.sightings) >= 4)
        times = [sighting.seen_at for sighting in bench.sightings]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert min(gaps) >= QUICK.repeat_s
        bench.texts = ["mdoc:two"]
        await until(lambda: "mdoc:two" in bench.seen, QUICK.repeat_s * 10)

    run(Bench(), script)


def test_at_most_eight_codes_of_a_picture() -> None:
    async def script(bench: Bench) -> None:
        bench.texts = [f"mdoc:{number}" for number in range(20)]
        await until(lambda: len(bench.sightings) >= 8)
        await asyncio.sleep(0.1)
        assert set(bench.seen) == {f"mdoc:{number}" for number in range(8)}

    run(Bench(), script)


def test_a_text_longer_than_a_qr_code_holds_is_dropped() -> None:
    async def script(bench: Bench) -> None:
        bench.texts = ["A" * 4297, "A" * 4296]
        await until(lambda: bool(bench.sightings))
        await asyncio.sleep(0.1)
        assert set(bench.seen) == {"A" * 4296}
        assert bench.scanner.dropped >= 1

    run(Bench(), script)


def test_a_loop_that_is_late_is_not_buried() -> None:
    async def script(bench: Bench) -> None:
        await until(lambda: bench.scanner.available)
        numbers = iter(range(10**6))
        stop = time.monotonic() + 0.5
        while time.monotonic() < stop:  # the loop is busy, and every picture is new
            bench.texts = [f"mdoc:{next(numbers)}" for _ in range(8)]
            time.sleep(0.005)  # noqa: ASYNC251
        bench.texts = []
        assert bench.scanner.dropped > 0
        await asyncio.sleep(0.1)
        on_their_way = 2 * QUICK.max_codes  # of the last pictures, when the loop was free again
        assert len(bench.seen) <= QUICK.max_undelivered + on_their_way

    run(Bench(), script)


def test_paused_it_hears_nothing_and_does_not_catch_up() -> None:
    async def script(bench: Bench) -> None:
        await until(lambda: bench.scanner.available)
        bench.scanner.pause()
        await asyncio.sleep(0.05)
        bench.texts = ["mdoc:while paused"]
        frames = bench.scanner.frames
        await until(lambda: bench.scanner.frames > frames + 5)  # the camera is still emptied
        assert bench.seen == []
        bench.texts = ["mdoc:after"]
        bench.scanner.resume()  # the picture now on its way was taken before
        await until(lambda: "mdoc:after" in bench.seen)
        assert "mdoc:while paused" not in bench.seen

    run(Bench(), script)


def test_what_was_on_its_way_at_a_pause_is_not_heard() -> None:
    async def script(bench: Bench) -> None:
        await until(lambda: bench.scanner.available)
        bench.texts = ["mdoc:too late"]
        frames = bench.scanner.frames
        while bench.scanner.frames < frames + 3:
            time.sleep(0.01)  # noqa: ASYNC251 - the loop must not take it yet
        bench.scanner.pause()
        await asyncio.sleep(0.1)
        assert bench.seen == []

    run(Bench(), script)


def test_texts_never_run_out() -> None:
    async def script(bench: Bench) -> None:
        for number in range(2 * QUICK.max_undelivered):
            bench.texts = [f"mdoc:{number}"]
            await until(lambda number=number: f"mdoc:{number}" in bench.seen)
        assert bench.scanner.dropped == 0

    run(Bench(), script)


def test_a_lost_camera_is_reported_and_used_again_when_it_is_back() -> None:
    async def script(bench: Bench) -> None:
        await until(lambda: bench.scanner.available)
        bench.unplugged = True
        await until(lambda: not bench.scanner.available)
        refused = bench.refused
        await until(lambda: bench.refused >= refused + 3)
        bench.texts = ["mdoc:again"]
        bench.unplugged = False
        await until(lambda: "mdoc:again" in bench.seen)
        assert bench.available == [True, False, True]
        assert bench.scanner.quarantined == 0

    run(Bench(), script)


def test_it_is_opened_again_with_growing_pauses() -> None:
    async def script(bench: Bench) -> None:
        await asyncio.sleep(1.0)
        assert 3 <= bench.refused <= 14  # 20, 40, 80, 100, 100 ... ms
        assert bench.available == [False], "nobody is invited to show a code to a camera that is not there"

    bench = Bench()
    bench.unplugged = True
    run(bench, script)


def test_a_camera_that_delivers_nothing_is_lost() -> None:
    async def script(bench: Bench) -> None:
        await until(lambda: bench.scanner.available)
        bench.silent = True
        await until(lambda: not bench.scanner.available)
        await until(lambda: bench.opened >= 2)
        bench.silent = False
        await until(lambda: bench.scanner.available)
        assert bench.scanner.quarantined == 0

    run(Bench(), script)


def test_a_thread_that_hangs_is_abandoned_and_replaced() -> None:
    async def script(bench: Bench) -> None:
        await until(lambda: bench.scanner.available)
        bench.hanging.set()
        await until(bench.hung.is_set)
        bench.hanging.clear()  # the next camera works
        bench.texts = ["mdoc:with the second thread"]
        await until(lambda: "mdoc:with the second thread" in bench.seen)
        assert bench.scanner.quarantined == 1
        assert bench.available == [True, False, True]
        assert bench.closed == 1  # the first camera was closed under the thread that hung in it

    run(Bench(), script)


def test_an_abandoned_thread_that_comes_back_is_not_listened_to() -> None:
    async def script(bench: Bench) -> None:
        await until(lambda: bench.scanner.available)
        bench.deaf = True
        bench.hanging.set()
        await until(lambda: bench.scanner.quarantined == 1)
        bench.hanging.clear()
        await until(lambda: bench.scanner.available)
        bench.let_go.set()
        await asyncio.sleep(0.3)
        assert bench.available == [True, False, True]

    run(Bench(), script)


def test_with_too_many_hanging_threads_no_further_one_is_started() -> None:
    async def script(bench: Bench) -> None:
        bench.deaf = True  # closing hangs as well
        bench.hanging.set()
        await until(lambda: bench.scanner.quarantined == QUICK.max_quarantined, 30)
        await asyncio.sleep(3 * QUICK.overrun_s)
        assert bench.opened == QUICK.max_quarantined
        bench.hanging.clear()
        bench.let_go.set()
        await until(lambda: bench.scanner.available)

    run(Bench(), script)


@pytest.mark.parametrize("deaf", [False, True])
def test_close_is_bounded_whatever_the_camera_does(*, deaf: bool) -> None:
    async def script(bench: Bench) -> None:
        bench.deaf = deaf
        bench.hanging.set()
        await until(bench.hung.is_set)
        began = time.monotonic()
        await bench.scanner.close()
        assert time.monotonic() - began < QUICK.close_s + 1
        assert bench.scanner.quarantined == deaf

    run(Bench(), script)


def test_closed_before_it_was_started() -> None:
    async def main() -> None:
        await Bench().scanner.close()

    asyncio.run(main())


STILL = bytes(640 * 360)


class StillCamera:
    """Shows pictures of a camera's size at 200 a second: nothing, or something where `shown` is set."""

    def __init__(self) -> None:
        self.shown = threading.Event()
        self.closed = threading.Event()

    def read(self, timeout_s: float) -> Frame | None:
        if self.closed.wait(min(timeout_s, 0.005)):
            raise OSError("closed")
        picture = bytearray(STILL)
        if self.shown.is_set():
            picture[640 * 100 + 200 : 640 * 200] = bytes([255]) * (640 * 100 - 200)
            for row in range(100, 200):  # a part of each row, as light would be all of it
                picture[row * 640 + 400 : row * 640 + 640] = bytes(240)
        return Frame(640, 360, 640, memoryview(picture))

    def close(self) -> None:
        self.closed.set()


class NoCodes:
    """A decoder that finds nothing."""

    def decode(self, frame: Frame) -> list[str]:
        return []


PACED = replace(QUICK, max_fps=100, idle_fps=5, idle_after_s=0.5, overrun_s=5)


def paced(script: Callable[[Scanner, StillCamera], Awaitable[None]]) -> None:
    async def main() -> None:
        camera = StillCamera()
        scanner = Scanner(lambda: camera, NoCodes(), lambda _: None, limits=PACED)
        scanner.start()
        try:
            await script(scanner, camera)
        finally:
            await scanner.close()

    asyncio.run(main())


async def rate(scanner: Scanner, seconds: float = 1.0) -> float:
    """Pictures a second over a while."""
    before, began = scanner.frames, time.monotonic()
    await asyncio.sleep(seconds)
    return (scanner.frames - before) / (time.monotonic() - began)


def test_pictures_are_taken_less_often_while_nothing_moves_and_the_heart_beats_on() -> None:
    async def script(scanner: Scanner, camera: StillCamera) -> None:
        await until(lambda: scanner.frames > 5)
        assert not scanner.idle
        await until(lambda: scanner.idle)
        assert await rate(scanner) < 8
        assert time.monotonic() - scanner.heartbeat < 0.5
        assert scanner.available

    paced(script)


def test_the_full_pace_is_back_with_the_first_picture_that_shows_movement() -> None:
    async def script(scanner: Scanner, camera: StillCamera) -> None:
        await until(lambda: scanner.idle)
        camera.shown.set()
        began, before = time.monotonic(), scanner.frames
        await until(lambda: not scanner.idle)
        assert scanner.frames - before <= 2  # one may have been on its way
        assert time.monotonic() - began < 1
        assert await rate(scanner, 0.4) > 15

    paced(script)


def test_a_code_in_view_keeps_the_full_pace() -> None:
    async def script(bench: Bench) -> None:
        bench.texts = ["mdoc:still there"]
        await until(lambda: bool(bench.sightings))
        await asyncio.sleep(0.4)
        assert not bench.scanner.idle

    run(Bench(replace(QUICK, idle_after_s=0.1)), script)


@pytest.mark.parametrize("how", ["wake", "resume"])
def test_somebody_who_is_known_of_brings_the_full_pace_back(how: str) -> None:
    async def script(scanner: Scanner, camera: StillCamera) -> None:
        await until(lambda: scanner.idle)
        getattr(scanner, how)()
        await until(lambda: not scanner.idle)
        assert await rate(scanner, 0.3) > 15
        await until(lambda: scanner.idle)  # nobody was

    paced(script)


def test_it_can_be_told_to_wake_before_there_is_a_camera() -> None:
    bench = Bench()
    bench.scanner.wake()
    assert not bench.scanner.idle
