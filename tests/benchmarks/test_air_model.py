"""The radio model against figures worked out by hand, published ones, and its own rules."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

import air_trace
import bluetooth_air
from air_floor import FloorOptions, best_mtu, chunks, floor_trace, k_frames
from air_model import Conditions, Kind, Outcome, Pdu, Phase, Phy, Side, Trace, Way, find_us, simulate
from air_trace import ATT, SIGNALLING, Recorded, from_recorded

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SIZES = (1024, 30 * 1024, 500 * 1024)
PLAIN = Conditions(phy=Phy.ONE, data_length=27)  # nothing to negotiate: what is on the air is the trace alone


def word(
    sender: Side, kind: Kind, octets: int, *, phase: Phase = Phase.SETUP, grants: int = 0, by_phone: bool = False
) -> Pdu:
    return Pdu(phase, sender, kind, octets, grants=grants, by_phone=by_phone)


def trace(*pdus: Pdu, way: Way = Way.PHONE_SERVER) -> Trace:
    return Trace(way, pdus, 0, 0)


def since_first_event(told: Trace, conditions: Conditions) -> list[int]:
    """Return the arrivals counted from the anchor of the first connection event."""
    first = find_us(told, conditions) + 1250
    return [at - first for at in simulate(told, conditions).arrivals]


@pytest.mark.parametrize(
    ("octets", "phy", "encrypted", "expected"),
    [
        (0, Phy.ONE, False, 80),
        (27, Phy.ONE, False, 296),
        (27, Phy.ONE, True, 328),
        (251, Phy.ONE, False, 2088),
        (251, Phy.ONE, True, 2120),
        (0, Phy.TWO, False, 44),
        (0, Phy.TWO, True, 44),
        (251, Phy.TWO, False, 1048),
        (251, Phy.TWO, True, 1064),
    ],
)
def test_packet_times(octets: int, phy: Phy, encrypted: bool, expected: int) -> None:
    assert Conditions(phy=phy, encrypted=encrypted).packet_us(octets) == expected


def test_finding_takes_half_an_interval_and_one_for_each_further_sighting() -> None:
    told = trace(word(Side.READER, Kind.STREAM, 4))
    assert find_us(told, PLAIN) == 52_500 + 105_000 + 296 + 150 + 352
    assert find_us(replace(told, sightings=1), PLAIN) == 52_500 + 296 + 150 + 352


def test_a_round_trip_takes_an_answer_in_the_next_event() -> None:
    told = trace(word(Side.READER, Kind.REQUEST, 3), word(Side.PHONE, Kind.RESPONSE, 3))
    # The host is told of the connection at CONNECT_IND and is ready 1 ms later, before the first event.
    # Request of 7 octets: 136 us. In the next event an empty packet, T_IFS, then the response.
    assert since_first_event(told, PLAIN) == [136, 30_000 + 80 + 150 + 136]


def test_round_trips_take_two_intervals_each() -> None:
    pair = (word(Side.READER, Kind.REQUEST, 3), word(Side.PHONE, Kind.RESPONSE, 3))
    requests = since_first_event(trace(*pair * 5), PLAIN)[::2]
    assert {later - earlier for earlier, later in pairwise(requests)} == {60_000}


def test_a_host_without_delay_answers_in_the_same_event() -> None:
    told = trace(word(Side.READER, Kind.REQUEST, 3), word(Side.PHONE, Kind.RESPONSE, 3))
    assert since_first_event(told, replace(PLAIN, host_us=0)) == [136, 136 + 150 + 136]


def test_a_slow_host_answers_events_later() -> None:
    told = trace(word(Side.READER, Kind.REQUEST, 3), word(Side.PHONE, Kind.RESPONSE, 3))
    slow = since_first_event(told, replace(PLAIN, host_us=61_000))
    assert [at // 30_000 for at in slow] == [2, 5]


def test_a_long_word_is_cut_to_the_data_length() -> None:
    told = trace(word(Side.READER, Kind.STREAM, 27 + 27 + 1 - 4))
    assert since_first_event(told, PLAIN) == [2 * (296 + 150 + 80 + 150) + 88]
    assert simulate(told, PLAIN).packets == 3


def test_an_event_holds_as_many_pairs_as_fit_or_as_the_radio_allows() -> None:
    told = trace(*[word(Side.READER, Kind.STREAM, 23)] * 100)
    # A pair takes 676 us from packet to packet. The last pair ends T_IFS before the next anchor: 44 x 676 = 29744.
    by_event = [at // 30_000 for at in since_first_event(told, PLAIN)]
    assert [by_event.count(event) for event in range(3)] == [44, 44, 12]
    by_event = [at // 30_000 for at in since_first_event(told, replace(PLAIN, pairs=6))]
    assert set(map(by_event.count, range(16))) == {6}
    # 13 pairs would end at 8638 us, less than T_IFS before the next event at 8750 us.
    by_event = [at // 8750 for at in since_first_event(told, replace(PLAIN, interval_us=8750))]
    assert by_event.count(1) == 12


def test_a_side_that_had_no_more_closes_the_event() -> None:
    """A value that becomes ready in a running event without more data waits for the next event."""
    told = trace(
        word(Side.PHONE, Kind.STREAM, 20), word(Side.READER, Kind.STREAM, 20), word(Side.READER, Kind.STREAM, 20)
    )
    assert [at // 30_000 for at in since_first_event(told, PLAIN)] == [0, 1, 1]


def test_a_frame_waits_for_its_credit() -> None:
    opening = (
        word(Side.READER, Kind.REQUEST, 14, grants=2),
        word(Side.PHONE, Kind.RESPONSE, 14, grants=9),
    )
    frames = [word(Side.PHONE, Kind.FRAME, 20) for _ in range(2)]
    credit = word(Side.READER, Kind.CREDIT, 8, grants=2)
    told = trace(*opening, *frames, credit, *frames)
    events = [at // 30_000 for at in since_first_event(told, PLAIN)]
    # Request, response; the frames follow the response at once; the credit an event later, its frames one later again.
    assert events == [0, 1, 1, 1, 2, 3, 3]
    unhindered = trace(replace(opening[0], grants=4), opening[1], *frames, credit, *frames)
    assert [at // 30_000 for at in since_first_event(unhindered, PLAIN)] == [0, 1, 1, 1, 2, 1, 1]


def test_impossible_traces_are_refused() -> None:
    with pytest.raises(ValueError, match="without a request"):
        simulate(trace(word(Side.PHONE, Kind.RESPONSE, 5)), PLAIN)
    short = trace(word(Side.READER, Kind.REQUEST, 14, grants=1), *[word(Side.PHONE, Kind.FRAME, 9)] * 2)
    with pytest.raises(ValueError, match="without a credit"):
        simulate(short, PLAIN)
    with pytest.raises(ValueError, match="no PDU"):
        word(Side.READER, Kind.STREAM, 0)
    with pytest.raises(ValueError, match="connection interval"):
        Conditions(interval_us=7000)
    with pytest.raises(ValueError, match="connection interval"):
        Conditions(interval_us=30_001)
    with pytest.raises(ValueError, match="data length"):
        Conditions(data_length=252)
    with pytest.raises(ValueError, match="at least one pair"):
        Conditions(pairs=0)
    with pytest.raises(ValueError, match="turnaround"):
        Conditions(host_us=-1)


def test_link_layer_comes_first_and_the_phy_changes_at_its_instant() -> None:
    told = trace(*[word(Side.PHONE, Kind.STREAM, 247) for _ in range(400)])
    quick = Conditions(interval_us=7500, controller_us=7000)
    arrivals = since_first_event(told, quick)
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    # A word takes ten packets of 27 on 1M, which is one event; then one packet, at last one of half the time.
    # After the LENGTH_RSP of one event PHY_REQ, PHY_RSP and PHY_UPDATE_IND take one each, and its instant is six later.
    length, phy = (arrivals[gaps.index(gap)] // 7500 for gap in (2468, 1392))
    assert length >= 3
    assert sum(at < length * 7500 for at in arrivals) <= length
    assert phy - length == 9
    assert gaps.count(2468) + gaps.count(1392) > 300


def test_gated_reader_begins_after_the_feature_exchange() -> None:
    told = trace(word(Side.READER, Kind.REQUEST, 3), word(Side.PHONE, Kind.RESPONSE, 3))
    assert [at // 30_000 for at in since_first_event(replace(told, gated=True), PLAIN)] == [2, 3]


@pytest.mark.parametrize(
    ("mtu", "conditions", "kbit"),
    [
        # 20 octets of value in a packet of 27, 676 us a pair: the 236.7 kbit/s known from Bluetooth 4.0.
        (23, Conditions(interval_us=4_000_000, phy=Phy.ONE, data_length=27), 236.7),
        # 244 octets in 251, pairs of 2468 and 1392 us.
        (247, Conditions(interval_us=4_000_000, phy=Phy.ONE), 790.9),
        (247, Conditions(interval_us=240_000, phy=Phy.TWO), 1402.3),
        # Six packets of 20 octets each 7.5 ms.
        (23, Conditions(interval_us=7500, phy=Phy.ONE, data_length=27, pairs=6), 128.0),
    ],
)
def test_published_throughputs(mtu: int, conditions: Conditions, kbit: float) -> None:
    """The model gives the ATT payload rates that others publish; ours carry one octet of flag less."""
    rate = bluetooth_air.throughput(mtu, conditions) * (mtu - 3) / (mtu - 4)
    assert rate == pytest.approx(kbit, rel=0.003)


@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("phy", list(Phy))
def test_the_floor_is_once_the_floor(way: Way, phy: Phy) -> None:
    counted = floor_trace(way, 600, 30 * 1024)
    for pairs in (None, 6):
        row = bluetooth_air.compare(Conditions(phy=phy, pairs=pairs), counted)
        assert row.ratio == 1.0


@pytest.mark.parametrize("way", list(Way))
def test_larger_and_slower_never_takes_less(way: Way) -> None:
    def total(size: int, conditions: Conditions) -> int:
        return simulate(
            floor_trace(way, 600, size, FloorOptions(data_length=conditions.data_length)), conditions
        ).total_us

    for phy in Phy:
        times = [total(size, Conditions(phy=phy)) for size in (100, *SIZES)]
        assert times == sorted(times)
    large = SIZES[-1]
    assert total(large, Conditions(phy=Phy.TWO)) < total(large, Conditions(phy=Phy.ONE))
    assert total(large, Conditions()) < total(large, Conditions(pairs=6)) < total(large, Conditions(pairs=4))
    assert total(large, Conditions()) < total(large, Conditions(data_length=27))
    assert total(1024, Conditions(interval_us=15_000)) < total(1024, Conditions(interval_us=45_000))


def test_the_floor_of_a_large_document_is_bare_throughput() -> None:
    outcome = simulate(floor_trace(Way.PHONE_SERVER, 600, SIZES[-1]), Conditions(phy=Phy.ONE))
    chunk_us = 2 * 2468 / 494  # two packets of 251 carry 494 octets of the message
    # 12 of the pairs fit in 30 ms: 29616 us, and nothing smaller fits behind them.
    assert outcome.phases[Phase.RESPONSE] == pytest.approx(SIZES[-1] * chunk_us * 30_000 / (12 * 2468), rel=0.01)


@pytest.mark.parametrize(
    ("mtu", "requests"),
    [(23, [23, 7, 7, 7, 5, 5, 5, 5]), (185, [3, 23, 7, 5, 5, 5, 5]), (517, [3, 23, 7, 5, 5, 5, 5])],
)
def test_what_the_floor_asks(mtu: int, requests: list[int]) -> None:
    floor = floor_trace(Way.PHONE_SERVER, 600, 1024, FloorOptions(mtu=mtu))
    assert [pdu.octets for pdu in floor.pdus if pdu.kind is Kind.REQUEST] == requests
    assert not any(pdu.by_phone for pdu in floor.pdus)
    as_server = floor_trace(Way.READER_SERVER, 600, 1024, FloorOptions(mtu=mtu))
    assert [pdu.octets for pdu in as_server.pdus if pdu.by_phone and pdu.sender is Side.PHONE] == requests


@pytest.mark.parametrize(
    ("mtu", "data_length", "best"),
    [(517, 251, 498), (497, 251, 497), (250, 251, 247), (247, 251, 247), (185, 251, 185), (517, 27, 509)],
)
def test_the_best_mtu_fills_its_packets(mtu: int, data_length: int, best: int) -> None:
    assert best_mtu(mtu, data_length) == best


def test_messages_are_cut_as_the_standard_cuts_them() -> None:
    assert chunks(1000, 517) == [3 + 512, 3 + 1 + 489]
    assert chunks(19, 23) == [23]
    assert chunks(0, 23) == [4]
    assert k_frames(100, 65533, 65533) == [106]
    assert k_frames(96, 50, 27) == [27, 25, 27, 25]
    assert k_frames(96, 50, 26) == [26, 26, 26, 26]


def test_what_the_phone_chose_stands_apart() -> None:
    floor = floor_trace(Way.READER_SERVER, 600, 1024)
    idle_talk = [
        word(Side.PHONE, Kind.REQUEST, 7, by_phone=True),
        word(Side.READER, Kind.RESPONSE, 5, by_phone=True),
    ]
    counted = replace(floor, pdus=(*idle_talk * 10, *floor.pdus))
    row = bluetooth_air.compare(Conditions(), counted)
    assert row.ratio == 1.0
    assert row.counted is not None
    assert row.counted.apart_ms - row.floor.apart_ms == pytest.approx(600, abs=1)
    ours = replace(floor, pdus=(*[replace(pdu, by_phone=False) for pdu in idle_talk], *floor.pdus))
    assert (bluetooth_air.compare(Conditions(), ours).ratio or 0) > 1.2


def test_the_phones_listening_is_not_ours_but_our_advertising_is() -> None:
    as_server = floor_trace(Way.READER_SERVER, 600, 1024)
    assert bluetooth_air.compare(Conditions(), replace(as_server, sightings=5)).ratio == 1.0
    assert (bluetooth_air.compare(Conditions(), replace(as_server, advertising_us=100_000)).ratio or 0) > 1.5
    as_client = floor_trace(Way.PHONE_SERVER, 600, 1024)
    assert bluetooth_air.compare(Conditions(), replace(as_client, advertising_us=500_000)).ratio == 1.0
    assert (bluetooth_air.compare(Conditions(), replace(as_client, sightings=3)).ratio or 0) > 1.1


# Recorded packets become a trace.


def att(sender: Side, payload: str) -> Recorded:
    return Recorded(sender, ATT, bytes.fromhex(payload))


def test_a_recorded_presentation_over_gatt() -> None:
    reader, phone = Side.READER, Side.PHONE
    notified = "1b0700" + "01" + "aa" * 100
    told = from_recorded(
        Way.PHONE_SERVER,
        [
            att(reader, "020502"),
            att(phone, "039b00"),
            att(phone, "080100ffff032a"),
            att(reader, "0108010002".replace("02", "0a")),
            att(reader, "1203000100"),
            att(phone, "13"),
            att(reader, "52020001"),
            att(reader, "52050000" + "bb" * 50),
            att(phone, notified),
            att(phone, notified),
            att(reader, "52020002"),
        ],
        50,
        200,
        sightings=3,
        gated=True,
    )
    assert told.mtu == 155
    assert told.phone_mtu == 155
    kinds = [(pdu.phase.value, pdu.kind.value, pdu.by_phone) for pdu in told.pdus]
    assert kinds == [
        ("setup", "request", False),
        ("setup", "response", False),
        ("setup", "request", True),
        ("setup", "response", True),
        ("setup", "request", False),
        ("setup", "response", False),
        ("setup", "stream", False),
        ("request", "stream", False),
        ("response", "stream", False),
        ("response", "stream", False),
        ("end", "stream", False),
        ("end", "terminate", False),
    ]
    row = bluetooth_air.compare(Conditions(), told)
    assert row.ratio is not None
    assert 0.5 < row.ratio < 1.5


def test_a_recorded_presentation_over_a_channel() -> None:
    def signal(sender: Side, payload: str) -> Recorded:
        return Recorded(sender, SIGNALLING, bytes.fromhex(payload))

    told = from_recorded(
        Way.PHONE_CHANNEL,
        [
            signal(Side.READER, "14010a00" + "8000" + "4000" + "0008" + "f700" + "0300"),
            signal(Side.PHONE, "15010a00" + "4100" + "0008" + "f700" + "0500" + "0000"),
            Recorded(Side.READER, 0x41, bytes(2 + 4 + 50)),
            Recorded(Side.PHONE, 0x40, bytes(247)),
            signal(Side.READER, "16020400" + "4000" + "0100"),
            Recorded(Side.PHONE, 0x40, bytes(247)),
            signal(Side.READER, "16030400" + "4000" + "0200"),
            Recorded(Side.READER, 0x41, bytes(2 + 4 + 9)),
        ],
        50,
        480,
    )
    assert [pdu.grants for pdu in told.pdus] == [3, 5, 0, 0, 1, 0, 2, 0, 0]
    phases = [pdu.phase for pdu in told.pdus]
    assert phases == [*[Phase.SETUP] * 2, Phase.REQUEST, *[Phase.RESPONSE] * 4, *[Phase.END] * 2]
    assert [pdu.kind for pdu in told.pdus][-4:] == [Kind.FRAME, Kind.CREDIT, Kind.FRAME, Kind.TERMINATE]
    assert bluetooth_air.compare(Conditions(), told).ratio is not None


def test_nothing_inside_a_packet_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing inside"):
        from_recorded(Way.PHONE_SERVER, [att(Side.READER, "")], 1, 1)


# The file, the page and the picture.


def test_a_file_keeps_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "counted.json"
    traces = [replace(floor_trace(way, 600, 30 * 1024), gated=True, sightings=3) for way in Way]
    path.write_text(air_trace.dump(traces))
    assert path.stat().st_size < 20_000
    assert air_trace.load(path) == traces


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"phase":"setup"', '"phase":"later"'),
        ('"octets":3', '"octets":0'),
        ('"octets":3', '"octets":3,"colour":"red"'),
        ('"octets":3', '"octets":3,"times":2000000'),
        ('"sightings": 2', '"sightings": 0'),
        ('"phone_mtu": 517', '"phone_mtu": 5'),
        ('"request_bytes": 600', '"request_bytes": -1'),
        ("[{", "{"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = air_trace.dump([floor_trace(Way.PHONE_SERVER, 600, 1024)])
    assert old in text
    path = tmp_path / "counted.json"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=r".+"):
        air_trace.load(path)


def test_page_and_picture_are_written(tmp_path: Path) -> None:
    traces = [replace(floor_trace(way, 600, size), gated=True, sightings=3) for way in Way for size in SIZES]
    bluetooth_air.write(tmp_path, traces)
    page = (tmp_path / "bluetooth_air.md").read_text()
    assert "phone is server" in page
    assert "not reached by" in page  # three sightings where two are enough cost a small document more than 1.3 times
    picture = ElementTree.fromstring((tmp_path / "bluetooth_air.svg").read_text())  # noqa: S314 - our own file
    labels = [text.text or "" for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert sum(label.endswith("counted") for label in labels) == len(Way) * len(SIZES) * len(Phy)
    heights = [float(box.get("width", 0)) for box in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert min(heights) >= 0


def test_the_command_prints_and_refuses(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(BENCHMARKS / "bluetooth_air.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    path = tmp_path / "counted.json"
    path.write_text(air_trace.dump([floor_trace(Way.READER_SERVER, 600, 1024)]))
    done = run(str(path))
    assert done.returncode == 0, done.stderr
    assert "reached (largest 1.00" in done.stdout
    path.write_text("{}")
    done = run(str(path))
    assert done.returncode == 2
    assert "counted.json" in done.stderr


def test_outcomes_add_up() -> None:
    outcome: Outcome = simulate(floor_trace(Way.PHONE_SERVER, 600, 30 * 1024), Conditions())
    assert outcome.total_us == outcome.arrivals[-1]
    assert list(outcome.phases) == list(Phase)
    assert outcome.radio_us < outcome.total_us
