"""Asking for revocation: of a document's signer and of the document, in lists that were verified ahead of time.

Nothing is ever fetched here: a list this reader does not hold is UNKNOWN, and one past its end, or older than the
document's profile allows, is STALE. An entry that says `revoked` counts however old its list is. A look-up costs the
same whatever the size of the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from mdoc_reader.mdoc import status as named
from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.trust import facts
from mdoc_reader.trust.anchors import Anchor
from mdoc_reader.trust.authority import identity
from mdoc_reader.trust.lists import ListKind
from mdoc_reader.trust.revocation_codes import RevocationCode as Code
from mdoc_reader.trust.revocation_list import REVOKED, SUSPENDED, RevocationList

ANY_DOCTYPE = "*"
_REMEMBERED = 1024
_APPLICATION = frozenset({0x03, 0x0C, 0x0D, 0x0E, 0x0F})


class Status(StrEnum):
    """What is known about revocation.

    NONE: nothing is named that could tell. UNKNOWN: nothing that tells is held. STALE: something is, and is too old.
    APPLICATION: a value whose meaning is the issuer's. REFUSED: the issuer's list does not know the document.
    """

    __hash__ = str.__hash__

    VALID = "valid"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    STALE = "stale"
    UNKNOWN = "unknown"
    NONE = "none"
    APPLICATION = "application"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """What lists say.

    Attributes:
        status: the answer.
        code: why; None for VALID.
        old: the list is too old for anything but a revocation to count.
        issued: when the list was issued that the answer is from, None without one.
        value: what a status list holds for the document.
    """

    status: Status
    code: ReasonCode | None = None
    old: bool = False
    issued: datetime | None = None
    value: int | None = None


_HEAVIEST_FIRST: Mapping[Status, int] = {
    status: place
    for place, status in enumerate(
        (
            Status.REVOKED,
            Status.REFUSED,
            Status.SUSPENDED,
            Status.APPLICATION,
            Status.VALID,
            Status.STALE,
            Status.UNKNOWN,
            Status.NONE,
        )
    )
}


def _heaviest(answers: Iterable[Answer]) -> Answer:
    """Return what counts of several answers. Two ways of revocation tell the same: one that says `valid` is enough."""
    return min(answers, key=lambda each: _HEAVIEST_FIRST[each.status])


@dataclass(frozen=True, slots=True)
class _Issued:
    """What a signer's certificate says about its own revocation."""

    serial: bytes
    points: frozenset[str]
    named: bool
    divided: bool


