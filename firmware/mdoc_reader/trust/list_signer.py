"""Who signed a list, and whether that leads to somebody who was pinned.

A pin is a certificate that somebody who is responsible for the reader chose. It is the root above a list's signer, or
the signer itself; between the two there is one certificate at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from mdoc_reader.model.reasons import Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import facts, path
from mdoc_reader.trust.authority import identity
from mdoc_reader.trust.codes import CertificateCode
from mdoc_reader.trust.facts import CertificateFacts
from mdoc_reader.trust.list_codes import ListCode
from mdoc_reader.trust.profile_rules import Kind

VICAL_KINDS = (Kind.VICAL_SIGNER, Kind.VICAL_CA, Kind.VICAL_ROOT)
LOTE_KINDS = (Kind.LOTE_SIGNER, Kind.LOTE_CA, Kind.LOTE_CA)
MAX_PINS = 64
NO_ROOT = "unknown"
_LONGEST = 3  # signer, one between, root
_RSA_BITS = range(2048, 8193)


@dataclass(frozen=True, slots=True)
class ListSigner:
    """The signer, where its certificate could be read, and what is wrong with it. No error: a pin vouches for it.

    `root` is a name for the pin it leads to, by the pin's subject and key; NO_ROOT where it leads to none.
    """

    certificate: CertificateFacts | None
    findings: tuple[Finding, ...]
    root: str = NO_ROOT


def finding(code: ListCode, severity: Severity, where: str = "") -> Finding:
    """Make a finding with the code's own sentence."""
    return Finding(code, severity, code.operator, where)


def signer_of(
    chain: Sequence[bytes], pins: Sequence[bytes], at: datetime, kinds: tuple[Kind, Kind, Kind]
) -> ListSigner:
    """Follow the certificates a list brings, leaf first, DER, up to a pin; `kinds` are those of signer, between, root.

    Whoever is not pinned is an ERROR, as is everything the profiles of these kinds call one.
    """
    found: list[Finding] = []
    roots = _pinned(pins, found)
    if not chain:
        return ListSigner(None, (*found, finding(ListCode.SIGNER_MISSING, Severity.ERROR)))
    read: list[CertificateFacts] = []
    for index, der in enumerate(chain[: _LONGEST + 1]):
        try:
            read.append(facts.read(der))
        except ValueError:
            found.append(finding(ListCode.SIGNER_UNREADABLE, Severity.ERROR, f"x5chain[{index}]"))
            break
    if not read:
        return ListSigner(None, tuple(found))
    reached = NO_ROOT
    if roots:
        root, more = path.walk(read, [known for known, _ in roots], kinds, at, longest=_LONGEST)
        found += [each for each in more if each.code is not CertificateCode.PATH_NOT_ROOTED]  # said as not pinned
        if root is None:
            found.append(finding(ListCode.NOT_PINNED, Severity.ERROR))
        else:
            reached = identity(next(pin for known, pin in roots if known.signed == root.signed)).hex()[:32]
    key = read[0].public_key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size not in _RSA_BITS:
        found.append(finding(ListCode.ALGORITHM, Severity.ERROR, "signer key"))
    return ListSigner(read[0], tuple(found), reached)


def _pinned(pins: Sequence[bytes], found: list[Finding]) -> list[tuple[CertificateFacts, bytes]]:
    roots = []
    for index, der in enumerate(pins[:MAX_PINS]):
        try:
            roots.append((facts.read(der), der))
        except ValueError:
            found.append(finding(ListCode.PIN_UNREADABLE, Severity.WARNING, f"pins[{index}]"))
    if not roots:
        found.append(finding(ListCode.NO_PINS, Severity.ERROR))
    return roots
