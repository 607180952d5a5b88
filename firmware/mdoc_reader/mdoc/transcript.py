"""The session transcript: what both sides must agree was said in the clear (ISO 18013-5 clause 9.1.5.1).

`SessionTranscript = [DeviceEngagementBytes, EReaderKeyBytes, Handover]`, put together from bytes as they travelled.
"""

from __future__ import annotations

from dataclasses import dataclass

from cbor2 import CBORTag

from mdoc_reader.mdoc import cbor
from mdoc_reader.model.reasons import Malformed, MalformedCode


@dataclass(frozen=True, slots=True)
class NfcHandover:
    """Handover Select message, and Handover Request message where handover was negotiated; without NLEN."""

    select: bytes
    request: bytes | None = None


def session_transcript(device_engagement: bytes, e_reader_key: bytes, handover: NfcHandover | None = None) -> bytes:
    """Return the encoded SessionTranscript (not yet in tag 24).

    Args:
        device_engagement: encoded DeviceEngagement as received, without tag 24.
        e_reader_key: encoded COSE_Key of the reader as sent, without tag 24.
        handover: None for QR engagement.
    """
    if handover is None:
        tail = b"\xf6"
    else:
        request = b"\xf6" if handover.request is None else cbor.bstr(handover.request)
        tail = b"\x82" + cbor.bstr(handover.select) + request
    return b"\x83" + cbor.embed(device_engagement) + cbor.embed(e_reader_key) + tail


def unwrap(data: bytes) -> bytes:
    """Return the bare transcript from bytes that hold it bare or in tag 24. Raises Malformed.

    Any array is accepted: the transcripts of other handovers differ in their parts.
    """
    value = cbor.decode(data)
    if isinstance(value, CBORTag):
        data = cbor.as_embedded(value, "SessionTranscript")
        value = cbor.decode(data)
    if len(cbor.as_array(value, "SessionTranscript")) != 3:
        raise Malformed(MalformedCode.WRONG_TYPE, "SessionTranscript", detail="three parts are expected")
    return data
