"""Certificates as parsers: what is read of one, what finds it among thousands, and how a generation keeps them.

They are read twice, by different means: in whole, and for three parts alone. Where both come to an end, they agree.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime

from mdoc_reader.lab import certificates
from mdoc_reader.lab import wrong_certificates as wrong
from mdoc_reader.lab.certificates import Credential
from mdoc_reader.model.reasons import Malformed, MalformedCode
from mdoc_reader.trust import der, facts, packed
from mdoc_reader.trust.generation import StoreError
from mdoc_reader.trust.held import Contents, Held
from mdoc_reader.trust.lists import Entry, ListKind, Origin
from mdoc_reader.trust.path import root_findings
from mdoc_reader.trust.profile_rules import Kind

_ORIGIN = Origin(ListKind.VICAL, "List", "list")
_HELD = Contents().with_list(Held(_ORIGIN, None, "", datetime.fromtimestamp(0, UTC), "raw"))
_MOST = 1000


@functools.cache
def _authority() -> Credential:
    return certificates.make_iaca()


def _facts(data: bytes) -> None:
    try:
        read = facts.read(data)
    except ValueError:
        raise Malformed(MalformedCode.BAD_VALUE) from None
    for kind in (Kind.IACA, Kind.ISSUING_CA):
        root_findings(read, kind)
    found = der.index(data)
    if (found.subject, found.key_identifier) != (read.subject, read.key_identifier):
        raise AssertionError("a certificate is found by what it does not say")


def _index(data: bytes) -> None:
    try:
        found = der.index(data)
    except ValueError:
        raise Malformed(MalformedCode.BAD_VALUE) from None
    if any(part not in data for part in (found.subject, found.key_algorithm, found.key_identifier or b"")):
        raise AssertionError("something that is not there")


def _packed(data: bytes) -> None:
    try:
        found = packed.anchors_of(_HELD, data)
        entries = packed.entries_of(data)
    except StoreError:
        raise Malformed(MalformedCode.BAD_VALUE) from None
    if len(found) > sum(len(each) for each in entries.values()):
        raise AssertionError("more anchors than entries")
    for anchor in found.anchors[:_MOST]:
        if anchor not in found.candidates(anchor.key_identifier, anchor.subject) and len(found) <= _FEW:
            raise AssertionError("an anchor that nothing finds")


_FEW = 16  # more may share a name, and then not all are tried


PARSERS: dict[str, Callable[[bytes], object]] = {"facts": _facts, "der_index": _index, "packed": _packed}


def examples() -> list[bytes]:
    """Return valid examples for each of them."""
    issuer = _authority()
    doctypes = frozenset({"org.iso.18013.5.1.mDL"})
    kinds = (Kind.LINK, Kind.DOCUMENT_SIGNER, Kind.VICAL_ROOT, Kind.LOTE_SIGNER)
    made = [wrong.specimen(kind).der for kind in kinds]
    entries = [Entry(issuer.der, doctypes), Entry(made[0]), Entry(made[1], direct=True), Entry(b"none", service=True)]
    return [issuer.der, *made, packed.pack({"list": entries[:2]}), packed.pack({"list": entries, "other": entries[:1]})]
