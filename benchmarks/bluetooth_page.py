"""The page and the picture of `bluetooth.py`: ratios first, then what each phase says, with a reason for all of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from air_model import Side, Trace, Way
from air_plot import Bar, Panel, draw
from bluetooth_figures import MIDDLE, SIZES, Calls, Measured, Run
from bluetooth_listen import BEFORE, BESIDE, END, EXCHANGE, START, Said, said
from bluetooth_reasons import of_air, of_bus
from figures import Quartiles, table

AIM = 1.25
NAMES = {
    Way.PHONE_SERVER: "phone is server",
    Way.READER_SERVER: "reader is server",
    Way.PHONE_CHANNEL: "L2CAP, phone is server",
    Way.READER_CHANNEL: "L2CAP, reader is server",
}
_PHASES = ("prepare", "connect", "exchange", "verify")
_BUS_PHASES = ("link", "start", "request", "response", "end")
_BUS_NAMES = {
    "link": BEFORE,
    "start": START,
    "request": f"{EXCHANGE}, request",
    "response": f"{EXCHANGE}, response",
    "end": END,
}

Part = Callable[[Run], float]


def pairs(runs: Sequence[Run], way: Way, size: int) -> list[tuple[Run, Run]]:
    """Return ours and bare of each round."""
    ours = [run for run in runs if (run.way, run.size, run.who) == (way, size, "ours")]
    bare = [run for run in runs if (run.way, run.size, run.who) == (way, size, "bare")]
    return list(zip(ours, bare, strict=True))


def ratio(both: Sequence[tuple[Run, Run]], part: Part) -> Quartiles:
    """Return ours over bare, taken within each round."""
    return Quartiles.of([part(ours) / part(bare) for ours, bare in both])


def _transport(run: Run) -> float:
    return run.transport_ms


def _verdict(run: Run) -> float:
    return run.verdict_ms


def _spread(runs: Sequence[Run], part: Part) -> str:
    if len(runs) < 2:
        return f"{part(runs[0]):.0f}"
    return Quartiles.of([part(run) for run in runs]).text(0)


def _ratio_text(both: Sequence[tuple[Run, Run]], part: Part) -> str:
    return ratio(both, part).text(2) if len(both) > 1 else f"{part(both[0][0]) / part(both[0][1]):.2f}"


def ratio_table(measured: Measured) -> str:
    """Return every way and size: totals and ratios."""
    lines: list[list[str]] = []
    for way in Way:
        for size in SIZES:
            if both := pairs(measured.runs, way, size):
                ours, bare = [each for each, _ in both], [each for _, each in both]
                lines.append(
                    [
                        NAMES[way],
                        f"{size // 1000} KB",
                        str(len(both)),
                        _spread(bare, _transport),
                        _spread(ours, _transport),
                        _ratio_text(both, _transport),
                        _spread(ours, _verdict),
                        _ratio_text(both, _verdict),
                    ]
                )
    head = ("way", "document", "rounds", "bare, ms", "ours, transport alone, ms", "ratio", "ours, all, ms", "ratio")
    return table(head, lines)


_COLUMNS: tuple[tuple[str, Part], ...] = (
    ("prepare", lambda run: run.prepare_ms),
    ("connect", lambda run: run.connect_ms),
    ("exchange", lambda run: run.exchange_ms - run.phone_ms),
    ("verify", lambda run: run.verify_ms),
    ("end", lambda run: run.end_ms),
)


def phase_table(measured: Measured) -> str:
    """Return the phases of every way and size."""
    lines: list[list[str]] = []
    for way in Way:
        for size in SIZES:
            both = pairs(measured.runs, way, size)
            for who, number in (("bare", 1), ("ours", 0)):
                runs = [each[number] for each in both]
                if runs:
                    cells = [
                        "" if who == "bare" and name in {"prepare", "verify"} else _spread(runs, part)
                        for name, part in _COLUMNS
                    ]
                    lines.append([NAMES[way], f"{size // 1000} KB", who, *cells])
    return table(("way", "document", "", *(f"{name}, ms" for name, _ in _COLUMNS)), lines)


def plot(measured: Sequence[Measured]) -> str:
    """Return the SVG: a panel a release and size."""
    panels: list[Panel] = []
    for each in measured:
        for size in SIZES:
            groups: list[tuple[Bar, ...]] = []
            for way in Way:
                both = pairs(each.runs, way, size)
                if both:
                    groups.append((_bar("bare", way, [b for _, b in both], ""), _ours(way, both)))
            if groups:
                panels.append(Panel(f"BlueZ {each.bluez}, document of {size // 1000} KB", tuple(groups)))
    title = "Engagement to verdict beside the barest BlueZ program, ms (transport alone / all)"
    return draw(title, _PHASES, panels, "end, after the verdict")


def _ours(way: Way, both: Sequence[tuple[Run, Run]]) -> Bar:
    of_transport = statistics.median(_transport(ours) / _transport(bare) for ours, bare in both)
    of_all = statistics.median(_verdict(ours) / _verdict(bare) for ours, bare in both)
    return _bar("ours", way, [ours for ours, _ in both], f" ({of_transport:.2f} / {of_all:.2f})")


def _bar(who: str, way: Way, runs: Sequence[Run], note: str) -> Bar:
    medians = tuple(statistics.median(part(run) for run in runs) for _, part in _COLUMNS)
    return Bar(f"{NAMES[way]}, {who}", medians[:4], medians[4], note)


def bus_table(calls: Sequence[Calls]) -> str:
    """Return the D-Bus calls of each phase and way, ours beside bare, with reasons."""
    counted = {(each.way, each.who, each.phase, each.member): each.times for each in calls}
    lines: list[list[str]] = []
    for phase in _BUS_PHASES:
        members = dict.fromkeys(each.member for each in calls if each.phase == phase)
        for member in members:
            cells = [
                f"{counted.get((way, 'ours', phase, member), 0)} / {counted.get((way, 'bare', phase, member), 0)}"
                for way in Way
            ]
            cells = ["" if cell == "0 / 0" else cell for cell in cells]
            name = f"to us: {member[1:]}" if member.startswith("<") else member
            lines.append([_BUS_NAMES[phase], name, *cells, of_bus(phase, member)])
    return table(("phase", "call", *(NAMES[way] for way in Way), "why it is left"), lines)


def air_table(traces: Sequence[Trace]) -> str:
    """Return what is said on the air in each phase and way, with reasons; answers belong to their requests."""
    told: dict[tuple[str, Side, str], dict[Way, Said]] = {}
    for trace in traces:
        for word in said(trace):
            if not word.name.endswith("Response"):
                told.setdefault((word.phase, word.sender, word.name), {})[trace.way] = word
    order = (BEFORE, START, EXCHANGE, BESIDE, END)
    lines: list[list[str]] = []
    for (phase, sender, name), ways in sorted(told.items(), key=lambda each: order.index(each[0][0])):
        cells = [f"{ways[way].times:,}" if way in ways else "" for way in Way]
        whose, why = of_air(name, by_phone=all(word.by_phone for word in ways.values()))
        lines.append([phase, str(sender), name, *cells, whose, why])
    return table(("phase", "from", "what", *(NAMES[way] for way in Way), "whose choice", "why it is left"), lines)


def radio_table(measured: Sequence[Measured]) -> str:
    """Return what the radio model makes of each release and MTU, for the middle document."""
    lines = [
        [
            each.bluez,
            NAMES[air.way],
            str(air.exchange_mtu),
            air.phy,
            f"{air.response_ms:,.0f}",
            f"{air.floor_ms:,.0f}",
            f"{air.counted_ms:,.0f}",
            f"{air.counted_ms / air.floor_ms:.2f}",
            f"{air.bare_ms:,.0f}",
            f"{air.bare_ms / air.floor_ms:.2f}",
        ]
        for each in measured
        for air in sorted(each.air, key=lambda air: (list(Way).index(air.way), air.phy, -air.exchange_mtu))
        if air.size == MIDDLE
    ]
    head = ("BlueZ", "way", "ExchangeMTU", "PHY", "response, ms", "floor, ms", "counted, ms", "ratio")
    return table((*head, "without bluetoothd's own, ms", "ratio"), lines)


def verdict(measured: Sequence[Measured]) -> str:
    """Return a line a release on the aim."""
    lines: list[str] = []
    for each in measured:
        shown: list[str] = []
        over: dict[str, list[str]] = {"transport alone": [], "everything included": []}
        for way in Way:
            if len(both := pairs(each.runs, way, MIDDLE)) > 1:
                of_transport, of_all = ratio(both, _transport).median, ratio(both, _verdict).median
                shown.append(f"{NAMES[way]} {of_transport:.2f} ({of_all:.2f})")
                over["transport alone"] += [NAMES[way]] * (of_transport > AIM)
                over["everything included"] += [NAMES[way]] * (of_all > AIM)
        words = [f"{what} {f'missed by {_and(ways)}' if ways else 'reached'}" for what, ways in over.items()]
        about = f"BlueZ {each.bluez} (Debian {each.dist}, Linux {each.kernel})"
        lines.append(f"- {about}: {'; '.join(shown)}. Aim: {'; '.join(words)}.")
    return "\n".join(lines)


def _and(names: Sequence[str]) -> str:
    return " and ".join(f"*{name}*" for name in names)


def report(measured: Sequence[Measured], traces: Sequence[Trace]) -> tuple[str, str]:
    """Return the page as Markdown and its picture as SVG."""
    middle = [trace for trace in traces if MIDDLE * 0.7 < trace.response_bytes < MIDDLE * 1.5]
    parts = [_HEAD, verdict(measured), _PICTURE]
    for each in measured:
        title = f"BlueZ {each.bluez}"
        about = f"Debian {each.dist}, Linux {each.kernel}. On {each.machine}."
        parts += [
            f"## {title}: totals",
            about,
            ratio_table(each),
            f"## {title}: phases",
            _PHASE_TEXT,
            phase_table(each),
        ]
    parts.append(_DISTORTS)
    parts += ["## D-Bus calls", _BUS_TEXT]
    for each in measured:
        parts += [f"### BlueZ {each.bluez}", bus_table(each.calls)]
    parts += [
        "## On the air",
        _AIR_TEXT,
        air_table(middle),
        "## In the radio model",
        _RADIO_TEXT,
        radio_table(measured),
    ]
    return "\n\n".join(parts) + "\n", plot(measured)


_HEAD = f"""# Bluetooth on BlueZ: engagement to verdict

