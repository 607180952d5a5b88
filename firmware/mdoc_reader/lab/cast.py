"""The demo's cast: who comes to the door, how their phone behaves, and what the reader ought to make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mdoc_reader.lab.nfc_behaviour import NEGOTIATED, NEGOTIATED_NFC, STATIC, STATIC_BOTH, STATIC_NFC, TapBehaviour
from mdoc_reader.lab.nfc_card import Picc
from mdoc_reader.lab.nfc_field import FieldCard
from mdoc_reader.lab.nfc_others import BankCard, fixed_uid
from mdoc_reader.lab.phone_app import Manner, Mode
from mdoc_reader.model.decision import Outcome

HONEST = Manner()


@dataclass(frozen=True, slots=True)
class Act:
    """One visit.

    Args:
        name: for `--only`.
        title: one line for people.
        situation: the lab's name for the wallet, or None for somebody without one.
        mode: the Bluetooth roles the phone offers.
        condition: how the camera sees it, by the name of a distortion.
        outcome: what must come out.
        reason: the reason that must be among those given.
        opens: whether the relay must have been energised.
        qr_text: shown instead of an engagement.
        tap: how the phone behaves that is tapped instead.
        thing: what is held to the reader in place of a phone.
    """

    name: str
    title: str
    situation: str | None
    mode: Mode
    condition: str
    outcome: Outcome
    reason: str
    opens: bool = False
    manner: Manner = HONEST
    qr_text: str | None = None
    tap: TapBehaviour | None = None
    thing: Callable[[], FieldCard] | None = None

    @property
    def taps(self) -> bool:
        """Whether somebody holds something to the reader, rather than show a code."""
        return self.tap is not None or self.thing is not None


def _tap(name: str, title: str, tap: TapBehaviour, situation: str, *, outcome: Outcome, reason: str) -> Act:
    opens = outcome is Outcome.GRANTED
    return Act(name, title, situation, Mode.BOTH, "clean", outcome, reason, opens, tap=tap)


CAST = (
    Act("adult", "adult with an mDL", "adult", Mode.BOTH, "clean", Outcome.GRANTED, "rule_met", opens=True),
    Act(
        "adult_mac",
        "adult, phone is server, MAC",
        "adult_mac",
        Mode.PERIPHERAL,
        "rolled-and-turned",
        Outcome.GRANTED,
        "rule_met",
        opens=True,
    ),
    Act("minor", "sixteen years old", "minor", Mode.CENTRAL, "blur", Outcome.REFUSED, "under_age"),
    Act(
        "altered_portrait",
        "portrait replaced",
        "altered_portrait",
        Mode.PERIPHERAL,
        "noise",
        Outcome.INVALID,
        "digest_mismatch",
    ),
    Act(
        "unknown_issuer",
        "issuer nobody knows",
        "unknown_issuer",
        Mode.CENTRAL,
        "dark-mode",
        Outcome.INVALID,
        "issuer_unknown",
    ),
    Act("expired", "expired document", "expired", Mode.PERIPHERAL, "low-light", Outcome.INVALID, "expired"),
    Act(
        "wrong_device_key",
        "copied to another phone",
        "wrong_device_key",
        Mode.CENTRAL,
        "moire",
        Outcome.INVALID,
        "device_signature_invalid",
    ),
    Act("declined", "the person says no", "declined", Mode.PERIPHERAL, "thin-quiet-zone", Outcome.DECLINED, "declined"),
    Act(
        "silent",
        "falls silent half-way",
        "adult",
        Mode.CENTRAL,
        "motion",
        Outcome.TIMED_OUT,
        "timeout_receiving",
        manner=Manner(falls_silent=True),
    ),
    Act("garbage", "sends garbage", "garbage", Mode.PERIPHERAL, "overexposed", Outcome.FAILED, "response_malformed"),
    Act(
        "not_an_mdoc",
        "a boarding pass",
        None,
        Mode.CENTRAL,
        "clean",
        Outcome.NOT_AN_MDOC,
        "not_an_mdoc",
        qr_text="M1MUSTER/ERIKA        EABC123 FRAJFKXX 0400 123Y012A0001 100",
    ),
    _tap("tap", "taps, static handover", STATIC_BOTH, "adult", outcome=Outcome.GRANTED, reason="rule_met"),
    _tap(
        "tap_negotiated",
        "taps, negotiated handover",
        NEGOTIATED,
        "adult_mac",
        outcome=Outcome.GRANTED,
        reason="rule_met",
    ),
    _tap("tap_nfc", "holds it there, NFC alone", STATIC_NFC, "adult", outcome=Outcome.GRANTED, reason="rule_met"),
    _tap("tap_minor", "sixteen, NFC alone", NEGOTIATED_NFC, "minor", outcome=Outcome.REFUSED, reason="under_age"),
    _tap(
        "tap_locked",
        "taps a locked phone",
        replace(STATIC, locked=True),
        "adult",
        outcome=Outcome.FAILED,
        reason="tap_locked",
    ),
    Act(
        "bank_card",
        "taps a payment card",
        None,
        Mode.CENTRAL,
        "clean",
        Outcome.NOT_AN_MDOC,
        "tap_bank_card",
        thing=lambda: Picc(BankCard(), uid=fixed_uid()),
    ),
)
