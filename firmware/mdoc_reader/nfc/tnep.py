"""Exchanging NDEF messages with a tag that answers (NFC Forum Tag NDEF Exchange Protocol 1.0).

A tag names its services in its first message (Tp records). The reader writes which one it wants (Ts), reads whether it
may have it (Te), then writes requests and reads answers. Between writing and reading it waits as long as the service
asked, and again for as often as the service may say "not yet" by showing an empty message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mdoc_reader.mdoc import ndef
from mdoc_reader.mdoc.ndef import Record, Tnf
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.nfc import type4
from mdoc_reader.nfc.procedure import Pause, Procedure

HANDOVER = b"urn:nfc:sn:handover"
PARAMETER, SELECT, STATUS = b"Tp", b"Ts", b"Te"
MAX_WAIT_S = 10.0
"""The most this reader waits for one answer in all, whatever the service asks for."""
_EMPTY = b"\xd0\x00\x00"  # a message of one empty record: another way of showing nothing
_MODES = 0x3F


class NotReady(Exception):  # noqa: N818 -- what the tag said, not a defect
    """The service asked for more time than it announced, or than this reader gives."""


class ServiceRefused(Exception):  # noqa: N818 -- see above
    """The service was selected, and the tag said no. `status` is what it gave as its reason."""

    def __init__(self, status: int) -> None:
        """Keep the status of the Te record."""
        self.status = status
        super().__init__(status)


@dataclass(frozen=True, slots=True)
class Service:
    """A service a tag offers: its name, how long it may be waited for, and how large a message it takes in bytes."""

    name: bytes
    wait_s: float
    extensions: int
    largest: int


def services(records: Sequence[Record]) -> tuple[Service, ...]:
    """Return the services in a message, in its order. Raises Malformed."""
    return tuple(
        _service(record.payload, f"tp[{index}]")
        for index, record in enumerate(records)
        if record.is_a(Tnf.WELL_KNOWN, PARAMETER)
    )


def _service(payload: bytes, path: str) -> Service:
    """Read version, name, mode, WT_INT, N_WAIT and the largest message; a later minor version may add to them."""
    if len(payload) < 2:
        raise Malformed(MalformedCode.TRUNCATED, path, len(payload))
    if payload[0] >> 4 != 1:
        raise Malformed(MalformedCode.UNSUPPORTED, path, 0, "major version 1 is expected")
    length = payload[1]
    name, rest = payload[2 : 2 + length], payload[2 + length :]
    if not length or len(name) != length or len(rest) < 5:
        raise Malformed(MalformedCode.TRUNCATED, path, len(payload))
    # tWait is 2 to the power of (WT_INT / 4 - 1), in milliseconds. N_WAIT has four bits by the letter, and phones in
    # use ask for more: the octet is taken as it stands, for all waits together have an end anyhow.
    wait = 2 ** ((rest[1] & _MODES) / 4 - 1) / 1000
    return Service(name, wait, rest[2], int.from_bytes(rest[3:5], "big"))


def select(tag: type4.Tag, service: Service) -> Procedure[None]:
    """Select a service. Raises CardError, Malformed, NotReady, ServiceRefused."""
    payload = bytes((len(service.name),)) + service.name
    answer = yield from exchange(tag, service, bytes((0xD1, 2, len(payload))) + SELECT + payload)
    found = [record.payload for record in ndef.parse(answer, "tnep") if record.is_a(Tnf.WELL_KNOWN, STATUS)]
    if len(found) != 1 or not found[0]:
        raise Malformed(MalformedCode.MISSING_KEY, "tnep", detail="one status record is expected")
    if found[0][0] != 0:
        raise ServiceRefused(found[0][0])


def exchange(tag: type4.Tag, service: Service, message: bytes) -> Procedure[bytes]:
    """Write a message and return the one that answers. Raises CardError, Malformed, NotReady."""
    if len(message) > service.largest:
        raise Malformed(MalformedCode.TOO_LARGE, "tnep", detail=f"the service takes {service.largest} bytes")
    yield from type4.write_message(tag, message)
    waited = 0.0
    for _ in range(1 + service.extensions):
        waited += service.wait_s
        if waited > MAX_WAIT_S:
            break
        yield Pause(service.wait_s)
        answer = yield from type4.read_message(tag)
        if answer and answer != _EMPTY:
            return answer
    raise NotReady
