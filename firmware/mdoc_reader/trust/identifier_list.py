"""Identifier lists: the documents that are revoked, by name (ISO 18013-5 12.3.6.6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.codes import AS_WRITTEN, Grading
from mdoc_reader.trust.revocation_list import OpenedList


def open_identifier_list(
    data: bytes,
    anchors: TrustAnchors,
    at: datetime,
    *,
    uri: str | None = None,
    named: Sequence[bytes] = (),
    grading: Grading = AS_WRITTEN,
) -> OpenedList:
    """Read and verify an identifier list, a CWT; everything as for `status_list.open_status_list`."""
    raise NotImplementedError
