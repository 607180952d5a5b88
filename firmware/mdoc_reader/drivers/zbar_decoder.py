"""QR decoder on ZBar through pyzbar: a second engine to choose where zxing-cpp is not at hand, and to compare with.

It reads flat codes in good light, gives up at about 20 degrees of yaw and takes several times as long. It does not
know light-on-dark codes, so a picture in which nothing was found is looked at once more as its negative.
"""

from __future__ import annotations

import msgspec
from pyzbar import pyzbar
from pyzbar.pyzbar_error import PyZbarError

from mdoc_reader.drivers.grey import tight, usable
from mdoc_reader.engagement.ports import Decoder, Frame

SIMULATED = False
MAX_CODES = 8

_NEGATIVE = bytes(range(255, -1, -1))
_QR = [pyzbar.ZBarSymbol.QRCODE]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings: `second_try` looks at the negative (a phone in dark mode) where the first look found nothing."""

    second_try: bool = True


class ZbarDecoder:
    """Decoder of ZBar, with its second look."""

    def __init__(self, options: Options) -> None:
        """Keep the settings; there is nothing to open."""
        self._second_try = options.second_try

    def decode(self, frame: Frame) -> list[str]:
        """Return the text of every QR code found, at most eight. Never raises on any picture."""
        if not usable(frame):
            return []
        pixels = tight(frame)
        found = _look(pixels, frame.width, frame.height)
        if found or not self._second_try:
            return found
        return _look(pixels.translate(_NEGATIVE), frame.width, frame.height)


def _look(pixels: bytes, width: int, height: int) -> list[str]:
    try:
        codes = pyzbar.decode((pixels, width, height), symbols=_QR)
    except PyZbarError:
        return []
    texts = []
    for code in codes[:MAX_CODES]:
        try:
            texts.append(str(code.data, "utf-8"))
        except UnicodeDecodeError:  # a code that is not text is not ours
            continue
    return texts


def open_decoder(options: Options) -> Decoder:
    """Return the decoder."""
    return ZbarDecoder(options)
