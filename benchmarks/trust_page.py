"""What `trust.py` measured, as a page of tables with its aims, and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import figures
import trust_plot
from figures import Quartiles
from trust_plot import Line, Panel

if TYPE_CHECKING:
    from trust import Measured

Key = tuple[int, int, int]
MEMORY_MB, LOAD_RATIO, LOOK_RATIO = 40.0, 2.0, 2.0
_ANCHOR_LOOKS = (("candidates", "issuer, known"), ("unknown", "issuer, unknown"), ("exact", "this certificate"))


def _anchors(found: Measured) -> list[Key]:
    return [(count, 0, 0) for count in found.sizes.anchors]


def _lists(found: Measured, bits: int) -> list[Key]:
    return [(found.sizes.anchors[0], entries, bits) for entries in found.sizes.entries]


def _together(found: Measured) -> list[Key]:
    return [(*found.sizes.together, bits) for bits in found.sizes.bits]


def _growth(found: Measured, keys: Sequence[Key], what: str) -> float:
    """Return how much more a look-up costs at the most than at the fewest."""
    return found.of(keys[-1], what, "ns").median / found.of(keys[0], what, "ns").median


def _said(reached: bool) -> str:
    return "reached" if reached else "**not reached**"


def aims(found: Measured) -> str:
    """Return the table of aims."""
    rows: list[tuple[str, str, str, str]] = []
    for key in _together(found):
        most, kept = found.of(key, "believe", "most_mb"), found.of(key, "believe", "kept_mb")
        rows.append(
            (
                f"memory of {key[0]:,} anchors and {key[1]:,} statuses of {_bits(key[2])}, the most while loading",
                f"{MEMORY_MB:.0f} MB",
                f"{most.text(1)} MB; {kept.median:.1f} MB kept",
                _said(most.high < MEMORY_MB),
            )
        )
    for key in _together(found):
        ratio = found.ratio(key, "load", "floor")
        label = f"loading both ({_bits(key[2])}) from a store, against its files read and each certificate parsed"
        rows.append((label, f"{LOAD_RATIO:.0f}×", f"{ratio.text(2)}×", _said(ratio.median <= LOAD_RATIO)))
    key = _anchors(found)[-1]
    ratio = found.ratio(key, "folder_load", "folder_floor")
    label = f"loading {key[0]:,} anchors from a folder, against the same of its {key[0]:,} files"
    rows.append((label, f"{LOAD_RATIO:.0f}×", f"{ratio.text(2)}×", _said(ratio.median <= LOAD_RATIO)))
    few, many = found.sizes.anchors[0], found.sizes.anchors[-1]
    for what, label in _ANCHOR_LOOKS:
        growth = _growth(found, _anchors(found), what)
        told = f"look-up of an anchor ({label}), {many:,} against {few:,}"
        rows.append((told, "constant", f"{growth:.2f}×", _said(growth < LOOK_RATIO)))
    few, many = found.sizes.entries[0], found.sizes.entries[-1]
    for bits in found.sizes.bits:
        growth = _growth(found, _lists(found, bits), "document")
        told = f"asking for a document's status ({_bits(bits)}), {many:,} entries against {few:,}"
        rows.append((told, "constant", f"{growth:.2f}×", _said(growth < LOOK_RATIO)))
    return figures.table(("aim", "at most", "measured", ""), rows)


def _bits(bits: int) -> str:
    return "1 bit" if bits == 1 else f"{bits} bits"


def _loading(found: Measured) -> str:
    rows = []
    for key in [*_anchors(found), *_together(found)]:
        folder = not key[1]
        rows.append(
            (
                f"{key[0]:,}" + (f" + {key[1]:,} of {_bits(key[2])}" if key[1] else ""),
                found.of(key, "floor", "cpu_ms").text(2),
                found.of(key, "load", "cpu_ms").text(2),
                found.ratio(key, "load", "floor").text(2),
                found.of(key, "folder_floor", "cpu_ms").text(2) if folder else "",
                found.of(key, "folder_load", "cpu_ms").text(2) if folder else "",
                found.ratio(key, "folder_load", "folder_floor").text(2) if folder else "",
            )
        )
    head = ("anchors", "store: floor, ms", "store: load, ms", "ratio", "folder: floor, ms", "folder: load, ms", "ratio")
    return figures.table(head, rows)


def _memory(found: Measured) -> str:
    rows = []
    for key in [*_anchors(found), *_together(found)]:
        again = found.of(key, "again", "most_mb").text(1) if key[1] else ""
        rows.append(
            (
                f"{key[0]:,}" + (f" + {key[1]:,} of {_bits(key[2])}" if key[1] else ""),
                found.of(key, "believe", "kept_mb").text(1),
                found.of(key, "believe", "most_mb").text(1),
                f"{found.of(key, 'traced', 'traced_mb').median:.2f}",
                again,
                f"{found.files[key] / 1e6:.2f}",
            )
        )
    head = ("anchors", "kept, MB", "the most, MB", "objects, MB", "most more, second time, MB", "on disk, MB")
    return figures.table(head, rows)


def _anchor_looks(found: Measured) -> str:
    rows = [
        (
            f"{key[0]:,}",
            *(found.of(key, what, "ns").text(0) for what, _ in _ANCHOR_LOOKS),
            _thousands(found.of(key, "signer", "ns")).text(0),
        )
        for key in _anchors(found)
    ]
    head = ("anchors", *(f"{label}, ns" for _, label in _ANCHOR_LOOKS), "a signer seen first, all checks, µs")
    return figures.table(head, rows)


def _thousands(one: Quartiles) -> Quartiles:
    return Quartiles(one.low / 1000, one.median / 1000, one.high / 1000)


def _status(found: Measured) -> str:
    rows = [
        (
            f"{key[1]:,} of {_bits(bits)}",
            found.of(key, "open", "cpu_ms").text(2),
            found.of(key, "open", "most_mb").text(1),
            found.of(key, "read", "cpu_ms").text(2),
            found.of(key, "read_traced", "traced_mb").text(3),
            found.of(key, "status", "ns").text(0),
            found.of(key, "document", "ns").text(0),
        )
        for bits in found.sizes.bits
        for key in _lists(found, bits)
    ]
    head = (
        "entries",
        "opened at import, ms",
        "most, MB",
        "read at load, ms",
        "kept, MB",
        "one entry, ns",
        "a document asked for, ns",
    )
    return figures.table(head, rows)


_SHARED = ", on a machine with other work, which ratios show least"


def page(found: Measured) -> str:
    """Return docs/trust_scale.md."""
    names = ("mdoc-reader", "cryptography", "cbor2")
    anchors, entries = found.sizes.anchors, found.sizes.entries
    return f"""# How trust grows

