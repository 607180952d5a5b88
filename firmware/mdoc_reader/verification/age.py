"""The age rule: what a set of age_over_NN answers says about one age (ISO 18013-5 clause 7.2.5).

A wallet answers the nearest age it has, so the identifier that comes back may differ from the one asked for: TRUE at or
above the age asked is a yes, FALSE at or below it a no, and anything else is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mdoc_reader.model.verdict import CheckState

_AGE_OVER = re.compile(r"age_over_(\d{2})")


def age_of(identifier: str) -> int | None:
    """Return NN of an element called age_over_NN, or None."""
    if not identifier.startswith("age_over_"):
        return None
    match = _AGE_OVER.fullmatch(identifier)
    return int(match[1]) if match and match[1].isascii() else None


def age_over(elements: Mapping[str, object], age: int) -> CheckState:
    """Answer whether the holder is over `age`: PASSED, FAILED, or UNDETERMINED where nothing says so.

    Contradicting answers (TRUE for an age and FALSE for a lower one) are UNDETERMINED: nothing that opens a door.
    """
    over, under = None, None
    for identifier, value in elements.items():
        stated = age_of(identifier)
        if stated is None or not isinstance(value, bool):
            continue
        if value:
            over = stated if over is None else max(over, stated)
        else:
            under = stated if under is None else min(under, stated)
    if over is not None and under is not None and under <= over:
        return CheckState.UNDETERMINED
    if over is not None and over >= age:
        return CheckState.PASSED
    if under is not None and under <= age:
        return CheckState.FAILED
    return CheckState.UNDETERMINED
