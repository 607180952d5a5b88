"""Runs a program until its n-th call that touches files and kills it there; then loses what was not on the disk yet.

A process of its own: `python power_cut.py N MODE MODULE FUNCTION ARGUMENTS...`. Before each call that changes a file
system the count goes down; at zero the process gets SIGKILL. MODE `kill` leaves the disk as it is (a killed process);
`power` first empties every file that was written and not synchronised, and takes back every rename, link and new name
in a folder that was not synchronised since (a power cut, at its worst).
"""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Disk:
    """What was done and may be lost yet."""

    def __init__(self, left: int, *, power: bool) -> None:
        self.left = left
        self.power = power
        self.unsettled: dict[str, list[Callable[[], None]]] = {}
        self.dirty: dict[int, str] = {}

    def turn(self) -> None:
        """Count a call down."""
        if self.left == 0:
            if self.power:
                self.lose()
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def lose(self) -> None:
        for path in set(self.dirty.values()):
            if os.path.lexists(path):
                os.truncate(path, 0)
        for undo in reversed([each for undone in self.unsettled.values() for each in undone]):
            undo()

    def may_undo(self, path: Any, undo: Callable[[], None]) -> None:
        self.unsettled.setdefault(os.path.dirname(os.path.abspath(path)), []).append(undo)  # noqa: PTH100, PTH120


def install(disk: Disk) -> None:
    """Put the disk between the program and its files."""
    originals = {name: getattr(os, name) for name in ("open", "fsync", "mkdir", "rename", "replace", "symlink")}
    unlink, rmdir, real_open = os.unlink, os.rmdir, io.open

    def fsync(descriptor: int) -> None:
        disk.turn()
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        originals["fsync"](descriptor)
        disk.unsettled.pop(path, None)
        for key in [key for key, dirty in disk.dirty.items() if dirty == path]:
            del disk.dirty[key]

    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not any(letter in mode for letter in "wxa+"):
            return real_open(file, mode, *args, **kwargs)
        disk.turn()
        stream = real_open(file, mode, *args, **kwargs)
        path = os.path.abspath(file)  # noqa: PTH100
        disk.dirty[stream.fileno()] = path
        disk.may_undo(path, lambda: unlink(path) if os.path.lexists(path) else None)
        return stream

    def mkdir(path: Any, *args: Any, **kwargs: Any) -> None:
        disk.turn()
        originals["mkdir"](path, *args, **kwargs)
        disk.may_undo(path, lambda: rmdir(path) if os.path.isdir(path) and not os.listdir(path) else None)  # noqa: PTH112, PTH208

    def rename(source: Any, target: Any, **kwargs: Any) -> None:
        disk.turn()
        before = os.readlink(target) if os.path.islink(target) else None  # noqa: PTH114, PTH115
        originals["replace"](source, target, **kwargs)

        def undo() -> None:
            originals["rename"](target, source)
            if before is not None:
                originals["symlink"](before, target)

        disk.may_undo(target, undo)

    def symlink(source: Any, target: Any, *args: Any, **kwargs: Any) -> None:
        disk.turn()
        originals["symlink"](source, target, *args, **kwargs)
        disk.may_undo(target, lambda: unlink(target) if os.path.lexists(target) else None)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **kwargs: Any) -> Any:
            disk.turn()
            return call(*args, **kwargs)

        return counting

    os.fsync, os.mkdir, os.symlink = fsync, mkdir, symlink  # type: ignore[assignment]
    os.rename = os.replace = rename  # type: ignore[assignment]
    os.unlink = os.remove = counted(unlink)
    os.rmdir = counted(rmdir)
    io.open = opened  # type: ignore[assignment]


def main() -> None:
    """Run the function under the disk; exit code 0 when it came to its end."""
    left, mode, module, function, *arguments = sys.argv[1:]
    program = getattr(importlib.import_module(module), function)
    disk = Disk(int(left), power=mode == "power")
    install(disk)
    program(*arguments)
    if disk.power:
        disk.lose()  # what the program took for done has to stay, too


if __name__ == "__main__":
    main()
