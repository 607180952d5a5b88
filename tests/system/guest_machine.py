"""A guest, the air around it, and the event loop in which both outlive a test."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import vm  # noqa: E402

from mdoc_reader.lab.air import Air  # noqa: E402

_T = TypeVar("_T")

MAIN_CONF = (ROOT / "systemd" / "bluetooth" / "main.conf").read_text()
SYSCTL = (ROOT / "systemd" / "sysctl.d" / "mdoc-reader.conf").read_bytes()
"""What we ship for a device, and test with."""


class Loop:
    """An event loop in a thread of its own: guests and controllers outlive one test."""

    def __init__(self) -> None:
        """Start it."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="system-tests")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine there; a test that is timed out cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class Machine:
    """A guest, the air around it, and the loop they live in."""

    dist: str
    guest: vm.Guest
    air: Air
    loop: Loop

    def held(self, context: AbstractAsyncContextManager[_T]) -> Iterator[_T]:
        """Enter a context in the loop, for a fixture to yield from."""
        value = self.loop.run(context.__aenter__())
        try:
            yield value
        finally:
            self.loop.run(context.__aexit__(None, None, None))


@dataclass
class Device:
    """A guest that is a whole device, with systemd; the air around it, whose adapter nobody has attached; and the loop
    they live in. Shared by all tests of the session: each leaves it as it was."""

    guest: vm.Guest
    air: Air
    loop: Loop


def chosen(number: int, dist: str) -> bool:
    """Whether a case is tried with a release: all with --whole-matrix, else each with one of the two in turn."""
    return whole_matrix or (number >= 0 and list(vm.DISTS)[number % len(vm.DISTS)] == dist)


rows: list[tuple[str, str, float, str]] = []
"""What was measured: release of BlueZ, case, seconds, phases in words."""


def record(bluez: str, case: str, seconds: float, phases: list[tuple[str, float]]) -> None:
    """Keep a figure for the page of the whole matrix."""
    rows.append((bluez, case, seconds, ", ".join(f"{name} {ms:.0f}" for name, ms in phases)))


def page() -> str:
    """Return the figures as Markdown."""
    lines = [
        "# Bluetooth against a real bluetoothd: the whole matrix",
        "",
        "Seconds from showing the code to the verdict, and its phases in milliseconds. The daemon and bluetoothd run",
        "in a QEMU guest without hardware acceleration, and the air has no delay: read the figures beside each other,",
        "not as what a device does. Made by",
        "`./dev test tests/system --whole-matrix --matrix-page docs/bluetooth_matrix.md`.",
        "",
        "| BlueZ | case | s | phases (ms) |",
        "|---|---|---|---|",
        *(f"| {bluez} | {case} | {seconds:.2f} | {phases} |" for bluez, case, seconds, phases in rows),
    ]
    return "\n".join(lines) + "\n"


whole_matrix = False
"""Set by the option --whole-matrix."""
