"""Lists of revocation as the reader keeps them: some facts, and bytes in which one entry is found at once.

A status list is its octets as the issuer packed them. Certificate and identifier lists become a table: of each entry
twelve octets of its BLAKE2b digest and one for its status, in order, behind a directory by the digest's first bits.
Looking one up costs the same among ten or ten million, and the bytes may be a memory map: nothing of a list becomes
objects.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed, MalformedCode, Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust.lists import ListKind, Order, Origin

MAX_ENTRIES = 4_000_000
"""Of a table: what the store's largest file holds."""
REVOKED, SUSPENDED = 1, 2
"""Statuses in a table; those of status lists are the specification's, and these two are the same there."""
Buffer = bytes | mmap.mmap
_MAGIC = b"mdoc-rev\x01"
_MAX_HEADER = 64 * 1024
_HEADER = cbor.Limits(max_bytes=_MAX_HEADER, max_depth=4, max_items=4096)
_DIGEST = 12
_RECORD = _DIGEST + 1
_PER_BUCKET = 4
_MOST_BITS = 24
_STATUS = {status: bytes((status,)) for status in (REVOKED, SUSPENDED)}
BITS = frozenset({1, 2, 4, 8})


def _digest(entry: bytes) -> bytes:
    return hashlib.blake2b(entry, digest_size=_DIGEST).digest()


