"""A whole phone: wallet and radio together, showing a code and answering a reader; and `mdoc-lab phone`.

The command puts a lab phone on a real controller (a USB dongle, say), shows its QR code in the terminal and answers
whoever reads it: for trying a door without a wallet at hand.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from mdoc_reader.lab import certificates
from mdoc_reader.lab.phone_channel import PhoneChannel, PhoneGone
from mdoc_reader.lab.phone_radio import PhoneRadio, PhoneRadioBehaviour, random_uuid
from mdoc_reader.lab.situations import SITUATIONS
from mdoc_reader.lab.wallet import Engagement, Wallet
from mdoc_reader.mdoc.engagement import Capabilities
from mdoc_reader.model.connection import BleMethod


class Mode(StrEnum):
    """Which Bluetooth roles a phone offers."""

    PERIPHERAL = "peripheral"  # the phone is GATT server
    CENTRAL = "central"  # the reader is GATT server
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Manner:
    """How phone and person behave beyond the wallet: seconds until consent, and whether it falls silent half-way."""

    consent_s: float = 0.4
    falls_silent: bool = False


def offer(
    wallet: Wallet,
    mode: Mode,
    curve_name: str = "P-256",
    *,
    psm: int | None = None,
    capabilities: Capabilities | None = None,
) -> Engagement:
    """Return a fresh engagement that offers `mode` under a random UUID.

    `psm` is told as the L2CAP PSM of the phone as server; `meet` listens there. `capabilities`: what it says it can do.
    """
    uuid = random_uuid()
    server, client = mode is not Mode.CENTRAL, mode is not Mode.PERIPHERAL
    ble = BleMethod(server, client, uuid if server else None, uuid if client else None, psm=psm)
    return wallet.engage(curve_name, ble, capabilities=capabilities)


async def meet(
    radio: PhoneRadio, engagement: Engagement, *, behaviour: PhoneRadioBehaviour | None = None
) -> PhoneChannel:
    """Wait for the reader as engaged. A phone that offers both modes takes the one the reader takes first."""
    manner = behaviour or PhoneRadioBehaviour()
    ble = engagement.ble
    if ble is None:
        raise ValueError("this engagement offers no Bluetooth")
    if ble.psm is not None:
        manner = replace(manner, l2cap=True, psm=ble.psm)
    if ble.central_client and ble.central_uuid is not None:
        # Offering both, this phone follows the standard's advice and looks for the reader.
        return await radio.join(ble.central_uuid, engagement.ident, behaviour=manner)
    return await radio.serve(_served(ble), behaviour=manner)


def _served(ble: BleMethod) -> UUID:
    if ble.peripheral_uuid is None:
        raise ValueError("this engagement has no UUID to serve")
    return ble.peripheral_uuid


async def answer(channel: PhoneChannel, wallet: Wallet, engagement: Engagement, manner: Manner) -> int:
    """Answer requests until the reader ends the session; return how many were answered."""
    begun, asked = wallet.handle_establishment(engagement, await channel.receive())
    answered = 0
    with contextlib.suppress(PhoneGone):
        while True:
            await asyncio.sleep(manner.consent_s)
            message = wallet.reply(begun, asked)
            if manner.falls_silent:
                await channel.send_part(message, 300)
                await channel.receive()
                break
            await channel.send(message)
            answered += 1
            following = begun.handle_message(await channel.receive())
            if following is None:
                break
            asked = following
    await channel.drop()
    return answered


async def present(
    radio: PhoneRadio,
    wallet: Wallet,
    engagement: Engagement,
    manner: Manner,
    behaviour: PhoneRadioBehaviour | None = None,
) -> int:
    """Play one presentation from showing the code to the end; return how many requests were answered."""
    channel = await meet(radio, engagement, behaviour=behaviour)
    try:
        return await answer(channel, wallet, engagement, manner)
    except PhoneGone:
        return 0


def main(arguments: Sequence[str]) -> int:
    """Run `mdoc-lab phone`."""
    parser = argparse.ArgumentParser(prog="mdoc-lab phone", description="One lab phone on a Bluetooth controller.")
    parser.add_argument("--transport", required=True, help="Bumble's name of the controller, for example usb:0")
    parser.add_argument("--situation", default="adult", choices=SITUATIONS, metavar="NAME", help="default: adult")
    parser.add_argument("--mode", default=Mode.BOTH, type=Mode, choices=list(Mode), help="default: both")
    parser.add_argument("--times", type=int, default=1, help="presentations to play; default: 1")
    parser.add_argument("--consent", type=float, default=1.0, metavar="SECONDS", help="until the person approves")
    parser.add_argument("--write-anchor", type=Path, metavar="FILE", help="write the issuer's certificate (PEM) here")
    chosen = parser.parse_args(arguments)
    try:
        return asyncio.run(_phone(chosen))
    except OSError as error:
        print(f"mdoc-lab phone: {chosen.transport}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


async def _phone(chosen: argparse.Namespace) -> int:
    import segno

    iaca = certificates.make_iaca()
    if chosen.write_anchor is not None:
        chosen.write_anchor.write_bytes(iaca.pem)
    wallet = SITUATIONS[chosen.situation].wallet(iaca, certificates.make_document_signer(iaca))
    async with await PhoneRadio.on_controller(chosen.transport) as radio:
        for _ in range(chosen.times):
            engagement = offer(wallet, chosen.mode)
            segno.make(engagement.qr_text, error="m", micro=False).terminal(compact=True)
            print(engagement.qr_text, flush=True)
            answered = await present(radio, wallet, engagement, Manner(chosen.consent))
            print(f"answered {answered} request(s)", flush=True)
    return 0
