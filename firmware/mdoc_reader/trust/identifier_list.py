"""Identifier lists: the documents that are revoked, by name; a CWT (ISO 18013-5 clause 12.3.6.6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mdoc_reader.mdoc import cbor
from mdoc_reader.mdoc.status import MAX_IDENTIFIER
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.trust import status_token
from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.codes import AS_WRITTEN, Grading
from mdoc_reader.trust.lists import ListKind
from mdoc_reader.trust.revocation_list import MAX_ENTRIES, OpenedList, Table, with_table
from mdoc_reader.trust.status_token import IDENTIFIER_LIST, Believing, map_head

_TYPES = frozenset({"application/identifierlist+cwt", "identifierlist+cwt"})
_PATH = "identifier_list"
_MEMBER = cbor.Limits(max_depth=4, max_items=64, max_entries=64, uncounted=0)
_MAX_MEMBERS = 16
_NAME = cbor.encode("identifiers")
_NOTHING = 0xA0
_BYTES, _BYTES_ONE_OCTET = 0x40, 0x58


def open_identifier_list(
    data: bytes,
    anchors: TrustAnchors,
    at: datetime,
    *,
    uri: str | None = None,
    named: Sequence[bytes] = (),
    grading: Grading = AS_WRITTEN,
) -> OpenedList:
    """Read and verify an identifier list, a CWT; everything as for `status_list.open_status_list`."""
    token = status_token.parse(data, _PATH)
    if not token.is_cwt:
        raise Malformed(MalformedCode.UNSUPPORTED, _PATH, detail="an identifier list is a CWT")
    place = [0]

    def skip(payload: bytes, start: int) -> int:
        place[0] = start
        return _walk(payload, start, None)

    claims = status_token.claims_of(token, IDENTIFIER_LIST, "identifier_list", _PATH, skip)
    how = Believing(anchors, at, uri, named, grading)
    judged = status_token.judge(token, claims, ListKind.IDENTIFIER_LIST, _TYPES, how)
    bare = judged.bare()
    if bare is None:
        return judged.opened(None)
    table = Table()
    _walk(token.payload, place[0], table)
    return judged.opened(with_table(bare, table))


def _walk(payload: bytes, at: int, table: Table | None) -> int:
    """Read the list's map: its identifiers into the table, if there is one. Returns the offset behind it."""
    path = f"{_PATH}.identifier_list"
    members, at = map_head(payload, at, path)
    if members > _MAX_MEMBERS:
        raise Malformed(MalformedCode.TOO_MANY_ITEMS, path)
    found = False
    for _ in range(members):
        behind = cbor.scan(payload, at, _MEMBER)
        ours = payload[at:behind] == _NAME
        if ours and found:
            raise Malformed(MalformedCode.DUPLICATE_KEY, path)
        found, at = found or ours, behind
        at = _identifiers(payload, at, table) if ours else cbor.scan(payload, at, _MEMBER)
    if not found:
        raise Malformed(MalformedCode.MISSING_KEY, f"{path}.identifiers")
    return at


def _identifiers(payload: bytes, at: int, table: Table | None) -> int:
    path = f"{_PATH}.identifier_list.identifiers"
    count, at = map_head(payload, at, path)
    if count > MAX_ENTRIES:
        raise Malformed(MalformedCode.TOO_MANY_ITEMS, path, detail=f"at most {MAX_ENTRIES}")
    size = len(payload)
    for _ in range(count):
        if at + 2 > size:
            raise Malformed(MalformedCode.TRUNCATED, path, at)
        length, body = payload[at] - _BYTES, at + 1
        if payload[at] == _BYTES_ONE_OCTET:
            length, body = payload[at + 1], at + 2
        elif not 0 <= length < 24:
            length, body = _long(payload, at, path)
        at = body + length
        if not 0 < length <= MAX_IDENTIFIER or at >= size:
            code = MalformedCode.TRUNCATED if at >= size else MalformedCode.BAD_VALUE
            raise Malformed(code, path, body, f"an identifier has from 1 to {MAX_IDENTIFIER} bytes")
        if table is not None:
            table.add(payload[body:at])
        if payload[at] == _NOTHING:
            at += 1
        elif payload[at] >> 5 == 5:
            at = cbor.scan(payload, at, _MEMBER)
        else:
            raise Malformed(MalformedCode.WRONG_TYPE, path, at, "a map is expected")
    return at


def _long(payload: bytes, at: int, path: str) -> tuple[int, int]:
    """Return length and start of a byte string's content whose head is longer than it needs be, or is none."""
    width = {0x59: 2, 0x5A: 4, 0x5B: 8}.get(payload[at])
    if width is None:
        raise Malformed(MalformedCode.WRONG_TYPE, path, at, "a byte string is expected")
    return int.from_bytes(payload[at + 1 : at + 1 + width], "big"), at + 1 + width
