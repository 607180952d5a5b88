"""What verification can find, each with a stable code (ISO 18013-5 clause 9.3 and Annex B)."""

from __future__ import annotations

from mdoc_reader.model.reasons import ReasonCode


class VerificationCode(ReasonCode):
    """Findings about a response and its documents. Those about certificates are `trust.codes.CertificateCode`."""

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
    UPDATE_EXPECTED = "update_expected", "The issuer expected the document to be renewed by now."
    TIME_UNCONFORMING = "time_unconforming", "A time in the document is not written as the standard wants."
    # docType
    DOCTYPE_MISMATCH = "doctype_mismatch", "The document and its security object are of different types."
    DOCTYPE_NOT_REQUESTED = "doctype_not_requested", "The document is of a type nobody asked for."
    # Revocation
    STATUS_NOT_CHECKED = "status_not_checked", "The document names a status list, which was not checked."
