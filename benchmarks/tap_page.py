"""The page of the NFC benchmark, docs/nfc.md, and its picture, from what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import tap_plot
import tap_steps
from figures import Quartiles, table
from tap_figures import BAUDS, LONG, NFCPY, OURS, RATES, Engaging, Measured, Move, Polling, Visit

AIM, NOTICE_AIM_MS = 1.25, 150
_PARTS = ("air", "line", "chip's firmware", "reader's process")


def _spread(values: Sequence[float], digits: int = 0) -> str:
    return Quartiles.of(values).text(digits) if len(values) > 1 else f"{values[0]:.{digits}f}"


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _size(size: int) -> str:
    return f"{size // 1000} KB"


Case = tuple[str, int, int]
"""Who, the bit rate on the air in kbit/s, and the line's speed."""


def _chosen(measured: Measured, case: Case, apdus: str, size: int) -> list[Move]:
    return [
        each
        for each in measured.moves
        if (each.who, each.rate, each.baud) == case and (each.apdus, each.size) == (apdus, size)
    ]


def _sizes(measured: Measured) -> list[int]:
    return sorted({each.size for each in measured.moves})


def _transfer(measured: Measured) -> str:
    sizes = _sizes(measured)
    head = ["air, kbit/s", "line, baud", "APDUs"]
    head += [f"{_size(size)}: ms" for size in sizes]
    head += [f"{_size(size)}: times the floor" for size in sizes]
    head += [f"{_size(sizes[-1])}: times the payload alone"]
    rows = []
    for baud in BAUDS:
        for rate in RATES:
            for apdus in LONG:
                moves = [_chosen(measured, (OURS, rate, baud), apdus, size) for size in sizes]
                rows.append(
                    [str(rate), str(baud), apdus]
                    + [f"{_median([each.took_ms for each in of_size]):.0f}" for of_size in moves]
                    + [_spread([each.ratio for each in of_size], 2) for of_size in moves]
                    + [f"{_median([each.took_ms / each.payload_ms for each in moves[-1]]):.2f}"]
                )
    return table(head, rows)


def worst(measured: Measured) -> tuple[float, Move]:
    """Return the highest median ratio to the floor among our transfers, and one of those it is of."""
    groups: dict[tuple[int, int, str, int], list[Move]] = {}
    for each in measured.moves:
        if each.who == OURS:
            groups.setdefault((each.rate, each.baud, each.apdus, each.size), []).append(each)
    return max(
        ((_median([each.ratio for each in group]), group[0]) for group in groups.values()), key=lambda found: found[0]
    )


def _peer(measured: Measured) -> str:
    rows = []
    for baud in BAUDS:
        for apdus in LONG:
            for size in _sizes(measured):
                ours = _chosen(measured, (OURS, 106, baud), apdus, size)
                theirs = _chosen(measured, (NFCPY, 106, baud), apdus, size)
                ratios = [b.took_ms / a.took_ms for a, b in zip(ours, theirs, strict=True)]
                rows.append(
                    [
                        str(baud),
                        apdus,
                        _size(size),
                        _spread([each.took_ms for each in ours]),
                        _spread([each.took_ms for each in theirs]),
                        _spread(ratios, 2),
                        f"{ours[0].commands} / {theirs[0].commands}",
                        f"{ours[0].payload_ms:.0f}",
                        f"{_median([each.cpu_ms for each in ours]):.0f} / {_median([e.cpu_ms for e in theirs]):.0f}",
                    ]
                )
    head = ["line, baud", "APDUs", "answer", "mdoc-reader, ms", "nfcpy, ms", "nfcpy / ours"]
    return table([*head, "chip commands, ours / nfcpy", "payload alone, ms", "CPU ms, ours / nfcpy"], rows)


def _parts(move: Move) -> tuple[float, ...]:
    return move.rf_ms, move.uart_ms, move.chip_ms, move.took_ms - move.floor_ms - move.chip_ms


def _shares(measured: Measured) -> str:
    size = _sizes(measured)[-1]
    cases = ((OURS, 106, 115200), (OURS, 424, 921600), (NFCPY, 106, 115200), (NFCPY, 106, 921600))
    rows = []
    for who, rate, baud in cases:
        moves = _chosen(measured, (who, rate, baud), "short", size)
        took = _median([each.took_ms for each in moves])
        parts = [_median(values) for values in zip(*map(_parts, moves), strict=True)]
        rows.append([f"{who}, {rate} kbit/s, {baud} baud", f"{took:.0f}", *(f"{each:.0f}" for each in parts)])
    return table(["short APDUs, " + _size(size), "took, ms", *_PARTS], rows)


def _of(taps: Sequence[Engaging], kind: str, rate: int, baud: int) -> list[Engaging]:
    return [each for each in taps if (each.kind, each.rate, each.baud) == (kind, rate, baud)]


