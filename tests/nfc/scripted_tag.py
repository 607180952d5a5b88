"""Cards that answer APDUs from a script, and NDEF messages made by ndeflib: the far end of what is said to a card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

import ndef
from cryptography.hazmat.primitives.asymmetric import ec

from mdoc_reader.mdoc import cbor, keys
from mdoc_reader.nfc.ports import CardError, FieldCode
from mdoc_reader.nfc.procedure import Procedure, perform

T = TypeVar("T")
Answer = Callable[[bytes], bytes]
OK = b"\x90\x00"
NOT_FOUND = b"\x6a\x82"
NDEF_APPLICATION = bytes.fromhex("d2760000850101")
UUID_PHONE = UUID("0000aaaa-1111-2222-3333-444455556666")
UUID_READER = UUID("0000bbbb-1111-2222-3333-444455556666")
ENGAGEMENT = (
    b"\xa2\x00\x631.0\x01\x82\x01"
    + cbor.embed(keys.encode_cose_key(ec.derive_private_key(7, ec.SECP256R1()).public_key()))
)  # fmt: skip


class ScriptedCard:
    """A `ports.Card` in front of a function; lost after `lives` commands."""

    words = "a script"
    longest_silence_s = 5.0

    def __init__(
        self,
        answer: Answer,
        *,
        command: int = 261,
        response: int = 258,
        random_uid: bool = True,
        lives: int = 1_000_000,
    ) -> None:
        self.longest_command = command
        self.longest_response = response
        self.random_uid = random_uid
        self.on_frame: Callable[[], None] = lambda: None
        self.sent: list[bytes] = []
        self._answer = answer
        self._lives = lives

    def transmit(self, command: bytes) -> bytes:
        assert len(command) <= self.longest_command, "more than the front end carries"
        if len(self.sent) >= self._lives:
            raise CardError(FieldCode.LOST)
        self.sent.append(command)
        answer = self._answer(command)
        assert len(answer) <= self.longest_response, "the script answers more than the front end carries"
        return answer

    def give_up(self) -> None:
        raise AssertionError("nobody gives up here")

    def leave(self) -> None:
        raise AssertionError("nobody leaves here")


@dataclass
class Walked:
    """What a procedure said, and how long it waited."""

    sent: list[bytes] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)


def walk(procedure: Procedure[T], card: ScriptedCard) -> tuple[T, Walked]:
    """Walk a procedure to its result."""
    walked = Walked(card.sent)
    return perform(procedure, card, walked.pauses.append), walked


@dataclass(frozen=True)
class Taken:
    """A command taken apart by the letter of ISO/IEC 7816-4, on its own: nothing of the reader's is used for it."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes
    le: int | None
    extended: bool


def take_apart(command: bytes) -> Taken:
    head, body = command[:4], command[4:]
    extended = len(body) > 2 and body[0] == 0
    if extended:
        if len(body) == 3:
            return Taken(*head, b"", int.from_bytes(body[1:], "big") or 65536, True)
        length = int.from_bytes(body[1:3], "big")
        data, tail = body[3 : 3 + length], body[3 + length :]
        assert len(data) == length
        assert len(tail) in {0, 2}
        return Taken(*head, data, (int.from_bytes(tail, "big") or 65536) if tail else None, True)
    if len(body) <= 1:
        return Taken(*head, b"", (body[0] or 256) if body else None, False)
    data, tail = body[1 : 1 + body[0]], body[1 + body[0] :]
    assert len(data) == body[0]
    assert len(tail) in {0, 1}
    return Taken(*head, data, (tail[0] or 256) if tail else None, False)


def container(
    *, file: int = 0xE104, mle: int = 0xFF, mlc: int = 0xFF, size: int = 0x7FFF, write: int = 0, version: int = 0x20
) -> bytes:
    """Return the capability container of nearly every tag there is."""
    control = b"\x04\x06" + file.to_bytes(2, "big") + size.to_bytes(2, "big") + bytes((0, write))
    return b"\x00\x0f" + bytes((version,)) + mle.to_bytes(2, "big") + mlc.to_bytes(2, "big") + control


