"""`mdoc-reader doctor`: looks at the parts a configuration names and says how each is and what to do.

A driver that can tell more than whether it loads has `async def examine(options) -> tuple[Check, ...]`, bounded in
time, which touches nothing a running reader uses.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Sequence
from pathlib import Path

from mdoc_reader.app import wiring
from mdoc_reader.app.settings import DriverSettings, SettingsError, load
from mdoc_reader.model.check import Check, Health

_EXAMINE_S = 15.0
_MARKS = {Health.OK: "ok     ", Health.WARNING: "WARNING", Health.FAULT: "FAULT  "}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser("doctor", help="look at every part and say what to do")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the TOML file the reader runs by")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(function=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    """Print the findings. Exit code 0: nothing wrong, 1: warnings, 2: a fault."""
    file = str(arguments.config)
    settings = load(arguments.config)
    checks: list[Check] = []
    for kind in wiring.used_kinds(settings):
        checks += examined(kind, getattr(settings, kind), product=settings.reader.product, file=file)
    if arguments.json:
        rows = [{"part": c.part, "health": c.health, "what": c.what, "advice": c.advice} for c in checks]
        print(json.dumps(rows, indent=2))
    else:
        print(told(checks))
    worst = {check.health for check in checks}
    return 2 if Health.FAULT in worst else 1 if Health.WARNING in worst else 0


def examined(kind: str, chosen: DriverSettings, *, product: bool, file: str) -> Sequence[Check]:
    """Load one driver and let it look at its part."""
    try:
        driver = wiring.load_driver(kind, chosen, product=product, file=file)
    except SettingsError as error:
        return [Check(kind, Health.FAULT, str(error), "correct the configuration, or install what it names")]
    if driver.disabled:
        return [Check(kind, Health.OK, "disabled by the configuration")]
    examine = getattr(driver.module, "examine", None)
    if examine is None:
        return [Check(kind, Health.OK, f"driver {driver.name!r} loads; it cannot tell more")]
    found: Sequence[Check] = asyncio.run(_bounded(kind, examine(driver.options)))
    return found


async def _bounded(kind: str, work: Awaitable[Sequence[Check]]) -> Sequence[Check]:
    try:
        async with asyncio.timeout(_EXAMINE_S):
            return await work
    except TimeoutError:
        return [Check(kind, Health.FAULT, f"did not answer within {_EXAMINE_S:.0f} s", "restart the device")]


def told(checks: Sequence[Check]) -> str:
    """Return the findings as lines for people, each advice beneath what it is about."""
    width = max((len(check.part) for check in checks), default=0)
    lines: list[str] = []
    for check in checks:
        lines.append(f"{_MARKS[check.health]}  {check.part:<{width}}  {check.what}")
        if check.advice:
            lines.append(f"{'':7}  {'':<{width}}  -> {check.advice}")
    return "\n".join(lines)
