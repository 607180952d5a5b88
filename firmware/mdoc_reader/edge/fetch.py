"""The fetcher: a process with a network and nothing else, that fills a spool with what it was given.

`python -m mdoc_reader.edge.fetch --sources FILE.json --spool DIR [--once] [--now] [--json]`

It verifies no list: whoever imports them does, and has no network. Exit codes: 0 nothing failed, 1 something could not
be fetched, 2 it cannot work at all.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from mdoc_reader.edge import plan, schedule
from mdoc_reader.edge.codes import PASSING, FetchCode, FetchError, SpoolError
from mdoc_reader.edge.http import Answer, Limits, get
from mdoc_reader.edge.plan import Errand, Plan
from mdoc_reader.edge.spool import ASKED, Fetched, Spool
from mdoc_reader.edge.told import Outcome, Teller

FAILED, CANNOT = 1, 2
ROUND = 1800.0
"""Seconds for one round of all lists."""
_LONGEST_SLEEP, _SHORTEST_SLEEP = 3600.0, 5.0


@dataclass(frozen=True, slots=True)
class World:
    """What a round depends on beside its plan. `chance` gives numbers from 0 to 1."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    limits: Limits = field(default_factory=Limits)
    seconds: float = ROUND


def one_round(
    given: Plan, spool: Spool, teller: Teller, world: World, *, everything: bool = False
) -> tuple[Outcome, ...]:
    """Fetch what is due, or everything. Hold the spool meanwhile. Raises OSError where the spool cannot be written."""
    before = spool.remembered()
    known = {errand.name: _memory(errand, before.get(errand.name)) for errand in given.errands}
    at_work = _Round(given.held, spool, teller, world, world.monotonic() + world.seconds)
    outcomes: list[Outcome] = []
    for number, errand in enumerate(given.errands):
        memory = known[errand.name]
        if not everything and not schedule.is_due(memory.due, world.now(), errand.every):
            outcome = Outcome(errand.name, errand.kind, "waiting", code=memory.code, due=memory.due)
        else:
            teller.begins(errand.name, number + 1, len(given.errands))
            outcome, known[errand.name] = at_work.run(errand, memory)
            spool.remember(known)
        outcomes.append(outcome)
        teller.ended(outcome)
    return tuple(outcomes)


def _memory(errand: Errand, memory: Fetched | None) -> Fetched:
    if memory is None or memory.url != errand.question.url:
        return Fetched(url=errand.question.url)
    return memory


@dataclass(frozen=True, slots=True)
class _Round:
    held: frozenset[str]
    spool: Spool
    teller: Teller
    world: World
    end: float

    def run(self, errand: Errand, memory: Fetched) -> tuple[Outcome, Fetched]:
        """Run one errand; returns what to tell, and what to remember."""
        # "Not changed" only helps while what was fetched is still there: waiting, or taken by the importer.
        question = errand.question
        if self._is_there(memory.digest):
            question = replace(question, etag=memory.etag, last_modified=memory.last_modified)
        try:
            answer = self._tried(replace(errand, question=question))
            changed, digest = False, memory.digest
            if answer.body is not None:
                digest = hashlib.sha256(answer.body).hexdigest()
                changed = not self._is_there(digest)
            if answer.body is not None and changed:
                self.spool.put(errand.name, answer.body)
        except FetchError as error:
            return self._failed(errand, memory, error)
        now = self.world.now()
        due = schedule.after_success(now, errand.every, self.world.chance())
        size = 0 if answer.body is None else len(answer.body)
        fetched = Fetched(
            url=memory.url, etag=answer.etag, last_modified=answer.last_modified, digest=digest, fetched=now, due=due
        )
        return Outcome(errand.name, errand.kind, "fetched" if changed else "unchanged", bytes=size, due=due), fetched

    def _is_there(self, digest: str) -> bool:
        return digest in self.held or (digest != "" and digest[:16] in self.spool.waiting())

    def _failed(self, errand: Errand, memory: Fetched, error: FetchError) -> tuple[Outcome, Fetched]:
        failures = memory.failures + 1
        due = schedule.after_failure(self.world.now(), errand.every, failures, self.world.chance(), error.retry_after)
        code, detail = str(error.code), error.detail or error.code.operator
        kept = msgspec.structs.replace(memory, due=due, failures=failures, code=code)
        return Outcome(errand.name, errand.kind, "failed", code=code, detail=detail, due=due), kept

    def _tried(self, errand: Errand) -> Answer:
        """Get one list, trying again what may pass. Raises FetchError."""
        world, tries = self.world, 0
        while True:
            tries += 1
            left = self.end - world.monotonic()
            if left <= 0:
                raise FetchError(FetchCode.OUT_OF_TIME)
            limits = replace(world.limits, max_bytes=errand.max_bytes, total=min(world.limits.total, left))
            try:
                return get(errand.question, limits)
            except FetchError as error:
                wait = schedule.pause(tries, world.chance(), error.retry_after) if error.code in PASSING else None
                if wait is None or world.monotonic() + wait >= self.end:
                    raise
                self.teller.again(errand.name, error.code, wait)
                world.sleep(wait)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the fetcher; returns the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="mdoc-reader-fetch", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--sources", type=Path, required=True, metavar="FILE.json", help="what is to be fetched")
    parser.add_argument("--spool", type=Path, required=True, metavar="DIR", help="where the importer finds it")
    parser.add_argument("--once", action="store_true", help="one round of what is due, then end")
    parser.add_argument("--now", action="store_true", help="everything at once, due or not")
    parser.add_argument("--json", action="store_true", help="tell as JSON, an object a line")
    chosen = parser.parse_args(arguments)
    teller, spool, world = Teller(as_json=chosen.json), Spool(chosen.spool), World()
    everything = chosen.now
    try:
        while True:
            with spool.held():
                given = plan.read(chosen.sources, chosen.spool / ASKED / "wanted.json")
                outcomes = one_round(given, spool, teller, world, everything=everything)
            teller.summary(outcomes)
            if chosen.once:
                return FAILED if any(outcome.what == "failed" for outcome in outcomes) else 0
            everything = False
            next_due = min((outcome.due for outcome in outcomes), default=0.0) - time.time()
            time.sleep(min(max(next_due, _SHORTEST_SLEEP), _LONGEST_SLEEP))
    except SpoolError as error:
        teller.trouble(error.code, str(error))
        return CANNOT
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
