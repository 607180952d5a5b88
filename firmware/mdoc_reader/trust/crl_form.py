"""The form of a certificate revocation list: DER walked once, entry by entry, nothing of it built (RFC 5280 section 5).

A list may have a million entries on a small board. The crypto library would make an object of each; here an entry
becomes thirteen octets of a table. Lengths must be as DER writes them, and every place is bounded by the one around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mdoc_reader.model.reasons import Malformed, MalformedCode

_SEQUENCE, _BOOLEAN, _INTEGER, _BITS, _OCTETS, _OID, _ENUMERATED = 0x30, 0x01, 0x02, 0x03, 0x04, 0x06, 0x0A
_UTC_TIME, _GENERAL_TIME, _EXTENSIONS = 0x17, 0x18, 0xA0
_MAX_EXTENSIONS = 32
_MAX_NUMBER_OCTETS = 256
_MAX_POINTS = 32
_MAX_NAME = 16 * 1024
_REMEMBERED = 4096
_TRUE = b"\xff"

# Contents of object identifiers.
NUMBER, DELTA, DIVISION, AUTHORITY_KEY = b"\x55\x1d\x14", b"\x55\x1d\x1b", b"\x55\x1d\x1c", b"\x55\x1d\x23"
_FRESHEST, _ISSUER_NAMES = b"\x55\x1d\x2e", b"\x55\x1d\x12"
_KNOWN = frozenset({NUMBER, DELTA, DIVISION, AUTHORITY_KEY, _FRESHEST, _ISSUER_NAMES})
_REASON, _HOLD_INSTRUCTION, _INVALID_SINCE, _OTHER_ISSUER = (
    b"\x55\x1d\x15",
    b"\x55\x1d\x17",
    b"\x55\x1d\x18",
    b"\x55\x1d\x1d",
)
_KNOWN_OF_ENTRY = frozenset({_REASON, _HOLD_INSTRUCTION, _INVALID_SINCE})
REASON_HOLD, REASON_REMOVED = 6, 8
_REASONS = frozenset(range(11)) - {7}


@dataclass(frozen=True, slots=True)
class Division:
    """What part of an issuer's certificates a list tells of. `points`: web addresses; `unnamed`: places that are none.

    `others` is what makes it useless for signers by itself: some reasons, other issuers, other kinds of certificates.
    """

    points: tuple[str, ...] = ()
    unnamed: bool = False
    some_reasons: bool = False
    indirect: bool = False
    others_only: bool = False


@dataclass(frozen=True, slots=True)
class CrlForm:
    """A list's parts. `signed` is what the signature is over; names and algorithms are DER with tag and length.

    `entries` says where the entries lie, for `walk`; `number` is None where there is none.
    """

    signed: memoryview = field(repr=False)
    promised: bytes
    algorithm: bytes
    signature: bytes = field(repr=False)
    version: int
    issuer: bytes
    this_update: datetime
    next_update: datetime | None
    entries: tuple[int, int]
    number: int | None = None
    number_octets: int = 0
    authority_key: bytes | None = None
    authority_named: bool = False
    delta: bool = False
    division: Division | None = None
    unknown_critical: bool = False


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """What an entry's extensions say. `reason` None: it gives none."""

    reason: int | None = None
    meaningless: bool = False
    critical: bool = False
    other_issuer: bool = False


PLAIN = EntryFacts()
"""Of an entry without extensions."""
_SHORTEST_LONG = 0x40  # with the heads and the date around it, a length below this leaves the entry's in one octet
_USUAL_DATE = bytes((_UTC_TIME, 13))
_PADDING = frozenset({0x00, 0xFF})


