"""Session messages over the tap itself: NFC data transfer (ISO 18013-5 clause 8.3.3.1.2).

The phone answers the last command of a request when its owner has approved, so `send` returns as soon as that command
is on its way, and `receive` waits for what it brings. The link lasts as long as the phone is held at the reader.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from mdoc_reader.model.connection import NfcMethod
from mdoc_reader.model.reasons import Malformed
from mdoc_reader.nfc import transfer
from mdoc_reader.nfc.apdu import Way
from mdoc_reader.nfc.channel import CardChannel
from mdoc_reader.nfc.ports import CardError, FieldCode
from mdoc_reader.transport.ports import LinkCode, LinkError

_FAREWELL_S = 0.5
_CODES = {
    FieldCode.LOST: LinkCode.LOST,
    FieldCode.PROTOCOL: LinkCode.LOST,
    FieldCode.TOO_LARGE: LinkCode.TOO_LARGE,
    FieldCode.REFUSED: LinkCode.PROTOCOL,
    FieldCode.ABORTED: LinkCode.CLOSED,
}


async def open_transfer(card: CardChannel, method: NfcMethod, *, cap: int) -> NfcLink:
    """Select the phone's data transfer application. Raises LinkError.

    Args:
        card: the phone at the reader.
        method: its limits.
        cap: the most bytes of one message to accept.
    """
    with _translated():
        await card.run(transfer.select())
    limits = transfer.Limits.of(method, Way(card.longest_command, card.longest_response))
    return NfcLink(card, limits, cap)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Say what went wrong with the card in the words of links."""
    try:
        yield
    except CardError as error:
        raise LinkError(_CODES[error.code], error.detail) from None
    except Malformed as error:
        raise LinkError(LinkCode.BAD_CHUNK, str(error)) from None


class NfcLink:
    """A `transport.ports.Link` over NFC. Made by `open_transfer`."""

    name = "NFC"

    def __init__(self, card: CardChannel, limits: transfer.Limits, cap: int) -> None:
        """Take a card whose data transfer application is selected."""
        self.on_progress: Callable[[int], None] | None = None
        self._card = card
        self._limits = limits
        self._cap = cap
        self._delivery: asyncio.Task[bytes] | None = None

    async def send(self, message: bytes) -> None:
        """Send one message; returns when its last command goes out. Raises LinkError."""
        if self._delivery is not None and not self._delivery.done():
            raise LinkError(LinkCode.PROTOCOL, "the phone has yet to answer the last message")
        loop = asyncio.get_running_loop()
        sent = asyncio.Event()
        # The procedure speaks from the device's thread.
        procedure = transfer.deliver(
            message,
            self._limits,
            cap=self._cap,
            on_sent=lambda: _soon(loop, sent.set),
            on_progress=lambda count: _soon(loop, self._progress, count),
        )
        delivery = asyncio.create_task(self._card.run(procedure), name="nfc-delivery")
        self._delivery = delivery
        delivery.add_done_callback(lambda task: _settled(task, sent))
        await sent.wait()
        if delivery.done():
            await self._outcome(delivery)

    async def receive(self) -> bytes:
        """Return the answer to what was sent. Raises LinkError."""
        delivery = self._delivery
        if delivery is None:
            raise LinkError(LinkCode.CLOSED, "nothing was asked")
        message = await self._outcome(delivery)
        self._delivery = None
        return message

    async def close(self) -> None:
        """Let a message that is still going out reach the phone, then let the card go. Bounded; never raises."""
        delivery, self._delivery = self._delivery, None
        if delivery is not None:
            await asyncio.wait({delivery}, timeout=_FAREWELL_S)
            delivery.cancel()
        await self._card.close()

    async def _outcome(self, delivery: asyncio.Task[bytes]) -> bytes:
        with _translated():
            return await asyncio.shield(delivery)

    def _progress(self, count: int) -> None:
        if self.on_progress is not None:
            self.on_progress(count)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: int) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
        loop.call_soon_threadsafe(call, *args)


def _settled(delivery: asyncio.Task[bytes], sent: asyncio.Event) -> None:
    """Take the outcome's error, should nobody be left to ask for it, and let nobody wait for the sending."""
    if not delivery.cancelled():
        delivery.exception()
    sent.set()
