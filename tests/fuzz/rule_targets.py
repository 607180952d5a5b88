"""What an operator writes and a device reads at its start: rules, opening hours, lists of documents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from cbor2 import CBORTag

from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.model.verdict import Check, CheckState, DocumentVerdict, Validity
from mdoc_reader.policy import allow_list
from mdoc_reader.policy.calendar import Calendar, CalendarError
from mdoc_reader.policy.rule import Rule, RuleError
from mdoc_reader.policy.rule_needs import elements_used, spare, unasked
from mdoc_reader.policy.rule_text import parse
from mdoc_reader.policy.rule_tree import written
from mdoc_reader.policy.site import Site
from mdoc_reader.trust.clock import Moment

_KEY = b"a key that the site alone knows!"
_NOW = Moment(datetime(2026, 11, 21, 12, tzinfo=UTC))
_DOCUMENT = DocumentVerdict(
    "org.iso.18013.5.1.mDL",
    Validity.VALID,
    dict.fromkeys(Check, CheckState.PASSED),
    elements={
        "org.iso.18013.5.1": {
            "birth_date": CBORTag(1004, "2000-02-29"),
            "issuing_country": "UT",
            "document_number": "1",
            "sex": 2,
            "nationality": ["UT"],
            "driving_privileges": [{"vehicle_category_code": "B"}],
        }
    },
)


def _list_text() -> str:
    entry = allow_list.make_entry(_KEY, "UT", "1", badge=5)
    return f"{allow_list.header(_KEY)}\n# staff\n{entry}\n"


_SITE = Site(
    hours=Calendar.parse(["mo-su 00:00-24:00"], UTC),
    lists={"staff": allow_list.parse(_list_text().encode(), _KEY)},
)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed(MalformedCode.BAD_TEXT) from None


def _rule(data: bytes) -> None:
    """Hold a rule that is accepted to all that a rule promises."""
    text = _text(data)
    try:
        rule = Rule.parse(text, _SITE)
    except RuleError as error:
        if not (1 <= error.line <= len(text) + 1 and 1 <= error.column <= len(text) + 1) or len(str(error)) > 2000:
            raise AssertionError("a complaint that points nowhere, or has no end") from None
        raise Malformed(MalformedCode.BAD_VALUE) from None
    if repr(parse(written(rule.tree))) != repr(rule.tree):
        raise AssertionError("it reads otherwise than it is printed")
    if rule.judge(_DOCUMENT, _NOW) != rule.judge(_DOCUMENT, _NOW):
        raise AssertionError("it says one thing and then another")
    used = elements_used(rule, _DOCUMENT.doctype)
    if spare(rule, _DOCUMENT.doctype, used) - used:
        raise AssertionError("it can spare what it does not use")
    unasked(rule, _DOCUMENT.doctype, used)
    rule.words()
    rule.badge(_DOCUMENT)


def _hours(data: bytes) -> None:
    try:
        Calendar.parse(_text(data).split("\n"), UTC).is_open(_NOW)
    except CalendarError:
        raise Malformed(MalformedCode.BAD_VALUE) from None


def _list(data: bytes) -> None:
    try:
        allow_list.parse(data, _KEY).find("UT", None, "1")
    except allow_list.ListError:
        raise Malformed(MalformedCode.BAD_VALUE) from None


PARSERS: dict[str, Callable[[bytes], object]] = {"rule": _rule, "opening_hours": _hours, "allow_list": _list}


def examples() -> list[bytes]:
    """Return valid examples for each of them."""
    return [
        b"age_over(18) and document.valid and status.clear",
        b'not (age_under(16) or "DE" in nationality) # or so\n and listed("staff") and open_now',
        b'element("org.iso.18013.5.1", "sex") in [1, 2] or birth_date < 2000-01-01 or drives("B")',
        b'document.doctype != "a\\"b" and holds("portrait") and issuing_country not in [\'DE\', "AT"]',
        b"mo-fr 07:00-18:30\nsa,su 22:00-02:00,04:00-05:00\n2026-12-25 closed",
        _list_text().encode(),
    ]
