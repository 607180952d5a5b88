"""The camera of a reader that has none: it never delivers a picture, and never fails."""

from __future__ import annotations

from threading import Event

import msgspec

from mdoc_reader.engagement.ports import Camera, Frame

SIMULATED = False


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No settings."""


class DisabledCamera:
    """A camera without pictures."""

    def __init__(self) -> None:
        """Be ready to be closed."""
        self._closed = Event()

    def read(self, timeout_s: float) -> Frame | None:
        """Wait, and return None. OSError once closed."""
        if self._closed.wait(timeout_s):
            raise OSError("camera closed")
        return None

    def close(self) -> None:
        """Abort a `read`."""
        self._closed.set()


def open_camera(options: Options) -> Camera:
    """Return the camera that is none."""
    del options
    return DisabledCamera()
