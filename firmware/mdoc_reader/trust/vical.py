"""VICAL: a provider's signed list of issuing authorities, and what each is trusted for (ISO 18013-5 C.1.7, C.1.8).

A COSE_Sign1 over a map, signed by somebody whose certificate leads to a pinned root. Providers differ in how they write
dates, numbers and profiles; what can only be meant one way is read that way, and said. What an entry says about its
certificate is compared with the certificate, which alone counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from cbor2 import CBORTag

from mdoc_reader.mdoc import cbor, cose
from mdoc_reader.mdoc.mso import parse_tdate
from mdoc_reader.model.reasons import Malformed, MalformedCode, Severity
from mdoc_reader.trust.facts import CertificateFacts
from mdoc_reader.trust.list_codes import EntryCode, ListCode
from mdoc_reader.trust.list_parts import MAX_DOCTYPES, MAX_ENTRIES, Entries, Notes, items_in, judge_dates, shown, usable
from mdoc_reader.trust.list_signer import VICAL_KINDS, signer_of
from mdoc_reader.trust.lists import ListKind, Order, Origin, SignedList
from mdoc_reader.trust.packing import MAX_BYTES, unpacked
from mdoc_reader.trust.profile_rules import LINK_PURPOSES

_OUTER = cbor.Limits(max_bytes=MAX_BYTES, max_depth=8, max_items=1024)
_BIG, _EPOCH = 2, 1
_MAX_NUMBER_OCTETS = 32
_PROFILE_PREFIXES = ("urn:oid:", "oid:", "urn:iso:oid:")
_TAKEN_PROFILES = frozenset({"1.0.18013.5.1.7", "1.0.23220.4.1.7"}) | LINK_PURPOSES  # of issuing authorities
_ISO_PURPOSES = ("1.0.18013.5.1.", "1.0.23220.4.1.")


def open_vical(data: bytes, pins: Sequence[bytes], at: datetime) -> SignedList:
    """Read and verify a VICAL, tagged or not, compressed with gzip or not.

    Args:
        data: the file, of at most 32 MiB, packed or not.
        pins: roots of VICAL providers, or their signers, DER.
        at: the moment it must hold at, with its zone.

    A list with a finding of severity ERROR is refused, and has no entries. Raises Malformed where it is no VICAL.
    """
    signed = cose.parse(cbor.decode(unpacked(data), _OUTER), "COSE_Sign1", "vical")
    chain, unprotected = cose.certificate_chain(signed, "vical.x5chain")
    if signed.payload is None:
        raise Malformed(MalformedCode.MISSING_KEY, "vical.payload")
    notes = Notes()
    signer = signer_of(chain, pins, at, VICAL_KINDS)
    notes.extend(signer.findings)
    if chain and not unprotected:
        notes.add(ListCode.CHAIN_PROTECTED)
    if signer.certificate is not None:
        _check_signature(signed, signed.payload, signer.certificate, notes)
    return _read(signed.payload, chain, signer.root, notes, at)


def _check_signature(signed: cose.Cose, payload: bytes, signer: CertificateFacts, notes: Notes) -> None:
    key, curve = signer.public_key, signer.curve
    algorithm = None if curve is None else cose.algorithm_for(signed, curve)
    if key is None or curve is None or algorithm is None:
        notes.add(ListCode.ALGORITHM, Severity.ERROR)
    elif not cose.verify_signature(signed, key, curve, algorithm, payload):  # type: ignore[arg-type]  # RSA has no curve
        notes.add(ListCode.SIGNATURE, Severity.ERROR)


def _read(payload: bytes, chain: tuple[bytes, ...], root: str, notes: Notes, at: datetime) -> SignedList:
    limits = cbor.Limits(max_bytes=MAX_BYTES, max_depth=12, max_items=items_in(len(payload)), max_entries=1024)
    content = cbor.decode(payload, limits)
    if isinstance(content, CBORTag) and content.tag == cbor.ENCODED_CBOR:
        content = cbor.decode(cbor.as_embedded(content, "vical"), limits)
    content = cbor.as_map(content, "vical")
    provider = shown(cbor.need_text(content, "vicalProvider", "vical", maximum=1024))
    _check_version(content.get("version"), notes)
    issued = _moment(cbor.need(content, "date", "vical"), "vical.date", notes)
    next_update, not_after = _optional(content, "nextUpdate", notes), _optional(content, "notAfter", notes)
    judge_dates(notes, at, issued, next_update, not_after)
    order = _order(content.get("vicalIssueID"), issued, notes)
    infos = cbor.as_array(
        cbor.need(content, "certificateInfos", "vical"), "vical.certificateInfos", maximum=MAX_ENTRIES
    )
    entries = Entries()
    if not notes.refused:
        for index, info in enumerate(infos):
            _entry(info, f"certificateInfos[{index}]", entries, notes)
        if not entries.taken():
            notes.add(ListCode.EMPTY)
    origin = Origin(ListKind.VICAL, provider, f"vical:{root}:{provider}", issued, next_update, not_after)
    return SignedList(origin, order, entries.taken(), tuple(entries.skipped), notes.findings(), chain)


def _check_version(version: object, notes: Notes) -> None:
    if version == "1.0":
        return
    known = version is None or (isinstance(version, str) and version.split(".", 1)[0] == "1")
    notes.add(ListCode.VERSION, Severity.WARNING if known else Severity.ERROR)


def _order(value: object, issued: datetime, notes: Notes) -> Order:
    """What orders issues: their number, which may be larger than 64 bits, else their date."""
    number = _number(value)
    if number is not None:
        return Order("vicalIssueID", number=number)
    if value is not None:
        raise Malformed(MalformedCode.WRONG_TYPE, "vical.vicalIssueID")
    notes.add(ListCode.NO_ORDER, Severity.INFO)
    return Order("date", moment=issued)


def _number(value: object) -> int | None:
    """Read a number that is not negative: an integer, a big one (tag 2), or its octets alone; None for others."""
    if isinstance(value, CBORTag) and value.tag == _BIG:
        value = value.value
    if isinstance(value, bytes):
        return int.from_bytes(value, "big") if len(value) <= _MAX_NUMBER_OCTETS else None
    if isinstance(value, (list, tuple)) and 0 < len(value) <= _MAX_NUMBER_OCTETS:  # octets, one by one
        plain = all(isinstance(each, int) and not isinstance(each, bool) and 0 <= each < 256 for each in value)
        return int.from_bytes(bytes(value), "big") if plain else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _optional(content: Mapping[object, object], key: str, notes: Notes) -> datetime | None:
    value = content.get(key)
    return None if value is None else _moment(value, f"vical.{key}", notes)


def _moment(value: object, path: str, notes: Notes) -> datetime:
    """Read a date: a tag 0 date-time as the format asks, or the forms met beside it, which are noted."""
    if isinstance(value, CBORTag) and value.tag in {_EPOCH, cbor.FULL_DATE}:
        value = value.value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            moment, exact = datetime.fromtimestamp(value, UTC), False
        except (ValueError, OverflowError, OSError):
            raise Malformed(MalformedCode.BAD_VALUE, path, detail="a time out of range") from None
    elif isinstance(value, str) and len(value) == len("2026-01-01"):
        moment, exact = parse_tdate(f"{value}T00:00:00Z", path)
    else:
        moment, exact = parse_tdate(value, path)
    if not exact:
        notes.add(ListCode.DATE_FORM, Severity.INFO, path)
    return moment


def _entry(info: object, where: str, entries: Entries, notes: Notes) -> None:
    if not isinstance(info, Mapping):
        entries.skip(where, EntryCode.MALFORMED)
        return
    name = _name(info, where)
    der = info.get("certificate")
    if not isinstance(der, bytes):
        entries.skip(name, EntryCode.NO_CERTIFICATE if der is None else EntryCode.MALFORMED)
        return
    read = usable(der)
    if isinstance(read, EntryCode):
        entries.skip(name, read)
        return
    doctypes = _doctypes(info.get("docType"), where, notes)
    code = _contradiction(info, read, where, notes) or (doctypes if isinstance(doctypes, EntryCode) else None)
    if code is not None or isinstance(doctypes, EntryCode):
        entries.skip(name, code or EntryCode.NO_DOCTYPE)
        return
    entries.take(der, read, doctypes, name)


def _name(info: Mapping[object, object], where: str) -> str:
    """What the list calls an entry, for people."""
    parts = [info.get(key) for key in ("issuingAuthority", "stateOrProvinceName", "issuingCountry")]
    return shown(", ".join(part[:100] for part in parts if isinstance(part, str) and part)) or where


def _doctypes(value: object, where: str, notes: Notes) -> frozenset[str] | EntryCode:
    if isinstance(value, str):
        notes.add(EntryCode.DOCTYPE_FORM, Severity.INFO, where)
        value = [value]
    if value is None or not isinstance(value, (list, tuple)):
        return EntryCode.NO_DOCTYPE if value is None else EntryCode.MALFORMED
    if len(value) > MAX_DOCTYPES:
        return EntryCode.MALFORMED
    found = frozenset(each for each in value if isinstance(each, str) and 0 < len(each) <= 256)
    if len(found) < len(value):
        notes.add(EntryCode.DOCTYPE_FORM, Severity.WARNING, where)
    return found or EntryCode.NO_DOCTYPE


def _contradiction(info: Mapping[object, object], read: CertificateFacts, where: str, notes: Notes) -> EntryCode | None:
    """Return why an entry cannot be meant as it is written: another key's name, or a use that is none of ours."""
    ski, serial = info.get("ski"), info.get("serialNumber")
    if not isinstance(ski, bytes) or serial is None:
        notes.add(EntryCode.PARTS_MISSING, Severity.INFO, where)
    if isinstance(ski, bytes) and ski not in {read.key_identifier, read.key_digest}:
        return EntryCode.KEY_IDENTIFIER
    if serial is not None and _number(serial) != read.serial:
        notes.add(EntryCode.SERIAL_NUMBER, Severity.WARNING, where)
    if not read.authority:
        return EntryCode.NOT_AUTHORITY
    profiles = info.get("certificateProfile")
    named = [profiles] if isinstance(profiles, str) else profiles if isinstance(profiles, (list, tuple)) else []
    spelt = {_profile(each) for each in named[:MAX_DOCTYPES] if isinstance(each, str)}
    others = {each for each in spelt if each.startswith(_ISO_PURPOSES)} - _TAKEN_PROFILES
    return EntryCode.PROFILE_OTHER if others and not spelt & _TAKEN_PROFILES else None


def _profile(text: str) -> str:
    """Return a profile's identifier in dotted form, however it is spelt."""
    low = text[:256].strip().lower()
    for prefix in _PROFILE_PREFIXES:
        if low.startswith(prefix):
            return low.removeprefix(prefix)
    return low
