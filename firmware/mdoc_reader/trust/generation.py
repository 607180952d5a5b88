"""Generations of the store: immutable folders, and one pointer that says which of them is believed.

A generation is written beside the others under a name nobody looks for, brought to the disk file by file, renamed, and
only then pointed to; the pointer is a symbolic link that one rename replaces. Power may fail between any two of these
steps: what is found afterwards is the old generation or the new one, whole. Its manifest names the digest of every
file, and is read first; a generation with a file that differs is not opened.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mdoc_reader.model.reasons import ReasonCode

FORMAT = 2
"""Of the generations written here. Those of format 1 are read as well: a device has to open doors after an update."""
MANIFEST = "manifest.json"
POINTER = "current"
MAX_MANIFEST = 8 * 1024 * 1024
MAX_FILE = 64 * 1024 * 1024
MAX_FILES = 4096
_FOLDER = "generations"
_LOCK = "lock"
_KEPT = 3
_NAME = re.compile(r"[0-9]{8}")
_FILE = re.compile(r"[a-z0-9][a-z0-9._-]{0,80}")


class StoreCode(ReasonCode):
    """Why the store of trust cannot be read or changed."""

    EMPTY = "store_empty", "The store of trust is empty: nothing was imported yet."
    DAMAGED = "store_damaged", "The store of trust is damaged: a file differs from its digest."
    UNREADABLE = "store_unreadable", "The store of trust cannot be read."
    NEWER_FORMAT = "store_newer_format", "The store of trust was written by a newer version of this program."
    BUSY = "store_busy", "The store of trust is being changed by another program."
    NOT_WRITABLE = "store_not_writable", "The store of trust cannot be written to."


class StoreError(Exception):
    """The store cannot be read or changed."""

    def __init__(self, code: StoreCode, detail: str = "") -> None:
        """Keep the reason; `detail` names a file or an error of the system."""
        self.code = code
        self.detail = detail[:200]
        super().__init__(code, self.detail)

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.code}: {self.detail or self.code.log}"


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation on the disk. `facts` is what its manifest says beside the digests."""

    number: int
    folder: Path
    facts: Mapping[str, object]
    files: Mapping[str, tuple[str, int]]
    format: int = FORMAT

    def read(self, name: str) -> bytes:
        """Return a file's bytes, their digest checked. Raises StoreError."""
        if name not in self.files:
            raise StoreError(StoreCode.DAMAGED, f"{name} is not in the manifest")
        digest, size = self.files[name]
        try:
            with (self.folder / name).open("rb") as stream:
                data = stream.read(size + 1)
        except OSError as error:
            raise StoreError(StoreCode.DAMAGED, f"{name}: {error.strerror}") from None
        if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
            raise StoreError(StoreCode.DAMAGED, name)
        return data


def pointed_to(store: Path) -> str | None:
    """Return the name of the generation now believed; None where there is none. Cheap: one system call."""
    try:
        return (store / POINTER).readlink().name
    except OSError:
        return None


def current(store: Path) -> Generation:
    """Open the generation now believed: its manifest only. Raises StoreError."""
    for _ in range(8):  # an importer may switch and prune while this looks
        name = pointed_to(store)
        if name is None:
            raise StoreError(StoreCode.EMPTY)
        try:
            return _open(store / _FOLDER / name, name)
        except FileNotFoundError:
            if pointed_to(store) == name:
                break
    raise StoreError(StoreCode.DAMAGED, "the pointer leads nowhere")


def _open(folder: Path, name: str) -> Generation:
    if not _NAME.fullmatch(name):
        raise StoreError(StoreCode.DAMAGED, "the pointer leads elsewhere")
    try:
        with (folder / MANIFEST).open("rb") as stream:
            raw = stream.read(MAX_MANIFEST + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(StoreCode.UNREADABLE, str(error.strerror)) from None
    try:
        tree = json.loads(raw)
        written = int(tree["format"])
        files = {str(key): (str(value[0]), int(value[1])) for key, value in tree.pop("files").items()}
        number = int(tree["number"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise StoreError(StoreCode.DAMAGED, MANIFEST) from None
    if written > FORMAT:
        raise StoreError(StoreCode.NEWER_FORMAT, str(written)[:16])
    within = all(_FILE.fullmatch(each) and 0 <= size <= MAX_FILE for each, (_, size) in files.items())
    if written < 1 or number != int(name) or len(files) > MAX_FILES or len(raw) > MAX_MANIFEST or not within:
        raise StoreError(StoreCode.DAMAGED, MANIFEST)
    return Generation(number, folder, tree, files, written)


@contextlib.contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the store for changing it, alone. Makes its folder where there is none. Raises StoreError."""
    try:
        (store / _FOLDER).mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(store / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(StoreCode.NOT_WRITABLE, str(error.strerror)) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(StoreCode.BUSY) from None
        yield
    finally:
        os.close(descriptor)


def write(
    store: Path,
    number: int,
    facts: Mapping[str, object],
    files: Mapping[str, bytes],
    verify: Callable[[Generation], None],
) -> Generation:
    """Write a generation, have it verified as it lies on the disk, and point to it. Hold `locked` meanwhile.

    `verify` raises StoreError where the generation cannot be used; then nothing has changed. Raises StoreError.
    """
    folder = store / _FOLDER
    name = f"{number:08d}"
    try:
        _sweep(folder)
        building = folder / f".building-{os.getpid()}"
        building.mkdir(mode=0o755)
        for each, data in files.items():
            if not _FILE.fullmatch(each):
                raise StoreError(StoreCode.NOT_WRITABLE, "a file name the store does not take")
            _put(building / each, data)
        digests = {each: [hashlib.sha256(data).hexdigest(), len(data)] for each, data in files.items()}
        manifest = {**facts, "format": FORMAT, "number": number, "files": digests}
        _put(building / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())
        _settle(building)
        building.rename(folder / name)
        _settle(folder)
        made = _open(folder / name, name)
        verify(made)
        _point(store, name)
    except OSError as error:
        raise StoreError(StoreCode.NOT_WRITABLE, f"{error.strerror or error}") from None
    _prune(folder, number)
    return made


def _point(store: Path, name: str) -> None:
    new = store / f".{POINTER}-{os.getpid()}"
    new.unlink(missing_ok=True)
    new.symlink_to(Path(_FOLDER) / name)
    new.replace(store / POINTER)
    _settle(store)


def _put(path: Path, data: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _settle(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what an importer that was killed left half built, and generations nobody came to point to."""
    for entry in folder.glob(".building-*"):
        shutil.rmtree(entry, ignore_errors=True)
    believed = pointed_to(folder.parent)
    highest = int(believed) if believed is not None and _NAME.fullmatch(believed) else 0
    for entry in folder.iterdir():
        if _NAME.fullmatch(entry.name) and int(entry.name) > highest:
            shutil.rmtree(entry, ignore_errors=True)
    for entry in folder.parent.glob(f".{POINTER}-*"):
        entry.unlink(missing_ok=True)


def _prune(folder: Path, number: int) -> None:
    for entry in folder.iterdir():
        if _NAME.fullmatch(entry.name) and int(entry.name) <= number - _KEPT:
            shutil.rmtree(entry, ignore_errors=True)
