"""What `trust.py` measures: stores of many anchors, and signed status lists of many entries, made by the lab.

All anchors share one key, which is the only thing about them that is not as in the world: names, serial numbers and key
identifiers differ. They come in one VICAL, each for one document type, and go through the importer like any other list.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from mdoc_reader.lab import status_lists, vical
from mdoc_reader.lab.certificates import Changes, Credential, generate_signing_key, make_document_signer, make_iaca, now
from mdoc_reader.trust import importer, store
from mdoc_reader.trust.importer import Orders, Report

SEED = 18013
STATUS_URI = status_lists.URI
ANCHORS, CERTIFICATES, SIGNERS, STATUS = "anchors", "certificates.flat", "signers", "status.cwt"
_REVOKED = 0.02
_COUNTRIES = ("UT", "FR", "DE", "US", "AU", "JP", "NO", "KR")
_SIGNERS = 10


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with what one measurement needs. Counts of 0: there are none of these.

    Attributes:
        store: a store with its one generation,
        folder: the same anchors as a folder of certificates, a file each,
        flat: the same in one file, each behind its length in four octets,
        signers: document signers under some of the anchors, written in the same way.
        status: the status list as it was signed.
    """

    root: Path
    anchors: int = 0
    entries: int = 0
    bits: int = 0
    reports: tuple[Report, ...] = field(default=(), repr=False)

    @property
    def store(self) -> Path:
        """The store's folder."""
        return self.root / "store"

    @property
    def folder(self) -> Path:
        """The folder of certificates."""
        return self.root / ANCHORS

    @property
    def flat(self) -> Path:
        """The certificates in one file."""
        return self.root / CERTIFICATES

    @property
    def signers(self) -> Path:
        """Document signers in one file."""
        return self.root / SIGNERS

    @property
    def status(self) -> Path:
        """The signed status list."""
        return self.root / STATUS


def make_anchors(count: int) -> list[Credential]:
    """Make issuing authorities: one key, and names, serial numbers and key identifiers of their own."""
    chance = random.Random(SEED)
    key = generate_signing_key("P-256")
    return [
        make_iaca(
            country=_COUNTRIES[number % len(_COUNTRIES)],
            common_name=f"Issuing Authority {number:05d}",
            changes=Changes(put=[(x509.SubjectKeyIdentifier(chance.randbytes(20)), False)]),
            key=key,
        )
        for number in range(count)
    ]


def make_octets(entries: int, bits: int) -> bytes:
    """Return a status list's octets: two entries of a hundred are revoked or suspended, by chance."""
    chance = random.Random(SEED)
    octets = bytearray((entries * bits + 7) // 8)
    for _ in range(int(entries * _REVOKED)):
        place = chance.randrange(entries) * bits
        octets[place >> 3] |= (1 if bits == 1 else chance.choice((1, 2))) << (place & 7)
    return bytes(octets)


def flat(certificates: Sequence[bytes]) -> bytes:
    """Put certificates into one file."""
    return b"".join(len(each).to_bytes(4, "big") + each for each in certificates)


def unflat(data: bytes) -> list[bytes]:
    """Take them out again."""
    found, at = [], 0
    while at < len(data):
        behind = at + 4 + int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : behind])
        at = behind
    return found


def make_place(root: Path, authorities: Sequence[Credential], entries: int = 0, bits: int = 0) -> Place:
    """Fill a folder for one measurement, the store by way of the importer. Raises SystemExit where it refuses."""
    root.mkdir(parents=True)
    place = Place(root, len(authorities), entries, bits)
    at = now()
    place.folder.mkdir()
    for number, each in enumerate(authorities):
        (place.folder / f"{number:05d}.der").write_bytes(each.der)
    place.flat.write_bytes(flat([each.der for each in authorities]))
    step = max(1, len(authorities) // _SIGNERS)
    place.signers.write_bytes(
        flat([make_document_signer(each, changes=_under(each)).der for each in authorities[::step][:_SIGNERS]])
    )
    provider = vical.make_provider()
    infos = [vical.entry(each, ski=_identifier(each)) for each in authorities]
    files = [("anchors.vical", vical.sign(provider, vical.content(infos)))]
    if entries:
        signer = status_lists.make_list_signer(authorities[0], changes=_under(authorities[0]))
        place.status.write_bytes(status_lists.make_status_list(signer, make_octets(entries, bits), bits))
        files.append((STATUS, place.status.read_bytes()))
    reports = importer.import_files(place.store, files, Orders(at, pins=(("Utopia Lab VICAL", provider.root.der),)))
    for report in reports:
        if not report.accepted or report.skipped:
            raise SystemExit(f"{report.file} was not taken whole: {report.findings} {report.skipped[:3]}")
    believed = store.load(place.store)
    if len(believed.anchors) != len(authorities) or len(believed.revocations) != (entries > 0):
        raise SystemExit("the store does not hold what was put in")
    return Place(root, len(authorities), entries, bits, reports)


def _identifier(authority: Credential) -> bytes:
    found = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return found.value.digest


def _under(authority: Credential) -> Changes:
    """Name the authority's key as the authority does."""
    named = x509.AuthorityKeyIdentifier(_identifier(authority), None, None)
    return Changes(put=[(named, False)])
