"""The PN532 driver on the emulated chip: what a look sees, cards taken away at every step, bit rates, long waits."""

from __future__ import annotations

import statistics
import threading
import time

import msgspec
import pytest
from pn532_bench import Echo, emulated, until

from mdoc_reader.drivers.pn532_chip import MOD_WIDTH, RX_MODE, TX_MODE
from mdoc_reader.drivers.pn532_device import ECP_IDENTITY, Options, open_nfc
from mdoc_reader.drivers.pn532_frames import Pn532Frames, timer_code
from mdoc_reader.lab.nfc_air import crc_a
from mdoc_reader.lab.nfc_blocks import LONGEST_FWT_S, Wtx
from mdoc_reader.lab.nfc_card import Fault, FaultKind, Picc
from mdoc_reader.lab.nfc_chip import Pn532Chip as EmulatedChip
from mdoc_reader.lab.nfc_field import RfField
from mdoc_reader.lab.nfc_foreign import FeliCa, Mifare, PiccB
from mdoc_reader.lab.nfc_host_faults import HostFault, Trouble
from mdoc_reader.nfc.ports import (
    Card,
    CardError,
    FieldCode,
    FieldKind,
    FrameLost,
    NfcDevice,
    NfcDeviceError,
    NfcTrouble,
)

COMMAND = bytes.fromhex("00a4040007d276000085010100")


def found(device: NfcDevice) -> Card:
    field = device.look()
    assert field.kind is FieldKind.CARD, field
    assert field.card is not None
    return field.card


def test_options() -> None:
    assert msgspec.convert({}, Options) == Options()
    assert msgspec.convert({"path": "/dev/serial0", "max_rate": 424, "baud": 460800}, Options).max_rate == 424
    for wrong in ({"pat": "auto"}, {"path": "serial0"}, {"baud": 9600}, {"max_rate": 848}, {"polls": 0}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Options)


def test_an_empty_field() -> None:
    with emulated(type_b=0, felica=0) as (chip, device):
        took = []
        for _ in range(15):
            began = time.monotonic()
            assert device.look().kind is FieldKind.EMPTY
            took.append(time.monotonic() - began)
            assert chip.field.on
            device.rest()
            assert not chip.field.on
        assert statistics.median(took) < 0.05  # 20 ms on an idle machine
        assert not device.occupied()


def test_a_phone() -> None:
    app = Echo()
    phone = Picc(app)
    with emulated(phone) as (chip, device):
        card = found(device)
        assert card.random_uid
        assert card.transmit(COMMAND) == COMMAND + b"\x90\x00"
        long = bytes(range(256)) * 4
        assert card.transmit(long) == long + b"\x90\x00"
        assert device.words == f"PN532 firmware 1.6 at {chip.port}, 115200 baud"
        card.leave()
        device.rest()
        assert device.occupied()
        device.rest()
        assert found(device).transmit(COMMAND) == COMMAND + b"\x90\x00"
        # Looked at once more without a rest: what was begun ends.
        assert found(device).transmit(COMMAND) == COMMAND + b"\x90\x00"
        device.rest()
        chip.field.take(phone)
        assert not device.occupied()
    assert phone.complaints == []
    assert app.deselected == 3


@pytest.mark.parametrize("uid", [bytes.fromhex("04112233"), bytes(range(7)), bytes(range(10))])
def test_identifiers_of_every_length(uid: bytes) -> None:
    with emulated(Picc(Echo(), uid=uid), timing=False) as (_, device):
        card = found(device)
        assert not card.random_uid
        assert uid.hex() not in f"{card.words} {device.look()}"


@pytest.mark.parametrize(
    ("sak", "words"),
    [(0x08, "MIFARE Classic"), (0x18, "MIFARE Classic"), (0x00, "Ultralight"), (0x13, "without the block protocol")],
)
def test_cards_without_the_block_protocol(sak: int, words: str) -> None:
    thing = Mifare(sak=sak)
    with emulated(thing, timing=False) as (chip, device):
        for _ in range(3):
            field = device.look()
            assert field.kind is FieldKind.FOREIGN
            assert words in field.words
            device.rest()
            assert device.occupied()
            device.rest()
        chip.field.take(thing)
        assert not device.occupied()
        assert device.look().kind is FieldKind.EMPTY


