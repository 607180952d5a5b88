"""Settings of the profile: what is asked, what answer means yes, who has to agree, and what the building is told."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from mdoc_reader.verification.age import age_of

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Sentence = Annotated[str, msgspec.Meta(max_length=400)]
ListName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Identifier = Literal["none", "visit", "pseudonym", "listed"]
Age = Annotated[int, msgspec.Meta(ge=1, le=99)]

MAX_AGE_QUESTIONS = 2


class RequestSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One question: a document type, and the elements asked for with the intent to retain each."""

    doctype: Name
    elements: dict[Name, dict[Name, bool]]
    why: Sentence = ""
    """Why anything is asked that tells who somebody is."""


class ProfileSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is asked and what answer means yes."""

    name: Name
    request: Annotated[tuple[RequestSettings, ...], msgspec.Meta(min_length=1, max_length=8)]
    rule: Annotated[str, msgspec.Meta(max_length=4096)] | None = None
    """What one document must say (docs/rules.md). In its place `age_over` and `required` will do for simple ones."""
    age_over: Age | None = None
    required: tuple[tuple[Name, Name], ...] = ()
    """(namespace, element) pairs that must be there, whatever they say."""
    purpose: Literal["identity", "driving", "age"] | None = None
    """Told to wallets that read it."""
    together: bool = True
    """Ask wallets that can take a choice for any of the documents at once; others are asked one after the other."""
    max_rounds: Annotated[int, msgspec.Meta(ge=1, le=8)] = 3
    compare: bool = False
    """A yes counts once an attendant has compared the portrait with the person and pressed `confirm`."""
    hours: Annotated[tuple[Name, ...], msgspec.Meta(max_length=32)] = ()
    """When people are served, such as "mo-fr 07:00-18:30"; none for always."""
    time_zone: Name = "UTC"
    """Of the site: it says what day it is for ages and hours."""
    leap_day: Literal["1 March", "28 February"] = "1 March"
    """When somebody born on 29 February is a year older, in years without one."""
    lists: dict[ListName, Name] = {}
    """Files of `listed("NAME")`, by name; made with `mdoc-reader profile entry`."""
    site_key: Name | None = None
    """File of the secret that numbers of documents are hashed with, for lists and pseudonyms."""
    identifier: Identifier | None = None
    """What number the building is told of somebody who is let in: none, another one at each visit, the same one at
    each visit that says nothing elsewhere, or the one that a list has beside the document. Without this line: a
    pseudonym where there is a line to the building, else none."""


class ProfileError(ValueError):
    """A profile that cannot be used: `key` names the setting, the text says what would be right."""

    def __init__(self, key: str, text: str) -> None:
        """Keep the key beside the text."""
        self.key = key
        super().__init__(text)


def check_requests(chosen: ProfileSettings) -> None:
    """Refuse what no wallet may be asked. Raises ProfileError."""
    seen: set[str] = set()
    ages: set[str] = set()
    for index, asked in enumerate(chosen.request):
        key = f"profile.request[{index}]"
        if not asked.elements or not all(asked.elements.values()):
            raise ProfileError(f"{key}.elements", "each namespace must name one element at least")
        if asked.doctype in seen:
            raise ProfileError(f"{key}.doctype", f"{asked.doctype!r} is asked for already: put the elements together")
        seen.add(asked.doctype)
        ages |= {name for names in asked.elements.values() for name in names if age_of(name) is not None}
        if len(ages) > MAX_AGE_QUESTIONS:
            what = f"at most {MAX_AGE_QUESTIONS} age_over_NN may be asked in one session, all requests together"
            raise ProfileError(f"{key}.elements", what)
    if chosen.identifier in {"pseudonym", "listed"}:
        _check_handed_on(chosen)
    if chosen.compare and not any("portrait" in names for asked in chosen.request for names in asked.elements.values()):
        raise ProfileError("profile.compare", "a portrait must be asked for to be compared")


def _check_handed_on(chosen: ProfileSettings) -> None:
    for index, asked in enumerate(chosen.request):
        if not any("document_number" in names for names in asked.elements.values()):
            key = f"profile.request[{index}].elements"
            what = f"identifier {chosen.identifier!r} is made of document_number: ask for it with the intent to retain"
            raise ProfileError(key, f'{what} (true), or say identifier = "visit"')
        for namespace, names in asked.elements.items():
            if names.get("document_number") is False:
                key = f"profile.request[{index}].elements"
                what = f"{namespace}: document_number is handed on as identifier {chosen.identifier!r}"
                raise ProfileError(key, f"{what}: ask for it with the intent to retain (true)")
    if chosen.site_key is None:
        raise ProfileError("profile.identifier", f"{chosen.identifier!r} needs profile.site_key")
