"""Expected time on the air of a presentation over Bluetooth, beside the physical floor for the same bytes.

    python benchmarks/bluetooth_air.py                    print the floors, and what the counted traffic takes
    python benchmarks/bluetooth_air.py COUNTED.json       take other counted traffic than bluetooth_counted.json
    python benchmarks/bluetooth_air.py --write            and leave docs/bluetooth_air.md and .svg

`air_model` computes every time, `air_floor` says what is forced and by what, `air_trace` describes the JSON file.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from air_floor import FloorOptions, chunks, floor_trace
from air_model import Conditions, Kind, Outcome, Pdu, Phase, Phy, Side, Trace, Way, simulate
from air_plot import Bar, Panel, draw
from air_trace import load
from bluetooth_figures import COUNTED
from figures import DOCS, table

SIZES = (1024, 30 * 1024, 500 * 1024)
REQUEST_BYTES = 600
AIM = 1.3
MIDDLE = 30 * 1024
COMMAND = "python benchmarks/bluetooth_air.py --write"
NAMES = {
    Way.PHONE_SERVER: "phone is server",
    Way.READER_SERVER: "reader is server",
    Way.PHONE_CHANNEL: "L2CAP, phone is server",
    Way.READER_CHANNEL: "L2CAP, reader is server",
}
PHASES = tuple(phase.value for phase in Phase)
# Interval, data length, pairs an event: from the best a radio does to what phones often grant.
RADIOS = (
    (7_500, 251, None),
    (15_000, 251, None),
    (15_000, 251, 4),
    (30_000, 251, None),
    (30_000, 251, 6),
    (30_000, 251, 4),
    (30_000, 27, None),
    (30_000, 27, 6),
    (45_000, 251, 6),
)


@dataclass(frozen=True, slots=True)
class Part:
    """What one trace takes: without what the phone chose (and its requests, round trips), and what that adds in ms."""

    own: Outcome
    apart_ms: float
    requests: int

    @property
    def ms(self) -> float:
        """Milliseconds without what the phone chose."""
        return self.own.total_us / 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One way, one size, one radio: the floor, and what was counted where it was."""

    way: Way
    response_bytes: int
    conditions: Conditions
    floor: Part
    counted: Part | None

    @property
    def ratio(self) -> float | None:
        """How many times the floor the count takes; None where nothing was counted."""
        return None if self.counted is None else self.counted.ms / self.floor.ms


def part(trace: Trace, conditions: Conditions) -> Part:
    """Return what a trace takes, with the phone's choices apart. Raises ValueError for an impossible trace."""
    without = trace.without_phone()
    own = simulate(without, conditions)
    requests = sum(pdu.kind is Kind.REQUEST and not pdu.beside for pdu in without.pdus)
    return Part(own, (simulate(trace, conditions).total_us - own.total_us) / 1000, requests)


def floor_for(counted: Trace, conditions: Conditions) -> Trace:
    """Return the floor of what a trace moved, towards the same phone."""
    options = FloorOptions(
        mtu=min(517, counted.phone_mtu),
        data_length=conditions.data_length,
        psm_known=counted.mtu == 0,
        address_known=counted.way.central is Side.READER and counted.sightings == 1,
        phone_sightings=counted.sightings,
        phone_advertising_us=counted.advertising_us,
    )
    return floor_trace(counted.way, counted.request_bytes, counted.response_bytes, options)


def compare(conditions: Conditions, counted: Trace) -> Row:
    """Return one counted trace beside its floor. Raises ValueError for an impossible trace."""
    floor = part(floor_for(counted, conditions), conditions)
    return Row(counted.way, counted.response_bytes, conditions, floor, part(counted, conditions))


def floor_row(conditions: Conditions, way: Way, response_bytes: int) -> Row:
    """Return a floor alone."""
    options = FloorOptions(data_length=conditions.data_length)
    trace = floor_trace(way, REQUEST_BYTES, response_bytes, options)
    return Row(way, response_bytes, conditions, part(trace, conditions), None)


def rows(traces: Sequence[Trace], conditions: Iterable[Conditions], sizes: Sequence[int] = SIZES) -> list[Row]:
    """Return every way and size under each of the conditions, counted where there is a trace of it."""
    counted = {(trace.way, trace.response_bytes): trace for trace in traces}
    wanted = {(way, size) for way in Way for size in sizes if not _near(counted, way, size)} | set(counted)
    order = sorted(wanted, key=lambda each: (list(Way).index(each[0]), each[1]))
    return [
        compare(each, counted[key]) if key in counted else floor_row(each, *key) for key in order for each in conditions
    ]