class Revocations:
    """All lists of revocation a reader holds, by what they tell of. Made once; safe to share.

    `ages` says for a document type, or for ANY_DOCTYPE, how long after its issue a list is believed at most.
    """

    __slots__ = ("_ages", "_by_address", "_by_authority", "_identities", "_issued", "lists")

    def __init__(self, lists: Iterable[RevocationList] = (), ages: Mapping[str, timedelta] | None = None) -> None:
        """Index the lists."""
        self.lists = tuple(lists)
        self._by_authority: dict[bytes, list[RevocationList]] = {}
        self._by_address: dict[tuple[ListKind, str], list[RevocationList]] = {}
        self._identities: dict[bytes, bytes] = {}
        self._issued: dict[bytes, _Issued] = {}
        self._ages = dict(ages or {})
        for one in self.lists:
            if one.kind is ListKind.CRL:
                self._by_authority.setdefault(one.authority, []).append(one)
            else:
                self._by_address.setdefault((one.kind, one.uri), []).append(one)

    def of_signer(self, certificate: bytes, anchor: Anchor | None, at: datetime, doctype: str = "") -> Answer:
        """Say whether a document signer's certificate (DER) is revoked by the authority that issued it.

        `anchor` is what the signer leads to; without one nobody's list counts. Raises ValueError for a certificate that
        cannot be read.
        """
        issued = self._issuing(certificate)
        lists = () if anchor is None else self._by_authority.get(self._identity(anchor.der), ())
        answers = [
            self._by_crl(one, issued, at, doctype)
            for one in lists
            if not one.points or not issued.points.isdisjoint(one.points)
        ]
        if answers:
            return _heaviest(answers)
        if not issued.named:
            return Answer(Status.NONE, Code.SIGNER_NO_LIST)
        return Answer(Status.UNKNOWN, Code.SIGNER_CRL_MISSING)

    def of_document(self, status: named.Status, anchor: Anchor | None, at: datetime, doctype: str = "") -> Answer:
        """Say whether a document is revoked by the lists that its MSO names.

        A list counts whose signer leads to the certificate the MSO names, or else to the authority of the document's
        own signer, `anchor`.
        """
        answers = []
        if status.status_list is not None:
            answers.append(self._by_status_list(status.status_list, anchor, at, doctype))
        if status.identifier_list is not None:
            answers.append(self._by_identifier_list(status.identifier_list, anchor, at, doctype))
        if answers:
            return _heaviest(answers)
        if status.others:
            return Answer(Status.UNKNOWN, Code.STATUS_UNSUPPORTED)
        return Answer(Status.NONE, Code.STATUS_NONE)

    def _by_crl(self, one: RevocationList, issued: _Issued, at: datetime, doctype: str) -> Answer:
        old = self._old(one, at, doctype)
        entry = one.entry(issued.serial)
        if entry == REVOKED:
            return Answer(Status.REVOKED, Code.SIGNER_REVOKED, old, one.issued)
        if entry == SUSPENDED:
            return Answer(Status.SUSPENDED, Code.SIGNER_SUSPENDED, old, one.issued)
        if issued.divided:  # another list, or another issuer's, tells of some of it
            return Answer(Status.UNKNOWN, Code.SIGNER_CRL_MISSING, old, one.issued)
        if old:
            return Answer(Status.STALE, Code.SIGNER_CRL_STALE, old, one.issued)
        return Answer(Status.VALID, None, old, one.issued)

    def _by_status_list(self, info: named.StatusListInfo, anchor: Anchor | None, at: datetime, doctype: str) -> Answer:
        one = self._list(ListKind.STATUS_LIST, info.uri, info.certificate, anchor)
        if isinstance(one, Answer):
            return one
        old = self._old(one, at, doctype)
        value = one.status(info.idx)
        if value == REVOKED:
            return Answer(Status.REVOKED, Code.STATUS_REVOKED, old, one.issued, value)
        if value == SUSPENDED:
            return Answer(Status.SUSPENDED, Code.STATUS_SUSPENDED, old, one.issued, value)
        if old:
            return Answer(Status.STALE, Code.STATUS_STALE, old, one.issued, value)
        if value is None:
            return Answer(Status.REFUSED, Code.STATUS_INDEX, old, one.issued)
        if value == 0:
            return Answer(Status.VALID, None, old, one.issued, value)
        if value in _APPLICATION:
            return Answer(Status.APPLICATION, Code.STATUS_APPLICATION, old, one.issued, value)
        return Answer(Status.UNKNOWN, Code.STATUS_RESERVED, old, one.issued, value)

    def _by_identifier_list(
        self, info: named.IdentifierListInfo, anchor: Anchor | None, at: datetime, doctype: str
    ) -> Answer:
        one = self._list(ListKind.IDENTIFIER_LIST, info.uri, info.certificate, anchor)
        if isinstance(one, Answer):
            return one
        old = self._old(one, at, doctype)
        if one.entry(info.id):
            return Answer(Status.REVOKED, Code.STATUS_REVOKED, old, one.issued)
        if old:
            return Answer(Status.STALE, Code.STATUS_STALE, old, one.issued)
        return Answer(Status.VALID, None, old, one.issued)

    def _list(
        self, kind: ListKind, uri: str, certificate: bytes | None, anchor: Anchor | None
    ) -> RevocationList | Answer:
        """Return the newest list of an address that counts for a document, or why there is none."""
        held: Sequence[RevocationList] = self._by_address.get((kind, uri), ())
        if not held:
            return Answer(Status.UNKNOWN, Code.STATUS_UNKNOWN)
        if certificate is not None:
            try:
                wanted = self._identity(certificate)
            except ValueError:
                return Answer(Status.UNKNOWN, Code.STATUS_MALFORMED)
            fitting = [one for one in held if wanted in one.vouched]
        else:
            wanted = b"" if anchor is None else self._identity(anchor.der)
            fitting = [one for one in held if one.authority == wanted]
        if not fitting:
            return Answer(Status.UNKNOWN, Code.STATUS_OTHER_ISSUER)
        return max(fitting, key=lambda one: one.issued)

    def _old(self, one: RevocationList, at: datetime, doctype: str) -> bool:
        age = self._ages.get(doctype) or self._ages.get(ANY_DOCTYPE)
        return (one.until is not None and at > one.until) or (age is not None and at - one.issued > age)

    def _identity(self, certificate: bytes) -> bytes:
        found = self._identities.get(certificate)
        if found is None:
            found = identity(certificate)
            if len(self._identities) >= _REMEMBERED:
                self._identities.clear()
            self._identities[certificate] = found
        return found

    def _issuing(self, certificate: bytes) -> _Issued:
        found = self._issued.get(certificate)
        if found is None:
            read = facts.read(certificate)
            found = _Issued(
                serial_octets(read.serial),
                frozenset(read.crl_points or ()),
                read.crl_points is not None,
                read.crl_divided,
            )
            if len(self._issued) >= _REMEMBERED:
                self._issued.clear()
            self._issued[certificate] = found
        return found


def serial_octets(serial: int) -> bytes:
    """Return a serial number as DER writes an INTEGER's content, which is what a table of certificates is asked by."""
    return serial.to_bytes(serial.bit_length() // 8 + 1, "big", signed=True)
