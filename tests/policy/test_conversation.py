"""The conversation: what a profile makes of verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mdoc_reader.mdoc.engagement import Capabilities
from mdoc_reader.mdoc.request import ItemsRequest, UseCase
from mdoc_reader.model.decision import Decision, Outcome
from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import Check, CheckState, DocumentVerdict, Finding, ResponseVerdict, Validity
from mdoc_reader.policy.conversation import Ask, Settled, in_doubt, proceed
from mdoc_reader.policy.profile import PolicyCode, Profile, Question
from mdoc_reader.policy.rule import Rule
from mdoc_reader.policy.rule_codes import RuleCode
from mdoc_reader.trust.clock import ClockCode, Moment
from mdoc_reader.verification.codes import VerificationCode

MDL, PHOTO_ID, NAMESPACE = "org.iso.18013.5.1.mDL", "org.iso.23220.photoid.1", "org.iso.18013.5.1"
FIRST = Question.of(ItemsRequest(MDL, {NAMESPACE: {"age_over_18": False}}))
SECOND = Question.of(ItemsRequest(PHOTO_ID, {"org.iso.23220.1": {"age_over_18": False}}))
PROFILE = Profile("over 18", (FIRST, SECOND), Rule.parse("age_over(18)"))
NOW = Moment(datetime(2026, 11, 21, 12, tzinfo=UTC))
CHECKS = dict.fromkeys(Check, CheckState.PASSED)


def document(
    validity: Validity = Validity.VALID,
    age: bool | None = True,
    elements: Mapping[str, object] | None = None,
    finding: VerificationCode | None = None,
) -> DocumentVerdict:
    findings = () if finding is None else (Finding(finding, Severity.ERROR, finding.operator),)
    stated = {} if age is None else {"age_over_18": age}
    return DocumentVerdict(MDL, validity, CHECKS, findings, {NAMESPACE: {**stated, **(elements or {})}})


def settle(profile: Profile, verdicts: Sequence[ResponseVerdict]) -> Ask | Decision:
    """Return the next question, or the decision alone."""
    following = proceed(profile, profile.questions, verdicts, NOW)
    return following if isinstance(following, Ask) else following.decision


def answer(*documents: DocumentVerdict, declined: bool = False) -> ResponseVerdict:
    return ResponseVerdict(Validity.VALID, documents, declined=declined)


def test_it_begins_with_the_first_question() -> None:
    assert settle(PROFILE, []) == Ask(FIRST)


def test_each_outcome() -> None:
    assert settle(PROFILE, [answer(document())]) == Decision(Outcome.GRANTED, (RuleCode.RULE_MET,))
    under = settle(PROFILE, [answer(document(age=False))])
    assert under == Decision(Outcome.REFUSED, (RuleCode.UNDER_AGE,))
    silent = settle(PROFILE, [answer(document(age=None))])
    assert silent == Decision(Outcome.PARTIAL, (RuleCode.AGE_NOT_STATED,))
    forged = settle(PROFILE, [answer(document(Validity.INVALID, finding=VerificationCode.DIGEST_MISMATCH))])
    assert forged == Decision(Outcome.INVALID, (VerificationCode.DIGEST_MISMATCH,))
    unsettled = settle(PROFILE, [answer(document(Validity.UNDETERMINED))])
    assert isinstance(unsettled, Decision)
    assert unsettled.outcome is Outcome.UNDETERMINED


def test_a_missing_document_leads_to_the_next_question_and_then_to_an_end() -> None:
    assert settle(PROFILE, [answer()]) == Ask(SECOND)
    assert settle(PROFILE, [answer(), answer()]) == Decision(Outcome.EMPTY, (PolicyCode.NOTHING_RETURNED,))
    no = answer(declined=True)
    assert settle(PROFILE, [no, no]) == Decision(Outcome.DECLINED, (PolicyCode.DECLINED,))
    assert settle(PROFILE, [no, answer()]) == Decision(Outcome.EMPTY, (PolicyCode.NOTHING_RETURNED,))
    narrow = replace(PROFILE, max_rounds=1)
    assert settle(narrow, [answer()]) == Decision(Outcome.FAILED, (PolicyCode.TOO_MANY_ROUNDS,))


def test_one_forged_document_spoils_the_answer() -> None:
    both = answer(document(), document(Validity.INVALID, finding=VerificationCode.ISSUER_UNKNOWN))
    assert settle(PROFILE, [both]) == Decision(Outcome.INVALID, (VerificationCode.ISSUER_UNKNOWN,))


def test_a_rule_never_joins_two_documents() -> None:
    profile = Profile("age and name", (FIRST,), Rule.parse('age_over(18) and holds("family_name")'))
    old_enough = document()
    named = document(age=None, elements={"family_name": "Muster"})
    decision = settle(profile, [answer(old_enough, named)])
    assert isinstance(decision, Decision)
    assert decision.outcome is Outcome.PARTIAL


documents = st.builds(
    document,
    validity=st.sampled_from(Validity),
    age=st.sampled_from([True, False, None]),
)


@given(st.lists(st.lists(documents, max_size=3), max_size=4), st.booleans())
def test_only_a_valid_document_of_age_opens(rounds: list[list[DocumentVerdict]], declined: bool) -> None:
    verdicts = [answer(*given_documents, declined=declined) for given_documents in rounds]
    decision = settle(PROFILE, verdicts)
    if isinstance(decision, Decision) and decision.granted:
        last = rounds[-1]
        assert any(d.validity is Validity.VALID and d.elements[NAMESPACE].get("age_over_18") for d in last)
        assert all(d.validity is not Validity.INVALID for d in last)


TIMES = frozenset({VerificationCode.EXPIRED, VerificationCode.NOT_YET_VALID})
GRANTED = Decision(Outcome.GRANTED, (RuleCode.RULE_MET,))


def test_nothing_opens_on_a_clock_that_is_not_to_be_trusted() -> None:
    doubt = ClockCode.BEHIND
    assert in_doubt(GRANTED, None, TIMES, refuse=True) is GRANTED
    assert in_doubt(GRANTED, doubt, TIMES, refuse=True) == Decision(Outcome.UNDETERMINED, (doubt,))
    told = in_doubt(GRANTED, doubt, TIMES, refuse=False)
    assert told.granted
    assert told.reasons == (RuleCode.RULE_MET, doubt)


def test_what_only_the_time_speaks_against_is_not_settled_in_doubt() -> None:
    doubt = ClockCode.NOT_SET
    expired = Decision(Outcome.INVALID, (VerificationCode.EXPIRED,))
    assert in_doubt(expired, None, TIMES, refuse=True) is expired
    for refuse in (True, False):
        settled = in_doubt(expired, doubt, TIMES, refuse=refuse)
        assert settled == Decision(Outcome.UNDETERMINED, (doubt, VerificationCode.EXPIRED))
        forged = Decision(Outcome.INVALID, (VerificationCode.EXPIRED, VerificationCode.DIGEST_MISMATCH))
        assert in_doubt(forged, doubt, TIMES, refuse=refuse) is forged
        refused = Decision(Outcome.REFUSED, (RuleCode.UNDER_AGE,))
        assert in_doubt(refused, doubt, TIMES, refuse=refuse) is refused


def test_a_wallet_that_can_take_a_choice_is_asked_once() -> None:
    profile = replace(PROFILE, together=Question.any_of(PROFILE.questions, "age"))
    assert profile.asking(Capabilities()) == PROFILE.questions
    asking = profile.asking(Capabilities(extended_request=True))
    assert [items.doctype for question in asking for items in question.items] == [MDL, PHOTO_ID]
    assert asking[0].use_cases == (UseCase(True, ((0,), (1,)), {"org.iso.jtc1.sc17": 3}),)
    assert proceed(profile, asking, [], NOW) == Ask(asking[0])
    nothing = proceed(profile, asking, [answer()], NOW)
    assert nothing == Settled(Decision(Outcome.EMPTY, (PolicyCode.NOTHING_RETURNED,)))


def test_the_document_that_decided_is_named() -> None:
    young, adult = document(age=False), document()
    settled = proceed(PROFILE, PROFILE.questions, [answer(young, adult)], NOW)
    assert settled == Settled(GRANTED, adult)
    assert "age_over" not in repr(settled)
