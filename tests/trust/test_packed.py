"""Anchors as a generation keeps them: what is packed comes back without being read, from older generations as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mdoc_reader.lab import wrong_certificates as wrong
from mdoc_reader.lab.wrong_certificates import good, sign
from mdoc_reader.mdoc import cbor
from mdoc_reader.trust import anchors, generation, importer, packed, store
from mdoc_reader.trust.anchors import TrustAnchors
from mdoc_reader.trust.generation import StoreCode, StoreError
from mdoc_reader.trust.held import Contents, Held
from mdoc_reader.trust.importer import Orders
from mdoc_reader.trust.lists import Entry, ListKind, Origin
from mdoc_reader.trust.profile_rules import Kind

NOW = datetime.now(UTC).replace(microsecond=0)
MDL, PID = frozenset({"org.iso.18013.5.1.mDL"}), frozenset({"eu.europa.ec.eudi.pid.1"})


def root(number: int) -> bytes:
    return sign(wrong.named(common_name=f"Root {number}")(good(Kind.IACA)), None)


ROOTS = [root(number) for number in range(6)]
ENTRIES: Mapping[str, Sequence[Entry]] = {
    "one": [Entry(ROOTS[0], MDL), Entry(ROOTS[1], MDL | PID), Entry(b"no certificate"), Entry(ROOTS[2], None, True)],
    "two": [Entry(ROOTS[0], PID), Entry(ROOTS[3], service=True)],
    "none": [],
    "of no list": [Entry(ROOTS[4])],
}


def contents(*identities: str) -> Contents:
    made = Contents()
    for identity in identities:
        made = made.with_list(Held(Origin(ListKind.VICAL, f"List {identity}", identity), None, "", NOW, "raw"))
    return made


def told(found: TrustAnchors) -> list[tuple[object, ...]]:
    return [(each.der, each.subject, each.key_identifier, each.source, each.grants) for each in found.anchors]


HELD = contents("one", "two", "none")


def test_what_was_packed_comes_back_as_if_it_had_been_read() -> None:
    data = packed.pack(ENTRIES)
    found = packed.anchors_of(HELD, data)
    assert told(found) == told(packed.collected(HELD, ENTRIES))
    assert [each.der for each in found.anchors] == ROOTS[:3], "neither what is none, nor a service, nor a list not held"
    assert [grant.doctypes for grant in found.anchors[0].grants] == [MDL, PID]
    assert found.anchors[2].direct
    assert found.candidates(found.anchors[1].key_identifier, b"") == (found.anchors[1],)
    assert found.named(found.anchors[1].subject) == (found.anchors[1],)
    assert {name: list(listed) for name, listed in ENTRIES.items()} == packed.entries_of(data)


def test_nothing_of_what_is_loaded_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed.pack(ENTRIES)

    def read(_: bytes) -> None:
        raise AssertionError("a certificate was read")

    monkeypatch.setattr(anchors, "_looked_at", read)
    assert len(anchors.joined([packed.anchors_of(HELD, data), anchors.NONE])[0]) == 3


def test_damage_has_its_code_wherever_it_is() -> None:
    whole = packed.pack({"one": ENTRIES["one"], "two": ENTRIES["two"]})
    ends = len(whole) - sum(map(len, (ROOTS[0], ROOTS[1], b"no certificate", ROOTS[2], ROOTS[0], ROOTS[3])))
    bent = [whole[:length] for length in (*range(ends + 1), len(whole) - 1)]
    bent += [
        whole[:place] + bytes((whole[place] ^ bit,)) + whole[place + 1 :] for place in range(ends) for bit in (1, 128)
    ]
    codes = []
    for data in (*bent, whole + b"\0", b"", cbor.encode([["one", []]])):
        for act in (lambda data: packed.anchors_of(HELD, data), packed.entries_of):
            try:
                act(data)
            except StoreError as error:
                codes.append(error.code)
    assert set(codes) == {StoreCode.DAMAGED}
    assert len(codes) > len(bent), "most of it shows"


def test_what_does_not_add_up_is_refused_by_whoever_reads_it() -> None:
    whole = packed.pack({"one": [Entry(ROOTS[0])]})
    row = whole.index(len(ROOTS[0]).to_bytes(4, "little"))
    far = (len(ROOTS[0]) + 1).to_bytes(4, "little")
    past_its_end = [whole[: row + at] + far + whole[row + at + 4 :] for at in (8, 16)]  # name, key identifier
    for data in (whole + b"\0", whole[:-1], *past_its_end):
        with pytest.raises(StoreError):
            packed.anchors_of(HELD, data)
    for data in (whole + b"\0", whole[:-1]):
        with pytest.raises(StoreError):
            packed.entries_of(data)


def test_counts_that_nothing_has_are_refused_before_anything_is_made() -> None:
    for count in (-1, 1 << 40, "1", None):
        head = cbor.encode([["one", [None], count]])
        with pytest.raises(StoreError):
            packed.anchors_of(HELD, b"mdoc-anc\x02" + len(head).to_bytes(4, "big") + head)


def first_format(folder: Path, listed: Mapping[str, Sequence[Entry]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a store as it was before there were rows."""
    rows = [
        [
            name,
            [[each.der, None if each.doctypes is None else sorted(each.doctypes), each.direct, ""] for each in found],
        ]
        for name, found in listed.items()
    ]
    files = {packed.FIRST_NAME: cbor.encode(rows), "raw": b"the list as it came"}
    with monkeypatch.context() as before, generation.locked(folder):
        before.setattr(generation, "FORMAT", 1)
        generation.write(folder, 7, contents(*listed).facts(), files, lambda _: None)


def test_a_store_of_the_first_format_opens_and_is_rewritten_by_the_next_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {"one": ENTRIES["one"]}
    first_format(tmp_path, listed, monkeypatch)
    before = store.load(tmp_path)
    assert (generation.current(tmp_path).format, before.number) == (1, 7)
    assert told(before.anchors) == told(packed.collected(contents("one"), listed))
    (report,) = importer.import_files(tmp_path, [("more.der", ROOTS[5])], Orders(NOW + timedelta(days=1)))
    assert report.accepted
    after = generation.current(tmp_path)
    assert (after.format, after.number) == (2, 8)
    assert packed.FIRST_NAME not in after.files
    assert [each.der for each in store.load(tmp_path).anchors.anchors] == [*ROOTS[:3], ROOTS[5]]


def test_a_damaged_store_of_the_first_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, data in enumerate(
        (b"", b"\x80\x80", cbor.encode([["one"]]), cbor.encode([["one", [[b"x", None, 1, ""]]]]))
    ):
        folder = tmp_path / str(number)
        with monkeypatch.context() as before, generation.locked(folder):
            before.setattr(generation, "FORMAT", 1)
            generation.write(folder, 1, contents("one").facts(), {packed.FIRST_NAME: data}, lambda _: None)
        with pytest.raises(StoreError) as error:
            store.load(folder)
        assert error.value.code is StoreCode.DAMAGED
