"""What doctor found, as a table for people: one part after the other, each advice beneath what it is about.

Colour comes beside a word and a mark, never alone, and only on a terminal (https://no-color.org).
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from mdoc_reader.model.check import Check, Health

_MARKS = {Health.OK: "✓", Health.WARNING: "!", Health.FAULT: "✗"}
_PLAIN = {Health.OK: "+", Health.WARNING: "!", Health.FAULT: "x"}
_WORDS = {Health.OK: "ok", Health.WARNING: "WARNING", Health.FAULT: "FAULT"}
_COLOURS = {Health.OK: "32", Health.WARNING: "33;1", Health.FAULT: "31;1"}
_FAINT = "2"
_WIDEST, _NARROWEST = 140, 60


def told(checks: Sequence[Check], stream: TextIO | None = None) -> str:
    """Return the findings as lines, with a sum; in colour where `stream` (stdout) is a terminal, and to its width."""
    stream = stream or sys.stdout
    people = stream.isatty()
    colours = people and "NO_COLOR" not in os.environ
    width = shutil.get_terminal_size((120, 24)).columns if people else 0
    marks = _MARKS if _can_write(stream, "".join(_MARKS.values())) else _PLAIN
    return "\n".join([*_rows(checks, marks, width, colours=colours), "", _painted(sums(checks), "1", colours)])


def _can_write(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _rows(checks: Sequence[Check], marks: Mapping[Health, str], width: int, *, colours: bool) -> Iterator[str]:
    longest = max((len(check.part) for check in checks), default=0)
    edge = 13 + longest
    room = max(_NARROWEST, min(width, _WIDEST) - edge) if width else 0
    before = ""
    for check in checks:
        name = "" if check.part == before else check.part
        before = check.part
        first, *more = _wrapped(check.what, room)
        mark = f"{marks[check.health]} {_WORDS[check.health]:<7}"
        yield f"{_painted(mark, _COLOURS[check.health], colours)}  {name:<{longest}}  {first}"
        yield from (f"{'':{edge}}{line}" for line in more)
        if check.advice:
            arrow, *more = _wrapped(check.advice, room and room - 3)
            yield f"{'':{edge}}{_painted(f'-> {arrow}', _FAINT, colours)}"
            yield from (f"{'':{edge + 3}}{_painted(line, _FAINT, colours)}" for line in more)


def _wrapped(text: str, room: int) -> list[str]:
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) if room else [text]
    return lines or [""]


def sums(checks: Sequence[Check]) -> str:
    """Return one line: how many parts are well, and which are not."""
    parts = list(dict.fromkeys(check.part.split()[0] for check in checks))
    faults = [part for part in parts if _has(checks, part, Health.FAULT)]
    warned = [part for part in parts if part not in faults and _has(checks, part, Health.WARNING)]
    well = len(parts) - len(faults) - len(warned)
    told = [f"{word}: {', '.join(names)}" for word, names in (("fault", faults), ("warning", warned)) if names]
    if not told:
        return f"all {well} parts are well"
    return f"{'; '.join(told)}; {well} part{' is' if well == 1 else 's are'} well"


def _has(checks: Sequence[Check], part: str, health: Health) -> bool:
    return any(check.health is health and check.part.split()[0] == part for check in checks)


def _painted(text: str, colour: str, on: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if on else text
