"""What can go wrong between a phone and the reader, and the word the reader must have for each."""

from __future__ import annotations

from dataclasses import dataclass

from mdoc_reader.lab.phone_behaviour import BYTE_A_SECOND, PhoneRadioBehaviour, VanishAt

PHONE = "phone is server"
READER = "reader is server"
CHANNEL = "L2CAP, PSM engaged"
CHANNEL_TO_US = "L2CAP, reader is server"

LOST = ("failed", "link_lost")
UNREACHED = ("timed_out", "timeout_connecting")
GRANTED = ("granted", "rule_met")


@dataclass(frozen=True)
class Fault:
    """One fault: in which way of travelling, how the phone behaves, and what the reader must say."""

    name: str
    way: str
    behaviour: PhoneRadioBehaviour
    says: tuple[str, str]
    size: int = 5000
    wrong_ident: bool = False
    company: bool = False
    """Another phone is connected and does nothing."""


def _vanishing(way: str, step: VanishAt, says: tuple[str, str], **more: bool) -> Fault:
    # An air without delay in front of an emulated guest would be harder than any phone: bluetoothd reads the end of a
    # connection before the data that came with it.
    behaviour = PhoneRadioBehaviour(vanish_at=step, vanish_delay_s=0.5, l2cap=way in {CHANNEL, CHANNEL_TO_US}, psm=0xC1)
    return Fault(f"vanishes {step.replace('_', ' ')}", way, behaviour, says, **more)


def _over_gatt(way: str) -> tuple[Fault, ...]:
    before = (
        VanishAt.BEFORE_CONNECTION,
        VanishAt.CONNECTED,
        VanishAt.MTU_EXCHANGED,
        VanishAt.BETWEEN_SUBSCRIPTIONS,
        VanishAt.SUBSCRIBED,
    )
    after = (VanishAt.STARTED, VanishAt.MID_RECEIVE, VanishAt.MID_SEND)
    quiet = PhoneRadioBehaviour
    return (
        *(_vanishing(way, step, UNREACHED) for step in before),
        *(_vanishing(way, step, LOST) for step in after),
        # A phone may leave as soon as its answer is complete.
        _vanishing(way, VanishAt.AFTER_SEND, GRANTED),
        Fault("chunks out of order", way, quiet(swap_chunk=2), ("failed", "decryption_failed")),
        Fault("a chunk twice", way, quiet(duplicate_chunk=2), ("failed", "session_malformed")),
        Fault("an endless message", way, quiet(endless=400_000), ("failed", "link_too_large")),
        Fault("a byte a second", way, BYTE_A_SECOND, ("timed_out", "timeout_receiving")),
        Fault("data before its time", way, quiet(early_data=b"\x00early"), GRANTED),
        Fault("short chunks", way, quiet(short_chunks=True, mtu=185), GRANTED),
    )


FAULTS = (
    *_over_gatt(PHONE),
    *_over_gatt(READER),
    Fault("wrong service", PHONE, PhoneRadioBehaviour(wrong_service=True), ("failed", "link_no_service")),
    Fault("wrong service", READER, PhoneRadioBehaviour(wrong_service=True), UNREACHED),
    Fault("no Client2Server", PHONE, PhoneRadioBehaviour(missing=(2,)), ("failed", "link_no_service")),
    Fault("no State", PHONE, PhoneRadioBehaviour(missing=(1,)), ("failed", "link_no_service")),
    Fault("never starts", READER, PhoneRadioBehaviour(no_state=True), UNREACHED),
    Fault("State before subscriptions", READER, PhoneRadioBehaviour(start_first=True), GRANTED),
    Fault("wrong Ident", READER, PhoneRadioBehaviour(), UNREACHED, wrong_ident=True),
    Fault("two phones at once", READER, PhoneRadioBehaviour(), GRANTED, company=True),
    Fault("refuses the channel", CHANNEL, PhoneRadioBehaviour(l2cap=True, refuse_channel=True), GRANTED),
    Fault("drops the channel", CHANNEL, PhoneRadioBehaviour(l2cap=True, drop_channel_after=300), GRANTED),
    Fault("drops the channel", CHANNEL_TO_US, PhoneRadioBehaviour(l2cap=True, drop_channel_after=300), GRANTED),
    _vanishing(CHANNEL, VanishAt.MID_SEND, LOST),
    _vanishing(CHANNEL, VanishAt.AFTER_SEND, GRANTED),
    _vanishing(CHANNEL_TO_US, VanishAt.MID_SEND, LOST),
    _vanishing(CHANNEL_TO_US, VanishAt.AFTER_SEND, GRANTED),
)
