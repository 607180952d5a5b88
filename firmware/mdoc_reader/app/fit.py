"""Whether the parts that a configuration names suit each other: what no driver can know of the others.

A driver of pins or of what hangs on them may say with `header_pins(options)` which GPIO it takes for what, and one of a
display with `one_bit_rows(options)` how many rows of black and white it has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from mdoc_reader.app.settings import Settings, SettingsError, located
from mdoc_reader.app.wiring import Driver
from mdoc_reader.model.check import Check, Health

FACE_ROWS = 96
"""Rows of black and white below which nobody can tell a face by its portrait."""


def refuse(settings: Settings, file: str) -> None:
    """Refuse what cannot work. Raises SettingsError."""
    if settings.profile.compare and settings.display.driver == "disabled":
        what = "a portrait is compared (profile.compare), and there is nothing to show it on: name a display"
        raise located(file, "display.driver", what)


def refused(settings: Settings, file: str) -> tuple[Check, ...]:
    """Return the same as a finding."""
    try:
        refuse(settings, file)
    except SettingsError as error:
        return (Check("display", Health.FAULT, str(error), "correct the configuration"),)
    return ()


def doubts(settings: Settings, drivers: Mapping[str, Driver]) -> tuple[Check, ...]:
    """Say what will hardly work as it is meant to. Loads nothing and opens nothing."""
    found = list(_comparing(drivers)) if settings.profile.compare else []
    return (*found, *_shared_pins(drivers))


def _comparing(drivers: Mapping[str, Driver]) -> tuple[Check, ...]:
    found = []
    pins, display = drivers.get("pins"), drivers.get("display")
    if pins is None or getattr(pins.options, "confirm", None) is None:
        what = "a portrait is compared, and there is no button to confirm with: nobody will ever be let in"
        found.append(Check("pins", Health.WARNING, what, "wire one and name it: options.confirm in [pins]"))
    if display is not None:
        rows_of = getattr(display.module, "one_bit_rows", None)
        rows: int | None = None if rows_of is None else rows_of(display.options)
        if rows is not None and rows < FACE_ROWS:
            what = f"a portrait is compared on {rows} rows of black and white: a face is hard to tell"
            found.append(Check("display", Health.WARNING, what, f"use one in colour, or with {FACE_ROWS} rows"))
    return tuple(found)


def _shared_pins(drivers: Mapping[str, Driver]) -> tuple[Check, ...]:
    takers: defaultdict[int, list[str]] = defaultdict(list)
    for kind, driver in drivers.items():
        pins_of = getattr(driver.module, "header_pins", None)
        taken: Mapping[int, str] = {} if pins_of is None else pins_of(driver.options)
        for pin, name in taken.items():
            takers[pin].append(f"{kind} ({name})")
    return tuple(
        Check("pins", Health.FAULT, f"GPIO {pin} is given to {' and to '.join(names)}", "wire one of them elsewhere")
        for pin, names in sorted(takers.items())
        if len(names) > 1
    )
