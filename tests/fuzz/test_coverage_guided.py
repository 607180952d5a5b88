"""The coverage-guided run: every parser many thousand times, and the planted bugs to show that it finds things.

What a stranger's phone sends over the air is fuzzed a hundred thousand times in each run of the tests, conversations
with cards and files that an operator brings a fifth of that: `fuzz.py NAME --runs N` goes on for as long as one likes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import card_targets
import isodep_targets
import pytest
import revocation_targets
import rule_targets
import trust_targets
from planted import PLANTED
from targets import TARGETS

import fuzz

RUNS = 100_000
FEWER = 20_000
_FEWER_FOR = {
    *card_targets.PARSERS,
    *isodep_targets.PARSERS,
    *trust_targets.PARSERS,
    *revocation_targets.PARSERS,
    *rule_targets.PARSERS,
}
_AT_A_TIME = 2
_PATIENCE = 600.0

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this machine (x86-64 only)"
    ),
    pytest.mark.timeout(_PATIENCE + 60),
]

Runs = Mapping[str, Future[fuzz.Run]]


def runs_of(name: str) -> int:
    """How often a target is run."""
    return FEWER if name in _FEWER_FOR else RUNS


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Start the runs of all selected tests, two at a time; each test waits for its own."""
    wanted = []
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.path == request.path:
            chosen = item.callspec.params
            wanted.append(chosen["target"] if "target" in chosen else f"planted:{chosen['bug']}")
    pool = ThreadPoolExecutor(_AT_A_TIME)
    try:
        yield {name: pool.submit(fuzz.run, name, runs_of(name), patience=_PATIENCE) for name in wanted}
    finally:
        pool.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_only_our_own_errors_come_out(target: str, runs: Runs) -> None:
    done = runs[target].result()
    print(f"\n{done}", end=" ", flush=True)
    assert done.exit_code == 0, str(done)
    assert done.executions >= runs_of(target), str(done)


@pytest.mark.slow
@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_found(bug: str, runs: Runs) -> None:
    done = runs[f"planted:{bug}"].result()
    print(f"\nplanted:{bug}: found in {done.seconds:.1f} s", end=" ", flush=True)
    assert done.exit_code != 0, "the bug was not found"
    assert "FOUND" in done.output, str(done)
    # What was printed reproduces it, without the engine.
    data = bytes.fromhex(done.reproduce.rpartition(" ")[2])
    with pytest.raises((IndexError, AttributeError, TypeError, RecursionError, UnicodeDecodeError, AssertionError)):
        PLANTED[bug](data)
