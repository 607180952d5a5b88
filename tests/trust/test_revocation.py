"""What the lists held say of a signer and of a document: every status, whose list counts, and how old it may be."""

from __future__ import annotations

import functools
import hashlib
import mmap
import random
import struct
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from mdoc_reader.lab import certificates, crls, status_lists
from mdoc_reader.lab.certificates import Changes, Credential
from mdoc_reader.lab.crls import CrlShape, Revoked
from mdoc_reader.lab.status_lists import URI, TokenShape, octets_of
from mdoc_reader.mdoc.status import IdentifierListInfo, Status, StatusListInfo
from mdoc_reader.trust import anchors, revocation, revocation_list
from mdoc_reader.trust.anchors import Anchor
from mdoc_reader.trust.crl import open_crl
from mdoc_reader.trust.identifier_list import open_identifier_list
from mdoc_reader.trust.lists import ListKind
from mdoc_reader.trust.revocation import ANY_DOCTYPE, Answer, Revocations
from mdoc_reader.trust.revocation_codes import RevocationCode as Code
from mdoc_reader.trust.revocation_list import REVOKED, SUSPENDED, OpenedList, RevocationList, Table
from mdoc_reader.trust.status_list import open_status_list

AT = certificates.now()
ISSUED = AT - timedelta(hours=1)
MDL, PID = "org.iso.18013.5.1.mDL", "eu.europa.ec.eudi.pid.1"
VALID, OLD, NO_LIST = revocation.Status.VALID, revocation.Status.STALE, revocation.Status.UNKNOWN


OURS = "Utopia Lab IACA"
_authority = functools.cache(lambda name: certificates.make_iaca(common_name=name))
_list_signer = functools.cache(lambda name: status_lists.make_list_signer(_authority(name)))


def iaca(name: str = OURS) -> Credential:
    return _authority(name)


def list_signer(name: str = OURS) -> Credential:
    return _list_signer(name)


@functools.cache
def document_signer() -> Credential:
    return certificates.make_document_signer(iaca())


def anchor(credential: Credential | None = None) -> Anchor:
    return anchors.build([("iaca", (credential or iaca()).der)])[0].anchors[0]


def taken(found: OpenedList) -> RevocationList:
    assert found.content is not None, found.findings
    compiled = found.compiled
    assert compiled is not None
    return revocation_list.read(compiled)


def trusted(*names: str) -> anchors.TrustAnchors:
    return anchors.build([("iaca", iaca(name).der) for name in names or (OURS,)])[0]


def crl(revoked: list[int | Revoked], shape: CrlShape | None = None, by: Credential | None = None) -> RevocationList:
    data = crls.make_crl(by or iaca(), revoked, shape or CrlShape(issued=ISSUED))
    return taken(open_crl(data, anchors.build([("iaca", (by or iaca()).der)])[0], AT))


def statuses(values: list[int], bits: int = 4, name: str = OURS, **more: object) -> RevocationList:
    shape = replace(TokenShape(issued=ISSUED), **more)  # type: ignore[arg-type]
    data = status_lists.make_status_list(list_signer(name), octets_of(values, bits), bits, shape=shape)
    return taken(open_status_list(data, trusted(name), ISSUED))


def identifiers(*names: bytes) -> RevocationList:
    data = status_lists.make_identifier_list(list_signer(), names, shape=TokenShape(issued=ISSUED))
    return taken(open_identifier_list(data, trusted(), AT))


def at_place(index: int, certificate: bytes | None = None) -> Status:
    return Status(StatusListInfo(index, URI, certificate))


