"""A Type 4 tag as a phone emulates one: capability container and NDEF file (NFC Forum Type 4 Tag, mapping 2 and 3).

What its messages say is for whoever makes it (`TagMessages`); reading and writing them is here, with the limits the
container states.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mdoc_reader.lab.nfc_behaviour import PastEnd, Step, TagBehaviour
from mdoc_reader.lab.phone_nfc_apdu import (
    END_OF_FILE,
    NO_FILE,
    NOT_FOUND,
    OUTSIDE,
    READ_BINARY,
    SECURITY,
    SELECT,
    UPDATE_BINARY,
    WRONG_INS,
    WRONG_LENGTH,
    WRONG_P1P2,
    Apdu,
    Refused,
    Reply,
    Steps,
)

NDEF_APPLICATION = bytes.fromhex("D2760000850101")
CAPABILITY_CONTAINER = 0xE103
_EMPTY_RECORD = b"\xd0\x00\x00"


@dataclass(frozen=True, slots=True)
class Shown:
    """A message in the file. The first `not_ready` looks at it find no message, or an empty record."""

    message: bytes = field(repr=False)
    not_ready: int = 0
    empty_record: bool = False


class TagMessages(Protocol):
    """What a tag says."""

    @property
    def writable(self) -> bool:
        """Whether messages can be written to it."""

    def begin(self) -> Shown:
        """Return the message shown after the application was selected."""

    def written(self, message: bytes) -> Shown:
        """Take a message that was written, and return the one that answers it."""

    def was_read(self, message: bytes) -> None:
        """Note that a message was read to its end, for the first time."""


def capability_container(behaviour: TagBehaviour, *, writable: bool) -> bytes:
    """Return the capability container."""
    access = bytes((0x00, 0x00 if writable else 0xFF))
    file = behaviour.file.to_bytes(2, "big")
    if behaviour.extended:
        control = b"\x06\x08" + file + behaviour.file_size.to_bytes(4, "big") + access
    else:
        control = b"\x04\x06" + file + behaviour.file_size.to_bytes(2, "big") + access
    body = (
        bytes((behaviour.version,))
        + behaviour.longest_read.to_bytes(2, "big")
        + behaviour.longest_write.to_bytes(2, "big")
        + behaviour.tlvs_before
        + control
        + behaviour.tlvs_after
    )
    return (len(body) + 2).to_bytes(2, "big") + body


class Type4Tag:
    """The NDEF application."""

    def __init__(
        self, messages: TagMessages, behaviour: TagBehaviour | None = None, steps: Steps | None = None
    ) -> None:
        """Show messages."""
        self._messages = messages
        self._behaviour = behaviour or TagBehaviour()
        self._steps = steps or Steps()
        self._octets = 4 if self._behaviour.extended else 2
        self._file: int | None = None
        self._shown = Shown(b"")
        self._looks = 0
        self._view = b""
        self._read_to = 0
        self._told = False
        self._inbox = bytearray()

    def select(self, apdu: Apdu) -> Reply:
        """Begin anew, with the first message."""
        self._steps.enter(Step.SELECT_NDEF)
        if self._behaviour.select_le not in {None, apdu.le is not None}:
            raise Refused(WRONG_LENGTH)
        self._file = None
        self._inbox.clear()
        first = self._messages.begin()
        raw = self._behaviour.raw_message
        self._show(first if raw is None else Shown(raw))
        return Reply(self._behaviour.select_data)

    def answer(self, apdu: Apdu) -> Reply:
        """Answer a selection of a file, READ BINARY or UPDATE BINARY."""
        if apdu.ins == SELECT:
            return self._select_file(apdu)
        if apdu.ins == READ_BINARY:
            return self._read(apdu)
        if apdu.ins == UPDATE_BINARY:
            return self._update(apdu)
        raise Refused(WRONG_INS)

    def _select_file(self, apdu: Apdu) -> Reply:
        if apdu.p1 != 0x00 or apdu.p2 not in self._behaviour.file_p2:
            raise Refused(WRONG_P1P2)
        if len(apdu.data) != 2:
            raise Refused(WRONG_LENGTH)
        file = int.from_bytes(apdu.data, "big")
        if file not in {CAPABILITY_CONTAINER, self._behaviour.file}:
            raise Refused(NOT_FOUND)
        self._steps.enter(Step.SELECT_CC if file == CAPABILITY_CONTAINER else Step.SELECT_FILE)
        self._file = file
        return Reply()

    def _read(self, apdu: Apdu) -> Reply:
        if self._file is None:
            raise Refused(NO_FILE)
        if apdu.data or apdu.le is None or (self._behaviour.strict and apdu.le > self._behaviour.longest_read):
            raise Refused(WRONG_LENGTH)
        if apdu.p1 & 0x80:
            raise Refused(WRONG_P1P2)
        if self._file == CAPABILITY_CONTAINER:
            self._steps.enter(Step.READ_CC)
            container = capability_container(self._behaviour, writable=self._messages.writable)
            return self._cut(container, apdu.offset, apdu.le)
        self._steps.enter(Step.READ_MESSAGE if apdu.offset else Step.READ_LENGTH)
        if apdu.offset == 0:
            self._look()
        content = self._view
        if self._behaviour.past_end is PastEnd.ZEROS:
            content = content.ljust(self._behaviour.file_size, b"\0")
        reply = self._cut(content, apdu.offset, apdu.le)
        self._note_read(apdu.offset, len(reply.data))
        return reply

    def _look(self) -> None:
        """Decide what this reading of the file finds."""
        message = self._shown.message
        self._looks += 1
        unready = self._looks <= self._shown.not_ready
        if unready:
            message = _EMPTY_RECORD if self._shown.empty_record else b""
        size = len(message)
        if self._behaviour.length_lie is not None and not unready:
            size = self._behaviour.length_lie
        self._view = size.to_bytes(self._octets, "big") + message
        self._read_to = 0

    def _note_read(self, offset: int, size: int) -> None:
        if offset <= self._read_to:
            self._read_to = max(self._read_to, offset + size)
        ready = self._looks > self._shown.not_ready
        if ready and not self._told and self._shown.message and self._read_to >= len(self._view):
            self._told = True
            self._messages.was_read(self._shown.message)

    def _cut(self, content: bytes, offset: int, asked: int) -> Reply:
        if offset + asked <= len(content):
            return Reply(content[offset : offset + asked])
        part = content[offset:]
        match self._behaviour.past_end:
            case PastEnd.SHORT_6282 if part:
                return Reply(part, END_OF_FILE)
            case PastEnd.SHORT_9000:
                return Reply(part)
            case PastEnd.SIX_C if 0 < len(part) <= 256:
                raise Refused(0x6C00 | (len(part) & 0xFF))
        raise Refused(OUTSIDE)

    def _update(self, apdu: Apdu) -> Reply:
        self._steps.enter(Step.UPDATE)
        if self._file is None:
            raise Refused(NO_FILE)
        if self._file == CAPABILITY_CONTAINER or not self._messages.writable:
            raise Refused(SECURITY)
        strict = self._behaviour.strict
        if not apdu.data or (strict and (len(apdu.data) > self._behaviour.longest_write or apdu.le is not None)):
            raise Refused(WRONG_LENGTH)
        end = apdu.offset + len(apdu.data)
        if apdu.p1 & 0x80 or end > self._behaviour.file_size:
            raise Refused(OUTSIDE)
        self._inbox.extend(bytes(max(0, end - len(self._inbox))))
        self._inbox[apdu.offset : end] = apdu.data
        # A length may come octet by octet; it stands once its last octet does.
        if apdu.offset < self._octets <= end:
            self._length_written()
        return Reply()

    def _length_written(self) -> None:
        size = int.from_bytes(self._inbox[: self._octets], "big")
        if size == 0:
            self._show(Shown(b""))
            return
        message = bytes(self._inbox[self._octets : self._octets + size])
        self._inbox.clear()
        self._show(self._messages.written(message))

    def _show(self, shown: Shown) -> None:
        self._shown = shown
        self._looks = 0
        self._read_to = 0
        self._told = False
        self._view = b""


class FixedMessage:
    """A tag that says one thing and cannot be written: a sticker, say."""

    writable = False

    def __init__(self, message: bytes) -> None:
        """Say `message`; nothing when it is empty."""
        self._message = message
        self.reads = 0

    def begin(self) -> Shown:
        """Show it."""
        return Shown(self._message)

    def written(self, message: bytes) -> Shown:
        """Show it again."""
        return self.begin()

    def was_read(self, message: bytes) -> None:
        """Count."""
        self.reads += 1
