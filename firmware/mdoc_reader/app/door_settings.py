"""Settings of the door and the buttons: when a door is forced or held, what exit does, what counts as a press."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from mdoc_reader.outputs.buttons import ButtonRules
from mdoc_reader.outputs.door import DoorRules

Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]


class DoorSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The door, where its contact, the exit button or the fire contact is wired in `[pins]`. Times in seconds."""

    grace: Annotated[float, msgspec.Meta(ge=0.5, le=60)] = 2.0
    """How long after the lock's pulse the door may still be opened."""
    warn: Seconds = 20.0
    """How long it may stand open before the alarm output warns; 0 for never."""
    held: Seconds = 30.0
    """How long it may stand open before it is held, which is an alarm; 0 for never."""
    forced: bool = True
    """Whether a door that is opened without a grant, exit or fire is an alarm; it is told in any case."""
    exit: Literal["release", "permit", "off"] = "release"
    """What the exit button does: free the lock, or only say that a handle inside will open it, or nothing."""
    exit_pulse: Annotated[float, msgspec.Meta(gt=0, le=60)] = 3.0
    """How long exit frees the lock."""

    def __post_init__(self) -> None:
        """Refuse a warning that comes too late to warn."""
        if 0 < self.held <= self.warn:
            raise ValueError("door.warn must be shorter than door.held")

    def rules(self) -> DoorRules:
        """Return them as the door's state machine takes them."""
        return DoorRules(
            grace_s=self.grace,
            warn_s=self.warn,
            held_s=self.held,
            forced=self.forced,
            exit=self.exit,
            exit_pulse_s=self.exit_pulse,
        )


class ButtonSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The buttons, where they are wired in `[pins]`. Times in seconds."""

    lock: bool = False
    """Whether a reader that sleeps is woken only by the wake button, held down."""
    unlock_hold: Annotated[float, msgspec.Meta(ge=0.2, le=10)] = 1.0
    """How long it is held for that."""
    blind: Annotated[float, msgspec.Meta(ge=0.3, le=10)] = 0.7
    """How long a portrait is shown before confirm counts."""

    def rules(self) -> ButtonRules:
        """Return them as the buttons' rules take them."""
        return ButtonRules(lock=self.lock, unlock_hold_s=self.unlock_hold, blind_s=self.blind)
