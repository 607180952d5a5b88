"""Anchors as they are loaded: every form of file, what is skipped, and how little of each is read and kept."""

from __future__ import annotations

import base64
import tracemalloc
from pathlib import Path

import pytest
from cryptography import x509

from mdoc_reader.lab import wrong_certificates as wrong
from mdoc_reader.lab import wrong_der
from mdoc_reader.lab.certificates import AUTHORITY_CURVES
from mdoc_reader.lab.wrong_certificates import good, having, keyed, on, sign
from mdoc_reader.trust import anchors
from mdoc_reader.trust.anchors import Grant, Offer, TrustCode
from mdoc_reader.trust.codes import AS_WRITTEN
from mdoc_reader.trust.lists import ListKind, Origin
from mdoc_reader.trust.profile_rules import Kind


def root(number: int) -> bytes:
    return sign(wrong.named(common_name=f"Root {number}")(good(Kind.IACA)), None)


def pem(data: bytes) -> bytes:
    text = base64.encodebytes(data)
    return b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"


def test_every_form_of_file_and_what_is_skipped(tmp_path: Path) -> None:
    ders = [root(number) for number in range(6)]
    (tmp_path / "one.der").write_bytes(ders[0])
    (tmp_path / "two.PEM").write_bytes(pem(ders[1]))
    (tmp_path / "bundle.pem").write_bytes(b"# three of them\n" + b"".join(map(pem, ders[2:5])) + b"tail")
    (tmp_path / "hex.crt").write_bytes(ders[5].hex().encode())
    (tmp_path / "again.cer").write_bytes(ders[0])
    (tmp_path / "notes.txt").write_bytes(b"nothing")
    (tmp_path / ".pem").write_bytes(b"nothing")
    (tmp_path / "empty.pem").write_bytes(b"")
    (tmp_path / "garbage.der").write_bytes(b"\x30\x82")
    (tmp_path / "cut.pem").write_bytes(pem(ders[1])[:200])
    (tmp_path / "large.pem").write_bytes(bytes(anchors.MAX_FILE_BYTES + 1))
    (tmp_path / "rsa.der").write_bytes(wrong.specimen(Kind.IACA, keyed(wrong_der.key_of_rsa, wrong_der.RSA_BITS)).der)
    found, skipped = anchors.load([tmp_path, tmp_path / "one.der"])
    assert {anchor.der for anchor in found.anchors} == set(ders)
    assert {(each.source, each.code) for each in skipped} == {
        ("empty.pem", TrustCode.NOT_A_CERTIFICATE),
        ("garbage.der", TrustCode.NOT_A_CERTIFICATE),
        ("cut.pem", TrustCode.NOT_A_CERTIFICATE),
        ("large.pem", TrustCode.TOO_LARGE),
        ("rsa.der", TrustCode.UNSUPPORTED_KEY),
    }
    with pytest.raises(OSError, match="nowhere"):
        anchors.load([tmp_path / "nowhere"])


@pytest.mark.parametrize("curve", AUTHORITY_CURVES)
def test_roots_on_every_curve_are_taken(curve: str) -> None:
    made = wrong.specimen(Kind.IACA, on(curve)).der
    found, skipped = anchors.build([("root", made)])
    assert not skipped
    (anchor,) = found.anchors
    assert anchor.findings() == ()
    assert anchor.facts.curve is not None
    assert anchor.facts.curve.name == curve


def test_the_missing_brainpool_curve_has_its_code() -> None:
    change = keyed(wrong_der.key_on_brainpool_320, wrong_der.BRAINPOOL_320_BITS)
    _, skipped = anchors.build([("root", wrong.specimen(Kind.IACA, change).der)])
    assert [each.code for each in skipped] == [TrustCode.UNSUPPORTED_KEY]


def test_an_anchor_with_an_unreadable_part_is_kept_apart() -> None:
    odd = having(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.32"), b"\x30\x01"))
    made = wrong.specimen(Kind.IACA, odd).der
    found, skipped = anchors.build([("root", made)])
    assert not skipped
    (anchor,) = found.anchors
    assert not anchor.usable
    assert [str(each.code) for each in anchor.findings()] == ["anchor_unreadable"]
    assert anchor.errors(AS_WRITTEN)


def test_loading_reads_little_and_reports_keep_nothing() -> None:
    ders = [root(number) for number in range(300)]
    before, _ = anchors.build([("warm", ders[0])])
    assert len(before) == 1
    tracemalloc.start()
    try:
        found, _ = anchors.build((f"{number}", data) for number, data in enumerate(ders))
        loaded = tracemalloc.get_traced_memory()[0]
        for anchor in found.anchors:
            assert anchor.findings() == ()
        reported = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert loaded / 300 < 1000, "beside its bytes"
    assert reported / 300 < 1100
    anchor = found.anchors[7]
    assert found.candidates(anchor.key_identifier, b"") == (anchor,)
    assert found.candidates(None, anchor.subject) == (anchor,)
    assert found.exact(ders[7]) is anchor
    assert anchor.subject_text.startswith("CN=Root 7")
    assert repr(anchor) == "Anchor('7')"


def test_folders_and_a_store_together_are_one_set(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = anchors.build([("a", root(0)), ("b", root(1))])
    listed = Grant(Origin(ListKind.VICAL, "list", "list"), frozenset({"type"}))
    held, _ = anchors.collect([Offer(folder.anchors[1].der, listed, "list"), Offer(root(2), listed, "list")])
    monkeypatch.setattr(anchors, "_looked_at", None)  # nothing is read again
    both, skipped = anchors.joined([folder, held])
    assert skipped == ()
    assert [anchor.source for anchor in both.anchors] == ["a", "b", "list"]
    assert both.anchors[1].grants == (anchors.CERTIFICATES, listed)
    assert folder.anchors[1].grants == (anchors.CERTIFICATES,), "what was put together stays as it was"
    for anchor in both.anchors:
        assert both.candidates(anchor.key_identifier, b"") == both.named(anchor.subject) == (anchor,)


def test_there_is_an_end_to_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, "MAX_ANCHORS", 3)
    found, skipped = anchors.build((str(number), root(number)) for number in range(6))
    assert len(found) == 3
    assert [each.code for each in skipped] == [TrustCode.TOO_MANY]


def test_there_is_an_end_to_how_often_one_is_named() -> None:
    data = root(0)
    origin = Origin(ListKind.VICAL, "a", "a")
    offers = [Offer(data, Grant(origin, frozenset({f"type.{number}"}))) for number in range(3 * anchors.MAX_GRANTS)]
    found, skipped = anchors.collect([*offers, *offers])
    assert len(found) == 1
    assert len(found.anchors[0].grants) == anchors.MAX_GRANTS
    assert {each.code for each in skipped} == {TrustCode.TOO_MANY_GRANTS}
