"""Whole presentations: the engine with real ATT on the simulated air, the lab's phones at the other end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from reader_door import ASKED, OVER_18, QUICK, Door

from mdoc_reader.lab import certificates, people
from mdoc_reader.lab.phone_app import Manner, Mode, offer
from mdoc_reader.lab.phone_radio import PhoneRadioBehaviour, VanishAt
from mdoc_reader.lab.wallet import Wallet
from mdoc_reader.lab.wallet_behaviour import WalletBehaviour
from mdoc_reader.mdoc.engagement import Capabilities
from mdoc_reader.mdoc.request import ItemsRequest, ReaderIdentity
from mdoc_reader.model.decision import Outcome
from mdoc_reader.model.sign import Sign
from mdoc_reader.policy.profile import Question
from mdoc_reader.reader.engine import PresentationRecord
from mdoc_reader.reader.phases import Phase

AtTheDoor = Callable[..., None]


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


EXPECTED = {
    "adult": (Outcome.GRANTED, "rule_met"),
    "adult_mac": (Outcome.GRANTED, "rule_met"),
    "minor": (Outcome.REFUSED, "under_age"),
    "altered_portrait": (Outcome.INVALID, "digest_mismatch"),
    "altered_age": (Outcome.INVALID, "digest_mismatch"),
    "unknown_issuer": (Outcome.INVALID, "issuer_unknown"),
    "impostor_issuer": (Outcome.INVALID, "path_signature"),
    "forged_issuer": (Outcome.INVALID, "issuer_signature_invalid"),
    "expired": (Outcome.INVALID, "expired"),
    "wrong_device_key": (Outcome.INVALID, "device_signature_invalid"),
    "replayed": (Outcome.INVALID, "device_signature_invalid"),
    "no_device_auth": (Outcome.INVALID, "device_auth_missing"),
    "declined": (Outcome.DECLINED, "declined"),
    "partial": (Outcome.EMPTY, "nothing_returned"),
    "extra_elements": (Outcome.GRANTED, "rule_met"),
    "wrong_doctype": (Outcome.INVALID, "doctype_mismatch"),
    "device_signed": (Outcome.GRANTED, "rule_met"),
    "device_signed_unauthorised": (Outcome.INVALID, "device_element_unauthorized"),
    "general_error": (Outcome.EMPTY, "nothing_returned"),
    "garbage": (Outcome.FAILED, "response_malformed"),
    "truncated": (Outcome.FAILED, "response_malformed"),
    "not_encrypted": (Outcome.FAILED, "decryption_failed"),
    "not_a_message": (Outcome.FAILED, "session_malformed"),
    "wrong_session_key": (Outcome.FAILED, "decryption_failed"),
}


def test_every_situation_of_the_lab(at_the_door: AtTheDoor) -> None:
    async def play(door: Door) -> None:
        for number, (situation, (outcome, reason)) in enumerate(EXPECTED.items()):
            mode = (Mode.CENTRAL, Mode.PERIPHERAL)[number % 2]
            granted = len(door.panel.grants)
            record = await door.visit(door.wallet(situation), mode)
            assert record.decision.outcome is outcome, (situation, record)
            assert reason in record.decision.reasons, (situation, record)
            assert len(door.panel.grants) - granted == (outcome is Outcome.GRANTED), situation

    at_the_door(play)


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521", "brainpoolP256r1", "brainpoolP384r1", "X25519", "X448"])
def test_sessions_on_every_curve(at_the_door: AtTheDoor, curve: str) -> None:
    async def play(door: Door) -> None:
        record = await door.visit(door.wallet("adult"), curve=curve)
        assert record.decision.granted

    at_the_door(play)


@pytest.mark.parametrize(("prefer_server", "name"), [(True, "BLE, reader is server"), (False, "BLE, phone is server")])
def test_the_setting_chooses_the_role_where_the_phone_offers_one(
    at_the_door: AtTheDoor, prefer_server: bool, name: str
) -> None:
    async def play(door: Door) -> None:
        mode = Mode.CENTRAL if prefer_server else Mode.PERIPHERAL
        record = await door.visit(door.wallet("adult"), mode)
        assert record.transport == name

    at_the_door(play, prefer_server=prefer_server)


def test_back_to_idle_within_100_ms_of_display_and_link(at_the_door: AtTheDoor) -> None:
    async def play(door: Door) -> None:
        for mode in (Mode.CENTRAL, Mode.PERIPHERAL):
            door.watcher.phases.clear()
            record = await door.visit(door.wallet("adult"), mode)
            rested = next(at for at, phase in door.watcher.phases if phase is Phase.IDLE)
            assert rested - (record.at + QUICK.showing) < 0.1

    at_the_door(play)


def test_a_silent_phone_and_a_vanished_one_end_with_a_reason_and_the_next_is_served(at_the_door: AtTheDoor) -> None:
    async def play(door: Door) -> None:
        for mode in (Mode.CENTRAL, Mode.PERIPHERAL):
            silent = await door.visit(door.wallet("adult"), mode, manner=Manner(0.01, falls_silent=True))
            assert silent.decision.reasons == ("timeout_receiving",)
            for step in (VanishAt.STARTED, VanishAt.MID_RECEIVE, VanishAt.MID_SEND):
                gone = await door.visit(door.wallet("adult"), mode, radio_behaviour=PhoneRadioBehaviour(vanish_at=step))
                assert gone.decision.outcome is Outcome.FAILED, (mode, step, gone)
                assert gone.decision.reasons == ("link_lost",), (mode, step, gone)
            record = await door.visit(door.wallet("adult"), mode)
            assert record.decision.granted, (mode, record)

    at_the_door(play)


def test_a_person_who_shares_less_than_is_needed_is_no_fraud(at_the_door: AtTheDoor) -> None:
    async def play(door: Door) -> None:
        ages = frozenset(f"age_over_{age:02d}" for age in people.AGES)
        shy = Wallet(door.wallet("adult").holdings, WalletBehaviour(withhold=ages))
        record = await door.visit(shy)
        assert (record.decision.outcome, record.decision.reasons) == (Outcome.PARTIAL, ("age_not_stated",))
        assert door.panel.signs[-2][1] is Sign.DECLINED

    at_the_door(play)


def test_nobody_approves(at_the_door: AtTheDoor) -> None:
    async def play(door: Door) -> None:
        record = await door.visit(door.wallet("adult"), manner=Manner(consent_s=60))
        assert record.decision.reasons == ("timeout_consent",)
        assert Sign.APPROVE in [sign for _, sign in door.panel.signs]

    at_the_door(play)


def test_second_question_in_the_same_session(at_the_door: AtTheDoor) -> None:
    """A phone without the first document is asked for the next in the same session."""
    other = Question.of(ItemsRequest("org.iso.23220.photoid.1", {"org.iso.23220.1": {"age_over_18": False}}))

    async def play(door: Door) -> None:
        for mode in (Mode.CENTRAL, Mode.PERIPHERAL):
            record = await door.visit(door.wallet("adult"), mode)
            assert record.decision.granted
            assert [name for name, _ in record.phases].count("verifying") == 2

    at_the_door(play, profile=replace(OVER_18, questions=(other, ASKED)))


def test_a_wallet_that_can_take_a_choice_is_asked_for_any_document_at_once(at_the_door: AtTheDoor) -> None:
    other = Question.of(ItemsRequest("org.iso.23220.photoid.1", {"org.iso.23220.1": {"age_over_18": False}}))
    choice = replace(OVER_18, questions=(other, ASKED), together=Question.any_of((other, ASKED), "age"))

    async def play(door: Door) -> None:
        for able, rounds in ((True, 1), (False, 2)):
            wallet = door.wallet("adult")
            record = await door.visit(wallet, capabilities=Capabilities(extended_request=able))
            assert record.decision.granted
            assert [name for name, _ in record.phases].count("verifying") == rounds

    at_the_door(play, profile=choice)


def test_reader_authentication_is_accepted_by_a_wallet_that_insists(at_the_door: AtTheDoor) -> None:
    reader_ca = certificates.make_reader_ca()
    identity = certificates.reader_identity(certificates.make_reader(reader_ca))

    async def play(door: Door) -> None:
        honest = door.wallet("adult")
        for trusted, outcome in ((reader_ca, Outcome.GRANTED), (certificates.make_reader_ca(), Outcome.EMPTY)):
            insisting = Wallet(
                honest.holdings,
                WalletBehaviour(require_reader_auth=True),
                trusted_readers=[trusted.certificate],
            )
            record = await door.visit(insisting)
            assert record.decision.outcome is outcome

    at_the_door(play, identity=identity)


class _BreakingIdentity(ReaderIdentity):
    def sign(self, payload: bytes) -> bytes:
        raise RuntimeError("the phone's secret: 4711")


def test_a_crash_inside_costs_that_presentation_alone(at_the_door: AtTheDoor, caplog: pytest.LogCaptureFixture) -> None:
    identity = _BreakingIdentity(ec.generate_private_key(ec.SECP256R1()), (b"",))

    async def play(door: Door) -> None:
        for _ in range(2):
            record = await door.visit(door.wallet("adult"))
            assert record.decision.reasons == ("reader_fault",)
            assert door.engine.state.phase is Phase.IDLE
        assert door.engine.counters.reader_faults == 2
        assert not door.panel.grants

    at_the_door(play, identity=identity)
    assert "RuntimeError" in caplog.text
    assert "4711" not in caplog.text, "an error's text may quote the phone: it is not logged"


def test_one_at_a_time_and_a_code_left_in_view(at_the_door: AtTheDoor) -> None:
    async def play(door: Door) -> None:
        wallet, other = door.wallet("adult"), offer(door.wallet("adult"), Mode.CENTRAL)
        visit = asyncio.create_task(door.visit(wallet, manner=Manner(consent_s=0.5)))
        await asyncio.sleep(0.2)
        door.engine.offer_text(other.qr_text, time.monotonic())
        record = await visit
        assert record.decision.granted
        assert door.engine.state.ignored == 1
        # The very same code again, many times: nothing starts.
        text = offer(wallet, Mode.CENTRAL).qr_text
        door.engine.offer_text("https://example.org/menu", time.monotonic())
        first = await door.watcher.concluded.get()
        assert first.decision.outcome is Outcome.NOT_AN_MDOC
        await asyncio.sleep(0.05)
        await door.idle()
        for _ in range(5):
            door.engine.offer_text("https://example.org/menu", time.monotonic())
        await asyncio.sleep(0.1)
        assert door.engine.state.phase is Phase.IDLE
        assert door.engine.counters.presentations == 2
        assert text

    at_the_door(play)


def test_twenty_in_a_row_leave_nothing_behind(at_the_door: AtTheDoor) -> None:
    async def play(door: Door) -> None:
        wallet = door.wallet("adult")

        async def some(count: int) -> list[PresentationRecord]:
            return [await door.visit(wallet, (Mode.CENTRAL, Mode.PERIPHERAL)[n % 2]) for n in range(count)]

        await some(4)
        tasks, files = len(asyncio.all_tasks()), _open_files()
        records = await some(20)
        assert all(record.decision.granted for record in records)
        assert len(asyncio.all_tasks()) <= tasks
        assert _open_files() <= files

    at_the_door(play)


def test_a_cancelled_reader_lets_go_in_the_middle(at_the_door: AtTheDoor) -> None:
    async def play(door: Door) -> None:
        visit = asyncio.create_task(door.visit(door.wallet("adult"), manner=Manner(consent_s=30)))
        await asyncio.sleep(0.4)
        assert door.engine.state.phase is Phase.CONSENT
        visit.cancel()
        await asyncio.wait({visit})

    at_the_door(play)


def test_nothing_personal_is_logged(at_the_door: AtTheDoor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    async def play(door: Door) -> None:
        for situation in ("adult", "altered_portrait", "garbage"):
            record = await door.visit(door.wallet(situation))
            assert "Muster" not in repr(record)

    at_the_door(play)
    person = people.mdl_elements(people.adult(certificates.now().date()), certificates.now().date())
    for value in person.values():
        if isinstance(value, str) and len(value) > 5:
            assert value not in caplog.text
