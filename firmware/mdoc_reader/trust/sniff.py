"""What a file is, by its first bytes and a few landmarks: whoever really reads it says whether that was right.

Nothing is believed here, and hardly anything parsed: an answer costs a search through the bytes at most.
"""

from __future__ import annotations

import re

from cbor2 import CBORTag

from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed
from mdoc_reader.trust import jws, strict_json
from mdoc_reader.trust.lists import ListKind
from mdoc_reader.trust.packing import unpacked
from mdoc_reader.trust.trusted_list import is_trusted_list

_LOOKED_AT = 64 * 1024
_PEM = re.compile(rb"-----BEGIN (X509 CRL|CERTIFICATE|X509 CERTIFICATE|TRUSTED CERTIFICATE)-----")
_HEX = re.compile(rb"30[0-9A-Fa-f\s]{30,}\Z")
_COMPACT = re.compile(rb"([A-Za-z0-9_-]{8,262144})\.([A-Za-z0-9_-]{4,65536})")
_SEQUENCE, _INTEGER, _VERSION = 0x30, 0x02, 0xA0
_TIMES = frozenset({0x17, 0x18})
_TYPES = {
    "statuslist+cwt": ListKind.STATUS_LIST,
    "statuslist+jwt": ListKind.STATUS_LIST,
    "identifierlist+cwt": ListKind.IDENTIFIER_LIST,
    "identifierlist+jwt": ListKind.IDENTIFIER_LIST,
}
_TYP = 16
# Claims as CWT numbers them: 65533 status list, 65530 identifier list.
_CLAIMS = ((b"\x19\xff\xfd", ListKind.STATUS_LIST), (b"\x19\xff\xfa", ListKind.IDENTIFIER_LIST))
_OUTER = cbor.Limits(max_bytes=64 * 1024 * 1024, max_depth=8, max_items=1024)
_SIGN1_HEADS = (b"\x84", b"\xd2\x84", b"\xd8\x3d")  # untagged; COSE_Sign1; CWT


def kind_of(data: bytes) -> ListKind:
    """Return what a file seems to be, packed with gzip or not; UNKNOWN for anything else. Never raises."""
    try:
        data = unpacked(data)
    except Malformed:
        return ListKind.UNKNOWN
    if data[:1] == b"\x30":
        return _der(data) if _HEX.match(data) is None else _hexadecimal(data)
    if data.startswith(_SIGN1_HEADS):
        return _signed_cbor(data)
    text = data[:_LOOKED_AT].removeprefix(b"\xef\xbb\xbf").lstrip()
    if _HEX.match(text):
        return _hexadecimal(text)
    if is_trusted_list(data):
        return ListKind.TRUSTED_LIST
    if text.startswith(b"{"):
        return ListKind.LOTE if _is_lote(text) else ListKind.UNKNOWN
    pem = _PEM.search(text)
    if pem is not None:
        return ListKind.CRL if pem[1] == b"X509 CRL" else ListKind.CERTIFICATES
    return _signed_json(data)


def _der(data: bytes) -> ListKind:
    """Tell a certificate from a revocation list by the tags within what was signed (RFC 5280)."""
    tags = _tags(data, 5)
    if tags[:1] == [_VERSION]:
        return ListKind.CERTIFICATES
    if tags[:1] == [_INTEGER]:
        tags = tags[1:]
    if tags[:2] != [_SEQUENCE, _SEQUENCE] or len(tags) < 3:
        return ListKind.UNKNOWN
    if tags[2] in _TIMES:
        return ListKind.CRL
    return ListKind.CERTIFICATES if tags[2] == _SEQUENCE else ListKind.UNKNOWN


def _tags(data: bytes, most: int) -> list[int]:
    """Return the tags of the first elements inside the first element of `data`."""
    found: list[int] = []
    at = 0
    for _ in range(2):  # into the whole, and into what was signed
        if data[at : at + 1] != b"\x30":
            return found
        at = _behind_head(data, at)[0]
    while len(found) < most and at < len(data):
        found.append(data[at])
        body, length = _behind_head(data, at)
        at = body + length
    return found


def _behind_head(data: bytes, at: int) -> tuple[int, int]:
    first = data[at + 1] if at + 1 < len(data) else 0
    if first < 0x80:
        return at + 2, first
    width = first & 0x7F
    if width > 4:
        return len(data), 0
    return at + 2 + width, int.from_bytes(data[at + 2 : at + 2 + width], "big")


def _hexadecimal(data: bytes) -> ListKind:
    digits = b"".join(data[:2048].split())
    return _der(bytes.fromhex(digits[: len(digits) & ~1].decode("ascii")))


def _signed_cbor(data: bytes) -> ListKind:
    try:
        parts = cbor.decode(data, _OUTER)
        while isinstance(parts, CBORTag):
            parts = parts.value
        protected, payload = (
            cbor.as_bytes(cbor.as_array(parts, "")[0], ""),
            cbor.as_bytes(cbor.as_array(parts, "")[2], ""),
        )
        kind = cbor.as_map(cbor.decode(protected, _OUTER), "").get(_TYP) if protected else None
    except (Malformed, IndexError):
        return ListKind.UNKNOWN
    if isinstance(kind, str):
        named = _TYPES.get(kind.casefold().removeprefix("application/"))
        if named is not None:
            return named
    if b"\x6dvicalProvider" in payload:
        return ListKind.VICAL
    beginning = payload[:_LOOKED_AT]
    return next((row for claim, row in _CLAIMS if claim in beginning), ListKind.UNKNOWN)


def _signed_json(data: bytes) -> ListKind:
    parts = _COMPACT.match(data[: 512 * 1024].lstrip())
    if parts is None:
        return ListKind.UNKNOWN
    try:
        header = strict_json.decode(jws.from_base64url(parts[1], ""), "", strict_json.Limits(max_items=512))
        whole = len(parts[2]) & ~3
        payload = jws.from_base64url(parts[2] if len(parts[2]) < _LOOKED_AT else parts[2][:whole], "")
    except Malformed:
        return ListKind.UNKNOWN
    kind = header.get("typ") if isinstance(header, dict) else None
    if isinstance(kind, str):
        named = _TYPES.get(kind.casefold().removeprefix("application/"))
        if named is not None:
            return named
    if _is_lote(payload):
        return ListKind.LOTE
    return ListKind.STATUS_LIST if b'"status_list"' in payload else ListKind.UNKNOWN


def _is_lote(beginning: bytes) -> bool:
    return b'"LoTE"' in beginning or b'"ListAndSchemeInformation"' in beginning