class TestOfASigner:
    def serial(self) -> int:
        return document_signer().certificate.serial_number

    def ask(self, *lists: RevocationList, at: datetime = AT, of: Credential | None = None) -> Answer:
        return Revocations(lists).of_signer((of or document_signer()).der, anchor(), at, MDL)

    def test_every_status(self) -> None:
        assert self.ask(crl([self.serial() + 1])) == Answer(VALID, None, issued=ISSUED)
        assert self.ask(crl([self.serial()])) == Answer(revocation.Status.REVOKED, Code.SIGNER_REVOKED, issued=ISSUED)
        held = crl([Revoked(self.serial(), x509.ReasonFlags.certificate_hold)])
        assert self.ask(held) == Answer(revocation.Status.SUSPENDED, Code.SIGNER_SUSPENDED, issued=ISSUED)
        assert self.ask() == Answer(NO_LIST, Code.SIGNER_CRL_MISSING)

    def test_past_its_next_update(self) -> None:
        late = ISSUED + timedelta(days=30, seconds=1)
        assert self.ask(crl([]), at=ISSUED + timedelta(days=30)).status is VALID
        assert self.ask(crl([]), at=late) == Answer(OLD, Code.SIGNER_CRL_STALE, old=True, issued=ISSUED)
        assert self.ask(crl([self.serial()]), at=late).status is revocation.Status.REVOKED

    def test_another_authority_says_nothing(self) -> None:
        other = certificates.make_iaca()  # the same name, another key
        assert self.ask(crl([self.serial()], by=other)).code is Code.SIGNER_CRL_MISSING
        renewed = certificates.make_iaca(not_after=AT + timedelta(days=99), key=iaca().key)
        assert self.ask(crl([self.serial()], by=renewed)).code is Code.SIGNER_REVOKED  # the same name and key
        renamed = certificates.make_iaca(common_name="Other", key=iaca().key)
        assert self.ask(crl([self.serial()], by=renamed)).code is Code.SIGNER_CRL_MISSING

    def test_without_an_anchor_nobody_tells(self) -> None:
        view = Revocations([crl([self.serial()])])
        assert view.of_signer(document_signer().der, None, AT).code is Code.SIGNER_CRL_MISSING

    def test_that_names_no_list(self) -> None:
        plain = certificates.make_document_signer(iaca(), changes=Changes(leave_out=[x509.CRLDistributionPoints]))
        assert self.ask(of=plain) == Answer(revocation.Status.NONE, Code.SIGNER_NO_LIST)
        assert self.ask(crl([plain.certificate.serial_number]), of=plain).code is Code.SIGNER_REVOKED
        assert self.ask(crl([]), of=plain).status is VALID

    def test_a_part_counts_for_those_who_name_it(self) -> None:
        def part(place: str, revoked: list[int | Revoked]) -> RevocationList:
            names = [x509.UniformResourceIdentifier(place)]
            made = x509.IssuingDistributionPoint(names, None, False, False, None, False, False)
            return crl(revoked, CrlShape(issued=ISSUED, extensions=[(made, True)]))

        ours, other = "https://lab.invalid/iaca.crl", "https://lab.invalid/other.crl"
        assert self.ask(part(ours, [self.serial()])).code is Code.SIGNER_REVOKED
        assert self.ask(part(ours, [])).status is VALID
        assert self.ask(part(other, [])).code is Code.SIGNER_CRL_MISSING
        assert self.ask(part(other, []), part(ours, [self.serial()])).code is Code.SIGNER_REVOKED

    def test_a_list_divided_by_reasons_tells_too_little(self) -> None:
        place = [x509.UniformResourceIdentifier("https://lab.invalid/iaca.crl")]
        reasons = frozenset({x509.ReasonFlags.key_compromise})
        points = x509.CRLDistributionPoints([x509.DistributionPoint(place, None, reasons, None)])
        divided = certificates.make_document_signer(iaca(), changes=Changes(put=[(points, False)]))
        assert self.ask(crl([]), of=divided).code is Code.SIGNER_CRL_MISSING
        assert self.ask(crl([divided.certificate.serial_number]), of=divided).code is Code.SIGNER_REVOKED


