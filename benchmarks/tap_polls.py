"""The polling loop: what a look costs, what share of a processor it takes, and how soon a phone is noticed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from mdoc_reader.drivers.pn532_device import Options, open_nfc
from mdoc_reader.engagement import tap
from mdoc_reader.engagement.tap import TapOffer, Tapped
from mdoc_reader.engagement.tapper import Tap, Tapper, TapperLimits
from mdoc_reader.lab.nfc_behaviour import STATIC
from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.nfc.apdu import Way
from mdoc_reader.nfc.ports import Card
from mdoc_reader.nfc.procedure import Procedure
from tap_far import Far, Taps
from tap_figures import BAUDS, Look, Polling

_WATCH_S = 0.02  # how often to see whether the last phone has gone: not what is measured, and 200 times its share
_OPENED_S = 5.0
_TAP_S = 5.0


def look(far: Far, baud: int, count: int, *, ecp: bool) -> Look:
    """Look at an empty field over and over."""
    device = open_nfc(Options(path=far.port, baud=baud, ecp=ecp))  # type: ignore[arg-type]
    took = []
    try:
        device.look()
        device.rest()
        cpu = time.thread_time()
        for _ in range(count):
            began = time.perf_counter()
            device.look()
            device.rest()
            took.append((time.perf_counter() - began) * 1000)
        cpu = time.thread_time() - cpu
    finally:
        device.close()
    return Look(baud, ecp, [round(each, 2) for each in took], cpu / count * 1000)


async def poll(far: Far, watched_s: float, phones: int, say: Callable[[str], None]) -> Polling:
    """Run the tapper as the daemon does: a while over an empty field, then with phones put there at any moment."""
    noticed: list[float] = []
    taps: asyncio.Queue[tuple[Tap[Tapped], float]] = asyncio.Queue()
    offer = TapOffer(b"\x12\x34")

    def engage(card: Card) -> Procedure[Tapped]:
        noticed.append(time.monotonic())  # found, activated, alone: about to be spoken to
        return tap.engage(offer, Way.to(card))

    def refused(code: ReasonCode, at: float) -> None:
        raise AssertionError(f"{code} at {at}")

    options = Options(path=far.port)
    limits = TapperLimits(watch_period_s=_WATCH_S)
    tapper = Tapper(
        lambda: open_nfc(options),
        engage,
        lambda told: taps.put_nowait((told, time.monotonic())),
        refused,
        limits=limits,
    )
    far.put(None)
    tapper.start()
    source = random.Random(100)
    waited: list[float] = []
    engaged: list[float] = []
    try:
        async with asyncio.timeout(_OPENED_S):
            await _looked(tapper, 2)
        looks, cpu, began = tapper.looks, time.process_time(), time.monotonic()
        await asyncio.sleep(watched_s)
        looks, cpu, took = tapper.looks - looks, time.process_time() - cpu, time.monotonic() - began
        for number in range(phones):
            async with asyncio.timeout(_TAP_S):
                await _looked(tapper, 1)
            await asyncio.sleep(source.uniform(0, 2 * limits.period_s))
            noticed.clear()
            put = await asyncio.to_thread(far.put, Taps(STATIC))
            async with asyncio.timeout(_TAP_S):
                told, heard = await taps.get()
            waited.append(round((noticed[0] - put) * 1000, 2))
            engaged.append(round((heard - put) * 1000, 2))
            await asyncio.to_thread(far.put, None)
            await told.channel.close()
            if number % 50 == 49:
                say(f"noticing, {number + 1} of {phones}")
    finally:
        await tapper.close()
    return Polling(
        period_ms=limits.period_s * 1000,
        watched_s=took,
        looks=looks,
        cpu_share=cpu / took,
        noticed_ms=waited,
        engaged_ms=engaged,
    )


async def _looked(tapper: Tapper[Tapped], more: int) -> None:
    """Wait until the tapper has looked so often again."""
    until = tapper.looks + more
    while tapper.looks < until:  # noqa: ASYNC110 -- it tells nobody
        await asyncio.sleep(0.005)


def measure(
    far: Far, looks: int, watched_s: float, phones: int, say: Callable[[str], None]
) -> tuple[list[Look], list[Polling]]:
    """Measure looks at both speeds, with and without the frame that announces the reader; then the loop."""
    found = [look(far, baud, looks, ecp=ecp) for baud in BAUDS for ecp in (True, False)]
    say("looks are done")
    return found, [asyncio.run(poll(far, watched_s, phones, say))]
