"""The ledger of one document: findings as they come, and the state of every check."""

from __future__ import annotations

from mdoc_reader.model.reasons import ReasonCode, Severity
from mdoc_reader.model.verdict import Check, CheckState, Finding, Validity

REQUIRED = (
    Check.CERTIFICATE_PATH,
    Check.ISSUER_SIGNATURE,
    Check.DIGESTS,
    Check.DEVICE_AUTHENTICATION,
    Check.VALIDITY,
    Check.DOCTYPE,
)
_UNCHECKED: dict[Check, CheckState] = dict.fromkeys(Check, CheckState.UNCHECKED)


class Ledger:
    """Collects findings; a check that failed stays failed."""

    __slots__ = ("checks", "findings")

    def __init__(self) -> None:
        """Begin with every check unchecked."""
        self.findings: list[Finding] = []
        self.checks = _UNCHECKED.copy()

    def settle(self, check: Check, state: CheckState) -> None:
        """Set a check's state unless it failed before."""
        if self.checks[check] is not CheckState.FAILED:
            self.checks[check] = state

    def fail(self, check: Check, code: ReasonCode, where: str = "") -> None:
        """Record an error that fails a check."""
        self.checks[check] = CheckState.FAILED
        self.findings.append(Finding(code, Severity.ERROR, code.operator, where))

    def warn(self, code: ReasonCode, where: str = "") -> None:
        """Record a warning."""
        self.findings.append(Finding(code, Severity.WARNING, code.operator, where))

    def note(self, code: ReasonCode, where: str = "") -> None:
        """Record something worth knowing."""
        self.findings.append(Finding(code, Severity.INFO, code.operator, where))

    def validity(self) -> Validity:
        """Apply the truth table: all checks but revocation are required, and revocation counts only when it failed."""
        if CheckState.FAILED in self.checks.values():
            return Validity.INVALID
        if all(self.checks[check] is CheckState.PASSED for check in REQUIRED):
            return Validity.VALID
        return Validity.UNDETERMINED
