"""What a generation of the store holds, as values and as the text of its manifest.

The lists are kept twice: as they came, for whoever asks what was believed and why, and compiled into what the reader
needs, so that it starts without verifying anything anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mdoc_reader.trust.generation import StoreCode, StoreError
from mdoc_reader.trust.lists import ListKind, Order, Origin

MAX_HISTORY = 500
MAX_LISTS = 2000


@dataclass(frozen=True, slots=True)
class Held:
    """One list in the store.

    Args:
        origin: where its entries come from.
        order: which issue of the list it is.
        digest: SHA-256 of the list as it came, in hex.
        imported: when it was taken.
        raw: the name of the file with the list as it came.
        compiled: the name of the file with what is looked up in it, for lists of revocation.
        anchors: how many anchors it brought.
    """

    origin: Origin
    order: Order | None
    digest: str
    imported: datetime
    raw: str
    compiled: str | None = None
    anchors: int = 0


@dataclass(frozen=True, slots=True)
class Pin:
    """A root that lists are verified to: it was brought here by a person. `file` holds its DER."""

    name: str
    digest: str
    file: str
    added: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was done to the store. `override`: why a person had it done against the rules."""

    at: datetime
    what: str
    kind: str
    name: str
    order: str = ""
    override: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """All of a generation but the bytes of its files."""

    lists: tuple[Held, ...] = ()
    pins: tuple[Pin, ...] = ()
    history: tuple[Change, ...] = ()
    made: datetime = field(default_factory=lambda: datetime.fromtimestamp(0, UTC))

    def of(self, identity: str) -> Held | None:
        """Return the list of an identity."""
        return next((held for held in self.lists if held.origin.identity == identity), None)

    def with_list(self, new: Held) -> Contents:
        """Return the same with a list put in, or in the place of its earlier issue."""
        return replace(self, lists=(*self.without(new.origin.identity).lists, new))

    def without(self, identity: str) -> Contents:
        """Return the same without a list."""
        return replace(self, lists=tuple(held for held in self.lists if held.origin.identity != identity))

    def noted(self, change: Change) -> Contents:
        """Return the same with one more line of history."""
        return replace(self, history=(*self.history, change)[-MAX_HISTORY:])

    def facts(self) -> dict[str, object]:
        """Return what the manifest says."""
        return {
            "made": _written(self.made),
            "lists": [_of_held(held) for held in self.lists],
            "pins": [
                {"name": pin.name, "sha256": pin.digest, "file": pin.file, "added": _written(pin.added)}
                for pin in self.pins
            ],
            "history": [
                {
                    "at": _written(change.at),
                    "what": change.what,
                    "kind": change.kind,
                    "name": change.name,
                    "order": change.order,
                    "override": change.override,
                }
                for change in self.history
            ],
        }


def contents_of(facts: Mapping[str, object]) -> Contents:
    """Read a manifest's facts back. Raises StoreError."""
    try:
        lists = tuple(_held(entry) for entry in _rows(facts["lists"], MAX_LISTS))
        pins = tuple(
            Pin(str(row["name"]), str(row["sha256"]), str(row["file"]), _moment(row["added"]) or _EPOCH)
            for row in _rows(facts["pins"], MAX_LISTS)
        )
        history = tuple(
            Change(
                _moment(row["at"]) or _EPOCH,
                str(row["what"]),
                str(row["kind"]),
                str(row["name"]),
                str(row["order"]),
                str(row["override"]),
            )
            for row in _rows(facts["history"], MAX_HISTORY)
        )
        return Contents(lists, pins, history, _moment(facts["made"]) or _EPOCH)
    except (KeyError, ValueError, TypeError):
        raise StoreError(StoreCode.DAMAGED, "the manifest's facts") from None


_EPOCH = datetime.fromtimestamp(0, UTC)


def _rows(value: object, most: int) -> Sequence[Mapping[str, object]]:
    if not isinstance(value, list) or len(value) > most or not all(isinstance(row, dict) for row in value):
        raise ValueError("not a list of objects")
    return value


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment(text: object) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment


def _of_held(held: Held) -> dict[str, object]:
    origin, order = held.origin, held.order
    return {
        "kind": origin.kind.value,
        "name": origin.name,
        "identity": origin.identity,
        "issued": _written(origin.issued),
        "next_update": _written(origin.next_update),
        "not_after": _written(origin.not_after),
        "order": None
        if order is None
        else {"field": order.field, "number": order.number, "moment": _written(order.moment)},
        "sha256": held.digest,
        "imported": _written(held.imported),
        "raw": held.raw,
        "compiled": held.compiled,
        "anchors": held.anchors,
    }


def _held(row: Mapping[str, object]) -> Held:
    origin = Origin(
        ListKind(str(row["kind"])),
        str(row["name"]),
        str(row["identity"]),
        _moment(row["issued"]),
        _moment(row["next_update"]),
        _moment(row["not_after"]),
    )
    order: Order | None = None
    given = row["order"]
    if isinstance(given, dict):
        number = given["number"]
        order = Order(str(given["field"]), None if number is None else int(number), _moment(given["moment"]))
    compiled, anchors = row["compiled"], row["anchors"]
    return Held(
        origin,
        order,
        str(row["sha256"]),
        _moment(row["imported"]) or _EPOCH,
        str(row["raw"]),
        None if compiled is None else str(compiled),
        int(str(anchors)),
    )
