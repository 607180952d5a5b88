"""NDEF messages, read within bounds (NFC Forum NDEF 1.0)."""

from __future__ import annotations

from dataclasses import dataclass, field

from mdoc_reader.model.reasons import Malformed, MalformedCode

MAX_RECORDS = 64
MAX_BYTES = 64 * 1024
WELL_KNOWN, MEDIA, EXTERNAL = 1, 2, 4
_MB, _ME, _CF, _SR, _IL = 0x80, 0x40, 0x20, 0x10, 0x08


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `type` as text (its bytes are ASCII in every type that matters here)."""

    tnf: int
    type: str
    id: bytes
    payload: bytes = field(repr=False)


def parse(message: bytes) -> tuple[Record, ...]:
    """Read a whole NDEF message. Raises Malformed; chunked records are refused as unsupported."""
    if len(message) > MAX_BYTES:
        raise Malformed(MalformedCode.TOO_LARGE, "NDEF")
    records: list[Record] = []
    position = 0
    while True:
        if len(records) >= MAX_RECORDS:
            raise Malformed(MalformedCode.TOO_MANY_ITEMS, "NDEF")
        record, position, last = _record(message, position, first=not records)
        records.append(record)
        if last:
            break
    if position != len(message):
        raise Malformed(MalformedCode.TRAILING_BYTES, "NDEF", position)
    return tuple(records)


def _record(message: bytes, position: int, *, first: bool) -> tuple[Record, int, bool]:
    start = position

    def take(count: int) -> bytes:
        nonlocal position
        if position + count > len(message):
            raise Malformed(MalformedCode.TRUNCATED, "NDEF", start)
        position += count
        return message[position - count : position]

    flags = take(1)[0]
    if bool(flags & _MB) is not first:
        raise Malformed(MalformedCode.BAD_VALUE, "NDEF", start, "message begin is in the wrong place")
    if flags & _CF or flags & 7 == 6:
        raise Malformed(MalformedCode.UNSUPPORTED, "NDEF", start, "a chunked record")
    type_length = take(1)[0]
    payload_length = int.from_bytes(take(1 if flags & _SR else 4), "big")
    id_length = take(1)[0] if flags & _IL else 0
    kind, identifier = take(type_length), take(id_length)
    payload = take(payload_length)
    return Record(flags & 7, kind.decode("latin-1"), identifier, payload), position, bool(flags & _ME)