From {anchors[0]:,} to {anchors[-1]:,} anchors, and from {entries[0]:,} to {entries[-1]:,} entries of a status list.

![Loading, memory and look-ups by size](trust_scale.svg)

## Aims

{aims(found)}

Measured on the machine below, not on a board: a board takes longer for everything here, the floor included, and the
same memory. "Constant" is met where a thousand times as many cost less than twice as much: what little a look-up grows
by is memory that no longer fits the processor's cache, where a search would take four times as long.

## Loading

{_loading(found)}

The floor reads the same bytes and calls `x509.load_der_x509_certificate` once for each certificate, and keeps nothing.
Of a store it reads the manifest, one file of certificates and the compiled status list; of a folder, one file for each
certificate. Loading a store reads no certificate: the importer has, and wrote down what finds it; the SHA-256 of all
that is loaded is compared. Files are in the page cache.
Times are processor time, which a busy machine changes least.

## Memory

{_memory(found)}

`kept` is how much the process's own memory (`RssAnon`) grew from before loading to after it, with the signer cache and
the index of lists in place; `the most` is the high-water mark of resident memory meanwhile, from the same start.
`objects` is what Python counts (`tracemalloc`). The second time is a new generation of the same size, taken while the
first is believed: how much more than before at the most. `on disk` is the generation, the lists as they came included.