def _near(counted: Iterable[tuple[Way, int]], way: Way, size: int) -> bool:
    """Say whether a document of about that size was counted: a response is never a round number, nor less than 2 KB."""
    return any(each is way and size * 0.7 <= response <= size * 2.5 for each, response in counted)


def size_name(octets: int) -> str:
    """Return a size in KB as people say it."""
    if octets < 1000:
        return f"{octets} B"
    return f"{octets / 1024:.0f} KB" if octets >= 10_000 else f"{octets / 1024:.1f} KB".replace(".0 ", " ")


def _cells(row: Row) -> list[str]:
    if row.counted is None:
        return [f"{row.floor.ms:,.0f}", "", "", f"{row.floor.apart_ms:,.0f}", ""]
    ratio = f"{row.counted.ms / row.floor.ms:.2f}"
    apart = f"{row.counted.apart_ms:,.0f}"
    return [f"{row.floor.ms:,.0f}", f"{row.counted.ms:,.0f}", ratio, f"{row.floor.apart_ms:,.0f}", apart]


_FIGURES = ("floor, ms", "counted, ms", "ratio", "phone's part: floor", "phone's part: counted")


def main_table(shown: Sequence[Row]) -> str:
    """Return every way, size and PHY."""
    return table(
        ("way", "document", "PHY", *_FIGURES),
        [[NAMES[row.way], size_name(row.response_bytes), str(row.conditions.phy), *_cells(row)] for row in shown],
    )


def phase_table(shown: Sequence[Row]) -> str:
    """Return the milliseconds a phase, of the floor and the count."""
    lines: list[list[str]] = []
    for row in shown:
        for what, side in (("floor", row.floor), ("counted", row.counted)):
            if side is not None:
                times = [f"{side.own.phases[phase] / 1000:,.0f}" for phase in Phase]
                radio = f"{side.own.radio_us / 1000:,.0f}"
                name = f"{NAMES[row.way]}, {size_name(row.response_bytes)}, {row.conditions.phy}"
                counts = [str(count) for count in (side.requests, side.own.packets, side.own.events)]
                lines.append([name, what, *times, *counts, radio])
    return table(("what", "", *PHASES, "requests", "packets", "events", "sending, ms"), lines)


def radio_table(traces: Sequence[Trace]) -> str:
    """Return the middle document under each of the radios, on both PHYs."""
    lines: list[list[str]] = []
    middle = [trace for trace in traces if _near([(trace.way, trace.response_bytes)], trace.way, MIDDLE)]
    for interval_us, data_length, pairs in RADIOS:
        radio = Conditions(interval_us, data_length=data_length, pairs=pairs)
        both = [replace(radio, phy=phy) for phy in Phy]
        cells = [_short(row) for row in rows(middle, both, (MIDDLE,))]
        lines.append([f"{interval_us / 1000:g}", str(data_length), "no limit" if pairs is None else str(pairs), *cells])
    heads = [f"{NAMES[way]}, {phy}" for way in Way for phy in Phy]
    return table(("interval, ms", "data length", "pairs an event", *heads), lines)


def _short(row: Row) -> str:
    ratio = row.ratio
    if row.counted is None or ratio is None:
        return f"{row.floor.ms:,.0f}"
    return f"{row.counted.ms:,.0f} / {row.floor.ms:,.0f} = {ratio:.2f}"


def throughput(mtu: int, conditions: Conditions) -> float:
    """Return kbit/s of message bytes that notifications of one MTU carry in the long run, set-up left out."""
    words = [Pdu(Phase.RESPONSE, Side.PHONE, Kind.STREAM, chunks(512, mtu)[0])] * 3000
    arrivals = simulate(Trace(Way.PHONE_SERVER, tuple(words), 0, 0), conditions).arrivals
    half = len(arrivals) // 2
    carried = sum(word.octets - 4 for word in words[half:])
    return carried * 8000 / (arrivals[-1] - arrivals[half - 1])


def mtu_table() -> str:
    """Return what the choice of MTU costs."""
    radios = [Conditions(phy=phy, pairs=pairs) for pairs in (None, 6) for phy in Phy]
    heads = [f"{each.phy}, {'no limit' if each.pairs is None else f'{each.pairs} pairs'}" for each in radios]
    lines = [[str(mtu), *(f"{throughput(mtu, each):,.0f}" for each in radios)] for mtu in (23, 185, 247, 498, 512, 517)]
    return table(("ATT MTU", *heads), lines)


def plot(shown: Sequence[Row]) -> str:
    """Return the SVG: a panel a size."""
    panels: list[Panel] = []
    for size in SIZES:
        groups: list[tuple[Bar, ...]] = []
        for way in Way:
            bars = [bar for row in shown if row.way is way and _is(row, size) for bar in _bars(row)]
            groups += [tuple(bars)] if bars else []
        sizes = [row.response_bytes for row in shown if _is(row, size)]
        panels += [Panel(f"Answer of {size_name(max(sizes))}", tuple(groups))] if groups else []
    return draw("Expected time on the air, ms", PHASES, panels)


