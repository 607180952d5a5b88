"""From settings to a profile: questions encoded, the rule read, lists loaded; and what is odd about it, said aloud.

A profile asks for the least it needs. What it asks and nothing uses is named, and so is what tells who somebody is
where the settings give no reason for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from mdoc_reader.app.profile_settings import ProfileError, ProfileSettings
from mdoc_reader.mdoc.request import ItemsRequest
from mdoc_reader.policy import allow_list, rule_needs
from mdoc_reader.policy.calendar import Calendar, CalendarError
from mdoc_reader.policy.identifier import SiteKey, Use, key_for
from mdoc_reader.policy.profile import Profile, Question
from mdoc_reader.policy.rule import Rule, RuleError
from mdoc_reader.policy.rule_tree import Ask, Flag, conditions
from mdoc_reader.policy.site import LeapDay, Site, zone_of
from mdoc_reader.policy.site_key import load as load_key
from mdoc_reader.verification.age import age_of

_LEAP_DAYS = {"1 March": LeapDay.MARCH_1, "28 February": LeapDay.FEBRUARY_28}

# Elements that say something of a person without saying who it is, in any namespace.
_ANONYMOUS = frozenset(
    {
        "age_in_years",
        "age_birth_year",
        "DHS_compliance",
        "DHS_temporary_lawful_status",
        "driving_privileges",
        "EDL_credential",
        "expiry_date",
        "issue_date",
        "issuance_date",
        "issuing_authority",
        "issuing_country",
        "issuing_jurisdiction",
        "issuing_subdivision",
        "nationality",
        "sex",
        "un_distinguishing_sign",
    }
)


def identifies(identifier: str) -> bool:
    """Say whether an element tells who somebody is, alone or beside others."""
    return age_of(identifier) is None and identifier not in _ANONYMOUS


def rule_text(chosen: ProfileSettings) -> str:
    """Return the rule as text: the given one, or what the short forms stand for."""
    if chosen.rule is not None:
        if chosen.age_over is not None or chosen.required:
            raise ProfileError("profile.rule", "takes the place of age_over and required; write them into the rule")
        return chosen.rule
    parts = [] if chosen.age_over is None else [f"age_over({chosen.age_over})"]
    parts += [f"holds({_quoted(namespace)}, {_quoted(identifier)})" for namespace, identifier in chosen.required]
    return " and ".join(parts) or "document.valid"


def _quoted(text: str) -> str:
    if '"' in text or "\\" in text:
        raise ProfileError("profile.required", f"{text!r} cannot be the name of an element")
    return f'"{text}"'


def site_of(chosen: ProfileSettings, expand: Callable[[str], Path], *, lists: bool = True) -> Site:
    """Return the site a profile is for, its lists loaded or (`lists` false) empty. Raises ProfileError."""
    try:
        zone = zone_of(chosen.time_zone)
    except ValueError as error:
        raise ProfileError("profile.time_zone", str(error)) from None
    try:
        hours = Calendar.parse(chosen.hours, zone) if chosen.hours else None
    except CalendarError as error:
        raise ProfileError("profile.hours", str(error)) from None
    loaded = dict.fromkeys(chosen.lists, allow_list.AllowList(b"", {}))
    if chosen.lists and lists:
        key = site_key(chosen, expand)
        if key is None:
            raise ProfileError("profile.lists", "a list needs profile.site_key, with which it was made")
        for name, path in chosen.lists.items():
            try:
                loaded[name] = allow_list.load(expand(path), key_for(key, Use.ALLOW_LIST))
            except OSError as error:
                raise ProfileError(f"profile.lists.{name}", f"{error.filename}: {error.strerror}") from None
            except allow_list.ListError as error:
                raise ProfileError(f"profile.lists.{name}", str(error)) from None
    return Site(zone, _LEAP_DAYS[chosen.leap_day], hours, loaded)


def site_key(chosen: ProfileSettings, expand: Callable[[str], Path]) -> SiteKey | None:
    """Return the site's secret; None where none is set. Raises ProfileError."""
    if chosen.site_key is None:
        return None
    path = expand(chosen.site_key)
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    try:
        return load_key(path, credential=credentials is not None and path.is_relative_to(credentials))
    except OSError as error:
        what = f"{path}: {error.strerror}; make one with: mdoc-reader profile key {path}"
        raise ProfileError("profile.site_key", what) from None
    except ValueError as error:
        raise ProfileError("profile.site_key", str(error)) from None


