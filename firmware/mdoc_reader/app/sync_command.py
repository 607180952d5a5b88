"""`mdoc-reader trust sync`: have the lists fetched, import what came, and say what became of each.

The fetcher is a process of its own, the only one with a network; this one verifies, and changes the store. With
`--import-only` nothing is fetched: what lies in the spool is imported. Exit codes: 0 all is well, 1 something could not
be fetched or was refused, 2 the fetcher or the store cannot be used.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mdoc_reader.app import settings, wiring
from mdoc_reader.app.settings import SettingsError
from mdoc_reader.app.trust_settings import TrustSettings
from mdoc_reader.model.reasons import Severity
from mdoc_reader.trust import generation, spool, store, sync
from mdoc_reader.trust.clock import Clock, load_floor, system_was_set
from mdoc_reader.trust.generation import StoreError
from mdoc_reader.trust.importer import Report
from mdoc_reader.trust.lists import ListKind

SOME, CANNOT = 1, 2
_MAX_LINE = 16 * 1024
_MAX_LINES = 20_000
_MAX_TEXT = 240
_FETCHER = "mdoc_reader.edge.fetch"
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR")


class _Event(msgspec.Struct, frozen=True):
    """What the fetcher tells on a line. It has a network: its words are bounded and made printable."""

    event: str
    source: str = ""
    kind: str = ""
    what: str = ""
    bytes: int = 0
    code: str = ""
    detail: str = ""
    message: str = ""
    due: float = 0.0
    number: int = 0
    of: int = 0


@dataclass(slots=True)
class _Row:
    """What became of one source."""

    source: str
    kind: str = ""
    fetched: _Event | None = None
    reports: list[Report] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether nothing is to be complained of."""
        fetched = self.fetched is None or not self.fetched.code
        return fetched and all(report.accepted for report in self.reports)


@dataclass(slots=True)
class _Done:
    rows: dict[str, _Row] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)

    def row(self, source: str) -> _Row:
        return self.rows.setdefault(source, _Row(source))


@dataclass(frozen=True, slots=True)
class _Folders:
    spool: Path
    store: Path


