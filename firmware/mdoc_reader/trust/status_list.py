"""Token status lists, as CWT and as JWT: a few bits for each document (IETF Token Status List; ISO 18013-5 12.3.6.5).

The octets of a list travel compressed, and are never inflated beyond a bound, however small what promises them is.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime

from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.trust import jws, status_token
from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.codes import AS_WRITTEN, Grading
from mdoc_reader.trust.lists import ListKind
from mdoc_reader.trust.revocation_list import BITS, OpenedList, with_octets
from mdoc_reader.trust.status_token import STATUS_LIST, Believing

MAX_INFLATED = 16 * 1024 * 1024
"""Octets of an inflated list: 134 million entries of one bit, 16 million of eight."""
_CWT_TYPES = frozenset({"application/statuslist+cwt", "statuslist+cwt"})
_JWT_TYPES = frozenset({"application/statuslist+jwt", "statuslist+jwt"})
_PATH = "status_list"


def open_status_list(
    data: bytes,
    anchors: TrustAnchors,
    at: datetime,
    *,
    uri: str | None = None,
    named: Sequence[bytes] = (),
    grading: Grading = AS_WRITTEN,
) -> OpenedList:
    """Read and verify a status list, CWT (tagged or not) or JWT, compressed with gzip or not.

    Args:
        data: the file, of at most 32 MiB.
        anchors: the issuing authorities, to one of which its signer must lead,
        at: the moment it must hold at, with its zone.
        uri: where it came from, if that is known: it must say that it is for this address.
        named: or to one of these: DER certificates that signed documents name for their lists, or that were pinned.
        grading: how much findings about certificates weigh.

    A list with a finding of severity ERROR, one past its `exp` among them, is refused. Raises Malformed where it is no
    status list.
    """
    token = status_token.parse(data, _PATH)
    claims = status_token.claims_of(token, STATUS_LIST, "status_list", _PATH)
    types = _CWT_TYPES if token.is_cwt else _JWT_TYPES
    judged = status_token.judge(token, claims, ListKind.STATUS_LIST, types, Believing(anchors, at, uri, named, grading))
    path = f"{_PATH}.status_list"
    listed = cbor.as_map(claims.special, path)
    bits = cbor.as_int(cbor.need(listed, "bits", path), f"{path}.bits")
    if bits not in BITS:
        raise Malformed(MalformedCode.BAD_VALUE, f"{path}.bits", detail="1, 2, 4 or 8")
    given = cbor.need(listed, "lst", path)
    bare = judged.bare()
    if bare is None:  # nothing of what nobody vouches for is inflated
        return judged.opened(None)
    packed = cbor.as_bytes(given, f"{path}.lst") if token.is_cwt else _decoded(given, f"{path}.lst")
    return judged.opened(with_octets(bare, inflate(packed, f"{path}.lst"), bits))


def _decoded(value: object, path: str) -> bytes:
    if not isinstance(value, str) or not value.isascii():
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail="base64url is expected")
    return jws.from_base64url(value.encode("ascii"), path)


def inflate(packed: bytes, path: str = "lst") -> bytes:
    """Return the octets inside a ZLIB stream, of which there may be MAX_INFLATED at most. Raises Malformed."""
    inflater = zlib.decompressobj()
    try:
        octets = inflater.decompress(packed, MAX_INFLATED + 1)
    except zlib.error:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="not a ZLIB stream") from None
    if len(octets) > MAX_INFLATED:
        raise Malformed(MalformedCode.TOO_LARGE, path, detail=f"at most {MAX_INFLATED} bytes")
    if not inflater.eof:
        raise Malformed(MalformedCode.TRUNCATED, path)
    if inflater.unused_data:
        raise Malformed(MalformedCode.TRAILING_BYTES, path)
    return octets
