"""The far end of the simulated camera: sends drawn frames over a Unix socket, as a camera at a door would see them.

    async with CameraFeed(path, seed=7) as feed:
        feed.show("mdoc:...", condition="dark mode")
        feed.show_nothing()

A phone that is shown comes into view: first an empty room, then a smeared picture on its way, then a hand that holds it
not quite still, for which a handful of variants take turns. Drawing happens in a worker thread, and variants join as
they are ready. A reader may come, go and come back at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from mdoc_reader.drivers.simulated_camera import HEADER, MAGIC
from mdoc_reader.lab.frames import CONDITIONS, Distortion, draw, draw_empty, jittered

VARIANTS = 6
"""Pictures of a phone held still, shown in turns."""
EMPTY_ROOMS = 3
APPROACH = (0.45, 0.2)
"""How far from its place a phone is in each frame of its way, in parts of the picture."""
CODE_PART = 0.58
"""Width of the code in parts of the picture's height, unless told otherwise."""
MAX_WATCHERS = 4


class CameraFeed:
    """A camera's picture, from what the lab wants it to see. Use as an async context.

    Args:
        path: the Unix socket to listen on; one that is left over is replaced.
        fps: frames a second.
        size: width and height of the frames, pixels.
        seed: of everything that varies; the same seed and the same calls draw the same pictures.
        code: width of the code in pixels; None for a good size.
    """

    def __init__(
        self,
        path: Path,
        *,
        fps: float = 12.0,
        size: tuple[int, int] = (640, 480),
        seed: int = 0,
        code: int | None = None,
    ) -> None:
        """Prepare; nothing listens yet."""
        self.path = path
        self.sent = 0
        self._period = 1 / fps
        self._size = size
        self._dice = random.Random(seed)
        self._code = code or round(size[1] * CODE_PART)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lab-camera")
        self._server: asyncio.Server | None = None
        self._watchers: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._painter: asyncio.Task[None] | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._tick = asyncio.Condition()
        self._rooms: list[bytes] = []
        self._coming: list[bytes] = []
        self._held: list[bytes] = []
        self._turn = 0
        self._current = b""

    async def __aenter__(self) -> Self:
        """Listen. OSError when the socket cannot be made."""
        loop = asyncio.get_running_loop()
        for _ in range(EMPTY_ROOMS):
            seed = self._seed()
            self._rooms.append(await loop.run_in_executor(self._pool, self._draw_empty, seed))
        self._current = self._rooms[0]
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._watch, self.path)
        self._ticker = asyncio.create_task(self._run(), name="lab-camera")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up and remove the socket."""
        if self._server is not None:
            self._server.close()
        tasks = [task for task in (self._ticker, self._painter, *self._watchers.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.path.unlink(missing_ok=True)

    def show(self, text: str, condition: str | Distortion = "clean") -> None:
        """Hold a phone with this QR code in front of the camera. KeyError for a condition that does not exist."""
        distortion = CONDITIONS[condition] if isinstance(condition, str) else condition
        self.show_nothing()
        seeds = [self._seed() for _ in range(len(APPROACH) + VARIANTS)]
        self._painter = asyncio.create_task(self._paint(text, distortion, seeds), name="lab-camera-painter")

    def show_nothing(self) -> None:
        """Take the phone away."""
        if self._painter is not None:
            self._painter.cancel()
            self._painter = None
        self._coming, self._held = [], []

    def drop(self) -> None:
        """Break the wire of everybody who watches, as a cable that is pulled; they may connect again."""
        for writer in tuple(self._watchers):
            writer.transport.abort()

    async def _paint(self, text: str, distortion: Distortion, seeds: list[int]) -> None:
        loop = asyncio.get_running_loop()
        side = self._dice.choice((-1, 1))
        for far, seed in zip(APPROACH, seeds, strict=False):
            moving = replace(distortion, shift=(side * far, far / 2), motion=max(distortion.motion, 15))
            picture = await loop.run_in_executor(self._pool, self._draw, text, moving, seed)
            self._coming.append(picture)
        for seed in seeds[len(APPROACH) :]:
            held = jittered(distortion, seed)
            self._held.append(await loop.run_in_executor(self._pool, self._draw, text, held, seed))

    async def _run(self) -> None:
        """Choose a frame for every tick of the camera's clock."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + self._period, loop.time())
            await asyncio.sleep(due - loop.time())
            self._turn += 1
            async with self._tick:
                self._current = self._choose()
                self._tick.notify_all()

    def _choose(self) -> bytes:
        if self._coming:
            return self._coming.pop(0)
        pictures = self._held or self._rooms
        return pictures[self._turn % len(pictures)]

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send frames to one reader, as many as it takes; what it has no time for is never sent."""
        del reader
        task = asyncio.current_task()
        if task is None or len(self._watchers) >= MAX_WATCHERS:
            writer.close()
            return
        self._watchers[writer] = task
        writer.transport.set_write_buffer_limits(high=0)
        try:
            while True:
                async with self._tick:
                    await self._tick.wait()
                    frame = self._current
                writer.write(frame)
                await writer.drain()
                self.sent += 1
        except OSError:
            pass  # the reader is gone, which is its right
        finally:
            del self._watchers[writer]
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _seed(self) -> int:
        return self._dice.getrandbits(32)

    def _draw(self, text: str, distortion: Distortion, seed: int) -> bytes:
        return self._packed(draw(text, self._size, self._code, distortion, seed).tobytes())

    def _draw_empty(self, seed: int) -> bytes:
        return self._packed(draw_empty(self._size, seed).tobytes())

    def _packed(self, pixels: bytes) -> bytes:
        return HEADER.pack(MAGIC, *self._size) + pixels