@pytest.mark.parametrize(("thing", "words"), [(FeliCa(), "FeliCa"), (PiccB(Echo()), "type B")])
def test_technologies_that_are_only_named(thing: FeliCa | PiccB, words: str) -> None:
    with emulated(thing, type_b=3, felica=4) as (chip, device):
        kinds = []
        while FieldKind.FOREIGN not in kinds:
            field = device.look()
            kinds.append(field.kind)
            device.rest()
            assert len(kinds) < 5
        assert words in field.words
        for _ in range(3):
            assert device.occupied()  # also where it is looked for seldom
            device.rest()
        chip.field.take(thing)
        assert not device.occupied()


@pytest.mark.parametrize("shy", [None, bytes.fromhex("6a0281030000")])
def test_a_phone_that_speaks_felica_too_is_a_phone(shy: bytes | None) -> None:
    """Also one that has to be told first what kind of reader this is."""
    with emulated(FeliCa(), Picc(Echo(), ecp=shy), polls=1, type_b=1, felica=1) as (_, device):
        for _ in range(3):
            found(device)
            device.rest()


def test_one_card_is_not_several() -> None:
    """Also where the chip asks more than once, and a card that was only selected would answer again."""
    for thing, kind in ((Mifare(), FieldKind.FOREIGN), (Picc(Echo()), FieldKind.CARD)):
        with emulated(thing, timing=False, tries=3) as (_, device):
            for _ in range(3):
                assert device.look().kind is kind
                device.rest()


@pytest.mark.parametrize(
    "pair",
    [
        (Picc(Echo()), Picc(Echo())),
        (Picc(Echo(), uid=b"\x08\x00\x00\x01"), Picc(Echo(), uid=b"\x08\x00\x00\x02")),
        (Picc(Echo(), uid=bytes(range(7))), Picc(Echo())),
        (Mifare(uid=bytes.fromhex("f1a2b3c4")), Picc(Echo(), uid=bytes.fromhex("08010203"))),
        (Mifare(uid=bytes.fromhex("01a2b3c4")), Picc(Echo(), uid=bytes.fromhex("08010203"))),
        (Mifare(), Mifare(uid=bytes.fromhex("01a2b3c4"))),
    ],
)
def test_two_cards(pair: tuple[Picc | Mifare, Picc | Mifare]) -> None:
    with emulated(*pair, timing=False) as (chip, device):
        assert device.look().kind is FieldKind.SEVERAL
        device.rest()
        assert device.occupied()
        device.rest()
        chip.field.take(pair[0])
        assert device.look().kind is (FieldKind.CARD if isinstance(pair[1], Picc) else FieldKind.FOREIGN)


def test_what_the_look_for_a_second_card_costs() -> None:
    with emulated(Picc(Echo()), timing=True) as (_, device):
        took = []
        for _ in range(5):
            began = time.monotonic()
            found(device)
            took.append(time.monotonic() - began)
            device.rest()
        assert statistics.median(took) < 0.08  # 27 ms on an idle machine


