"""A card held at the reader, as the event loop sees it: procedures are walked on the device's owner thread."""

from __future__ import annotations

from typing import Protocol, TypeVar

from mdoc_reader.nfc.procedure import Procedure

T = TypeVar("T")


class CardChannel(Protocol):
    """One card in the field, from the tap until it is let go."""

    longest_command: int
    """As in `ports.Card`."""
    longest_response: int
    """As in `ports.Card`."""

    async def run(self, procedure: Procedure[T]) -> T:
        """Walk a procedure with the card, after those asked for before it.

        Raises what the procedure raises, and CardError LOST once the card is gone. Cancelling gives the card up.
        What the procedure calls is called on the owner thread.
        """

    async def close(self) -> None:
        """Let the card go and switch the field off. Bounded; never raises."""
