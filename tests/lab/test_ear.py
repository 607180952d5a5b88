"""The ear hears what crosses the air, decodes just enough of it, and keeps content only when asked."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from bumble import ll

from mdoc_reader.lab.air import Air
from mdoc_reader.lab.ear import ATT, SIGNALLING, Ear, Kind, att_counts, data_bytes
from mdoc_reader.lab.phone_radio import PhoneRadio, PhoneRadioBehaviour, random_uuid


async def hear_a_connection(ear: Ear, air: Air) -> None:
    """One phone serves, another connects by hand: MTU, a write, a channel."""
    from bumble.device import Peer

    from mdoc_reader.drivers.bumble_client import connect_to
    from mdoc_reader.drivers.bumble_wire import bumble_uuid
    from mdoc_reader.lab import phone_l2cap
    from mdoc_reader.lab.phone_channel import mdoc_uuid

    service, behaviour = random_uuid(), PhoneRadioBehaviour(l2cap=True)
    async with PhoneRadio(air, "phone") as phone, PhoneRadio(air, "other") as other:
        serving = asyncio.ensure_future(phone.serve(service, behaviour=behaviour))
        connection = await connect_to(other._device, await other._found(service), lambda: None)
        peer = Peer(connection)
        await peer.request_mtu(247)
        served = (await peer.discover_service(bumble_uuid(service)))[0]
        state = (await served.discover_characteristics([bumble_uuid(mdoc_uuid(1))]))[0]
        await state.subscribe(lambda _: None)
        pipe = await phone_l2cap.open_to(connection, behaviour.psm, behaviour)
        assert pipe is not None
        channel = await serving
        await pipe.put((5000).to_bytes(4, "big") + bytes(5000))
        assert len(await channel.receive()) == 5000
        await channel.drop()
        await asyncio.sleep(0.05)


def heard(*, keep_payload: bool = False, most: int = 100_000) -> Ear:
    async def main() -> Ear:
        async with Air() as air:
            with Ear(air, keep_payload=keep_payload, most=most) as ear:
                async with asyncio.timeout(20):
                    await hear_a_connection(ear, air)
            count = len(ear.heard)
            async with PhoneRadio(air) as phone:
                serving = asyncio.ensure_future(phone.serve(random_uuid()))
                await asyncio.sleep(0.05)
                serving.cancel()
                await asyncio.wait({serving})
            assert len(ear.heard) == count  # closed
            return ear

    return asyncio.run(main())


def test_every_kind_is_told_apart() -> None:
    ear = heard()
    assert [each.at for each in ear.heard] == sorted(each.at for each in ear.heard)
    assert {each.kind for each in ear.heard} == set(Kind)
    shown = next(each for each in ear.heard if each.kind is Kind.ADVERTISEMENT)
    assert (shown.sender, shown.receiver, shown.length) == ("phone", None, 3 + 18)
    (connect,) = [each for each in ear.heard if each.kind is Kind.CONNECT]
    assert (connect.sender, connect.receiver) == ("other", "phone")
    ends = [each for each in ear.heard if each.control == ll.ControlPdu.Opcode.LL_TERMINATE_IND.name]
    assert [(each.sender, each.receiver) for each in ends] == [("phone", "other")]
    assert all(each.payload is None for each in ear.heard)
    assert ear.missed == 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        shown.length = 0  # type: ignore[misc]


def test_att_is_counted_by_opcode_and_direction() -> None:
    ear = heard()
    counts = att_counts(ear.heard)
    assert counts["other", 0x02] == counts["phone", 0x03] == 1  # MTU
    assert counts["other", 0x12] == counts["phone", 0x13] == 1  # one subscription
    requests = sum(count for (sender, _), count in counts.items() if sender == "other")
    answers = sum(count for (sender, _), count in counts.items() if sender == "phone")
    assert requests == answers
    mtu = next(each for each in ear.heard if each.cid == ATT)
    assert mtu.length == 4 + 3
    total = data_bytes(ear.heard)
    assert total["other"] > 5004 > total["phone"] > 0


def test_channels_are_counted_by_the_bytes_of_their_sdus() -> None:
    ear = heard()
    signals = [(each.sender, each.opcode) for each in ear.heard if each.cid == SIGNALLING]
    assert signals[:2] == [("other", 0x14), ("phone", 0x15)]
    frames = [each for each in ear.heard if each.sdu is not None]
    assert all(each.sender == "other" for each in frames)
    assert sum(each.sdu or 0 for each in frames) == 5004
    # An SDU of 4096 bytes and one of 908, each with its length; every frame has a header of its own.
    assert sum(each.length - 4 for each in frames) == 5004 + 2 + 2


def test_content_is_kept_when_asked_and_no_more_than_so_much() -> None:
    ear = heard(keep_payload=True)
    mtu = next(each for each in ear.heard if each.cid == ATT)
    assert mtu.payload == b"\x02" + (247).to_bytes(2, "little")
    ear = heard(most=5)
    assert len(ear.heard) == 5
    assert ear.missed > 10
