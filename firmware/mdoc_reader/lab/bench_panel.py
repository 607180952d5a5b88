"""The bench's side of the simulated panel: hears every pin change over a Unix socket, keeps the state, draws it, and
presses contacts.

`Bench` listens; `PanelState` is what the lamps, the buzzer and the relay do now and did before; `PanelView` draws both
and the display in a terminal with rich. Lamps have a word and a shape beside their colour.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from PIL import Image
from rich.align import Align
from rich.console import Group, RenderableType
from rich.panel import Panel as Frame
from rich.text import Text

LAMPS = ("green", "amber", "red")
MAX_LINE = 4_096
MAX_EVENTS = 20_000
_STYLE = {"green": "bold bright_green", "amber": "bold yellow", "red": "bold bright_red"}
_BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class PinEvent(msgspec.Struct, frozen=True):
    """One change of a pin: `t` in seconds of the monotonic clock, `value` of the part, `level` of the pin."""

    t: float
    pin: int
    name: str
    value: int
    level: int = 0
    hertz: int = 0


@dataclass(slots=True)
class PanelState:
    """What each part does now (0 or 1 by name), the buzzer's pitch, and the latest events, oldest first."""

    parts: dict[str, int] = field(default_factory=dict)
    hertz: int = 0
    history: deque[PinEvent] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))

    def apply(self, event: PinEvent) -> None:
        """Take in one event."""
        self.parts[event.name] = event.value
        if event.name == "buzzer":
            self.hertz = event.hertz if event.value else 0
        self.history.append(event)

    def lit(self, lamp: str) -> bool:
        """Return whether a lamp gives light now."""
        return bool(self.parts.get(lamp, 0))

    def active(self, contact: str) -> bool:
        """Return whether a contact is active now, by its name in the wiring: `door` (open), `exit`, `fire`..."""
        return bool(self.parts.get(contact, 0))

    @property
    def relay(self) -> bool:
        """Whether the relay's coil is energised."""
        return bool(self.parts.get("relay", 0))

    def events(self, name: str, since: float = 0.0) -> list[PinEvent]:
        """Return a part's events from `since` on."""
        return [event for event in self.history if event.name == name and event.t >= since]


class Bench:
    """Listens where simulated pins report. Use as an async context.

    Args:
        path: the Unix socket; one that is left over is replaced.
    """

    def __init__(self, path: Path) -> None:
        """Prepare; nothing listens yet."""
        self.path = path
        self.state = PanelState()
        self.refused = 0
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Condition()
        self._talks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        """Listen. OSError when the socket cannot be made."""
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._hear, self.path, limit=MAX_LINE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up and remove the socket."""
        if self._server is not None:
            self._server.close()
        for talk in tuple(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
        self.path.unlink(missing_ok=True)

    async def wait_for(self, wanted: Callable[[PanelState], bool], timeout_s: float = 5.0) -> None:
        """Return when `wanted(state)` is true. TimeoutError when that takes longer than `timeout_s`."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: wanted(self.state))

    async def contact(self, name: str, active: bool = True, timeout_s: float = 5.0) -> None:
        """Press a contact, or let it go; returns when its pin has moved. TimeoutError when no panel does that."""
        for writer in tuple(self._writers):
            writer.write(msgspec.json.encode({"contact": name, "active": active}) + b"\n")
        await self.wait_for(lambda state: state.active(name) is active, timeout_s)

    async def press(self, name: str, seconds: float = 0.1) -> None:
        """Press a contact for so long, in seconds. TimeoutError when no panel has it."""
        await self.contact(name)
        await asyncio.sleep(seconds)
        await self.contact(name, active=False)

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._talks.add(task)
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                try:
                    event = msgspec.json.decode(line, type=PinEvent)
                except msgspec.DecodeError:
                    self.refused += 1
                    continue
                async with self._changed:
                    self.state.apply(event)
                    self._changed.notify_all()
        except (ValueError, OSError):  # readline's answer to an endless line is a ValueError
            self.refused += 1
        finally:
            if task is not None:
                self._talks.discard(task)
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def read_display(path: Path, size: tuple[int, int] = (128, 64)) -> Image.Image:
    """Return the latest picture in one bit per pixel; a dark one while there is none."""
    try:
        with Image.open(path) as picture:
            return picture.convert("L").point(lambda grey: 255 if grey > 127 else 0, mode="1")
    except (OSError, SyntaxError):
        return Image.new("1", size, 0)


def braille(picture: Image.Image) -> str:
    """Return a picture as lines of braille, 2 x 4 pixels a letter: 64 x 16 letters for a 128 x 64 display."""
    width, height = picture.size
    bits = picture.convert("L").tobytes()
    rows = []
    for y in range(0, height, 4):
        row = ""
        for x in range(0, width, 2):
            dots = 0
            for down, pair in enumerate(_BRAILLE):
                for right, dot in enumerate(pair):
                    if y + down < height and x + right < width and bits[(y + down) * width + x + right]:
                        dots |= dot
            row += chr(0x2800 + dots)
        rows.append(row)
    return "\n".join(rows)


def half_blocks(picture: Image.Image) -> str:
    """Return a picture as lines of half blocks, 1 x 2 pixels a letter: 128 x 32 letters for a 128 x 64 display."""
    width, height = picture.size
    bits = picture.convert("L").tobytes()
    rows = []
    for y in range(0, height, 2):
        row = ""
        for x in range(width):
            upper = bool(bits[y * width + x])
            lower = y + 1 < height and bool(bits[(y + 1) * width + x])
            row += (" ", "▄", "▀", "█")[2 * upper + lower]
        rows.append(row)
    return "\n".join(rows)


def lamps_line(state: PanelState) -> Text:
    """Return the lamps, the relay and the buzzer in one line."""
    line = Text()
    for lamp in LAMPS:
        on = state.lit(lamp)
        line.append(f"{'●' if on else '○'} {lamp}", style=_STYLE[lamp] if on else "dim")
        line.append("   ")
    line.append(
        "■ relay energised" if state.relay else "□ relay at rest  ", style="bold cyan" if state.relay else "dim"
    )
    line.append("   ")
    sound = f"♪ {state.hertz} Hz" if state.hertz else "♪ silent"
    line.append(f"{sound:9}", style="bold magenta" if state.hertz else "dim")
    return line


class PanelView:
    """A live drawing of the panel for rich: build once, let rich ask for it at each refresh.

    Args:
        state: what the bench heard.
        display: the latest picture of the display.
        large: half blocks (132 columns) instead of braille (68 columns).
    """

    def __init__(self, state: PanelState, display: Path, *, large: bool = False) -> None:
        """Keep what is to be drawn."""
        self._state = state
        self._display = display
        self._draw = half_blocks if large else braille
        self._width = 128 if large else 64
        self._seen: tuple[int, int] | None = None
        self._text = ""

    def __rich__(self) -> RenderableType:
        """Return the panel as it is now."""
        return Frame(
            Group(
                Frame(Text(self._picture(), style="bright_cyan", no_wrap=True), style="grey50", width=self._width + 4),
                Align.center(lamps_line(self._state), width=self._width + 4),
            ),
            title="panel",
            title_align="left",
            width=self._width + 8,
        )

    def _picture(self) -> str:
        # A picture is read again only when its file was replaced: a demo refreshes ten times a second.
        try:
            status = self._display.stat()
            seen = (status.st_ino, status.st_mtime_ns)
        except OSError:
            seen = (0, 0)
        if seen != self._seen:
            self._seen = seen
            self._text = self._draw(read_display(self._display))
        return self._text
