"""What status lists and identifier lists have in common: a signed token of claims (RFC 8392, RFC 7519).

The claims of a CWT are cut out of its payload one by one: an identifier list may have a million entries, which must
never be built together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from cbor2 import CBORTag

from mdoc_reader.mdoc import cbor, cose
from mdoc_reader.model.reasons import Malformed, MalformedCode, Severity
from mdoc_reader.trust import jws, strict_json
from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.authority import Vouched, vouch
from mdoc_reader.trust.codes import Grading
from mdoc_reader.trust.facts import CertificateFacts
from mdoc_reader.trust.list_codes import ListCode
from mdoc_reader.trust.list_parts import Notes, judge_dates, shown
from mdoc_reader.trust.lists import ListKind, Order, Origin
from mdoc_reader.trust.packing import MAX_BYTES, unpacked
from mdoc_reader.trust.revocation_codes import RevocationListCode as Code
from mdoc_reader.trust.revocation_list import OpenedList, RevocationList, moment_of

TYP, SUB, EXP, IAT = 16, 2, 4, 6
TTL, STATUS_LIST, IDENTIFIER_LIST = 65534, 65533, 65530
MAX_URI = 2048
_CWT_TAG = 61
_OUTER = cbor.Limits(max_bytes=MAX_BYTES, max_depth=8, max_items=1024)
_KEY = cbor.Limits(max_bytes=256, max_depth=1, max_items=1, uncounted=0)
_CLAIM = cbor.Limits(max_bytes=MAX_BYTES, max_depth=8, max_items=1024, uncounted=0)
_JSON = strict_json.Limits(max_bytes=MAX_BYTES, max_depth=8, max_items=1024)
_MAX_CLAIMS = 64
_LONGEST_TTL = timedelta(days=3650).total_seconds()
_FORMS = (b"\xd2\x84", b"\x84", b"\xd8\x3d")
Walker = Callable[[bytes, int], int]
"""Reads one claim of a payload from an offset on, and returns the offset behind it. Raises Malformed."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as received. `fault` says why a certificate's key did not sign it, None where it did."""

    type: str
    chain: tuple[bytes, ...] = field(repr=False)
    payload: bytes = field(repr=False)
    fault: Callable[[CertificateFacts], Code | None] = field(repr=False)
    is_cwt: bool


@dataclass(frozen=True, slots=True)
class Claims:
    """What every list says of itself. `special` is the list, as decoded; of one that was walked, nothing."""

    sub: str
    iat: datetime
    exp: datetime | None
    ttl: timedelta | None
    special: object = field(repr=False)


def parse(data: bytes, path: str) -> Token:
    """Read a CWT, tagged or not, or a compact JWT; compressed with gzip or not. Raises Malformed."""
    data = unpacked(data)
    if data.startswith(_FORMS):
        return _cwt(data, path)
    signed = jws.parse(data, path, MAX_BYTES)

    def fault(signer: CertificateFacts) -> Code | None:
        found = jws.signature_fault(signed, signer.public_key)
        return None if found is None else Code.ALGORITHM if found is ListCode.ALGORITHM else Code.SIGNATURE

    return Token(signed.type, jws.chain(signed, f"{path}.header"), signed.payload, fault, is_cwt=False)


def _cwt(data: bytes, path: str) -> Token:
    value = cbor.decode(data, _OUTER)
    if isinstance(value, CBORTag) and value.tag == _CWT_TAG:
        value = value.value
    signed = cose.parse(value, "COSE_Sign1", path)
    payload = signed.payload
    if payload is None:
        raise Malformed(MalformedCode.MISSING_KEY, f"{path}.payload")
    kind = signed.protected.get(TYP)

    def fault(signer: CertificateFacts) -> Code | None:
        key, curve = signer.public_key, signer.curve
        algorithm = None if curve is None else cose.algorithm_for(signed, curve)
        if key is None or curve is None or algorithm is None:
            return Code.ALGORITHM
        right = cose.verify_signature(signed, key, curve, algorithm, payload)  # type: ignore[arg-type]  # RSA has none
        return None if right else Code.SIGNATURE

    chain = cose.certificate_chain(signed, f"{path}.x5chain")[0]
    return Token(kind if isinstance(kind, str) else "", chain, payload, fault, is_cwt=True)


def claims_of(token: Token, number: int, name: str, path: str, walker: Walker | None = None) -> Claims:
    """Read the claims; `number` and `name` are what the list itself is called in a CWT and in a JWT.

    With a walker, the list is left to it, and the rest of the claims is what it is about. Raises Malformed.
    """
    found = _cut(token.payload, path, number, walker) if token.is_cwt else _json(token.payload, path)
    keys = (SUB, IAT, EXP, TTL, number) if token.is_cwt else ("sub", "iat", "exp", "ttl", name)
    sub, iat, exp, ttl, special = (found.get(key) for key in keys)
    for value, called in ((sub, "sub"), (iat, "iat"), (special, name)):
        if value is None:
            raise Malformed(MalformedCode.MISSING_KEY, f"{path}.{called}")
    return Claims(
        cbor.as_text(sub, f"{path}.sub", maximum=MAX_URI),
        moment_of(iat, f"{path}.iat"),
        None if exp is None else moment_of(exp, f"{path}.exp"),
        None if ttl is None else _ttl(ttl, f"{path}.ttl"),
        special,
    )


def _ttl(value: object, path: str) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Malformed(MalformedCode.WRONG_TYPE, path, detail="a number of seconds is expected")
    if not 0 < value <= _LONGEST_TTL:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="not a time this reader counts in")
    return timedelta(seconds=value)


