"""NFC through a PN532 on a serial port, as on the HATs for the Raspberry Pi; a `nfc.ports.NfcDevice`.

nfcpy carries the chip's commands. What goes over the air from the answer to select on is this program's own.
"""

from __future__ import annotations

import contextlib
from enum import Enum
from typing import Annotated, Literal

import msgspec

from mdoc_reader.drivers.pn532_chip import BIT_FRAMING, Pn532Chip, TargetA
from mdoc_reader.drivers.pn532_find import open_chip
from mdoc_reader.drivers.pn532_frames import Pn532Frames
from mdoc_reader.model.check import Check
from mdoc_reader.nfc.activation import activate
from mdoc_reader.nfc.ports import CardError, Field, FieldKind, FrameBroken, FrameLost, NfcDevice

SIMULATED = False

# Enhanced contactless polling, the frame by which a reader of identity documents makes itself known: its CRC_A is part
# of it here, because the chip adds none to a frame outside a selection.
ECP_IDENTITY = bytes.fromhex("6a02810300003551")

_ISO_DEP = 0x20
_FIRST_RATE = 106
_FOREIGN_A = {
    0x00: "a tag without the block protocol (MIFARE Ultralight, NTAG)",
    0x08: "a MIFARE Classic card",
    0x09: "a MIFARE Mini card",
    0x18: "a MIFARE Classic card",
    0x10: "a MIFARE Plus card",
    0x11: "a MIFARE Plus card",
    0x40: "a device for peer-to-peer links",
}
_ALERTED_S = 0.05
_OFF_S = 0.006  # how long a card must be without the field to forget: 5.1 ms by EMV and the NFC Forum
_MOST_STUMBLES = 5


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where the chip is, and how the field is looked at."""

    path: Annotated[str, msgspec.Meta(pattern="^(auto|/.+)$", max_length=256)] = "auto"
    """The serial port, or `auto` to look for the chip at every one."""
    baud: Literal[115200, 230400, 460800, 921600] = 115200
    """The speed of the line. Not every port keeps up with the higher ones."""
    max_rate: Literal[106, 212, 424] = 106
    """The fastest bit rate to agree on with a phone, in kbit/s."""
    ecp: bool = True
    """Send the frame that makes phones bring up an identity document between two looks."""
    polls: Annotated[int, msgspec.Meta(ge=1, le=5)] = 2
    """How often a look asks for cards of type A before the field counts as empty."""
    tries: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    """How often the chip itself repeats each request."""
    type_b: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 5
    """Each so many empty looks, look for cards of type B as well, to say that they are none; 0 never."""
    felica: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 7
    """The same for FeliCa cards."""


def open_nfc(options: Options) -> NfcDevice:
    """Open the chip, wherever it is. Raises NfcDeviceError; takes at most eight seconds."""
    return Pn532Device(open_chip(options.path, options.baud, tries=options.tries), options)


async def examine(options: Options) -> tuple[Check, ...]:
    """Say how the chip is and what to do, for people."""
    from mdoc_reader.drivers import pn532_examine  # noqa: PLC0415 -- the daemon never needs it

    return await pn532_examine.examine(options.path, options.baud)


class _Foreign(Enum):
    """Technologies that are looked for only to name them."""

    TYPE_B = "a card of type B"
    FELICA = "a FeliCa card"


class Pn532Device:
    """An open PN532. Blocking, for one thread; `abort` and `close` are for any.

    Every call ends within 6 s, in most within some milliseconds: FWT is at most 4.95 s, and a chip that does not answer
    is given up half a second after it should have.
    """

    def __init__(self, chip: Pn532Chip, options: Options) -> None:
        """Take over an open chip."""
        self.chip = chip
        self._options = options
        self._empty = 0
        self._stumbles = 0
        self._frames: Pn532Frames | None = None
        self._seen: _Foreign | None = None
        self.words = f"{chip.firmware.words} at {chip.path}, {chip.baud} baud"

    def look(self) -> Field:
        """Look once. See `nfc.ports.NfcDevice`."""
        target = self._poll()
        if target is None:
            foreign = self._look_out()
            if foreign is None:
                self._stumbles = 0
                return Field(FieldKind.EMPTY)
            # A phone may speak all of them: it is a foreign thing only when it has nothing to say in type A.
            target = self.chip.list_a()
            if target is None:
                self._seen = foreign
                return Field(FieldKind.FOREIGN, words=foreign.value)
        return self._activated(target) if target.sak & _ISO_DEP else self._foreign_a(target)

    def occupied(self) -> bool:
        """Say whether anything is in the field. See `nfc.ports.NfcDevice`."""
        if self._poll() is not None:
            return True
        if self._seen is not None and self._sees(self._seen):
            return True
        self._seen = None
        return False

    def rest(self) -> None:
        """Switch the field off."""
        frames, self._frames = self._frames, None
        self.chip.field_off()
        if frames is not None and frames.kbits != _FIRST_RATE:
            frames.set_rate(_FIRST_RATE)  # the firmware sets the analog part by itself only where it talks itself

    def abort(self) -> None:
        """Make every call raise, the present one too. From any thread; never raises."""
        self.chip.abort()

    def close(self) -> None:
        """Switch the field off, and release the port. From any thread; never raises."""
        self.chip.close()

    def _poll(self) -> TargetA | None:
        """Ask for cards of type A, and tell phones in between what kind of reader this is."""
        if self._frames is not None:
            # A card in its protocol hears no request: it has to forget that first.
            self.rest()
            self.chip.pause(_OFF_S)
        for poll in range(self._options.polls):
            if poll and self._options.ecp:
                self._announce()
            target = self.chip.list_a()
            if target is not None:
                return target
        if self._options.polls == 1 and self._options.ecp:
            self._announce()
        return None

    def _announce(self) -> None:
        """Send the frame of enhanced contactless polling, which nobody answers.

        A request in vain has left the chip at 106 kbit/s without checksums, and at seven bits for the last byte.
        """
        self.chip.set_timer(1)
        self.chip.write_registers((BIT_FRAMING, 0x00))
        self.chip.through(ECP_IDENTITY, _ALERTED_S)

    def _look_out(self) -> _Foreign | None:
        """Nothing of type A is there: look for what else people hold to readers, now and then."""
        self._empty += 1
        for every, foreign in ((self._options.type_b, _Foreign.TYPE_B), (self._options.felica, _Foreign.FELICA)):
            if every and self._empty % every == 0 and self._sees(foreign):
                return foreign
        return None

    def _sees(self, foreign: _Foreign) -> bool:
        return self.chip.list_b() if foreign is _Foreign.TYPE_B else self.chip.list_felica()

    def _foreign_a(self, target: TargetA) -> Field:
        frames = Pn532Frames(self.chip)
        with contextlib.suppress(FrameLost, FrameBroken):
            frames.exchange(b"\x50\x00", 0.001)  # HLTA, which is never answered: this card hears no request any more
        if self.chip.list_a() is not None:
            return Field(FieldKind.SEVERAL, words="several cards of type A")
        return Field(FieldKind.FOREIGN, words=_FOREIGN_A.get(target.sak, "a type A card without the block protocol"))

    def _activated(self, target: TargetA) -> Field:
        """Begin the block protocol, and look whether that card is alone.

        The chip can list two cards with one command; but its manual leaves open in what state the first one is then,
        and InCommunicateThru, unlike InDataExchange, selects none. A card in its protocol does not hear requests, so
        whoever answers one now is another card: a transit card in the phone's case, say. That costs a look and a
        setting of registers, together 7 ms at 115200 baud.
        """
        frames = Pn532Frames(self.chip)
        try:
            card = activate(
                frames,
                random_uid=len(target.uid) == 4 and target.uid[0] == 0x08,
                words="a card or phone of type A",
                max_rate=self._options.max_rate,
                pause=self.chip.pause,
            )
        except CardError as error:
            # A phone that is still being moved in begins like this. What goes on like this is no phone.
            self._stumbles += 1
            self._frames = frames
            if self._stumbles < _MOST_STUMBLES:
                return Field(FieldKind.EMPTY)
            return Field(FieldKind.FOREIGN, words=f"something that breaks off the activation ({error.code})")
        self._frames = frames
        self._stumbles = 0
        if self.chip.list_a() is not None:
            return Field(FieldKind.SEVERAL, words="several cards or phones of type A")
        frames.restore()
        return Field(FieldKind.CARD, card, card.words)
