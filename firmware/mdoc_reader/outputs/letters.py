"""The letters a display can show. Words are held against this when they are loaded, and the fonts have just these.

Latin, Greek and Cyrillic are drawn letter by letter. Scripts whose letters join, stack or run from right to left need a
shaping engine and are not here.
"""

from __future__ import annotations

RANGES: tuple[tuple[int, int], ...] = (
    (0x0020, 0x007E),  # Basic Latin
    (0x00A0, 0x00AC),  # Latin-1 Supplement, without its soft hyphen
    (0x00AE, 0x00FF),
    (0x0100, 0x017F),  # Latin Extended-A
    (0x018F, 0x018F),  # Azerbaijani
    (0x0259, 0x0259),
    (0x01A0, 0x01A1),  # Vietnamese
    (0x01AF, 0x01B0),
    (0x0218, 0x021B),  # Romanian
    (0x0384, 0x038A),  # Greek
    (0x038C, 0x038C),
    (0x038E, 0x03A1),
    (0x03A3, 0x03CE),
    (0x0400, 0x045F),  # Cyrillic
    (0x048A, 0x04FF),
    (0x1E02, 0x1E03),  # Irish and Welsh
    (0x1E9E, 0x1E9E),  # German
    (0x1EA0, 0x1EF9),  # Vietnamese
    (0x2010, 0x2015),  # dashes
    (0x2018, 0x201F),  # quotation marks
    (0x2022, 0x2022),
    (0x2026, 0x2026),
    (0x2039, 0x203A),
    (0x20AC, 0x20AC),
    (0x2116, 0x2116),
    (0x2190, 0x2193),  # arrows
)
"""First and last code point of each run."""


def missing_letters(text: str) -> str:
    """Return the letters of `text` that no display can show, each once, in their order."""
    return "".join(dict.fromkeys(letter for letter in text if not _shown(ord(letter))))


def _shown(point: int) -> bool:
    return any(first <= point <= last for first, last in RANGES)
