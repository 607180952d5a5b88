"""A panel's Wiegand input in software: edges on two lines, to pulses, to bits, to a card, and how well they were timed.

It shares nothing with the driver. A card's format is a picture as card makers publish it, one letter for each bit:
F facility code, C card number, P parity; below it who is counted for the even parity (E) and for the odd one (O).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FORMATS = {
    "H10301": ("PFFFFFFFFCCCCCCCCCCCCCCCCP", "EXXXXXXXXXXXX.............", ".............XXXXXXXXXXXXO"),
    "H10306": (
        "PFFFFFFFFFFFFFFFFCCCCCCCCCCCCCCCCP",
        "EXXXXXXXXXXXXXXXX.................",
        ".................XXXXXXXXXXXXXXXXO",
    ),
    "H10302": (
        "PCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCP",
        "EXXXXXXXXXXXXXXXXXX..................",
        "..................XXXXXXXXXXXXXXXXXXO",
    ),
    "H10304": (
        "PFFFFFFFFFFFFFFFFCCCCCCCCCCCCCCCCCCCP",
        "EXXXXXXXXXXXXXXXXXX..................",
        "..................XXXXXXXXXXXXXXXXXXO",
    ),
}
SILENCE_US = 50_000
"""After so long without a pulse a frame is over."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A line (0 or 1) took a level at a time in microseconds."""

    at_us: float
    line: int
    level: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """A line was away from rest for a while."""

    at_us: float
    line: int
    width_us: float


@dataclass(frozen=True, slots=True)
class Card:
    """What a panel makes of a frame."""

    facility: int
    number: int


def pulses(edges: Iterable[Edge], rest: int) -> list[Pulse]:
    """Pair edges up; one to the level that a line has is none. ValueError for a line that is left away from rest."""
    level = [rest, rest]
    began = [0.0, 0.0]
    found = []
    for edge in sorted(edges, key=lambda each: each.at_us):
        if edge.level == level[edge.line]:
            continue
        level[edge.line] = edge.level
        if edge.level == rest:
            found.append(Pulse(began[edge.line], edge.line, edge.at_us - began[edge.line]))
        else:
            began[edge.line] = edge.at_us
    if level != [rest, rest]:
        raise ValueError("a line was left away from rest")
    return sorted(found, key=lambda each: each.at_us)


def frames(heard: Sequence[Pulse], silence_us: float = SILENCE_US) -> list[list[Pulse]]:
    """Part pulses into frames by the silence between them."""
    parted: list[list[Pulse]] = []
    for pulse in heard:
        if not parted or pulse.at_us - parted[-1][-1].at_us > silence_us:
            parted.append([])
        parted[-1].append(pulse)
    return parted


def text(frame: Sequence[Pulse]) -> str:
    """Return a frame's bits."""
    return "".join("01"[pulse.line] for pulse in frame)


def read(bits: str, name: str) -> Card:
    """Return the card that a frame names in a format. Raises ValueError for another length and for wrong parity."""
    picture, even, odd = FORMATS[name]
    if len(bits) != len(picture):
        raise ValueError(f"{len(bits)} bits are no {name}")
    if _ones(bits, even) % 2 != 0 or _ones(bits, odd) % 2 != 1:
        raise ValueError("wrong parity")
    return Card(_field(bits, picture, "F"), _field(bits, picture, "C"))


def _ones(bits: str, counted: str) -> int:
    return sum(bit == "1" for bit, mark in zip(bits, counted, strict=True) if mark != ".")


def _field(bits: str, picture: str, letter: str) -> int:
    return int("0" + "".join(bit for bit, mark in zip(bits, picture, strict=True) if mark == letter), 2)
