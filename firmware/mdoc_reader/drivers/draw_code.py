"""A QR code as a picture for a screen: dark modules on a light ground with its quiet zone (ISO/IEC 18004)."""

from __future__ import annotations

import segno
from PIL import Image
from segno.encoder import DataOverflowError

MAX_CODE = 512
"""Letters in a code; more would leave modules too small for a phone to see on a small display."""
MIN_MODULE = 2
_QUIET = (4, 3, 2)  # what the standard asks for, then less rather than no code: a display's own rim helps


def draw_code(text: str, side: int) -> Image.Image | None:
    """Return the code as mode "1", 1 being light, at most `side` pixels wide and as large as whole pixels allow.

    None when a module would be smaller than two pixels, or the text is too long for a code.
    """
    if not text or len(text) > MAX_CODE:
        return None
    try:
        code = segno.make_qr(text, error="l", boost_error=True)
    except DataOverflowError:
        return None
    rows = [bytes(row) for row in code.matrix]
    modules = len(rows)
    for quiet in _QUIET:
        scale = side // (modules + 2 * quiet)
        if scale >= MIN_MODULE:
            break
    else:
        return None
    plain = Image.new("1", (modules + 2 * quiet, modules + 2 * quiet), 1)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                plain.putpixel((x + quiet, y + quiet), 0)
    return plain.resize((plain.width * scale, plain.height * scale), Image.Resampling.NEAREST)