Made by `python benchmarks/bluetooth.py --write`. One QEMU guest with its own kernel and bluetoothd; in it our daemon
and, in turns, the barest program that moves the same bytes (`benchmarks/bare_bluez.py`: the same Python, D-Bus library,
main.conf and MTU; no session, no crypto, no checks). The phone is outside, on a simulated controller, and the same for
both. Aim: a document of 30 KB in at most {AIM} times the bare program's time. The first figure is the transport alone,
in brackets everything from the engagement to the verdict, with our crypto, rules and policy, beside a program that has
none:"""
_PICTURE = """![Engagement to verdict](bluetooth.svg)

Ratios are taken within their round, then the median of those; spreads are quartiles. Who goes first changes every
round. The answer with the document of 1 KB has 2.5 KB: the least that a signed one has."""
_PHASE_TEXT = """*Prepare*: keys and session. *Connect*: from there until a request may be sent, so with registering and
advertising where we are server. *Exchange*: request and whole answer, without what the phone computes between them.
*Verify*: all checks and the decision. *End*: from the verdict to the end of the connection on the air; nobody waits for
it but the next person."""
_DISTORTS = """## What the emulation distorts

- The air has no connection intervals: a PDU arrives at once. What is left is processor time of guest and host, several
  times slower than on a device, because QEMU translates every instruction. On a real radio both programs wait for the
  same air most of the time, so these ratios are the worst case; the [radio model](bluetooth_air.md) has the air.
