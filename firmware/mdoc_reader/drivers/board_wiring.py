"""Which part hangs on which pin of the header, and how: the options that every driver of pins shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from mdoc_reader.outputs.ports import Contact

BcmPin = Annotated[int, msgspec.Meta(ge=0, le=27)]
"""A GPIO number of the 40-pin header, as Broadcom counts."""

Pull = Literal["up", "down", "none"]
STUCK_S = 60.0


class ContactWiring(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One contact: between its pin and ground when it is pulled up, between its pin and 3.3 V when it is pulled down.

    What is left out is what suits the contact. `door`, `fire` and nothing else are loops that are closed at rest, so
    that a cut wire counts as an open door and as fire; buttons close when they are pressed.
    """

    pin: BcmPin
    pull: Pull = "up"
    """The Pi's own resistor; `none` where there is one outside."""
    active_high: bool | None = None
    """Whether the pin is high when the door is open, fire is told, the button is pressed. Must be said where `pull` is
    `none`."""
    debounce_s: Annotated[float, msgspec.Meta(ge=0.005, le=1)] | None = None
    """How long a change must last; 0.02 for fire, 0.05 for the door, 0.03 for others."""
    stuck_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] | None = None
    """How long it may be active before it counts as stuck; never for door and fire, 60 for others."""

    def __post_init__(self) -> None:
        """Refuse a contact whose level at rest nobody knows."""
        if self.pull == "none" and self.active_high is None:
            raise ValueError("a contact without a pull needs active_high")


@dataclass(frozen=True, slots=True)
class Input:
    """A contact with everything settled. `contact` is None for what the board keeps to itself; times in seconds."""

    name: str
    contact: Contact | None
    pin: int
    pull: Pull
    active_high: bool
    debounce_s: float
    stuck_s: float


_LOOPS = frozenset({"door", "fire"})
_DEBOUNCE_S = {"door": 0.05, "fire": 0.02}
_CONTACTS = {
    "door": Contact.OPEN,
    "exit": Contact.EXIT,
    "fire": Contact.FIRE,
    "wake": Contact.WAKE,
    "cancel": Contact.CANCEL,
    "language": Contact.LANGUAGE,
    "confirm": Contact.CONFIRM,
    "reject": Contact.REJECT,
    "fire_reset": None,
}


class Wiring(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which part hangs on which pin, and how. A part without a pin is left out.

    `relay_rest` is the coil's state between grants. `released` keeps a door shut when power fails (fail-secure);
    `energised` holds a lock that frees the door without power (fail-safe, where fire rules want it): a grant, a fault
    and the end of the process then all release the coil.
    """

    green: BcmPin | None = None
    amber: BcmPin | None = None
    red: BcmPin | None = None
    buzzer: BcmPin | None = None
    relay: BcmPin | None = None
    alarm: BcmPin | None = None
    """A lamp or a siren for a door that is forced or held."""
    door: ContactWiring | None = None
    exit: ContactWiring | None = None
    fire: ContactWiring | None = None
    fire_reset: ContactWiring | None = None
    """A key switch that ends a fire release that is latched, once the fire contact is at rest again."""
    wake: ContactWiring | None = None
    cancel: ContactWiring | None = None
    language: ContactWiring | None = None
    confirm: ContactWiring | None = None
    reject: ContactWiring | None = None
    lamps_active_high: bool = True
    alarm_active_high: bool = True
    buzzer_tonal: bool = True
    relay_active_high: bool = True
    relay_rest: Literal["released", "energised"] = "released"
    relay_max_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0
    """How long the coil may be out of its rest, whatever is granted meanwhile. A fire release has no such end."""
    relay_pause_s: Annotated[float, msgspec.Meta(ge=0.05, le=10)] = 0.2
    """How long the coil rests between two pulses; a grant within it waits."""
    relay_until_open: bool = False
    """End a pulse as soon as the door opens."""
    fire_latch: bool = False
    """Keep the door free after the fire contact came to rest, until `fire_reset` or a restart."""
    fire_fault: Literal["release", "hold"] = "release"
    """What it means when the fire contact cannot be read, or chatters: free the door, or go on as before."""

    def __post_init__(self) -> None:
        """Refuse two parts on one pin, and rules without the contact they need."""
        used = [pin for pin in self.parts().values() if pin is not None] + [one.pin for one in self.inputs()]
        if len(used) != len(set(used)):
            raise ValueError("two parts share one pin")
        if self.relay_until_open and self.door is None:
            raise ValueError("relay_until_open needs a door contact")
        if self.fire_reset is not None and not (self.fire is not None and self.fire_latch):
            raise ValueError("fire_reset needs a fire contact and fire_latch")

    def parts(self) -> dict[str, int | None]:
        """Return each output's pin by the part's name."""
        return {
            "green": self.green,
            "amber": self.amber,
            "red": self.red,
            "buzzer": self.buzzer,
            "relay": self.relay,
            "alarm": self.alarm,
        }

    def inverted(self) -> frozenset[str]:
        """Name the parts that are on, and the contacts that are active, when their pin is low."""
        lamps = set() if self.lamps_active_high else {"green", "amber", "red"}
        relay = set() if self.relay_active_high else {"relay"}
        alarm = set() if self.alarm_active_high else {"alarm"}
        return frozenset(lamps | relay | alarm | {one.name for one in self.inputs() if not one.active_high})

    def inputs(self) -> tuple[Input, ...]:
        """Return the contacts that are wired, with what was left out filled in."""
        return tuple(
            _settled(name, contact, wired)
            for name, contact in _CONTACTS.items()
            if (wired := getattr(self, name)) is not None
        )


def _settled(name: str, contact: Contact | None, wired: ContactWiring) -> Input:
    loop = name in _LOOPS
    high = wired.active_high
    return Input(
        name=name,
        contact=contact,
        pin=wired.pin,
        pull=wired.pull,
        # A loop pulled up is low while it is whole; a button pulled up is low while it is pressed.
        active_high=(wired.pull == "up") is loop if high is None else high,
        debounce_s=_DEBOUNCE_S.get(name, 0.03) if wired.debounce_s is None else wired.debounce_s,
        stuck_s=(float("inf") if loop else STUCK_S) if wired.stuck_s is None else wired.stuck_s,
    )
