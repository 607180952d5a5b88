"""The conversation: what a profile makes of verdicts."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from mdoc_reader.mdoc.request import ItemsRequest
from mdoc_reader.model.decision import Decision, Outcome
from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import Check, CheckState, DocumentVerdict, Finding, ResponseVerdict, Validity
from mdoc_reader.policy.conversation import Ask, in_doubt, proceed
from mdoc_reader.policy.profile import PolicyCode, Profile, Question
from mdoc_reader.trust.clock import ClockCode
from mdoc_reader.verification.codes import VerificationCode

MDL, PHOTO_ID, NAMESPACE = "org.iso.18013.5.1.mDL", "org.iso.23220.photoid.1", "org.iso.18013.5.1"
FIRST = Question.of(ItemsRequest(MDL, {NAMESPACE: {"age_over_18": False}}))
SECOND = Question.of(ItemsRequest(PHOTO_ID, {"org.iso.23220.1": {"age_over_18": False}}))
PROFILE = Profile("over 18", (FIRST, SECOND), age_over=18)
CHECKS = dict.fromkeys(Check, CheckState.PASSED)


def document(
    validity: Validity = Validity.VALID,
    age: CheckState = CheckState.PASSED,
    elements: Mapping[str, object] | None = None,
    finding: VerificationCode | None = None,
) -> DocumentVerdict:
    findings = () if finding is None else (Finding(finding, Severity.ERROR, finding.operator),)
    given = {NAMESPACE: {"age_over_18": True} if elements is None else elements}
    return DocumentVerdict(MDL, validity, CHECKS, findings, given, age={18: age})


def answer(*documents: DocumentVerdict, declined: bool = False) -> ResponseVerdict:
    return ResponseVerdict(Validity.VALID, documents, declined=declined)


def test_it_begins_with_the_first_question() -> None:
    assert proceed(PROFILE, []) == Ask(FIRST)


def test_each_outcome() -> None:
    assert proceed(PROFILE, [answer(document())]) == Decision(Outcome.GRANTED, (PolicyCode.RULE_MET,))
    under = proceed(PROFILE, [answer(document(age=CheckState.FAILED))])
    assert under == Decision(Outcome.REFUSED, (PolicyCode.UNDER_AGE,))
    silent = proceed(PROFILE, [answer(document(age=CheckState.UNDETERMINED))])
    assert silent == Decision(Outcome.PARTIAL, (PolicyCode.AGE_NOT_STATED,))
    forged = proceed(PROFILE, [answer(document(Validity.INVALID, finding=VerificationCode.DIGEST_MISMATCH))])
    assert forged == Decision(Outcome.INVALID, (VerificationCode.DIGEST_MISMATCH,))
    unsettled = proceed(PROFILE, [answer(document(Validity.UNDETERMINED))])
    assert isinstance(unsettled, Decision)
    assert unsettled.outcome is Outcome.UNDETERMINED


def test_a_missing_document_leads_to_the_next_question_and_then_to_an_end() -> None:
    assert proceed(PROFILE, [answer()]) == Ask(SECOND)
    assert proceed(PROFILE, [answer(), answer()]) == Decision(Outcome.EMPTY, (PolicyCode.NOTHING_RETURNED,))
    no = answer(declined=True)
    assert proceed(PROFILE, [no, no]) == Decision(Outcome.DECLINED, (PolicyCode.DECLINED,))
    assert proceed(PROFILE, [no, answer()]) == Decision(Outcome.EMPTY, (PolicyCode.NOTHING_RETURNED,))
    narrow = Profile("one round", (FIRST, SECOND), age_over=18, max_rounds=1)
    assert proceed(narrow, [answer()]) == Decision(Outcome.FAILED, (PolicyCode.TOO_MANY_ROUNDS,))


def test_one_forged_document_spoils_the_answer() -> None:
    both = answer(document(), document(Validity.INVALID, finding=VerificationCode.ISSUER_UNKNOWN))
    assert proceed(PROFILE, [both]) == Decision(Outcome.INVALID, (VerificationCode.ISSUER_UNKNOWN,))


def test_a_rule_never_joins_two_documents() -> None:
    profile = Profile("age and name", (FIRST,), age_over=18, required=((NAMESPACE, "family_name"),))
    old_enough = document(elements={"age_over_18": True})
    named = document(age=CheckState.UNDETERMINED, elements={"family_name": "Muster"})
    decision = proceed(profile, [answer(old_enough, named)])
    assert isinstance(decision, Decision)
    assert decision.outcome is Outcome.PARTIAL


documents = st.builds(
    document,
    validity=st.sampled_from(Validity),
    age=st.sampled_from(CheckState),
    elements=st.one_of(st.just({"age_over_18": True}), st.just({})),
)


@given(st.lists(st.lists(documents, max_size=3), max_size=4), st.booleans())
def test_only_a_valid_document_of_age_opens(rounds: list[list[DocumentVerdict]], declined: bool) -> None:
    verdicts = [answer(*given_documents, declined=declined) for given_documents in rounds]
    decision = proceed(PROFILE, verdicts)
    if isinstance(decision, Decision) and decision.granted:
        last = rounds[-1]
        assert any(d.validity is Validity.VALID and d.age[18] is CheckState.PASSED for d in last)
        assert all(d.validity is not Validity.INVALID for d in last)


TIMES = frozenset({VerificationCode.EXPIRED, VerificationCode.NOT_YET_VALID})
GRANTED = Decision(Outcome.GRANTED, (PolicyCode.RULE_MET,))


def test_nothing_opens_on_a_clock_that_is_not_to_be_trusted() -> None:
    doubt = ClockCode.BEHIND
    assert in_doubt(GRANTED, None, TIMES, refuse=True) is GRANTED
    assert in_doubt(GRANTED, doubt, TIMES, refuse=True) == Decision(Outcome.UNDETERMINED, (doubt,))
    told = in_doubt(GRANTED, doubt, TIMES, refuse=False)
    assert told.granted
    assert told.reasons == (PolicyCode.RULE_MET, doubt)


def test_what_only_the_time_speaks_against_is_not_settled_in_doubt() -> None:
    doubt = ClockCode.NOT_SET
    expired = Decision(Outcome.INVALID, (VerificationCode.EXPIRED,))
    assert in_doubt(expired, None, TIMES, refuse=True) is expired
    for refuse in (True, False):
        settled = in_doubt(expired, doubt, TIMES, refuse=refuse)
        assert settled == Decision(Outcome.UNDETERMINED, (doubt, VerificationCode.EXPIRED))
        forged = Decision(Outcome.INVALID, (VerificationCode.EXPIRED, VerificationCode.DIGEST_MISMATCH))
        assert in_doubt(forged, doubt, TIMES, refuse=refuse) is forged
        refused = Decision(Outcome.REFUSED, (PolicyCode.UNDER_AGE,))
        assert in_doubt(refused, doubt, TIMES, refuse=refuse) is refused