class TagCard:
    """A Type 4 tag, strict about everything a tag may be strict about: one error, and it answers only errors.

    `on_message` is told each message written, and returns what is shown from then on: each once its length is read
    again, and the last for good.
    """

    def __init__(
        self,
        message: bytes = b"",
        *,
        cc: bytes | None = None,
        file: int = 0xE104,
        mle: int = 0xFF,
        mlc: int = 0xFF,
        octets: int = 2,
        on_message: Callable[[bytes], list[bytes]] | None = None,
        most_at_once: int = 1_000_000,
        extended: bool = True,
    ) -> None:
        self.cc = cc or container(file=file, mle=mle, mlc=mlc, write=0 if on_message else 0xFF)
        self.written: list[bytes] = []
        self.reads = 0
        self.updates = 0
        self._file, self._mle, self._mlc, self._octets = file, mle, mlc, octets
        self._on_message = on_message
        self._most = most_at_once
        self._extended = extended
        self._shown = [message]
        self._seen = False
        self._selected = b""
        self._buffer: bytearray | None = None
        self._sizing = b""
        self._broken = False

    def __call__(self, raw: bytes) -> bytes:
        command = take_apart(raw)
        if self._broken:
            return b"\x6f\x00"
        answer = self._answer(command)
        if answer[-2:] not in {OK, NOT_FOUND}:
            self._broken = True
        return answer

    def _content(self) -> bytes:
        shown = self._shown[0]
        return len(shown).to_bytes(self._octets, "big") + shown

    def _answer(self, command: Taken) -> bytes:
        if command.ins == 0xA4:
            return self._select(command)
        if command.ins == 0xB0:
            return self._read(command)
        if command.ins == 0xD6 and self._on_message is not None:
            return self._update(command)
        return b"\x6d\x00"

    def _select(self, command: Taken) -> bytes:
        if (command.p1, command.p2) == (4, 0):
            return OK if command.data == NDEF_APPLICATION else NOT_FOUND
        if (command.p1, command.p2, command.le) != (0, 0x0C, None):
            return b"\x6a\x86"
        names = {0xE103: "cc", self._file: "ndef"}
        self._selected = names.get(int.from_bytes(command.data, "big"), "").encode()
        return OK if self._selected else NOT_FOUND

    def _read(self, command: Taken) -> bytes:
        self.reads += 1
        offset = command.p1 << 8 | command.p2
        if self._selected == b"ndef" and offset == 0:
            if self._seen and len(self._shown) > 1:
                self._shown.pop(0)
            self._seen = True
        content = self.cc if self._selected == b"cc" else self._content()
        if command.le is None or command.data or (command.extended and not self._extended):
            return b"\x67\x00"
        if command.le > max(self._mle, 15) or offset + command.le > len(content):
            return b"\x6b\x00"
        return content[offset : offset + min(command.le, self._most)] + OK

    def _update(self, command: Taken) -> bytes:
        self.updates += 1
        offset = command.p1 << 8 | command.p2
        if not command.data or len(command.data) > self._mlc or command.le is not None:
            return b"\x67\x00"
        if offset >= self._octets:
            if self._buffer is None or offset - self._octets != len(self._buffer):
                return b"\x6f\x01"
            self._buffer += command.data
            return OK
        if offset == 0 and len(command.data) > self._octets:
            size = int.from_bytes(command.data[: self._octets], "big")
            return self._done(command.data[self._octets :], size)
        self._sizing = self._sizing[:offset] + command.data
        if len(self._sizing) < self._octets:
            return OK
        size, self._sizing = int.from_bytes(self._sizing, "big"), b""
        if size == 0:
            self._buffer = bytearray()
            return OK
        return self._done(bytes(self._buffer or b""), size)

    def _done(self, message: bytes, size: int) -> bytes:
        if len(message) != size or self._on_message is None:
            return b"\x6f\x02"
        self._buffer = None
        self.written.append(message)
        self._shown, self._seen = list(self._on_message(message)), False
        return OK


# What follows makes messages, by ndeflib alone.


def encoded(records: Sequence[ndef.Record]) -> bytes:
    return b"".join(ndef.message_encoder(records))


def bluetooth(role: int, uuid: UUID | None = None, name: str = "0", address: str | None = None) -> ndef.Record:
    """Return a carrier record; `role` is the sender's: 0 peripheral, 1 central, 2 and 3 both."""
    record = ndef.BluetoothLowEnergyRecord()
    record.name = name
    record["LE Role"] = bytes((role,))
    if uuid is not None:
        record["Complete List of 128-bit Service Class UUIDs"] = uuid.bytes[::-1]
    if address is not None:
        record.device_address = (address, "random")
    return record


def nfc_carrier(command: int = 0xFFFF, response: int = 0x10000, name: str = "nfc") -> ndef.Record:
    sizes = [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (command, response)]
    payload = b"\x01" + b"".join(bytes((1 + len(size), 1 + index)) + size for index, size in enumerate(sizes))
    return ndef.Record("urn:nfc:ext:iso.org:18013:nfc", name, payload)


def engagement_record(content: bytes = ENGAGEMENT) -> ndef.Record:
    return ndef.Record("urn:nfc:ext:iso.org:18013:deviceengagement", "mdoc", content)


def select_message(
    *carriers: ndef.Record,
    version: str = "1.5",
    extra: Sequence[ndef.Record] = (),
    order: Sequence[int] | None = None,
    content: bytes = ENGAGEMENT,
) -> bytes:
    """Return a Handover Select. `order` is that of the ac records, by index of their carriers."""
    opening = ndef.HandoverSelectRecord(version)
    for index in order or range(len(carriers)):
        opening.add_alternative_carrier("active", carriers[index].name, "mdoc")
    return encoded([opening, *extra, engagement_record(content), *carriers])


def service_message(
    name: bytes = b"urn:nfc:sn:handover", *, wait: int = 0, extensions: int = 15, largest: int = 0xFFFF
) -> bytes:
    return encoded([service_record(name, wait=wait, extensions=extensions, largest=largest)])


def service_record(
    name: bytes = b"urn:nfc:sn:handover",
    *,
    wait: int = 0,
    extensions: int = 15,
    largest: int = 0xFFFF,
    version: int = 0x10,
) -> ndef.Record:
    payload = bytes((version, len(name))) + name + bytes((0, wait, extensions)) + largest.to_bytes(2, "big")
    return ndef.Record("urn:nfc:wkt:Tp", "", payload)


def status_message(status: int = 0) -> bytes:
    return encoded([ndef.Record("urn:nfc:wkt:Te", "", bytes((status,)))])
