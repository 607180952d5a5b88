"""The fetcher's side of the spool: whole files only, each by one rename, and a memory of its own.

incoming/   the fetcher puts complete lists here: NAME-SHA256.list, 16 hexadecimal digits of the digest
fetcher/    the fetcher's own: fetched.json (validators, times, failures), unfinished files, its lock
asked/      the importer's: sources.json and wanted.json, read here and never written
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from mdoc_reader.edge.codes import FetchCode, FetchError, SpoolError, SpoolTrouble

INCOMING, OWN, ASKED = "incoming", "fetcher", "asked"
MAX_WAITING = 2000
MAX_WAITING_BYTES = 256 * 1024 * 1024
_MAX_MEMORY = 4 * 1024 * 1024
_MEMORY = "fetched.json"
_NAME = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]{0,39})-(?P<digest>[0-9a-f]{16})\.list")


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of one errand. Times are seconds since 1970."""

    url: str
    etag: Annotated[str, msgspec.Meta(max_length=256)] = ""
    last_modified: Annotated[str, msgspec.Meta(max_length=256)] = ""
    digest: str = ""
    fetched: float = 0.0
    due: float = 0.0
    failures: Annotated[int, msgspec.Meta(ge=0)] = 0
    code: str = ""


class _Memory(msgspec.Struct, frozen=True):
    fetched: dict[str, Fetched] = {}


class Spool:
    """A spool, as the fetcher sees it."""

    def __init__(self, folder: Path) -> None:
        """Look at a spool; nothing is made yet."""
        self.folder = folder
        self._incoming = folder / INCOMING
        self._own = folder / OWN

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the spool alone, its folders made and cleared of what a killed fetcher left. Raises SpoolError."""
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            self._own.mkdir(exist_ok=True)
            descriptor = os.open(self._own / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise SpoolError(SpoolTrouble.NOT_WRITABLE, str(error.strerror)) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise SpoolError(SpoolTrouble.BUSY) from None
            for left in self._own.glob(".new-*"):
                left.unlink(missing_ok=True)
            yield
        except OSError as error:
            raise SpoolError(SpoolTrouble.NOT_WRITABLE, str(error.strerror)) from None
        finally:
            os.close(descriptor)

    def waiting(self) -> frozenset[str]:
        """Return the beginnings of the digests of what waits to be imported."""
        return frozenset(match["digest"] for match, _ in self._entries())

    def put(self, name: str, data: bytes) -> str:
        """Place a list, whole, in the place of an earlier one of the same errand; returns its digest.

        Raises FetchError where the spool is full, OSError where it cannot be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        entries = list(self._entries())
        others = [entry for match, entry in entries if match["name"] != name]
        if len(others) >= MAX_WAITING or _bytes(others) + len(data) > MAX_WAITING_BYTES:
            raise FetchError(FetchCode.SPOOL_FULL)
        target = self._incoming / f"{name}-{digest[:16]}.list"
        self._write(target, data)
        for match, entry in entries:
            if match["name"] == name and entry.name != target.name:
                with contextlib.suppress(FileNotFoundError):
                    Path(entry.path).unlink()
        return digest

    def _entries(self) -> Iterator[tuple[re.Match[str], os.DirEntry[str]]]:
        with os.scandir(self._incoming) as found:
            for number, entry in enumerate(found):
                if number >= 2 * MAX_WAITING:
                    return
                match = _NAME.fullmatch(entry.name)
                if match is not None:
                    yield match, entry

    def remembered(self) -> dict[str, Fetched]:
        """Return what is remembered, by errand; nothing where it cannot be read."""
        try:
            with (self._own / _MEMORY).open("rb") as stream:
                raw = stream.read(_MAX_MEMORY + 1)
            return msgspec.json.decode(raw, type=_Memory).fetched
        except (OSError, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return {}

    def remember(self, fetched: Mapping[str, Fetched]) -> None:
        """Keep what is to be remembered. Raises OSError."""
        self._write(self._own / _MEMORY, msgspec.json.format(msgspec.json.encode(_Memory(dict(fetched))), indent=1))

    def _write(self, target: Path, data: bytes) -> None:
        new = self._own / f".new-{os.getpid()}"
        with new.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
        new.replace(target)
        descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _bytes(entries: list[os.DirEntry[str]]) -> int:
    total = 0
    for entry in entries:
        with contextlib.suppress(OSError):
            total += entry.stat(follow_symlinks=False).st_size
    return total
