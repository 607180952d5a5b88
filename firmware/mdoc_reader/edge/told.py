"""What the fetcher tells: a line for each list as it is dealt with, for people or as JSON, and a summary."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from mdoc_reader.model.reasons import ReasonCode


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one errand.

    Args:
        what: fetched, unchanged, failed, or waiting: not due yet.
        code: why it failed.
        due: when it is due again, in seconds since 1970.
    """

    source: str
    kind: str
    what: Literal["fetched", "unchanged", "failed", "waiting"]
    bytes: int = 0
    code: str = ""
    detail: str = ""
    due: float = 0.0


class Teller:
    """Tells on standard output."""

    def __init__(self, *, as_json: bool) -> None:
        """Choose for whom."""
        self._as_json = as_json

    def begins(self, source: str, number: int, count: int) -> None:
        """Say what is fetched now."""
        if self._as_json:
            self._say({"event": "begin", "source": source, "number": number, "of": count})

    def again(self, source: str, code: ReasonCode, seconds: float) -> None:
        """Say that a fetch is tried again."""
        if self._as_json:
            self._say({"event": "again", "source": source, "code": str(code), "seconds": round(seconds, 1)})
        else:
            self._line(f"{source}: {code.operator} Trying again in {seconds:.0f} s.")

    def ended(self, outcome: Outcome) -> None:
        """Say what came of one."""
        if self._as_json:
            self._say({"event": "end", **asdict(outcome)})
            return
        size = f", {outcome.bytes} bytes" if outcome.bytes else ""
        why = f" ({outcome.code}: {outcome.detail})" if outcome.code else ""
        due = time.strftime("%Y-%m-%d %H:%M", time.localtime(outcome.due))
        self._line(f"{outcome.source}: {outcome.what}{size}{why}; next {due}")

    def summary(self, outcomes: Sequence[Outcome]) -> None:
        """Say what came of all."""
        counts = {
            what: sum(outcome.what == what for outcome in outcomes)
            for what in ("fetched", "unchanged", "failed", "waiting")
        }
        if self._as_json:
            self._say({"event": "summary", **counts})
        else:
            self._line(", ".join(f"{count} {what}" for what, count in counts.items()))

    def trouble(self, code: ReasonCode, line: str) -> None:
        """Say that nothing can be done."""
        if self._as_json:
            self._say({"event": "trouble", "code": str(code), "message": line})
        else:
            sys.stderr.write(line + "\n")

    def _say(self, event: dict[str, object]) -> None:
        self._line(json.dumps(event))

    @staticmethod
    def _line(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
