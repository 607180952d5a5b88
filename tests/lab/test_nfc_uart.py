"""The frames of the chip's serial line: found whatever surrounds them, and ignored when they are damaged."""

from __future__ import annotations

import pytest

from mdoc_reader.lab.nfc_uart import ACK, NACK, HostFrame, HostFrames, Said, response

COMMAND = bytes.fromhex("0000ff02fed4022a00")
LONG = b"\xd4\x42" + bytes(260)
EXTENDED = b"\x00\x00\xff\xff\xff\x01\x06\xf9" + LONG + bytes((-sum(LONG) & 0xFF, 0))


@pytest.mark.parametrize("before", [b"", bytes(10), b"\x55\x55\x00\x00", b"\xff" * 5, b"noise", b"\x00\xff\x10\x11"])
@pytest.mark.parametrize("step", [1, 3, 400])
def test_frames_are_found(before: bytes, step: int) -> None:
    line = before + COMMAND + ACK + EXTENDED + NACK + COMMAND
    frames = HostFrames()
    found = [one for place in range(0, len(line), step) for one in frames.feed(line[place : place + step])]
    assert found == [
        HostFrame(Said.COMMAND, b"\x02"),
        HostFrame(Said.ACK),
        HostFrame(Said.COMMAND, LONG[1:]),
        HostFrame(Said.NACK),
        HostFrame(Said.COMMAND, b"\x02"),
    ]


@pytest.mark.parametrize("place", range(3, 8))
def test_damaged_frames_are_ignored(place: int) -> None:
    damaged = bytearray(COMMAND)
    damaged[place] ^= 0x40
    frames = HostFrames()
    found = frames.feed(bytes(damaged) + bytes(300) + COMMAND)
    assert found[-1] == HostFrame(Said.COMMAND, b"\x02")
    assert found[:-1] in ([], [HostFrame(Said.WRONG)])


def test_right_checksums_do_not_make_a_command() -> None:
    assert HostFrames().feed(bytes.fromhex("0000ff02fed5022900")) == [HostFrame(Said.WRONG)]


def test_what_never_ends_is_forgotten() -> None:
    frames = HostFrames()
    assert frames.feed(b"\x00\xff\xff\xff\x01\x06\xf9" + bytes(100)) == []
    frames.reset()
    assert frames.feed(COMMAND) == [HostFrame(Said.COMMAND, b"\x02")]
    assert frames.feed(b"\x01" * 100_000) == []


def test_responses() -> None:
    assert response(bytes.fromhex("0332010607")) == bytes.fromhex("0000ff06fad50332010607e800")
    assert response(b"\x15", bare=True) == bytes.fromhex("00ff02fed51516")
    long = response(bytes(256))
    assert long[:8] == bytes.fromhex("0000ffffff0101fe")
    assert sum(long[8:-1]) & 0xFF == 0
