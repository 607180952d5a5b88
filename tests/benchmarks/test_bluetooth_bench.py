"""The Bluetooth benchmark shows what was recorded: figures, counts, reasons. Nothing is timed, no guest is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import air_trace
import bluetooth_page
import bluetooth_reasons
from air_floor import floor_trace
from air_model import Conditions, Kind, Pdu, Phase, Side, Trace, Way, simulate
from air_trace import ATT, SIGNALLING, Recorded
from bluetooth_figures import COUNTED, MEASURED, MIDDLE, Air, Calls, Measured, Run, load, save
from bluetooth_listen import BEFORE, END, EXCHANGE, START, listened, said, without_bluetoothd
from mdoc_reader.lab.ear import Heard
from mdoc_reader.lab.ear import Kind as Packet

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def run(who: str, *, connect: float, exchange: float, way: Way = Way.PHONE_SERVER, **times: float) -> Run:
    assert who in {"ours", "bare"}
    return Run(
        way=way,
        who="ours" if who == "ours" else "bare",
        size=MIDDLE,
        request=250,
        response=30_200,
        connect_ms=connect,
        exchange_ms=exchange,
        end_ms=times.pop("end_ms", 9.0),
        **times,
    )


RUNS = [
    run("ours", connect=110, exchange=54, phone_ms=4, prepare_ms=5, verify_ms=15),
    run("bare", connect=90, exchange=40, phone_ms=0),
    run("ours", connect=200, exchange=60, phone_ms=10, prepare_ms=5, verify_ms=15),
    run("bare", connect=180, exchange=20),
    run("ours", connect=130, exchange=60, phone_ms=10, prepare_ms=5, verify_ms=15),
    run("bare", connect=80, exchange=20),
]
CALLS = [
    Calls(Way.PHONE_SERVER, "ours", "link", "Connect", 1),
    Calls(Way.PHONE_SERVER, "bare", "link", "Connect", 1),
    Calls(Way.READER_SERVER, "ours", "response", "<WriteValue", 60),
    Calls(Way.READER_SERVER, "ours", "end", "Teleport", 2),
]
MEASURED_ONE = Measured(
    dist="trixie",
    bluez="5.82",
    kernel="6.12",
    machine="a machine",
    runs=RUNS,
    calls=CALLS,
    air=[Air(512, Way.PHONE_SERVER, MIDDLE, "2M", 512, 500.0, 650.0, 510.0, 200.0)],
)


def rows(page: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]


def test_ratios_are_taken_within_their_round() -> None:
    both = bluetooth_page.pairs(RUNS, Way.PHONE_SERVER, MIDDLE)
    transport = bluetooth_page.ratio(both, lambda each: each.transport_ms)
    assert transport.median == pytest.approx(250 / 200)  # of 160/130, 250/200 and 180/100
    verdicts = bluetooth_page.ratio(both, lambda each: each.verdict_ms)
    assert verdicts.median == pytest.approx(180 / 130)


def test_the_page_tells_ratios_calls_and_reasons() -> None:
    traces = [floor_trace(way, 250, 30_200) for way in Way]
    page, picture = bluetooth_page.report([MEASURED_ONE], traces)
    told = rows(page)
    assert "phone is server 1.25 (1.38). Aim: transport alone reached; everything included missed by *phone is" in page
    assert ["phone is server", "30 KB", "3", "130 (115 to 165)", "180 (170 to 215)"] in [row[:5] for row in told]
    assert [BEFORE, "Connect", "1 / 1", "", "", ""] in [row[:6] for row in told]
    assert [f"{EXCHANGE}, response", "to us: WriteValue", "", "60 / 0", "", ""] in [row[:6] for row in told]
    # What nobody gave a reason for stands out.
    assert next(row for row in told if row[1] == "Teleport")[-1] == bluetooth_reasons.UNKNOWN
    assert ["5.82", "phone is server", "512", "2M", "200", "500", "650", "1.30", "510", "1.02"] in told
    labels = [text.text or "" for text in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own
    assert "phone is server, ours" in labels
    assert "180 (1.25 / 1.38)" not in labels  # the bar is as long as everything
    assert any(label.endswith("(1.25 / 1.38)") for label in labels)


def test_figures_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    save([MEASURED_ONE, MEASURED_ONE], path)
    assert load(path) == [MEASURED_ONE, MEASURED_ONE]
    path.write_text(path.read_text().replace('"ours"', '"theirs"', 1))
    with pytest.raises(ValueError, match=r"measured\.json"):
        load(path)


# What an ear heard.


def heard(sender: str, cid: int, payload: str) -> Heard:
    data = bytes.fromhex(payload)
    return Heard(0.0, sender, "x", Packet.DATA, len(data) + 4, cid, data[0], payload=data)


MDOC = "e6733397764c6b89ce4823a1"
DECLARED = f"09150f00141000{MDOC}010000001200041300{MDOC}02000000"
SESSION = [
    Heard(0.0, "reader", "phone", Packet.CONNECT),
    heard("reader", ATT, "02f201"),
    heard("phone", ATT, "030502"),
    heard("reader", ATT, "080100ffff3a2b"),
    heard("phone", ATT, "010801000a"),
    heard("reader", ATT, "100100ffff0028"),
    heard("phone", ATT, "1106010005000018"),
    heard("reader", ATT, "080e0016000328"),
    heard("phone", ATT, DECLARED),
    heard("reader", ATT, "1211000100"),
    heard("phone", ATT, "13"),
    heard("reader", ATT, "52100001"),
    heard("reader", ATT, "52130000aabb"),
    heard("phone", ATT, "1b1400" + "00" + "cc" * 20),
    heard("reader", ATT, "52100002"),
]


def test_pdus_are_named_and_put_into_phases() -> None:
    trace = listened(Way.PHONE_SERVER, SESSION, 2, 20).trace
    told = [(word.phase, str(word.sender), word.name, word.times) for word in said(trace)]
    assert (BEFORE, "reader", "Read By Type Request 2B3A", 1) in told
    assert (START, "reader", "Write Request, CCCD of State", 1) in told
    assert (START, "reader", "Write Command, State", 1) in told
    assert (END, "reader", "Write Command, State", 1) in told
    assert [word[0] for word in told if "Notification" in word[2]] == [EXCHANGE]
    assert trace.mtu == 498
    assert all(bluetooth_reasons.of_air(word[2])[1] != "?" for word in told if not word[2].endswith("Response"))


def test_what_bluetoothd_adds_can_be_left_out() -> None:
    trace = listened(Way.PHONE_SERVER, SESSION, 2, 20).trace
    names = [pdu.name for pdu in without_bluetoothd(trace).pdus if pdu.kind is Kind.REQUEST]
    assert names == [
        "Exchange MTU Request",
        "Read By Group Type Request 2800",
        "Read By Type Request 2803",
        "Write Request, CCCD of State",
    ]
    assert without_bluetoothd(trace).sightings == 2


def test_discovery_beside_a_channel_delays_nothing_but_by_its_packets() -> None:
    opening = [
        Recorded(Side.READER, SIGNALLING, bytes.fromhex("14010a00c1004000000800f70300")),
        Recorded(Side.PHONE, SIGNALLING, bytes.fromhex("15010a00400000080004ff000000")),
    ]
    explored = [
        Recorded(side, ATT, bytes.fromhex(payload))
        for _ in range(20)
        for side, payload in ((Side.READER, "080100ffff3a2b"), (Side.PHONE, "010801000a"))
    ]
    frames = [Recorded(Side.READER, 0x40, bytes(50)), Recorded(Side.PHONE, 0x40, bytes(200))]

    def made(*, beside: bool, packets: list[Recorded]) -> Trace:
        return air_trace.from_recorded(Way.PHONE_CHANNEL, packets, 44, 194, att_beside=beside)

    alone = simulate(made(beside=True, packets=[*opening, *frames]), Conditions())
    together = simulate(made(beside=True, packets=[*opening, *explored, *frames]), Conditions())
    in_line = simulate(made(beside=False, packets=[*opening, *explored, *frames]), Conditions())
    assert alone.total_us <= together.total_us < alone.total_us + 30_000
    assert in_line.total_us > alone.total_us + 20 * 50_000
    assert made(beside=True, packets=[*opening, *explored, *frames]).mtu == 0


def test_a_trace_keeps_what_is_beside(tmp_path: Path) -> None:
    path = tmp_path / "counted.json"
    beside = Pdu(Phase.SETUP, Side.READER, Kind.REQUEST, 7, "Read By Type Request", beside=True)
    floor = floor_trace(Way.PHONE_CHANNEL, 600, 1024)
    trace = Trace(Way.PHONE_CHANNEL, (beside, *floor.pdus), 600, 1024)
    path.write_text(air_trace.dump([trace]))
    assert air_trace.load(path) == [trace]


def test_the_figures_kept_give_the_pages() -> None:
    """The committed figures render, and every call and PDU in them has its reason."""
    for measured in load(MEASURED):
        for call in measured.calls:
            assert bluetooth_reasons.of_bus(call.phase, call.member) != bluetooth_reasons.UNKNOWN, call
    for trace in air_trace.load(COUNTED):
        for word in said(trace):
            why = bluetooth_reasons.of_air(word.name, by_phone=word.by_phone)[1]
            assert word.name.endswith("Response") or why != bluetooth_reasons.UNKNOWN, word
    command = [sys.executable, str(BENCHMARKS / "bluetooth.py"), "--render"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert {row[0] for row in rows(done.stdout)} >= {"phone is server", "reader is server", START, EXCHANGE, END}
