"""QR texts as lines: from a hand-held scanner that types them, a pipe, or a person who pastes them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TextIO

LONGEST_LINE = 8192


def follow(stream: TextIO, on_text: Callable[[str, float], None], loop: asyncio.AbstractEventLoop) -> threading.Thread:
    """Deliver each line to `on_text(text, monotonic seconds)` on the event loop, from a thread of its own.

    The thread ends with the stream; reading cannot be interrupted, so it is a daemon thread and holds nothing.
    """

    def read() -> None:
        try:
            while line := stream.readline(LONGEST_LINE):
                text = line.strip()
                if text:
                    loop.call_soon_threadsafe(on_text, text, time.monotonic())
        except (OSError, ValueError, RuntimeError):
            return  # the stream was closed, or the loop has ended before it

    thread = threading.Thread(target=read, name="codes", daemon=True)
    thread.start()
    return thread
