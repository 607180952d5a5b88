"""What is wrong with a certificate: one code for each rule, how much it weighs, and who may weigh it otherwise.

Rules are those of ISO 18013-5 Annex B, of RFC 5280 and of the profiles beside them. A rule that is *gradable* is one
that honest issuers are known to break: an operator may take it for a warning, or insist on it. The others decide
whether a signature means anything, and nobody can lower them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from mdoc_reader.model.reasons import ReasonCode, Severity
from mdoc_reader.model.verdict import Finding

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
_FIXED, _GRADABLE = False, True


class CertificateCode(ReasonCode):
    """Findings about certificates and the path between them: code, severity, whether it may be graded, sentence."""

    severity: Severity
    gradable: bool
    __hash__ = str.__hash__  # a key of every grading; Enum's own hash is a call into Python

    def __new__(cls, code: str, severity: Severity, gradable: bool, operator: str, log: str = "") -> Self:
        """Make a member whose value is its code alone."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.severity = severity
        member.gradable = gradable
        member.operator = operator
        member.log = log or operator
        return member

    # The step from a certificate to the one that issued it
    PATH_SIGNATURE = (
        "path_signature",
        _ERROR,
        _FIXED,
        "The signer certificate was not signed by the issuer it names.",
    )
    PATH_ALGORITHM = (
        "path_algorithm",
        _ERROR,
        _FIXED,
        "The signer certificate is signed with an algorithm that is not allowed.",
    )
    PATH_TOO_LONG = "path_too_long", _ERROR, _FIXED, "There are more certificates up to the root than are allowed."
    PATH_NOT_ROOTED = "path_not_rooted", _ERROR, _FIXED, "The certificates lead to no certificate that is trusted."
    PATH_LENGTH = "path_length", _ERROR, _FIXED, "A certificate allows fewer certificates below it than there are."
    ISSUER_NAME = "issuer_name", _ERROR, _FIXED, "The issuer has the key that was named, but another name."
    ISSUER_NAME_ENCODING = (
        "issuer_name_encoding",
        _WARNING,
        _GRADABLE,
        "The issuer's name is not written byte for byte as in the issuer's own certificate.",
    )
    TOO_MANY_ISSUERS = "too_many_issuers", _ERROR, _FIXED, "Too many trusted certificates claim to be the issuer."
    AUTHORITY_KEY_MISSING = (
        "authority_key_missing",
        _WARNING,
        _GRADABLE,
        "The signer certificate does not identify its issuer's key.",
    )
    AUTHORITY_KEY_MISMATCH = (
        "authority_key_mismatch",
        _WARNING,
        _GRADABLE,
        "The certificate identifies another key or certificate than that of its issuer.",
    )
    COUNTRY_MISMATCH = "country_mismatch", _ERROR, _FIXED, "Signer and issuer name different countries."
    STATE_MISMATCH = "state_mismatch", _ERROR, _GRADABLE, "Signer and issuer name different states."
    STATE_MISSING = "state_missing", _WARNING, _GRADABLE, "The issuer names a state and the signer does not."
    OUTLIVES_ISSUER = "outlives_issuer", _WARNING, _GRADABLE, "The certificate is valid for longer than its issuer's."
    LINK_OUTLIVES_ROOT = (
        "link_outlives_root",
        _ERROR,
        _GRADABLE,
        "The link certificate is valid for longer than the root that signed it.",
    )
    LINK_OTHER_KEY = "link_other_key", _ERROR, _FIXED, "The link certificate is for another key than the new root's."
    LINK_OTHER_NAME = "link_other_name", _ERROR, _FIXED, "The link certificate is for another name than the new root's."
    # Trust anchors
    ANCHOR_NOT_AUTHORITY = (
        "anchor_not_authority",
        _ERROR,
        _FIXED,
        "The trusted certificate is not one that may issue signers.",
    )
    ANCHOR_UNREADABLE = "anchor_unreadable", _ERROR, _FIXED, "A part of the trusted certificate cannot be read."
    ANCHOR_NOT_YET_VALID = "anchor_not_yet_valid", _ERROR, _FIXED, "The issuer's root certificate is not valid yet."
    ANCHOR_EXPIRED = "anchor_expired", _ERROR, _FIXED, "The issuer's root certificate has expired."
    ANCHOR_OTHER_DOCTYPE = (
        "anchor_other_doctype",
        _ERROR,
        _FIXED,
        "The issuer is trusted for other types of document, not for this one.",
    )
    ANCHOR_LIST_EXPIRED = (
        "anchor_list_expired",
        _ERROR,
        _FIXED,
        "The list that names this issuer has expired: a newer one is needed.",
    )
    LINK_NOT_YET_VALID = "link_not_yet_valid", _ERROR, _FIXED, "The link to the issuer's new root is not valid yet."
    LINK_EXPIRED = "link_expired", _ERROR, _FIXED, "The link to the issuer's new root has expired."
    ROOTS_SHARE_NAME = "roots_share_name", _INFO, _GRADABLE, "Two trusted certificates have one name and two keys."
    ROOTS_SHARE_KEY_IDENTIFIER = (
        "roots_share_key_identifier",
        _WARNING,
        _GRADABLE,
        "Two trusted certificates have one key identifier and are not of one issuer.",
    )
    # Times of the certificate itself
    SIGNER_NOT_YET_VALID = "signer_not_yet_valid", _ERROR, _FIXED, "The signer certificate is not valid yet."
    SIGNER_EXPIRED = "signer_expired", _ERROR, _FIXED, "The signer certificate has expired."
    CERTIFICATE_TIMES = "certificate_times", _ERROR, _FIXED, "The certificate's validity ends before it begins."
    SIGNER_TOO_LONG = (
        "signer_too_long",
        _WARNING,
        _GRADABLE,
        "The signer certificate is valid for longer than the profile allows.",
    )
    AUTHORITY_TOO_LONG = (
        "authority_too_long",
        _WARNING,
        _GRADABLE,
        "The authority's certificate is valid for longer than the profile allows.",
    )
    # What any certificate is made of
    CERTIFICATE_VERSION = "certificate_version", _ERROR, _FIXED, "The certificate is of a version without extensions."
    SERIAL_NOT_POSITIVE = "serial_not_positive", _WARNING, _GRADABLE, "The certificate's serial number is not positive."
    SERIAL_TOO_LONG = "serial_too_long", _WARNING, _GRADABLE, "The certificate's serial number is too long."
    ALGORITHMS_DIFFER = (
        "algorithms_differ",
        _ERROR,
        _FIXED,
        "The certificate names one signature algorithm inside and another outside.",
    )
    HASH_TOO_SHORT = (
        "hash_too_short",
        _WARNING,
        _GRADABLE,
        "The certificate is signed with a shorter hash than goes with its issuer's key.",
    )
    KEY_UNSUPPORTED = "key_unsupported", _ERROR, _FIXED, "The certificate has a kind of key that is not allowed."
    KEY_NOT_FOR_AUTHORITY = (
        "key_not_for_authority",
        _ERROR,
        _FIXED,
        "The certificate has an Edwards curve key, which only document signers and readers may have.",
    )
    CRITICAL_EXTENSION = (
        "critical_extension",
        _ERROR,
        _FIXED,
        "A certificate has a critical extension this reader does not know.",
    )
    PROHIBITED_EXTENSION = (
        "prohibited_extension",
        _ERROR,
        _FIXED,
        "The signer certificate has an extension the profile prohibits.",
    )
    WRONGLY_CRITICAL = (
        "extension_wrongly_critical",
        _WARNING,
        _GRADABLE,
        "The certificate has an extension marked critical that should not be.",
    )
    SUBJECT_KEY_MISSING = "subject_key_missing", _WARNING, _GRADABLE, "The certificate does not identify its own key."
    SUBJECT_KEY_MISMATCH = (
        "subject_key_mismatch",
        _WARNING,
        _GRADABLE,
        "The certificate's key identifier is not the SHA-1 of its key.",
    )
    # Names
    COUNTRY_MISSING = "country_missing", _WARNING, _GRADABLE, "Signer or issuer names no country."
    COUNTRY_FORMAT = "country_format", _WARNING, _GRADABLE, "The certificate's country is not two capital letters."
    COMMON_NAME_MISSING = "common_name_missing", _WARNING, _GRADABLE, "The certificate has no common name."
    NAME_REPEATS = "name_repeats", _ERROR, _GRADABLE, "The certificate names two countries or two states."
    # Key usage and purposes
    KEY_USAGE_MISSING = "key_usage_missing", _ERROR, _GRADABLE, "The certificate does not say what its key is for."
    KEY_USAGE_NOT_CRITICAL = (
        "key_usage_not_critical",
        _WARNING,
        _GRADABLE,
        "The certificate's key usage is not marked critical.",
    )
    SIGNER_KEY_USAGE = "signer_key_usage", _ERROR, _FIXED, "The signer certificate may not be used for signing."
    SIGNER_KEY_USAGE_MORE = (
        "signer_key_usage_more",
        _WARNING,
        _GRADABLE,
        "The signer certificate's key is for more than signing.",
    )
    AUTHORITY_KEY_USAGE = (
        "authority_key_usage",
        _ERROR,
        _FIXED,
        "The authority's key is not for signing certificates.",
    )
    AUTHORITY_KEY_USAGE_MORE = (
        "authority_key_usage_more",
        _WARNING,
        _GRADABLE,
        "The authority's key is for more than signing certificates and revocation lists.",
    )
    CRL_SIGN_MISSING = (
        "crl_sign_missing",
        _WARNING,
        _GRADABLE,
        "The authority's key is not for signing revocation lists.",
    )
    CRL_SIGNER_KEY_USAGE = (
        "crl_signer_key_usage",
        _ERROR,
        _FIXED,
        "The revocation list was signed with a key that is not for revocation lists.",
    )
    SIGNER_EKU_MISSING = (
        "signer_eku_missing",
        _ERROR,
        _FIXED,
        "The signer certificate does not say that it signs documents.",
        "The signer certificate names no extended key usage.",
    )
    SIGNER_EKU_OTHER = "signer_eku_other", _ERROR, _FIXED, "The signer certificate is meant for another use."
    SIGNER_EKU_NOT_CRITICAL = (
        "signer_eku_not_critical",
        _WARNING,
        _GRADABLE,
        "The signer certificate's purpose is not marked critical.",
    )
    SIGNER_EKU_CRITICAL = (
        "signer_eku_critical",
        _INFO,
        _GRADABLE,
        "The list signer's purpose is marked critical, which it should not be.",
    )
    AUTHORITY_EKU_OTHER = (
        "authority_eku_other",
        _ERROR,
        _FIXED,
        "The authority's certificate is meant for another use.",
    )
    LINK_EKU_MISSING = "link_eku_missing", _ERROR, _FIXED, "The certificate does not say that it links two roots."
    # Authorities and those that are none
    SIGNER_IS_AUTHORITY = "signer_is_authority", _ERROR, _FIXED, "The signer certificate is that of an authority."
    CONSTRAINTS_NOT_CRITICAL = (
        "constraints_not_critical",
        _WARNING,
        _GRADABLE,
        "The certificate's basic constraints are not marked critical.",
    )
    PATH_LENGTH_MISSING = (
        "path_length_missing",
        _WARNING,
        _GRADABLE,
        "The authority's certificate does not limit the certificates below it.",
    )
    PATH_LENGTH_NOT_ZERO = (
        "path_length_not_zero",
        _WARNING,
        _GRADABLE,
        "The authority's certificate allows other authorities below it.",
    )
    ROOT_NOT_SELF_SIGNED = (
        "root_not_self_signed",
        _WARNING,
        _GRADABLE,
        "The root certificate names another issuer than itself.",
    )
    ROOT_SIGNATURE = "root_signature", _ERROR, _FIXED, "The root certificate's own signature is wrong: it was altered."
    # Where to ask
    ISSUER_ALT_NAME_MISSING = (
        "issuer_alt_name_missing",
        _WARNING,
        _GRADABLE,
        "The certificate does not say how to reach its issuer.",
    )
    ISSUER_ALT_NAME_KIND = (
        "issuer_alt_name_kind",
        _WARNING,
        _GRADABLE,
        "The certificate's way to reach its issuer is neither mail nor web.",
    )
    CRL_POINT_MISSING = (
        "crl_point_missing",
        _WARNING,
        _GRADABLE,
        "The certificate does not say where its revocation list is.",
    )
    CRL_POINT_KIND = (
        "crl_point_kind",
        _WARNING,
        _GRADABLE,
        "The certificate's place of its revocation list is no web address.",
    )
    CRL_POINT_DIVIDED = (
        "crl_point_divided",
        _WARNING,
        _GRADABLE,
        "The certificate's revocation list is divided by reasons or has an issuer of its own.",
    )
    # A document against its signer
    SIGNED_OUTSIDE_SIGNER = (
        "signed_outside_signer",
        _ERROR,
        _FIXED,
        "The document was signed when its signer was not valid.",
    )
    OUTLIVES_SIGNER = "outlives_signer", _WARNING, _GRADABLE, "The document is valid for longer than its signer."
    ISSUING_COUNTRY_MISMATCH = (
        "issuing_country_mismatch",
        _ERROR,
        _FIXED,
        "The document names another country than its signer.",
    )
    ISSUING_STATE_MISMATCH = (
        "issuing_state_mismatch",
        _ERROR,
        _GRADABLE,
        "The document names another state than its signer.",
    )


