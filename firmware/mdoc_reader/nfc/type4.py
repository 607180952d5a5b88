"""Type 4 tags: finding, reading and writing the one NDEF message a phone shows (NFC Forum Type 4 Tag, mapping 2 and 3).

The length is read alone, and then exactly as many bytes as there are. Reading more at once would save a command on
paper; but phones build the file as they go, and wallets in use answer a read beyond its end with an error, and with
errors only from then on. The same goes for Le 00, which some take for zero: 255 is the most a short read asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

from mdoc_reader.mdoc import ndef
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.nfc import apdu
from mdoc_reader.nfc.apdu import Refused, Way
from mdoc_reader.nfc.ports import CardError, FieldCode
from mdoc_reader.nfc.procedure import Procedure, Response

APPLICATION = bytes.fromhex("d2760000850101")
CAPABILITY_CONTAINER = 0xE103
_RESERVED_FILES = frozenset({0x0000, 0xE102, 0xE103, 0x3F00, 0x3FFF, 0xFFFF})
_CC_SHORTEST = 15
_CC_LONGEST = 255
_FILE_CONTROL, _EXTENDED_FILE_CONTROL = 0x04, 0x06
_SMALLEST_MLE = 15
_OFFSETS = 0x8000  # P1 has fifteen bits of offset; what lies beyond is no handover


@dataclass(frozen=True, slots=True)
class CapabilityContainer:
    """What a tag says about itself.

    Attributes:
        version: major and minor mapping version.
        longest_read: MLe, the most data in one response.
        longest_write: MLc, the most data in one command; 0 when nothing can be written.
        file: identifier of the NDEF file.
        file_size: the most bytes the file holds, with its length.
        length_octets: how the message's length is written: 2 octets (NLEN) or 4 (ENLEN).
        readable: whether reading is allowed without anything else.
        writable: the same for writing.
    """

    version: tuple[int, int]
    longest_read: int
    longest_write: int
    file: int
    file_size: int
    length_octets: int
    readable: bool
    writable: bool


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag whose NDEF file is selected."""

    cc: CapabilityContainer
    way: Way


def select_application() -> Procedure[None]:
    """Select the NDEF application. Raises CardError; `apdu.Refused` where there is none, as on a locked phone."""
    response = yield from apdu.one(apdu.encode(apdu.SELECT, 0x04, 0x00, APPLICATION, 256))
    if response.sw == apdu.WRONG_LENGTH:
        response = yield from apdu.one(apdu.encode(apdu.SELECT, 0x04, 0x00, APPLICATION))
    # File control information has no use here: what was left of it (61xx) is not fetched.
    if response.sw != apdu.OK and response.sw >> 8 != 0x61:
        raise Refused("SELECT NDEF application", response.sw)


def open_tag(way: Way) -> Procedure[Tag]:
    """Read the capability container and select the NDEF file; the application is selected.

    Raises CardError, `apdu.Refused` among them, and Malformed.
    """
    yield from _select_file(CAPABILITY_CONTAINER, "SELECT capability container")
    raw, wanted = b"", _CC_SHORTEST
    while len(raw) < wanted and (len(raw) < _CC_SHORTEST or not _control(raw[7:])):
        step = min(wanted - len(raw), _CC_SHORTEST)  # what every card can give at once
        raw += yield from _read(way, len(raw), step, "READ capability container")
        length = int.from_bytes(raw[:2], "big") if len(raw) > 1 else 0
        if length > _CC_LONGEST:
            raise Malformed(MalformedCode.TOO_LARGE, "cc", 0, f"{length} bytes, at most {_CC_LONGEST}")
        wanted = max(length, _CC_SHORTEST)
    cc = parse_cc(raw)
    yield from _select_file(cc.file, "SELECT NDEF file")
    return Tag(cc, way)


def parse_cc(raw: bytes) -> CapabilityContainer:
    """Read a capability container, as far as its NDEF file control TLV. Raises Malformed."""
    path = "cc"
    if len(raw) < _CC_SHORTEST or int.from_bytes(raw[:2], "big") < _CC_SHORTEST:
        raise Malformed(MalformedCode.TRUNCATED, path, len(raw))
    version = raw[2] >> 4, raw[2] & 15
    if version[0] not in {2, 3}:
        raise Malformed(MalformedCode.UNSUPPORTED, path, 2, "mapping version 2 or 3 is expected")
    longest_read, longest_write = int.from_bytes(raw[3:5], "big"), int.from_bytes(raw[5:7], "big")
    if longest_read < _SMALLEST_MLE:
        raise Malformed(MalformedCode.BAD_VALUE, path, 3, "MLe is too small")
    found = _control(raw[7 : int.from_bytes(raw[:2], "big")])
    if not found:
        raise Malformed(MalformedCode.MISSING_KEY, path, 7, "no NDEF file control")
    kind, value = found
    file = int.from_bytes(value[:2], "big")
    if file in _RESERVED_FILES:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="the NDEF file has a reserved identifier")
    octets = 2 if kind == _FILE_CONTROL else 4
    size = int.from_bytes(value[2:-2], "big")
    if size <= octets:
        raise Malformed(MalformedCode.BAD_VALUE, path, detail="the NDEF file has no room for a message")
    return CapabilityContainer(
        version, longest_read, longest_write, file, size, octets, value[-2] == 0, value[-1] == 0 and longest_write > 0
    )


