"""The importer's side of a sync: takes what a fetcher left in the spool, and says what it would have fetched.

It needs no network, and nothing of what it takes is believed for having been fetched: it goes through the importer as
any file would that nobody vouches for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import facts, importer, sniff, spool, store
from mdoc_reader.trust.generation import StoreCode, StoreError
from mdoc_reader.trust.importer import Orders, Report
from mdoc_reader.trust.lists import ListKind
from mdoc_reader.trust.spool import Dropped, SpoolCode, Taken, Waiting
from mdoc_reader.trust.store import Believed

MAX_WANTED = 1000
_MAX_URL = 2048
_BATCH_BYTES = 48 * 1024 * 1024
_BATCH_FILES = 200


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file of the spool."""

    source: str
    report: Report


def import_spool(
    folder: Path, into: Path, at: datetime, kinds: Mapping[str, ListKind] | None = None, *, sure: bool = True
) -> tuple[Imported, ...]:
    """Take everything that waits in a spool into a store, and remove it from the spool.

    `kinds`: what kind of list each source is for; `sure`: `at` can be relied on. What is refused is removed, too: it is
    fetched again when it is due.
    Raises StoreError where the store cannot be changed; then the files wait on.
    """
    found, dropped = spool.waiting(folder)
    done = [_dropped(one) for one in dropped]
    for batch in _batches(found, done):
        spool.settle(folder)
        wanted = [one for one in batch if _is_expected(one, kinds or {})]
        for one in batch:
            if one not in wanted:
                spool.left(one)
                done.append(_dropped(Dropped(one.source, SpoolCode.OTHER_KIND), sniff.kind_of(one.data)))
        if not wanted:
            continue
        try:
            orders = Orders(at, by_hand=False, sure=sure)
            reports = importer.import_files(into, [(one.source, one.data) for one in wanted], orders)
        except StoreError:
            for one in wanted:
                spool.put_back(one)
            raise
        for one, report in zip(wanted, reports, strict=True):
            spool.left(one)
            done.append(Imported(one.source, report))
    return tuple(done)


def _batches(found: Iterable[Waiting], done: list[Imported]) -> Iterable[list[Taken]]:
    """Take files in hand, a batch at a time; what was in hand when an importer died is a batch of its own."""
    batch: list[Taken] = []
    size = 0
    for one in found:
        try:
            taken = spool.take(one)
        except OSError as error:
            done.append(_dropped(Dropped(one.source, SpoolCode.NOT_WRITABLE), detail=str(error.strerror)))
            continue
        if taken is None:
            continue
        if isinstance(taken, Dropped):
            done.append(_dropped(taken))
            continue
        if one.tries:
            yield [taken]
            continue
        batch.append(taken)
        size += len(taken.data)
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_FILES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _is_expected(one: Taken, kinds: Mapping[str, ListKind]) -> bool:
    expected, kind = kinds.get(one.source), sniff.kind_of(one.data)
    # What is of no kind at all is the importer's to name.
    return expected is None or kind in {expected, ListKind.UNKNOWN}


def _dropped(one: Dropped, kind: ListKind = ListKind.UNKNOWN, *, detail: str = "") -> Imported:
    finding = Finding(one.code, Severity.ERROR, detail or one.code.operator)
    return Imported(one.source, Report(one.source, kind, accepted=False, readable=False, findings=(finding,)))


def want(folder: Path, held_in: Path) -> bool:
    """Write what the store would have fetched, and what it holds, for the fetcher; True where that is news.

    Raises StoreError for a store that cannot be read (an empty one wants nothing), OSError for the spool.
    """
    try:
        believed: Believed | None = store.load(held_in)
    except StoreError as error:
        if error.code is not StoreCode.EMPTY:
            raise
        believed = None
    held = [] if believed is None else sorted({one.digest for one in believed.contents.lists})
    wanted = [] if believed is None else [{"url": url, "kind": kind.value} for url, kind in addresses(believed)]
    return spool.ask(folder, "wanted.json", json.dumps({"wanted": wanted, "held": held}, indent=1).encode())


def addresses(believed: Believed) -> list[tuple[str, ListKind]]:
    """Return where trusted certificates and lists say that there is more: bounded, each once, in a stable order."""
    found: set[tuple[str, ListKind]] = set()
    for one in believed.contents.lists:
        if one.origin.kind in {ListKind.STATUS_LIST, ListKind.IDENTIFIER_LIST} and is_address(one.origin.name):
            found.add((one.origin.name, one.origin.kind))
    for anchor in believed.anchors.anchors:
        try:
            points = facts.read(anchor.der).crl_points or ()
        except ValueError:
            continue
        found.update((point, ListKind.CRL) for point in points if is_address(point))
    return sorted(found)[:MAX_WANTED]


def is_address(text: str) -> bool:
    """Say whether a text can be an address to fetch from: bounded, and without a name or password in it."""
    if not 8 <= len(text) <= _MAX_URL or any(not "!" <= letter <= "~" for letter in text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
