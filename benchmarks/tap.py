"""NFC on the emulated PN532: transfer against its floor and nfcpy, tap to engagement, polling, tap to light.

    python benchmarks/tap.py [--rounds N]      measure and print
    python benchmarks/tap.py --write           and keep the figures, and leave docs/nfc.md and docs/nfc.svg
    python benchmarks/tap.py --visits --write  the same for whole presentations alone
    python benchmarks/tap.py --render --write  make the page again from the figures kept

Figures are kept in tap_measured.json. `tap_far` is the far end, in a process of its own; the measurements are
`tap_moves`, `tap_steps`, `tap_polls` and `tap_visits`; `tap_page` shows them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import msgspec

import tap_moves
import tap_page
import tap_polls
import tap_steps
import tap_visits
from figures import DOCS, machine
from tap_far import Far
from tap_figures import Measured, load, save


def _forget(measured: Measured) -> None:
    del measured


def say(text: str) -> None:
    """Show a person that something happens."""
    print(text, file=sys.stderr, flush=True)


def measure(rounds: int, keep: Callable[[Measured], None], *, quick: bool) -> Measured:
    """Do all of it; `keep` is given what there is before the daemon is started, which takes as long again."""
    with Far() as far:
        moves = tap_moves.measure(far, rounds, say, quick=quick)
        taps = tap_steps.measure(far, rounds if quick else 2 * rounds, say)
        looks, watched_s, phones = (4, 0.5, 3) if quick else (140, 30.0, 200)
        looked, polling = tap_polls.measure(far, looks, watched_s, phones, say)
    told = machine("nfcpy", "cryptography")
    measured = Measured(machine=told, moves=moves, taps=taps, looks=looked, polling=polling)
    keep(measured)
    return with_visits(measured, rounds, quick=quick)


def with_visits(measured: Measured, rounds: int, *, quick: bool) -> Measured:
    """Measure whole presentations, in place of those there were."""
    return msgspec.structs.replace(measured, visits=tap_visits.measure(rounds, say, quick=quick))


def main() -> None:
    """Measure, print, and with --write keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="the smallest run, for figures of no meaning")
    parser.add_argument("--render", action="store_true", help="measure nothing: use the figures kept")
    parser.add_argument("--visits", action="store_true", help="measure whole presentations alone, keep the rest")
    parser.add_argument("--write", action="store_true", help="keep the figures and write the page")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    keep = save if arguments.write else _forget
    if arguments.render:
        measured = load()
    elif arguments.visits:
        measured = with_visits(load(), rounds, quick=arguments.quick)
    else:
        measured = measure(rounds, keep, quick=arguments.quick)
    page, picture = tap_page.report(measured)
    print(page)
    if arguments.write:
        save(measured)
        (DOCS / "nfc.md").write_text(page, encoding="utf-8")
        (DOCS / "nfc.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
