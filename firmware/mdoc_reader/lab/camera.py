"""What stands before the simulated camera: serves drawn pictures over a Unix socket, as a camera would deliver them.

The reader's own driver (`drivers.simulated_camera`, which defines the wire) is at the near end. As with a camera,
a picture that the reader is too slow for is lost. Pictures are drawn in a worker thread; a phone that is held still
is a handful of them, shown in turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from mdoc_reader.drivers.simulated_camera import HEADER, MAGIC
from mdoc_reader.lab.camera_approach import (
    EMPTY_FRAMES,
    LEAVING_FRAMES,
    empty_frames,
    held_frames,
    moving_frames,
)
from mdoc_reader.lab.frames import CONDITIONS, Distortion, Picture

MAX_READERS = 4


class CameraScene:
    """A camera's view. Start it, then `show` phones and take them away. All methods belong to the event loop."""

    def __init__(
        self, path: Path, *, fps: float = 15.0, width: int = 640, height: int = 480, size: float = 300, seed: int = 1
    ) -> None:
        """Be ready to serve on the socket `path`. `size` is the code's width in px while a phone is held."""
        self._path = path
        self._fps = fps
        self._width, self._height, self._size = width, height, size
        self._seed = seed
        self._coming: deque[bytes] = deque()  # shown once each, first
        self._held: list[bytes] = []  # then these in turn
        self._background: list[bytes] = []  # or these, while there is no phone
        self._leaving: list[bytes] = []
        self._turn = 0
        self._scene = 0
        self._readers: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lab-camera")
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        self.frames_sent = 0
        self.frames_lost = 0

    async def start(self) -> None:
        """Draw the background and serve. OSError when the socket cannot be made."""
        empty = empty_frames(seed=self._seed, count=EMPTY_FRAMES, width=self._width, height=self._height)
        while (picture := await self._draw_next(empty, self._scene)) is not None:
            self._background.append(picture)
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        self._ticker = asyncio.create_task(self._tick(), name="lab-camera")

    async def show(self, text: str, condition: str | Distortion = "clean", *, size: float | None = None) -> None:
        """Hold up a phone with this code; returns when all its pictures are drawn. KeyError for an unknown condition.

        The same calls in the same order show the same pictures. Another `show` or `show_nothing` meanwhile wins.
        """
        distortion = CONDITIONS[condition] if isinstance(condition, str) else condition
        self._scene += 1
        scene = self._scene
        seed = self._seed + 1000 * scene
        width, height, size = self._width, self._height, size or self._size
        self._take_away()
        self._leaving = []
        moving = moving_frames(text, distortion, seed=seed, width=width, height=height, size=size)
        while (picture := await self._draw_next(moving, scene)) is not None:
            self._coming.append(picture)
        still = held_frames(text, distortion, seed=seed + 100, width=width, height=height, size=size)
        held: list[bytes] = []
        while (picture := await self._draw_next(still, scene)) is not None:
            held.append(picture)
            self._held = held  # one is enough to begin with
        away = moving_frames(
            text,
            distortion,
            seed=seed + 200,
            count=LEAVING_FRAMES,
            leaving=True,
            width=width,
            height=height,
            size=size,
        )
        leaving: list[bytes] = []
        while (picture := await self._draw_next(away, scene)) is not None:
            leaving.append(picture)
            self._leaving = leaving

    def show_nothing(self) -> None:
        """Take the phone away: it leaves to the side, and the background remains."""
        self._scene += 1
        self._take_away()

    def unplug(self) -> None:
        """Break the wire to every reader, as a cable that is pulled; they may connect again."""
        for writer in self._readers:
            writer.transport.abort()

    async def close(self) -> None:
        """Stop serving; the reader sees its camera unplugged."""
        self._scene += 1
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        self.unplug()
        await asyncio.gather(*filter(None, self._readers.values()), return_exceptions=True)
        self._path.unlink(missing_ok=True)
        self._pool.shutdown(wait=False)

    def _take_away(self) -> None:
        self._coming.clear()
        self._coming.extend(self._leaving)
        self._held, self._leaving = [], []

    async def _draw_next(self, pictures: Iterator[Picture], scene: int) -> bytes | None:
        """Draw one picture in the worker; None at the end, and as soon as another scene has begun."""
        if scene != self._scene:
            return None
        picture = await asyncio.get_running_loop().run_in_executor(self._pool, _next_message, pictures)
        return picture if scene == self._scene else None

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            picture = self._picture()
            for writer in self._readers:
                if writer.transport.get_write_buffer_size():
                    self.frames_lost += 1
                else:
                    writer.write(picture)
                    self.frames_sent += 1
            due = max(due + 1 / self._fps, loop.time())
            await asyncio.sleep(due - loop.time())

    def _picture(self) -> bytes:
        if self._coming:
            return self._coming.popleft()
        self._turn += 1
        shown = self._held or self._background
        return shown[self._turn % len(shown)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._readers) >= MAX_READERS:
            writer.transport.abort()
            return
        self._readers[writer] = asyncio.current_task()
        try:
            with suppress(ConnectionError):
                await reader.read(1)  # a reader has nothing to say: anything, or the end, ends it
        finally:
            del self._readers[writer]
            writer.transport.abort()


def _next_message(pictures: Iterator[Picture]) -> bytes | None:
    picture = next(pictures, None)
    if picture is None:
        return None
    height, width = picture.shape
    return HEADER.pack(MAGIC, width, height, width) + picture.tobytes()
