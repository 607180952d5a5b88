"""Lists of documents by keyed hash: made, read, refused."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from mdoc_reader.policy import allow_list
from mdoc_reader.policy.allow_list import ListError, header, key_id, load, make_entry, parse

KEY, OTHER = bytes(range(32)), bytes(32)
HASH = "ab" * 32


def read(*lines: str) -> allow_list.AllowList:
    return parse("\n".join((header(KEY), *lines)).encode(), KEY)


def test_the_hash_is_as_documented() -> None:
    expected = hmac.new(KEY, b"mdoc-reader list entry\nDE\n\nB072RRE2I55", hashlib.sha256).hexdigest()
    assert make_entry(KEY, "de", " b072rre2i55 ") == expected
    within = hmac.new(KEY, b"mdoc-reader list entry\nUS\nUS-CA\nD1", hashlib.sha256).hexdigest()
    assert make_entry(KEY, "US", "D1", jurisdiction="us-ca", badge=9) == f"{within} jurisdiction badge=9"


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "staff.list"
    path.write_text(f"# staff\n\n{header(KEY)} # made here\n{make_entry(KEY, 'UT', '1')} # one\n")
    found = load(path, KEY)
    assert found.find("UT", None, "1") is not None
    assert found.find("UT", None, "2") is None
    path.write_text("nonsense\n")
    with pytest.raises(ListError, match=r"staff.list:1: a list begins with"):
        load(path, KEY)


def test_nothing_of_a_list_is_shown() -> None:
    found = read(make_entry(KEY, "UT", "1", badge=4711))
    assert "4711" not in repr(found)
    assert KEY.hex() not in repr(found)
    assert repr(KEY) not in repr(found)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "1: a list begins with"),
        ([HASH], "1: a list begins with"),
        (["mdoc-reader-list 2 x"], "1: a list of version '2'; this program reads version 1"),
        ([header(OTHER)], "1: the list was made with another key"),
        ([header(KEY), HASH, "", HASH], "4: this document is on the list already"),
        ([header(KEY), HASH[:-1]], "2: an entry begins with a hash of 64"),
        ([header(KEY), "z" * 64], "2: an entry begins with a hash of 64"),
        ([header(KEY), f"{HASH} badge=x"], "2: a badge is a number"),
        ([header(KEY), f"{HASH} badge={1 << 64}"], "2: a badge is a number of at most 64 bits"),
        ([header(KEY), f"{HASH} badge=1 badge=2"], "each once at most"),
        ([header(KEY), f"{HASH} name=x"], "each once at most"),
        ([header(KEY), f"{HASH} {'x' * 200}"], "2: a line has at most 200 characters"),
        ([header(KEY), "ü"], "2: a list is ASCII text"),
    ],
)
def test_what_is_wrong_and_where(lines: list[str], says: str) -> None:
    with pytest.raises(ListError) as caught:
        parse("\n".join(lines).encode(), KEY)
    assert says in str(caught.value)
    assert HASH[:16] not in str(caught.value)


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allow_list, "MAX_ENTRIES", 2)
    read("00" * 32, "01" * 32)
    with pytest.raises(ListError, match="4: a list has at most 2 entries"):
        read("00" * 32, "01" * 32, "02" * 32)
    monkeypatch.setattr(allow_list, "MAX_BYTES", 99)
    with pytest.raises(ListError, match="at most 99 bytes"):
        read(HASH)
    for key in (b"short", bytes(65)):
        with pytest.raises(ListError, match="16 to 64 bytes"):
            parse(b"", key)


@pytest.mark.parametrize(
    ("country", "number", "badge"),
    [
        ("", "1", None),
        ("Germany", "1", None),
        ("D3", "1", None),
        ("DE", " ", None),
        ("DE", "1", -1),
        ("DE", "x" * 257, None),
    ],
)
def test_no_entry_for_what_no_document_has(country: str, number: str, badge: int | None) -> None:
    with pytest.raises(ValueError, match=r"issuing country|document number|badge"):
        make_entry(KEY, country, number, badge=badge)


def test_keys_are_told_apart() -> None:
    assert key_id(KEY) != key_id(OTHER)
    assert len(key_id(KEY)) == 16