def test_ecp_on_the_air() -> None:
    assert bytes.fromhex("6a0281030000") + crc_a(bytes.fromhex("6a0281030000")) == ECP_IDENTITY
    sleeper = Picc(Echo(), ecp=bytes.fromhex("6a0281030000"))
    with emulated(sleeper, timing=False) as (chip, device):
        found(device)
        assert [sent.data for sent in chip.field.broadcasts] == [ECP_IDENTITY]
        assert all(sent.right for sent in chip.field.broadcasts)
    with emulated(Picc(Echo(), ecp=bytes.fromhex("6a0281030000")), timing=False, ecp=False) as (chip, device):
        assert device.look().kind is FieldKind.EMPTY
        assert not chip.field.broadcasts
    with emulated(Picc(Echo(), ecp=bytes.fromhex("6a0281030000")), timing=False, polls=1) as (_, device):
        assert device.look().kind is FieldKind.EMPTY
        found(device)  # the next look
    # Right after a card at another bit rate, too.
    phone = Picc(Echo(), ta=0x33)
    with emulated(phone, timing=False, max_rate=424) as (chip, device):
        found(device).transmit(COMMAND)
        device.rest()
        chip.field.take(phone)
        assert device.look().kind is FieldKind.EMPTY
        assert [(sent.data, sent.right) for sent in chip.field.broadcasts] == [(ECP_IDENTITY, True)]


@pytest.mark.parametrize(("rate", "mode", "width"), [(106, 0x80, 0x26), (212, 0x90, 0x15), (424, 0xA0, 0x08)])
def test_bit_rates(rate: int, mode: int, width: int) -> None:
    app = Echo()
    phone = Picc(app, ta=0x33)
    with emulated(phone, max_rate=rate, timing=False) as (_, device):
        for _ in range(3):
            card = found(device)
            long = bytes(1000)
            assert card.transmit(long) == long + b"\x90\x00"
            assert str(rate) in card.words
            assert phone.rates == (rate // 106, rate // 106)
            assert [*device.chip._read_registers(TX_MODE, RX_MODE)] == [mode, mode]
            assert rate == 106 or device.chip._read_registers(MOD_WIDTH) == bytes((width,))
            device.rest()
            assert rate == 106 or device.chip._read_registers(MOD_WIDTH) == b"\x26"
    assert phone.complaints == []


def test_a_rate_the_card_does_not_offer() -> None:
    phone = Picc(Echo(), ta=0x80)
    with emulated(phone, max_rate=424, timing=False) as (_, device):
        assert found(device).transmit(COMMAND) == COMMAND + b"\x90\x00"
    assert phone.complaints == []


@pytest.mark.parametrize("unanswered", [False, True])
@pytest.mark.parametrize("max_rate", [106, 424])
def test_taken_away_at_every_step(unanswered: bool, max_rate: int) -> None:
    """Data is whole, or the card is lost; the device never is, and the next look finds what is there."""
    phone = Picc(Echo(), ta=0x33, fwi=2)
    ends = set()
    with emulated(phone, timing=False, max_rate=max_rate, polls=1, type_b=0, felica=0) as (chip, device):
        for frames in range(1, 22):
            chip.field.take(phone, after_frames=frames, unanswered=unanswered)
            field = device.look()
            ends.add(field.kind)
            if field.card is not None:
                try:
                    for _ in range(3):
                        long = bytes(600)
                        assert field.card.transmit(long) == long + b"\x90\x00"
                except CardError as error:
                    ends.add(error.code)
                field.card.leave()
            device.rest()
            chip.field.take(phone)
            chip.field.put(phone)
            assert found(device).transmit(COMMAND) == COMMAND + b"\x90\x00"
            device.rest()
    assert ends == {FieldKind.EMPTY, FieldKind.CARD, FieldCode.LOST}


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.CORRUPT])
def test_frames_lost_and_damaged_on_the_air(kind: FaultKind) -> None:
    for at in range(1, 12):
        phone = Picc(Echo(), faults=(Fault(at, kind),), fwi=3)
        with emulated(phone, timing=False) as (_, device):
            card = found(device)
            for _ in range(2):
                long = bytes(range(200)) * 4
                assert card.transmit(long) == long + b"\x90\x00"
            assert phone.complaints == []


def test_something_that_never_activates() -> None:
    phone = Picc(Echo(), faults=tuple(Fault(at, FaultKind.DROP) for at in range(100)))
    with emulated(phone, timing=False) as (_, device):
        kinds = []
        for _ in range(6):
            kinds.append(device.look().kind)
            device.rest()
        assert kinds == [FieldKind.EMPTY] * 4 + [FieldKind.FOREIGN] * 2


