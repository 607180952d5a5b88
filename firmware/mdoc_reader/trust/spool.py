"""The importer's side of the spool: everything in it was put there by somebody with a network, and is held to bounds.

    incoming/   complete lists, NAME-SHA256.list with 16 hexadecimal digits of the digest; taken and removed here
    asked/      sources.json and wanted.json, written here for the fetcher

A list is renamed before it is opened up: one that is found so renamed was in hand when the importer last died. It is
tried once more, alone, and dropped if it is found yet again: no list can keep the others out.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mdoc_reader.model.reasons import ReasonCode

INCOMING, ASKED = "incoming", "asked"
MAX_FILES = 2000
MAX_FILE = 32 * 1024 * 1024
_MAX_ENTRIES = 5000
_MAX_TRIES = 2
_NAME = re.compile(r"(?P<source>[a-z0-9][a-z0-9-]{0,39})-(?P<digest>[0-9a-f]{16})\.list(?:\.try(?P<tries>[12]))?")


class SpoolCode(ReasonCode):
    """Why something in the spool was dropped without being opened, or could not be taken."""

    NAME = "spool_name", "The spool held something that no fetcher puts there."
    NOT_A_FILE = "spool_not_a_file", "The spool held something else than a file."
    TOO_LARGE = "spool_too_large", "The spool held a file larger than any list."
    DIGEST = "spool_digest", "A file in the spool is not what its name says: it was cut off or changed."
    UNREADABLE = "spool_unreadable", "A file in the spool cannot be read."
    GIVEN_UP = "spool_given_up", "The importer ended twice with this file in hand."
    TOO_MANY = "spool_too_many", "The spool holds more than is imported at once."
    OTHER_KIND = "spool_other_kind", "The source brought another kind of list than it is for."
    NOT_WRITABLE = "spool_not_writable", "The spool cannot be written to."


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that waits to be imported. `tries`: how often the importer died with it in hand."""

    path: Path
    source: str
    digest: str
    tries: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A file in hand: read, and renamed so that the next importer knows. `left` once it is done with."""

    path: Path
    source: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file that was dropped unopened, and why."""

    source: str
    code: SpoolCode


def waiting(spool: Path) -> tuple[tuple[Waiting, ...], tuple[Dropped, ...]]:
    """Return what waits, those that were in hand before first; drops what cannot be a list. Never raises OSError."""
    found: list[Waiting] = []
    dropped: list[Dropped] = []
    for name in _names(spool / INCOMING):
        path = spool / INCOMING / name
        match = _NAME.fullmatch(name)
        if match is None:
            _remove(path)
            dropped.append(Dropped("?", SpoolCode.NAME))
            continue
        tries = int(match["tries"] or 0)
        if tries >= _MAX_TRIES:
            _remove(path)
            dropped.append(Dropped(match["source"], SpoolCode.GIVEN_UP))
        elif len(found) >= MAX_FILES:
            dropped.append(Dropped(match["source"], SpoolCode.TOO_MANY))  # stays for the next time
            break
        else:
            found.append(Waiting(path, match["source"], match["digest"], tries))
    found.sort(key=lambda each: (-each.tries, each.source))
    return tuple(found), tuple(dropped)


def _names(folder: Path) -> Iterator[str]:
    try:
        entries = os.scandir(folder)
    except OSError:
        return
    with entries:
        names = [entry.name for _, entry in zip(range(_MAX_ENTRIES), entries, strict=False)]
    yield from sorted(name for name in names if not name.startswith("."))


def take(one: Waiting) -> Taken | Dropped | None:
    """Take a file in hand; None where it is gone. Raises OSError where the spool cannot be changed."""
    marked = one.path.with_name(f"{one.source}-{one.digest}.list.try{one.tries + 1}")
    try:
        one.path.rename(marked)
    except FileNotFoundError:
        return None
    found = _read(marked)
    if isinstance(found, bytes):
        if hashlib.sha256(found).hexdigest()[:16] == one.digest:
            return Taken(marked, one.source, found)
        found = SpoolCode.DIGEST
    _remove(marked)
    return Dropped(one.source, found)


def _read(path: Path) -> bytes | SpoolCode:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return SpoolCode.NOT_A_FILE if path.is_symlink() or not path.is_file() else SpoolCode.UNREADABLE
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return SpoolCode.NOT_A_FILE
        with open(descriptor, "rb", closefd=False) as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError:
        return SpoolCode.UNREADABLE
    finally:
        os.close(descriptor)
    return data if len(data) <= MAX_FILE else SpoolCode.TOO_LARGE


def settle(spool: Path) -> None:
    """Bring to the disk what was taken in hand: a device that falls over it has to know after its restart."""
    with contextlib.suppress(OSError):
        _settle(spool / INCOMING)


def left(taken: Taken) -> None:
    """Remove a file that is done with."""
    _remove(taken.path)


def put_back(taken: Taken) -> None:
    """Leave a file for the next time, as if it had not been in hand."""
    name = taken.path.name.partition(".try")[0]
    with contextlib.suppress(OSError):
        taken.path.rename(taken.path.with_name(name))


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        with contextlib.suppress(OSError):  # a folder that holds something stays; its name is looked at, no more
            path.rmdir()


def ask(spool: Path, name: str, data: bytes) -> bool:
    """Write a file for the fetcher, whole or not at all; True where it differs from before. Raises OSError."""
    folder = spool / ASKED
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    with contextlib.suppress(OSError):
        if target.stat().st_size == len(data) and target.read_bytes() == data:
            return False
    new = folder / f".{name}-{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    with new.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fchmod(stream.fileno(), 0o644)
        os.fsync(stream.fileno())
    new.replace(target)
    _settle(folder)
    return True


def _settle(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
