"""Portraits to pictures, by a process that is ready before it is needed and thrown away when it misbehaves.

Only portraits whose digest matched come here. Even so their bytes are a stranger's and image decoders are old
code in C: the process that reads them holds no key, sees no settings, can open nothing and is given little time (see
`sandbox`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from dataclasses import dataclass

from mdoc_reader.outputs.ports import Picture
from mdoc_reader.pictures.wire import ANSWER, MAX_OCTETS, MAX_SIDE, REQUEST, Told

log = logging.getLogger(__name__)

_KEPT = ("LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONPYCACHEPREFIX")


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """Seconds: to start, to decode one portrait; and the size of the display, in pixels."""

    start_s: float = 20.0
    decode_s: float = 2.0
    width: int = 240
    height: int = 240


@dataclass(slots=True)
class _Hand:
    """A process that decodes, and the line to it."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class PortraitDecoder:
    """Decodes portraits one at a time. All methods belong to the event loop's thread."""

    def __init__(self, limits: DecoderLimits | None = None) -> None:
        """Be ready to start. Raises ValueError for a display larger than is drawn."""
        self._limits = limits or DecoderLimits()
        if not (0 < self._limits.width <= MAX_SIDE and 0 < self._limits.height <= MAX_SIDE):
            raise ValueError(f"a portrait is shown at {MAX_SIDE} pixels a side at most")
        self._hand: _Hand | None = None
        self._turn = asyncio.Lock()
        self.replaced = 0
        """How many processes were thrown away."""
        self.filtered = False
        """Whether the kernel filters the system calls of the process."""

    async def start(self) -> bool:
        """Start the process ahead of time; False where it cannot be started."""
        async with self._turn:
            return await self._ready()

    async def decode(self, portrait: bytes) -> Picture | None:
        """Return the picture, scaled to the display in its own proportions; None for what cannot be shown."""
        if not 0 < len(portrait) <= MAX_OCTETS:
            return None
        async with self._turn:
            if not await self._ready() or self._hand is None:
                return None
            hand, limits, finished = self._hand, self._limits, False
            try:
                async with asyncio.timeout(limits.decode_s):
                    hand.writer.write(REQUEST.pack(len(portrait), limits.width, limits.height) + portrait)
                    await hand.writer.drain()
                    picture = await self._answer(hand)
                    finished = True
                    return picture
            except (OSError, EOFError, TimeoutError) as error:
                log.warning("a portrait could not be decoded in time or at all: %s", type(error).__name__)
                return None
            finally:
                if not finished:  # cancelled, too: half an answer may still come
                    self.replaced += 1
                    self._discard()

    async def close(self) -> None:
        """End the process. May be repeated."""
        hand = self._hand
        self._discard()
        if hand is not None:
            await hand.process.wait()

    async def _answer(self, hand: _Hand) -> Picture | None:
        told, width, height = ANSWER.unpack(await hand.reader.readexactly(ANSWER.size))
        if told != Told.DECODED:
            return None
        if not (0 < width <= self._limits.width and 0 < height <= self._limits.height):
            raise EOFError("the decoder says what it should not")
        return Picture(width, height, await hand.reader.readexactly(width * height * 3))

    async def _ready(self) -> bool:
        if self._hand is not None and self._hand.process.returncode is None:
            return True
        self._discard()
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-s",
                "-m",
                "mdoc_reader.pictures.worker",
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                cwd="/",
            )
        except OSError as error:
            log.warning("no decoder of portraits: %s", error.strerror)
            ours.close()
            return False
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        self._hand = _Hand(process, reader, writer)
        try:
            async with asyncio.timeout(self._limits.start_s):
                told, filtered, _ = ANSWER.unpack(await reader.readexactly(ANSWER.size))
        except (OSError, EOFError, TimeoutError):
            told, filtered = None, False
        if told != Told.READY:
            log.warning("the decoder of portraits does not start; are its libraries installed (extra `panel`)?")
            self._discard()
            return False
        self.filtered = bool(filtered)
        return True

    def _discard(self) -> None:
        hand, self._hand = self._hand, None
        if hand is not None:
            hand.writer.close()
            if hand.process.returncode is None:
                hand.process.kill()
