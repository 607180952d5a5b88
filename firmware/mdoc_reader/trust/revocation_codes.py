"""What can be said about revocation: of a document, of its signer, and of the lists that tell of both."""

from __future__ import annotations

from mdoc_reader.model.reasons import ReasonCode


class RevocationCode(ReasonCode):
    """What lists of revocation say about a document or its signer, and why they say nothing."""

    # The document
    STATUS_NONE = "status_none", "The document names no list by which it could be revoked."
    STATUS_REVOKED = "status_revoked", "The issuer has revoked the document."
    STATUS_SUSPENDED = "status_suspended", "The issuer has suspended the document."
    STATUS_APPLICATION = "status_application", "The issuer's list gives the document a status of the issuer's own."
    STATUS_STALE = "status_stale", "What this reader knows of the document's revocation is too old."
    STATUS_UNKNOWN = "status_unknown", "This reader does not have the list that tells whether the document is revoked."
    STATUS_OTHER_ISSUER = (
        "status_other_issuer",
        "The list of revoked documents that this reader has is not of this document's issuer.",
    )
    STATUS_INDEX = "status_index", "The document names a place that the issuer's list does not have."
    STATUS_RESERVED = "status_reserved", "The issuer's list gives the document a status that has no meaning."
    STATUS_MALFORMED = "status_malformed", "What the document says about its revocation cannot be read."
    STATUS_UNSUPPORTED = "status_unsupported", "The document names a way of revocation that this reader does not know."
    # Its signer
    SIGNER_NO_LIST = "signer_no_crl", "The document's signer names no list by which it could be revoked."
    SIGNER_REVOKED = "signer_revoked", "The issuer has revoked the document's signer."
    SIGNER_SUSPENDED = "signer_suspended", "The issuer has suspended the document's signer."
    SIGNER_CRL_STALE = "signer_crl_stale", "What this reader knows of the signer's revocation is too old."
    SIGNER_CRL_MISSING = (
        "signer_crl_missing",
        "This reader does not have the list that tells whether the document's signer is revoked.",
    )


class RevocationListCode(ReasonCode):
    """Why a list of revocation was refused, or what is odd about it."""

    # Who signed it
    NO_AUTHORITY = "revocation_no_authority", "The list is signed by nobody whom a trusted issuer vouches for."
    SIGNATURE = "revocation_signature", "The list's signature is wrong: it was altered, or signed with another key."
    ALGORITHM = "revocation_algorithm", "The list is signed with an algorithm that is not allowed."
    # CRLs
    CRL_ISSUER_UNKNOWN = "crl_issuer_unknown", "The revocation list is of an issuer that is not trusted."
    CRL_KEY_MISSING = "crl_authority_key_missing", "The revocation list does not identify the key that signed it."
    CRL_KEY_MISMATCH = "crl_authority_key_mismatch", "The revocation list identifies another key than signed it."
    CRL_NO_NUMBER = "crl_no_number", "The revocation list has no number: its date tells which one is newer."
    CRL_NUMBER_FORM = "crl_number_form", "The revocation list's number is longer than its format allows."
    CRL_VERSION = "crl_version", "The revocation list is of the first version, which cannot say what it is about."
    CRL_DELTA = "crl_delta", "This is only the difference to another revocation list."
    CRL_INDIRECT = "crl_indirect", "The revocation list tells of certificates of other issuers than its own."
    CRL_SOME_REASONS = "crl_some_reasons", "The revocation list tells of some reasons only."
    CRL_NOT_FOR_SIGNERS = "crl_not_for_signers", "The revocation list does not tell of signers' certificates."
    CRL_PLACE_FORM = "crl_place_form", "The revocation list is one part of several, and its place is no web address."
    CRL_CRITICAL = "crl_critical", "The revocation list has a critical extension that this reader does not know."
    CRL_ENTRY_CRITICAL = (
        "crl_entry_critical",
        "An entry of the revocation list has a critical extension that this reader does not know.",
    )
    CRL_REMOVED = (
        "crl_removed",
        "Entries of the revocation list say that they are revoked no longer: they do not count.",
    )
    CRL_REASON = "crl_reason", "Entries of the revocation list give a reason that has no meaning."
    # Status lists and identifier lists
    WRONG_TYPE = "status_list_type", "The list does not say that it is one of revoked documents."
    SUBJECT = "status_list_subject", "The list is for another address than it came from."
    NO_END = "status_list_no_end", "The list does not say until when it holds."
    END_OF_SIGNER = "status_list_signer_ends", "The list's signer certificate ends before the list does."
