"""The findings that depend on what time it is: where the clock is in doubt, so are they."""

from __future__ import annotations

from mdoc_reader.model.reasons import ReasonCode
from mdoc_reader.trust.codes import CertificateCode
from mdoc_reader.verification.codes import VerificationCode

TIME_CODES: frozenset[ReasonCode] = frozenset(
    {
        VerificationCode.NOT_YET_VALID,
        VerificationCode.EXPIRED,
        CertificateCode.SIGNER_NOT_YET_VALID,
        CertificateCode.SIGNER_EXPIRED,
        CertificateCode.ANCHOR_NOT_YET_VALID,
        CertificateCode.ANCHOR_EXPIRED,
        CertificateCode.ANCHOR_LIST_EXPIRED,
        CertificateCode.LINK_NOT_YET_VALID,
        CertificateCode.LINK_EXPIRED,
    }
)
