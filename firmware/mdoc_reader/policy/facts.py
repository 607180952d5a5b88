"""Facts: what one document, this moment and this site say to the questions of a rule. Made for one judgement.

Only what the issuer signed is heard: what a phone signed itself is no evidence of its holder. Of a document that is
invalid nothing is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from cbor2 import CBORTag

from mdoc_reader.model.verdict import Check, CheckState, DocumentVerdict, Validity
from mdoc_reader.policy.ages import AgeSpan, Days, age_span
from mdoc_reader.policy.allow_list import MAX_PART, Entry
from mdoc_reader.policy.days import local, strict_date
from mdoc_reader.policy.rule_names import NO_PLACES, PLACES
from mdoc_reader.policy.site import LeapDay, Site
from mdoc_reader.policy.truth import Known, known_of
from mdoc_reader.trust.clock import BUILT, Moment
from mdoc_reader.trust.revocation_codes import RevocationCode

MAX_PRIVILEGES = 64
"""Driving categories looked at: more are none that a document has."""
MAX_LISTED = 64
_FULL_DATE, _TDATE = 1004, 0
_NOTHING: Mapping[str, object] = {}


class Facts:
    """What can be asked of a document. Every answer is made once, when it is first asked for."""

    __slots__ = ("_age", "_days", "_elements", "_places", "document", "floor", "moment", "site")

    def __init__(self, document: DocumentVerdict, moment: Moment, site: Site, floor: datetime | None = None) -> None:
        """Keep what the questions are about. `floor` is certainly over; it counts where the moment is in doubt."""
        self.document = document
        self.moment = moment
        self.site = site
        self.floor = floor
        self._elements = {} if document.validity is Validity.INVALID else document.elements
        self._places = PLACES.get(document.doctype, NO_PLACES)
        self._age: AgeSpan | None = None
        self._days: Days | None = None

    # Elements

    def element(self, namespace: str, identifier: str) -> object:
        """Return an element's value as it was decoded; None where it was not shared."""
        return self._elements.get(namespace, _NOTHING).get(identifier)

    def named(self, name: str) -> object:
        """Return the value of an element by its short name; None where this kind of document has no such element."""
        place = self._places.get(name)
        return None if place is None else self._elements.get(place[0], _NOTHING).get(place[1])

    def day_of(self, value: object) -> date | None:
        """Read a full-date, or the day that a date and time is here; None where it is neither."""
        if isinstance(value, CBORTag):
            if value.tag not in {_FULL_DATE, _TDATE}:
                return None
            value = value.value
        if not isinstance(value, str) or not 10 <= len(value) <= 40:
            return None
        if len(value) == 10:
            return strict_date(value)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        here = None if moment.tzinfo is None else local(moment, self.site.zone)
        return None if here is None else here.date()

    # Time

    @property
    def days(self) -> Days:
        """What day it is at the site."""
        if self._days is None:
            self._days = self._read_days()
        return self._days

    def _read_days(self) -> Days:
        early = self.site.leap_day is LeapDay.FEBRUARY_28
        if self.moment.doubt is None:
            now = local(self.moment.at, self.site.zone)
            if now is not None:
                return Days(now.date(), now.date(), early)
        over = local(self.floor or BUILT, self.site.zone)
        return Days(None, (over or BUILT.astimezone(UTC)).date(), early)

    @property
    def open_now(self) -> Known:
        """Whether the site is open."""
        hours = self.site.hours
        return None if hours is None else known_of(hours.is_open(self.moment))

    # The document

    @property
    def valid(self) -> Known:
        """Whether all required checks passed."""
        validity = self.document.validity
        return True if validity is Validity.VALID else False if validity is Validity.INVALID else None

    @property
    def trusted(self) -> Known:
        """Whether a trusted issuer's signer signed the document."""
        checks = self.document.checks
        path, signature = checks.get(Check.CERTIFICATE_PATH), checks.get(Check.ISSUER_SIGNATURE)
        if path is CheckState.FAILED or signature is CheckState.FAILED:
            return False
        return True if path is CheckState.PASSED and signature is CheckState.PASSED else None

    @property
    def clear(self) -> Known:
        """Whether the document is known not to be revoked: a list says so, or none is named and that is accepted."""
        check = self.document.checks.get(Check.REVOCATION, CheckState.UNCHECKED)
        if check is CheckState.PASSED:
            return True
        if check is CheckState.UNCHECKED and self.document.validity is not Validity.INVALID:
            # Where a profile does not accept it, the check is not left as unchecked.
            codes = {finding.code for finding in self.document.findings}
            return True if RevocationCode.STATUS_NONE in codes and RevocationCode.SIGNER_NO_LIST in codes else None
        return False if check is CheckState.FAILED else None

    # The holder

    @property
    def age(self) -> AgeSpan:
        """Where the holder's age lies."""
        if self._age is None:
            birth = self.named("birth_date")
            self._age = age_span(
                self._elements,
                self.days,
                None if birth is None else self.day_of(birth),
                _number(self.named("age_birth_year")),
                _number(self.named("age_in_years")),
            )
        return self._age

    def drives(self, category: str) -> Known:
        """Whether the holder may drive a category today, by the dates of the category itself."""
        privileges = self.named("driving_privileges")
        if not isinstance(privileges, list | tuple) or len(privileges) > MAX_PRIVILEGES:
            return None
        answer: Known = False
        for privilege in privileges:
            code = privilege.get("vehicle_category_code") if isinstance(privilege, Mapping) else None
            if not isinstance(privilege, Mapping) or not isinstance(code, str):
                answer = None  # it may be the one
            elif code == category:
                held = self._held(privilege)
                if held:
                    return True
                answer = None if held is None else answer
        return answer

    def _held(self, privilege: Mapping[object, object]) -> Known:
        days = self.days
        since, until = privilege.get("issue_date"), privilege.get("expiry_date")
        begins, ends = self.day_of(since), self.day_of(until)
        if ends is not None and ends < days.over:
            return False
        if begins is not None and days.today is not None and begins > days.today:
            return False
        if (since is not None and begins is None) or (until is not None and ends is None):
            return None
        begun = begins is None or begins <= days.over
        return True if begun and (ends is None or days.today is not None) else None

    # Lists

    def entry(self, name: str) -> Entry | None:
        """Return the entry of the document in a list of the site; None where there is none or the list is not known."""
        known = self._identity()
        held = self.site.lists.get(name)
        return None if known is None or held is None else held.find(*known)

    def listed(self, name: str) -> Known:
        """Whether the document is on a list of the site."""
        known, held = self._identity(), self.site.lists.get(name)
        if known is None or held is None:
            return None
        if held.find(*known) is not None:
            return True
        # An entry may cover the jurisdiction that was not shared.
        return None if held.jurisdictions and known[1] is None else False

    def _identity(self) -> tuple[str, str | None, str] | None:
        country, number = _text(self.named("issuing_country")), _text(self.named("document_number"))
        if country is None or number is None:
            return None
        return country, _text(self.named("issuing_jurisdiction")), number


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= MAX_PART and not value.isspace() else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 9999 else None


def texts(value: object) -> Sequence[str] | None:
    """Read a list of texts, or one text as a list of one; None where it is neither."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and len(value) <= MAX_LISTED and all(isinstance(each, str) for each in value):
        return value
    return None
