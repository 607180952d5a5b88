"""The reader's identity: its open key, and the certificates issued for it (ISO 18013-5 clause 9.1.4 and Annex B).

The chain is read whole, put in order by who signed whom, and held against the profile of reader certificates. A chain
of another key stops the start; one that has expired does not: a door with a clock that is wrong would stay shut, and
wallets judge for themselves. It is told in the log, by the doctor, and before it happens.

The network's process never comes here: it opens no key driver and is handed nothing that is made of one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mdoc_reader.app.settings import SettingsError
from mdoc_reader.mdoc.request import ReaderIdentity
from mdoc_reader.model.check import Check, Health
from mdoc_reader.model.reasons import Malformed, Severity
from mdoc_reader.model.signer import ReaderSigner, SignerError, SignerPublicKey
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import facts, path
from mdoc_reader.trust.codes import CertificateCode
from mdoc_reader.trust.facts import CertificateFacts
from mdoc_reader.trust.profile_rules import Kind

log = logging.getLogger(__name__)

RENEW_AHEAD = timedelta(days=60)
"""How long before its end a certificate is warned of: time enough for a CSR to go to an authority and back."""
MAX_BYTES = 256 * 1024
_MAX_CERTIFICATES = 8
_KINDS = (Kind.READER, Kind.READER_CA, Kind.READER_CA)
_PART = "key certificate"


class IdentityError(Exception):
    """Certificates that cannot be used. The text says why, for people."""


class LoadedDriver(Protocol):
    """A loaded driver module with its checked options, as the wiring has it."""

    @property
    def module(self) -> ModuleType:
        """The driver."""

    @property
    def options(self) -> object:
        """What it is opened with."""

    @property
    def disabled(self) -> bool:
        """Whether there is to be no key."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Certificates leaf first, as DER and as read; a root that came with them is apart, for it is not sent."""

    der: tuple[bytes, ...]
    facts: tuple[CertificateFacts, ...]
    root: CertificateFacts | None = None

    @property
    def ends(self) -> datetime:
        """When the first of them ends."""
        return min(entry.not_after for entry in self.facts)

    def belongs_to(self, key: SignerPublicKey) -> bool:
        """Say whether the leaf is that key's."""
        return self.facts[0].public_key == key


def certificates_of(data: bytes) -> tuple[bytes, ...]:
    """Read certificates, PEM one after the other or one DER, as DER. Raises IdentityError."""
    if len(data) > MAX_BYTES:
        raise IdentityError(f"larger than {MAX_BYTES} bytes")
    if b"-----BEGIN" not in data:
        return (data,)
    if b"PRIVATE KEY-----" in data:
        raise IdentityError("there is a private key among the certificates: it does not belong here")
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError:
        raise IdentityError("no certificates in PEM") from None
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in found)


def read_chain(encoded: Sequence[bytes]) -> Chain:
    """Put certificates in order: the one that signed none of the others first. Raises IdentityError.

    What is not on the way up from it is refused, so that a wrong file is noticed here and not by a wallet.
    """
    unique = list(dict.fromkeys(encoded))
    if not 1 <= len(unique) <= _MAX_CERTIFICATES:
        raise IdentityError(f"one to {_MAX_CERTIFICATES} certificates make a chain")
    try:
        read = [(der, facts.read(der)) for der in unique]
    except ValueError:
        raise IdentityError("a certificate cannot be read") from None
    roots = [entry for entry in read if entry[1].self_issued]
    left = [entry for entry in read if not entry[1].self_issued]
    leaves = [entry for entry in left if not any(_issued(entry[1], other[1]) for other in left if other is not entry)]
    if len(leaves) != 1 or len(roots) > 1:
        raise IdentityError("the certificates are not one chain with one reader's certificate at its end")
    chain = [leaves[0]]
    left.remove(leaves[0])
    while left:
        above = next((entry for entry in left if _issued(entry[1], chain[-1][1])), None)
        if above is None:
            raise IdentityError("a certificate is there that issued none of the others")
        chain.append(above)
        left.remove(above)
    return Chain(tuple(der for der, _ in chain), tuple(entry for _, entry in chain), roots[0][1] if roots else None)


