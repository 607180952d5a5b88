"""Why a rule came out as it did. Codes and sentences only: never a value of the holder."""

from __future__ import annotations

from mdoc_reader.model.reasons import ReasonCode


class RuleCode(ReasonCode):
    """What decided a rule."""

    RULE_MET = "rule_met", "The document answers what is asked."
    RULE_NOT_MET = "rule_not_met", "What the document says is not what is asked for."
    # Age
    UNDER_AGE = "under_age", "The document says the holder is younger than required."
    OVER_AGE = "over_age", "The document says the holder is older than allowed."
    AGE_NOT_STATED = "age_not_stated", "The document does not say whether the holder is old enough."
    AGE_CONTRADICTED = "age_contradicted", "What the document says about the holder's age contradicts itself."
    # Elements
    ELEMENT_MISSING = "element_missing", "Something that is needed was not shared."
    ELEMENT_UNREADABLE = "element_unreadable", "Something that was shared is not of the form that is needed."
    ELEMENT_SHARED = "element_shared", "Something was shared that must not be there."
    COUNTRY_NOT_ACCEPTED = "country_not_accepted", "Documents of this issuing country are not accepted here."
    DOCTYPE_NOT_ACCEPTED = "doctype_not_accepted", "Documents of this kind are not accepted here."
    # Driving
    CATEGORY_MISSING = "category_missing", "The holder may not drive what is required, or no longer."
    CATEGORY_HELD = "category_held", "The holder may drive what must not be there."
    CATEGORY_UNCERTAIN = "category_uncertain", "It cannot be told whether the holder may drive what is required today."
    # Lists of this site
    NOT_LISTED = "not_listed", "The document is not on the list of this door."
    LISTED = "listed", "The document is on a list that is kept out."
    LIST_UNCERTAIN = "list_uncertain", "It cannot be told whether the document is on the list of this door."
    # The document itself
    DOCUMENT_VALID = "document_valid", "The document is valid where none may be."
    DOCUMENT_NOT_VALID = "document_not_valid", "The document is not valid."
    DOCUMENT_UNCERTAIN = "document_uncertain", "It cannot be told whether the document is valid."
    ISSUER_TRUSTED = "issuer_trusted", "The document is of a trusted issuer where none may be."
    ISSUER_NOT_TRUSTED = "issuer_not_trusted", "The document is not of an issuer that is trusted here."
    ISSUER_UNCERTAIN = "issuer_uncertain", "It cannot be told whether the document's issuer is trusted."
    STATUS_CLEAR = "status_clear", "The document is not revoked where it must be."
    STATUS_NOT_CLEAR = "status_not_clear", "The document or its signer was revoked."
    STATUS_UNCERTAIN = "status_uncertain", "It cannot be told whether the document was revoked."
    # The time
    CLOSED_NOW = "closed_now", "It is outside the opening hours."
    OPEN_NOW = "open_now", "It is within the opening hours, and this opens outside them only."
    TIME_UNCERTAIN = "time_uncertain", "What time it is cannot be relied on."
