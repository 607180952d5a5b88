"""How what is believed ages: what a reader's owner should see to before people stand in front of a closed door.

Plain words with advice, at most one line for each kind of trouble, the worst first. Reading when each of ten thousand
anchors ends takes a tenth of a second: meant for once a day and for whoever asks, not for a presentation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from mdoc_reader.model.check import Check, Health
from mdoc_reader.trust import store
from mdoc_reader.trust.anchors import NONE, UNREADABLE, Anchor, TrustAnchors
from mdoc_reader.trust.generation import StoreCode, StoreError
from mdoc_reader.trust.held import Held
from mdoc_reader.trust.list_parts import shown
from mdoc_reader.trust.lists import ListKind
from mdoc_reader.trust.store import Believed

PART = "lists"
OLD = timedelta(days=45)
"""How long a store that lists are fetched for may go without a change: they come at least once a month."""
DUE_SOON = timedelta(days=7)
ENDS_SOON = timedelta(days=30)
ANCHOR_ENDS_SOON = timedelta(days=90)
"""Issuers take longer to replace a root than publishers a list."""
_SHOWN = 3
_LONGEST = 60
_OF_ISSUERS = frozenset({ListKind.VICAL, ListKind.LOTE, ListKind.TRUSTED_LIST})
_IMPORT = "import one with `mdoc-reader trust import FILE`"
_RENEW = "run `mdoc-reader trust sync`, or bring a newer one with `mdoc-reader trust import FILE`"
_ADVICE = {
    StoreCode.EMPTY: f"{_IMPORT}; pin the root of a list first, with `mdoc-reader trust pin ROOT`",
    StoreCode.DAMAGED: "move the store's folder away and import its lists anew; look at the card it lies on",
    StoreCode.UNREADABLE: "give the reader's user the right to read the store's folder",
    StoreCode.NEWER_FORMAT: "install the version of this program that wrote the store, or import its lists anew",
}


def look(path: Path, now: datetime, fixed: TrustAnchors = NONE) -> tuple[Check, ...]:
    """Load a store and return its checks. A store that cannot be used is one, too."""
    try:
        believed = store.load(path)
    except StoreError as error:
        health = Health.WARNING if error.code is StoreCode.EMPTY and len(fixed) else Health.FAULT
        return (Check(PART, health, str(error), _ADVICE.get(error.code, "")), *checks(None, now, fixed))
    return checks(believed, now, fixed)


def checks(believed: Believed | None, now: datetime, fixed: TrustAnchors = NONE) -> tuple[Check, ...]:
    """Return how what is believed stands, the worst first: at least one check, and a handful at most.

    Args:
        believed: the store's generation; None without a store.
        now: with its zone.
        fixed: the anchors of folders, beside it.
    """
    lists = () if believed is None else believed.contents.lists
    anchors = (*fixed.anchors, *(() if believed is None else believed.anchors.anchors))
    found = [*_of_anchors(anchors, now), *_of_lists(lists, now)]
    if believed is not None and any(one.origin.kind in _OF_ISSUERS for one in lists):
        found += _of_age(believed, now)
    found.sort(key=lambda check: _HEAVIEST.index(check.health))
    if not found:
        found.append(Check(PART, Health.OK, _sum(believed, len(anchors), len(lists))))
    return tuple(found)


_HEAVIEST = (Health.FAULT, Health.WARNING, Health.OK)


def _sum(believed: Believed | None, anchors: int, lists: int) -> str:
    told = _count(anchors, "trusted issuer")
    if believed is None:
        return told
    return f"{told}, {_count(lists, 'list')}; last changed on {_day(believed.contents.made)}"


def _of_anchors(anchors: Sequence[Anchor], now: datetime) -> Iterator[Check]:
    if not anchors:
        yield Check(PART, Health.FAULT, "no issuer is trusted: no document can open", _IMPORT)
        return
    ends = [(anchor, end) for anchor in anchors if (end := _end(anchor)) is not None]
    over = [anchor.source for anchor, end in ends if end < now]
    if not any(end >= now and _vouched(anchor, now) for anchor, end in ends):
        yield Check(PART, Health.FAULT, "no trusted issuer counts any more: each of them, or its list, ended", _RENEW)
    elif over:
        what = f"{_count(len(over), 'trusted issuer')} ended, from {_some(over)}"
        yield Check(PART, Health.WARNING, what, _RENEW)
    soon = sorted((end, anchor.source) for anchor, end in ends if now <= end < now + ANCHOR_ENDS_SOON)
    if soon:
        what = f"{_count(len(soon), 'trusted issuer')} will end, the first on {_day(soon[0][0])}, from "
        yield Check(PART, Health.WARNING, what + _some([source for _, source in soon]), _RENEW)


def _end(anchor: Anchor) -> datetime | None:
    """Return when an anchor ends; reads no more of it than that. None where it cannot be read."""
    try:
        return x509.load_der_x509_certificate(anchor.der).not_valid_after_utc
    except UNREADABLE:
        return None


def _vouched(anchor: Anchor, now: datetime) -> bool:
    return any(grant.holds(now) for grant in anchor.grants)


def _of_lists(lists: Sequence[Held], now: datetime) -> Iterator[Check]:
    """What is said of lists. Those of revocation come and go within hours: of them only what is over is told."""
    over = [one for one in lists if _passed(one.origin.not_after, now)]
    stale = [one for one in lists if _passed(one.origin.next_update, now) and one not in over]
    issuers = [one for one in lists if one.origin.kind in _OF_ISSUERS and one not in over]
    ending = [one for one in issuers if _within(one.origin.not_after, now, ENDS_SOON)]
    due = [one for one in issuers if _within(one.origin.next_update, now, DUE_SOON) and one not in ending]
    for found, words in (
        (over, "ended: what {them} said counts no more"),
        (stale, "should have been replaced by now"),
        (ending, "will end within a month"),
        (due, "will have to be replaced within a week"),
    ):
        if found:
            told = words.format(them="it" if len(found) == 1 else "they")
            yield Check(PART, Health.WARNING, f"{_count(len(found), 'list')} {told}: {_some(_names(found))}", _RENEW)


def _names(lists: Sequence[Held]) -> list[str]:
    return [f"{one.origin.name} ({one.origin.kind.value.replace('_', ' ')})" for one in lists]


def _passed(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment < now


def _within(moment: datetime | None, now: datetime, span: timedelta) -> bool:
    return moment is not None and now <= moment < now + span


def _of_age(believed: Believed, now: datetime) -> Iterator[Check]:
    age = now - believed.contents.made
    if age > OLD:
        what = f"nothing new was imported for {age.days} days: who was removed since is still believed"
        yield Check(PART, Health.WARNING, what, _RENEW)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def _some(names: Sequence[str]) -> str:
    """Return a few of the names, each once, and how many more there are."""
    each = list(dict.fromkeys(shown(name)[:_LONGEST] or "(no name)" for name in names))
    more = f" and {len(each) - _SHOWN} more" if len(each) > _SHOWN else ""
    return ", ".join(each[:_SHOWN]) + more
