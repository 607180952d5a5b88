"""What an MSO says about its revocation: a place in a status list, or an entry of an identifier list.

ISO 18013-5 clause 12.3.6; the status list is that of the IETF's Token Status List. What a document names here is read
and nothing more: whether a list is believed, and what it says, is `trust`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed, MalformedCode

MAX_URI = 2048
MAX_IDENTIFIER = 256
MAX_INDEX = 2**32 - 1
MAX_CERTIFICATE = 16 * 1024
STATUS_LIST, IDENTIFIER_LIST = "status_list", "identifier_list"
_OURS = frozenset({STATUS_LIST, IDENTIFIER_LIST})


@dataclass(frozen=True, slots=True)
class StatusListInfo:
    """A place in the status list of an address. `certificate` (DER): who stands above that list's signer, if named."""

    idx: int = field(repr=False)
    uri: str
    certificate: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class IdentifierListInfo:
    """What the document is called in the identifier list of an address. `certificate` as for status lists."""

    id: bytes = field(repr=False)
    uri: str
    certificate: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Status:
    """The ways of revocation a document names. `others`: it names some that this reader does not know."""

    status_list: StatusListInfo | None = None
    identifier_list: IdentifierListInfo | None = None
    others: bool = False


def parse(value: Mapping[object, object], path: str = "MSO.status") -> Status:
    """Read the MSO's status map as it was decoded. Raises Malformed."""
    placed, named = value.get(STATUS_LIST), value.get(IDENTIFIER_LIST)
    return Status(
        None if placed is None else _status_list(cbor.as_map(placed, f"{path}.{STATUS_LIST}"), f"{path}.{STATUS_LIST}"),
        None
        if named is None
        else _identifier_list(cbor.as_map(named, f"{path}.{IDENTIFIER_LIST}"), f"{path}.{IDENTIFIER_LIST}"),
        any(key not in _OURS for key in value),
    )


def _status_list(given: Mapping[object, object], path: str) -> StatusListInfo:
    idx = cbor.as_int(cbor.need(given, "idx", path), f"{path}.idx", maximum=MAX_INDEX)
    return StatusListInfo(idx, _uri(given, path), _certificate(given, path))


def _identifier_list(given: Mapping[object, object], path: str) -> IdentifierListInfo:
    identifier = cbor.need_bytes(given, "id", path)
    if not 0 < len(identifier) <= MAX_IDENTIFIER:
        raise Malformed(MalformedCode.BAD_VALUE, f"{path}.id", detail=f"from 1 to {MAX_IDENTIFIER} bytes")
    return IdentifierListInfo(identifier, _uri(given, path), _certificate(given, path))


def _uri(given: Mapping[object, object], path: str) -> str:
    return cbor.need_text(given, "uri", path, maximum=MAX_URI)


def _certificate(given: Mapping[object, object], path: str) -> bytes | None:
    if "certificate" not in given:
        return None
    certificate = cbor.as_bytes(given["certificate"], f"{path}.certificate")
    if not 0 < len(certificate) <= MAX_CERTIFICATE:
        raise Malformed(MalformedCode.BAD_VALUE, f"{path}.certificate", detail="empty or too large")
    return certificate
