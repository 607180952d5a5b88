"""Rules, documents, sites and moments at random: the worlds in which the properties of the rule language are tried."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cbor2 import CBORTag
from hypothesis import strategies as st

from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import Check, CheckState, DocumentVerdict, Finding, Validity
from mdoc_reader.policy import allow_list
from mdoc_reader.policy.calendar import Calendar
from mdoc_reader.policy.facts import Facts
from mdoc_reader.policy.rule_names import AGE_SPACES, KINDS, MDL, PLACES, Kind
from mdoc_reader.policy.rule_tree import (
    AgeOver,
    AgeUnder,
    And,
    Ask,
    Compare,
    Condition,
    Contains,
    DocType,
    Drives,
    Element,
    Flag,
    Holds,
    Listed,
    Literal,
    Name,
    Not,
    Op,
    Or,
    Test,
    Today,
    Within,
    conditions,
)
from mdoc_reader.policy.site import LeapDay, Site
from mdoc_reader.trust.clock import BUILT, ClockCode, Moment
from mdoc_reader.trust.revocation_codes import RevocationCode

KEY = b"a site's key of thirty-two bytes"
ZONE = ZoneInfo("Europe/Berlin")
TEXTS = ("DE", "AT", "UT", "A1", "B", 'say "hi" \\ so', "älter")
DAYS = (
    date(1960, 2, 29),
    date(2000, 1, 1),
    date(2008, 11, 21),
    date(2010, 2, 28),
    date(2026, 11, 21),
    date(2030, 1, 1),
)
NUMBERS = (0, 1, 2, 17, 18, 21, 40, 1960, 2008)
FULL = Element("org.iso.18013.5.1", "x")
FORMS = ("{}", "{} ", "{}T10:00:00Z", "{}T23:30:00Z")


def _list() -> allow_list.AllowList:
    lines = [
        allow_list.header(KEY),
        allow_list.make_entry(KEY, "DE", "A1", badge=7),
        allow_list.make_entry(KEY, "AT", "A1", jurisdiction="B"),
    ]
    return allow_list.parse("\n".join(lines).encode(), KEY)


PLAIN = allow_list.parse(f"{allow_list.header(KEY)}\n{allow_list.make_entry(KEY, 'UT', 'B')}".encode(), KEY)
SITES = st.builds(
    Site,
    st.sampled_from([ZONE, UTC, ZoneInfo("Pacific/Kiritimati")]),
    st.sampled_from(LeapDay),
    st.just(Calendar.parse(["mo-fr 07:00-18:30", "sa 22:00-02:00"], ZONE)),
    st.just({"staff": _list(), "guests": PLAIN}),
)

# Rules

_BY_KIND: dict[Kind, list[Name]] = {kind: [Name(name) for name in KINDS if KINDS[name] is kind] for kind in Kind}
_LITERALS = {
    Kind.TEXT: st.sampled_from([*TEXTS, "org.iso.18013.5.1.mDL"]).map(Literal),
    Kind.INT: st.sampled_from(NUMBERS).map(Literal),
    Kind.DATE: st.sampled_from(DAYS).map(Literal),
    Kind.BOOL: st.booleans().map(Literal),
}
_COUNTRIES = st.sampled_from(["DE", "AT", "UT"]).map(Literal)
_EQUAL = st.sampled_from([Op.EQUAL, Op.UNEQUAL])


def _comparison(kind: Kind) -> st.SearchStrategy[Condition]:
    ops = st.sampled_from(Op) if kind in {Kind.INT, Kind.DATE} else _EQUAL
    names = [name for name in _BY_KIND[kind] if name != Name("issuing_country")]
    terms: list[Name | Element | Today | DocType] = [*names, FULL]
    terms += [Today()] if kind is Kind.DATE else [DocType()] if kind is Kind.TEXT else []
    values, term = _LITERALS[kind], st.sampled_from(terms)
    two = st.tuples(term, ops, term).filter(lambda three: FULL not in three)
    return st.one_of(
        st.builds(Compare, term, ops, values),
        st.builds(Compare, values, ops, term),
        st.builds(Within, term, st.lists(values, min_size=1, max_size=3).map(tuple)),
        *([] if kind is Kind.BOOL else [two.map(lambda three: Compare(*three))]),
    )


QUESTIONS: st.SearchStrategy[Condition] = st.one_of(
    st.sampled_from(Flag).map(Ask),
    st.sampled_from([12, 16, 18, 21, 66]).map(AgeOver),
    st.sampled_from([12, 16, 18, 21, 66]).map(AgeUnder),
    st.sampled_from(["A", "B"]).map(Drives),
    st.sampled_from(["staff", "guests"]).map(Listed),
    st.sampled_from([*map(Name, KINDS), FULL]).map(Holds),
    st.just(Test(FULL)),
    *map(_comparison, _LITERALS),
    st.builds(Compare, st.just(Name("issuing_country")), _EQUAL, _COUNTRIES),
    st.builds(Within, st.just(Name("issuing_country")), st.lists(_COUNTRIES, min_size=1, max_size=3).map(tuple)),
    st.builds(Contains, _LITERALS[Kind.TEXT], st.sampled_from([Name("nationality"), FULL])),
)


def _joined(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(parts, min_size=2, max_size=4).map(tuple)
    return st.one_of(parts.map(Not), several.map(And), several.map(Or))


RULES: st.SearchStrategy[Condition] = st.recursive(QUESTIONS, _joined, max_leaves=10)

# Documents

_PLAIN = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.booleans(),
    st.none(),
    st.just(b"\xff\xd8"),
    st.floats(),
    st.integers(),
    st.text(max_size=12),
)
_DATES = st.one_of(
    st.tuples(st.sampled_from(DAYS), st.sampled_from(FORMS), st.sampled_from([0, 1004, 100, None])).map(
        lambda made: made[1].format(made[0]) if made[2] is None else CBORTag(made[2], made[1].format(made[0]))
    ),
    st.sampled_from([CBORTag(0, "0001-01-01T00:00:00+14:00"), CBORTag(0, "9999-12-31T23:59:59-14:00"), "2026-W01-1"]),
)
_PRIVILEGES = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"vehicle_category_code": st.sampled_from(["A", "B", 3])},
            optional={"issue_date": _DATES, "expiry_date": _DATES},
        ),
        _PLAIN,
    ),
    max_size=3,
)
_ANY = st.one_of(_PLAIN, _DATES, _PRIVILEGES, st.lists(st.sampled_from(TEXTS), max_size=3))
_RIGHT: dict[Kind | str, st.SearchStrategy[object]] = {
    Kind.TEXT: st.sampled_from(TEXTS),
    Kind.INT: st.sampled_from(NUMBERS),
    Kind.DATE: _DATES,
    Kind.LIST: st.lists(st.sampled_from(TEXTS), max_size=3),
    "driving_privileges": _PRIVILEGES,
}
Elements = Mapping[str, Mapping[str, object]]


_UNSURE = {name: st.one_of(right, right, right, _ANY) for name, right in _RIGHT.items()}


def names_in(tree: Condition) -> set[str]:
    """Return the short names that a rule draws upon."""
    found: set[str] = set()
    for question, _ in conditions(tree):
        match question:
            case AgeOver() | AgeUnder():
                found |= {"birth_date", "age_birth_year"}
            case Drives():
                found.add("driving_privileges")
            case Listed():
                found |= {"issuing_country", "document_number", "issuing_jurisdiction"}
            case Compare(left, _, right):
                found |= {term.name for term in (left, right) if isinstance(term, Name)}
            case Within(Name(name), _) | Contains(_, Name(name)) | Holds(Name(name)):
                found.add(name)
    return found


@st.composite
def _elements(draw: st.DrawFn, doctype: str, names: list[str]) -> Elements:
    elements: dict[str, dict[str, object]] = {}
    places = PLACES.get(doctype, {})
    wanted = [name for name in names if name in places]
    for name in wanted:
        if draw(st.integers(0, 5)):
            namespace, identifier = places[name]
            kind = name if name in _UNSURE else KINDS[name]
            elements.setdefault(namespace, {})[identifier] = draw(_UNSURE.get(kind, _ANY))
    reached = draw(st.sampled_from([14, 18, 70]))
    for age in draw(st.sets(st.sampled_from([12, 16, 18, 21]), max_size=3)):
        space = AGE_SPACES.get(doctype, FULL.namespace)
        elements.setdefault(space, {})[f"age_over_{age}"] = age <= reached
    if not draw(st.integers(0, 9)):
        elements.setdefault(FULL.namespace, {})["age_over_18"] = draw(_PLAIN)
    if draw(st.booleans()):
        elements.setdefault(FULL.namespace, {})[FULL.identifier] = draw(_ANY)
    return elements


@st.composite
def documents(draw: st.DrawFn, tree: Condition) -> DocumentVerdict:
    """Return a verdict: any of the known kinds of document or none, with most of what a rule draws upon."""
    doctype = draw(st.sampled_from([MDL, MDL, MDL, *PLACES, "org.example.unknown"]))
    codes = draw(st.sets(st.sampled_from([RevocationCode.STATUS_NONE, RevocationCode.SIGNER_NO_LIST])))
    return DocumentVerdict(
        doctype,
        draw(st.sampled_from([Validity.VALID, Validity.VALID, Validity.VALID, *Validity])),
        {check: draw(st.sampled_from(CheckState)) for check in Check if draw(st.integers(0, 4))},
        tuple(Finding(code, Severity.INFO, code.operator) for code in sorted(codes)),
        draw(_elements(doctype, sorted(names_in(tree)))),
    )


MOMENTS = st.builds(
    Moment,
    st.integers(0, 3_000).map(lambda days: BUILT + timedelta(days=days, hours=days % 24)),
    st.sampled_from([None, None, None, *ClockCode]),
)
EDGES = st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]).map(Moment)


@st.composite
def shared_less(draw: st.DrawFn, elements: Elements) -> Elements:
    """Return some of the elements."""
    every = [(namespace, name) for namespace, given in elements.items() for name in given]
    gone = draw(st.sets(st.sampled_from(every))) if every else set()
    return {
        namespace: {name: value for name, value in given.items() if (namespace, name) not in gone}
        for namespace, given in elements.items()
    }


def consistent(document: DocumentVerdict, moment: Moment, site: Site) -> bool:
    """Say whether what a document tells of an age fits together."""
    return not Facts(document, Moment(moment.at), site).age.contradicted


@st.composite
def cases(draw: st.DrawFn, rules: st.SearchStrategy[Condition] = RULES) -> tuple[Condition, DocumentVerdict]:
    """Return a rule with a document for it."""
    tree = draw(rules)
    return tree, draw(documents(tree))
