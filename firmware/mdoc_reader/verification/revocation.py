"""Is the document revoked, or its signer? What the lists held say, as findings and as a check (ISO 18013-5 12.3.6).

What says `revoked` or `suspended` is an error. Where no list tells, or one that is too old, the check stays
undetermined: what that means is the profile's to say.
"""

from __future__ import annotations

from datetime import datetime

from mdoc_reader.mdoc import cose, mso, response, status
from mdoc_reader.model.reasons import Malformed, Severity
from mdoc_reader.model.verdict import Check, CheckState, Finding
from mdoc_reader.trust.revocation import Answer, Revocations, Status
from mdoc_reader.trust.revocation_codes import RevocationCode
from mdoc_reader.verification import certificate
from mdoc_reader.verification.ledger import Ledger

_REFUSED = frozenset({Status.REVOKED, Status.SUSPENDED, Status.REFUSED})
_OPEN = frozenset({Status.UNKNOWN, Status.STALE, Status.APPLICATION})
_SIGNER, _DOCUMENT = "signer", "MSO.status"


def check_revocation(
    document: response.Document,
    security: mso.MobileSecurityObject,
    signer: certificate.Signer | None,
    revocations: Revocations,
    ledger: Ledger,
    *,
    at: datetime,
) -> None:
    """Ask the lists about a document and its signer, and write down what they say."""
    answers = []
    anchor = None if signer is None else signer.anchor
    if anchor is not None:  # of a signer nobody vouches for, nobody's list tells
        leaf = cose.certificate_chain(document.issuer_auth, "x5chain")[0][0]
        answers.append((_SIGNER, revocations.of_signer(leaf, anchor, at, document.doctype)))
    where = _DOCUMENT
    if security.status is None:
        answer = Answer(Status.NONE, RevocationCode.STATUS_NONE)
    else:
        try:
            answer = revocations.of_document(status.parse(security.status), anchor, at, document.doctype)
        except Malformed as problem:
            answer, where = Answer(Status.UNKNOWN, RevocationCode.STATUS_MALFORMED), problem.path
    answers.append((where, answer))
    for place, each in answers:
        _write_down(each, place, ledger)
    found = {each.status for _, each in answers}
    if found & _OPEN:
        ledger.settle(Check.REVOCATION, CheckState.UNDETERMINED)
    elif Status.VALID in found:
        ledger.settle(Check.REVOCATION, CheckState.PASSED)


def _write_down(answer: Answer, where: str, ledger: Ledger) -> None:
    code = answer.code
    if code is None:
        return
    severity = Severity.INFO if answer.status is Status.NONE else Severity.WARNING
    if answer.status in _REFUSED:
        ledger.checks[Check.REVOCATION] = CheckState.FAILED
        severity = Severity.ERROR
    told = code.operator if answer.issued is None else f"{code.operator} (list of {answer.issued:%Y-%m-%d})"
    ledger.findings.append(Finding(code, severity, told, where))
