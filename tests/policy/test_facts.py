"""What documents of each kind say to the questions of rules: ages, driving categories, lists, revocation, the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from cbor2 import CBORTag

from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import Check, CheckState, DocumentVerdict, Finding, Validity
from mdoc_reader.policy import allow_list
from mdoc_reader.policy.days import age_on, strict_date
from mdoc_reader.policy.revocation import Reaction, RevocationRule, weigh
from mdoc_reader.policy.rule import Rule
from mdoc_reader.policy.rule_codes import RuleCode
from mdoc_reader.policy.rule_names import EU_AGE, MDL, OLD_PHOTO_ID, PHOTO_ID, PID
from mdoc_reader.policy.site import LeapDay, Site, zone_of
from mdoc_reader.policy.truth import Truth
from mdoc_reader.trust.clock import BUILT, ClockCode, Moment
from mdoc_reader.trust.revocation_codes import RevocationCode

TRUE, FALSE, UNKNOWN = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN
SPACES = {MDL: "org.iso.18013.5.1", PHOTO_ID: "org.iso.23220.1", OLD_PHOTO_ID: "org.iso.23220.1", PID: PID}
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOW = Moment(NOON)
UNSURE = Moment(NOON, ClockCode.NOT_SET)
BERLIN = ZoneInfo("Europe/Berlin")


def document(doctype: str = MDL, **elements: object) -> DocumentVerdict:
    held = {SPACES.get(doctype, doctype): elements} if elements else {}
    return DocumentVerdict(doctype, Validity.VALID, dict.fromkeys(Check, CheckState.PASSED), (), held)


def ask(
    rule: str, asked: DocumentVerdict, moment: Moment = NOW, site: Site | None = None, floor: datetime | None = None
) -> Truth:
    return Rule.parse(rule, site).judge(asked, moment, floor).truth


def why(rule: str, asked: DocumentVerdict, moment: Moment = NOW, site: Site | None = None) -> tuple[RuleCode, ...]:
    return Rule.parse(rule, site).judge(asked, moment).reasons


def day(text: str, tag: int = 1004) -> CBORTag:
    return CBORTag(tag, text)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, UNKNOWN),
        # The nearest answer, ISO 18013-5 clause 7.2.5
        ({"age_over_18": True}, TRUE),
        ({"age_over_21": True}, TRUE),
        ({"age_over_16": True}, UNKNOWN),
        ({"age_over_18": False}, FALSE),
        ({"age_over_16": False}, FALSE),
        ({"age_over_21": False}, UNKNOWN),
        ({"age_over_18": 1}, UNKNOWN),
        ({"age_over_18": "yes"}, UNKNOWN),
        ({"age_over_018": True}, UNKNOWN),
        ({"age_over_18": True, "age_over_16": False}, UNKNOWN),
        # The date of birth, in its three spellings and others
        ({"birth_date": day("2008-11-21")}, TRUE),
        ({"birth_date": day("2008-11-22")}, FALSE),
        ({"birth_date": day("2008-11-21T08:00:00Z", 0)}, TRUE),
        ({"birth_date": "2008-11-21"}, TRUE),
        ({"birth_date": "2008-1-21"}, UNKNOWN),
        ({"birth_date": "2008-W01-1"}, UNKNOWN),
        ({"birth_date": "2008-11-21T08:00:00"}, UNKNOWN),  # of which zone?
        ({"birth_date": 20081121}, UNKNOWN),
        ({"birth_date": day("2008-11-21", 100)}, UNKNOWN),
        ({"birth_date": day("0001-01-01")}, UNKNOWN),  # stands for one that is not known
        ({"birth_date": day("2027-01-01")}, UNKNOWN),  # yet to come
        # The year alone, and the age
        ({"age_birth_year": 2007}, TRUE),
        ({"age_birth_year": 2008}, UNKNOWN),
        ({"age_birth_year": 2009}, FALSE),
        ({"age_in_years": 18}, TRUE),
        ({"age_in_years": 17}, UNKNOWN),  # there may have been a birthday since
        ({"age_in_years": True}, UNKNOWN),
        ({"age_in_years": 9000}, UNKNOWN),
        # Together
        ({"age_over_16": True, "birth_date": day("2000-01-01")}, TRUE),
        ({"age_over_21": False, "age_in_years": 19}, TRUE),
        ({"age_over_18": True, "birth_date": day("2010-01-01")}, UNKNOWN),
        ({"age_over_18": False, "birth_date": day("2000-01-01")}, UNKNOWN),
        ({"age_over_18": True, "age_birth_year": 2012}, UNKNOWN),
        ({"age_over_18": False, "age_in_years": 30}, UNKNOWN),
        ({"age_over_18": True, "birth_date": day("2030-01-01")}, UNKNOWN),
    ],
)
def test_age(elements: dict[str, object], expected: Truth) -> None:
    assert ask("age_over(18)", document(**elements)) is expected
    opposite = {TRUE: FALSE, FALSE: TRUE, UNKNOWN: UNKNOWN}[expected]
    assert ask("age_under(18)", document(**elements)) is opposite
    assert ask("not age_over(18)", document(**elements)) is opposite


def test_two_namespaces_that_disagree_on_an_age_tell_nothing() -> None:
    held = {"org.iso.18013.5.1": {"age_over_18": True}, "org.iso.18013.5.1.aamva": {"age_over_18": False}}
    told = DocumentVerdict(MDL, Validity.VALID, {}, (), held)
    assert ask("age_over(18)", told) is UNKNOWN
    assert why("age_over(18)", told) == (RuleCode.AGE_CONTRADICTED,)


@pytest.mark.parametrize(
    ("on", "march", "february"),
    [
        ("2026-02-27", 17, 17),
        ("2026-02-28", 17, 18),
        ("2026-03-01", 18, 18),
        ("2028-02-28", 19, 19),
        ("2028-02-29", 20, 20),
    ],
)
def test_who_is_born_on_a_leap_day(on: str, march: int, february: int) -> None:
    birth, today = date(2008, 2, 29), date.fromisoformat(on)
    assert age_on(birth, today, early=False) == march
    assert age_on(birth, today, early=True) == february


def test_the_site_says_when_a_leap_day_comes() -> None:
    moment, told = Moment(datetime(2027, 2, 28, 12, tzinfo=UTC)), document(birth_date=day("2008-02-29"))
    assert ask("age_over(19)", told, moment) is FALSE
    assert ask("age_over(19)", told, moment, Site(leap_day=LeapDay.FEBRUARY_28)) is TRUE


def test_a_birthday_begins_at_midnight_of_the_site() -> None:
    told = document(birth_date=day("2008-11-22"))
    late = Moment(datetime(2026, 11, 21, 23, 30, tzinfo=UTC))
    assert ask("age_over(18)", told, late, Site(UTC)) is FALSE
    assert ask("age_over(18)", told, late, Site(BERLIN)) is TRUE
    assert ask("age_over(18)", told, late, Site(ZoneInfo("America/Lima"))) is FALSE


def test_a_clock_in_doubt_only_knows_what_is_over() -> None:
    old, young, between = (document(birth_date=day(text)) for text in ("1990-01-01", "2020-01-01", "2008-11-10"))
    assert ask("age_over(18)", old, UNSURE) is TRUE
    assert ask("age_over(18)", young, UNSURE) is UNKNOWN
    assert ask("age_under(18)", young, UNSURE) is UNKNOWN
    assert why("age_over(18)", young, UNSURE) == (RuleCode.TIME_UNCERTAIN,)
    assert date(2008, 11, 10) > date(BUILT.year - 18, BUILT.month, BUILT.day)
    assert ask("age_over(18)", between) is TRUE
    assert ask("age_over(18)", between, UNSURE) is UNKNOWN
    assert ask("age_over(18)", between, UNSURE, floor=NOON) is TRUE
    assert ask("age_over(18)", document(age_birth_year=1990), UNSURE) is TRUE
    assert ask("age_over(18)", document(age_birth_year=2020), UNSURE) is UNKNOWN
    assert ask("today < 2030-01-01", old, UNSURE) is UNKNOWN
    assert why("today < 2030-01-01", old, UNSURE) == (RuleCode.TIME_UNCERTAIN,)


@pytest.mark.parametrize(
    ("privileges", "sure", "unsure"),
    [
        (None, UNKNOWN, UNKNOWN),
        ([], FALSE, FALSE),
        ("B", UNKNOWN, UNKNOWN),
        ([{"vehicle_category_code": "A"}], FALSE, FALSE),
        ([{"vehicle_category_code": "B"}], TRUE, TRUE),
        ([{"vehicle_category_code": "B", "issue_date": day("2026-11-21")}], TRUE, UNKNOWN),
        ([{"vehicle_category_code": "B", "issue_date": day("2020-01-01")}], TRUE, TRUE),
        ([{"vehicle_category_code": "B", "issue_date": day("2026-11-22")}], FALSE, UNKNOWN),
        ([{"vehicle_category_code": "B", "expiry_date": day("2026-11-21")}], TRUE, UNKNOWN),
        ([{"vehicle_category_code": "B", "expiry_date": day("2026-11-20")}], FALSE, UNKNOWN),
        ([{"vehicle_category_code": "B", "expiry_date": day("2020-01-01")}], FALSE, FALSE),
        ([{"vehicle_category_code": "B", "expiry_date": "some day"}], UNKNOWN, UNKNOWN),
        ([{"vehicle_category_code": "B", "expiry_date": "some day", "issue_date": "2030-01-01"}], FALSE, UNKNOWN),
        ([{"vehicle_category_code": "B", "expiry_date": "2020-01-01"}, {"vehicle_category_code": "B"}], TRUE, TRUE),
        ([{"code": "B"}], UNKNOWN, UNKNOWN),
        ([7, {"vehicle_category_code": "B"}], TRUE, TRUE),
        ([{"vehicle_category_code": "A"}] * 65, UNKNOWN, UNKNOWN),
    ],
)
def test_driving(privileges: object, sure: Truth, unsure: Truth) -> None:
    told = document(driving_privileges=privileges)
    assert ask('drives("B")', told) is sure
    assert ask('drives("B")', told, UNSURE) is unsure


@pytest.mark.parametrize(
    ("doctype", "identifier", "name"),
    [
        (MDL, "family_name", "family_name"),
        (PHOTO_ID, "family_name", "family_name"),
        (OLD_PHOTO_ID, "family_name_unicode", "family_name"),
        (PID, "family_name", "family_name"),
        (PID, "personal_administrative_number", "administrative_number"),
        (PHOTO_ID, "issuing_subdivision", "issuing_jurisdiction"),
    ],
)
def test_short_names_go_by_the_kind_of_document(doctype: str, identifier: str, name: str) -> None:
    assert ask(f'{name} == "X"', document(doctype, **{identifier: "X"})) is TRUE
    assert ask(f'{name} == "X"', document(doctype, **{identifier: "Y"})) is FALSE
    assert ask(f'{name} != "X"', document(doctype, **{identifier: 3})) is UNKNOWN
    assert why(f'{name} != "X"', document(doctype, **{identifier: 3})) == (RuleCode.ELEMENT_UNREADABLE,)
    assert ask(f'{name} != "X"', document("org.example", **{identifier: "Y"})) is UNKNOWN
    assert why(f'{name} != "X"', document(doctype)) == (RuleCode.ELEMENT_MISSING,)


def test_elements_of_the_aamva_namespace_and_by_full_name() -> None:
    held = {"org.iso.18013.5.1.aamva": {"DHS_compliance": "F", "aka_suffix": "JR", "flag": True, "list": ["a"]}}
    told = DocumentVerdict(MDL, Validity.VALID, {}, (), held)
    space = '"org.iso.18013.5.1.aamva"'
    assert ask('DHS_compliance == "F"', told) is TRUE
    assert ask(f'element({space}, "aka_suffix") in ["JR", "SR"]', told) is TRUE
    assert ask(f'element({space}, "aka_suffix") == 3', told) is UNKNOWN
    assert ask(f'element({space}, "flag")', told) is TRUE
    assert ask(f'element({space}, "flag") == false', told) is FALSE
    assert ask(f'"a" in element({space}, "list")', told) is TRUE
    assert ask(f'holds({space}, "flag")', told) is TRUE
    assert ask(f'holds({space}, "none")', told) is UNKNOWN


def test_nationality_is_one_text_or_several() -> None:
    assert ask('"DE" in nationality', document(nationality="DE")) is TRUE
    assert ask('"DE" in nationality', document(PID, nationality=["AT", "DE"])) is TRUE
    assert ask('"DE" not in nationality', document(PID, nationality=["AT"])) is TRUE
    assert ask('"DE" not in nationality', document(PID, nationality=[3])) is UNKNOWN
    assert ask('"DE" not in nationality', document()) is UNKNOWN


def test_countries_and_kinds_have_their_reasons() -> None:
    told = document(issuing_country="ut")
    assert ask('issuing_country == "UT"', told) is TRUE
    assert why('issuing_country in ["DE", "AT"]', told) == (RuleCode.COUNTRY_NOT_ACCEPTED,)
    assert why(f'document.doctype == "{EU_AGE}"', told) == (RuleCode.DOCTYPE_NOT_ACCEPTED,)


def test_what_the_phone_signed_itself_is_not_heard() -> None:
    held = {"org.iso.18013.5.1": {"age_over_18": True, "family_name": "X"}}
    told = DocumentVerdict(MDL, Validity.VALID, {}, (), {}, held)
    assert ask('age_over(18) or holds("family_name")', told) is UNKNOWN


def test_an_invalid_document_is_not_heard() -> None:
    told = DocumentVerdict(MDL, Validity.INVALID, {}, (), {"org.iso.18013.5.1": {"age_over_18": True}})
    assert ask("age_over(18)", told) is UNKNOWN
    assert ask("document.valid", told) is FALSE


@pytest.mark.parametrize(
    ("path", "signature", "expected"),
    [
        (CheckState.PASSED, CheckState.PASSED, TRUE),
        (CheckState.UNDETERMINED, CheckState.PASSED, UNKNOWN),
        (CheckState.PASSED, CheckState.FAILED, FALSE),
        (CheckState.FAILED, CheckState.PASSED, FALSE),
        (CheckState.PASSED, CheckState.UNCHECKED, UNKNOWN),
    ],
)
def test_trusted(path: CheckState, signature: CheckState, expected: Truth) -> None:
    checks = {Check.CERTIFICATE_PATH: path, Check.ISSUER_SIGNATURE: signature}
    assert ask("document.trusted", DocumentVerdict(MDL, Validity.UNDETERMINED, checks)) is expected
    assert ask("document.valid", DocumentVerdict(MDL, Validity.UNDETERMINED, checks)) is UNKNOWN
    assert ask("document.trusted", DocumentVerdict(MDL, Validity.VALID, {})) is UNKNOWN


NO_LISTS = (RevocationCode.STATUS_NONE, RevocationCode.SIGNER_NO_LIST)


@pytest.mark.parametrize(
    ("check", "codes", "rule", "expected"),
    [
        (CheckState.PASSED, (), RevocationRule(), TRUE),
        (CheckState.PASSED, (RevocationCode.STATUS_NONE,), RevocationRule(), TRUE),
        (CheckState.PASSED, (RevocationCode.STATUS_NONE,), RevocationRule(none=Reaction.UNDETERMINED), UNKNOWN),
        (CheckState.FAILED, (RevocationCode.STATUS_REVOKED,), RevocationRule(), FALSE),
        (CheckState.UNCHECKED, NO_LISTS, RevocationRule(), TRUE),
        (CheckState.UNCHECKED, NO_LISTS, RevocationRule(none=Reaction.UNDETERMINED), UNKNOWN),
        (CheckState.UNCHECKED, NO_LISTS, RevocationRule(none=Reaction.REFUSE), FALSE),
        (CheckState.UNCHECKED, NO_LISTS[:1], RevocationRule(), UNKNOWN),  # nobody vouches for the signer
        (CheckState.UNCHECKED, (), RevocationRule(), UNKNOWN),  # nobody looked
        (CheckState.UNDETERMINED, (RevocationCode.STATUS_UNKNOWN,), RevocationRule(unknown=Reaction.ACCEPT), UNKNOWN),
        (CheckState.UNDETERMINED, (RevocationCode.STATUS_STALE,), RevocationRule(), UNKNOWN),
    ],
)
def test_clear(check: CheckState, codes: tuple[RevocationCode, ...], rule: RevocationRule, expected: Truth) -> None:
    findings = tuple(Finding(code, Severity.INFO, code.operator) for code in codes)
    told = weigh(DocumentVerdict(MDL, Validity.VALID, {Check.REVOCATION: check}, findings), rule)
    assert ask("status.clear", told) is expected


KEY = bytes(range(32))


def lists(*entries: str) -> Site:
    text = "\n".join((allow_list.header(KEY), *entries))
    return Site(lists={"staff": allow_list.parse(text.encode(), KEY)})


def test_a_list_knows_its_documents() -> None:
    site = lists(allow_list.make_entry(KEY, "UT", "lab 000001", badge=4711), allow_list.make_entry(KEY, "UT", "2"))
    known = document(issuing_country="UT", document_number="LAB000001")
    plain = document(issuing_country="UT", document_number="2")
    other = document(issuing_country="DE", document_number="LAB000001")
    rule = Rule.parse('listed("staff") and document.valid', site)
    assert rule.judge(known, NOW).truth is TRUE
    badge = rule.badge(known)
    assert badge is not None
    assert badge.number == 4711
    assert rule.judge(plain, NOW).truth is TRUE
    assert rule.badge(plain) is None
    assert rule.judge(other, NOW).reasons == (RuleCode.NOT_LISTED,)
    assert rule.badge(other) is None
    assert ask('listed("staff")', document(document_number="2"), site=site) is UNKNOWN
    assert ask('listed("staff")', document(issuing_country="UT", document_number=" "), site=site) is UNKNOWN
    assert why('not listed("staff")', known, site=site) == (RuleCode.LISTED,)
    assert Rule.parse('not listed("staff")', site).badge(known) is None


def test_an_entry_with_a_jurisdiction_needs_it_shared() -> None:
    site = lists(allow_list.make_entry(KEY, "US", "D1", jurisdiction="US-CA"), allow_list.make_entry(KEY, "US", "D2"))
    held = {"issuing_country": "US", "document_number": "D1"}
    assert ask('listed("staff")', document(**held, issuing_jurisdiction="US-CA"), site=site) is TRUE
    assert ask('listed("staff")', document(**held, issuing_jurisdiction="US-MD"), site=site) is FALSE
    assert ask('listed("staff")', document(**held), site=site) is UNKNOWN
    assert ask('listed("staff")', document(**{**held, "document_number": "D2"}), site=site) is TRUE


def test_strict_dates_and_zones() -> None:
    assert strict_date("2026-11-21") == date(2026, 11, 21)
    assert [
        strict_date(text) for text in ("2026-W01-1", "2026-02-30", "0000-01-01", "２026-01-01", "20261121", "")
    ] == [None] * 6
    assert zone_of("Europe/Berlin") == BERLIN
    for wrong in ("Europe/Berlyn", "", "../../etc/passwd", "Europe", "/etc/localtime", "x" * 300, "a\0b"):
        with pytest.raises(ValueError, match="unknown time zone"):
            zone_of(wrong)
