"""`mdoc-reader trust`: bring lists into the store, see what is believed and until when, and what was changed.

`import` is a contract: it finds out what each file is, and its JSON and exit codes stay. Exit codes: 0 every file was
accepted, 1 one was refused, 2 one could not be read (or the store could not be used).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mdoc_reader.app import wiring
from mdoc_reader.app.sync_command import add_sync, clock_of
from mdoc_reader.model.reasons import Severity
from mdoc_reader.trust import anchors, generation, importer, store
from mdoc_reader.trust.anchors import Anchor
from mdoc_reader.trust.clock import Moment
from mdoc_reader.trust.generation import StoreError
from mdoc_reader.trust.held import Contents, Held
from mdoc_reader.trust.importer import Orders, Report

REFUSED, UNREADABLE = 1, 2
_SOON = timedelta(days=30)
_BAR = 24
_MOST_BYTES = importer.MAX_FILE + 1
_MARKS = {Severity.ERROR: "ERROR  ", Severity.WARNING: "warning", Severity.INFO: "note   "}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its actions."""
    parser = commands.add_parser("trust", help="work on the store of trust", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    brought = actions.add_parser("import", help="verify files and take them into the store")
    brought.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a list, certificates, a folder of them")
    brought.add_argument("--pin", action="append", default=[], type=Path, metavar="ROOT", help="believe this root")
    brought.add_argument("--at", metavar="TIME", help="judge as of this moment (RFC 3339); default: now")
    brought.add_argument(
        "--override",
        default="",
        metavar="WHY",
        help="take an overdue, untimely or older list all the same; is recorded",
    )
    brought.set_defaults(function=_import)
    pinned = actions.add_parser("pin", help="believe a root that lists are verified to, or see those that are")
    pinned.add_argument("roots", nargs="*", type=Path, metavar="ROOT")
    pinned.set_defaults(function=_pin)
    listed = actions.add_parser("list", help="what is believed, and until when")
    listed.add_argument("--at", metavar="TIME", help="as of this moment; default: now")
    listed.set_defaults(function=_list)
    shown = actions.add_parser("show", help="the anchors of one country, list or name")
    shown.add_argument("what", nargs="?", default="", help="a part of the subject or of the list's name")
    shown.set_defaults(function=_show)
    past = actions.add_parser("history", help="what was changed, when, and against which rule")
    past.set_defaults(function=_history)
    add_sync(actions)
    for action in (brought, pinned, listed, shown, past):
        action.add_argument("--store", type=Path, metavar="DIR", help="the store's folder; default: {state}/trust")
        action.add_argument("--json", action="store_true", help="print JSON")


def default_store() -> Path:
    """Return where the store is when nobody says otherwise."""
    return Path(wiring.places()["state"]) / "trust"


def _store(arguments: argparse.Namespace) -> Path:
    chosen: Path | None = arguments.store
    return default_store() if chosen is None else chosen


def _moment(arguments: argparse.Namespace) -> Moment:
    """Return the time to judge by: what a person says is the time is, and the system's clock is with its doubts."""
    if arguments.at is None:
        return clock_of(_store(arguments)).read()
    try:
        moment = datetime.fromisoformat(arguments.at)
    except ValueError:
        raise SystemExit(f"--at: {arguments.at!r} is no RFC 3339 time, such as 2026-11-21T12:00:00Z") from None
    return Moment(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def _import(arguments: argparse.Namespace) -> int:
    pins: list[tuple[str, bytes]] = []
    files: list[tuple[str, bytes]] = []
    unreadable: list[str] = []
    for path in arguments.pin:
        try:
            pins += [(path.name, der) for der in anchors.certificates_in(_read(path))]
        except OSError as error:
            print(f"{path}: cannot be read: {error.strerror}", file=sys.stderr)
            return UNREADABLE
    for path in _all_files(arguments.files):
        try:
            files.append((str(path), _read(path)))
        except OSError as error:
            unreadable.append(f"{path}: cannot be read: {error.strerror}")
    for line in unreadable:
        print(line, file=sys.stderr)
    moment = _moment(arguments)
    orders = Orders(moment.at, tuple(pins), arguments.override, sure=moment.doubt is None)
    try:
        reports = importer.import_files(_store(arguments), files, orders)
    except StoreError as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    if arguments.json:
        print(json.dumps([as_json(report) for report in reports], indent=1))
    else:
        print("\n".join(told(report) for report in reports))
    if unreadable or not all(report.readable for report in reports):
        return UNREADABLE
    return 0 if all(report.accepted for report in reports) else REFUSED


def _all_files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(entry for entry in path.iterdir() if entry.is_file()) if path.is_dir() else [path]
    return found


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_MOST_BYTES)


def as_json(report: Report) -> dict[str, object]:
    """Return a report as the contract has it."""
    return {
        "file": report.file,
        "kind": report.kind.value,
        "accepted": report.accepted,
        "anchors": report.anchors,
        "issued": _stamp(report.issued),
        "next_update": _stamp(report.next_update),
        "skipped": [{"subject": entry.subject, "code": str(entry.code)} for entry in report.skipped],
        "findings": [
            {"code": str(found.code), "severity": found.severity.value, "message": found.message}
            for found in report.findings
        ],
    }


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def told(report: Report) -> str:
    """Return a report as lines for people: what it is, what came of it, and why."""
    what = report.kind.value.replace("_", " ")
    outcome = "accepted" if report.accepted else "REFUSED" if report.readable else "CANNOT BE READ"
    numbers = f", {report.anchors} anchors" if report.anchors else ""
    until = f", next due {_day(report.next_update)}" if report.next_update else ""
    lines = [f"{report.file}: {what}{numbers}{until}: {outcome}"]
    for found, count in Counter(report.findings).items():
        times = f" ({count} times)" if count > 1 else ""
        where = f" [{found.where}]" if found.where else ""
        lines.append(f"  {_MARKS[found.severity]} {found.message}{where}{times}")
    if report.skipped:
        lines.append(f"  skipped {len(report.skipped)}:")
        lines += [f"    {entry.subject or '(no name)'}: {entry.code.operator}" for entry in report.skipped[:20]]
        if len(report.skipped) > 20:
            lines.append(f"    and {len(report.skipped) - 20} more")
    return "\n".join(lines)


def _day(moment: datetime | None) -> str:
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d")


def _pin(arguments: argparse.Namespace) -> int:
    folder = _store(arguments)
    pins: list[tuple[str, bytes]] = []
    for path in arguments.roots:
        try:
            found = [
                der
                for der in anchors.certificates_in(_read(path))
                if not isinstance(anchors.anchor_from(anchors.Offer(der)), anchors.TrustCode)
            ]
        except OSError as error:
            print(f"{path}: cannot be read: {error.strerror}", file=sys.stderr)
            return UNREADABLE
        if not found:
            print(f"{path}: holds no certificate", file=sys.stderr)
            return UNREADABLE
        pins += [(path.name, der) for der in found]
    try:
        if pins:
            importer.import_files(folder, (), Orders(datetime.now(UTC), tuple(pins)))
        contents = store.load(folder).contents
    except StoreError as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    if arguments.json:
        rows = [{"name": pin.name, "sha256": pin.digest, "added": _stamp(pin.added)} for pin in contents.pins]
        print(json.dumps(rows, indent=1))
        return 0
    for pin in contents.pins:
        print(f"{pin.digest[:32]}  {_day(pin.added)}  {pin.name}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    try:
        believed = store.load(_store(arguments))
    except StoreError as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    at = _moment(arguments).at
    if arguments.json:
        rows = [
            {
                "kind": held.origin.kind.value,
                "name": held.origin.name,
                "anchors": held.anchors,
                "issued": _stamp(held.origin.issued),
                "next_update": _stamp(held.origin.next_update),
                "not_after": _stamp(held.origin.not_after),
                "state": state_of(held, at),
            }
            for held in believed.contents.lists
        ]
        print(json.dumps({"generation": believed.number, "anchors": len(believed.anchors), "lists": rows}, indent=1))
        return 0
    print(picture(believed.number, believed.contents, len(believed.anchors), at))
    return 0


def state_of(held: Held, at: datetime) -> str:
    """Return how a list stands: ended, stale, soon due, good, or without a date."""
    origin = held.origin
    if origin.not_after is not None and at > origin.not_after:
        return "ended"
    if origin.next_update is None:
        return "undated"
    if at > origin.next_update:
        return "stale"
    return "due soon" if origin.next_update - at < _SOON else "good"


def picture(number: int, contents: Contents, count: int, at: datetime) -> str:
    """Return the lists as a table with a bar of how much of each one's time is left."""
    lines = [f"generation {number} of {_day(contents.made)}: {count} anchors, {len(contents.pins)} pinned roots", ""]
    width = max((len(held.origin.name) for held in contents.lists), default=4)
    width = min(max(width, 4), 40)
    lines.append(f"{'list':<{width}}  {'kind':<15}  {'anchors':>7}  {'issued':<10}  {'time left':<{_BAR}}  state")
    for held in sorted(contents.lists, key=lambda one: (one.origin.kind.value, one.origin.name)):
        origin = held.origin
        kind = origin.kind.value.replace("_", " ")
        bar = left(origin.issued, origin.next_update, at)
        state = state_of(held, at)
        due = f" ({_day(origin.next_update)})" if origin.next_update else ""
        lines.append(
            f"{origin.name[:width]:<{width}}  {kind:<15}  {held.anchors:>7}  {_day(origin.issued):<10}  "
            f"{bar:<{_BAR}}  {state}{due}"
        )
    return "\n".join(lines)


def left(begin: datetime | None, end: datetime | None, at: datetime) -> str:
    """Return a bar of how much of a span is left."""
    if begin is None or end is None or end <= begin:
        return ""
    share = min(1.0, max(0.0, (end - at) / (end - begin)))
    return "#" * math.ceil(share * _BAR) + "." * (_BAR - math.ceil(share * _BAR))


def _show(arguments: argparse.Namespace) -> int:
    try:
        believed = store.load(_store(arguments))
    except StoreError as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    wanted = arguments.what.casefold()
    rows = []
    for anchor in believed.anchors.anchors:
        row = _anchor(anchor)
        if wanted in " ".join(str(value) for value in row.values()).casefold():
            rows.append(row)
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print(f"{row['subject']}\n  valid {row['not_before']} to {row['not_after']}, {row['curve']}")
        print(f"  from {row['lists']}; for {row['doctypes']}")
    print(f"{len(rows)} of {len(believed.anchors)} anchors")
    return 0


def _anchor(anchor: Anchor) -> dict[str, object]:
    facts = anchor.facts
    doctypes = anchor.doctypes
    return {
        "subject": anchor.subject_text,
        "not_before": _day(facts.not_before),
        "not_after": _day(facts.not_after),
        "curve": "unknown" if facts.curve is None else facts.curve.name,
        "lists": ", ".join(origin.name for origin in anchor.origins),
        "doctypes": "every document type" if doctypes is None else ", ".join(sorted(doctypes)),
    }


def _history(arguments: argparse.Namespace) -> int:
    try:
        found = generation.current(_store(arguments))
        contents = store.contents_of(found)
    except StoreError as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    if arguments.json:
        print(json.dumps(contents.facts()["history"], indent=1))
        return 0
    for change in contents.history:
        against = f"  AGAINST THE RULES: {change.override}" if change.override else ""
        print(f"{_stamp(change.at)}  {change.what:<9} {change.kind:<12} {change.name}  {change.order}{against}")
    return 0
