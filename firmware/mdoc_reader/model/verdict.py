"""Verdicts: what the evidence says about a response, before any policy looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mdoc_reader.model.reasons import ReasonCode, Severity


class Check(StrEnum):
    """The separate questions asked of one document."""

    __hash__ = str.__hash__  # they are keys of every ledger; Enum's own hash is a call into Python

    CERTIFICATE_PATH = "certificate_path"
    ISSUER_SIGNATURE = "issuer_signature"
    DIGESTS = "digests"
    DEVICE_AUTHENTICATION = "device_authentication"
    VALIDITY = "validity"
    DOCTYPE = "doctype"
    REVOCATION = "revocation"


class CheckState(StrEnum):
    """The answer to one question. UNDETERMINED: asked, but the means to answer are missing."""

    PASSED = "passed"
    FAILED = "failed"
    UNCHECKED = "unchecked"
    UNDETERMINED = "undetermined"


class Validity(StrEnum):
    """The answer to all required questions together."""

    VALID = "valid"
    INVALID = "invalid"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed. `where` names a place in the structure, never a value of the holder."""

    code: ReasonCode
    severity: Severity
    message: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class DocumentVerdict:
    """What the evidence says about one document.

    `elements` holds only values whose digest matched (and device-signed ones the issuer authorised), by namespace and
    identifier. `age` answers each age question the caller asked by the nearest age_over_NN rule.
    """

    doctype: str
    validity: Validity
    checks: Mapping[Check, CheckState]
    findings: tuple[Finding, ...] = ()
    elements: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)
    device_signed: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)
    age: Mapping[int, CheckState] = field(default_factory=dict)
    errors: Mapping[str, Mapping[str, int]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ResponseVerdict:
    """What the evidence says about a whole response: the worst of its documents, and findings of its own."""

    validity: Validity
    documents: tuple[DocumentVerdict, ...]
    findings: tuple[Finding, ...] = ()
    declined: bool = False
