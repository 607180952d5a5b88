"""Frames straight into the field meet the same cards, faults and times as those of the chip."""

from __future__ import annotations

import pytest
from nfc_bench import Echo

from mdoc_reader.lab.nfc_blocks import frame_waiting_time
from mdoc_reader.lab.nfc_card import Fault, FaultKind, Picc, Way, random_faults
from mdoc_reader.lab.nfc_direct import DirectFrames
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.nfc.ports import FrameBroken, FrameLost, Frames


@pytest.mark.parametrize("length", [4, 7, 10])
def test_selected_exchanged_and_selected_again(length: int) -> None:
    picc = Picc(Echo(), uid=bytes(range(length)), ta=0x33)
    direct = DirectFrames(RfField(picc))
    frames: Frames = direct
    assert frames.exchange(b"\xe0\x80", 0.01) == picc.ats
    assert frames.exchange(b"\xd0\x11\x0a", 0.1) == b"\xd0"
    direct.set_rate(424)
    assert frames.exchange(b"\x02x", 0.1) == b"\x02x\x90\x00"
    assert frames.exchange(b"\xc2", 0.1) == b"\xc2"
    assert direct.select(wake=True) == picc.uid
    assert picc.complaints == []


def test_faults_and_times() -> None:
    faults = (Fault(1, FaultKind.CORRUPT), Fault(2, FaultKind.DROP), Fault(3, FaultKind.DELAY, delay_s=1.0))
    picc = Picc(Echo(), faults=faults, sfgi=4, fwi=6)
    frames = DirectFrames(RfField(picc))
    frames.exchange(b"\xe0\x80", 0.01)
    frames.wait(frame_waiting_time(4))
    with pytest.raises(FrameBroken):
        frames.exchange(b"\x02x", 0.1)
    for _ in range(2):
        began = frames.clock
        with pytest.raises(FrameLost):
            frames.exchange(b"\xb2", 0.1)
        assert frames.clock - began > 0.1
    with pytest.raises(FrameLost):
        frames.exchange(b"\xb2", 0.1)  # it has not said the last one yet
    frames.wait(1.0)
    assert frames.exchange(b"\xb2", 0.1) == b"\x02x\x90\x00"
    assert picc.complaints == []


def test_nobody_there() -> None:
    with pytest.raises(FrameLost):
        DirectFrames(RfField())


def test_random_faults_are_the_same_again() -> None:
    some = random_faults(7, 1000, 0.2)
    assert some == random_faults(7, 1000, 0.2)
    assert 120 < len(some) < 280
    assert {fault.kind for fault in some} == set(FaultKind)
    assert {fault.way for fault in some} == set(Way)