def _is(row: Row, size: int) -> bool:
    return _near([(row.way, row.response_bytes)], row.way, size)


def _bars(row: Row) -> list[Bar]:
    bars: list[Bar] = []
    ratio = "" if row.ratio is None else f" ({row.ratio:.2f})"
    for what, side, note in (("floor", row.floor, ""), ("counted", row.counted, ratio)):
        if side is not None:
            times = tuple(side.own.phases[phase] / 1000 for phase in Phase)
            label = f"{NAMES[row.way]}, {row.conditions.phy}, {what}"
            bars.append(Bar(label, times, max(0.0, side.apart_ms), note))
    return bars


def verdict(shown: Sequence[Row]) -> str:
    """Return one line on the aim."""
    ratios = [(row.ratio, row) for row in shown if row.ratio is not None]
    if not ratios:
        return "Nothing was counted yet: these are the floors."
    worst, row = max(ratios, key=lambda each: each[0])
    over = sum(ratio > AIM for ratio, _ in ratios)
    where = f"{NAMES[row.way]}, {size_name(row.response_bytes)}, {row.conditions.phy}"
    reached = "reached" if not over else f"not reached by {over} of {len(ratios)}"
    return f"Aim: at most {AIM} times the floor: {reached} (largest {worst:.2f}: {where})."


def report(traces: Sequence[Trace]) -> tuple[str, str]:
    """Return the page's tables as Markdown, and its picture as SVG. Raises ValueError for an impossible trace."""
    shown = rows(traces, [Conditions(phy=phy) for phy in Phy])
    middle = [row for row in shown if _is(row, MIDDLE)]
    page = f"""{verdict(shown)}

![Expected time on the air](bluetooth_air.svg)

## Every way

Interval 30 ms, packets of 251 octets, as many an event as fit.

{main_table(shown)}

## By phase

Milliseconds a phase of a document of 30 KB; requests (each a round trip), packets with something in them, connection
events; and for how long anybody sends at all.

{phase_table(middle)}

## Other radios

A document of 30 KB, in milliseconds: the floor, or counted / floor = ratio.

{radio_table(traces)}

## What the MTU costs

Message bytes in notifications, in the long run, in kbit/s; interval 30 ms, packets of 251 octets. A chunk whose last
packet carries a few octets wastes most of a packet: MTU 498 fills two packets exactly, 247 one; 512 and 517 need three.

{mtu_table()}
"""
    return page, plot(shown)


HEAD = f"""# Bluetooth: expected time on the air

Made by `{COMMAND}` from the traffic counted in front of a real
bluetoothd, BlueZ 5.82 (`benchmarks/bluetooth_counted.json`, which `python benchmarks/bluetooth.py --write` makes). A
model, not a measurement: one LE connection by the rules of the Core specification (`benchmarks/air_model.py`), without
loss, with hosts that answer in 1 ms. From the first listening to the end of the connection; what people and programs
take to think is left out.

The floor is the shortest traffic the specifications allow for the same messages (`benchmarks/air_floor.py` lists what
forces each word of it) through the same model. What the phone chooses, such as its own discovery where it is the
client, stands apart on both sides. Where the phone is server, most of the difference is what bluetoothd asks every
phone for its own sake: [Bluetooth on BlueZ](bluetooth.md#in-the-radio-model) lists it, word by word, and tells the
ratio without it. An advertisement is sent every 100 ms by a phone, and every 20 ms by the floor's reader.

"""


def write(docs: Path, traces: Sequence[Trace]) -> None:
    """Leave bluetooth_air.md and bluetooth_air.svg in a folder. Raises ValueError for an impossible trace."""
    page, picture = report(traces)
    docs.mkdir(exist_ok=True)
    (docs / "bluetooth_air.md").write_text(HEAD + page, encoding="utf-8")
    (docs / "bluetooth_air.svg").write_text(picture, encoding="utf-8")


def main() -> None:
    """Print, and write when asked to."""
    parser = argparse.ArgumentParser(description="Expected time on the air of a presentation over Bluetooth.")
    parser.add_argument("counted", nargs="?", type=Path, default=COUNTED, help="a JSON file (see air_trace.py)")
    parser.add_argument("--write", action="store_true", help="leave docs/bluetooth_air.md and docs/bluetooth_air.svg")
    arguments = parser.parse_args()
    try:
        traces = load(arguments.counted)
        print(report(traces)[0])
        if arguments.write:
            write(DOCS, traces)
    except (ValueError, OSError) as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
