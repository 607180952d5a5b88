"""How trust grows: loading, memory and look-up from 10 to 10,000 anchors and from 10 thousand to 10 million statuses.

The aims are for 10,000 anchors and a status list of a million entries on a board of 512 MB: a look-up costs the same at
any size, both take less than 40 MB, and loading takes at most twice as long as reading the files and parsing each
certificate once. Every figure comes from a process of its own; contenders take turns within every round.

    python benchmarks/trust.py              print the tables
    python benchmarks/trust.py --quick      two rounds of the smallest sizes: figures of no meaning
    python benchmarks/trust.py --write      and leave docs/trust_scale.md and .svg
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import figures
import trust_case
import trust_page
from figures import Quartiles
from trust_case import Place

CHILD = Path(__file__).resolve().with_name("trust_child.py")
LIMIT_S = 120
OF_ANCHORS = (
    "floor",
    "load",
    "folder_floor",
    "folder_load",
    "believe",
    "traced",
    "candidates",
    "exact",
    "unknown",
    "signer",
)
OF_STATUS = ("open", "read", "read_traced", "status", "document")
OF_BOTH = ("floor", "load", "believe", "again", "traced", "candidates", "exact", "status", "document")


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is measured: numbers of anchors; numbers of entries and bits of each, beside the fewest anchors."""

    anchors: Sequence[int] = (10, 100, 1000, 10_000)
    entries: Sequence[int] = (10_000, 100_000, 1_000_000, 10_000_000)
    bits: Sequence[int] = (1, 8)
    together: tuple[int, int] = (10_000, 1_000_000)


QUICK = Sizes((10, 20), (1000, 2000), (1,), (20, 2000))


@dataclass(slots=True)
class Measured:
    """Every figure of every round, by anchors, entries, bits and what was measured."""

    sizes: Sizes
    rounds: int
    shared: bool = False
    took_s: float = 0.0
    files: dict[tuple[int, int, int], int] = field(default_factory=dict)
    runs: dict[tuple[int, int, int, str], list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))

    def of(self, place: tuple[int, int, int], what: str, figure: str) -> Quartiles:
        """Return one figure of one place."""
        return Quartiles.of([run[figure] for run in self.runs[*place, what]])

    def ratio(self, place: tuple[int, int, int], what: str, floor: str) -> Quartiles:
        """Return how much longer one thing takes than another, taken within each round."""
        pairs = zip(self.runs[*place, what], self.runs[*place, floor], strict=True)
        return Quartiles.of([one["cpu_ms"] / other["cpu_ms"] for one, other in pairs])


def child(what: str, place: Place) -> dict[str, float]:
    """Measure one thing in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(CHILD), what, str(place.root)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{what} of {place.anchors} anchors and {place.entries} entries failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def plan(sizes: Sizes) -> dict[tuple[int, int, int], Sequence[str]]:
    """Return what is measured of which place: anchors, entries, bits."""
    todo: dict[tuple[int, int, int], Sequence[str]] = {(count, 0, 0): OF_ANCHORS for count in sizes.anchors}
    for bits in sizes.bits:
        todo |= {(sizes.anchors[0], entries, bits): OF_STATUS for entries in sizes.entries}
    for bits in sizes.bits:
        todo[*sizes.together, bits] = OF_BOTH
    return todo


def measure(sizes: Sizes, rounds: int) -> Measured:
    """Make the places and measure them."""
    began = time.monotonic()
    todo = plan(sizes)
    result = Measured(sizes, rounds)
    with tempfile.TemporaryDirectory(prefix="mdoc-trust-") as name:
        authorities = trust_case.make_anchors(max(count for count, _, _ in todo))
        places = {
            key: trust_case.make_place(Path(name) / "-".join(map(str, key)), authorities[: key[0]], *key[1:])
            for key in todo
        }
        for key, place in places.items():
            result.files[key] = sum(
                each.stat().st_size for each in (place.store / "generations").rglob("*") if each.is_file()
            )
        for number in range(rounds):
            for key, kinds in todo.items():
                for what in kinds:
                    result.runs[*key, what].append(child(what, places[key]))
            print(f"round {number + 1} of {rounds}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    result.took_s = time.monotonic() - began
    return result


def main() -> None:
    """Measure, print, and with --write keep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two rounds of the smallest sizes")
    parser.add_argument("--write", action="store_true", help="write docs/trust_scale.md and .svg")
    parser.add_argument("--shared", action="store_true", help="say that the machine had other work meanwhile")
    arguments = parser.parse_args()
    if arguments.rounds < 2:
        parser.error("at least two rounds, for a spread")
    sizes, rounds = (QUICK, 2) if arguments.quick else (Sizes(), arguments.rounds)
    found = measure(sizes, rounds)
    found.shared = arguments.shared
    text, picture = trust_page.page(found), trust_page.picture(found)
    print(text)
    if arguments.write:
        (figures.DOCS / "trust_scale.md").write_text(text)
        (figures.DOCS / "trust_scale.svg").write_text(picture)


if __name__ == "__main__":
    main()
