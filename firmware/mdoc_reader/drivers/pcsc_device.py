"""NFC through a USB reader and the smart card service (PC/SC); a `nfc.ports.NfcDevice`.

Such a reader polls its field by itself and says only that something is there, and it speaks the block protocol itself:
of what goes over the air, this driver sees APDUs. It cannot send the frame of enhanced contactless polling, does not
tell two cards from one, and notices a card when the service does: at once, or with readers without interrupts up to
0.4 s late.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Annotated

import msgspec

from mdoc_reader.drivers import pcsc_service as pcsc
from mdoc_reader.drivers.pcsc_open import device_error, longest_data, open_reader
from mdoc_reader.drivers.pcsc_readers import AUTO, card_words, foreign_words
from mdoc_reader.drivers.pcsc_service import Joined, PcscError, Service
from mdoc_reader.model.check import Check
from mdoc_reader.nfc.ports import (
    CardError,
    Field,
    FieldCode,
    FieldKind,
    NfcDevice,
    NfcDeviceError,
    NfcTrouble,
)

SIMULATED = False

_SHORT_COMMAND, _SHORT_RESPONSE = 261, 258
_LONG_COMMAND, _LONG_RESPONSE = 65544, 65538
_SHORT_DATA = 256
_SHORTEST_COMMAND = 4
_LONGEST_SILENCE_S = 330.0
_SHARED_S = 1.0  # other programs have a look at every card that is put on, and let go of it
_NOTICED_S = 0.6  # the service asks readers without interrupts every 0.4 s what is in their field
_MOST_STUMBLES = 5
_GET_UID = bytes.fromhex("ffca000000")
_OK = b"\x90\x00"


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which reader, and what it can do."""

    reader: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] = AUTO
    """A part of the reader's name, or `auto` for the one that is likeliest for contactless cards."""
    extended_apdus: bool = False
    """Send APDUs of more than 261 bytes. Faster, where reader and driver carry them: not all that say so do."""


def open_nfc(options: Options) -> NfcDevice:
    """Open the reader. Raises NfcDeviceError; at once, as long as the service answers."""
    service, reader = open_reader(options.reader)
    return PcscDevice(service, reader, options)


async def examine(options: Options) -> tuple[Check, ...]:
    """Say how the service and the reader are and what to do, for people."""
    from mdoc_reader.drivers import pcsc_examine  # noqa: PLC0415 -- the daemon never needs it

    return await pcsc_examine.examine(options.reader, extended_apdus=options.extended_apdus)


class PcscDevice:
    """An open reader. Blocking, for one thread; `abort` and `close` are for any.

    A look over an empty field takes the service less than a millisecond. Powering a card takes as long as the reader
    takes for it, at most some seconds.
    """

    def __init__(self, service: Service, reader: str, options: Options) -> None:
        """Take over an open context."""
        self.reader = reader
        self.words = f"{reader} through PC/SC"
        self._service = service
        self._extended = options.extended_apdus
        self._card: PcscCard | None = None
        self._stumbles = 0
        self._shared_since: float | None = None
        self._events = 0
        self._lost_at: float | None = None

    def look(self) -> Field:
        """Look once. See `nfc.ports.NfcDevice`."""
        self.rest()
        try:
            return self._look()
        except PcscError as error:
            raise device_error(error) from error

    def occupied(self) -> bool:
        """Say whether the reader holds that something is in its field."""
        try:
            return self._state().present
        except PcscError as error:
            raise device_error(error) from error

    def rest(self) -> None:
        """Let go of the card. The reader goes on polling by itself: its field cannot be switched off from here."""
        card, self._card = self._card, None
        if card is not None:
            card.leave()
            if card.lost:
                self._lost_at = time.monotonic()

    def abort(self) -> None:
        """Make every call raise, the present one too. From any thread; never blocks or raises."""
        self._service.abort()

    def close(self) -> None:
        """Let go of the card and of the reader. From any thread; never raises."""
        self._service.close()

    def _state(self) -> pcsc.State:
        state = self._service.state(self.reader)
        if state.unavailable:
            raise NfcDeviceError(NfcTrouble.LOST, "the reader was unplugged")
        return state

    def _look(self) -> Field:
        state = self._state()
        if not state.present:
            self._stumbles = 0
            self._shared_since = None
            return Field(FieldKind.EMPTY)
        foreign = foreign_words(state.atr)
        if foreign is not None:
            return Field(FieldKind.FOREIGN, words=foreign)
        if state.events != self._events:
            self._lost_at = None
        elif self._lost_at is not None and time.monotonic() - self._lost_at < _NOTICED_S:
            return Field(FieldKind.EMPTY)  # what was lost may have left, and the service has not seen it yet
        try:
            return self._joined()
        except PcscError as error:
            if error.code in (*pcsc.CARD_GONE, pcsc.PROTOCOL_MISMATCH, pcsc.INVALID_ATR):
                return self._stumbled("something that does not answer as cards and phones do")
            if error.code == pcsc.UNSUPPORTED_CARD:
                return Field(FieldKind.FOREIGN, words="something the reader does not know")
            if error.code == pcsc.SHARING_VIOLATION and self._still_patient():
                return Field(FieldKind.EMPTY)
            raise

    def _joined(self) -> Field:
        joined = self._service.join(self.reader)
        self._shared_since = None
        card = PcscCard(self._service, joined)
        self._card = card
        try:
            if self._lost_at is not None:
                card.restart()
            state = self._state()
            atr, self._events = state.atr, state.events
            foreign = foreign_words(atr)
            if foreign is not None:
                self.rest()
                return Field(FieldKind.FOREIGN, words=foreign)
            card.random_uid = _is_random(card.ask_reader(_GET_UID))
            if self._extended:
                card.extend(longest_data(self._service, joined))
        except PcscError as error:
            card.lost = error.code in pcsc.CARD_GONE
            self.rest()
            raise
        self._stumbles = 0
        self._lost_at = None
        card.words = card_words(atr)
        return Field(FieldKind.CARD, card, card.words)

    def _stumbled(self, words: str) -> Field:
        """A phone that is still being moved in begins like this. What goes on like this is no phone."""
        self._stumbles += 1
        if self._stumbles < _MOST_STUMBLES:
            return Field(FieldKind.EMPTY)
        return Field(FieldKind.FOREIGN, words=words)

    def _still_patient(self) -> bool:
        now = time.monotonic()
        if self._shared_since is None:
            self._shared_since = now
        return now - self._shared_since < _SHARED_S


