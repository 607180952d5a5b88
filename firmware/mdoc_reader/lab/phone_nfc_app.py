"""A whole phone that is tapped: on over its Bluetooth, or answering where it lies (ISO 18013-5 clause 8.2.2.1)."""

from __future__ import annotations

import asyncio

from mdoc_reader.lab.phone_app import Manner, present
from mdoc_reader.lab.phone_nfc import PhoneTap, TapPhone
from mdoc_reader.lab.phone_radio import PhoneRadio, PhoneRadioBehaviour
from mdoc_reader.transport.tasks import to_its_end

_LEAVING_S = 5.0


async def tap_and_present(
    radio: PhoneRadio, phone: TapPhone, manner: Manner, behaviour: PhoneRadioBehaviour | None = None
) -> int:
    """Wait for a tap, and play the presentation it leads to; return how many requests were answered.

    Where the tap offered both Bluetooth and NFC, the reader shows by its first message which it took. A phone that
    must be tapped again once its owner approved waits for that.
    """
    while True:
        answered = await _tapped(radio, phone, await asyncio.wrap_future(phone.next_handover()), manner, behaviour)
        if answered is not None:
            return answered


async def _tapped(
    radio: PhoneRadio, phone: TapPhone, tap: PhoneTap, manner: Manner, behaviour: PhoneRadioBehaviour | None
) -> int | None:
    """Play what a tap leads to; None when it is another tap."""
    if tap.engagement.ble is None:
        return await _over_nfc(tap)
    over_bluetooth = asyncio.ensure_future(present(radio, phone.wallet, tap.engagement, manner, behaviour))
    over_nfc = asyncio.wrap_future(tap.session_begun)
    try:
        await asyncio.wait((over_bluetooth, over_nfc), return_when=asyncio.FIRST_COMPLETED)
        return await (_over_nfc(tap) if over_nfc.done() else over_bluetooth)
    finally:
        over_nfc.cancel()
        over_bluetooth.cancel()
        await to_its_end(_left(over_bluetooth))


async def _over_nfc(tap: PhoneTap) -> int | None:
    outcome = await asyncio.wrap_future(tap.over)
    return None if outcome.pending else outcome.answered


async def _left(presentation: asyncio.Future[int]) -> None:
    """Wait until a presentation that was cancelled has left the air; how it went is of no interest any more."""
    await asyncio.wait((presentation,), timeout=_LEAVING_S)
    if presentation.done() and not presentation.cancelled():
        presentation.exception()
