"""Token status lists, as CWT and as JWT: a few bits for each document (IETF Token Status List; ISO 18013-5 12.3.6.5).

The octets of a list travel compressed, and are never inflated beyond a bound, however small what promises them is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.codes import AS_WRITTEN, Grading
from mdoc_reader.trust.revocation_list import OpenedList


def open_status_list(
    data: bytes,
    anchors: TrustAnchors,
    at: datetime,
    *,
    uri: str | None = None,
    named: Sequence[bytes] = (),
    grading: Grading = AS_WRITTEN,
) -> OpenedList:
    """Read and verify a status list, CWT (tagged or not) or JWT.

    Args:
        data: the file, of at most 32 MiB.
        anchors: the issuing authorities, to one of which its signer must lead,
        at: the moment it must hold at, with its zone.
        uri: where it came from, if that is known: it must say that it is for this address.
        named: or to one of these: DER certificates that signed documents name for their lists, or that were pinned.
        grading: how much findings about certificates weigh.

    A list with a finding of severity ERROR, one past its `exp` among them, is refused. Raises Malformed where it is no
    status list.
    """
    raise NotImplementedError
