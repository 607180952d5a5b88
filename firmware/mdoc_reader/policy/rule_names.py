"""The short names of data elements: where each kind of document keeps what a rule calls by one name.

One name stands for one element of a kind of document and never for a choice of several: else an element that is held
back could be stood in for by another that says what the rule wants to hear. ISO 18013-5 Table 20, ISO/IEC TS 23220-4
Annex C (Photo ID, in both spellings), the EU PID rulebook, the EU age verification profile and AAMVA's guidelines.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

Place = tuple[str, str]
"""Namespace and identifier."""

MDL = "org.iso.18013.5.1.mDL"
PHOTO_ID = "org.iso.23220.photoid.1"
OLD_PHOTO_ID = "org.iso.23220.photoID.1"
PID = "eu.europa.ec.eudi.pid.1"
EU_AGE = "eu.europa.ec.av.1"
_MDL_SPACE, _ID_SPACE, _AAMVA_SPACE = "org.iso.18013.5.1", "org.iso.23220.1", "org.iso.18013.5.1.aamva"


class Kind(Enum):
    """What a value is. ANY: only the document knows. OTHER: nothing a rule can compare."""

    BOOL = "yes or no"
    INT = "a number"
    TEXT = "text"
    DATE = "a date"
    LIST = "a list of texts"
    ANY = "a value"
    OTHER = "neither text, nor number, nor date"


KINDS: Mapping[str, Kind] = {
    "family_name": Kind.TEXT,
    "given_name": Kind.TEXT,
    "name_suffix": Kind.TEXT,
    "name_at_birth": Kind.TEXT,
    "birth_date": Kind.DATE,
    "birth_place": Kind.TEXT,
    "issue_date": Kind.DATE,
    "expiry_date": Kind.DATE,
    "issuing_country": Kind.TEXT,
    "issuing_authority": Kind.TEXT,
    "issuing_jurisdiction": Kind.TEXT,
    "document_number": Kind.TEXT,
    "administrative_number": Kind.TEXT,
    "person_id": Kind.TEXT,
    "un_distinguishing_sign": Kind.TEXT,
    "nationality": Kind.LIST,
    "sex": Kind.INT,
    "height": Kind.INT,
    "weight": Kind.INT,
    "eye_colour": Kind.TEXT,
    "hair_colour": Kind.TEXT,
    "age_in_years": Kind.INT,
    "age_birth_year": Kind.INT,
    "resident_address": Kind.TEXT,
    "resident_street": Kind.TEXT,
    "resident_city": Kind.TEXT,
    "resident_state": Kind.TEXT,
    "resident_postal_code": Kind.TEXT,
    "resident_country": Kind.TEXT,
    "resident_county": Kind.TEXT,
    "email_address": Kind.TEXT,
    "mobile_phone_number": Kind.TEXT,
    "portrait_capture_date": Kind.DATE,
    "portrait": Kind.OTHER,
    "signature_usual_mark": Kind.OTHER,
    "driving_privileges": Kind.OTHER,
    "domestic_driving_privileges": Kind.OTHER,
    "DHS_compliance": Kind.TEXT,
    "DHS_temporary_lawful_status": Kind.INT,
    "EDL_credential": Kind.INT,
    "CDL_indicator": Kind.INT,
    "organ_donor": Kind.INT,
    "veteran": Kind.INT,
    "race_ethnicity": Kind.TEXT,
    "weight_range": Kind.INT,
    "hazmat_endorsement_expiration_date": Kind.DATE,
    "travel_document_number": Kind.TEXT,
}


def _same(namespace: str, *names: str, **renamed: str) -> dict[str, Place]:
    return {name: (namespace, name) for name in names} | {name: (namespace, own) for name, own in renamed.items()}


_RESIDENT = tuple(f"resident_{part}" for part in ("address", "street", "city", "state", "postal_code", "country"))
_OF_ID = (
    *("birth_date", "issue_date", "expiry_date", "issuing_country", "document_number", "nationality", "sex"),
    *("age_in_years", "age_birth_year", "portrait", "portrait_capture_date", "name_at_birth"),
    *("resident_postal_code", "resident_country"),
)
_OF_PHOTO_ID = ("person_id", "administrative_number", "resident_street", "resident_state")

PLACES: Mapping[str, Mapping[str, Place]] = {
    MDL: {
        **_same(
            _MDL_SPACE,
            *("family_name", "given_name", "birth_date", "birth_place", "issue_date", "expiry_date"),
            *("issuing_country", "issuing_authority", "issuing_jurisdiction", "document_number"),
            *("administrative_number", "un_distinguishing_sign", "nationality", "sex", "height", "weight"),
            *("eye_colour", "hair_colour", "age_in_years", "age_birth_year", "portrait", "portrait_capture_date"),
            *("signature_usual_mark", "driving_privileges", *_RESIDENT),
        ),
        **_same(
            _AAMVA_SPACE,
            *("name_suffix", "DHS_compliance", "DHS_temporary_lawful_status", "EDL_credential", "CDL_indicator"),
            *("organ_donor", "veteran", "race_ethnicity", "weight_range", "resident_county"),
            *("hazmat_endorsement_expiration_date", "domestic_driving_privileges"),
        ),
    },
    PHOTO_ID: {
        **_same(
            _ID_SPACE,
            *("family_name", "given_name", "issuing_authority", "resident_address", "resident_city", *_OF_ID),
            issuing_jurisdiction="issuing_subdivision",
            birth_place="birthplace",
        ),
        **_same(PHOTO_ID, *_OF_PHOTO_ID, "travel_document_number"),
    },
    OLD_PHOTO_ID: {
        **_same(
            _ID_SPACE,
            *_OF_ID,
            family_name="family_name_unicode",
            given_name="given_name_unicode",
            issuing_authority="issuing_authority_unicode",
            resident_address="resident_address_unicode",
            resident_city="resident_city_unicode",
            issuing_jurisdiction="issuing_subdivision",
            birth_place="birthplace",
        ),
        **_same(OLD_PHOTO_ID, *_OF_PHOTO_ID),
    },
    PID: _same(
        PID,
        *("family_name", "given_name", "birth_date", "nationality", "sex", "portrait", "document_number"),
        *("expiry_date", "issuing_authority", "issuing_country", "issuing_jurisdiction", "email_address"),
        *("mobile_phone_number", "age_in_years", "age_birth_year", *_RESIDENT),
        issue_date="issuance_date",
        administrative_number="personal_administrative_number",
    ),
    EU_AGE: {},
}

AGE_SPACES: Mapping[str, str] = {
    MDL: _MDL_SPACE,
    PHOTO_ID: _ID_SPACE,
    OLD_PHOTO_ID: _ID_SPACE,
    PID: PID,
    EU_AGE: EU_AGE,
}
"""The namespace of a document's age_over_NN."""

NO_PLACES: Mapping[str, Place] = {}