def element(data: bytes | memoryview, at: int, end: int) -> tuple[int, int, int]:
    """Return tag, start of the content and offset behind it of the DER element at `at`. Raises Malformed."""
    if at + 2 > end:
        raise Malformed(MalformedCode.TRUNCATED, offset=at)
    length, body = data[at + 1], at + 2
    if data[at] & 31 == 31:
        raise Malformed(MalformedCode.UNSUPPORTED, offset=at, detail="a tag of several octets")
    if length >= 0x80:
        width = length & 0x7F
        if not 1 <= width <= 4 or body + width > end:
            raise Malformed(MalformedCode.BAD_VALUE, offset=at, detail="a length that is not DER")
        length = int.from_bytes(data[body : body + width], "big")
        body += width
        if length < 0x80 or length >> (8 * (width - 1)) == 0:
            raise Malformed(MalformedCode.BAD_VALUE, offset=at, detail="a length that is not DER")
    if body + length > end:
        raise Malformed(MalformedCode.TRUNCATED, offset=at)
    return data[at], body, body + length


def _expect(data: bytes | memoryview, at: int, end: int, tag: int) -> tuple[int, int]:
    found, body, behind = element(data, at, end)
    if found != tag:
        raise Malformed(MalformedCode.WRONG_TYPE, offset=at)
    return body, behind


def parse(data: bytes) -> CrlForm:
    """Read everything but the entries of a CRL in DER. Raises Malformed."""
    start, end = _expect(data, 0, len(data), _SEQUENCE)
    if end != len(data):
        raise Malformed(MalformedCode.TRAILING_BYTES, offset=end)
    at, signed_end = _expect(data, start, end, _SEQUENCE)
    signed = memoryview(data)[start:signed_end]
    _, algorithm_end = _expect(data, signed_end, end, _SEQUENCE)
    bits, bits_end = _expect(data, algorithm_end, end, _BITS)
    if bits_end != end or bits >= end or data[bits] != 0:
        raise Malformed(MalformedCode.BAD_VALUE, "signature", bits)
    version = 1
    if at < signed_end and data[at] == _INTEGER:
        body, at = _expect(data, at, signed_end, _INTEGER)
        if data[body:at] != b"\x01":
            raise Malformed(MalformedCode.UNSUPPORTED, "version", body)
        version = 2
    _, behind = _expect(data, at, signed_end, _SEQUENCE)
    promised, at = data[at:behind], behind
    _, behind = _expect(data, at, signed_end, _SEQUENCE)
    issuer, at = data[at:behind], behind
    if len(issuer) > _MAX_NAME:
        raise Malformed(MalformedCode.TOO_LARGE, "issuer", at)
    this_update, at = _time(data, at, signed_end)
    next_update: datetime | None = None
    if at < signed_end and data[at] in {_UTC_TIME, _GENERAL_TIME}:
        next_update, at = _time(data, at, signed_end)
    entries = (at, at)
    if at < signed_end and data[at] == _SEQUENCE:
        body, at = _expect(data, at, signed_end, _SEQUENCE)
        entries = (body, at)
    found = _Extensions()
    if at < signed_end:
        body, at = _expect(data, at, signed_end, _EXTENSIONS)
        if version == 1:
            raise Malformed(MalformedCode.BAD_VALUE, "extensions", body, "a first version has none")
        found.take(data[body:at])
    if at != signed_end:
        raise Malformed(MalformedCode.TRAILING_BYTES, offset=at)
    return CrlForm(
        signed,
        promised,
        data[signed_end:algorithm_end],
        data[bits + 1 : end],
        version,
        issuer,
        this_update,
        next_update,
        entries,
        found.number,
        found.number_octets,
        found.authority_key,
        found.authority_named,
        found.delta,
        found.division,
        found.unknown_critical,
    )


