"""What the demo shows in the terminal: the cast, the panel as it is, the phases as they pass, a table at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mdoc_reader.lab.bench_panel import PanelState, PanelView
from mdoc_reader.lab.cast import Act

_COLOURS = {"granted": "bold green", "refused": "bold red", "invalid": "bold red"}
_REFRESH_S = 0.1
_WIDE = 178
_SHORT = {
    "scan": "scan",
    "engaged": "prepare",
    "connecting": "connect",
    "requesting": "request",
    "consent": "consent",
    "receiving": "receive",
    "verifying": "verify",
}


class PhaseSource(Protocol):
    """What is being watched."""

    phase: str
    phase_at: float


class Outcome(Protocol):
    """What a finished act tells."""

    title: str
    outcome: str
    reasons: list[str]
    transport: str
    opened: bool
    phases: list[tuple[str, float, float]]
    complaints: list[str]

    @property
    def as_expected(self) -> bool:
        """Whether it came out as it should."""

    @property
    def total_ms(self) -> float:
        """Milliseconds to the decision."""


class DemoView:
    """Draws live on a terminal, tells line by line elsewhere, and says nothing when silent."""

    def __init__(self, titles: Sequence[str], *, silent: bool = False, console: Console | None = None) -> None:
        """Prepare for acts of these titles."""
        self.console = console or Console()
        self._silent = silent
        self._titles = list(titles)
        self._done: list[Outcome] = []
        self._panel: PanelView | None = None
        self._source: PhaseSource | None = None
        self._live = Live(console=self.console, refresh_per_second=10, auto_refresh=False, transient=True)
        self._lively = self.console.is_terminal and not silent

    def __enter__(self) -> Self:
        """Take the terminal."""
        if self._lively:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        if self._lively:
            self._live.stop()

    def attach(self, state: PanelState, display: Path) -> None:
        """Watch a panel."""
        self._panel = PanelView(state, display)

    def begin(self, act: Act) -> None:
        """Announce an act."""
        if not self._silent and not self._lively:
            self.console.print(f"{act.title} ...", end=" ", highlight=False)

    def done(self, result: Outcome) -> None:
        """Tell how it ended."""
        self._done.append(result)
        if not self._silent and not self._lively:
            mark = "ok" if result.as_expected else "NOT AS EXPECTED"
            told = f"{result.outcome} ({', '.join(result.reasons)}) {result.total_ms:.0f} ms {mark}"
            self.console.print(told, highlight=False)

    async def draw(self, source: PhaseSource) -> None:
        """Redraw until cancelled."""
        self._source = source
        while self._lively:
            self._live.update(self.render(), refresh=True)
            await asyncio.sleep(_REFRESH_S)

    def render(self) -> RenderableType:
        """Return the whole picture."""
        acts = Table.grid(padding=(0, 1))
        for number, title in enumerate(self._titles):
            if number < len(self._done):
                result = self._done[number]
                mark = Text("✔" if result.as_expected else "✘", style="green" if result.as_expected else "bold red")
                style = _COLOURS.get(result.outcome, "yellow")
                acts.add_row(mark, title, Text(result.outcome, style=style), f"{result.total_ms:.0f} ms")
            elif number == len(self._done):
                acts.add_row(Text("▶", style="cyan"), Text(title, style="bold"), self._now(), "")
            else:
                acts.add_row(" ", Text(title, style="dim"), "", "")
        right: list[RenderableType] = [self._panel] if self._panel is not None else []
        return Group(Columns([acts, *right], padding=(0, 3)), self._bars())

    def _now(self) -> Text:
        if self._source is None:
            return Text("")
        spent = max(0.0, time.monotonic() - self._source.phase_at)
        return Text(f"{self._source.phase} {spent:.1f} s", style="cyan")

    def _bars(self) -> RenderableType:
        if not self._done or not self._done[-1].phases:
            return Text("")
        last = self._done[-1]
        told = Text(f"{last.title}: ", style="bold")
        for name, start, end in last.phases:
            told.append(f"{name} {end - start:.0f} ms  ", style="white")
        return told


def table(results: Sequence[Outcome], *, wide: bool = True) -> Table:
    """Return what happened and why; the phases only where there is room for them."""
    phases = _SHORT if wide else {}
    drawn = Table(title="What happened, and why", title_justify="left", header_style="bold")
    for name in ("", "who", "outcome", "because", "door", "over", *phases.values(), "in all"):
        numeric = name in {*phases.values(), "in all"}
        drawn.add_column(
            name,
            justify="right" if numeric else "left",
            no_wrap=name != "because",
            overflow="fold",
            min_width=26 if name == "because" else None,
        )
    for result in results:
        spent = {name: f"{end - start:.0f}" for name, start, end in result.phases}
        why = ", ".join(result.reasons) + ("" if result.as_expected else f"  [!] {'; '.join(result.complaints)}")
        drawn.add_row(
            Text("✔", style="green") if result.as_expected else Text("✘", style="bold red"),
            result.title,
            Text(result.outcome, style=_COLOURS.get(result.outcome, "yellow")),
            why,
            "opened" if result.opened else "-",
            result.transport.removeprefix("BLE, ").replace(" is server", " serves"),
            *(spent.get(name, "") for name in phases),
            f"{result.total_ms:.0f} ms",
        )
    return drawn


def print_table(results: Sequence[Outcome], console: Console | None = None) -> None:
    """Print it, wide enough for its columns where the output is no terminal."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    console.print(table(results, wide=console.width >= _WIDE))
    surprises = sum(not result.as_expected for result in results)
    console.print(f"{len(results)} visits, {surprises} not as expected. Times in milliseconds.", highlight=False)