def _control(blocks: bytes) -> tuple[int, bytes] | None:
    """Return kind and value of the NDEF file control block, when it is whole; blocks of other kinds are passed over."""
    at = 0
    while at + 2 <= len(blocks):
        kind, length = blocks[at], blocks[at + 1]
        value = blocks[at + 2 : at + 2 + length]
        if kind in {_FILE_CONTROL, _EXTENDED_FILE_CONTROL} and len(value) == length:
            if length != (6 if kind == _FILE_CONTROL else 8):
                raise Malformed(MalformedCode.BAD_VALUE, "cc", 7 + at, "a file control of another length")
            return kind, value
        at += 2 + length
    return None


def read_message(tag: Tag) -> Procedure[bytes]:
    """Return the NDEF message in the file, without its length; empty while there is none.

    Raises CardError and Malformed: TOO_LARGE for what is longer than its file, or than this reader takes.
    """
    octets = tag.cc.length_octets
    raw = yield from _read(tag.way, 0, octets, "READ length")
    while len(raw) < octets:
        raw += yield from _read(tag.way, len(raw), octets - len(raw), "READ length")
    size = int.from_bytes(raw, "big")
    if size > min(ndef.MAX_MESSAGE, tag.cc.file_size - octets, _OFFSETS - octets):
        raise Malformed(MalformedCode.TOO_LARGE, "ndef_file", 0, f"a message of {size} bytes")
    most = min(tag.cc.longest_read, tag.way.answer(apdu.LONGEST_ANSWER))
    if size <= apdu.SHORT_DATA or most <= apdu.SHORT_ANSWER:
        most = min(most, apdu.SHORT_DATA)
    message = b""
    while len(message) < size:
        asked = min(size - len(message), most)
        try:
            message += yield from _read(tag.way, octets + len(message), asked, "READ BINARY")
        except Refused:
            # The container promises extended lengths, and not every phone that says so keeps to it.
            if asked <= apdu.SHORT_DATA:
                raise
            most = apdu.SHORT_DATA
    return message


def write_message(tag: Tag, message: bytes) -> Procedure[None]:
    """Write an NDEF message: in one command where it fits, else length zero, the data, and the length last.

    Short commands only: an extended one saves nothing worth having here, and is another thing to be refused.
    Raises CardError; Malformed TOO_LARGE when the file has no room for it.
    """
    octets = tag.cc.length_octets
    size = len(message).to_bytes(octets, "big")
    if octets + len(message) > min(tag.cc.file_size, _OFFSETS):
        raise Malformed(MalformedCode.TOO_LARGE, "ndef_file", detail=f"no room to write {len(message)} bytes")
    most = min(tag.cc.longest_write, tag.way.data(apdu.SHORT_DATA), apdu.SHORT_DATA)
    if octets + len(message) <= most:
        yield from _update(0, size + message)
        return
    # A card that takes less than a length at once gets its octets one by one.
    yield from _update_all(0, bytes(octets), most)
    yield from _update_all(octets, message, most)
    yield from _update_all(0, size, most)


def _update_all(offset: int, data: bytes, most: int) -> Procedure[None]:
    for at in range(0, len(data), most):
        yield from _update(offset + at, data[at : at + most])


def _update(offset: int, data: bytes) -> Procedure[None]:
    response = yield from apdu.one(apdu.encode(apdu.UPDATE_BINARY, offset >> 8, offset & 0xFF, data))
    if response.sw != apdu.OK:
        raise Refused("UPDATE BINARY", response.sw)


def _select_file(file: int, step: str) -> Procedure[None]:
    """Select a file without asking for file control information, and asking for it where that is refused."""
    name = file.to_bytes(2, "big")
    response = yield from apdu.one(apdu.encode(apdu.SELECT, 0x00, 0x0C, name))
    if response.sw != apdu.OK and response.sw >> 8 != 0x61:
        response = yield from apdu.one(apdu.encode(apdu.SELECT, 0x00, 0x00, name, 256))
    if response.sw != apdu.OK and response.sw >> 8 != 0x61:
        raise Refused(step, response.sw)


def _read(way: Way, offset: int, asked: int, step: str) -> Procedure[bytes]:
    """Read up to `asked` bytes, at least one."""
    response: Response = yield from apdu.exchange(way, apdu.READ_BINARY, offset >> 8, offset & 0xFF, le=asked)
    if response.sw not in {apdu.OK, apdu.END_OF_FILE}:
        raise Refused(step, response.sw)
    if not response.data or len(response.data) > asked:
        raise CardError(FieldCode.PROTOCOL, f"{step}: {len(response.data)} bytes where {asked} were asked for")
    return response.data
