"""Frames of an OSDP line, found among everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdoc_reader.drivers.osdp_frames import LONGEST, Framer, repeats, reply_code


def crc(data: bytes) -> bytes:
    """CRC-16 of the standard's annex, bit by bit."""
    value = 0x1D0F
    for octet in data:
        value ^= octet << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value.to_bytes(2, "little")


def frame(body: bytes, *, address: int = 5, sequence: int = 1, checksum: bool = False) -> bytes:
    """Return a command."""
    length = len(body) + (6 if checksum else 7)
    head = bytes([0x53, address]) + length.to_bytes(2, "little") + bytes([sequence | (0 if checksum else 4)]) + body
    return head + (bytes([-sum(head) & 0xFF]) if checksum else crc(head))


bodies = st.binary(min_size=1, max_size=60)
# What cannot be the beginning of a frame whose end is waited for.
noise = st.binary(max_size=40).map(lambda octets: octets.replace(b"\x53", b"\xff"))


@given(st.lists(st.tuples(noise, bodies, st.booleans())), st.integers(1, 50))
def test_found_among_noise_in_pieces(parts: list[tuple[bytes, bytes, bool]], size: int) -> None:
    wanted = [frame(body, checksum=plain) for _, body, plain in parts]
    stream = b"".join(before + frame(body, checksum=plain) for before, body, plain in parts)
    framer = Framer(5)
    found = [each for at in range(0, len(stream), size) for each in framer.feed(stream[at : at + size], 0.0)]
    assert found == wanted


@given(st.lists(st.binary(max_size=600), max_size=20))
def test_any_octets(pieces: list[bytes]) -> None:
    framer = Framer(5)
    for piece in pieces:
        for found in framer.feed(piece, 0.0):
            assert found[1] in {5, 0x7F}
        assert len(framer._held) < LONGEST + 600


def test_only_for_this_one() -> None:
    framer = Framer(5)
    assert framer.feed(frame(b"\x60", address=6) + frame(b"\x60", address=0x85), 0.0) == []
    both = frame(b"\x60") + frame(b"\x60", address=0x7F)
    assert len(framer.feed(both, 0.0)) == 2


@pytest.mark.parametrize("length", [0, 6, 257, 0xFFFF])
def test_lengths_that_cannot_be(length: int) -> None:
    framer = Framer(5)
    lie = b"\x53\x05" + length.to_bytes(2, "little") + b"\x04"
    assert framer.feed(lie + frame(b"\x60"), 0.0) == [frame(b"\x60")]


def test_a_wrong_checksum() -> None:
    good = frame(b"\x60\x01\x02")
    for place in range(len(good)):
        wrong = bytearray(good)
        wrong[place] ^= 1
        assert good not in Framer(5).feed(bytes(wrong), 0.0)


def test_half_a_frame_is_forgotten() -> None:
    framer = Framer(5)
    assert framer.feed(frame(b"\x60" * 50)[:20], 0.0) == []
    assert framer.feed(frame(b"\x61"), 0.2) == [frame(b"\x61")]


def test_said_once_more() -> None:
    assert repeats(frame(b"\x60"), frame(b"\x60"))
    assert not repeats(frame(b"\x60", sequence=2), frame(b"\x60"))
    assert not repeats(frame(b"\x60", sequence=0), frame(b"\x60", sequence=0))  # a panel that begins anew


@pytest.mark.parametrize(
    ("reply", "code"),
    [(b"", 0), (b"\xff\x53\x85\x08\x00\x05\x40", 0x40), (b"\x53\x85\x0e\x00\x0d\x02\x16\x50", 0x50), (b"\x53\x85", 0)],
)
def test_reply_codes(reply: bytes, code: int) -> None:
    assert reply_code(reply) == code
