"""The cache of guest images: things that take long to make are made once, whole or not at all.

An entry is a folder, made under a temporary name and renamed when it is complete, under a lock that keeps two test
processes from making the same one. Each use compares the files with the digests written when they were made.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_MANIFEST = "manifest.json"


class GuestError(Exception):
    """The guest, its image or a command in it failed; the text says what is known."""


def folder() -> Path:
    """Return the folder of all entries."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "mdoc-reader" / "guests"


def say(text: str) -> None:
    """Show a person that something happens."""
    print(f"guest: {text}", file=sys.stderr, flush=True)


def digest(*parts: bytes | str) -> str:
    """Return a short name for what an entry is made of."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()[:16]


def entry(name: str, files: tuple[str, ...], make: Callable[[Path], None]) -> Path:
    """Return the folder of an entry; `make` fills a new one, and must leave `files` in it.

    Raises what `make` raises, and GuestError when it left a file out.
    """
    target = folder() / name
    if _whole(target, files):
        return target
    folder().mkdir(parents=True, exist_ok=True)
    with _locked(folder() / f"{name}.lock", name):
        if _whole(target, files):
            return target
        for stale in (target, *folder().glob(f"{name}.making-*")):
            shutil.rmtree(stale, ignore_errors=True)
        started = time.monotonic()
        making = Path(tempfile.mkdtemp(prefix=f"{name}.making-", dir=folder()))
        try:
            making.chmod(0o755)
            make(making)
            if missing := [file for file in files if not (making / file).is_file()]:
                raise GuestError(f"making {name} left out {', '.join(missing)}")
            (making / _MANIFEST).write_text(json.dumps({file: _file_digest(making / file) for file in files}))
            making.rename(target)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        say(f"{name}: made in {time.monotonic() - started:.1f} s")
    return target


def keep_newest(pattern: str, most: int) -> None:
    """Remove all but the newest entries of a kind. What a running guest has open stays open."""

    def age(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    entries = [path for path in folder().glob(pattern) if path.is_dir() and ".making-" not in path.name]
    for path in sorted(entries, key=age, reverse=True)[most:]:
        shutil.rmtree(path, ignore_errors=True)
        (folder() / f"{path.name}.lock").unlink(missing_ok=True)


def _whole(target: Path, files: tuple[str, ...]) -> bool:
    try:
        manifest = json.loads((target / _MANIFEST).read_bytes())
        return isinstance(manifest, dict) and all(manifest.get(file) == _file_digest(target / file) for file in files)
    except (OSError, ValueError):
        return False


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name}: another process is making it, waiting ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
