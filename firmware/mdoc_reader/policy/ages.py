"""How old the holder is, as far as a document tells: from age_over_NN, the date or year of birth, and age_in_years.

Each says something of where the age lies; together they leave a span. A question is answered where the whole span lies
on one side of it (the nearest-age rule of ISO 18013-5 clause 7.2.5 is this for age_over_NN alone), and not at all where
two of them exclude each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from mdoc_reader.policy.days import age_on
from mdoc_reader.policy.truth import Known

OLDEST = 150
"""Nobody is older: a date of birth so long ago stands for one that is not known."""
_OPEN = 1_000_000
_STATED = {f"age_over_{age:02d}": age for age in range(100)}


@dataclass(frozen=True, slots=True)
class AgeSpan:
    """Where an age lies.

    Attributes:
        reached: full years, at least.
        below: full years are fewer than this; None for no bound.
        contradicted: what tells of it excludes itself, or is a mistake (a birth yet to come, or too long ago). Then
            nothing is known.
    """

    reached: int = 0
    below: int | None = None
    contradicted: bool = False

    def over(self, age: int) -> Known:
        """Say whether the holder has reached an age."""
        if self.contradicted:
            return None
        if self.reached >= age:
            return True
        return False if self.below is not None and self.below <= age else None


@dataclass(frozen=True, slots=True)
class Days:
    """What day it is.

    Attributes:
        today: None where the time cannot be relied on.
        over: a day that has certainly come; today, where that is known.
        early: those born on 29 February are a year older on the 28th of a common year.
    """

    today: date | None
    over: date
    early: bool = False


def age_span(
    elements: Mapping[str, Mapping[str, object]], days: Days, birth: date | None, year: int | None, years: int | None
) -> AgeSpan:
    """Return where an age lies by all that tells of it.

    Args:
        elements: by namespace; the age_over_NN of all of them count.
        days: what day it is. Where that is not known, only that some day has come is certain: an age may be higher.
        birth: birth_date.
        year: age_birth_year. The birthday may be yet to come.
        years: age_in_years, as of the day the document was made: birthdays since only add to it.
    """
    reached, below, mistaken = 0, _OPEN, False
    for given in elements.values():
        for identifier, value in given.items():
            age = _STATED.get(identifier)
            if age is None:
                continue
            if value is True:
                reached = age if age > reached else reached
            elif value is False:
                below = age if age < below else below
    known = days.today is not None
    if birth is not None:
        lowest = age_on(birth, days.over, early=days.early)
        reached = max(reached, lowest)
        below = min(below, lowest + 1) if known else below
        mistaken = lowest > OLDEST or (known and lowest < 0)
    if year is not None:
        highest = days.over.year - year
        reached = max(reached, highest - 1)
        below = min(below, highest + 1) if known else below
        mistaken = mistaken or highest - 1 > OLDEST or (known and highest < 0)
    if years is not None:
        reached = max(reached, years)
        mistaken = mistaken or years > OLDEST
    return AgeSpan(reached, None if below == _OPEN else below, mistaken or below <= reached)
