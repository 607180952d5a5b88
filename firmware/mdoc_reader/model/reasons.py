"""Reasons: every failure and every finding has a stable code, a sentence for the operator and one for the log.

Each room keeps its own closed enum built on ReasonCode; docs/reasons.md is generated from all of them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Severity(StrEnum):
    """How much a finding weighs. Only an ERROR can fail a check."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class ReasonCode(StrEnum):
    """Base of every room's reasons: `NAME = "stable_code", "sentence for the operator", "sentence for the log"`.

    The value is the stable code; the log sentence defaults to the operator's.
    """

    operator: str
    log: str

    def __new__(cls, code: str, operator: str, log: str = "") -> Self:
        """Make a member whose value is its code alone."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.operator = operator
        member.log = log or operator
        return member


class MalformedCode(ReasonCode):
    """Why bytes from outside could not be read."""

    TOO_LARGE = "too_large", "The message is larger than this reader accepts."
    TRUNCATED = "truncated", "The data ends too early."
    TRAILING_BYTES = "trailing_bytes", "There is data after the end of the message."
    TOO_DEEP = "too_deep", "The data is nested too deeply."
    TOO_MANY_ITEMS = "too_many_items", "The data has more items than this reader accepts."
    DUPLICATE_KEY = "duplicate_key", "A map names the same key twice."
    INDEFINITE_LENGTH = "indefinite_length", "An indefinite length is not allowed here."
    NOT_CBOR = "not_cbor", "The data is not valid CBOR."
    WRONG_TYPE = "wrong_type", "A value is not of the type the format asks for."
    MISSING_KEY = "missing_key", "A required part is missing."
    BAD_VALUE = "bad_value", "A value is outside what the format allows."
    BAD_TEXT = "bad_text", "Text could not be decoded."
    BAD_KEY = "bad_key", "A cryptographic key is not valid."
    BAD_CERTIFICATE = "bad_certificate", "A certificate could not be read."
    UNSUPPORTED = "unsupported", "This is a variant that the reader does not support."
    NOT_AN_MDOC = "not_an_mdoc", "This code is not from a mobile document."


class Malformed(Exception):  # noqa: N818 -- a statement about bytes, not about this program
    """Bytes from outside that do not follow their format. Bounded: it never quotes what it was given.

    Attributes:
        code: why.
        path: where in the structure, for example `documents[0].issuerSigned`.
        offset: byte offset where known.
        detail: a short sentence made of our own words.
    """

    def __init__(self, code: MalformedCode, path: str = "", offset: int | None = None, detail: str = "") -> None:
        """Keep the parts; the text is composed of them alone."""
        self.code = code
        self.path = path[:200]
        self.offset = offset
        self.detail = detail[:200]
        super().__init__(code, self.path, offset, self.detail)

    def __str__(self) -> str:
        """Return one line: code, place, detail."""
        where = f" at {self.path}" if self.path else ""
        at = f" (byte {self.offset})" if self.offset is not None else ""
        return f"{self.code}{where}{at}: {self.detail or self.code.operator}"

    def under(self, prefix: str) -> Malformed:
        """Return the same complaint with its path below `prefix`."""
        joined = prefix if not self.path else f"{prefix}{'' if self.path.startswith('[') else '.'}{self.path}"
        return Malformed(self.code, joined, self.offset, self.detail)
