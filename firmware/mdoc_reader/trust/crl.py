"""Certificate revocation lists: whether one is believed, and what it is compiled to (RFC 5280 sections 5 and 6.3).

Taken are full lists of an issuing authority, signed by its own key or by one that it certified for the purpose under
its own name; a list that is one part of several counts for the certificates that name its address. Differences (delta
lists), lists that speak for other issuers, and lists of some reasons only are refused: none of them alone can say that
a certificate is good.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from mdoc_reader.model.reasons import Malformed, MalformedCode, Severity
from mdoc_reader.model.verdict import Finding
from mdoc_reader.trust import anchors as roots
from mdoc_reader.trust import crl_form, der, facts, path
from mdoc_reader.trust.anchors import Anchor, TrustAnchors
from mdoc_reader.trust.authority import error, identity, of_name, stands
from mdoc_reader.trust.codes import AS_WRITTEN, CertificateCode, Grading
from mdoc_reader.trust.crl_form import CrlForm
from mdoc_reader.trust.facts import CertificateFacts
from mdoc_reader.trust.list_parts import Notes, judge_dates, shown
from mdoc_reader.trust.lists import ListKind, Order, Origin
from mdoc_reader.trust.packing import MAX_BYTES, unpacked
from mdoc_reader.trust.profile_rules import Kind
from mdoc_reader.trust.revocation_codes import RevocationListCode as Code
from mdoc_reader.trust.revocation_list import SUSPENDED, OpenedList, RevocationList, Table, with_table

_PEM_BEGIN, _PEM_END = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"
_MAX_SIGNERS = 8
_MAX_NUMBER_OCTETS = 20
_ECDSA: Mapping[bytes, ec.ECDSA] = {
    bytes.fromhex("300a06082a8648ce3d0403" + last): ec.ECDSA(row)
    for last, row in (("02", hashes.SHA256()), ("03", hashes.SHA384()), ("04", hashes.SHA512()))
}


@dataclass(frozen=True, slots=True)
class _Authority:
    """Who a list leads to: its identity, the identities on the way, and when the first certificate on it ends."""

    identity: bytes
    vouched: frozenset[bytes]
    until: datetime
    signer: CertificateFacts
    findings: tuple[Finding, ...]


def open_crl(
    data: bytes,
    anchors: TrustAnchors,
    at: datetime,
    signers: Sequence[bytes] = (),
    grading: Grading = AS_WRITTEN,
) -> OpenedList:
    """Read and verify a full CRL, DER or PEM, compressed with gzip or not.

    Args:
        data: the file, of at most 32 MiB. Certificates beside the list in PEM count as `signers`.
        anchors: the issuing authorities, of which its issuer must be one.
        at: the moment it must hold at, with its zone.
        signers: DER certificates that may have signed it in the authority's stead.
        grading: how much findings about certificates weigh.

    A list past its `nextUpdate` is taken, with a warning: it still tells who was revoked. One with a finding of
    severity ERROR is refused. Raises Malformed where it is no CRL.
    """
    try:
        plain, beside = _plain(unpacked(data))
        form = crl_form.parse(plain)
    except Malformed as problem:
        raise problem.under("crl") from None
    notes = Notes()
    _judge_form(form, notes)
    judge_dates(notes, at, form.this_update, form.next_update, None)
    authority = _authority(form, anchors, (*signers, *beside)[:_MAX_SIGNERS], at, grading)
    notes.extend(authority.findings if isinstance(authority, _Authority) else authority)
    content: RevocationList | None = None
    if isinstance(authority, _Authority):
        _judge_key(form, authority, notes)
        if not notes.refused:
            content = _content(plain, form, authority, notes)
    return OpenedList(_origin(form, authority), _order(form), notes.findings(), None if notes.refused else content)


def _plain(data: bytes) -> tuple[bytes, Sequence[bytes]]:
    """Return the list in DER, and the certificates beside it. Raises Malformed."""
    start = -1 if data[:1] == b"\x30" and not data[1:5].isascii() else data.find(_PEM_BEGIN)
    if start < 0:
        return data, ()
    end = data.find(_PEM_END, start)
    if end < 0:
        raise Malformed(MalformedCode.TRUNCATED, "pem")
    if data.find(_PEM_BEGIN, end) >= 0:
        raise Malformed(MalformedCode.UNSUPPORTED, "pem", detail="more lists than one in a file")
    try:
        plain = binascii.a2b_base64(data[start + len(_PEM_BEGIN) : end])
    except binascii.Error:
        raise Malformed(MalformedCode.BAD_VALUE, "pem", detail="not base64") from None
    rest = data[:start] + data[end + len(_PEM_END) :]
    return plain, roots.certificates_in(rest)[:_MAX_SIGNERS] if b"BEGIN CERTIFICATE" in rest else ()


def _judge_form(form: CrlForm, notes: Notes) -> None:
    """Note what keeps a list from telling whether a signer is good, and what is odd about it."""
    division = form.division
    for broken, code in (
        (form.delta, Code.CRL_DELTA),
        (form.unknown_critical, Code.CRL_CRITICAL),
        (form.promised != form.algorithm, CertificateCode.ALGORITHMS_DIFFER),
        (division is not None and division.indirect, Code.CRL_INDIRECT),
        (division is not None and division.some_reasons, Code.CRL_SOME_REASONS),
        (division is not None and division.others_only, Code.CRL_NOT_FOR_SIGNERS),
        (division is not None and division.unnamed, Code.CRL_PLACE_FORM),
    ):
        if broken:
            notes.add(code, Severity.ERROR)
    if form.version == 1:
        notes.add(Code.CRL_VERSION)
        return
    if form.number is None:
        notes.add(Code.CRL_NO_NUMBER)
    elif form.number_octets > _MAX_NUMBER_OCTETS:
        notes.add(Code.CRL_NUMBER_FORM)
    if form.authority_key is None and not form.authority_named:
        notes.add(Code.CRL_KEY_MISSING)


def _judge_key(form: CrlForm, authority: _Authority, notes: Notes) -> None:
    signer = authority.signer
    if form.authority_key is not None and form.authority_key not in {signer.key_identifier, signer.key_digest}:
        notes.add(Code.CRL_KEY_MISMATCH)


def _authority(
    form: CrlForm, anchors: TrustAnchors, signers: Sequence[bytes], at: datetime, grading: Grading
) -> _Authority | tuple[Finding, ...]:
    """Find the trusted authority of a list's name whose key signed it, or certified the one that did."""
    algorithm = _ECDSA.get(form.algorithm)
    if algorithm is None:
        return (error(Code.ALGORITHM),)
    candidates = [
        anchor
        for anchor in of_name(anchors, form.authority_key, form.issuer)
        if not anchor.direct and stands(anchor, anchors, grading) and _same_name(form.issuer, anchor.facts)
    ]
    if not candidates:
        return (error(Code.CRL_ISSUER_UNKNOWN),)
    for anchor in candidates:
        if _signed(form, anchor.facts, algorithm):
            return _own(anchor, at, grading)
    for certificate in signers:
        try:
            signer = facts.read(certificate)
        except ValueError:
            continue
        if _same_name(form.issuer, signer) and _signed(form, signer, algorithm):
            return _delegated(certificate, signer, candidates, at, grading)
    return (error(Code.SIGNATURE),)


