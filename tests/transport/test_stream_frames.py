"""Messages on a stream: any cut of the stream gives the same messages, and nothing hostile holds memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdoc_reader.transport.ble_channel import psm_of, psm_value
from mdoc_reader.transport.frames import Deframer, frame
from mdoc_reader.transport.ports import LinkCode, LinkError

CAP = 2000


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    st.integers(1, 400),
    st.lists(st.integers(1, 90), min_size=1),
)
def test_messages_survive_any_cut(messages: list[bytes], piece: int, cuts: list[int]) -> None:
    pieces = [part for message in messages for part in frame(message, piece)]
    assert all(0 < len(part) <= piece for part in pieces)
    stream = b"".join(pieces)
    deframer = Deframer(CAP)
    got: list[bytes] = []
    at = turn = 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        got += deframer.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert got == messages
    assert deframer.pending == 0


@given(st.lists(st.binary(max_size=600), max_size=30))
def test_a_hostile_stream_raises_link_errors_alone_and_holds_little(pieces: list[bytes]) -> None:
    deframer = Deframer(CAP)
    code: LinkCode | None = None
    for data in pieces:
        try:
            assert all(0 < len(message) <= CAP for message in deframer.feed(data))
        except LinkError as error:
            code = error.code
            break
        assert deframer.pending <= CAP
    assert code in {None, LinkCode.BAD_CHUNK, LinkCode.TOO_LARGE}
    assert code is None or deframer.pending == 0


def test_messages_before_a_bad_one_are_delivered() -> None:
    got: list[bytes] = []
    with pytest.raises(LinkError) as caught:
        got.extend(Deframer(CAP).feed(b"\0\0\0\2ok\0\0\0\0"))  # extend keeps what came before the error
    assert caught.value.code is LinkCode.BAD_CHUNK
    assert got == [b"ok"]


def test_the_cap_is_exact_and_known_from_the_length_alone() -> None:
    assert list(Deframer(3).feed(b"\0\0\0\3abc")) == [b"abc"]
    with pytest.raises(LinkError) as caught:
        list(Deframer(3).feed(b"\0\0\0\4"))
    assert caught.value.code is LinkCode.TOO_LARGE


def test_an_empty_message_is_not_sent() -> None:
    with pytest.raises(ValueError, match="empty"):
        list(frame(b"", 100))


def test_the_psm_is_four_bytes_big_endian_and_in_the_range_of_le() -> None:
    assert psm_value(0x81) == b"\0\0\0\x81"
    assert psm_of(b"\0\0\0\x81") == psm_of(b"\0\x81") == 0x81
    for value in (b"", b"\0\0\0\0", b"\x81\0\0\0", b"\0\0\1\0", b"\0\0\0\0\x81"):
        assert psm_of(value) is None