def _issued(above: CertificateFacts, below: CertificateFacts) -> bool:
    """Say whether a certificate names another as its issuer; signatures are judged later."""
    return path.names_issuer(below, above) is not CertificateCode.ISSUER_NAME


def load_chain(file: Path) -> Chain:
    """Read the chain's file. Raises IdentityError."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise IdentityError(f"{file}: {error.strerror}") from None
    try:
        return read_chain(certificates_of(data))
    except IdentityError as error:
        raise IdentityError(f"{file}: {error}") from None


def judged(chain: Chain, at: datetime) -> tuple[Finding, ...]:
    """Return what is wrong with a chain at a moment: profiles, validity, who signed whom.

    Without a root the last step is open: who asks for reader authentication has the root, and judges it.
    """
    roots = () if chain.root is None else (chain.root,)
    _, found = path.walk(chain.facts, roots, _KINDS, at, longest=_MAX_CERTIFICATES + 1)
    if chain.root is None:
        found = tuple(finding for finding in found if finding.code is not CertificateCode.PATH_NOT_ROOTED)
    return found


def renewal(chain: Chain, at: datetime, ahead: timedelta = RENEW_AHEAD) -> Check:
    """Say how long the chain is good for, and warn in time."""
    ends, left = chain.ends, chain.ends - at
    day = f"{ends:%Y-%m-%d}"
    advice = "make a CSR with `mdoc-reader key csr`, have it certified, and install the answer"
    if at < max(entry.not_before for entry in chain.facts):
        return Check(_PART, Health.FAULT, "not valid yet", "see that the clock is right")
    if left < timedelta():
        return Check(_PART, Health.FAULT, f"expired on {day}: wallets refuse it", advice)
    if left < ahead:
        return Check(_PART, Health.WARNING, f"valid until {day}, {left.days} days from now", advice)
    return Check(_PART, Health.OK, f"valid until {day}")


def chain_checks(file: Path, key: SignerPublicKey | None, at: datetime) -> tuple[Check, ...]:
    """Look at the installed chain: whose it is (where the key is given), its profile, how long it lasts."""
    try:
        chain = load_chain(file)
    except IdentityError as error:
        return (Check(_PART, Health.FAULT, str(error), "install one with `mdoc-reader key install`"),)
    checks = []
    if key is not None and not chain.belongs_to(key):
        what = f"{file}: the certificate is not that of the configured key"
        checks.append(Check(_PART, Health.FAULT, what, "install the one that was made for this key"))
    times = set(path.codes_of_times(Kind.READER)) | set(path.codes_of_times(Kind.READER_CA))
    for finding in judged(chain, at):
        if finding.code not in times and finding.severity is not Severity.INFO:
            health = Health.FAULT if finding.severity is Severity.ERROR else Health.WARNING
            checks.append(Check(_PART, health, f"{finding.code}: {finding.message}"))
    return (*checks, renewal(chain, at))


def _chain_of(file: Path, key: SignerPublicKey) -> Chain:
    chain = load_chain(file)
    if not chain.belongs_to(key):
        raise IdentityError(f"{file}: the first certificate is not that of the key")
    return chain


def identity_from(
    driver: LoadedDriver, chain_path: Path | None, file: str, at: datetime | None = None
) -> ReaderIdentity | None:
    """Open the key that a configuration names and read its chain; None where it is to have none.

    `file` is the configuration, for messages. Logs when the chain is to be renewed. Raises SettingsError.
    """
    if driver.disabled:
        return None
    if chain_path is None:
        raise SettingsError(f"{file}: a key needs reader.reader_certificates: see `mdoc-reader key csr` and `install`")
    try:
        signer: ReaderSigner = driver.module.open_key(driver.options)
    except SignerError as error:
        raise SettingsError(f"{file}: key: {error}") from None
    try:
        chain = _chain_of(chain_path, signer.public_key)
        identity = ReaderIdentity(signer, chain.der)
    except (IdentityError, Malformed) as error:
        signer.close()
        raise SettingsError(f"{file}: reader.reader_certificates: {error}") from None
    check = renewal(chain, datetime.now(UTC) if at is None else at)
    if check.health is not Health.OK:
        log.warning("reader certificate: %s", check.what)
    return identity
