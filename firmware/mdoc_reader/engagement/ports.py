"""What the engagement room needs from hardware: pictures, and a decoder that finds QR codes in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Frame:
    """One grey picture: `height` rows of `stride` bytes, the first `width` of each being pixels (0 black, 255 white).

    `pixels` may be a view of a driver's buffer: it is valid only until the next `read` of the camera that made it.
    """

    width: int
    height: int
    stride: int
    pixels: memoryview


class Camera(Protocol):
    """A camera, used by one owner thread alone. Opened by its driver's `open_camera`."""

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next picture, or None when none came within `timeout_s`. OSError when the device is gone."""

    def close(self) -> None:
        """Release the device; also called from another thread to abort a `read`, which then raises OSError."""


class Decoder(Protocol):
    """Finds QR codes. Used by the camera's owner thread."""

    def decode(self, frame: Frame) -> list[str]:
        """Return the text of every QR code found (at most eight), in no order. Never raises on any picture."""