## Looking an anchor up

{_anchor_looks(found)}

Anchors are chosen by chance, and asked for with fresh bytes as a phone sends them. The last column is a document signer
nobody has seen yet, under an anchor nobody has opened yet: certificate read, path verified, profile judged.

## Status lists

{_status(found)}

CWT, two entries of a hundred set, by chance. Opened at import: signature and path verified, inflated, compiled. Read at
load: digest compared, header read. A document is asked for as a presentation does: the list found by its address, its
authority compared, its age looked at, the entry read. In a place of {found.sizes.anchors[0]} anchors.

{found.rounds} rounds, each figure in a process of its own, {found.took_s:.0f} s{_SHARED if found.shared else ""}:
`.venv/bin/python benchmarks/trust.py --write`
{figures.machine(*names)}
"""


def _line(found: Measured, name: str, colour: int, keys: Sequence[Key], shown: tuple[str, str]) -> Line:
    points = tuple((key[1] or key[0], _above_zero(found.of(key, *shown))) for key in keys)
    return Line(name, colour, points)


def _above_zero(one: Quartiles) -> Quartiles:
    return Quartiles(*(max(value, 1e-3) for value in (one.low, one.median, one.high)))


def picture(found: Measured) -> str:
    """Return docs/trust_scale.svg."""
    anchors = _anchors(found)
    lists = {bits: _lists(found, bits) for bits in found.sizes.bits}
    floor = _line(found, "files read, each parsed once", 4, anchors, ("floor", "cpu_ms"))
    twice = tuple((count, Quartiles(2 * one.median, 2 * one.median, 2 * one.median)) for count, one in floor.points)
    counts = [*found.sizes.anchors, *found.sizes.entries]
    panels = (
        Panel(
            "Loading anchors",
            "anchors",
            "ms",
            (
                _line(found, "store", 0, anchors, ("load", "cpu_ms")),
                _line(found, "folder, a file each", 1, anchors, ("folder_load", "cpu_ms")),
                floor,
                Line("aim: twice the grey line", 0, twice, aim=True),
            ),
        ),
        Panel(
            "Memory kept",
            "anchors, or entries of a status list",
            "MB",
            (
                _line(found, "anchors", 0, anchors, ("traced", "traced_mb")),
                *(
                    _line(found, f"status list, {_bits(bits)}", 2 + place, keys, ("read_traced", "traced_mb"))
                    for place, (bits, keys) in enumerate(lists.items())
                ),
                trust_plot.limit(f"aim: {MEMORY_MB:.0f} MB for both", MEMORY_MB, counts),
            ),
        ),
        Panel(
            "One look-up",
            "anchors, or entries of a status list",
            "ns",
            (
                _line(found, "anchor by key or name", 0, anchors, ("candidates", "ns")),
                _line(found, "anchor by certificate", 1, anchors, ("exact", "ns")),
                *(
                    _line(found, f"status, {_bits(bits)}", 2 + place, keys, ("document", "ns"))
                    for place, (bits, keys) in enumerate(lists.items())
                ),
            ),
        ),
        Panel(
            "Status lists",
            "entries",
            "ms",
            (
                *(
                    _line(found, f"opened at import, {_bits(bits)}", 2 + place, keys, ("open", "cpu_ms"))
                    for place, (bits, keys) in enumerate(lists.items())
                ),
                *(
                    _line(found, f"read at load, {_bits(bits)}", 4 + place, keys, ("read", "cpu_ms"))
                    for place, (bits, keys) in enumerate(lists.items())
                ),
            ),
        ),
    )
    return trust_plot.draw(
        "How trust grows",
        "Medians with quartiles, each from a process of its own. Axes in powers of ten: a flat line is constant.",
        panels,
    )
