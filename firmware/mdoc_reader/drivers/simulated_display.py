"""A display without hardware: luma's capture device writes each screen as a numbered PNG into a folder.

The last fifty pictures stay; `latest.png` is replaced in one step, so that a reader of it never sees half a picture.
Portraits are written like anything else: it is for made-up people.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from pathlib import Path
from typing import Literal

import msgspec

# SDL looks for a screen and pygame prints a greeting when they are imported.
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

from luma.emulator.device import capture

from mdoc_reader.drivers.draw import draw_screen
from mdoc_reader.outputs.ports import Display, Screen

SIMULATED = True

KEPT = 50
LATEST = "latest.png"
_PREFIX = "screen_"


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where the pictures go (the folder is made if it is missing), how large they are, and whether in colours."""

    folder: str
    size: Literal["128x64", "128x32", "128x128", "240x240", "240x320", "320x240", "135x240", "240x135"] = "128x64"
    colour: bool = False


class _Names:
    """Names the next picture. luma asks its file template for one through `format`, from 1 at each opening."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        old = sorted(folder.glob(f"{_PREFIX}[0-9][0-9][0-9][0-9][0-9][0-9].png"))
        self._number = int(old[-1].stem.removeprefix(_PREFIX)) if old else 0
        self.written = deque(old)

    def format(self, count: int) -> str:
        del count
        self._number += 1
        path = self._folder / f"{_PREFIX}{self._number:06}.png"
        self.written.append(path)
        return str(path)


class CaptureDisplay:
    """luma's capture device with a bounded folder. Used by one thread."""

    def __init__(self, folder: Path, size: tuple[int, int], mode: str) -> None:
        """Make the folder. OSError when that is not possible."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._names = _Names(folder)
        self._size, self._mode = size, mode
        width, height = size
        self._device = capture(width=width, height=height, mode=mode, transform="none", file_template=self._names)

    def show(self, screen: Screen) -> None:
        """Write a screen's picture. OSError when the folder cannot be written."""
        self._names.written = deque(path for path in self._names.written if path.exists())
        try:
            self._device.display(draw_screen(screen, self._size, self._mode))
        except RuntimeError as error:  # pygame's own error is one, for a full disk or a folder that is gone
            raise OSError(f"the picture cannot be written: {error}") from error
        newest = self._names.written[-1]
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".latest") as scratch:
            link = Path(scratch) / LATEST
            link.hardlink_to(newest)
            link.replace(self._folder / LATEST)
        while len(self._names.written) > KEPT:
            self._names.written.popleft().unlink(missing_ok=True)

    def close(self) -> None:
        """Show a dark screen."""
        self.show(Screen("", ""))


def one_bit_rows(options: Options) -> int | None:
    """Return how many rows of black and white there are; None in colour."""
    return None if options.colour else int(options.size.split("x")[1])


def open_display(options: Options) -> Display:
    """Open the folder as a display."""
    width, height = (int(side) for side in options.size.split("x"))
    return CaptureDisplay(Path(options.folder), (width, height), "RGB" if options.colour else "1")
