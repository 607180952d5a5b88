"""What a rule draws upon, what is missing, what is asked for in vain; and the rule in words."""

from __future__ import annotations

from datetime import UTC

from mdoc_reader.policy import allow_list
from mdoc_reader.policy.calendar import Calendar
from mdoc_reader.policy.rule import Rule
from mdoc_reader.policy.rule_names import EU_AGE, MDL, OLD_PHOTO_ID, PID, PLACES
from mdoc_reader.policy.rule_needs import elements_used, spare, unasked
from mdoc_reader.policy.site import Site

KEY = bytes(32)
SPACE = "org.iso.18013.5.1"


def of(*names: str, space: str = SPACE) -> frozenset[tuple[str, str]]:
    return frozenset((space, name) for name in names)


def site(**entry: str) -> Site:
    text = f"{allow_list.header(KEY)}\n{allow_list.make_entry(KEY, 'UT', '1', **entry)}"  # type: ignore[arg-type]
    return Site(hours=Calendar.parse(["mo 08:00-12:00"], UTC), lists={"staff": allow_list.parse(text.encode(), KEY)})


def test_ages_go_by_the_least_that_tells() -> None:
    rule = Rule.parse("age_over(18) and document.valid")
    assert elements_used(rule, MDL) == of("age_over_18", "birth_date", "age_birth_year", "age_in_years")
    assert elements_used(rule, EU_AGE) == of("age_over_18", space=EU_AGE)
    assert elements_used(rule, "org.example") == frozenset()
    assert unasked(rule, MDL, of("age_over_18")) == ()
    assert unasked(rule, MDL, of("birth_date")) == ()
    assert unasked(rule, MDL, of("age_over_21", "portrait")) == ("age_over(18)",)
    assert spare(rule, MDL, of("age_over_18")) == frozenset()
    assert spare(rule, MDL, of("birth_date")) == frozenset()
    assert spare(rule, MDL, of("age_over_18", "birth_date", "portrait")) == of("birth_date", "portrait")


def test_names_go_by_the_kind_of_document() -> None:
    rule = Rule.parse('family_name == "X" or issuing_authority == family_name or element("a", "b")')
    space = "org.iso.23220.1"
    expected = of("family_name_unicode", "issuing_authority_unicode", space=space) | {("a", "b")}
    assert elements_used(rule, OLD_PHOTO_ID) == expected
    assert elements_used(rule, PID) >= of("family_name", space=PID)
    assert unasked(rule, EU_AGE, []) == (
        'family_name == "X"',
        "issuing_authority == family_name",
        'element("a", "b")',
    )


def test_every_question_says_what_it_needs() -> None:
    rule = Rule.parse(
        'drives("B") and listed("staff") and holds("portrait") and "UT" in nationality and sex in [1] and open_now',
        site(),
    )
    names = ("driving_privileges", "issuing_country", "document_number", "portrait", "nationality", "sex")
    assert elements_used(rule, MDL) == of(*names)
    assert unasked(rule, MDL, of(*names)) == ()
    assert len(unasked(rule, MDL, [])) == 5
    assert spare(rule, MDL, of(*names)) == frozenset()


def test_a_jurisdiction_is_used_where_the_list_has_some() -> None:
    asked = of("issuing_country", "document_number", "issuing_jurisdiction")
    assert spare(Rule.parse('listed("staff")', site()), MDL, asked) == of("issuing_jurisdiction")
    assert spare(Rule.parse('listed("staff")', site(jurisdiction="UT-1")), MDL, asked) == frozenset()


def test_one_name_is_one_element() -> None:
    for doctype, places in PLACES.items():
        assert len(set(places.values())) == len(places), doctype


def test_in_words() -> None:
    rule = Rule.parse(
        'not (age_under(18) or drives("B") and issuing_country in ["DE", "AT"])'
        " and open_now and birth_date != 2000-01-01",
        site(),
    )
    assert rule.words().splitlines() == [
        "It opens only when all of these are so:",
        "  - all of these are so:",
        "    - the holder is at least 18 years old",
        "    - at least one of these is so:",
        "      - the holder may not drive category B today",
        '      - the issuing country is none of "DE", "AT"',
        "  - it is within the opening hours",
        "  - the birth date is not 2000-01-01",
        "What was not shared, or cannot be told, is neither yes nor no, and does not open.",
        "Opening hours: Monday 08:00 to 12:00.",
    ]
    assert Rule.parse("document.valid", site()).words().splitlines()[0] == "It opens only when the document is valid."