def profile_of(chosen: ProfileSettings, site: Site) -> Profile:
    """Return the profile of checked settings, its questions encoded. Raises ProfileError."""
    try:
        rule = Rule.parse(rule_text(chosen), site)
    except RuleError as error:
        raise ProfileError("profile.rule", str(error)) from None
    questions = tuple(Question.of(ItemsRequest(asked.doctype, asked.elements)) for asked in chosen.request)
    together = None
    if len(questions) > 1 and chosen.together:
        together = Question.any_of(questions, chosen.purpose)
    return Profile(chosen.name, questions, rule, together, chosen.compare, chosen.max_rounds)


def oddities(chosen: ProfileSettings, profile: Profile) -> list[str]:
    """Say what a profile asks for too much, too little, or without a reason."""
    told = []
    for asked in chosen.request:
        places = {(space, name): kept for space, names in asked.elements.items() for name, kept in names.items()}
        beside = {place for place in places if place[1] in _used_beside(chosen)}
        spare = rule_needs.spare(profile.rule, asked.doctype, places) - beside
        for place, kept in places.items():
            where = f"{asked.doctype}: {place[0]}: {place[1]}"
            if place in spare and not asked.why:
                told.append(f"asks for {where} and uses it for nothing")
            elif identifies(place[1]) and not asked.why:
                told.append(f'asks for {where}, which tells who somebody is, and gives no reason (why = "...")')
            if kept and place not in beside:
                told.append(f"asks for {where} with the intent to retain, and retains nothing")
        told += [
            f"can never answer {question} from {asked.doctype}: what that needs is not asked for"
            for question in rule_needs.unasked(profile.rule, asked.doctype, places)
        ]
    return told


def _used_beside(chosen: ProfileSettings) -> set[str]:
    """Name the elements that are used for more than the rule."""
    names = {"portrait"} if chosen.compare else set()
    if chosen.identifier in {"pseudonym", "listed"}:
        names |= {"document_number", "issuing_country", "issuing_authority", "issuing_jurisdiction"}
    return names


def explained(chosen: ProfileSettings, profile: Profile) -> list[str]:
    """Say in plain words what a profile asks, what it opens for, and what happens around it."""
    told = [f"Profile: {profile.name}", ""]
    several = len(chosen.request) > 1
    told.append("What the person is asked to share" + (" (one of these):" if several else ":"))
    for asked in chosen.request:
        told.append(f"  from {_DOCUMENTS.get(asked.doctype, asked.doctype)}")
        for given in asked.elements.values():
            told += [f"    - {_words_for(name)}{', and it is kept' if kept else ''}" for name, kept in given.items()]
        if asked.why:
            told.append(f"    because: {asked.why}")
    if several:
        how = "at once of wallets that can take a choice, else" if profile.together else "always"
        told.append(f"  They are asked for {how} one after the other, {profile.max_rounds} at the most.")
    told += ["", *profile.rule.words().splitlines()]
    told.append("One document has to say it all, and a document that is not valid, or not settled, never opens.")
    if chosen.compare:
        told.append("Then an attendant compares the portrait with the person and presses confirm or reject.")
    if chosen.hours and Ask(Flag.OPEN) not in {each for each, _ in conditions(profile.rule.tree)}:
        told += ["", f"People are served ({chosen.time_zone}): {'; '.join(chosen.hours)}"]
    told += ["", f"The building is told: {_IDENTIFIERS[chosen.identifier or 'none']}"]
    odd = oddities(chosen, profile)
    if odd:
        told += ["", "Please look at this:", *(f"  - it {line}" for line in odd)]
    return told


_IDENTIFIERS: Mapping[str, str] = {
    "none": "nothing about the person.",
    "visit": "a number that is another one at each visit.",
    "pseudonym": "a number that is the same at each visit of the same document, and says nothing elsewhere.",
    "listed": "the number that this site's list has beside the document.",
}

_DOCUMENTS: Mapping[str, str] = {
    "org.iso.18013.5.1.mDL": "a mobile driving licence",
    "org.iso.23220.photoid.1": "a photo ID",
    "org.iso.23220.photoID.1": "a photo ID (the older spelling)",
    "eu.europa.ec.eudi.pid.1": "an EU person identification (PID)",
    "eu.europa.ec.av.1": "an EU proof of age",
}


def _words_for(name: str) -> str:
    age = age_of(name)
    return f"whether they are over {age}" if age is not None else name.replace("_", " ")
