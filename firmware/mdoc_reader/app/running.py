"""Whether a reader runs by this runtime folder, and what it says of its parts: for who looks from outside.

A running reader holds a lock on one file, which the kernel takes away with the process however that ends, and writes
what does not work into another. Nothing personal is in it. Who looks opens none of the devices for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_LOCK = "running"
_FAULTS = "faults.json"
_MAX_FILE = 64 * 1024
_MAX_TEXT = 200


class Presence:
    """Says that this reader runs, while it does. Never raises: a reader nobody can see serves all the same."""

    def __init__(self, folder: Path) -> None:
        """Say nothing yet."""
        self._folder = folder
        self._lock: int | None = None
        self._told: Mapping[str, str] | None = None

    def tell(self, faults: Mapping[str, str]) -> None:
        """Be seen, and say which parts do not work and why. Cheap where nothing changed."""
        with contextlib.suppress(OSError):
            self._hold()
            if faults != self._told:
                self._write(faults)
                self._told = dict(faults)

    def close(self) -> None:
        """Be seen no more. May be repeated."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _hold(self) -> None:
        if self._lock is not None:
            return
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)  # somebody looks just now: next time
            raise
        self._lock = descriptor

    def _write(self, faults: Mapping[str, str]) -> None:
        draft = self._folder / f".{_FAULTS}-{os.getpid()}"
        draft.write_text(json.dumps(dict(faults)), encoding="ascii")
        draft.replace(self._folder / _FAULTS)


@dataclass(frozen=True, slots=True)
class Seen:
    """What can be seen of a reader. `faults`: why which part does not work; None where that cannot be read."""

    runs: bool
    faults: Mapping[str, str] | None = field(default=None)


def look(folder: Path) -> Seen:
    """Look for a running reader. Where the folder is another user's, there is one: it goes with the reader."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except PermissionError:
        return Seen(runs=True)
    except OSError:
        return Seen(runs=False)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return Seen(runs=True, faults=_faults(folder))
    finally:
        os.close(descriptor)
    return Seen(runs=False)


def _faults(folder: Path) -> Mapping[str, str] | None:
    try:
        # Who looks may be root, and the folder is the reader's: no link is followed, and no pipe waited for.
        descriptor = os.open(folder / _FAULTS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            told = json.loads(stream.read(_MAX_FILE))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    return {_printable(part): _printable(why) for part, why in told.items()}


def _printable(value: object) -> str:
    return "".join(letter for letter in str(value)[:_MAX_TEXT] if letter.isprintable())