def add_sync(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action."""
    parser = actions.add_parser("sync", help="fetch the lists of the settings, and import them", description=__doc__)
    parser.add_argument("--config", type=Path, metavar="FILE", help="the TOML file whose [trust] says what to fetch")
    parser.add_argument("--spool", type=Path, metavar="DIR", help="the spool's folder; default: {state}/spool")
    parser.add_argument("--store", type=Path, metavar="DIR", help="the store's folder; default: {state}/trust")
    parser.add_argument("--import-only", action="store_true", help="fetch nothing; import what the spool holds")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(function=_sync)


def _sync(arguments: argparse.Namespace) -> int:
    if arguments.config is None and not arguments.import_only:
        raise SettingsError("trust sync: --config FILE says what is to be fetched; without it only --import-only works")
    trust = TrustSettings() if arguments.config is None else settings.load(arguments.config).trust
    folders = _Folders(
        arguments.spool or _place(trust.spool, "{state}/spool"), arguments.store or _place(trust.store, "{state}/trust")
    )
    done = _Done()
    for source in trust.sources:
        done.row(source.name).kind = source.kind
    quiet: bool = arguments.json
    try:
        if arguments.config is not None:
            spool.ask(folders.spool, "sources.json", sources_file(trust))
        sync.want(folders.spool, folders.store)
        if not arguments.import_only:
            _fetch(folders.spool, done, everything=True, quiet=quiet)
        _import(folders, trust, done)
        if sync.want(folders.spool, folders.store) and trust.follow.enabled and not arguments.import_only:
            # What was just taken may name more, such as the revocation lists of new issuers.
            _fetch(folders.spool, done, everything=False, quiet=quiet)
            _import(folders, trust, done)
            sync.want(folders.spool, folders.store)
    except StoreError as error:
        done.trouble.append(str(error))
    except OSError as error:
        done.trouble.append(f"{spool.SpoolCode.NOT_WRITABLE}: {folders.spool}: {error.strerror}")
    _tell(folders, done, as_json=arguments.json)
    if done.trouble:
        return CANNOT
    return 0 if all(row.well for row in done.rows.values()) else SOME


def _place(chosen: str | None, default: str) -> Path:
    return Path(str(wiring.expand(chosen or default, wiring.places())))


def sources_file(trust: TrustSettings) -> bytes:
    """Return what the fetcher is to know of the settings: its sources, and nothing else."""
    tree = {"sources": msgspec.to_builtins(trust.sources), "follow": msgspec.to_builtins(trust.follow)}
    return json.dumps(tree, indent=1).encode()


def _import(folders: _Folders, trust: TrustSettings, done: _Done) -> None:
    kinds = {source.name: ListKind(source.kind) for source in trust.sources}
    now = clock_of(folders.store, kept=trust.clock == "kept").read()
    for one in sync.import_spool(folders.spool, folders.store, now.at, kinds, sure=now.doubt is None):
        row = done.row(one.source)
        row.reports.append(one.report)
        row.kind = row.kind or one.report.kind.value


def clock_of(folder: Path, *, kept: bool = False) -> Clock:
    """Return a clock that tells no time before what is certainly over, whatever the system's says.

    `folder` is the store, whose signed lists raise the floor; `kept`: somebody looks after the system's clock.
    """
    was_set = (lambda: True) if kept else system_was_set
    clock = Clock(load_floor(Path(wiring.places()["state"]) / "clock-floor"), was_set=was_set)
    with contextlib.suppress(StoreError):  # an empty store; another trouble shows when it is to be changed
        contents = store.contents_of(generation.current(folder))
        clock.raise_floor(one.origin.issued for one in contents.lists if one.origin.issued is not None)
    return clock


def _fetch(folder: Path, done: _Done, *, everything: bool, quiet: bool) -> None:
    command = [sys.executable, "-m", _FETCHER, "--sources", str(folder / spool.ASKED / "sources.json")]
    command += ["--spool", str(folder), "--once", "--json", *(["--now"] if everything else [])]
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment) as child:
        try:
            for event in _events(child):
                if event.event == "trouble":
                    done.trouble.append(event.message)
                elif event.event == "end":
                    row = done.row(event.source)
                    row.kind = row.kind or event.kind
                    if event.what != "waiting" or row.fetched is None:
                        row.fetched = event
                elif event.event == "begin" and not quiet:
                    print(f"[{event.number}/{event.of}] {event.source} ...", file=sys.stderr)
                elif event.event == "again" and not quiet:
                    print(f"      {event.code}: trying again", file=sys.stderr)
        finally:
            if child.poll() is None and sys.exc_info()[0] is not None:
                child.terminate()
    if child.returncode not in {0, SOME} and not done.trouble:
        done.trouble.append(f"the fetcher ended with {child.returncode}; it is installed by mdoc-reader[edge]")


def _events(child: subprocess.Popen[bytes]) -> Iterator[_Event]:
    if child.stdout is None:
        return
    for _ in range(_MAX_LINES):
        line = child.stdout.readline(_MAX_LINE)
        if not line:
            return
        try:
            event = msgspec.json.decode(line, type=_Event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        texts = {name: _plain(getattr(event, name)) for name in ("source", "kind", "what", "code", "detail", "message")}
        yield msgspec.structs.replace(event, **texts)
    child.kill()


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_MAX_TEXT])


def _tell(folders: _Folders, done: _Done, *, as_json: bool) -> None:
    rows = sorted(done.rows.values(), key=lambda row: row.source)
    pointed = generation.pointed_to(folders.store)
    if as_json:
        tree = {
            "generation": None if pointed is None else pointed,
            "sources": [_as_json(row) for row in rows],
            "trouble": done.trouble,
        }
        print(json.dumps(tree, indent=1))
        return
    print(table(("source", "what", "outcome", "next"), [_cells(row) for row in rows]))
    believed = "nothing yet" if pointed is None else f"generation {int(pointed)}"
    well = sum(row.well for row in rows)
    print(f"\n{well} of {len(rows)} well; the store holds {believed}")
    for line in done.trouble:
        print(line, file=sys.stderr)


def _as_json(row: _Row) -> dict[str, object]:
    fetched = row.fetched
    return {
        "source": row.source,
        "kind": row.kind,
        "fetch": None
        if fetched is None
        else {
            "what": fetched.what,
            "bytes": fetched.bytes,
            "code": fetched.code,
            "detail": fetched.detail,
            "due": _moment(fetched.due),
        },
        "imported": [
            {
                "kind": report.kind.value,
                "accepted": report.accepted,
                "anchors": report.anchors,
                "findings": [
                    {"code": str(found.code), "severity": found.severity.value, "message": found.message}
                    for found in report.findings
                ],
            }
            for report in row.reports
        ],
    }


def _moment(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None
    except (OverflowError, ValueError, OSError):
        return None


def _cells(row: _Row) -> tuple[str, str, str, str]:
    due = None if row.fetched is None else _moment(row.fetched.due)
    return row.source, row.kind.replace("_", " "), _outcome(row), (due or "-")[:16].replace("T", " ")


def _outcome(row: _Row) -> str:
    parts: list[str] = []
    if row.fetched is not None:
        parts.append(f"{row.fetched.what}: {row.fetched.detail}" if row.fetched.code else row.fetched.what)
    for report in row.reports:
        errors = [found for found in report.findings if found.severity is Severity.ERROR]
        if errors:
            parts.append(f"REFUSED: {errors[0].message} ({errors[0].code})")
        else:
            anchors = f", {report.anchors} anchors" if report.anchors else ""
            warned = sum(found.severity is Severity.WARNING for found in report.findings)
            parts.append(f"taken{anchors}{f', {warned} warnings' if warned else ''}")
    return "; ".join(parts) or "nothing"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows under their heads, each column as wide as it needs."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    lines = [heads, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines
    )
