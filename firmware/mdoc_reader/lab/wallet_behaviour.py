"""How a lab wallet answers: honestly, reluctantly, or in one of the ways a reader must catch.

What is wrong with the document itself (expired, unknown issuer) is not behaviour: see `situations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mdoc_reader.mdoc.response import DeviceAuthKind


class Garbage(StrEnum):
    """What a broken phone sends in place of its response."""

    ENCRYPTED_NOISE = "encrypted_noise"  # random bytes, encrypted as they should be
    ENCRYPTED_TRUNCATED = "encrypted_truncated"  # the right response, cut in half, then encrypted
    NOT_ENCRYPTED = "not_encrypted"  # the right response in the clear where ciphertext belongs
    NOT_A_MESSAGE = "not_a_message"  # random bytes in place of the whole session message


@dataclass(frozen=True, slots=True)
class WalletBehaviour:
    """One way of answering; the defaults are an honest wallet that signs.

    Args:
        device_auth: signature or MAC; a key that cannot do the one asked for does the other.
        decline: answers that the person said no: status 0 and no documents.
        withhold: element identifiers the person does not share.
        altered: element identifier to a value put in after issuing: its digest no longer fits.
        extra: element identifiers returned though nobody asked.
        duplicate: element identifiers returned twice.
        wrong_device_key: proves possession of some other key.
        wrong_transcript: binds the proof to another session.
        no_device_auth: leaves deviceSigned out.
        claimed_doctype: written as the Document's docType instead of the MSO's.
        device_signed: elements the phone signs itself, by namespace, put in unasked.
        element_errors: lists what was asked and is not returned, as errors.
        response_status: status of the DeviceResponse; other than 0 means no documents.
        wrong_session_key: encrypts under keys the reader does not share.
        garbage: sends this in place of the response.
        session_status: status sent along with the data; 20 ends the session at once.
        require_reader_auth: declines documents whose request no trusted reader signed.
    """

    device_auth: DeviceAuthKind = DeviceAuthKind.SIGNATURE
    decline: bool = False
    withhold: frozenset[str] = frozenset()
    altered: Mapping[str, object] = field(default_factory=dict, repr=False)
    extra: tuple[str, ...] = ()
    duplicate: frozenset[str] = frozenset()
    wrong_device_key: bool = False
    wrong_transcript: bool = False
    no_device_auth: bool = False
    claimed_doctype: str | None = None
    device_signed: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)
    element_errors: bool = False
    response_status: int = 0
    wrong_session_key: bool = False
    garbage: Garbage | None = None
    session_status: int | None = None
    require_reader_auth: bool = False


HONEST = WalletBehaviour()
