"""What holds for every rule, every document and every moment."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rule_worlds import EDGES, MOMENTS, QUESTIONS, RULES, SITES, cases, consistent, shared_less

from mdoc_reader.model.verdict import DocumentVerdict, Validity
from mdoc_reader.policy.rule import MAX_REASONS, Rule
from mdoc_reader.policy.rule_codes import RuleCode
from mdoc_reader.policy.rule_text import parse
from mdoc_reader.policy.rule_tree import And, Condition, Not, Or, written
from mdoc_reader.policy.site import Site
from mdoc_reader.policy.truth import Truth
from mdoc_reader.trust.clock import BUILT, ClockCode, Moment

worlds = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
Case = tuple[Condition, DocumentVerdict]
TRUE, FALSE, UNKNOWN = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN


def judged(tree: Condition, document: DocumentVerdict, moment: Moment, site: Site) -> Truth:
    return Rule.parse(written(tree), site).judge(document, moment).truth


@worlds
@given(RULES)
def test_what_is_printed_reads_as_the_same_tree(tree: Condition) -> None:
    again = parse(written(tree))
    assert repr(again) == repr(tree)  # 1 and true are equal to Python
    assert written(again) == written(tree)


@worlds
@given(cases(), st.one_of(MOMENTS, EDGES), SITES)
def test_judging_is_total_and_says_the_same_to_the_same(case: Case, moment: Moment, site: Site) -> None:
    tree, document = case
    rule = Rule.parse(written(tree), site)
    found = rule.judge(document, moment)
    assert found == rule.judge(document, moment) == rule.at(site).judge(document, moment)
    assert 0 < len(found.reasons) == len(set(found.reasons)) <= MAX_REASONS
    assert all(isinstance(reason, RuleCode) for reason in found.reasons)
    assert (found.truth is TRUE) is (found.reasons == (RuleCode.RULE_MET,))
    assert rule.words().startswith("It opens only when ")
    rule.badge(document)


@settings(worlds, max_examples=600)
@given(cases(), MOMENTS, SITES, st.data())
def test_sharing_less_never_opens(case: Case, moment: Moment, site: Site, data: st.DataObject) -> None:
    tree, document = case
    # A document whose statements of an age exclude each other is its issuer's mistake. It is seen where both are shown.
    assume(consistent(document, moment, site))
    less = replace(document, elements=data.draw(shared_less(document.elements)))
    before, after = judged(tree, document, moment, site), judged(tree, less, moment, site)
    assert after in {before, UNKNOWN}


@settings(worlds, max_examples=400)
@given(cases(st.one_of(QUESTIONS, QUESTIONS.map(Not))), MOMENTS, SITES)
def test_no_question_opens_when_one_element_goes_or_all(case: Case, moment: Moment, site: Site) -> None:
    tree, document = case
    assume(consistent(document, moment, site))
    before, held = judged(tree, document, moment, site), document.elements
    fewer = [
        {**held, namespace: {other: value for other, value in given.items() if other != name}}
        for namespace, given in held.items()
        for name in given
    ]
    for elements in ({}, *fewer):
        assert judged(tree, replace(document, elements=elements), moment, site) in {before, UNKNOWN}


@worlds
@given(cases(), MOMENTS, SITES)
def test_what_shows_nothing_opens_nothing_that_is_asked_of_the_holder(case: Case, moment: Moment, site: Site) -> None:
    tree, document = case
    invalid = replace(document, validity=Validity.INVALID)
    empty = replace(invalid, elements={})
    assert judged(tree, invalid, moment, site) is judged(tree, empty, moment, site)


@worlds
@given(cases(), MOMENTS, SITES, st.sampled_from(ClockCode))
def test_doubting_the_clock_never_opens(case: Case, moment: Moment, site: Site, doubt: ClockCode) -> None:
    tree, document = case
    assume(consistent(document, moment, site))
    rule = Rule.parse(written(tree), site)
    before = rule.judge(document, Moment(moment.at)).truth
    after = rule.judge(document, Moment(moment.at, doubt), BUILT).truth
    assert after in {before, UNKNOWN}


@worlds
@given(cases(), RULES, MOMENTS, SITES)
def test_de_morgan(case: Case, other: Condition, moment: Moment, site: Site) -> None:
    one, document = case

    def of(tree: Condition) -> Truth:
        return judged(tree, document, moment, site)

    assert of(Not(And((one, other)))) is of(Or((Not(one), Not(other))))
    assert of(Not(Or((one, other)))) is of(And((Not(one), Not(other))))
    assert of(Not(Not(one))) is of(one)
    assert of(And((one, other))) is of(And((other, one)))
    assert of(Or((one, And((one, other))))) is of(one)


@worlds
@given(cases(QUESTIONS), MOMENTS, SITES)
def test_the_opposite_of_a_question_opens_only_where_the_question_is_answered_no(
    case: Case, moment: Moment, site: Site
) -> None:
    question, document = case
    found = judged(question, document, moment, site)
    opposite = {TRUE: FALSE, FALSE: TRUE, UNKNOWN: UNKNOWN}
    assert judged(Not(question), document, moment, site) is opposite[found]


def test_the_tables_of_kleene() -> None:
    document = DocumentVerdict("org.example", Validity.VALID, {})
    says = {
        TRUE: "document.valid",
        FALSE: "not document.valid",
        UNKNOWN: 'holds("portrait")',
    }
    order = [FALSE, UNKNOWN, TRUE]
    for one, other in itertools.product(order, order):
        for word, pick in (("and", min), ("or", max)):
            rule = Rule.parse(f"{says[one]} {word} {says[other]}")
            assert rule.judge(document, Moment(BUILT)).truth is pick(one, other, key=order.index), str(rule)
