"""The importer: takes files nobody trusts yet, verifies them, and alone changes the store.

It needs no network. Each file is judged by itself: one bad file costs itself alone. What is accepted makes one new
generation together, compiled, verified as it lies on the disk, and switched to at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
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
    issues,
    lote,
    packed,
    revocation_list,
    sniff,
    status_list,
    trusted_list,
    vical,
)
from mdoc_reader.trust.anchors import Grant, Offer, TrustAnchors
from mdoc_reader.trust.generation import Generation, StoreCode, StoreError
from mdoc_reader.trust.held import Change, Contents, Held, Pin
from mdoc_reader.trust.import_codes import ImportCode
from mdoc_reader.trust.issues import Issue
from mdoc_reader.trust.list_signer import NO_ROOT
from mdoc_reader.trust.lists import Entry, ListKind, Order, Origin, SignedList, SkippedEntry
from mdoc_reader.trust.packing import unpacked
from mdoc_reader.trust.revocation_list import OpenedList, RevocationList

MAX_FILE = 32 * 1024 * 1024
MAX_FILES = 1000


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
        override: why the order of issues and their dates are not to count; empty where they do.
        by_hand: a person is there: bare certificates are believed, because nobody else vouches for them.
        sure: `at` can be relied on. If not, a list dated ahead of it is taken, with a warning.
    """

    at: datetime
    pins: tuple[tuple[str, bytes], ...] = ()
    override: str = ""
    by_hand: bool = True
    sure: bool = True


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
            self._trusted = packed.collected(self.contents, self.entries)
        return self._trusted

    def named(self) -> tuple[bytes, ...]:
        """Return certificates that lists about documents may lead to beside anchors: pins, and revocation services."""
        services = (entry.der for found in self.entries.values() for entry in found if entry.service)
        return (*self.pins, *services)

    def forget(self) -> None:
        self._trusted = None


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
    files = {name: before.read(name) for name in before.files if name not in {packed.NAME, packed.FIRST_NAME}}
    entries = packed.held_entries(before)
    pins = tuple(files[pin.file] for pin in contents.pins)
    desk = _Desk(orders, contents, entries, files, pins)
    if before.format == 1:
        _bind(desk)
    return before.number, desk


def _bind(desk: _Desk) -> None:
    """Bind lists to their roots, which format 1 knows by their publishers' names alone. What cannot be stays as it is.

    They were verified when they came, and are verified again as of then, to what is pinned.
    """
    for one in desk.contents.lists:
        opener = _ROOTED.get(one.origin.kind)
        if opener is None or one.raw not in desk.files:
            continue
        try:
            identity = opener(desk.files[one.raw], desk.pins, one.imported).origin.identity
        except Malformed:
            continue
        if identity.split(":", 2)[1] != NO_ROOT:
            before = one.origin.identity
            bound = replace(one, origin=replace(one.origin, identity=identity))
            desk.contents = desk.contents.without(before).with_list(bound)
            if before in desk.entries:
                desk.entries[identity] = desk.entries.pop(before)


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
    issue = Issue(opened.origin, opened.order, hashlib.sha256(data).hexdigest(), opened.findings)
    judged = issues.judge(issue, desk.contents, override=desk.orders.override, sure=desk.orders.sure)
    if not judged.refused and not judged.unchanged:
        for one in judged.replaced:
            _take_out(desk, one)
        _put_in(desk, opened, data, issue.digest, overridden=judged.overridden)
    return Report(
        name,
        kind,
        not judged.refused,
        anchors=sum(not entry.service for entry in opened.entries),
        issued=opened.origin.issued,
        next_update=opened.origin.next_update,
        skipped=opened.skipped,
        findings=judged.findings,
    )


def _unreadable(name: str, kind: ListKind, code: ReasonCode, detail: str = "") -> Report:
    found = Finding(code, Severity.ERROR, detail or code.operator)
    return Report(name, kind, accepted=False, readable=False, findings=(found,))


def _take_out(desk: _Desk, one: Held) -> None:
    identity = one.origin.identity
    for file in (one.raw, one.compiled):
        if file is not None:
            desk.files.pop(file, None)
    desk.entries.pop(identity, None)
    change = Change(desk.orders.at, "removed", one.origin.kind.value, one.origin.name, override=desk.orders.override)
    desk.contents = desk.contents.without(identity).noted(change)


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
    new = Held(
        opened.origin,
        opened.order,
        digest,
        desk.orders.at,
        raw,
        compiled=compiled,
        anchors=sum(not entry.service for entry in opened.entries),
    )
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
    files = {**desk.files, packed.NAME: packed.pack(desk.entries)}
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
    packed.held_anchors(made, contents)
    compiled = {one.compiled for one in contents.lists}
    for name in made.files:
        data = made.read(name)
        if name in compiled:
            lookup(data)


# What each kind is opened by.


def _open_certificates(desk: _Desk, name: str, data: bytes) -> Opened:
    origin = Origin(ListKind.CERTIFICATES, name, f"certificates:{name}")
    if not desk.orders.by_hand:
        return Opened(origin, findings=(issues.finding(ImportCode.NOT_SIGNED, Severity.ERROR),))
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
        findings.append(issues.finding(ImportCode.NO_ANCHORS, Severity.ERROR))
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
    return _told(status_list.open_status_list(unpacked(data), desk.trusted(), desk.orders.at, named=desk.named()))


def _open_identifier_list(desk: _Desk, _: str, data: bytes) -> Opened:
    return _told(
        identifier_list.open_identifier_list(unpacked(data), desk.trusted(), desk.orders.at, named=desk.named())
    )


_ROOTED = {ListKind.VICAL: vical.open_vical, ListKind.LOTE: lote.open_lote}
_OPENERS: dict[ListKind, Callable[[_Desk, str, bytes], Opened]] = {
    ListKind.CERTIFICATES: _open_certificates,
    ListKind.VICAL: _signed(vical.open_vical),
    ListKind.LOTE: _signed(lote.open_lote),
    ListKind.TRUSTED_LIST: _signed(trusted_list.open_trusted_list),
    ListKind.CRL: _open_crl,
    ListKind.STATUS_LIST: _open_status_list,
    ListKind.IDENTIFIER_LIST: _open_identifier_list,
}
