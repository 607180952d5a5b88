"""A camera that shows pictures out of a folder, or one file, again and again: for trying a reader without a camera.

It is no device and sees nobody, so it counts as simulated and a product refuses it. PNG and JPEG, taken as grey, in
the order of their names. Pictures are decoded as they are shown, so a folder may hold many.
"""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event
from typing import Annotated

import msgspec
from PIL import Image

from mdoc_reader.engagement.ports import Camera, Frame

SIMULATED = True
FORMATS = ("PNG", "JPEG")
ENDINGS = frozenset({".png", ".jpg", ".jpeg"})
MAX_PIXELS = 4096 * 2304
MOST_PICTURES = 10_000


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings: `path` of the file or folder, and how many pictures are shown in a second."""

    path: str
    fps: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0


class FileCamera:
    """Shows the pictures of a list of files in turn."""

    def __init__(self, files: list[Path], fps: float) -> None:
        """Take the files, at least one."""
        self._files = files
        self._turn = 0
        self._unread = 0  # files in a row that are no pictures
        self._pause_s = 1 / fps
        self._due = time.monotonic()
        self._closed = Event()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next picture when it is due; None before, and for a file that is none.

        OSError when closed, or when none of the files is a picture.
        """
        now = time.monotonic()
        wait = min(timeout_s, self._due - now)
        if self._closed.wait(max(0.0, wait)):
            raise OSError("camera closed")
        if self._due - now > timeout_s:
            return None
        self._due = max(self._due, time.monotonic() - self._pause_s) + self._pause_s
        file = self._files[self._turn % len(self._files)]
        self._turn += 1
        frame = load(file)
        self._unread = 0 if frame else self._unread + 1
        if self._unread >= len(self._files):
            raise OSError(f"{file}: nothing here is a PNG or JPEG picture of a camera's size")
        return frame

    def close(self) -> None:
        """Abort a `read`."""
        self._closed.set()


def load(file: Path) -> Frame | None:
    """Return a file's picture in grey; None where it is none, or larger than a camera's."""
    try:
        with Image.open(file, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return None
            grey = picture.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return Frame(grey.width, grey.height, grey.width, memoryview(grey.tobytes()))


def open_camera(options: Options) -> Camera:
    """Find the files. OSError when there are none."""
    path = Path(options.path)
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in ENDINGS)[:MOST_PICTURES]
    if not files or not files[0].is_file():
        raise OSError(f"{path}: no PNG or JPEG file")
    return FileCamera(files, options.fps)
