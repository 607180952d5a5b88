"""The anchors of all lists as a generation keeps them: certificates behind each other, and what finds each of them.

The importer reads every certificate and writes down where in it the name and the key identifier are, so that the reader
starts without reading any: loading costs little more than the bytes. The file is a header in CBOR that names the lists
and their sets of document types, a row of fixed size for each certificate, and the certificates. Generations of format
1 have no rows: they are read by way of the certificates, which takes longer and gives the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed
from mdoc_reader.trust import anchors
from mdoc_reader.trust.anchors import Grant, Offer, Row, TrustAnchors, TrustCode
from mdoc_reader.trust.generation import Generation, StoreCode, StoreError
from mdoc_reader.trust.held import MAX_LISTS, Contents
from mdoc_reader.trust.lists import Entry, Origin

NAME, FIRST_NAME = "anchors.packed", "anchors.cbor"
"""The file's name now, and in generations of format 1."""
_MAGIC = b"mdoc-anc\x02"
_LIMITS = cbor.Limits(max_bytes=64 * 1024 * 1024, max_depth=6, max_items=2_000_000)
_MAX_ROWS = 1_000_000
# The certificate's size, where name and key identifier begin and end in it, place of its document types, what it is.
_ROW = struct.Struct("<IIIIIHH")
_DIRECT, _ANCHOR, _IDENTIFIED, _SERVICE = 1, 2, 4, 8
_Packed = tuple[int, int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class _List:
    """What the header says of a list. `doctypes` are its different sets of them, `count` how many rows are its own."""

    identity: str
    doctypes: tuple[frozenset[str] | None, ...]
    count: int


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file's parts: `at` is where the first certificate begins."""

    data: bytes = field(repr=False)
    lists: tuple[_List, ...]
    rows: bytes = field(repr=False)
    at: int


def pack(entries: Mapping[str, Sequence[Entry]]) -> bytes:
    """Encode the entries of all lists, by the lists' identities. What cannot be an anchor is kept as well."""
    header: list[object] = []
    rows: list[bytes] = []
    certificates: list[bytes] = []
    for identity, listed in entries.items():
        places: dict[frozenset[str] | None, int] = {}
        for entry in listed:
            place = places.setdefault(entry.doctypes, len(places))
            rows.append(_ROW.pack(*_row(entry, place)))
            certificates.append(entry.der)
        header.append([identity, [None if each is None else sorted(each) for each in places], len(listed)])
    head = cbor.encode(header)
    return b"".join((_MAGIC, len(head).to_bytes(4, "big"), head, *rows, *certificates))


def _row(entry: Entry, place: int) -> _Packed:
    what = _DIRECT if entry.direct else 0
    anchor = anchors.anchor_from(Offer(entry.der))
    if entry.service or isinstance(anchor, TrustCode):
        return len(entry.der), 0, 0, 0, 0, place, what | (_SERVICE if entry.service else 0)
    name, key, key_size = entry.der.find(anchor.subject), 0, 0
    if anchor.key_identifier is not None:
        what |= _IDENTIFIED
        key, key_size = entry.der.find(anchor.key_identifier), len(anchor.key_identifier)
    return len(entry.der), name, name + len(anchor.subject), key, key + key_size, place, what | _ANCHOR


def _open(data: bytes) -> _Opened:
    """Find a file's parts. Raises StoreError."""
    start = len(_MAGIC) + 4
    body = start + int.from_bytes(data[len(_MAGIC) : start], "big")
    if not data.startswith(_MAGIC) or body > len(data):
        raise StoreError(StoreCode.DAMAGED, NAME)
    try:
        tree = cbor.as_array(cbor.decode(data[start:body], _LIMITS), NAME, maximum=MAX_LISTS)
        lists = tuple(_list(each) for each in tree)
    except (Malformed, ValueError):
        raise StoreError(StoreCode.DAMAGED, NAME) from None
    behind = body + _ROW.size * sum(each.count for each in lists)
    if behind > len(data):
        raise StoreError(StoreCode.DAMAGED, NAME)
    return _Opened(data, lists, data[body:behind], behind)


def _list(value: object) -> _List:
    """Read what the header says of a list. Raises Malformed or ValueError."""
    identity, sets, count = cbor.as_array(value, NAME)
    doctypes = tuple(None if each is None else _doctypes(each) for each in cbor.as_array(sets, NAME))
    count = cbor.as_int(count, NAME)
    if not 0 <= count <= _MAX_ROWS:
        raise ValueError("more rows than any list has")
    return _List(cbor.as_text(identity, NAME), doctypes, count)


def _doctypes(value: object) -> frozenset[str]:
    return frozenset(cbor.as_text(each, NAME) for each in cbor.as_array(value, NAME))


def entries_of(data: bytes) -> dict[str, list[Entry]]:
    """Decode what `pack` encoded, for the importer. Raises StoreError."""
    opened = _open(data)
    rows: Iterator[_Packed] = _ROW.iter_unpack(opened.rows)
    entries: dict[str, list[Entry]] = {}
    at = opened.at
    for one in opened.lists:
        found = entries.setdefault(one.identity, [])
        for size, _, _, _, _, place, what in islice(rows, one.count):
            if place >= len(one.doctypes):
                raise StoreError(StoreCode.DAMAGED, NAME)
            direct, service = bool(what & _DIRECT), bool(what & _SERVICE)
            found.append(Entry(data[at : at + size], one.doctypes[place], direct, service=service))
            at += size
    if at != len(data):
        raise StoreError(StoreCode.DAMAGED, NAME)
    return entries


def anchors_of(contents: Contents, data: bytes) -> TrustAnchors:
    """Return the anchors of what `pack` encoded, each with what its lists say of it. Raises StoreError."""
    try:
        return anchors.gather(_rows(_open(data), {one.origin.identity: one.origin for one in contents.lists}))[0]
    except IndexError:
        raise StoreError(StoreCode.DAMAGED, NAME) from None


def _rows(opened: _Opened, origins: Mapping[str, Origin]) -> Iterator[Row]:
    """Give every anchor. Raises StoreError, and IndexError for a place that is none."""
    data, at = opened.data, opened.at
    rows: Iterator[_Packed] = _ROW.iter_unpack(opened.rows)
    for one in opened.lists:
        origin = origins.get(one.identity)
        grants, source = [], ""
        if origin is not None:
            source = origin.name
            grants = [Grant(origin, doctypes, direct) for doctypes in one.doctypes for direct in (False, True)]
        for size, name, name_end, key, key_end, place, what in islice(rows, one.count):
            der = data[at : at + size]
            at += size
            if name_end > size or key_end > size:
                raise StoreError(StoreCode.DAMAGED, NAME)
            if what & _ANCHOR and origin is not None:
                identifier = der[key:key_end] if what & _IDENTIFIED else None
                yield der, der[name:name_end], identifier, grants[2 * place + (what & _DIRECT)], source
    if at != len(data):
        raise StoreError(StoreCode.DAMAGED, NAME)


def collected(contents: Contents, entries: Mapping[str, Sequence[Entry]]) -> TrustAnchors:
    """Return the anchors of entries, each with what its lists say of it; reads every certificate."""
    origins = {one.origin.identity: one.origin for one in contents.lists}
    offers = (
        Offer(entry.der, Grant(origin, entry.doctypes, entry.direct), origin.name)
        for identity, found in entries.items()
        if (origin := origins.get(identity)) is not None
        for entry in found
        if not entry.service
    )
    return anchors.collect(offers)[0]


def held_entries(found: Generation) -> dict[str, list[Entry]]:
    """Return the entries of all lists of a generation, of whichever format. Raises StoreError."""
    if found.format == 1:
        return _first_entries(found.read(FIRST_NAME))
    return entries_of(found.read(NAME))


def held_anchors(found: Generation, contents: Contents) -> TrustAnchors:
    """Return the anchors of a generation, of whichever format. Raises StoreError."""
    if found.format == 1:
        return collected(contents, _first_entries(found.read(FIRST_NAME)))
    return anchors_of(contents, found.read(NAME))


def _first_entries(data: bytes) -> dict[str, list[Entry]]:
    """Decode what format 1 has: for each list an array of certificate, document types, `direct` and subject."""
    entries: dict[str, list[Entry]] = {}
    try:
        for pair in cbor.as_array(cbor.decode(data, _LIMITS), FIRST_NAME, maximum=MAX_LISTS):
            identity, rows = cbor.as_array(pair, FIRST_NAME)
            found = entries.setdefault(cbor.as_text(identity, FIRST_NAME), [])
            for row in cbor.as_array(rows, FIRST_NAME, maximum=_MAX_ROWS):
                der, doctypes, direct, _ = cbor.as_array(row, FIRST_NAME)
                listed = None if doctypes is None else _doctypes(doctypes)
                found.append(Entry(cbor.as_bytes(der, FIRST_NAME), listed, cbor.as_bool(direct, FIRST_NAME)))
    except (Malformed, ValueError):
        raise StoreError(StoreCode.DAMAGED, FIRST_NAME) from None
    return entries