class TestOfADocument:
    def ask(self, status: Status, *lists: RevocationList, at: datetime = AT, by: Credential | None = None) -> Answer:
        return Revocations(lists).of_document(status, anchor(by), at, PID)

    @pytest.mark.parametrize(
        ("value", "status", "code"),
        [
            (0, VALID, None),
            (1, revocation.Status.REVOKED, Code.STATUS_REVOKED),
            (2, revocation.Status.SUSPENDED, Code.STATUS_SUSPENDED),
            (3, revocation.Status.APPLICATION, Code.STATUS_APPLICATION),
            (4, NO_LIST, Code.STATUS_RESERVED),
            (0x0B, NO_LIST, Code.STATUS_RESERVED),
            (0x0C, revocation.Status.APPLICATION, Code.STATUS_APPLICATION),
            (0x0F, revocation.Status.APPLICATION, Code.STATUS_APPLICATION),
            (0x10, NO_LIST, Code.STATUS_RESERVED),
            (0xFF, NO_LIST, Code.STATUS_RESERVED),
        ],
    )
    def test_every_value(self, value: int, status: revocation.Status, code: Code | None) -> None:
        found = self.ask(at_place(1), statuses([1, value, 1], bits=8))
        assert found == Answer(status, code, issued=ISSUED, value=value)

    def test_a_place_the_list_does_not_have(self) -> None:
        held = statuses([0] * 8, bits=1)
        assert self.ask(at_place(8), held) == Answer(revocation.Status.REFUSED, Code.STATUS_INDEX, issued=ISSUED)
        late = self.ask(at_place(8), held, at=ISSUED + timedelta(days=8))
        assert late.code is Code.STATUS_STALE  # a newer list may have it

    def test_past_its_end(self) -> None:
        end = ISSUED + timedelta(days=7)
        held = statuses([0, 1, 2])
        assert self.ask(at_place(0), held, at=end).status is VALID
        late = [self.ask(at_place(place), held, at=end + timedelta(seconds=1)) for place in range(3)]
        assert [each.code for each in late] == [Code.STATUS_STALE, Code.STATUS_REVOKED, Code.STATUS_SUSPENDED]
        assert all(each.old for each in late)

    def test_past_its_signers_end(self) -> None:
        soon = status_lists.make_list_signer(
            iaca(), not_before=AT - timedelta(days=9), not_after=AT + timedelta(days=1)
        )
        data = status_lists.make_status_list(soon, b"\0", shape=TokenShape(issued=ISSUED))
        held = taken(open_status_list(data, trusted(), AT))
        assert self.ask(at_place(0), held, at=AT + timedelta(days=1, seconds=1)).code is Code.STATUS_STALE

    def test_a_list_that_is_not_held(self) -> None:
        assert self.ask(at_place(0)) == Answer(NO_LIST, Code.STATUS_UNKNOWN)
        other = Status(StatusListInfo(0, URI + "0"))
        assert self.ask(other, statuses([1])) == Answer(NO_LIST, Code.STATUS_UNKNOWN)
        assert self.ask(Status(None, IdentifierListInfo(b"x", URI)), statuses([1])).code is Code.STATUS_UNKNOWN

    def test_whose_list_counts(self) -> None:
        theirs = statuses([1], name="Other")
        assert self.ask(at_place(0), theirs).code is Code.STATUS_OTHER_ISSUER
        assert self.ask(at_place(0), theirs, by=iaca("Other")).code is Code.STATUS_REVOKED
        assert Revocations([theirs]).of_document(at_place(0), None, AT).code is Code.STATUS_OTHER_ISSUER
        assert self.ask(at_place(0), theirs, statuses([0])).status is VALID

    def test_whom_a_document_names_counts(self) -> None:
        theirs = statuses([1], name="Other")
        for named in (iaca("Other"), list_signer("Other")):
            assert self.ask(at_place(0, named.der), theirs).code is Code.STATUS_REVOKED
        assert self.ask(at_place(0, iaca("Third").der), theirs).code is Code.STATUS_OTHER_ISSUER
        # Then the document's own authority does not.
        assert self.ask(at_place(0, iaca("Other").der), statuses([1])).code is Code.STATUS_OTHER_ISSUER
        assert self.ask(at_place(0, b"\x30\0"), statuses([1])).code is Code.STATUS_MALFORMED

    def test_a_service_that_only_documents_name_speaks_for_nobody_else(self) -> None:
        data = status_lists.make_status_list(list_signer("Service"), b"\x01", shape=TokenShape(issued=ISSUED))
        service = taken(open_status_list(data, trusted(), AT, named=[iaca("Service").der]))
        assert self.ask(at_place(0), service).code is Code.STATUS_OTHER_ISSUER
        assert self.ask(at_place(0, iaca("Service").der), service).code is Code.STATUS_REVOKED

    def test_the_newest_of_several_counts(self) -> None:
        older = statuses([1], issued=ISSUED - timedelta(days=1))
        for held in ((older, statuses([0])), (statuses([0]), older)):
            assert self.ask(at_place(0), *held).status is VALID

    def test_identifier_lists(self) -> None:
        held = identifiers(b"me")
        me, you = (Status(None, IdentifierListInfo(name, URI)) for name in (b"me", b"you"))
        assert self.ask(me, held) == Answer(revocation.Status.REVOKED, Code.STATUS_REVOKED, issued=ISSUED)
        assert self.ask(you, held) == Answer(VALID, None, issued=ISSUED)
        late = AT + timedelta(days=8)
        assert self.ask(me, held, at=late).code is Code.STATUS_REVOKED
        assert self.ask(you, held, at=late).code is Code.STATUS_STALE

    def test_two_ways_at_once(self) -> None:
        both = Status(StatusListInfo(0, URI), IdentifierListInfo(b"me", URI))
        assert self.ask(both, statuses([0]), identifiers(b"me")).code is Code.STATUS_REVOKED
        assert self.ask(both, statuses([1]), identifiers()).code is Code.STATUS_REVOKED
        assert self.ask(both, statuses([2]), identifiers()).code is Code.STATUS_SUSPENDED
        assert self.ask(both, identifiers()).status is VALID
        assert self.ask(both, statuses([0])).status is VALID
        assert self.ask(both).status is NO_LIST

    def test_nothing_named(self) -> None:
        assert self.ask(Status()) == Answer(revocation.Status.NONE, Code.STATUS_NONE)
        assert self.ask(Status(others=True)) == Answer(NO_LIST, Code.STATUS_UNSUPPORTED)


