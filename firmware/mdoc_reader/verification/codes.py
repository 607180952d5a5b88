"""What verification can find, each with a stable code (ISO 18013-5 clause 9.3 and Annex B)."""

from __future__ import annotations

from mdoc_reader.model.reasons import ReasonCode


class VerificationCode(ReasonCode):
    """Findings about a response and its documents."""

    # The response as a whole
    NO_DOCUMENTS = "no_documents", "The phone returned no document."
    RESPONSE_STATUS = "response_status", "The phone reported that it could not answer."
    DOCUMENT_ERROR = "document_error", "The phone did not return a document that was asked for."
    PART_NOT_READ = "part_not_read", "The answer has a part that this reader does not read."
    # Certificate path
    NO_CERTIFICATE = "no_certificate", "The document names no signer certificate."
    CERTIFICATE_UNREADABLE = "certificate_unreadable", "The signer certificate cannot be read."
    NO_ANCHORS = "no_anchors", "This reader has no list of trusted issuers."
    ISSUER_UNKNOWN = "issuer_unknown", "The issuer is not on this reader's list of trusted issuers."
    PATH_SIGNATURE = "path_signature", "The signer certificate was not signed by the issuer it names."
    PATH_ALGORITHM = "path_algorithm", "The signer certificate is signed with an algorithm that is not allowed."
    ANCHOR_NOT_AUTHORITY = "anchor_not_authority", "The trusted certificate is not one that may issue signers."
    SIGNER_NOT_YET_VALID = "signer_not_yet_valid", "The signer certificate is not valid yet."
    SIGNER_EXPIRED = "signer_expired", "The signer certificate has expired."
    ANCHOR_NOT_YET_VALID = "anchor_not_yet_valid", "The issuer's root certificate is not valid yet."
    ANCHOR_EXPIRED = "anchor_expired", "The issuer's root certificate has expired."
    SIGNER_KEY_USAGE = "signer_key_usage", "The signer certificate may not be used for signing documents."
    SIGNER_IS_AUTHORITY = "signer_is_authority", "The signer certificate is that of an authority."
    SIGNER_EKU_MISSING = "signer_eku_missing", "The signer certificate does not say that it signs documents."
    SIGNER_EKU_OTHER = "signer_eku_other", "The signer certificate is meant for another use."
    SIGNER_EKU_NOT_CRITICAL = "signer_eku_not_critical", "The signer certificate's purpose is not marked critical."
    CRITICAL_EXTENSION = "critical_extension", "A certificate has a critical extension this reader does not know."
    PROHIBITED_EXTENSION = "prohibited_extension", "The signer certificate has an extension the profile prohibits."
    COUNTRY_MISMATCH = "country_mismatch", "Signer and issuer name different countries."
    COUNTRY_MISSING = "country_missing", "Signer or issuer names no country."
    STATE_MISMATCH = "state_mismatch", "Signer and issuer name different states."
    STATE_MISSING = "state_missing", "The issuer names a state and the signer does not."
    SIGNER_TOO_LONG = "signer_too_long", "The signer certificate is valid for longer than the profile allows."
    AUTHORITY_KEY_MISSING = "authority_key_missing", "The signer certificate does not identify its issuer's key."
    CHAIN_TOO_LONG = "chain_too_long", "The document brings more certificates than the profile allows."
    CHAIN_PROTECTED = "chain_protected", "The certificate chain is in the protected header."
    DIRECT_TRUST = "direct_trust", "The signer certificate itself is on the list of trusted certificates."
    SIGNER_KEY_UNSUPPORTED = "signer_key_unsupported", "The signer's kind of key is not supported."
    # Issuer signature
    ISSUER_ALGORITHM = "issuer_algorithm", "The issuer's signature algorithm does not fit its key."
    ISSUER_SIGNATURE_INVALID = "issuer_signature_invalid", "The issuer's signature is wrong."
    MSO_MISSING = "mso_missing", "The document has no security object."
    MSO_MALFORMED = "mso_malformed", "The document's security object cannot be read."
    # Digests
    DIGEST_MISMATCH = "digest_mismatch", "A data element was altered after it was issued."
    DIGEST_UNKNOWN = "digest_unknown", "A data element was not issued with this document."
    NO_ELEMENTS = "no_elements", "The document was returned without any data element."
    ITEM_MALFORMED = "item_malformed", "A data element cannot be read."
    ELEMENT_TWICE = "element_twice", "A data element was returned twice."
    DIGEST_TWICE = "digest_twice", "Two data elements claim the same digest."
    RANDOM_TOO_SHORT = "random_too_short", "A data element's salt is shorter than it should be."
    ELEMENT_NOT_REQUESTED = "element_not_requested", "A data element was returned that nobody asked for."
    # Device authentication
    DEVICE_AUTH_MISSING = "device_auth_missing", "The phone did not prove that it holds the document."
    DEVICE_KEY_UNUSABLE = "device_key_unusable", "The document's device key cannot be used."
    DEVICE_ALGORITHM = "device_algorithm", "The phone's proof uses an algorithm that does not fit its key."
    DEVICE_SIGNATURE_INVALID = "device_signature_invalid", "The phone's signature is wrong: it may be a copy."
    DEVICE_MAC_INVALID = "device_mac_invalid", "The phone's proof is wrong: it may be a copy."
    DEVICE_MAC_UNCHECKED = "device_mac_unchecked", "The phone's proof cannot be checked without the reader's key."
    DEVICE_PAYLOAD_PRESENT = "device_payload_present", "The phone's proof carries content of its own."
    DEVICE_ELEMENT_UNAUTHORIZED = "device_element_unauthorized", "The phone added data it is not authorised to add."
    # Validity
    NOT_YET_VALID = "not_yet_valid", "The document is not valid yet."
    EXPIRED = "expired", "The document has expired."
    VALIDITY_ORDER = "validity_order", "The document's validity ends before it begins."
    SIGNED_OUTSIDE_SIGNER = "signed_outside_signer", "The document was signed when its signer was not valid."
    OUTLIVES_SIGNER = "outlives_signer", "The document is valid for longer than its signer."
    UPDATE_EXPECTED = "update_expected", "The issuer expected the document to be renewed by now."
    TIME_UNCONFORMING = "time_unconforming", "A time in the document is not written as the standard wants."
    # docType
    DOCTYPE_MISMATCH = "doctype_mismatch", "The document and its security object are of different types."
    DOCTYPE_NOT_REQUESTED = "doctype_not_requested", "The document is of a type nobody asked for."
    # Issuer data
    ISSUING_COUNTRY_MISMATCH = "issuing_country_mismatch", "The document names another country than its signer."
    ISSUING_STATE_MISMATCH = "issuing_state_mismatch", "The document names another state than its signer."
    # Revocation
    STATUS_NOT_CHECKED = "status_not_checked", "The document names a status list, which was not checked."