def test_a_phone_that_is_moved_about_is_no_foreign_thing() -> None:
    phone = Picc(Echo(), faults=tuple(Fault(at, FaultKind.DROP) for at in range(100)))
    with emulated(phone, timing=False) as (chip, device):
        for _ in range(10):
            for put in (True, False):
                (chip.field.put if put else chip.field.take)(phone)
                assert device.look().kind is FieldKind.EMPTY
                device.rest()


def test_timer_codes() -> None:
    assert [timer_code(seconds) for seconds in (1e-5, 1e-4, 1.1e-4, 0.0773, 3.2768, 3.2769, 5.0)] == [
        1,
        1,
        2,
        11,
        16,
        0,
        0,
    ]


def test_a_wait_longer_than_the_chips_timer() -> None:
    """The longest waiting time there is, used to its end."""
    phone = Picc(Echo(after_s=LONGEST_FWT_S * 0.88), fwi=14)
    with emulated(phone) as (chip, device):
        card = found(device)
        began = time.monotonic()
        assert card.transmit(COMMAND) == COMMAND + b"\x90\x00"
        assert time.monotonic() - began > 4.3
        assert chip.aborted == 0
    assert phone.complaints == []


def test_the_host_ends_a_wait_the_chip_would_not() -> None:
    phone = Picc(Echo(), fwi=14)
    with emulated(phone) as (chip, device):
        found(device)
        frames = Pn532Frames(device.chip)
        chip.field.take(phone)
        began = time.monotonic()
        with pytest.raises(FrameLost):
            frames.exchange(b"\xb2", 3.3)
        assert 3.3 < time.monotonic() - began < 4.3
        assert chip.aborted >= 1
        # The chip is well.
        device.rest()
        chip.field.put(phone)
        assert found(device).transmit(COMMAND) == COMMAND + b"\x90\x00"


def test_the_longest_extension() -> None:
    """FWI 14 and WTXM 59: no more than the longest waiting time is waited for, and the answer is taken."""
    phone = Picc(Echo(), fwi=14, wtx=Wtx(at=range(100), multiplier=59, times=2))
    with emulated(phone, timing=False) as (_, device):
        card = found(device)
        long = bytes(700)
        assert card.transmit(long) == long + b"\x90\x00"
    assert phone.complaints == []


def test_a_slow_phone() -> None:
    phone = Picc(Echo(after_s=0.6), fwi=7)
    with emulated(phone) as (_, device):
        card = found(device)
        beats = []
        card.on_frame = lambda: beats.append(time.monotonic())
        assert card.transmit(COMMAND) == COMMAND + b"\x90\x00"
        assert len(beats) > 5
    assert phone.complaints == []


def test_a_card_that_wants_silence_first() -> None:
    phone = Picc(Echo(), sfgi=8)
    with emulated(phone) as (_, device):
        assert found(device).transmit(COMMAND) == COMMAND + b"\x90\x00"
    assert phone.complaints == []


# The device itself.


def test_unplugged_and_back() -> None:
    with EmulatedChip(RfField(Picc(Echo()))) as chip:
        device = open_nfc(Options(path=chip.port))
        card = found(device)
        chip.unplug()
        for use in (device.look, device.occupied, device.rest, lambda: card.transmit(COMMAND)):
            began = time.monotonic()
            with pytest.raises(NfcDeviceError) as caught:
                use()
            assert caught.value.code is NfcTrouble.LOST
            assert time.monotonic() - began < 0.5
        device.close()
        with pytest.raises(NfcDeviceError) as caught:
            open_nfc(Options(path=chip.port))
        assert caught.value.code is NfcTrouble.NO_DEVICE
        chip.plug()
        device = open_nfc(Options(path=chip.port))
        assert found(device).transmit(COMMAND) == COMMAND + b"\x90\x00"
        device.close()