def test_how_old_is_too_old_depends_on_the_document_type() -> None:
    lists = [statuses([0, 1]), crl([])]
    ages = {MDL: timedelta(hours=2), ANY_DOCTYPE: timedelta(minutes=59)}
    view, free = Revocations(lists, ages), Revocations(lists, {MDL: timedelta(minutes=1)})

    def found(held: Revocations, doctype: str, at: datetime = AT) -> list[revocation.Status]:
        return [
            held.of_document(at_place(0), anchor(), at, doctype).status,
            held.of_signer(document_signer().der, anchor(), at, doctype).status,
        ]

    assert found(view, MDL) == [VALID, VALID]
    assert found(view, MDL, AT + timedelta(hours=1)) == [VALID, VALID]
    assert found(view, MDL, AT + timedelta(hours=1, seconds=1)) == [OLD, OLD]
    assert found(view, PID) == [OLD, OLD]
    assert found(free, PID) == [VALID, VALID]
    assert view.of_document(at_place(1), anchor(), AT, PID).code is Code.STATUS_REVOKED
    assert found(view, MDL, AT - timedelta(days=9)) == [VALID, VALID]  # a clock that is behind makes nothing old


def test_many_signers_and_authorities_are_not_all_remembered() -> None:
    view = Revocations([crl([])])
    for number in range(1100):
        view._issued[number.to_bytes(4, "big")] = view._issuing(document_signer().der)
    assert view.of_signer(certificates.make_document_signer(iaca()).der, anchor(), AT).status is VALID
    assert len(view._issued) < 10


# Tables


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7, 1000, 4099])
def test_a_table_of_any_size(count: int, tmp_path: Path) -> None:
    chance = random.Random(count)
    entries = {chance.randbytes(chance.randint(1, 40)): chance.choice([REVOKED, SUSPENDED]) for _ in range(count)}
    table = Table()
    for name, status in entries.items():
        table.add(name, status)
    bare = crl([])
    made = revocation_list.with_table(bare, table)
    assert made.count == len(entries)
    file = tmp_path / "list"
    file.write_bytes(made.compile())
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for held in (made, revocation_list.read(file.read_bytes()), revocation_list.read(mapped)):
            assert {name: held.entry(name) for name in entries} == entries
            assert not any(held.entry(chance.randbytes(41)) for _ in range(100))
        del held


def test_what_lies_across_two_records_is_no_entry() -> None:
    digest = hashlib.blake2b(b"me", digest_size=12).digest()
    head = struct.pack("<BIII", 0, 2, 0, 2)
    plain = crl([])
    for records, expected in ((b"\0" + digest + b"\1" * 13, 0), (bytes(13) + digest + b"\2", SUSPENDED)):
        made = replace(plain, count=2, _data=head + records, _at=0)
        assert revocation_list.read(made.compile()).entry(b"me") == expected


def test_the_same_entries_give_the_same_bytes() -> None:
    names = [bytes((number,)) * 5 for number in range(200)]
    packed = set()
    for seed in range(3):
        random.Random(seed).shuffle(names)
        table = Table()
        for name in names:
            table.add(name)
        packed.add(table.pack())
    assert len(packed) == 1


def test_a_table_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation_list, "MAX_ENTRIES", 2)
    table = Table()
    table.add(b"a")
    table.add(b"b")
    with pytest.raises(revocation_list.Malformed):
        table.add(b"c")


def test_the_largest_table_fits_the_store() -> None:
    from mdoc_reader.trust import generation

    bits = (revocation_list.MAX_ENTRIES // 4).bit_length()
    size = revocation_list.MAX_ENTRIES * 13 + 4 * ((1 << bits) + 1) + 5
    assert size + 65536 < generation.MAX_FILE


def test_kinds_that_are_no_lists_of_revocation_are_not_read() -> None:
    compiled = replace(crl([]), kind=ListKind.VICAL).compile()
    with pytest.raises(revocation_list.Malformed):
        revocation_list.read(compiled)
