"""A card behind the block protocol: APDUs in, frames through the chip, APDUs out; a `ports.Card`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from mdoc_reader.nfc.isodep import Done, IsoDep, Limits, Parameters, Send
from mdoc_reader.nfc.ports import CardError, FieldCode, FrameBroken, FrameLost, Frames, NfcDeviceError

if TYPE_CHECKING:
    from mdoc_reader.nfc.activation import AnswerToSelect

_LONGEST_COMMAND, _LONGEST_RESPONSE = 65544, 65538
_LONGEST_SILENCE_S = 6.0  # the longest frame waiting time, and some more


class IsoDepCard:
    """An activated card. Made by `activation.activate`."""

    def __init__(
        self,
        frames: Frames,
        parameters: Parameters,
        *,
        random_uid: bool,
        words: str,
        limits: Limits | None = None,
    ) -> None:
        """Take a card that has just been activated."""
        self.longest_command = _LONGEST_COMMAND
        self.longest_response = _LONGEST_RESPONSE
        self.longest_silence_s = _LONGEST_SILENCE_S
        self.on_frame: Callable[[], None] | None = None
        self.words = words
        self.random_uid = random_uid
        self.parameters = parameters
        self.answer: AnswerToSelect | None = None
        """What the card said of itself when it was activated."""
        self._frames = frames
        self._engine = IsoDep(parameters, limits)
        self._given_up = False
        self._usable = True
        self._left = False

    def transmit(self, command: bytes) -> bytes:
        """Send a command APDU and return the response.

        Raises CardError, after which the card is of no use and says LOST, and NfcDeviceError, the same.
        """
        if not 1 <= len(command) <= _LONGEST_COMMAND:
            raise ValueError("no command APDU has this length")
        self._check()
        self._usable = False
        response = self._walk(self._engine.start(command), heed=True)
        self._usable = True
        return response

    def alive(self) -> bool:
        """Say whether the card is still there, between two commands; once it is not, it is of no use.

        Takes a few milliseconds, or about a second where nobody answers. Raises CardError ABORTED, NfcDeviceError.
        """
        if self._given_up:
            raise CardError(FieldCode.ABORTED)
        if not self._usable:
            return False
        self._usable = False
        try:
            self._walk(self._engine.presence(), heed=True)
        except CardError as error:
            if error.code is FieldCode.ABORTED:
                raise
            return False
        self._usable = True
        return True

    def give_up(self) -> None:
        """Make the `transmit` in progress raise ABORTED at its next frame, and every later one at once."""
        self._given_up = True

    def leave(self) -> None:
        """Send S(DESELECT), once. Takes some milliseconds; never raises."""
        self._usable = False
        if self._left:
            return
        self._left = True
        # It may have gone already, or the front end with it: just as well.
        with contextlib.suppress(CardError, NfcDeviceError):
            self._walk(self._engine.deselect(), heed=False)

    def _check(self) -> None:
        if self._given_up:
            raise CardError(FieldCode.ABORTED)
        if not self._usable:
            raise CardError(FieldCode.LOST, "the card was given up before")

    def _walk(self, step: Send | Done, *, heed: bool) -> bytes:
        while isinstance(step, Send):
            if heed and self._given_up:
                raise CardError(FieldCode.ABORTED)
            try:
                answer = self._frames.exchange(step.frame, step.wait_s)
            except FrameLost:
                step = self._engine.on_silence()
            except FrameBroken:
                step = self._engine.on_noise()
            else:
                step = self._engine.on_frame(answer)
            if self.on_frame is not None:
                self.on_frame()
        return step.data