def _is_random(answer: bytes) -> bool:
    """Whether a reader's answer about the card's identifier (PC/SC part 3 clause 3.2.2.1.3) is a phone's."""
    uid = answer[:-2]
    return answer[-2:] == _OK and len(uid) == 4 and uid[0] == 0x08


class PcscCard:
    """A card or phone behind a reader that speaks the block protocol itself; a `nfc.ports.Card`."""

    def __init__(self, service: Service, joined: Joined) -> None:
        """Take a card that has just been powered."""
        self.longest_command = _SHORT_COMMAND
        self.longest_response = _SHORT_RESPONSE
        self.longest_silence_s = _LONGEST_SILENCE_S
        self.on_frame: Callable[[], None] | None = None
        self.words = ""
        self.random_uid = False
        self.lost = False
        """Whether it went by itself."""
        self._service = service
        self._joined = joined
        self._given_up = False
        self._usable = True

    def extend(self, data: int | None) -> None:
        """Use extended APDUs, with as many bytes of data as the driver says it carries, if it says."""
        if data is None or data > _SHORT_DATA:
            self.longest_command = _LONG_COMMAND if data is None else min(_LONG_COMMAND, data + 9)
            self.longest_response = _LONG_RESPONSE if data is None else min(_LONG_RESPONSE, data + 2)

    def restart(self) -> None:
        """Have it begin anew. Raises PcscError."""
        self._joined = self._service.restart(self._joined)

    def ask_reader(self, command: bytes) -> bytes:
        """Send a command that the reader answers for the card. Raises PcscError."""
        return self._service.transmit(self._joined, command)

    def transmit(self, command: bytes) -> bytes:
        """Send a command APDU and return the response. Raises CardError, after which the card is of no use.

        A reader grants a phone as much time as it asks for, and nothing can cut that short but `abort` of the device.
        """
        if not _SHORTEST_COMMAND <= len(command) <= self.longest_command:
            raise ValueError("no command APDU that this reader carries has this length")
        if self._given_up:
            raise CardError(FieldCode.ABORTED)
        if not self._usable:
            raise CardError(FieldCode.LOST, "the card was given up before")
        self._usable = False
        response = self._answer(command)
        if self._given_up:
            raise CardError(FieldCode.ABORTED)
        if len(response) > self.longest_response:
            raise CardError(FieldCode.TOO_LARGE, f"{len(response)} bytes")
        if len(response) < 2:
            self.lost = not response  # some drivers report success when the card is gone, with nothing
            raise CardError(FieldCode.PROTOCOL if response else FieldCode.LOST, "a response without a status word")
        self._usable = True
        if self.on_frame is not None:
            self.on_frame()
        return response

    def _answer(self, command: bytes) -> bytes:
        try:
            return self._service.transmit(self._joined, command)
        except PcscError as error:
            if error.code in pcsc.CARD_GONE:
                self.lost = True
                raise CardError(FieldCode.LOST, str(error)) from error
            if error.code == pcsc.INSUFFICIENT_BUFFER:
                raise CardError(FieldCode.TOO_LARGE, str(error)) from error
            if error.code == pcsc.CANCELLED or error.code in (*pcsc.SERVICE_GONE, *pcsc.READER_GONE):
                raise device_error(error) from error
            raise CardError(FieldCode.PROTOCOL, str(error)) from error

    def give_up(self) -> None:
        """Make the `transmit` in progress raise ABORTED when it ends, and every later one at once. From any thread."""
        self._given_up = True

    def leave(self) -> None:
        """Take the power from the card. Bounded by the service; never raises."""
        self._usable = False
        with contextlib.suppress(PcscError):
            self._service.leave(self._joined, lost=self.lost)
