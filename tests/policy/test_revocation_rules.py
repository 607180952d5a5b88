"""What doubts about revocation mean to a profile: by default, and as it says itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mdoc_reader.model.reasons import ReasonCode, Severity
from mdoc_reader.model.verdict import Check, CheckState, DocumentVerdict, Finding, ResponseVerdict, Validity
from mdoc_reader.policy.revocation import Reaction, RevocationPolicy, RevocationRule, weigh, weigh_response
from mdoc_reader.trust.revocation_codes import RevocationCode as Code
from mdoc_reader.verification.codes import VerificationCode

MDL, PID = "org.iso.18013.5.1.mDL", "eu.europa.ec.eudi.pid.1"
_INFO = {Code.STATUS_NONE, Code.SIGNER_NO_LIST, VerificationCode.STATUS_NOT_CHECKED}
_ERROR = {Code.STATUS_REVOKED, Code.SIGNER_REVOKED, Code.STATUS_SUSPENDED, Code.SIGNER_SUSPENDED, Code.STATUS_INDEX}
FIELDS = {
    Code.STATUS_UNKNOWN: "unknown",
    Code.STATUS_OTHER_ISSUER: "unknown",
    Code.STATUS_RESERVED: "unknown",
    Code.STATUS_MALFORMED: "unknown",
    Code.STATUS_UNSUPPORTED: "unknown",
    Code.STATUS_STALE: "stale",
    Code.STATUS_NONE: "none",
    Code.STATUS_APPLICATION: "application",
    Code.SIGNER_CRL_MISSING: "signer_unknown",
    Code.SIGNER_CRL_STALE: "signer_stale",
    Code.SIGNER_NO_LIST: "signer_none",
}


def document(*codes: ReasonCode, validity: Validity | None = None, doctype: str = MDL) -> DocumentVerdict:
    findings = [
        Finding(
            code,
            Severity.INFO if code in _INFO else Severity.ERROR if code in _ERROR else Severity.WARNING,
            code.operator,
        )
        for code in codes
    ]
    failed = any(each.severity is Severity.ERROR for each in findings)
    checks = dict.fromkeys(Check, CheckState.PASSED)
    checks[Check.REVOCATION] = CheckState.FAILED if failed else CheckState.UNDETERMINED if codes else CheckState.PASSED
    judged = validity or (Validity.INVALID if failed else Validity.VALID)
    return DocumentVerdict(doctype, judged, checks, tuple(findings))


def test_every_code_about_a_doubt_has_its_rule() -> None:
    assert set(FIELDS) == set(Code) - _ERROR


@pytest.mark.parametrize("code", FIELDS, ids=str)
@pytest.mark.parametrize("reaction", list(Reaction))
def test_each_doubt_by_its_own_field(code: Code, reaction: Reaction) -> None:
    calm = dict.fromkeys(set(FIELDS.values()), Reaction.ACCEPT)
    rule = RevocationRule(**{**calm, FIELDS[code]: reaction})  # type: ignore[arg-type]
    before = document(code)
    after = weigh(before, rule)
    (finding,) = after.findings
    if reaction is Reaction.ACCEPT:
        assert after is before
    elif reaction is Reaction.UNDETERMINED:
        assert after.validity is Validity.UNDETERMINED
        assert after.checks[Check.REVOCATION] is CheckState.UNDETERMINED
        assert finding.severity is Severity.WARNING
    else:
        assert after.validity is Validity.INVALID
        assert after.checks[Check.REVOCATION] is CheckState.FAILED
        assert finding.severity is Severity.ERROR


def test_by_default_only_what_names_a_list_is_in_doubt() -> None:
    rule = RevocationRule()
    undetermined = {code for code in FIELDS if weigh(document(code), rule).validity is Validity.UNDETERMINED}
    assert undetermined == set(FIELDS) - {Code.STATUS_NONE, Code.SIGNER_NO_LIST}
    assert weigh(document(), rule).validity is Validity.VALID
    assert weigh(document(VerificationCode.STATUS_NOT_CHECKED), rule).validity is Validity.VALID


@pytest.mark.parametrize("code", _ERROR, ids=str)
def test_no_rule_takes_what_is_revoked(code: Code) -> None:
    free = RevocationRule(**dict.fromkeys(set(FIELDS.values()), Reaction.ACCEPT))  # type: ignore[arg-type]
    for rule in (free, RevocationRule()):
        after = weigh(document(code, Code.SIGNER_CRL_STALE), rule)
        assert after.validity is Validity.INVALID
        assert after.checks[Check.REVOCATION] is CheckState.FAILED


def test_what_is_invalid_or_in_doubt_anyway_stays_so() -> None:
    for validity in (Validity.INVALID, Validity.UNDETERMINED):
        assert weigh(document(Code.STATUS_STALE, validity=validity), RevocationRule()).validity is validity


def test_each_type_has_its_rule_and_a_response_its_worst() -> None:
    policy = RevocationPolicy(
        RevocationRule(stale=Reaction.REFUSE, max_age=timedelta(days=1)),
        {MDL: RevocationRule(stale=Reaction.ACCEPT), PID: RevocationRule(max_age=timedelta(hours=1))},
    )
    assert policy.ages == {"*": timedelta(days=1), PID: timedelta(hours=1)}

    def response(*documents: DocumentVerdict) -> ResponseVerdict:
        return weigh_response(ResponseVerdict(Validity.VALID, documents), policy)

    licence, identity, other = (document(Code.STATUS_STALE, doctype=each) for each in (MDL, PID, "other"))
    assert response(licence).validity is Validity.VALID
    assert response(licence, identity).validity is Validity.UNDETERMINED
    assert response(licence, identity, other).validity is Validity.INVALID
    nothing = ResponseVerdict(Validity.INVALID, ())
    assert weigh_response(nothing, policy) is nothing