def _same_name(issuer: bytes, signer: CertificateFacts) -> bool:
    """Say whether a certificate has a list's issuer for its subject, or, of a link, for another of its names."""
    try:
        return any(der.alike(issuer, name) for name in (signer.subject, *signer.other_names))
    except ValueError:
        return False


def _signed(form: CrlForm, signer: CertificateFacts, algorithm: ec.ECDSA) -> bool:
    key = signer.public_key
    if not isinstance(key, ec.EllipticCurvePublicKey) or signer.curve is None:
        return False
    try:
        key.verify(form.signature, form.signed, algorithm)
    except InvalidSignature:
        return False
    return True


def _own(anchor: Anchor, at: datetime, grading: Grading) -> _Authority:
    found = list(anchor.errors(grading))
    late = path.times(anchor.facts, anchor.kind, at)
    if late is not None:
        found.append(grading.finding(late, anchor.kind.value))
    if anchor.facts.uses is not None and "crl_sign" not in anchor.facts.uses:
        found.append(grading.finding(CertificateCode.CRL_SIGNER_KEY_USAGE, anchor.kind.value))
    own = identity(anchor.der)
    return _Authority(own, frozenset({own}), anchor.not_after, anchor.facts, tuple(found))


def _delegated(
    certificate: bytes, signer: CertificateFacts, candidates: Sequence[Anchor], at: datetime, grading: Grading
) -> _Authority | tuple[Finding, ...]:
    for anchor in candidates:
        if path.signed_by(signer, anchor.facts, grading) is not None:
            continue
        kinds = (Kind.CRL_SIGNER, Kind.ISSUING_CA, anchor.kind)
        _, found = path.walk([signer], [anchor.facts], kinds, at, longest=2, grading=grading)
        own = identity(anchor.der)
        told = [each for each in found if each.severity is Severity.ERROR or each.where != anchor.kind.value]
        until = min(anchor.not_after, signer.not_after)
        return _Authority(own, frozenset({own, identity(certificate)}), until, signer, tuple(told))
    return (error(Code.NO_AUTHORITY),)