@dataclass(frozen=True, slots=True)
class Grading:
    """How much gradable findings weigh here; what is not in it keeps its own severity."""

    severities: Mapping[CertificateCode, Severity] = field(default_factory=dict)

    @classmethod
    def of(cls, mapping: Mapping[str, str]) -> Grading:
        """Make a grading of settings: codes to `error`, `warning` or `info`. Raises ValueError with a sentence.

        A finding that is an error of itself stays at least a warning: it is never kept quiet.
        """
        severities = {}
        for name, wanted in mapping.items():
            code = _BY_NAME.get(name)
            if code is None:
                raise ValueError(f"{name[:64]!r} is no code of a certificate's finding: see docs/reasons.md")
            try:
                severity = Severity(wanted)
            except ValueError:
                raise ValueError(f"{name}: {wanted[:32]!r} is not one of error, warning, info") from None
            if _WEIGHT[severity] < _WEIGHT[code.severity]:
                if not code.gradable:
                    raise ValueError(f"{name} cannot be lowered: without this rule a signature proves nothing")
                if code.severity is _ERROR and severity is _INFO:
                    raise ValueError(f"{name} can be lowered to a warning, not further")
            severities[code] = severity
        return cls(severities)

    def severity(self, code: CertificateCode) -> Severity:
        """Return what a finding weighs here."""
        return self.severities.get(code, code.severity)

    def finding(self, code: CertificateCode, where: str = "", severity: Severity | None = None) -> Finding:
        """Make a finding. `severity` is what it weighs of itself in this place, where that is not its usual weight."""
        given = self.severities.get(code, severity or code.severity)
        return Finding(code, given, code.operator, where)


_BY_NAME = {code.value: code for code in CertificateCode}
_WEIGHT = {_INFO: 0, _WARNING: 1, _ERROR: 2}
AS_WRITTEN = Grading()
"""Every finding with its own severity."""
