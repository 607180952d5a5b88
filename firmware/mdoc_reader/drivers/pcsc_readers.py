"""Which of the readers of a machine is the contactless one, and what a card's answer to reset says it is.

PC/SC part 3 has contactless cards answer to reset like cards with contacts, with an answer the reader makes up.
"""

from __future__ import annotations

import re

AUTO = "auto"

_CONTACTLESS = re.compile(r"contact-?less|\bPICC\b|\bNFC\b|RFID|\bprox|\d*CL\b", re.IGNORECASE)
_CONTACT = re.compile(r"\bcontact(ed)?\b|\bICC\b", re.IGNORECASE)
_SAM = re.compile(r"\bSAM\b", re.IGNORECASE)
_SLOT = re.compile(r"^(?P<device>.*) (?P<number>[0-9A-F]{2}) (?P<slot>[0-9A-F]{2})$")

_PREFIX = bytes.fromhex("8001")
_STORAGE = bytes.fromhex("804f0ca000000306")
_NAMES = {
    0x0001: "a MIFARE Classic card",
    0x0002: "a MIFARE Classic card",
    0x0003: "a MIFARE Ultralight or NTAG tag",
    0x0026: "a MIFARE Mini card",
    0x0036: "a MIFARE Plus card",
    0x0037: "a MIFARE Plus card",
    0x0038: "a MIFARE Plus card",
    0x0039: "a MIFARE Plus card",
    0x003A: "a MIFARE Ultralight or NTAG tag",
    0x003B: "a FeliCa card",
    0xF011: "a FeliCa card",
    0xF012: "a FeliCa card",
}
_STANDARDS = {
    0x01: "a type A tag without the block protocol",
    0x02: "a type A tag without the block protocol",
    0x03: "a type A tag without the block protocol",
    0x05: "a type B tag without the block protocol",
    0x06: "a type B tag without the block protocol",
    0x07: "a type B tag without the block protocol",
    0x09: "a vicinity tag (ISO/IEC 15693)",
    0x0A: "a vicinity tag (ISO/IEC 15693)",
    0x0B: "a vicinity tag (ISO/IEC 15693)",
    0x0C: "a vicinity tag (ISO/IEC 15693)",
    0x11: "a FeliCa card",
}


def choose(names: tuple[str, ...], wanted: str) -> str | None:
    """Return the name of the reader to use: the first that has `wanted` in its name, or the likeliest contactless one.

    None when there is none. A slot for security modules is never chosen by itself.
    """
    if wanted != AUTO:
        return next((name for name in names if wanted.casefold() in name.casefold()), None)
    usable = [name for name in names if not _SAM.search(name)]
    # Of readers with both, many are two slots of one device, and not all say which is which: the second is the air.
    return min(usable, key=lambda name: (-_score(name), -_slot(name) if _score(name) == 1 else 0), default=None)


def is_contactless(name: str) -> bool:
    """Whether a reader's name says that it is for contactless cards."""
    return bool(_CONTACTLESS.search(name))


def _score(name: str) -> int:
    if is_contactless(name):
        return 2
    return 0 if _CONTACT.search(name) else 1


def _slot(name: str) -> int:
    match = _SLOT.match(name)
    return int(match["slot"], 16) if match else 0


def foreign_words(atr: bytes) -> str | None:
    """Return what a card is that takes no APDUs, for people; None for every other card."""
    history = _contactless_history(atr)
    if history is None or not history.startswith(_STORAGE) or len(history) < len(_STORAGE) + 3:
        return None
    standard, name = history[len(_STORAGE)], int.from_bytes(history[len(_STORAGE) + 1 : len(_STORAGE) + 3], "big")
    return _NAMES.get(name) or _STANDARDS.get(standard, "a contactless tag without applications")


def card_words(atr: bytes) -> str:
    """Return what a card is that takes APDUs, for people. Nothing that tells two cards apart."""
    return "a card, perhaps one with contacts" if _contactless_history(atr) is None else "a contactless card or phone"


def _contactless_history(atr: bytes) -> bytes | None:
    """Return the historical bytes of an answer to reset as PC/SC part 3 clause 3.1.3.2.3 makes it up."""
    if len(atr) < 4 or atr[0] != 0x3B or atr[1] & 0xF0 != 0x80 or atr[2:4] != _PREFIX:
        return None
    count = atr[1] & 0x0F
    return atr[4 : 4 + count] if len(atr) >= 4 + count else None