class Table:
    """Gathers the entries of a list, and packs them. Takes about thirty octets for each while it does."""

    __slots__ = ("_parts", "count")

    def __init__(self) -> None:
        """Begin empty."""
        self._parts = [bytearray() for _ in range(256)]
        self.count = 0

    def add(self, entry: bytes, status: int = REVOKED) -> None:
        """Put an entry in. Raises Malformed once there are too many."""
        self.count += 1
        if self.count > MAX_ENTRIES:
            raise Malformed(MalformedCode.TOO_MANY_ITEMS, detail=f"at most {MAX_ENTRIES} entries")
        digest = _digest(entry)
        self._parts[digest[0]] += digest + _STATUS[status]

    def pack(self) -> bytes:
        """Return directory and records; the same entries give the same bytes. What was gathered is gone then."""
        bits = min(_MOST_BITS, max(0, (self.count // _PER_BUCKET).bit_length()))
        shift = 32 - bits
        starts = array("I", bytes(4 * ((1 << bits) + 1)))
        records = bytearray()
        for index, part in enumerate(self._parts):
            ordered = sorted([bytes(part[at : at + _RECORD]) for at in range(0, len(part), _RECORD)])
            for record in ordered:
                starts[(int.from_bytes(record[:4], "big") >> shift) + 1] += 1
            records += b"".join(ordered)
            self._parts[index] = bytearray()
        total = 0
        for bucket in range(len(starts)):
            total += starts[bucket]
            starts[bucket] = total
        if sys.byteorder == "big":
            starts.byteswap()
        return b"".join((struct.pack("<BI", bits, self.count), starts, records))


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list, verified, ready to be asked.

    Attributes:
        kind: CRL, STATUS_LIST or IDENTIFIER_LIST.
        uri: what documents call it by; empty for a CRL.
        authority: the identity of the issuing authority it leads to (`authority.identity`).
        vouched: identities of all certificates from the list's signer up to the authority, both included.
        points: web addresses of the part of a CRL that this is; empty for a whole one.
        issued: when the issuer made it.
        next_update: when the issuer means to have the next one ready, or wants it asked for.
        until: the end, after which it tells only who was revoked; None where it has none.
        bits: of one entry of a status list; 0 for tables.
        count: of entries.
    """

    kind: ListKind
    uri: str
    authority: bytes
    vouched: frozenset[bytes]
    issued: datetime
    next_update: datetime | None
    until: datetime | None
    bits: int
    count: int
    points: tuple[str, ...] = ()
    _data: Buffer = field(default=b"", repr=False)
    _at: int = 0

    def entry(self, identifier: bytes) -> int:
        """Return the status of an entry of a table: REVOKED or SUSPENDED; 0 where it is not there."""
        data, at = self._data, self._at
        bits = data[at]
        digest = _digest(identifier)
        bucket = int.from_bytes(digest[:4], "big") >> (32 - bits)
        first, behind = struct.unpack_from("<II", data, at + 5 + 4 * bucket)
        records = at + 5 + 4 * ((1 << bits) + 1)
        start, end = records + _RECORD * first, records + _RECORD * behind
        place = data.find(digest, start, end)
        while place >= 0:
            if (place - start) % _RECORD == 0:
                return data[place + _DIGEST]  # of several the heaviest: it comes first
            place = data.find(digest, place + 1, end)
        return 0

    def status(self, index: int) -> int | None:
        """Return the value at an index of a status list, None where the list ends before it."""
        if not 0 <= index < self.count:
            return None
        place = index * self.bits
        return self._data[self._at + (place >> 3)] >> (place & 7) & ((1 << self.bits) - 1)

    def compile(self) -> bytes:
        """Return what `read` takes."""
        header = cbor.encode(
            {
                "kind": self.kind.value,
                "uri": self.uri,
                "authority": self.authority,
                "vouched": sorted(self.vouched),
                "points": list(self.points),
                "issued": _written(self.issued),
                "next_update": _written(self.next_update),
                "until": _written(self.until),
                "bits": self.bits,
                "count": self.count,
            }
        )
        return b"".join((_MAGIC, len(header).to_bytes(4, "big"), header, self._data[self._at :]))


def with_table(content: RevocationList, table: Table) -> RevocationList:
    """Return a CRL or an identifier list with its entries."""
    return _with(content, table.pack(), table.count, 0)


def with_octets(content: RevocationList, octets: bytes, bits: int) -> RevocationList:
    """Return a status list with its octets, of `bits` for each entry."""
    return _with(content, octets, len(octets) * 8 // bits, bits)


def _with(content: RevocationList, data: bytes, count: int, bits: int) -> RevocationList:
    return RevocationList(
        content.kind,
        content.uri,
        content.authority,
        content.vouched,
        content.issued,
        content.next_update,
        content.until,
        bits,
        count,
        content.points,
        data,
    )


def read(data: Buffer) -> RevocationList:
    """Read what `compile` made; the bytes are used as they are, and may be a memory map. Raises Malformed."""
    start = len(_MAGIC) + 4
    if data[: len(_MAGIC)] != _MAGIC or len(data) < start:
        raise Malformed(MalformedCode.WRONG_TYPE, "revocation_list")
    body = start + int.from_bytes(data[start - 4 : start], "big")
    if body > min(len(data), start + _MAX_HEADER):
        raise Malformed(MalformedCode.TRUNCATED, "revocation_list")
    try:
        found = _header(cbor.as_map(cbor.decode(bytes(data[start:body]), _HEADER), "header"), data, body)
    except Malformed as error:
        raise error.under("revocation_list") from None
    if not (_octets_fit(found, data, body) if found.kind is ListKind.STATUS_LIST else _table_fits(found, data, body)):
        raise Malformed(MalformedCode.BAD_VALUE, "revocation_list", detail="sizes that do not fit")
    return found


def _header(header: Mapping[object, object], data: Buffer, body: int) -> RevocationList:
    kind = cbor.need_text(header, "kind", "")
    if kind not in {ListKind.CRL, ListKind.STATUS_LIST, ListKind.IDENTIFIER_LIST}:
        raise Malformed(MalformedCode.UNSUPPORTED, "kind")
    issued = _moment(header.get("issued"), "issued")
    if issued is None:
        raise Malformed(MalformedCode.MISSING_KEY, "issued")
    return RevocationList(
        ListKind(kind),
        cbor.as_text(header.get("uri"), "uri", empty=True),
        cbor.as_bytes(header.get("authority"), "authority"),
        frozenset(cbor.as_bytes(each, "vouched") for each in cbor.as_array(header.get("vouched"), "vouched")),
        issued,
        _moment(header.get("next_update"), "next_update"),
        _moment(header.get("until"), "until"),
        _number(header.get("bits"), "bits"),
        _number(header.get("count"), "count"),
        tuple(cbor.as_text(each, "points") for each in cbor.as_array(header.get("points"), "points")),
        data,
        body,
    )


def _octets_fit(found: RevocationList, data: Buffer, body: int) -> bool:
    return found.bits in BITS and (len(data) - body) * 8 // found.bits == found.count


def _table_fits(found: RevocationList, data: Buffer, body: int) -> bool:
    if found.bits != 0 or len(data) < body + 5 or data[body] > _MOST_BITS:
        return False
    count = struct.unpack_from("<I", data, body + 1)[0]
    size = 5 + 4 * ((1 << data[body]) + 1) + _RECORD * count
    return bool(count == found.count and len(data) == body + size)


def _written(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _moment(value: object, path: str) -> datetime | None:
    return None if value is None else moment_of(value, path)


def _number(value: object, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Malformed(MalformedCode.WRONG_TYPE, path)
    return value


def moment_of(value: object, path: str) -> datetime:
    """Read a number of seconds since 1970, whole or not, as CWT and JWT write moments. Raises Malformed."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail="a number of seconds is expected")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="a time out of range") from None


@dataclass(frozen=True, slots=True)
class OpenedList:
    """A list of revocation as it was opened. With a finding of severity ERROR it is refused, and has no content."""

    origin: Origin
    order: Order | None
    findings: tuple[Finding, ...]
    content: RevocationList | None

    @property
    def refused(self) -> bool:
        """Whether anything found means that it is not to be believed."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def count(self) -> int:
        """How many entries it has."""
        return 0 if self.content is None else self.content.count

    @property
    def compiled(self) -> bytes | None:
        """What the store keeps for the reader; `read` takes it back. None where it was refused."""
        return None if self.content is None else self.content.compile()
