"""Pseudonyms: the same for the same document, different for everything else, and silent about both."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC
from hypothesis import given
from hypothesis import strategies as st

from mdoc_reader.model.badge import Badge
from mdoc_reader.policy import site_key
from mdoc_reader.policy.identifier import DocumentName, Pseudonymiser, SiteKey, Use, key_for, visit_badge

KEY = SiteKey(bytes(range(32)))
MDL = "org.iso.18013.5.1.mDL"
NAME = DocumentName(MDL, "UT", "Utopia DMV", "12345678")

parts = st.text(max_size=20)
names = st.builds(DocumentName, parts, parts, parts, st.text(min_size=1, max_size=20))


def by_another_hand(key: bytes, *texts: bytes) -> bytes:
    """The same by another library: length, part, length, part."""
    mac = HMAC(key, hashes.SHA256())
    for text in texts:
        mac.update(len(text).to_bytes(4, "big"))
        mac.update(text)
    return mac.finalize()


def test_known_answer() -> None:
    key = by_another_hand(KEY.octets, b"mdoc-reader pseudonym 1", b"badge")
    digest = by_another_hand(key, MDL.encode(), b"UT", b"Utopia DMV", b"12345678")
    assert Pseudonymiser(KEY).digest(NAME) == digest
    assert Pseudonymiser(KEY).badge(NAME) == Badge(int.from_bytes(digest[:8], "big"))
    # Pinned: another value would make strangers of everybody whom a building knows.
    assert f"{Pseudonymiser(KEY).badge(NAME).number:016x}" == "e275970a8ef1d2c3"


@given(names, names)
def test_two_documents_have_two_pseudonyms(one: DocumentName, other: DocumentName) -> None:
    maker = Pseudonymiser(KEY)
    assert (maker.badge(one) == maker.badge(other)) == (one == other)


def test_parts_do_not_run_together() -> None:
    maker = Pseudonymiser(KEY)
    rows = [
        ("a", "bc", "", "d"),
        ("ab", "c", "", "d"),
        ("a", "b", "c", "d"),
        ("a", "bc", "d", "d"),
        ("a", "bcd", "", "d"),
    ]
    assert len({maker.digest(DocumentName(*row)) for row in rows}) == len(rows)


def test_sites_and_uses_tell_each_other_nothing() -> None:
    other = SiteKey(hashlib.sha256(b"another site").digest())
    digests = {Pseudonymiser(key, use).digest(NAME) for key in (KEY, other) for use in Use}
    assert len(digests) == 2 * len(Use)
    assert len({KEY.octets, *(key_for(KEY, use) for use in Use)}) == 1 + len(Use)


def test_a_visit_names_nobody() -> None:
    assert len({visit_badge().number for _ in range(100)}) == 100


def test_nothing_is_shown() -> None:
    shown = repr([KEY, NAME, Pseudonymiser(KEY), Pseudonymiser(KEY).badge(NAME)])
    for secret in (MDL, "UT", "Utopia", "12345678", KEY.octets.hex(), "\\x01"):
        assert secret not in shown


@pytest.mark.parametrize("octets", [b"", bytes(31), bytes(32), bytes(33), b"k" * 32])
def test_a_key_that_is_none(octets: bytes) -> None:
    with pytest.raises(ValueError, match="site key"):
        SiteKey(octets)


def test_a_document_that_has_no_name() -> None:
    with pytest.raises(ValueError, match="without a number"):
        DocumentName(MDL, "UT", "Utopia DMV", "")
    with pytest.raises(ValueError, match="1024"):
        DocumentName(MDL, "UT", "x" * 1025, "1")


def test_a_key_is_made_and_read(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    old = os.umask(0)
    try:
        made = site_key.make(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert site_key.load(path) == made
    with pytest.raises(FileExistsError):
        site_key.make(path)
    assert site_key.load(path) == made
    path.chmod(0o640)
    with pytest.raises(ValueError, match="chmod 600"):
        site_key.load(path)
    assert site_key.load(path, credential=True) == made


@pytest.mark.parametrize(
    "text", [b"", b"00" * 32, b"ab" * 31, b"ab cd" * 12, bytes(range(32)), b"01" * 40, b"x" * 100_000, b"zz" * 32]
)
def test_a_file_that_holds_no_key(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "site.key"
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(ValueError, match="no site key"):
        site_key.load(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ValueError, match="not a file"):
        site_key.load(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        site_key.load(tmp_path / "nothing")
