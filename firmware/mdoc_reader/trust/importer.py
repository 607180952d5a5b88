"""The importer: takes files nobody trusts yet, verifies them, and alone changes the store.

It needs no network. Each file is judged by itself: one bad file costs itself alone. What is accepted makes one new
generation together, compiled, verified as it lies on the disk, and switched to at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from mdoc_reader.model.reasons import Malformed, ReasonCode, Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import (
    anchors,
    crl,
    generation,
    held,
    identifier_list,
    lote,
    revocation_list,
    sniff,
    status_list,
    trusted_list,
    vical,
)
from mdoc_reader.trust.anchors import Grant, Offer, TrustAnchors
from mdoc_reader.trust.generation import Generation, StoreCode, StoreError
from mdoc_reader.trust.held import ANCHORS, Change, Contents, Held, Pin
from mdoc_reader.trust.lists import Entry, ListKind, Order, Origin, SignedList, SkippedEntry
from mdoc_reader.trust.packing import unpacked
from mdoc_reader.trust.revocation_list import OpenedList, RevocationList

MAX_FILE = 32 * 1024 * 1024
MAX_FILES = 1000


class ImportCode(ReasonCode):
    """Why a file was not imported, or what was noticed when it was."""

    UNKNOWN_KIND = "import_unknown_kind", "The file is none of the kinds this reader takes."
    TOO_LARGE = "import_too_large", "The file is larger than any list this reader takes."
    UNREADABLE = "import_unreadable", "The file cannot be read."
    NO_ANCHORS = "import_no_anchors", "The file holds no certificate that can be an anchor."
    NOT_SIGNED = "import_not_signed", "Bare certificates are believed only where a person brings them."
    ROLLED_BACK = "import_rolled_back", "The list is older than the one this reader has."
    SAME_ORDER = "import_same_order", "The list differs from the one this reader has, and claims the same issue."
    UNCHANGED = "import_unchanged", "This reader has this list already."
    OVERRIDDEN = "import_overridden", "Taken against the rules, because a person said so."


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one file."""

    file: str
    kind: ListKind
    accepted: bool
    readable: bool = True
    anchors: int = 0
    issued: datetime | None = None
    next_update: datetime | None = None
    skipped: tuple[SkippedEntry, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Orders:
    """What a person orders beside the files.

    Args:
        at: the moment of judgement.
        pins: roots (DER, with a name for people) to pin from now on.
        override: why the order of issues is not to be looked at; empty to look.
        by_hand: a person is there: bare certificates are believed, because nobody else vouches for them.
    """

    at: datetime
    pins: tuple[tuple[str, bytes], ...] = ()
    override: str = ""
    by_hand: bool = True


@dataclass(frozen=True, slots=True)
class Opened:
    """A file as its kind's own module sees it. `compiled`: what is looked up in it, for lists of revocation."""

    origin: Origin
    order: Order | None = None
    entries: tuple[Entry, ...] = ()
    skipped: tuple[SkippedEntry, ...] = ()
    findings: tuple[Finding, ...] = ()
    compiled: bytes | None = None


@dataclass(slots=True)
class _Desk:
    """What the importer has in front of it."""

    orders: Orders
    contents: Contents
    entries: dict[str, list[Entry]]
    files: dict[str, bytes]
    pins: tuple[bytes, ...]
    changed: bool = False
    _trusted: TrustAnchors | None = field(default=None)

    def trusted(self) -> TrustAnchors:
        """Return all anchors there are by now."""
        if self._trusted is None:
            self._trusted = collected(self.contents, self.entries)
        return self._trusted

    def forget(self) -> None:
        self._trusted = None


def collected(contents: Contents, entries: Mapping[str, Sequence[Entry]]) -> TrustAnchors:
    """Return the anchors of all lists, each with what its lists say of it."""
    by_identity = {one.origin.identity: one.origin for one in contents.lists}
    offers = (
        Offer(entry.der, Grant(origin, entry.doctypes, entry.direct), origin.name)
        for identity, found in entries.items()
        if (origin := by_identity.get(identity)) is not None
        for entry in found
    )
    return anchors.collect(offers)[0]


def import_files(store: Path, files: Sequence[tuple[str, bytes]], orders: Orders) -> tuple[Report, ...]:
    """Import files into a store; makes the store where there is none. Raises StoreError, and then nothing changed."""
    with generation.locked(store):
        number, desk = _sit_down(store, orders)
        _pin(desk)
        reports: dict[int, Report] = {}
        # Anchors first: what they vouch for may come in the same breath.
        for index in sorted(range(len(files)), key=lambda each: _RANK[sniff.kind_of(files[each][1])]):
            reports[index] = _take(desk, *files[index])
        if desk.changed:
            _write(store, number + 1, desk)
    return tuple(reports[index] for index in range(len(files)))


_RANK = {
    ListKind.CERTIFICATES: 0,
    ListKind.VICAL: 1,
    ListKind.LOTE: 1,
    ListKind.TRUSTED_LIST: 1,
    ListKind.CRL: 2,
    ListKind.STATUS_LIST: 3,
    ListKind.IDENTIFIER_LIST: 3,
    ListKind.UNKNOWN: 4,
}


def _sit_down(store: Path, orders: Orders) -> tuple[int, _Desk]:
    try:
        before = generation.current(store)
    except StoreError as error:
        if error.code is not StoreCode.EMPTY:
            raise
        return 0, _Desk(orders, Contents(), {}, {}, ())
    contents = held.contents_of(before.facts)
    files = {name: before.read(name) for name in before.files if name != ANCHORS}
    entries = held.unpack_entries(before.read(ANCHORS))
    pins = tuple(files[pin.file] for pin in contents.pins)
    return before.number, _Desk(orders, contents, entries, files, pins)


def _pin(desk: _Desk) -> None:
    for name, der in desk.orders.pins:
        digest = hashlib.sha256(der).hexdigest()
        if any(pin.digest == digest for pin in desk.contents.pins):
            continue
        file = f"pin-{digest[:32]}.der"
        desk.files[file] = der
        pinned = Pin(name, digest, file, desk.orders.at)
        change = Change(desk.orders.at, "pinned", "pin", name)
        desk.contents = replace(desk.contents, pins=(*desk.contents.pins, pinned)).noted(change)
        desk.pins += (der,)
        desk.changed = True


def _take(desk: _Desk, name: str, data: bytes) -> Report:
    kind = sniff.kind_of(data)
    if len(data) > MAX_FILE:
        return _unreadable(name, kind, ImportCode.TOO_LARGE)
    opener = _OPENERS.get(kind)
    if opener is None:
        return _unreadable(name, kind, ImportCode.UNKNOWN_KIND)
    try:
        opened = opener(desk, name, data)
    except Malformed as problem:
        return _unreadable(name, kind, problem.code, str(problem))
    findings = list(opened.findings)
    refused = any(finding.severity is Severity.ERROR for finding in findings)
    digest = hashlib.sha256(data).hexdigest()
    if not refused:
        found = _out_of_order(desk, opened, digest)
        if found is not None:
            findings.append(found)
            refused = found.severity is Severity.ERROR
    if not refused and not any(finding.code is ImportCode.UNCHANGED for finding in findings):
        _put_in(desk, opened, data, digest, overridden=ImportCode.OVERRIDDEN in {each.code for each in findings})
    return Report(
        name,
        kind,
        not refused,
        anchors=len(opened.entries),
        issued=opened.origin.issued,
        next_update=opened.origin.next_update,
        skipped=opened.skipped,
        findings=tuple(findings),
    )


def _unreadable(name: str, kind: ListKind, code: ReasonCode, detail: str = "") -> Report:
    found = Finding(code, Severity.ERROR, detail or code.operator)
    return Report(name, kind, accepted=False, readable=False, findings=(found,))


def _finding(code: ImportCode, severity: Severity) -> Finding:
    return Finding(code, severity, code.operator)


def _out_of_order(desk: _Desk, opened: Opened, digest: str) -> Finding | None:
    """Return what the order of issues says: an issue goes back only where a person says so."""
    before = desk.contents.of(opened.origin.identity)
    if before is None:
        return None
    if before.digest == digest:
        return _finding(ImportCode.UNCHANGED, Severity.INFO)
    if opened.order is None or before.order is None:
        return None
    new, old = _position(opened.order, opened.origin), _position(before.order, before.origin)
    if opened.order.field != before.order.field:
        new, old = (0, opened.origin.issued), (0, before.origin.issued)
    problem: ImportCode | None = None
    if new[1] is None or old[1] is None:
        if new[0] < old[0]:
            problem = ImportCode.ROLLED_BACK
    elif new < old:
        problem = ImportCode.ROLLED_BACK
    elif new == old:
        problem = ImportCode.SAME_ORDER
    if problem is None:
        return None
    if desk.orders.override:
        return _finding(ImportCode.OVERRIDDEN, Severity.WARNING)
    return _finding(problem, Severity.ERROR)


def _position(order: Order, origin: Origin) -> tuple[int, datetime | None]:
    return (order.number or 0, order.moment or origin.issued)


def _put_in(desk: _Desk, opened: Opened, data: bytes, digest: str, *, overridden: bool) -> None:
    identity = opened.origin.identity
    before = desk.contents.of(identity)
    if before is not None:
        for file in (before.raw, before.compiled):
            if file is not None:
                desk.files.pop(file, None)
    stem = f"{opened.origin.kind.value.replace('_', '-')}-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
    raw, compiled = f"{stem}.raw", None
    desk.files[raw] = data
    if opened.compiled is not None:
        compiled = f"{stem}.compiled"
        desk.files[compiled] = opened.compiled
    if opened.entries:
        desk.entries[identity] = list(opened.entries)
    else:
        desk.entries.pop(identity, None)
    new = Held(opened.origin, opened.order, digest, desk.orders.at, raw, compiled=compiled, anchors=len(opened.entries))
    change = Change(
        desk.orders.at,
        "imported" if before is None else "replaced",
        opened.origin.kind.value,
        opened.origin.name,
        "" if opened.order is None else f"{opened.order.field} {opened.order.number or opened.order.moment}",
        desk.orders.override if overridden else "",
    )
    desk.contents = desk.contents.with_list(new).noted(change)
    desk.changed = True
    desk.forget()


def _write(store: Path, number: int, desk: _Desk) -> None:
    contents = replace(desk.contents, made=desk.orders.at)
    files = {**desk.files, ANCHORS: held.pack_entries(desk.entries)}
    generation.write(store, number, contents.facts(), files, verify)


def lookup(data: bytes) -> RevocationList:
    """Return a compiled list of revocation. Raises StoreError."""
    try:
        return revocation_list.read(data)
    except Malformed as problem:
        raise StoreError(StoreCode.DAMAGED, str(problem)) from None


def verify(made: Generation) -> None:
    """Read a generation as the reader will. Raises StoreError."""
    contents = held.contents_of(made.facts)
    for name in made.files:
        data = made.read(name)
        if name == ANCHORS:
            collected(contents, held.unpack_entries(data))
        elif any(one.compiled == name for one in contents.lists):
            lookup(data)


# What each kind is opened by.


def _open_certificates(desk: _Desk, name: str, data: bytes) -> Opened:
    origin = Origin(ListKind.CERTIFICATES, name, f"certificates:{name}")
    if not desk.orders.by_hand:
        return Opened(origin, findings=(_finding(ImportCode.NOT_SIGNED, Severity.ERROR),))
    entries: list[Entry] = []
    skipped: list[SkippedEntry] = []
    findings: list[Finding] = []
    for number, der in enumerate(anchors.certificates_in(unpacked(data))):
        offer = Offer(der, Grant(origin), name)
        found = anchors.anchor_from(offer)
        where = f"certificate {number + 1}"
        if isinstance(found, anchors.TrustCode):
            skipped.append(SkippedEntry(where, found))
            continue
        if not found.usable:
            skipped.append(SkippedEntry(where, anchors.TrustCode.NOT_A_CERTIFICATE))
            continue
        subject = found.subject_text[:200]
        remarks = found.findings()
        fatal = next((each for each in remarks if each.severity is Severity.ERROR), None)
        if fatal is not None:
            skipped.append(SkippedEntry(subject, fatal.code))
            continue
        findings += [replace(each, where=subject) for each in remarks]
        entries.append(Entry(der, subject=subject))
    if not entries:
        findings.append(_finding(ImportCode.NO_ANCHORS, Severity.ERROR))
    return Opened(origin, entries=tuple(entries), skipped=tuple(skipped), findings=tuple(findings))


def _signed(opener: Callable[[bytes, Sequence[bytes], datetime], SignedList]) -> Callable[[_Desk, str, bytes], Opened]:
    def open_signed(desk: _Desk, _: str, data: bytes) -> Opened:
        found = opener(data, desk.pins, desk.orders.at)
        return Opened(found.origin, found.order, found.entries, found.skipped, found.findings)

    return open_signed


def _told(opened: OpenedList) -> Opened:
    return Opened(opened.origin, opened.order, findings=opened.findings, compiled=opened.compiled)


def _open_crl(desk: _Desk, _: str, data: bytes) -> Opened:
    return _told(crl.open_crl(unpacked(data), desk.trusted(), desk.orders.at))


def _open_status_list(desk: _Desk, _: str, data: bytes) -> Opened:
    return _told(status_list.open_status_list(unpacked(data), desk.trusted(), desk.orders.at, named=desk.pins))


def _open_identifier_list(desk: _Desk, _: str, data: bytes) -> Opened:
    return _told(identifier_list.open_identifier_list(unpacked(data), desk.trusted(), desk.orders.at, named=desk.pins))


_OPENERS: dict[ListKind, Callable[[_Desk, str, bytes], Opened]] = {
    ListKind.CERTIFICATES: _open_certificates,
    ListKind.VICAL: _signed(vical.open_vical),
    ListKind.LOTE: _signed(lote.open_lote),
    ListKind.TRUSTED_LIST: _signed(trusted_list.open_trusted_list),
    ListKind.CRL: _open_crl,
    ListKind.STATUS_LIST: _open_status_list,
    ListKind.IDENTIFIER_LIST: _open_identifier_list,
}
