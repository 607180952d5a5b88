"""Programs of this machine that make images: found where root's are, ended when they take too long."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from vm.cache import GuestError

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def missing(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of these programs that are not installed here."""
    return tuple(name for name in names if shutil.which(name, path=_PATH) is None)


def run(*command: str, seconds: float, folder: Path | None = None, **env: str) -> str:
    """Run a program to its end and return what it wrote. Raises GuestError with the end of its complaint."""
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, "PATH": _PATH, "LC_ALL": "C.UTF-8", **env},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GuestError(f"{command[0]}: {error}") from error
    if done.returncode:
        raise GuestError(f"{' '.join(command[:3])} ... failed with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def squash(tree: Path, disk: Path, *, seconds: float) -> None:
    """Make a squashfs of a folder, all of it root's. Raises GuestError."""
    options = ("-comp", "lz4", "-noappend", "-quiet", "-no-progress", "-no-xattrs", "-all-root")
    run("mksquashfs", str(tree), str(disk), *options, seconds=seconds)
