"""The service shown ahead of a tap: fresh each time, deaf until somebody taps, and back when the adapter is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from reader_door import AT_ONCE, Door

from mdoc_reader.drivers import bumble_radio
from mdoc_reader.lab.air import Air
from mdoc_reader.lab.phone_app import Mode
from mdoc_reader.lab.phone_channel import PhoneGone
from mdoc_reader.lab.phone_radio import PhoneRadio, PhoneRadioBehaviour
from mdoc_reader.model.decision import Outcome
from mdoc_reader.reader.armed import ArmedService
from mdoc_reader.transport.ble import BleLimits
from mdoc_reader.transport.ports import BleRadio

IDENT = bytes(range(16))
_UNCHECKED = PhoneRadioBehaviour(ident_check=False)
LIMITS = BleLimits(close_grace_s=0.2, start_grace_s=1.0)


async def shown(service: ArmedService, but: UUID | None = None) -> UUID:
    async with asyncio.timeout(15):
        while (uuid := service.uuid) is None or uuid == but:  # noqa: ASYNC110 -- it tells nobody, nobody needs to know
            await asyncio.sleep(0.01)
    return uuid


async def opened(air: Air, socket: Path) -> BleRadio:
    await air.listen(socket)
    return await bumble_radio.open_bluetooth(bumble_radio.Options(f"unix:{socket}", longest_pause_s=0.5))


def test_a_phone_that_nobody_tapped_is_sent_away_and_the_tapping_one_served(tmp_path: Path) -> None:
    async def main() -> None:
        async with Air() as air, PhoneRadio(air) as stranger, PhoneRadio(air) as phone:
            radio = await opened(air, tmp_path / "hci")
            service = ArmedService(radio, LIMITS)
            assert service.uuid is None
            assert await service.take() is None
            service.arm()
            service.arm()
            uuid = await shown(service)
            async with asyncio.timeout(15):
                channel = await stranger.join(uuid, None, behaviour=_UNCHECKED)
                with pytest.raises(PhoneGone):
                    await channel.receive()
                armed = await service.take()
                assert armed is not None
                assert armed.uuid == uuid
                assert service.uuid is None
                armed.server.set_ident(IDENT)
                joining = asyncio.ensure_future(phone.join(uuid, IDENT))
                link = await armed.server.accepted()
                channel = await joining
                await link.send(b"hello")
                assert await channel.receive() == b"hello"
                await channel.drop()
                await armed.server.close()
                service.arm()
                assert await shown(service) != uuid
                await service.disarm()
                await service.disarm()
            assert service.uuid is None
            assert not any(controller.advertised_addresses() for controller in air.link.controllers)
            await radio.close()

    asyncio.run(main())


def test_the_service_comes_back_with_the_adapter_under_another_uuid(tmp_path: Path) -> None:
    async def main() -> None:
        async with Air() as air:
            radio = await opened(air, tmp_path / "hci")
            service = ArmedService(radio, LIMITS)
            service.arm()
            uuid = await shown(service)
            air.unplug()
            assert await shown(service, but=uuid) != uuid
            await service.disarm()
            await radio.close()

    asyncio.run(main())


def test_every_presentation_leaves_a_fresh_uuid_behind(at_the_door: Callable[..., None]) -> None:
    async def play(door: Door) -> None:
        service = door.engine._equipment.armed
        assert service is not None
        seen = [await shown(service)]
        for mode in (Mode.CENTRAL, Mode.PERIPHERAL):
            record = await door.visit(door.wallet("adult"), mode, manner=AT_ONCE)
            assert record.decision.outcome is Outcome.GRANTED
            seen.append(await shown(service))
        assert len(set(seen)) == 3

    at_the_door(play, armed=True)
