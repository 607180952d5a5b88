"""Checks of the reader's own parts: what works, what may not, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"  # the reader serves, and some people may meet trouble
    FAULT = "fault"  # the reader cannot serve by this part


@dataclass(frozen=True, slots=True)
class Check:
    """One finding about a part: a sentence, and what to do where something is to be done."""

    part: str
    health: Health
    what: str
    advice: str = ""
