"""Chunking: what is split comes back whole, and nothing hostile goes past its bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdoc_reader.transport.chunks import LONGEST_ATTRIBUTE, Reassembler, chunk_size, chunk_within, split
from mdoc_reader.transport.ports import LinkCode, LinkError

CAP = 5000


@pytest.mark.parametrize(
    ("mtu", "size"),
    [(None, 20), (0, 20), (22, 20), (23, 20), (185, 182), (514, 511), (515, 512), (517, 512), (9999, 512)],
)
def test_chunk_size_follows_the_mtu_up_to_the_longest_attribute(mtu: int | None, size: int) -> None:
    assert chunk_size(mtu) == size


@pytest.mark.parametrize(("room", "size"), [(18, 18), (20, 20), (507, 507), (512, 512), (514, 512)])
def test_a_chunk_fills_the_room_up_to_the_longest_attribute(room: int, size: int) -> None:
    assert chunk_within(room) == size


@given(st.binary(min_size=1, max_size=3000), st.integers(2, LONGEST_ATTRIBUTE))
def test_what_is_split_comes_back(message: bytes, size: int) -> None:
    parts = Reassembler(CAP)
    chunks = list(split(message, size))
    assert all(2 <= len(chunk) <= size for chunk in chunks)
    assert [chunk[0] for chunk in chunks] == [1] * (len(chunks) - 1) + [0]
    assert len(chunks) == -(-len(message) // (size - 1))
    assert [parts.feed(chunk) for chunk in chunks] == [()] * (len(chunks) - 1) + [(message,)]
    assert parts.pending == 0


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=30).filter(any))
def test_chunks_of_any_length_are_accepted(parts: list[bytes]) -> None:
    reassembler = Reassembler(30 * 200)
    for part in parts[:-1]:
        assert reassembler.feed(b"\x01" + part) == ()
    assert reassembler.feed(b"\x00" + parts[-1]) == (b"".join(parts),)


@given(st.lists(st.binary(max_size=600), max_size=60))
def test_hostile_chunks_raise_link_errors_alone_and_hold_little(chunks: list[bytes]) -> None:
    reassembler = Reassembler(CAP, 20)
    codes: tuple[LinkCode, ...] = ()
    for chunk in chunks:
        try:
            messages = reassembler.feed(chunk)
        except LinkError as error:
            codes = (error.code,)
            break
        assert all(0 < len(message) <= CAP for message in messages)
        assert reassembler.pending <= CAP
    assert set(codes) <= {LinkCode.BAD_CHUNK, LinkCode.TOO_LARGE}
    assert not codes or reassembler.pending == 0


@pytest.mark.parametrize("chunk", [b"", b"\x02abc", b"\xff", b"\x00"])
def test_a_bad_chunk_is_named(chunk: bytes) -> None:
    with pytest.raises(LinkError) as caught:
        Reassembler(CAP).feed(chunk)
    assert caught.value.code is LinkCode.BAD_CHUNK


def test_the_cap_is_exact() -> None:
    assert Reassembler(3).feed(b"\x00abc") == (b"abc",)
    with pytest.raises(LinkError) as caught:
        Reassembler(3).feed(b"\x00abcd")
    assert caught.value.code is LinkCode.TOO_LARGE


def test_chunks_without_payload_are_counted() -> None:
    reassembler = Reassembler(CAP, 30)
    for _ in range(30):
        assert reassembler.feed(b"\x01") == ()
    with pytest.raises(LinkError) as caught:
        reassembler.feed(b"\x01")
    assert caught.value.code is LinkCode.TOO_LARGE


def test_an_empty_message_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="empty"):
        list(split(b"", 20))
    with pytest.raises(ValueError, match="room"):
        list(split(b"a", 1))