def _time(data: bytes, at: int, end: int) -> tuple[datetime, int]:
    tag, body, behind = element(data, at, end)
    shape = {_UTC_TIME: 13, _GENERAL_TIME: 15}.get(tag)
    text = data[body:behind]
    if shape is None or len(text) != shape or text[-1:] != b"Z" or not text[:-1].isdigit():
        raise Malformed(MalformedCode.BAD_VALUE, "time", at, "not as RFC 5280 writes a time")
    if tag == _UTC_TIME:
        text = (b"19" if text[:2] >= b"50" else b"20") + text
    digits = [int(text[:4]), *(int(text[place : place + 2]) for place in range(4, 14, 2))]
    try:
        return datetime(*digits, tzinfo=UTC), behind  # type: ignore[arg-type, misc]  # six numbers
    except ValueError:
        raise Malformed(MalformedCode.BAD_VALUE, "time", at) from None


def _extensions(data: bytes) -> Iterator[tuple[bytes, bool, bytes]]:
    """Give identifier, whether it is critical, and value of each of the extensions in a SEQUENCE that is all of `data`.

    One that comes twice, and more than a list ever has, are refused.
    """
    at, end = _expect(data, 0, len(data), _SEQUENCE)
    if end != len(data):
        raise Malformed(MalformedCode.TRAILING_BYTES, "extensions")
    seen: set[bytes] = set()
    while at < end:
        one, at = _expect(data, at, end, _SEQUENCE)
        body, behind = _expect(data, one, at, _OID)
        identifier, critical = data[body:behind], False
        if behind < at and data[behind] == _BOOLEAN:
            body, behind = _expect(data, behind, at, _BOOLEAN)
            if data[body:behind] not in {_TRUE, b"\0"}:
                raise Malformed(MalformedCode.BAD_VALUE, "extensions", detail="neither true nor false")
            critical = data[body:behind] == _TRUE
        body, behind = _expect(data, behind, at, _OCTETS)
        if behind != at:
            raise Malformed(MalformedCode.TRAILING_BYTES, "extensions")
        if identifier in seen:
            raise Malformed(MalformedCode.DUPLICATE_KEY, "extensions")
        seen.add(identifier)
        if len(seen) > _MAX_EXTENSIONS:
            raise Malformed(MalformedCode.TOO_MANY_ITEMS, "extensions")
        yield identifier, critical, data[body:behind]


@dataclass(slots=True)
class _Extensions:
    """What a list's extensions say, while they are read."""

    number: int | None = None
    number_octets: int = 0
    authority_key: bytes | None = None
    authority_named: bool = False
    delta: bool = False
    division: Division | None = None
    unknown_critical: bool = False

    def take(self, data: bytes) -> None:
        for identifier, critical, value in _extensions(data):
            if identifier == NUMBER:
                body, behind = _all_of(value, _INTEGER)
                if not 0 < behind - body <= _MAX_NUMBER_OCTETS:
                    raise Malformed(MalformedCode.BAD_VALUE, "cRLNumber")
                self.number_octets = behind - body
                self.number = int.from_bytes(value[body:behind], "big", signed=True)
                if self.number < 0:
                    raise Malformed(MalformedCode.BAD_VALUE, "cRLNumber")
            elif identifier == AUTHORITY_KEY:
                self.authority_key, self.authority_named = _authority_key(value)
            elif identifier == DELTA:
                self.delta = True
            elif identifier == DIVISION:
                self.division = _division(value)
            elif critical and identifier not in _KNOWN:
                self.unknown_critical = True


def _all_of(value: bytes, tag: int) -> tuple[int, int]:
    body, behind = _expect(value, 0, len(value), tag)
    if behind != len(value):
        raise Malformed(MalformedCode.TRAILING_BYTES)
    return body, behind


def _authority_key(value: bytes) -> tuple[bytes | None, bool]:
    """Return the key identifier, and whether issuer and serial number are named."""
    at, end = _all_of(value, _SEQUENCE)
    key, named = None, False
    while at < end:
        tag, body, at = element(value, at, end)
        if tag == 0x80:
            key = value[body:at]
        elif tag in {0xA1, 0x82}:
            named = True
        else:
            raise Malformed(MalformedCode.BAD_VALUE, "authorityKeyIdentifier")
    return key, named


