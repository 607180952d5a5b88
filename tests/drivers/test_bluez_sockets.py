"""What the BlueZ driver's sockets do when they fill, drain, end, and are closed under whoever waits for them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from mdoc_reader.drivers import bluez_sockets
from mdoc_reader.transport.ports import LinkCode, LinkError


def test_drained_waits_until_the_other_end_has_taken_everything() -> None:
    async def main() -> None:
        ours, descriptor = bluez_sockets.pair()
        theirs = bluez_sockets.take(descriptor)
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await bluez_sockets.send(ours, b"one", gone)
        waiting = asyncio.ensure_future(bluez_sockets.drained(ours, gone))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert bluez_sockets.values(theirs) == ([b"one"], False)
        async with asyncio.timeout(5):
            await waiting
        ours.close()
        assert bluez_sockets.values(theirs) == ([], True)
        theirs.close()

    asyncio.run(main())


@pytest.mark.parametrize("how", ["closed", "gone", "ended"])
def test_whoever_waits_for_room_hears_of_the_end(how: str) -> None:
    async def main() -> None:
        ours, descriptor = bluez_sockets.pair()
        theirs = bluez_sockets.take(descriptor)
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def fill() -> None:
            while True:
                await bluez_sockets.send(ours, bytes(512), gone)

        filling = asyncio.ensure_future(fill())
        draining = asyncio.ensure_future(bluez_sockets.drained(ours, gone))
        await asyncio.sleep(0.05)
        assert not filling.done()
        if how == "closed":
            bluez_sockets.close(ours)
        elif how == "gone":
            gone.set_result("disconnected")
        else:
            theirs.close()
        await asyncio.wait({filling}, timeout=5)
        error = filling.exception()
        assert isinstance(error, LinkError)
        assert error.code is LinkCode.LOST
        if how != "ended":
            with pytest.raises(LinkError):
                await draining
        draining.cancel()
        await asyncio.wait({draining})
        bluez_sockets.close(ours)
        theirs.close()

    asyncio.run(main())


def test_an_empty_value_is_no_end() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.send(b"")
    theirs.send(b"x")
    assert bluez_sockets.values(ours) == ([b"", b"x"], False)
    theirs.close()
    assert bluez_sockets.values(ours) == ([], True)
    ours.close()
