"""QR decoder on zxing-cpp: the default. Reads perspective to about 60 degrees and light-on-dark codes by itself.

A dark or noisy picture in which nothing was found is looked at once more at half its size, each pixel the mean of a
2x2 box: that takes the noise of a dark scene out of the modules. In good light it would find nothing new and double
the time of every empty picture. The library releases the interpreter lock while it works.
"""

from __future__ import annotations

import msgspec
import zxingcpp

from mdoc_reader.drivers.grey import halved, poor_light, tight, usable
from mdoc_reader.engagement.ports import Decoder, Frame

SIMULATED = False
MAX_CODES = 8
SMALLEST_HALF = 40  # px: below this not even a version-1 code has the two pixels a module needs

_QR = zxingcpp.BarcodeFormat.QRCode
_GREY = zxingcpp.ImageFormat.Lum
_PLAIN = zxingcpp.TextMode.Plain


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings: `second_try` looks again at half size where light is poor and the first look found nothing."""

    second_try: bool = True


class ZxingDecoder:
    """Decoder of zxing-cpp, with its second look."""

    def __init__(self, options: Options) -> None:
        """Keep the settings; there is nothing to open."""
        self._second_try = options.second_try

    def decode(self, frame: Frame) -> list[str]:
        """Return the text of every QR code found, at most eight. Never raises on any picture."""
        if not usable(frame):
            return []
        if frame.pixels.nbytes < frame.stride * frame.height:  # a view wants the last row's padding too
            found = _look(tight(frame), frame.width, frame.height, frame.width)
        else:
            found = _look(frame.pixels, frame.width, frame.height, frame.stride)
        if found or not self._second_try or min(frame.width, frame.height) < 2 * SMALLEST_HALF:
            return found
        if not poor_light(frame):
            return []
        width, height = frame.width // 2, frame.height // 2
        return _look(halved(frame), width, height, width)


def _look(pixels: memoryview | bytes, width: int, height: int, stride: int) -> list[str]:
    # A view carries the stride, so a padded picture needs no copy. It takes any buffer: the stub knows of numpy only.
    try:
        view = zxingcpp.ImageView(pixels, width, height, _GREY, stride)  # type: ignore[arg-type]
        codes = zxingcpp.read_barcodes(view, formats=_QR, text_mode=_PLAIN)  # type: ignore[arg-type]
    except (ValueError, TypeError, RuntimeError, MemoryError):  # its verdict on a picture it cannot take
        return []
    texts = []
    for code in codes[:MAX_CODES]:
        try:
            texts.append(code.text)
        except UnicodeDecodeError:  # a code that is not text is not ours
            continue
    return texts


def open_decoder(options: Options) -> Decoder:
    """Return the decoder."""
    return ZxingDecoder(options)
