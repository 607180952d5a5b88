"""Engagement to verdict over a real bluetoothd, beside the barest BlueZ program that moves the same bytes.

    python benchmarks/bluetooth.py [--dist bookworm|trixie|both] [--rounds N]     measure and print
    python benchmarks/bluetooth.py --write       and keep the figures, and leave docs/bluetooth.md and bluetooth_air.md
    python benchmarks/bluetooth.py --render                 print (or --write) the pages from the figures kept

Figures are kept in bluetooth_measured.json, counted traffic for the radio model in bluetooth_counted.json. Needs QEMU
as the system tests do; `bluetooth_rig` says what runs where, `bluetooth_page` what is shown and why each call is left.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence

import air_trace
import bluetooth_air
import bluetooth_page
from air_model import Conditions, Phase, Phy, Trace, Way, simulate
from bluetooth_figures import COUNTED, MEASURED, MIDDLE, SIZES, Air, Calls, Measured, Run, load, save
from bluetooth_listen import without_bluetoothd
from figures import DOCS, machine

SHIPPED_MTU = 512
OTHER_MTU = 498
COUNTED_ON = "trixie"
_SMALL = 500_000


def say(text: str) -> None:
    """Show a person that something happens."""
    print(text, file=sys.stderr, flush=True)


def air_of(trace: Trace, size: int, exchange_mtu: int) -> list[Air]:
    """Return what the radio model makes of one counted presentation, on both PHYs."""
    told: list[Air] = []
    for phy in Phy:
        conditions = Conditions(phy=phy)
        row = bluetooth_air.compare(conditions, trace)
        own = simulate(trace.without_phone(), conditions)
        bare = simulate(without_bluetoothd(trace).without_phone(), conditions)
        told.append(
            Air(
                exchange_mtu,
                trace.way,
                size,
                str(phy),
                trace.mtu,
                round(row.floor.ms, 1),
                round(own.total_us / 1000, 1),
                round(bare.total_us / 1000, 1),
                round(own.phases[Phase.RESPONSE] / 1000, 1),
            )
        )
    return told


async def measure(dist: str, rounds: int, ways: Sequence[Way]) -> tuple[Measured, list[Trace]]:
    """Measure one release; return its figures and the traces of what was counted."""
    import bluetooth_rig as rigs

    runs: list[Run] = []
    calls: list[Calls] = []
    air: list[Air] = []
    traces: list[Trace] = []
    async with rigs.rig(dist) as rig:
        say(f"{dist}: the guest is up")
        async with rigs.door(rig) as door, contextlib.AsyncExitStack() as stack:
            bare = await stack.enter_async_context(rigs.program(rig.guest, "bare_bluez.py"))
            like: dict[tuple[Way, int], Run] = {}
            for way in ways:  # nothing is warm yet, and what is counted does not depend on that
                for size in SIZES:
                    like[way, size], listened = await rigs.visit_ours(rig, door, way, size)
                    traces.append(listened.trace)
                    air += air_of(listened.trace, size, SHIPPED_MTU)
                _, counted = await rigs.visit_bare(rig, bare, way, like[way, MIDDLE])
                calls += [
                    Calls(way, "bare", phase, member, times)
                    for phase, of_phase in counted.items()
                    for member, times in of_phase.items()
                ]
            for number in range(rounds):
                for size in SIZES:
                    if size >= _SMALL and number % 3:
                        continue
                    for way in ways:
                        try:
                            pair = await _pair(rig, door, bare, like[way, size], ours_first=number % 2 == 0)
                        except RuntimeError as error:
                            say(f"{dist}: this pair is lost: {error}")
                            await stack.aclose()
                            bare = await stack.enter_async_context(rigs.program(rig.guest, "bare_bluez.py"))
                            continue
                        runs += pair
                        say(
                            f"{dist}: round {number + 1} of {rounds}, {way}, {size // 1000} KB: "
                            + " / ".join(f"{each.verdict_ms:.0f}" for each in pair)
                        )
        async with rigs.program(rig.guest, "bluetooth_calls.py") as counting:
            for way in ways:
                counted = await rigs.count_calls(rig, counting, way, like[way, MIDDLE])
                calls += [
                    Calls(way, "ours", phase, member, times)
                    for phase, of_phase in counted.items()
                    for member, times in of_phase.items()
                ]
        kernel = rig.kernel
    air += await other_mtu(dist, ways)
    bluez = rigs.BLUEZ[dist]
    told = machine("dbus-fast", "bumble")
    return Measured(dist=dist, bluez=bluez, kernel=kernel, machine=told, runs=runs, calls=calls, air=air), traces


async def _pair(rig: object, door: object, bare: object, like: Run, *, ours_first: bool) -> list[Run]:
    """Run both, one after the other; return ours first."""
    import bluetooth_rig

    assert isinstance(rig, bluetooth_rig.Rig)
    assert isinstance(door, bluetooth_rig.Door)
    assert isinstance(bare, bluetooth_rig.Program)
    pair: list[Run] = []
    for ours in (ours_first, not ours_first):
        if ours:
            pair.insert(0, (await bluetooth_rig.visit_ours(rig, door, like.way, like.size))[0])
        else:
            pair.append((await bluetooth_rig.visit_bare(rig, bare, like.way, like))[0])
    return pair


async def other_mtu(dist: str, ways: Sequence[Way]) -> list[Air]:
    """Count the middle document with the other ExchangeMTU."""
    import bluetooth_rig as rigs

    air: list[Air] = []
    async with rigs.rig(dist, mtu=OTHER_MTU) as rig, rigs.door(rig) as door:
        for way in ways:
            if way in {Way.PHONE_SERVER, Way.READER_SERVER}:
                _, listened = await rigs.visit_ours(rig, door, way, MIDDLE)
                air += air_of(listened.trace, MIDDLE, OTHER_MTU)
    return air


def main() -> None:
    """Measure or render; print, and write when asked to."""
    parser = argparse.ArgumentParser(description="Bluetooth: engagement to verdict beside the barest BlueZ program.")
    parser.add_argument("--dist", choices=("bookworm", "trixie", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=9, help="rounds; of 500 KB every third")
    parser.add_argument("--way", choices=[way.value for way in Way], help="this way alone")
    parser.add_argument("--write", action="store_true", help="keep the figures and leave the pages in docs/")
    parser.add_argument("--render", action="store_true", help="measure nothing, show the figures kept")
    arguments = parser.parse_args()
    try:
        kept = {each.dist: each for each in load()} if MEASURED.is_file() else {}
        traces = air_trace.load(COUNTED) if COUNTED.is_file() else []
        if not arguments.render:
            ways = [Way(arguments.way)] if arguments.way else list(Way)
            fresh: dict[str, Measured] = {}
            for dist in ("bookworm", "trixie") if arguments.dist == "both" else (arguments.dist,):
                fresh[dist], counted = asyncio.run(measure(dist, max(arguments.rounds, 2), ways))
                traces = counted if dist == COUNTED_ON or not traces else traces
                if arguments.write:
                    save([each for _, each in sorted((kept | fresh).items())])
                    COUNTED.write_text(air_trace.dump(traces), encoding="utf-8")
            kept = kept | fresh if arguments.write else fresh
        measured = [each for _, each in sorted(kept.items())]
        page, picture = bluetooth_page.report(measured, traces)
        print(page)
        if arguments.write:
            (DOCS / "bluetooth.md").write_text(page, encoding="utf-8")
            (DOCS / "bluetooth.svg").write_text(picture, encoding="utf-8")
            bluetooth_air.write(DOCS, traces)
    except (ValueError, OSError) as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