def _division(value: bytes) -> Division:
    """Read an issuing distribution point (RFC 5280 section 5.2.5)."""
    at, end = _all_of(value, _SEQUENCE)
    points: tuple[str, ...] = ()
    flags: dict[int, bool] = {}
    unnamed = some_reasons = False
    last = -1
    while at < end:
        tag, body, at = element(value, at, end)
        if tag & 31 <= last:
            raise Malformed(MalformedCode.BAD_VALUE, "issuingDistributionPoint")
        last = tag & 31
        if tag == 0xA0:
            points = _points(value[body:at])
            unnamed = not points
        elif tag == 0x83:
            some_reasons = True
        elif tag in {0x81, 0x82, 0x84, 0x85} and at - body == 1:
            flags[tag] = value[body] != 0
        else:
            raise Malformed(MalformedCode.BAD_VALUE, "issuingDistributionPoint")
    others = flags.get(0x82, False) or flags.get(0x85, False)
    return Division(points, unnamed, some_reasons, flags.get(0x84, False), others)


def _points(name: bytes) -> tuple[str, ...]:
    """Return the web addresses among the full names of a place."""
    tag, at, end = element(name, 0, len(name))
    if end != len(name):
        raise Malformed(MalformedCode.TRAILING_BYTES, "issuingDistributionPoint")
    found: list[str] = []
    while tag == 0xA0 and at < end:
        kind, body, at = element(name, at, end)
        if kind == 0x86:
            if len(found) == _MAX_POINTS or at - body > 2048:
                raise Malformed(MalformedCode.TOO_LARGE, "issuingDistributionPoint")
            found.append(name[body:at].decode("ascii", "replace"))
    return tuple(found)


def walk(data: bytes, place: tuple[int, int]) -> Iterator[tuple[bytes, EntryFacts]]:
    """Give the serial number, as the octets of its INTEGER, and the facts of every entry. Raises Malformed."""
    at, end = place
    known: dict[bytes, EntryFacts] = {}
    while at < end:
        # Nearly all entries: short lengths, and nothing behind the date. What differs is read below, with its reasons.
        if at + 22 <= end and data[at] == _SEQUENCE and data[at + 2] == _INTEGER and data[at + 3] < _SHORTEST_LONG:
            date = at + 4 + data[at + 3]
            behind = at + 2 + data[at + 1]
            if behind <= end and behind == date + 15 and data[date : date + 2] == _USUAL_DATE:
                serial = data[at + 4 : date]
                if serial and serial[0] not in _PADDING:
                    at = behind
                    yield serial, PLAIN
                    continue
        start, at = _expect(data, at, end, _SEQUENCE)
        body, behind = _expect(data, start, at, _INTEGER)
        serial = data[body:behind]
        if not serial or (len(serial) > 1 and serial[0] in {0, 0xFF} and (serial[0] ^ serial[1]) < 0x80):
            raise Malformed(MalformedCode.BAD_VALUE, "revokedCertificates", body, "a number that is not DER")
        tag, _, behind = element(data, behind, at)
        if tag not in {_UTC_TIME, _GENERAL_TIME}:
            raise Malformed(MalformedCode.WRONG_TYPE, "revokedCertificates", behind)
        if behind == at:
            yield serial, PLAIN
            continue
        more = data[behind:at]
        facts = known.get(more)
        if facts is None:
            facts = _entry(more)
            if len(known) < _REMEMBERED:
                known[more] = facts
        yield serial, facts


def _entry(extensions: bytes) -> EntryFacts:
    reason: int | None = None
    critical = other = False
    for identifier, marked, value in _extensions(extensions):
        if identifier == _REASON:
            body, behind = _all_of(value, _ENUMERATED)
            reason = value[body] if behind - body == 1 else -1
        elif identifier == _OTHER_ISSUER:
            other = True
        elif marked and identifier not in _KNOWN_OF_ENTRY:
            critical = True
    return EntryFacts(reason, reason is not None and reason not in _REASONS, critical, other)