- Advertisements of the phone come every 60 ms, so that finding it takes 0 to 60 ms more or less in each run.
- Both programs stay in memory, and the one that waits hears the same D-Bus signals as the one that works.
- Guest and phone share the host's processors, and whatever else runs there is in the spread."""
_BUS_TEXT = """Ours / bare, for a document of 30 KB. Counted by the programs themselves: ours by the driver, with the
transport above it and without the rest of the daemon."""
_AIR_TEXT = """PDUs of a presentation with a document of 30 KB, without their responses; BlueZ 5.82. *Beside
the channel* is bluetoothd's discovery while the channel carries the session: nobody waits for it.

bluetoothd's discovery is the largest cost that we do not choose. The main.conf of neither release has a setting that
turns it off: under GATT there are `Cache`, `KeySize`, `ExchangeMTU`, `Channels`, and in 5.82 `ExportClaimedServices`.
It was counted with `Cache = no`, `ReverseServiceDiscovery = false` and `--noplugin=*`. The lab phone has two services
beside its own; a phone with more of them is asked more."""
_RADIO_TEXT = """Counted traffic of 30 KB through the model at an interval of 30 ms, without a limit of packets an
event, with the phone's choices apart. *Without bluetoothd's own* leaves out what the table above gives to bluetoothd,
and the third advertisement its kernel waits for. All sizes, radios and phases: [expected time on the
air](bluetooth_air.md). A chunk of MTU 512 takes three packets, one of 498 two, full ones. 5.66 as server loses writes
of 511 and 512 bytes, which neither allows."""
