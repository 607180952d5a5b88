"""Lists of trusted entities: who issues PIDs, mobile driving licences and attestations in the EU (ETSI TS 119 602).

A compact JWS over JSON. How its signer is to be anchored is not settled in any text this rests on, so that the signer,
or who issued its certificate, is pinned by a setting. The list's type says which documents its entities issue; a
service of another type than the list's own is not taken. An entity's certificate may be an authority's, or sign
documents itself. Certificates of revocation services sign status lists and identifier lists: they are no anchors of
documents, and such lists are taken that lead to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mdoc_reader.mdoc.mso import parse_tdate
from mdoc_reader.model.reasons import Malformed, MalformedCode, Severity
from mdoc_reader.trust import jws, strict_json
from mdoc_reader.trust.list_codes import EntryCode, ListCode
from mdoc_reader.trust.list_parts import MAX_ENTRIES, Entries, Notes, items_in, judge_dates, shown, usable
from mdoc_reader.trust.list_signer import LOTE_KINDS, NO_ROOT, signer_of
from mdoc_reader.trust.lists import Entry, ListKind, Order, Origin, SignedList
from mdoc_reader.trust.lote_types import LISTS, OTHER_LISTS, ListType, Service, chosen, counts, service_of
from mdoc_reader.trust.packing import MAX_BYTES, unpacked

_MAX_CERTIFICATE = 96 * 1024  # characters of base64
_PER_SERVICE = 256
_LONGEST_INTERVAL = timedelta(days=6 * 31)
_INFO = "ListAndSchemeInformation"


@dataclass(frozen=True, slots=True)
class Lote:
    """A list of trusted entities: `issuers` sign documents, `revocation` the lists that revoke them."""

    issuers: SignedList
    revocation: tuple[Entry, ...] = ()


def open_lote(data: bytes, pins: Sequence[bytes], at: datetime, doctypes: frozenset[str] | None = None) -> SignedList:
    """Read and verify a list of trusted entities: `read_lote`, its revocation services among the entries.

    Raises Malformed.
    """
    found = read_lote(data, pins, at, doctypes)
    services = (replace(each, service=True) for each in found.revocation)
    return replace(found.issuers, entries=(*found.issuers.entries, *services))


def read_lote(data: bytes, pins: Sequence[bytes], at: datetime, doctypes: frozenset[str] | None = None) -> Lote:
    """Read and verify a list of trusted entities, compressed with gzip or not.

    Args:
        data: the file, of at most 32 MiB, packed or not.
        pins: signers of such lists, or who issued their certificates, DER.
        at: the moment it must hold at, with its zone.
        doctypes: what a list that does not say it is to be trusted for, by somebody's choice. None: any document.

    A list with a finding of severity ERROR is refused, and has no entries. Raises Malformed where it is no such list.
    """
    plain = unpacked(data).strip(b" \t\r\n")
    notes = Notes()
    chain: tuple[bytes, ...] = ()
    root = NO_ROOT
    if plain.startswith(b"{"):
        notes.add(ListCode.NOT_SIGNED, Severity.ERROR)
        payload = plain
    else:
        signed = jws.parse(plain, "lote", MAX_BYTES)
        payload = signed.payload
        chain, root = _verify(signed, pins, at, notes)
    return _Reader(notes, at, doctypes).read(payload, chain, root)


def _verify(signed: jws.Jws, pins: Sequence[bytes], at: datetime, notes: Notes) -> tuple[tuple[bytes, ...], str]:
    chain = jws.chain(signed, "lote.header")
    if not chain:  # a header may name its signer by digest alone: one that is pinned itself will do
        chain = tuple(pin for pin in pins if signed.header.get("x5t#S256") == jws.thumbprint(pin))[:1]
    elif jws.names_other_signer(signed, chain[0]):
        notes.add(ListCode.SIGNER_DIGEST, Severity.ERROR)
    signer = signer_of(chain, pins, at, LOTE_KINDS)
    notes.extend(signer.findings)
    if signer.certificate is not None:
        fault = jws.signature_fault(signed, signer.certificate.public_key)
        if fault is not None:
            notes.add(fault, Severity.ERROR)
    return chain, signer.root


class _Reader:
    """Reads one list's payload; what it finds on the way goes to `notes`."""

    def __init__(self, notes: Notes, at: datetime, doctypes: frozenset[str] | None) -> None:
        self._notes = notes
        self._at = at
        self._chosen = None if doctypes is None else chosen(doctypes)
        self._issuers = Entries()
        self._revocation = Entries()

    def read(self, payload: bytes, chain: tuple[bytes, ...], root: str) -> Lote:
        limits = strict_json.Limits(max_bytes=MAX_BYTES, max_depth=24, max_items=items_in(len(payload)))
        tree = strict_json.as_object(strict_json.decode(payload, "lote", limits), "lote")
        if _INFO not in tree:
            tree = strict_json.as_object(_need(tree, "LoTE", "lote"), "LoTE")
        info = strict_json.as_object(_need(tree, _INFO, "LoTE"), _INFO)
        notes = self._notes
        if info.get("LoTEVersionIdentifier") != 1 or isinstance(info.get("LoTEVersionIdentifier"), bool):
            notes.add(ListCode.VERSION)
        issued = self._moment(_need(info, "ListIssueDateTime", _INFO), "ListIssueDateTime")
        next_update = None if info.get("NextUpdate") is None else self._moment(info["NextUpdate"], "NextUpdate")
        judge_dates(notes, self._at, issued, next_update, None)
        if next_update is not None and next_update - issued > _LONGEST_INTERVAL:
            notes.add(ListCode.NEXT_UPDATE_FAR)
        kind = ""  # a list need not say what it is
        if info.get("LoTEType") is not None:
            kind = strict_json.as_text(info["LoTEType"], f"{_INFO}.LoTEType")
        territory = info.get("SchemeTerritory")
        territory = shown(territory) if isinstance(territory, str) else ""
        own = self._list_type(kind)
        name = _words(info.get("SchemeName")) or _words(info.get("SchemeOperatorName")) or shown(kind)
        origin = Origin(ListKind.LOTE, name, f"lote:{root}:{shown(kind)}:{territory}", issued, next_update)
        order = self._order(info.get("LoTESequenceNumber"), issued)
        if not notes.refused:
            self._entities(tree.get("TrustedEntitiesList"), own)
        issuers, revocation = self._issuers.taken(), self._revocation.taken()
        skipped = (*self._issuers.skipped, *self._revocation.skipped)
        return Lote(SignedList(origin, order, issuers, skipped, notes.findings(), chain), revocation)

    def _moment(self, value: object, key: str) -> datetime:
        path = f"{_INFO}.{key}"
        return parse_tdate(strict_json.as_text(value, path, maximum=64), path)[0]

    def _order(self, value: object, issued: datetime) -> Order:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 128:
            return Order("LoTESequenceNumber", number=value)
        self._notes.add(ListCode.NO_ORDER, Severity.INFO if value is None else Severity.WARNING)
        return Order("ListIssueDateTime", moment=issued)

    def _list_type(self, kind: str) -> ListType | None:
        own = LISTS.get(kind.casefold())
        if kind.casefold() in OTHER_LISTS:
            self._notes.add(ListCode.TYPE_OTHER, Severity.ERROR)
        elif own is None:
            self._notes.add(ListCode.TYPE_UNKNOWN)
            return self._chosen
        return own

    def _entities(self, value: object, own: ListType | None) -> None:
        entities = () if value is None else strict_json.as_list(value, "TrustedEntitiesList", maximum=MAX_ENTRIES)
        for index, entity in enumerate(entities):
            where = f"TrustedEntitiesList[{index}]"
            if not isinstance(entity, dict):
                self._issuers.skip(where, EntryCode.MALFORMED)
                continue
            information = entity.get("TrustedEntityInformation")
            name = _words(information.get("TEName")) if isinstance(information, dict) else ""
            services = entity.get("TrustedEntityServices")
            if not isinstance(services, list) or len(services) > MAX_ENTRIES:
                self._issuers.skip(name or where, EntryCode.MALFORMED)
                continue
            for service in services:
                self._service(service, name or where, own, where)
        if not self._issuers.taken():
            self._notes.add(ListCode.EMPTY)

    def _service(self, service: object, name: str, own: ListType | None, where: str) -> None:
        information = service.get("ServiceInformation") if isinstance(service, dict) else None
        if not isinstance(information, dict):
            self._issuers.skip(name, EntryCode.MALFORMED)
            return
        row = service_of(information.get("ServiceTypeIdentifier"), own)
        if row is None:
            self._issuers.skip(name, EntryCode.SERVICE_OTHER)
            return
        code = self._status(information)
        if code is not None:
            self._issuers.skip(name, code)
            return
        if row.type.doctypes is None and self._chosen is not None:
            row = Service(self._chosen, row.revocation)
        if row.type.doctypes is None and not row.revocation:
            self._notes.add(ListCode.ANY_DOCTYPE, Severity.WARNING, where)
        self._certificates(information.get("ServiceDigitalIdentity"), name, row)

    def _status(self, information: Mapping[str, object]) -> EntryCode | None:
        """Return why a service does not count now. Lists without statuses name only services that do."""
        if information.get("ServiceStatus") is None:
            return None
        code = counts(information["ServiceStatus"])
        start = information.get("StatusStartingTime")
        if code is None and start is not None:
            try:
                code = EntryCode.NOT_STARTED if self._moment(start, "StatusStartingTime") > self._at else None
            except Malformed:
                self._notes.add(ListCode.DATE_UNREADABLE, Severity.WARNING, "StatusStartingTime")
        return code

    def _certificates(self, identity: object, name: str, row: Service) -> None:
        into = self._revocation if row.revocation else self._issuers
        given = identity.get("X509Certificates") if isinstance(identity, dict) else None
        if given is None or given == []:
            into.skip(name, EntryCode.NO_CERTIFICATE)
            return
        if not isinstance(given, list) or len(given) > _PER_SERVICE:
            into.skip(name, EntryCode.MALFORMED)
            return
        for item in given:
            der = _der(item)
            read = EntryCode.NOT_A_CERTIFICATE if der is None else usable(der)
            if der is None or isinstance(read, EntryCode):
                into.skip(name, read if isinstance(read, EntryCode) else EntryCode.NOT_A_CERTIFICATE)
            else:
                into.take(der, read, row.type.doctypes, name)


def _need(mapping: Mapping[str, object], key: str, path: str) -> object:
    if key not in mapping:
        raise Malformed(MalformedCode.MISSING_KEY, f"{path}.{key}")
    return mapping[key]


def _words(value: object) -> str:
    """Return a text that is given in several languages, in English where it is."""
    if not isinstance(value, list):
        return ""
    texts = {
        str(each.get("lang", ""))[:2].lower(): each["value"]
        for each in reversed(value[:64])
        if isinstance(each, dict) and isinstance(each.get("value"), str)
    }
    return shown(texts.get("en") or next(reversed(texts.values()), ""))


def _der(item: object) -> bytes | None:
    """Return a certificate written as `{"val": base64}`, or, as some do, as base64 or PEM alone; None for others."""
    text = item.get("val") if isinstance(item, dict) else item
    if not isinstance(text, str):
        return None
    plain = text.strip().removeprefix("-----BEGIN CERTIFICATE-----").removesuffix("-----END CERTIFICATE-----")
    try:
        return jws.from_base64(plain, "certificate", _MAX_CERTIFICATE)
    except Malformed:
        return None