def _json(payload: bytes, path: str) -> Mapping[object, object]:
    return cast("Mapping[object, object]", strict_json.as_object(strict_json.decode(payload, path, _JSON), path))


def _cut(payload: bytes, path: str, number: int, walker: Walker | None) -> Mapping[object, object]:
    """Read the map of claims of a CWT one by one. A claim that comes twice is refused."""
    count, at = map_head(payload, 0, path)
    if count > _MAX_CLAIMS:
        raise Malformed(MalformedCode.TOO_MANY_ITEMS, path, detail=f"at most {_MAX_CLAIMS}")
    found: dict[object, object] = {}
    for _ in range(count):
        behind = cbor.scan(payload, at, _KEY)
        key, at = cbor.decode(payload[at:behind], _KEY), behind
        if not isinstance(key, (int, str)) or isinstance(key, bool):
            raise Malformed(MalformedCode.WRONG_TYPE, path, detail="a claim's name")
        if key in found:
            raise Malformed(MalformedCode.DUPLICATE_KEY, path)
        if key == number and walker is not None:
            at = walker(payload, at)
            found[key] = True
            continue
        behind = cbor.scan(payload, at, _CLAIM)
        found[key], at = cbor.decode(payload[at:behind], _CLAIM), behind
    if at != len(payload):
        raise Malformed(MalformedCode.TRAILING_BYTES, path, at)
    return found


def map_head(data: bytes, at: int, path: str) -> tuple[int, int]:
    """Return how many entries the CBOR map at `at` has, and the offset behind its head. Raises Malformed."""
    if at >= len(data):
        raise Malformed(MalformedCode.TRUNCATED, path, at)
    low = data[at] & 31
    if data[at] >> 5 != 5:
        raise Malformed(MalformedCode.WRONG_TYPE, path, at, "a map is expected")
    if low < 24:
        return low, at + 1
    width = {24: 1, 25: 2, 26: 4, 27: 8}.get(low)
    if width is None:
        code = MalformedCode.INDEFINITE_LENGTH if low == 31 else MalformedCode.NOT_CBOR
        raise Malformed(code, path, at)
    behind = at + 1 + width
    count = int.from_bytes(data[at + 1 : behind], "big")
    if behind > len(data) or count > (len(data) - behind) // 2:  # an entry takes two bytes at least
        raise Malformed(MalformedCode.TRUNCATED, path, at)
    return count, behind


@dataclass(frozen=True, slots=True)
class Believing:
    """What a token is judged by: `status_list.open_status_list` says what each is."""

    anchors: TrustAnchors
    at: datetime
    uri: str | None
    named: Sequence[bytes]
    grading: Grading


@dataclass(frozen=True, slots=True)
class Judged:
    """A token that was judged: who stands behind it, and all that is wrong with it."""

    claims: Claims
    vouched: Vouched
    notes: Notes
    kind: ListKind
    at: datetime

    @property
    def next_update(self) -> datetime | None:
        """When it is to be asked for again: its time to live from now, as whoever fetched it would count it."""
        claims = self.claims
        if claims.ttl is None:
            return claims.exp
        due = self.at + claims.ttl
        return due if claims.exp is None else min(due, claims.exp)

    def bare(self) -> RevocationList | None:
        """Return the list's facts, still without its entries; None where it is refused."""
        vouched, claims = self.vouched, self.claims
        if self.notes.refused or vouched.authority is None:
            return None
        ends = [end for end in (claims.exp or self.next_update, vouched.until) if end is not None]
        return RevocationList(
            self.kind,
            claims.sub,
            vouched.authority,
            vouched.identities,
            claims.iat,
            self.next_update,
            min(ends, default=None),
            0,
            0,
        )

    def opened(self, content: RevocationList | None) -> OpenedList:
        """Return what is handed out."""
        claims, authority = self.claims, self.vouched.authority
        owner = "unknown" if authority is None else authority.hex()[:32]
        origin = Origin(
            self.kind,
            shown(claims.sub),
            f"{self.kind.value}:{owner}:{hashlib.sha256(claims.sub.encode()).hexdigest()[:32]}",
            claims.iat,
            self.next_update,
            claims.exp,
        )
        kept = None if self.notes.refused else content
        return OpenedList(origin, Order("iat", moment=claims.iat), self.notes.findings(), kept)


def judge(token: Token, claims: Claims, kind: ListKind, types: frozenset[str], how: Believing) -> Judged:
    """Say what a token is worth: its type, its address, its dates, its signature and who stands behind it."""
    notes = Notes()
    if token.type.casefold() not in types:
        notes.add(Code.WRONG_TYPE, Severity.ERROR)
    if how.uri is not None and how.uri != claims.sub:
        notes.add(Code.SUBJECT, Severity.ERROR)
    if claims.exp is None:
        notes.add(Code.NO_END)
    judge_dates(notes, how.at, claims.iat, claims.exp, claims.exp)
    vouched = vouch(token.chain, how.anchors, how.named, how.at, how.grading)
    notes.extend(vouched.findings)
    if vouched.signer is not None:
        fault = token.fault(vouched.signer)
        if fault is not None:
            notes.add(fault, Severity.ERROR)
    if vouched.until is not None and claims.exp is not None and vouched.until < claims.exp:
        notes.add(Code.END_OF_SIGNER, Severity.INFO)
    return Judged(claims, vouched, notes, kind, how.at)
