"""What happens at the reader, as JSON lines: phases, outcomes, faults, health, the door; nothing personal."""

from __future__ import annotations

import json
from typing import TextIO

from mdoc_reader.model.check import Health
from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.outputs.door import DoorEvent
from mdoc_reader.reader.engine import PresentationRecord
from mdoc_reader.reader.phases import Phase


class EventStream:
    """Writes what happens as JSON lines: phases, outcomes and faults; nothing personal. An `Observer`.

    A reader that is not read from stops writing: the door matters more than its diary.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to an open text stream."""
        self._stream: TextIO | None = stream

    def write(self, event: str, **values: object) -> None:
        """Write one line."""
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps({"event": event, **values}) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

    def on_phase(self, at: float, presentation: int, phase: Phase) -> None:
        """Tell of a phase."""
        self.write("phase", at=at, presentation=presentation, phase=phase.value)

    def on_concluded(self, record: PresentationRecord) -> None:
        """Tell how a presentation ended."""
        self.write(
            "concluded",
            at=record.at,
            presentation=record.presentation,
            outcome=record.decision.outcome.value,
            reasons=[str(reason) for reason in record.decision.reasons],
            transport=record.transport,
            phases=[[name, milliseconds] for name, milliseconds in record.phases],
            decided_to_light_ms=record.decided_to_light_ms,
        )

    def on_fault(self, at: float, part: str, code: ReasonCode | None, *, raised: bool) -> None:
        """Tell of a part that failed, and why, or came back."""
        self.write("fault", at=at, part=part, raised=raised, code=None if code is None else str(code))

    def on_health(self, part: str, health: Health) -> None:
        """Tell how a part of the device is, when that changes; `ok` before it was told of."""
        self.write("health", part=part, health=health.value)

    def on_door(self, what: DoorEvent, at: float) -> None:
        """Tell what happened at the door itself."""
        self.write("door", at=at, what=what.value)