def _durations(tap: Engaging) -> dict[str, float]:
    found = dict.fromkeys(tap_steps.NAMES, 0.0)
    for step in tap.steps:
        found[step.name] += step.ended_ms - step.began_ms
    return found


def _engagement(measured: Measured) -> str:
    columns = [(kind, rate, baud) for kind in tap_steps.KINDS for rate, baud in tap_steps.SETTINGS]
    groups = [_of(measured.taps, *column) for column in columns]
    rows = []
    for name in tap_steps.NAMES:
        cells = []
        for group in groups:
            apdus = sum(step.apdus for step in group[0].steps if step.name == name)
            took = _median([_durations(each)[name] for each in group])
            cells.append("" if not took else f"{took:.1f}" + (f" ({apdus})" if apdus else ""))
        rows.append([name, *cells])
    rows.append(["in all"] + [f"{_spread([e.took_ms for e in group])}; {group[0].apdus} APDUs" for group in groups])
    rows.append(["air and line alone"] + [f"{_median([e.floor_ms for e in group]):.0f}" for group in groups])
    return table(["ms (APDUs)", *(f"{kind}, {rate} kbit/s, {baud} baud" for kind, rate, baud in columns)], rows)


def _looks(measured: Measured) -> str:
    rows = [
        [
            str(each.baud),
            "yes" if each.ecp else "no",
            f"{_median(each.took_ms):.1f}",
            f"{max(each.took_ms):.1f}",
            f"{each.cpu_ms:.2f}",
        ]
        for each in measured.looks
    ]
    head = ["line, baud", "announces itself (ECP)", "one look, ms", "longest, ms", "CPU ms a look"]
    return table(head, rows)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all are at most."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _noticing(polling: Polling) -> str:
    rows = [
        [
            name,
            str(len(values)),
            f"{min(values):.0f}",
            f"{_median(values):.0f}",
            f"{percentile(values, 0.95):.0f}",
            f"{max(values):.0f}",
        ]
        for name, values in (("noticed", polling.noticed_ms), ("engaged (static)", polling.engaged_ms))
    ]
    return table(["from the phone in the field, ms", "phones", "least", "median", "95th percentile", "most"], rows)


def _visits(measured: Measured) -> str:
    keys: dict[tuple[str, int, int, int], list[Visit]] = {}
    for each in measured.visits:
        keys.setdefault((each.way, each.rate, each.baud, round(each.response, -3)), []).append(each)
    rows = []
    for (way, rate, baud, _), group in sorted(keys.items(), key=lambda item: (item[0][1], item[0][0], item[0][3])):

        def column(figure: Callable[[Visit], float], of: Sequence[Visit] = group) -> str:
            return _spread([figure(each) for each in of])

        rows.append(
            [
                way,
                f"{_median([each.response for each in group]) / 1000:.1f} KB",
                str(rate),
                str(baud),
                column(lambda each: each.engaged_ms),
                column(lambda each: each.light_ms),
                f"{_median([each.floor_ms for each in group]):.0f}",
            ]
        )
    head = ["way", "answer", "air, kbit/s", "line, baud", "tap to engagement, ms", "tap to light, ms"]
    return table([*head, "NFC air and line in it, ms"], rows)