def _content(data: bytes, form: CrlForm, authority: _Authority, notes: Notes) -> RevocationList | None:
    table = Table()
    try:
        for serial, entry in crl_form.walk(data, form.entries):
            if entry is crl_form.PLAIN:
                table.add(serial)
                continue
            if entry.other_issuer or entry.critical:
                notes.add(Code.CRL_INDIRECT if entry.other_issuer else Code.CRL_ENTRY_CRITICAL, Severity.ERROR)
                return None
            if entry.meaningless:
                notes.add(Code.CRL_REASON)
            if entry.reason == crl_form.REASON_REMOVED:
                notes.add(Code.CRL_REMOVED)
            elif entry.reason == crl_form.REASON_HOLD:
                table.add(serial, SUSPENDED)
            else:
                table.add(serial)
    except Malformed as problem:
        raise problem.under("crl") from None
    until = authority.until if form.next_update is None else min(form.next_update, authority.until)
    points = () if form.division is None else form.division.points
    bare = RevocationList(
        ListKind.CRL,
        "",
        authority.identity,
        authority.vouched,
        form.this_update,
        form.next_update,
        until,
        0,
        0,
        points,
    )
    return with_table(bare, table)


def _origin(form: CrlForm, authority: _Authority | tuple[Finding, ...]) -> Origin:
    try:
        name = der.name_text(form.issuer, der.COMMON_NAME)
    except ValueError:
        name = None
    owner = authority.identity if isinstance(authority, _Authority) else hashlib.sha256(form.issuer).digest()
    points = () if form.division is None else form.division.points
    part = f":{hashlib.sha256(' '.join(points).encode()).hexdigest()[:16]}" if points else ""
    known = "crl" if isinstance(authority, _Authority) else "crl:unknown"
    return Origin(
        ListKind.CRL,
        shown(name or "certificate revocation list"),
        f"{known}:{owner.hex()[:32]}{part}",
        form.this_update,
        form.next_update,
    )


def _order(form: CrlForm) -> Order:
    if form.number is not None:
        return Order("cRLNumber", number=form.number)
    return Order("thisUpdate", moment=form.this_update)


__all__ = ["MAX_BYTES", "open_crl"]