@pytest.mark.parametrize("baud", [115200, 460800])
@pytest.mark.parametrize("skip", range(0, 6, 2))
def test_reset_in_an_exchange(baud: int, skip: int) -> None:
    with EmulatedChip(RfField(Picc(Echo(), fwi=4))) as chip:
        device = open_nfc(Options(path=chip.port, baud=baud))
        card = found(device)
        chip.misbehave(HostFault(Trouble.RESET, 0x42, skip=skip))
        began = time.monotonic()
        with pytest.raises(NfcDeviceError) as caught:
            card.transmit(bytes(2000))
        assert caught.value.code is NfcTrouble.LOST
        assert time.monotonic() - began < 3.0
        device.close()
        device = open_nfc(Options(path=chip.port, baud=baud))
        assert found(device).transmit(COMMAND) == COMMAND + b"\x90\x00"
        device.close()


def test_the_field_went_off_by_itself() -> None:
    """As after a reset, or when the chip grew too hot: that is no phone that was taken away."""
    with emulated(Picc(Echo(), fwi=2), timing=False) as (_, device):
        card = found(device)
        device.chip.write_registers((0x6304, 0x80))
        with pytest.raises(NfcDeviceError, match="reset"):
            card.transmit(COMMAND)


def test_reset_between_looks() -> None:
    with EmulatedChip(RfField()) as chip:
        device = open_nfc(Options(path=chip.port))
        assert device.look().kind is FieldKind.EMPTY
        chip.reset()
        time.sleep(0.05)
        with pytest.raises(NfcDeviceError):
            device.look()
        device.close()


@pytest.mark.parametrize("trouble", [trouble for trouble in Trouble if trouble not in {Trouble.RESET, Trouble.UNPLUG}])
@pytest.mark.parametrize("skip", range(4))
def test_trouble_on_the_line_in_a_conversation(trouble: Trouble, skip: int) -> None:
    """One trouble of the line in a chained exchange: the data is right, or there is a reason."""
    with emulated(Picc(Echo(), fwi=6), timing=False) as (chip, device):
        card = found(device)
        chip.misbehave(HostFault(trouble, 0x42, skip=skip, delay_s=0.4 if trouble is Trouble.LATE else 0.0))
        for number in range(3):
            long = bytes((number,)) * 500
            try:
                said = card.transmit(long)
            except NfcDeviceError:
                break
            assert said == long + b"\x90\x00"
        else:
            return
        assert trouble is Trouble.ERROR_FRAME  # all others are mended


def test_abort_in_a_long_wait() -> None:
    with emulated(Picc(Echo(after_s=4.0), fwi=14)) as (_, device):
        card = found(device)
        threading.Timer(0.2, device.abort).start()
        began = time.monotonic()
        with pytest.raises(NfcDeviceError):
            card.transmit(COMMAND)
        assert time.monotonic() - began < 0.7
        for use in (device.look, device.occupied, device.rest):
            with pytest.raises(NfcDeviceError):
                use()
        device.close()
        device.abort()


def test_abort_while_a_card_wants_silence() -> None:
    with emulated(Picc(Echo(), sfgi=14)) as (_, device):
        threading.Timer(0.2, device.abort).start()
        began = time.monotonic()
        with pytest.raises(NfcDeviceError):
            device.look()
        assert time.monotonic() - began < 0.7


def test_released_under_a_blocked_thread() -> None:
    """As the owner does it with a thread that overran: aborted and closed from elsewhere, opened anew by another."""
    with EmulatedChip(RfField(Picc(Echo(after_s=4.0), fwi=14))) as chip:
        device = open_nfc(Options(path=chip.port))
        card = found(device)
        ended = threading.Event()

        def hang() -> None:
            try:
                card.transmit(COMMAND)
            except NfcDeviceError:
                ended.set()

        thread = threading.Thread(target=hang)
        thread.start()
        until(lambda: card.on_frame is None and chip.field.frames > 5)
        device.abort()
        device.close()
        assert ended.wait(0.5)
        thread.join()
        again = open_nfc(Options(path=chip.port))
        found(again)
        again.close()
