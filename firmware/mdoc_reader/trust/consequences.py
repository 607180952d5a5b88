"""What else is found in a certificate just because of one thing that is wrong with it.

Such findings are told, and are not what to repair: whoever repairs the one has repaired them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mdoc_reader.model.reasons import ReasonCode, Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust.codes import CertificateCode

_C = CertificateCode
CONSEQUENCES: Mapping[CertificateCode, frozenset[CertificateCode]] = {
    # Without extensions, all that they would say is missing.
    _C.CERTIFICATE_VERSION: frozenset(
        {
            _C.AUTHORITY_KEY_MISSING,
            _C.SUBJECT_KEY_MISSING,
            _C.KEY_USAGE_MISSING,
            _C.SIGNER_EKU_MISSING,
            _C.LINK_EKU_MISSING,
            _C.ISSUER_ALT_NAME_MISSING,
            _C.CRL_POINT_MISSING,
            _C.ANCHOR_NOT_AUTHORITY,
            _C.CRL_SIGNER_KEY_USAGE,
        }
    ),
    _C.CERTIFICATE_TIMES: frozenset({_C.SIGNER_EXPIRED, _C.SIGNER_NOT_YET_VALID, _C.ANCHOR_EXPIRED, _C.LINK_EXPIRED}),
    _C.SIGNER_IS_AUTHORITY: frozenset({_C.SIGNER_KEY_USAGE, _C.SIGNER_KEY_USAGE_MORE}),
    _C.ANCHOR_NOT_AUTHORITY: frozenset({_C.PATH_LENGTH_MISSING, _C.CONSTRAINTS_NOT_CRITICAL}),
    _C.AUTHORITY_KEY_USAGE: frozenset({_C.CRL_SIGN_MISSING, _C.AUTHORITY_KEY_USAGE_MORE, _C.CRL_SIGNER_KEY_USAGE}),
    _C.SIGNER_EKU_OTHER: frozenset({_C.SIGNER_EKU_NOT_CRITICAL}),
    _C.SIGNER_TOO_LONG: frozenset({_C.OUTLIVES_ISSUER}),
    _C.ANCHOR_EXPIRED: frozenset({_C.OUTLIVES_ISSUER}),
    _C.COUNTRY_FORMAT: frozenset({_C.COUNTRY_MISMATCH}),
    _C.NAME_REPEATS: frozenset({_C.COUNTRY_MISMATCH, _C.STATE_MISMATCH}),
    _C.SUBJECT_KEY_MISSING: frozenset({_C.AUTHORITY_KEY_MISMATCH}),
    _C.SUBJECT_KEY_MISMATCH: frozenset({_C.AUTHORITY_KEY_MISMATCH}),
    _C.KEY_UNSUPPORTED: frozenset({_C.PATH_ALGORITHM, _C.ROOT_SIGNATURE}),
}
"""What else is found just because of one thing: such findings are told, and are not what to repair."""


def derived(findings: Iterable[Finding]) -> frozenset[ReasonCode]:
    """Return the codes among findings that are there only because of another one."""
    present = {finding.code for finding in findings}
    found: set[ReasonCode] = set()
    for code in present:
        if isinstance(code, CertificateCode):
            found |= CONSEQUENCES.get(code, frozenset()) & present
    return frozenset(found)


def primary(findings: Iterable[Finding]) -> Finding | None:
    """Return what to repair first: the heaviest finding that is no consequence of another; None for no findings."""
    every = tuple(findings)
    consequences = derived(every)
    for severity in (Severity.ERROR, Severity.WARNING, Severity.INFO):
        for finding in every:
            if finding.severity is severity and finding.code not in consequences:
                return finding
    return None
