"""NDEF messages with bounds: the records an NFC tap exchanges (NFC Forum NDEF 1.0).

Every length is checked against what is there before anything is sliced. Chunked records are refused: nothing of a
handover is large enough to need them, and a record that may grow later is a record without a bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from mdoc_reader.model.reasons import Malformed, MalformedCode

MAX_MESSAGE = 64 * 1024
MAX_RECORDS = 64
_MB, _ME, _CF, _SR, _IL = 0x80, 0x40, 0x20, 0x10, 0x08


class Tnf(IntEnum):
    """Type name format: how a record's type is to be read."""

    EMPTY = 0
    WELL_KNOWN = 1
    MEDIA = 2
    URI = 3
    EXTERNAL = 4
    UNKNOWN = 5
    UNCHANGED = 6
    RESERVED = 7


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `offset` is where its header begins in the message."""

    tnf: Tnf
    type: bytes
    id: bytes
    payload: bytes = field(repr=False)
    offset: int = 0

    def is_a(self, tnf: Tnf, name: bytes) -> bool:
        """Say whether this is a record of the given type. Media and external types are compared without case."""
        if self.tnf is not tnf:
            return False
        return self.type == name if tnf is Tnf.WELL_KNOWN else self.type.lower() == name.lower()


def parse(message: bytes, path: str = "ndef") -> tuple[Record, ...]:
    """Read one NDEF message that spans all of `message` (without NLEN). Raises Malformed.

    The first record begins the message, the last one ends it, and no other does either.
    """
    size = len(message)
    if size > MAX_MESSAGE:
        raise Malformed(MalformedCode.TOO_LARGE, path, detail=f"{size} bytes, at most {MAX_MESSAGE}")
    records: list[Record] = []
    position = 0
    while True:
        where = f"{path}[{len(records)}]"
        if len(records) == MAX_RECORDS:
            raise Malformed(MalformedCode.TOO_MANY_ITEMS, where, position)
        record, last, position = _record(message, position, first=not records, path=where)
        records.append(record)
        if last:
            break
    if position != size:
        raise Malformed(MalformedCode.TRAILING_BYTES, path, position)
    return tuple(records)


def _record(message: bytes, start: int, *, first: bool, path: str) -> tuple[Record, bool, int]:
    """Return a record, whether it ends the message, and the offset behind it."""
    flags = _take(message, start, 1, path)[0]
    if bool(flags & _MB) is not first:
        detail = "the first record does not begin the message" if first else "a second record begins the message"
        raise Malformed(MalformedCode.BAD_VALUE, path, start, detail)
    tnf = Tnf(flags & 7)
    if flags & _CF or tnf is Tnf.UNCHANGED:
        raise Malformed(MalformedCode.UNSUPPORTED, path, start, "chunked records are not accepted")
    if tnf is Tnf.RESERVED:
        raise Malformed(MalformedCode.BAD_VALUE, path, start, "a reserved type name format")
    at = start + 1
    type_length = _take(message, at, 1, path)[0]
    at += 1
    width = 1 if flags & _SR else 4
    payload_length = int.from_bytes(_take(message, at, width, path), "big")
    at += width
    id_length = 0
    if flags & _IL:
        id_length = _take(message, at, 1, path)[0]
        at += 1
    if tnf is Tnf.EMPTY and (type_length or id_length or payload_length):
        raise Malformed(MalformedCode.BAD_VALUE, path, start, "an empty record that is not empty")
    if tnf is Tnf.UNKNOWN and type_length:
        raise Malformed(MalformedCode.BAD_VALUE, path, start, "a record of unknown type that names a type")
    if tnf not in {Tnf.EMPTY, Tnf.UNKNOWN} and not type_length:
        raise Malformed(MalformedCode.BAD_VALUE, path, start, "a record without its type")
    parts = []
    for length in (type_length, id_length, payload_length):
        parts.append(_take(message, at, length, path))
        at += length
    return Record(tnf, parts[0], parts[1], parts[2], start), bool(flags & _ME), at


def _take(message: bytes, at: int, length: int, path: str) -> bytes:
    if length > len(message) - at:
        raise Malformed(MalformedCode.TRUNCATED, path, at)
    return message[at : at + length]
