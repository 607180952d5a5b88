"""The reader's key in a token: after each presentation it is made ready for the next, and never gets in the way."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import pytest
from reader_door import Door

from mdoc_reader.lab import certificates
from mdoc_reader.mdoc.request import HeldKey, ReaderIdentity
from mdoc_reader.model.decision import Outcome
from mdoc_reader.model.signer import SignerError, SignerTrouble

AtTheDoor = Callable[..., None]


class Token(HeldKey):
    """A token at the far end of a wire: it can be pulled out, put back, and take its time."""

    waits = True

    def __init__(self) -> None:
        self.certificate = certificates.make_reader(certificates.make_reader_ca())
        super().__init__(self.certificate.key)
        self.there = self.session = True
        self.opened = self.asked = 0
        self.answers = threading.Event()
        self.answers.set()

    def pull_out(self) -> None:
        self.there = self.session = False

    def sign(self, message: bytes) -> bytes:
        if not self.session:
            raise SignerError(SignerTrouble.FAILED, "the session died")
        return super().sign(message)

    def prepare(self) -> None:
        self.asked += 1
        self.answers.wait(20)
        if not self.there:
            raise SignerError(SignerTrouble.NO_TOKEN, "nothing is plugged in")
        self.opened += not self.session
        self.session = True


def identity_of(token: Token) -> ReaderIdentity:
    return ReaderIdentity(token, (token.certificate.der,))


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110 -- a thread tells nobody
            await asyncio.sleep(0.01)


def test_a_token_that_went_away_is_open_again_before_the_next_tap(
    at_the_door: AtTheDoor, caplog: pytest.LogCaptureFixture
) -> None:
    token = Token()

    async def play(door: Door) -> None:
        wallet = door.wallet("adult")
        assert (await door.visit(wallet)).decision.outcome is Outcome.GRANTED
        await until(lambda: token.asked == 1)
        token.pull_out()
        with caplog.at_level(logging.WARNING, "mdoc_reader.reader.engine"):
            assert (await door.visit(wallet)).decision.outcome is Outcome.FAILED
            await until(lambda: "not ready" in caplog.text)
        assert "nothing is plugged in" in caplog.text
        token.there = True
        assert (await door.visit(wallet)).decision.outcome is Outcome.FAILED, "nobody has opened it yet"
        await until(lambda: token.opened == 1)
        assert (await door.visit(wallet)).decision.outcome is Outcome.GRANTED

    at_the_door(play, identity=identity_of(token))


def test_a_token_that_hangs_is_asked_once_and_holds_up_nobody(at_the_door: AtTheDoor) -> None:
    token = Token()
    token.answers.clear()

    async def play(door: Door) -> None:
        wallet = door.wallet("adult")
        for _ in range(2):
            assert (await door.visit(wallet)).decision.outcome is Outcome.GRANTED
        assert token.asked == 1
        token.answers.set()

    at_the_door(play, identity=identity_of(token))


def test_a_key_that_does_not_wait_is_left_alone(at_the_door: AtTheDoor) -> None:
    token = Token()
    token.waits = False

    async def play(door: Door) -> None:
        assert (await door.visit(door.wallet("adult"))).decision.outcome is Outcome.GRANTED
        await asyncio.sleep(0.05)
        assert token.asked == 0

    at_the_door(play, identity=identity_of(token))
