"""What may be wrong with a signed list of trust, or with one of its entries: one code for each."""

from __future__ import annotations

from mdoc_reader.model.reasons import ReasonCode


class ListCode(ReasonCode):
    """Findings about a list as a whole."""

    NO_PINS = "list_no_pins", "No root is pinned for this kind of list, so that its signature proves nothing."
    NOT_PINNED = "list_not_pinned", "The list was signed by somebody who is not pinned."
    PIN_UNREADABLE = "list_pin_unreadable", "A pinned certificate cannot be read."
    NOT_SIGNED = "list_not_signed", "The list is not signed."
    SIGNER_MISSING = "list_signer_missing", "The list does not bring the certificate of its signer."
    SIGNER_UNREADABLE = "list_signer_unreadable", "A certificate that the list brings for its signer cannot be read."
    SIGNER_DIGEST = "list_signer_digest", "The list's header names another signer than the certificate it brings."
    CHAIN_PROTECTED = "list_chain_protected", "The list brings its signer's certificates in the protected header."
    ALGORITHM = "list_algorithm", "The list's signature algorithm is not allowed or does not fit its signer's key."
    SIGNATURE = "list_signature", "The list's signature is wrong: it was altered, or signed with another key."
    NOT_YET_ISSUED = "list_not_yet_issued", "The list says that it was issued in the future."
    STALE = "list_stale", "The list should have been replaced by now: a newer one is needed."
    EXPIRED = "list_expired", "The list is past its end: a newer one is needed."
    NO_NEXT_UPDATE = "list_no_next_update", "The list does not say when the next one is due."
    NEXT_UPDATE_FAR = "list_next_update_far", "The list's next issue is due later than its rules allow."
    DATES_ORDER = "list_dates_order", "The list's dates contradict each other."
    DATE_FORM = "list_date_form", "A date of the list is not written as its format asks."
    DATE_UNREADABLE = "list_date_unreadable", "A date of the list cannot be read."
    VERSION = "list_version", "The list is of a version this reader does not know."
    NO_ORDER = "list_no_order", "The list does not count its issues: its date tells which one is newer."
    TYPE_OTHER = "list_type_other", "The list is not one of issuers of documents."
    TYPE_UNKNOWN = "list_type_unknown", "The list is of a type this reader does not know: its services tell what it is."
    EMPTY = "list_empty", "The list has no entry that can be used."
    ANY_DOCTYPE = "list_any_doctype", "The list does not say which types of document its issuers may sign."
    TRUSTED_LIST_UNSUPPORTED = (
        "trusted_list_unsupported",
        "This is an XML trusted list, which this reader does not take: it takes lists of trusted entities in JSON.",
        "An XML list (ETSI TS 119 612 or the XML form of TS 119 602); XML signatures are not supported.",
    )


class EntryCode(ReasonCode):
    """Why an entry of a list was not taken, or what is odd about one that was."""

    MALFORMED = "entry_malformed", "An entry of the list cannot be read."
    NOT_A_CERTIFICATE = "entry_not_a_certificate", "An entry of the list holds no readable certificate."
    NO_CERTIFICATE = "entry_no_certificate", "An entry of the list names a key, but has no certificate."
    UNSUPPORTED_KEY = "entry_unsupported_key", "An entry of the list has a kind of key that no issuer uses."
    NOT_AUTHORITY = "entry_not_authority", "An entry's certificate may not issue others."
    KEY_IDENTIFIER = "entry_key_identifier", "An entry's key identifier is not that of its certificate."
    SERIAL_NUMBER = "entry_serial_number", "An entry's serial number is not that of its certificate."
    NO_DOCTYPE = "entry_no_doctype", "An entry of the list counts for no type of document."
    DOCTYPE_FORM = "entry_doctype_form", "An entry writes its types of document in another form than the format asks."
    PARTS_MISSING = "entry_parts_missing", "An entry lacks parts that the format asks for."
    PROFILE_OTHER = "entry_profile_other", "An entry is for another use than issuing documents."
    DUPLICATE = "entry_duplicate", "An entry of the list repeats another one."
    WITHDRAWN = "entry_withdrawn", "The list says that this service no longer counts."
    STATUS_UNKNOWN = "entry_status_unknown", "The list gives this service a status that this reader does not know."
    NOT_STARTED = "entry_not_started", "The list says that this service's status holds from a later date only."
    SERVICE_OTHER = "entry_service_other", "An entry is for another service than issuing documents."
