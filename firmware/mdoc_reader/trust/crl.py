"""Certificate revocation lists: whether one is believed, and what it is compiled to (RFC 5280 sections 5 and 6.3).

Taken are full lists of an issuing authority, signed by its own key or by one that it certified for the purpose under
its own name; a list that is one part of several counts for the certificates that name its address. Differences (delta
lists), lists that speak for other issuers, and lists of some reasons only are refused: none of them alone can say that
a certificate is good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mdoc_reader.model.reasons import Severity
from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.codes import AS_WRITTEN, Grading
from mdoc_reader.trust.revocation_list import OpenedList


def open_crl(
    data: bytes,
    anchors: TrustAnchors,
    at: datetime,
    signers: Sequence[bytes] = (),
    grading: Grading = AS_WRITTEN,
) -> OpenedList:
    """Read and verify a full CRL, DER or PEM.

    Args:
        data: the file, of at most 32 MiB. Certificates beside the list in PEM count as `signers`.
        anchors: the issuing authorities, of which its issuer must be one.
        at: the moment it must hold at, with its zone.
        signers: DER certificates that may have signed it in the authority's stead.
        grading: how much findings about certificates weigh.

    A list past its `nextUpdate` is taken, with a warning: it still tells who was revoked. One with a finding of
    severity ERROR is refused. Raises Malformed where it is no CRL.
    """
    raise NotImplementedError
