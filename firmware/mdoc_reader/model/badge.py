"""A badge: the number a building is told for a person who was let in."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_BITS = 64


@dataclass(frozen=True, slots=True)
class Badge:
    """A number of at most 64 bits. What it stands for is the profile's choice; it is personal data all the same.

    A line that carries fewer bits sends the lowest ones.
    """

    number: int = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no such number, with ValueError."""
        if not 0 <= self.number < 1 << MAX_BITS:
            raise ValueError(f"a badge has a number of at most {MAX_BITS} bits")
