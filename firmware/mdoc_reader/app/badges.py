"""What number the building is told of somebody who was let in: made as the profile has it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from mdoc_reader.app.profile_settings import ProfileError, ProfileSettings
from mdoc_reader.app.profiles import site_key
from mdoc_reader.model.badge import Badge
from mdoc_reader.model.verdict import DocumentVerdict
from mdoc_reader.policy.identifier import DocumentName, Pseudonymiser, visit_badge
from mdoc_reader.policy.rule import Rule
from mdoc_reader.policy.rule_names import NO_PLACES, PLACES

BadgeMaker = Callable[[DocumentVerdict], Badge | None]


def badge_maker(chosen: ProfileSettings, rule: Rule, expand: Callable[[str], Path]) -> BadgeMaker:
    """Return what makes the number of a document that opened. Raises ProfileError."""
    match chosen.identifier:
        case "visit":
            return lambda document: visit_badge()
        case "listed":
            return rule.badge
        case "pseudonym":
            key = site_key(chosen, expand)
            if key is None:
                raise ProfileError("profile.identifier", "a pseudonym needs profile.site_key")
            return partial(_pseudonym, Pseudonymiser(key))
    return lambda document: None


def _pseudonym(made_by: Pseudonymiser, document: DocumentVerdict) -> Badge | None:
    """Return the pseudonym of a document; None for one that did not share its number."""
    places = PLACES.get(document.doctype, NO_PLACES)

    def shared(name: str) -> str:
        place = places.get(name)
        value = None if place is None else document.elements.get(place[0], {}).get(place[1])
        return value if isinstance(value, str) else ""

    try:
        name = DocumentName(
            document.doctype, shared("issuing_country"), shared("issuing_authority"), shared("document_number")
        )
    except ValueError:
        return None
    return made_by.badge(name)
