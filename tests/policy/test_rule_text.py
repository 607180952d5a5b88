"""Rules as text: what is accepted, and what is said of what is not."""

from __future__ import annotations

import pytest

from mdoc_reader.policy.rule import Rule, RuleError
from mdoc_reader.policy.rule_text import MAX_TEXT, parse
from mdoc_reader.policy.rule_tree import MAX_DEPTH, MAX_NODES, AgeOver, And, Ask, Flag, Not, Or, written

VALID, CLEAR = Ask(Flag.VALID), Ask(Flag.CLEAR)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("age_over(18)", AgeOver(18)),
        ("age_over(18) and document.valid", And((AgeOver(18), VALID))),
        ("age_over(18) or document.valid and status.clear", Or((AgeOver(18), And((VALID, CLEAR))))),
        ("(age_over(18) or document.valid) and status.clear", And((Or((AgeOver(18), VALID)), CLEAR))),
        ("not document.valid and status.clear", And((Not(VALID), CLEAR))),
        ("not (document.valid and status.clear)", Not(And((VALID, CLEAR)))),
        ("# grown-ups\n  age_over( 18 ) # or older\r\n\tand document.valid", And((AgeOver(18), VALID))),
        ("((document.valid))", VALID),
    ],
)
def test_how_it_is_read(text: str, tree: object) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "birth_date <= 2008-11-21",
        'issuing_country in ["DE", "AT"]',
        'not issuing_country in ["DE", "AT"]',
        '"DE" in nationality',
        "today < expiry_date",
        "2 == sex",
        'element("a.b", "c") == true',
        'holds("portrait") and holds("a.b", "c")',
        'family_name == "M\\"\\\\üller"',
        "not not document.trusted",
        "document.valid and (status.clear and document.valid)",
        "resident_country == issuing_country",
    ],
)
def test_what_is_written_plainly_is_printed_so(text: str) -> None:
    assert written(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("", 1, 1, "a rule asks something"),
        ("# nothing", 1, 10, "a rule asks something"),
        ("age_ovr(18)", 1, 1, "found 'age_ovr'; did you mean 'age_over'?"),
        ("age_over(18) and\n  document.vald", 2, 3, "did you mean 'document.valid'?"),
        ("family_nam == 'x'", 1, 1, "did you mean 'family_name'?"),
        ("zzzzzz", 1, 1, "known are, among others, "),
        ("age_over_18", 1, 1, "this is written age_over(18)"),
        ("age_over", 1, 9, "as in age_over(18)"),
        ("age_over(0)", 1, 10, "from 1 to 99"),
        ("age_over(100)", 1, 10, "from 1 to 99"),
        ('age_over("18")', 1, 10, "it is written age_over(18)"),
        ("age_over(18, 21)", 1, 10, "it is written age_over(18)"),
        ("age_over()", 1, 10, "it is written age_over(18)"),
        ("drives(B)", 1, 8, 'it is written drives("B")'),
        ('drives("b")', 1, 8, "capital letters"),
        ('holds("portrat")', 1, 7, "did you mean 'portrait'?"),
        ('listed("stuff")', 1, 8, "did you mean 'staff'?"),
        ("document.valid()", 1, 1, "what takes brackets is age_over"),
        ("family_name", 1, 1, 'write, for example, family_name == "..."'),
        ("portrait", 1, 1, 'ask holds("portrait") whether it was shared'),
        ("today", 1, 1, "today <= 2027-12-31"),
        ("true", 1, 1, "true asks nothing"),
        ("family_name == 3", 1, 13, "both sides must be of one type"),
        ('family_name < "a"', 1, 13, "has no order"),
        ("portrait == 3", 1, 10, "cannot be compared"),
        ('nationality == "DE"', 1, 13, 'write "DE" in nationality'),
        ('issuing_country == "Germany"', 1, 17, 'is no country code; one is written "DE"'),
        ('issuing_country in ["de"]', 1, 17, "is no country code"),
        ("3 == 3", 1, 3, "two fixed values"),
        ("3 in [3]", 1, 3, "two fixed values"),
        ("sex in []", 1, 5, "an empty list"),
        ('sex in [1, "a"]', 1, 5, "both sides must be of one type"),
        ('element("a", "b") in [1, "a"]', 1, 19, "a list is of one type"),
        ("sex in [1 2]", 1, 11, "parted by ','"),
        ("sex in [1, sex]", 1, 12, "a list holds fixed values"),
        ("sex in 1", 1, 8, "behind 'in' stands a list"),
        ('"x" in family_name', 1, 5, "no list; write family_name =="),
        ("3 in nationality", 1, 3, "3 is no text"),
        ("sex not 3", 1, 9, "'in' or 'not in'"),
        ('element("a", "b") == element("c", "d")', 1, 19, "one side must be a fixed value"),
        ('element("a", "b") == sex', 1, 19, "is compared with a fixed value"),
        ('element("a", "b") < "x"', 1, 19, "has no order"),
        ("age_over(18) == true", 1, 14, "is a yes or a no already"),
        ("(document.valid) == true", 1, 18, "is a yes or a no already"),
        ("sex == age_over(18)", 1, 8, "here stands a value to compare with"),
        ("1 < sex < 3", 1, 9, "join two with 'and'"),
        ("(document.valid", 1, 16, "the bracket is closed with ')'"),
        ("document.valid)", 1, 15, "there is no bracket to close"),
        ("document.valid AND status.clear", 1, 16, "did you mean 'and'?"),
        ("document.valid status.clear", 1, 16, "stands 'and' or 'or'"),
        ("document.valid && status.clear", 1, 16, "this is written 'and'"),
        ("document.valid | status.clear", 1, 16, "this is written 'or'"),
        ("!document.valid", 1, 1, "this is written 'not'"),
        ("sex = 1", 1, 5, "this is written '=='"),
        ("sex == -1", 1, 8, "numbers have no sign"),
        ("sex == 1.5", 1, 8, "numbers are whole"),
        ("sex == 12345678901", 1, 8, "at most 10 digits"),
        ("birth_date < 2026-02-30", 1, 14, "no such date"),
        ("and", 1, 1, "here stands a question"),
        ("sex ==", 1, 7, "found the end of the rule"),
        ('family_name == "x', 1, 16, 'it ends with "'),
        ('family_name == "x\\', 1, 18, "are written with \\"),
        ('family_name == "x\\n"', 1, 18, "are written with \\"),
        ('family_name == "x\ny"', 1, 18, "printable characters on one line"),
        ('family_name == "' + "x" * 300, 1, 16, "at most 256 characters"),
        ("__import__('os').system('x')", 1, 17, "a rule has names"),
        ("document.__class__", 1, 1, "did you mean 'document.valid'?"),
        ("document.valid; x", 1, 15, "a rule has names"),
        ("ａge_over(18)", 1, 1, "a rule has names"),
        ("open_now", 1, 1, "there are no opening hours here"),
    ],
)
def test_what_is_wrong_and_what_would_be_right(text: str, line: int, column: int, says: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse(text, ["staff"], hours=False)
    assert says in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_bounds() -> None:
    def refused(text: str) -> str:
        with pytest.raises(RuleError) as caught:
            parse(text)
        return str(caught.value)

    deep = "(" * MAX_DEPTH + "document.valid" + ")" * MAX_DEPTH
    parse(deep)
    assert "16 deep" in refused(f"({deep})")
    parse("not " * MAX_DEPTH + "document.valid")
    assert "16 deep" in refused("not " * (MAX_DEPTH + 1) + "document.valid")
    many = (MAX_NODES + 1) // 2
    parse(" and ".join(["open_now"] * many))
    assert f"{MAX_NODES} things" in refused(" and ".join(["open_now"] * (many + 1)))
    assert f"{MAX_NODES} things" in refused(f"sex in [{', '.join('1' * 300)}]")
    parse("document.valid".ljust(MAX_TEXT))
    assert f"at most {MAX_TEXT}" in refused("document.valid".ljust(MAX_TEXT + 1))
    refused("(" * MAX_TEXT)


def test_lists_and_hours_must_be_there() -> None:
    with pytest.raises(RuleError, match="no list is set up here"):
        Rule.parse('listed("staff")')
    with pytest.raises(RuleError, match="no opening hours"):
        Rule.parse("open_now")