def plot(measured: Measured) -> str:
    """Return the picture."""
    taps = []
    for kind in tap_steps.KINDS:
        for rate, baud in tap_steps.SETTINGS:
            group = sorted(_of(measured.taps, kind, rate, baud), key=lambda each: each.took_ms)
            middle = group[len(group) // 2]
            parts = tuple((tap_steps.NAMES.index(s.name), s.began_ms, s.ended_ms) for s in middle.steps)
            note = f"{middle.took_ms:.0f} ms, {middle.apdus} APDUs"
            taps.append(tap_plot.Bar(f"{kind}, {rate} kbit/s, {baud}", parts, note))
    size = _sizes(measured)[-1]
    bars = []
    for who, rate, baud in (
        (OURS, 106, 115200),
        (NFCPY, 106, 115200),
        (OURS, 106, 921600),
        (NFCPY, 106, 921600),
        (OURS, 212, 921600),
        (OURS, 424, 921600),
    ):
        moves = _chosen(measured, (who, rate, baud), "short", size)
        ends, end = [], 0.0
        for number, values in enumerate(zip(*map(_parts, moves), strict=True)):
            took = max(0.0, _median(values))
            ends.append((number, end, end + took))
            end += took
        note = f"{_median([e.took_ms for e in moves]):,.0f} ms, {_median([e.ratio for e in moves]):.2f} x its floor"
        bars.append(tap_plot.Bar(f"{who}, {rate} kbit/s, {baud}", tuple(ends), note))
    return tap_plot.draw(
        "Tap and transfer on a PN532",
        (
            tap_plot.Panel("From the look that finds the phone to its engagement", tap_steps.NAMES, range(9), taps),
            tap_plot.Panel(f"Transfer of {_size(size)}, short APDUs: where the time goes", _PARTS, (3, 6, 0, 7), bars),
        ),
    )


def report(measured: Measured) -> tuple[str, str]:
    """Return the page and the picture."""
    (polling,) = measured.polling
    ratio, move = worst(measured)
    noticed = percentile(polling.noticed_ms, 0.95)
    transfer_aim = (
        f"Aim: at most {AIM} times the floor: {'reached' if ratio <= AIM else 'not reached'} everywhere. The highest "
        f"median is {ratio:.2f} ({_size(move.size)}, {move.apdus} APDUs, {move.rate} kbit/s, {move.baud} baud)."
    )
    notice_aim = (
        f"Aim: noticed within {NOTICE_AIM_MS} ms: {'reached' if noticed <= NOTICE_AIM_MS else 'not reached'}; "
        f"{noticed:.0f} ms at the 95th percentile, {max(polling.noticed_ms):.0f} ms at most."
    )
    loop = (
        f"The loop at its default period of {polling.period_ms:.0f} ms, {polling.watched_s:.0f} s over an empty field: "
        f"{polling.looks / polling.watched_s:.1f} looks a second, {polling.cpu_share * 100:.2f} % of one core."
    )
    parts = [
        _HEAD,
        "![Tap and transfer](nfc.svg)",
        _TRANSFER_TEXT,
        _transfer(measured),
        transfer_aim,
        "Beside nfcpy, which knows no other bit rate than 106 kbit/s. Ratios are taken within their round.",
        _peer(measured),
        _PEER_TEXT,
        _shares(measured),
        _TAP_TEXT,
        _engagement(measured),
        _POLL_TEXT,
        _looks(measured),
        loop,
        _noticing(polling),
        notice_aim,
    ]
    if measured.visits:
        parts += [_VISIT_TEXT, _visits(measured)]
    parts += [_DISTORTS, measured.machine]
    return "\n\n".join(parts) + "\n", plot(measured)


_HEAD = """# NFC: transfer, tap and polling

Made by `.venv/bin/python benchmarks/tap.py --write` in a quarter of an hour. Our real driver of the PN532 and our block
protocol, on a pseudo-terminal; at its far end, in a process of its own, an emulated PN532 that keeps the time of line,
air and firmware, with a lab phone in its field. The chip counts what every bit takes. Figures are medians, spreads are
quartiles; contenders take turns within every round."""
_TRANSFER_TEXT = """## Transfer

A request of 1 KB to the phone and its answer back, in ENVELOPE and GET RESPONSE commands. The *floor* is the time the
same bits take on the air and on the line, with the shortest delays between frames; the chip's firmware (0.3 ms a
command) and everything in the reader's process come on top. *Payload alone* is what request and answer would take
without an octet of any protocol. Short APDUs carry 255 and 256 bytes, extended ones as much as there is."""
_PEER_TEXT = """Both carry the very same APDUs in as many frames. nfcpy runs the chip with its own driver, at the speed
given here (by itself it takes the highest the port says it can do). It reads and writes the chip's registers and sets
its timer anew for every frame, which raises its own floor: beside the payload alone that shows.

Where the time goes. At 115200 baud the line takes longer than the air: on a port that keeps up with 921600
(`options.baud`) that is gained first, before any bit rate on the air."""
_TAP_TEXT = """## Tap to engagement

From the beginning of the look that finds the phone to the handover being understood. The phone thinks no time here:
what a real one takes for each APDU comes on top. When it negotiates it asks for two waits of 32 ms (WT_INT 24)."""
_POLL_TEXT = """## Polling

A look switches the field on, asks for cards twice, announces this reader in between, and switches the field off. Each
fifth looks for cards of type B as well, each seventh for FeliCa: the longest are those."""
_VISIT_TEXT = """## Tap to light

The daemon as a process of its own, with a camera beside it; from the phone in the field, at any moment of the polling,
to the lamp. Approval takes no time. Bluetooth is a simulated air without connection intervals: a real radio takes
longer, see [expected time on the air](bluetooth_air.md). The smallest signed answer has about 2.5 KB."""
_DISTORTS = """## What the emulation distorts

- There is no noise, no repeated frame, and the card answers after the shortest delay; phones take some milliseconds.
- A pseudo-terminal hands over a frame at once where its last octet would have come: the line's time is the chip's.
- Chip and reader share the processors of this machine, and whatever else runs there is in the spread.
- Processor time is that of this machine; a Raspberry Pi takes several times as long."""
